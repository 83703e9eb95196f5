//! permessage-deflate (RFC 7692): what is agreed on in the handshake, and messages in and out of DEFLATE.
//!
//! Neither side takes a context over from one message to the next. So a message that goes to many is deflated once and the
//! bytes are shared, a connection between two messages holds neither a compressor nor a window, and no text is ever deflated
//! together with another's. The compressor belongs to the thread.

use std::{borrow::Cow, cell::RefCell};

use axum::http::{HeaderMap, HeaderValue, header};
use miniz_oxide::{
    deflate::core::{CompressorOxide, TDEFLFlush, TDEFLStatus, compress, create_comp_flags_from_zip_params},
    inflate::{
        TINFLStatus,
        core::{DecompressorOxide, decompress, inflate_flags},
    },
};

/// The extension's name.
const NAME: &str = "permessage-deflate";

/// What a message in DEFLATE ends with, and what is left out on the wire (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// An empty last block. Put behind a whole message it ends the stream; behind a part of one it does not.
const END: [u8; 5] = [1, 0, 0, 0xFF, 0xFF];

/// The largest window that there is, as a power of two in bytes; the compressor has no other.
const MOST_BITS: u8 = 15;

/// Shorter messages are sent as they are, in bytes. They would shrink by a quarter, which is less than the headers of the
/// packet that carries them.
const LEAST_MESSAGE: usize = 256;

/// A kilobyte of chat becomes half of that, whatever the level; above this one, hundreds of kilobytes take up to twice as long
/// and shrink by 1 % more.
const LEVEL: i32 = 3;

/// How much is inflated before it is looked at what came of it, in bytes.
const PIECE: usize = 4096;

thread_local! {
    static COMPRESSOR: RefCell<Box<CompressorOxide>> = RefCell::new(compressor());
}

fn compressor() -> Box<CompressorOxide> {
    // A window of 0 bits stands for DEFLATE without a header.
    Box::new(CompressorOxide::new(create_comp_flags_from_zip_params(LEVEL, 0, 0)))
}

/// How a connection takes deflated messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Deflate {
    /// How far back a message may refer to itself: two to this power, in bytes.
    window_bits: u8,
}

/// Why a message cannot be inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It is no DEFLATE, or not all of it.
    Invalid,
    /// It is over the bound.
    TooBig,
}

impl Deflate {
    /// Agrees to the first offer of a handshake that can be kept, and says so for the answer. What is malformed or unknown is
    /// passed over, as RFC 7692 section 7.1 wants it; it is no reason to refuse the handshake.
    pub(super) fn agree(headers: &HeaderMap) -> Option<(Self, HeaderValue)> {
        let lists = headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS).into_iter().filter_map(|list| list.to_str().ok());
        lists.flat_map(|list| parts(list, ',')).find_map(Self::agree_to)
    }

    fn agree_to(offer: &str) -> Option<(Self, HeaderValue)> {
        let mut parts = parts(offer, ';');
        if parts.next() != Some(NAME) {
            return None;
        }
        let mut seen = Vec::new();
        let mut server_bits = None;
        for parameter in parts {
            let (name, value) = match parameter.split_once('=') {
                Some((name, value)) => (trim(name), Some(unquoted(trim(value))?)),
                None => (parameter, None),
            };
            if seen.contains(&name) {
                return None;
            }
            seen.push(name);
            match (name, value.as_deref()) {
                // Both are so anyway, and the client's window may be as large as it likes.
                ("server_no_context_takeover" | "client_no_context_takeover" | "client_max_window_bits", None) => {}
                ("client_max_window_bits", Some(bits)) => _ = window_bits(bits)?,
                ("server_max_window_bits", Some(bits)) => {
                    server_bits = Some(window_bits(bits)?);
                }
                _ => return None,
            }
        }
        let window = server_bits.map_or_else(String::new, |bits| format!("; server_max_window_bits={bits}"));
        let answer = format!("{NAME}; server_no_context_takeover; client_no_context_takeover{window}");
        let window_bits = server_bits.unwrap_or(MOST_BITS);
        HeaderValue::from_str(&answer).ok().map(|answer| (Self { window_bits }, answer))
    }

    /// Whether a message of so many bytes may go out deflated and is worth it. A message cannot refer back beyond its own
    /// length, so one that is no longer than the window is deflated as for everybody else; a longer one goes as it is.
    pub(super) fn takes(self, length: usize) -> bool {
        length >= LEAST_MESSAGE && (self.window_bits == MOST_BITS || length <= 1 << self.window_bits)
    }
}

/// Deflates a message; none where it would not get smaller.
pub(super) fn deflate(message: &[u8]) -> Option<Vec<u8>> {
    let mut deflated = vec![0; message.len()];
    let (status, read, written) = COMPRESSOR.with_borrow_mut(|compressor| {
        compressor.reset();
        compress(compressor, message, &mut deflated, TDEFLFlush::Sync)
    });
    // Where the room was used up, there may be more to come.
    if status != TDEFLStatus::Okay || read < message.len() || written >= message.len() {
        return None;
    }
    deflated.truncate(written);
    deflated.ends_with(&TAIL).then(|| {
        deflated.truncate(written - TAIL.len());
        deflated
    })
}

/// The most bytes that a message of `length` bytes may have when it is deflated: what does not shrink grows a little. This is
/// what compressors keep to; a message of endless empty blocks does not, and is nothing but work.
pub(super) fn longest_deflated(length: usize) -> usize {
    length.saturating_add(length / 8).saturating_add(PIECE)
}

/// Inflates a message into at most `longest` bytes; no more memory is taken than that.
pub(super) fn inflate(mut deflated: Vec<u8>, longest: usize) -> Result<Vec<u8>, Unreadable> {
    // RFC 7692 section 7.2.3.6 has one byte for it; some send none.
    if deflated.is_empty() {
        return Ok(deflated);
    }
    deflated.extend_from_slice(&TAIL);
    deflated.extend_from_slice(&END);
    let mut inflater = Box::<DecompressorOxide>::default();
    // Room for the message, of which `written` bytes are used. It is its own window.
    let (mut room, mut written, mut read) = (Vec::new(), 0, 0);
    loop {
        let rest = &deflated[read..];
        if written == room.len() {
            // One byte beyond the bound shows that there is more than the bound.
            let most = longest.saturating_add(1) - written;
            let more = written.max(4 * rest.len()).min(most);
            room.reserve_exact(more);
            room.resize(written + more, 0);
        }
        let (piece, later) = rest.split_at(rest.len().min(PIECE));
        let goes_on = if later.is_empty() { 0 } else { inflate_flags::TINFL_FLAG_HAS_MORE_INPUT };
        let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF | goes_on;
        let (status, more_read, more_written) = decompress(&mut inflater, piece, &mut room, written, flags);
        read += more_read;
        written += more_written;
        if written > longest {
            return Err(Unreadable::TooBig);
        }
        match status {
            _ if read > longest_deflated(written) + PIECE => return Err(Unreadable::Invalid),
            TINFLStatus::Done if read == deflated.len() => {
                room.truncate(written);
                return Ok(room);
            }
            // The client ended a stream in the midst of the message (RFC 7692 section 7.2.3.4); another follows.
            TINFLStatus::Done => inflater.init(),
            TINFLStatus::NeedsMoreInput if more_read > 0 => {}
            TINFLStatus::HasMoreOutput if written == room.len() => {}
            _ => return Err(Unreadable::Invalid),
        }
    }
}

/// What stands between separators that are not in quotes, without the blanks around it.
fn parts(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let separates = move |character| {
        let plain = !std::mem::take(&mut escaped);
        match character {
            '"' if plain => quoted = !quoted,
            '\\' if plain && quoted => escaped = true,
            _ => return character == separator && !quoted,
        }
        false
    };
    text.split(separates).map(trim)
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// A value, out of its quotes where it stands in any; none where these are wrong.
fn unquoted(value: &str) -> Option<Cow<'_, str>> {
    let Some(quoted) = value.strip_prefix('"') else { return Some(Cow::Borrowed(value)) };
    let mut text = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => return characters.next().is_none().then_some(Cow::Owned(text)),
            '\\' => text.push(characters.next()?),
            character => text.push(character),
        }
    }
}

/// 8 to 15, without leading zeros.
fn window_bits(text: &str) -> Option<u8> {
    text.parse().ok().filter(|bits: &u8| (8..=MOST_BITS).contains(bits) && bits.to_string() == text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bytes that do not shrink.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    fn agreed(fields: &[&str]) -> Option<(u8, String)> {
        let field = |field: &&str| (header::SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_str(field).expect("ASCII"));
        let headers: HeaderMap = fields.iter().map(field).collect();
        let (deflate, answer) = Deflate::agree(&headers)?;
        let answer = answer.to_str().expect("ASCII");
        let rest = answer.strip_prefix("permessage-deflate; server_no_context_takeover; client_no_context_takeover");
        Some((deflate.window_bits, rest.expect(answer).to_owned()))
    }

    #[test]
    fn offers_that_are_agreed_to() {
        for (fields, bits) in [
            (&["permessage-deflate"][..], None),
            (&["permessage-deflate; client_max_window_bits"], None),
            (&["permessage-deflate; client_max_window_bits=8"], None),
            (&["permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"], Some(12)),
            (&["permessage-deflate; server_max_window_bits=15"], Some(15)),
            (&["permessage-deflate;server_max_window_bits=9;server_no_context_takeover"], Some(9)),
            (&["permessage-deflate; client_no_context_takeover; server_no_context_takeover"], None),
            (&["permessage-deflate; server_max_window_bits=\"10\""], Some(10)),
            (&["permessage-deflate; server_max_window_bits=\"1\\0\" ; client_max_window_bits=\"15\""], Some(10)),
            (&["\t permessage-deflate \t;  server_max_window_bits = 11 , "], Some(11)),
            // The first that can be kept, wherever it stands.
            (&["permessage-deflate; server_max_window_bits=10, permessage-deflate"], Some(10)),
            (&["permessage-deflate; server_max_window_bits=7, permessage-deflate; server_max_window_bits=8"], Some(8)),
            (&["x-webkit-deflate-frame, permessage-foo; a=1; b=\"c,d;e\", permessage-deflate"], None),
            (&["permessage-bzip2", "permessage-deflate; what", "permessage-deflate; client_max_window_bits"], None),
            (&["", ", ,", "permessage-deflate"], None),
        ] {
            let answer = bits.map_or_else(String::new, |bits| format!("; server_max_window_bits={bits}"));
            assert_eq!(agreed(fields), Some((bits.unwrap_or(15), answer)), "{fields:?}");
        }
    }

    #[test]
    fn offers_that_are_passed_over() {
        for field in [
            "",
            "permessage-deflat",
            "permessage-deflate2",
            "permessage-deflate=1",
            "\"permessage-deflate\"",
            "x; permessage-deflate",
            "permessage-deflate;",
            "permessage-deflate; ; client_max_window_bits",
            "permessage-deflate client_max_window_bits",
            "permessage-deflate; unknown",
            "permessage-deflate; client_max_window_bits; unknown=1",
            "permessage-deflate; server_no_context_takeover=true",
            "permessage-deflate; server_no_context_takeover=",
            "permessage-deflate; client_no_context_takeover=\"\"",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=015",
            "permessage-deflate; server_max_window_bits=+9",
            "permessage-deflate; server_max_window_bits=-9",
            "permessage-deflate; server_max_window_bits=9.0",
            "permessage-deflate; server_max_window_bits=4294967305",
            "permessage-deflate; server_max_window_bits=\"10",
            "permessage-deflate; server_max_window_bits=\"10\"0",
            "permessage-deflate; server_max_window_bits=10\"",
            "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
            "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
            "permessage-deflate; client_max_window_bits=",
            "permessage-deflate; client_max_window_bits=16",
            "permessage-deflate; client_max_window_bits=ten",
            "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
            // It stands in a text.
            "permessage-foo; a=\"x, permessage-deflate, y\"",
            "permessage-foo; a=\"\\\", permessage-deflate, \"",
        ] {
            assert_eq!(agreed(&[field]), None, "{field}");
        }
    }

    /// The examples of RFC 7692 section 7.2.3 and what else DEFLATE can look like.
    #[test]
    fn whatever_way_a_message_was_deflated_it_is_inflated() {
        for (deflated, message) in [
            (&b"\xf2\x48\xcd\xc9\xc9\x07\x00"[..], &b"Hello"[..]),
            (b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", b"Hello"),
            (b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", b"Hello"),
            (b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", b"Hello"),
            (b"\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00\x00", b"HelloHello"),
            (b"\x00", b""),
            (b"\x02\x00", b""),
            (b"\x03\x00\x00", b""),
            (b"", b""),
        ] {
            assert_eq!(inflate(deflated.to_vec(), message.len()), Ok(message.to_vec()), "{deflated:x?}");
            let less = message.len().checked_sub(1).map(|less| inflate(deflated.to_vec(), less));
            assert!(less.is_none_or(|less| less == Err(Unreadable::TooBig)), "{deflated:x?}");
        }
    }

    #[test]
    fn what_is_no_deflate_or_not_all_of_it_is_refused() {
        let whole = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
        let parts = (1..whole.len()).map(|end| &whole[..end]);
        let bad: [&[u8]; 5] = [
            b"\xff\xff\xff",
            b"\x06",
            b"\x00\x05\x00\xfb\xff\x48\x65\x6c\x6c\x6f\x00",
            // Refers to what was before the message.
            b"\xf2\x00\x11\x00\x00",
            // A last block without the empty one behind it.
            b"\xf3\x48\xcd\xc9\xc9\x07\x00",
        ];
        for deflated in parts.chain(bad) {
            assert_eq!(inflate(deflated.to_vec(), 1000), Err(Unreadable::Invalid), "{deflated:x?}");
        }
        // The inflater has nothing left of that.
        assert_eq!(inflate(whole.to_vec(), 5), Ok(b"Hello".to_vec()));
    }

    #[test]
    fn what_inflates_beyond_the_bound_takes_no_more_memory_than_the_bound() {
        let bomb = deflate(&vec![b'x'; 1 << 24]).expect("it shrinks");
        assert!(bomb.len() < 1 << 15);
        assert_eq!(inflate(bomb.clone(), 65_536), Err(Unreadable::TooBig));
        assert_eq!(inflate(bomb.clone(), (1 << 24) - 1), Err(Unreadable::TooBig));
        let message = inflate(bomb, 1 << 24).expect("it is as long as it may be");
        assert_eq!(message, vec![b'x'; 1 << 24]);
        assert!(message.capacity() <= (1 << 24) + 1);
    }

    #[test]
    fn blocks_that_say_nothing_are_refused_after_a_while() {
        // Those that end a stream, those of a fixed code that do not, and those without compression.
        let kinds: [fn(usize) -> Vec<u8>; 3] = [
            |count| [[3, 0].repeat(count), vec![0]].concat(),
            |count| [[0x02, 0x08, 0x20, 0x80, 0x00].repeat(count), vec![0]].concat(),
            |count| [[0, 0, 0, 0xFF, 0xFF].repeat(count), vec![0]].concat(),
        ];
        for blocks in kinds {
            assert_eq!(inflate(blocks(500), 1 << 20), Ok(Vec::new()));
            assert_eq!(inflate(blocks(100_000), 1 << 20), Err(Unreadable::Invalid));
        }
    }

    #[test]
    fn short_messages_and_those_that_a_window_may_not_hold_go_as_they_are() {
        for (window_bits, taken, not_taken) in [
            (8, &[256][..], &[0, 255, 257, 100_000][..]),
            (9, &[256, 512], &[255, 513]),
            (12, &[256, 4_096], &[255, 4_097]),
            (15, &[256, 32_769, 10_000_000], &[0, 255]),
        ] {
            let deflate = Deflate { window_bits };
            assert!(taken.iter().all(|length| deflate.takes(*length)), "{window_bits}");
            assert!(!not_taken.iter().any(|length| deflate.takes(*length)), "{window_bits}");
        }
    }

    #[test]
    fn what_does_not_shrink_is_not_deflated() {
        for length in [0, 1, 256, 10_000, 100_000] {
            assert_eq!(deflate(&noise(length)), None, "{length}");
        }
        // One that was given up leaves nothing behind.
        let message = b"once more ".repeat(100);
        assert_eq!(inflate(deflate(&message).expect("it shrinks"), 1_000), Ok(message));
    }

    proptest! {
        #[test]
        fn what_is_deflated_comes_back(words in prop::collection::vec("[a-zé]{0,12}", 0..300)) {
            let message = words.join(" ").into_bytes();
            if let Some(deflated) = deflate(&message) {
                prop_assert!(deflated.len() < message.len());
                prop_assert_eq!(inflate(deflated, message.len()), Ok(message));
            }
        }

        #[test]
        fn any_bytes_are_inflated_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400), longest in 0_usize..2_000) {
            let inflated = inflate(bytes, longest).map_or(0, |message| message.len());
            prop_assert!(inflated <= longest);
        }
    }
}
