//! What Django signs, by `django.core.signing` and `django.utils.crypto.salted_hmac` with SHA-256: its sessions, and the digest of a
//! password in them. A key is made of a salt and a secret of the project; the first secret signs, all are tried to read.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use ring::{
    digest::{SHA256, digest},
    hmac,
};

use crate::server::settings::Secret;

/// The most that a session may hold, in bytes: far more than any has.
pub(super) const LARGEST: usize = 1 << 20;

/// Reads what was signed with one salt.
pub(super) struct Signer(Vec<hmac::Key>);

/// An object that was signed, as the bytes of its serializer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Signed {
    pub(super) bytes: Vec<u8>,
    /// When, in seconds since 1970.
    pub(super) at: i64,
}

impl Signer {
    pub(super) fn new<'s>(salt: &str, secrets: impl IntoIterator<Item = &'s Secret>) -> Self {
        let key = |secret: &Secret| {
            let salted = digest(&SHA256, &[salt.as_bytes(), secret.reveal().as_bytes()].concat());
            hmac::Key::new(hmac::HMAC_SHA256, salted.as_ref())
        };
        Self(secrets.into_iter().map(key).collect())
    }

    /// Whether a text was signed so; takes the same time whether it was or not.
    fn has_signed(&self, text: &str, signature: &[u8]) -> bool {
        self.0.iter().fold(false, |signed, key| hmac::verify(key, text.as_bytes(), signature).is_ok() | signed)
    }

    /// Whether this is the `salted_hmac(...).hexdigest()` of a text.
    pub(super) fn is_digest(&self, text: &str, digits: &str) -> bool {
        from_hex(digits).is_some_and(|digest| self.has_signed(text, &digest))
    }

    /// What `signing.dumps` has written: `[.]object:timestamp:signature`, where the dot says that the object is compressed. None where
    /// it was not signed so.
    pub(super) fn read(&self, text: &str) -> Option<Signed> {
        let (value, signature) = text.rsplit_once(':')?;
        if !self.has_signed(value, &URL_SAFE_NO_PAD.decode(signature).ok()?) {
            return None;
        }
        let (object, timestamp) = value.rsplit_once(':')?;
        let at = from_base_62(timestamp)?;
        let bytes = match object.strip_prefix('.') {
            Some(compressed) => decompress_to_vec_zlib_with_limit(&URL_SAFE_NO_PAD.decode(compressed).ok()?, LARGEST).ok()?,
            None => URL_SAFE_NO_PAD.decode(object).ok()?,
        };
        Some(Signed { bytes, at })
    }
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let value = |digit: &u8| char::from(*digit).to_digit(16).map(|value| value as u8);
    let pairs = digits.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(value(high)? << 4 | value(low)?),
        _ => None,
    });
    pairs.collect()
}

fn from_base_62(text: &str) -> Option<i64> {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let digit = |letter: u8| DIGITS.iter().position(|digit| *digit == letter).and_then(|value| i64::try_from(value).ok());
    let number = |number: i64, letter: u8| number.checked_mul(62)?.checked_add(digit(letter)?);
    Some(text.bytes().try_fold(0, number)?).filter(|_| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn signer(secrets: &[&str]) -> Signer {
        let secrets: Vec<Secret> = secrets.iter().map(|secret| secret.parse().unwrap()).collect();
        Signer::new("saltsigner", &secrets)
    }

    /// `signing.dumps({"a": 1}, key="hush", salt="salt")` of Django 5.2.
    const PLAIN: &str = "eyJhIjoxfQ:1r31eq:TE0kEEnMIsgIjC8nRJB2dlNVXlsf0YT2l-LHzPc748Q";
    /// The same of `{"a": "b" * 100}` with `compress=True`.
    const COMPRESSED: &str = ".eJyrVkpUslJKogNQqgUAeN0oZA:1r31eq:lA57h79DsoLudU5aV0pR8SxE5s0HsdMohfcIYqt5m2k";

    #[test]
    fn what_django_has_signed_is_read_with_any_of_the_keys() {
        for secrets in [&["hush"][..], &["new", "hush"], &["hush", "old"]] {
            assert_eq!(signer(secrets).read(PLAIN).map(|signed| signed.bytes), Some(b"{\"a\":1}".to_vec()));
            let compressed = signer(secrets).read(COMPRESSED).map(|signed| signed.bytes);
            assert_eq!(compressed, Some(format!("{{\"a\":\"{}\"}}", "b".repeat(100)).into_bytes()));
        }
        assert_eq!(signer(&["hush"]).read(PLAIN).map(|signed| signed.at), Some(1_700_000_000));
        assert_eq!(signer(&["other"]).read(PLAIN), None);
        assert_eq!(Signer::new("other", &["hush".parse().unwrap()]).read(PLAIN), None);
    }

    #[test]
    fn a_changed_letter_is_refused() {
        let signer = signer(&["hush"]);
        for at in 0..PLAIN.len() {
            for letter in ["A", "B", ":", ".", "\u{e9}", ""] {
                let changed = [&PLAIN[..at], letter, &PLAIN[at + 1..]].concat();
                assert!(changed == PLAIN || signer.read(&changed).is_none(), "{changed}");
            }
        }
    }

    #[test]
    fn digits_are_pairs() {
        assert_eq!(from_hex("00fFa1"), Some(vec![0, 255, 161]));
        for bad in ["0", "0g", "+1", "é0", " 0"] {
            assert_eq!(from_hex(bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers_are_bounded() {
        assert_eq!((from_base_62("0"), from_base_62("10"), from_base_62("z")), (Some(0), Some(62), Some(61)));
        for bad in ["", "-1", "é", "zzzzzzzzzzzz"] {
            assert_eq!(from_base_62(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in ".{0,200}") {
            prop_assert_eq!(signer(&["hush"]).read(&text), None);
            prop_assert!(!signer(&["hush"]).is_digest("password", &text));
        }
    }
}
