//! Percent-encoding (RFC 3986 section 2.1): of names in cookies, and of what stands in addresses.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Everything but what is reserved for nothing (section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Everything but ASCII letters, digits and `-._~` as `%XX`.
pub fn percent_encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// None where an escape is broken, which decoders would leave as it is, or the result is not text.
pub fn percent_decode(text: &str) -> Option<String> {
    let digits = |escape: &str| escape.as_bytes().first_chunk::<2>().is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    if !text.split('%').skip(1).all(digits) {
        return None;
    }
    Some(percent_decode_str(text).decode_utf8().ok()?.into_owned())
}
