//! An event as bytes: serialized, then encrypted, as `channels_redis` does both.
//!
//! ```text
//!   encode: event, and for whom it is ──► msgpack or JSON ──► Fernet token with the first key
//!   decode: each key in turn ──► msgpack or JSON ──► event, and for whom it is
//! ```

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE};
use fernet::Fernet;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::msgpack;
use crate::server::layers::{Event, LayerError, Value};

/// The key under which a message says for which channels of a process it is. In an event of a caller it is left out: nobody else
/// may say so.
const ADDRESS: &str = "__asgi_channel__";
const TYPE: &str = "type";
/// How deep lists and maps may be in a field: as deep as `serde_json` reads them there, which is a little less than msgpack here.
const DEEPEST: usize = 126;

/// What to look at when a message cannot be read.
pub(super) const ALIKE: &str =
    "are serializer_format, symmetric_encryption_keys and random_prefix_length the same in all programs on this Redis?";

/// How an event becomes bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Serializer {
    #[default]
    Msgpack,
    /// Has no bytes, and no floats that are infinite or no number.
    Json,
}

/// The channels behind the `!` of a process's name that a message is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// It was sent to one.
    One(String),
    /// It was sent to a group of which these are members.
    Many(Vec<String>),
}

/// Why bytes are no event.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub(super) struct Undecodable(String);

pub(super) struct Codec {
    serializer: Serializer,
    /// Encrypts with the first, decrypts with any; none: nothing is encrypted.
    keys: Vec<Fernet>,
    max_age: Option<Duration>,
}

impl Codec {
    /// `secrets` are any texts; a token that is older than `max_age` is not read.
    pub(super) fn new(serializer: Serializer, secrets: &[String], max_age: Option<Duration>) -> Self {
        let key = |secret: &String| {
            let key = BASE64_URL_SAFE.encode(Sha256::digest(secret));
            Fernet::new(&key).expect("a key of 32 bytes") // never: a SHA-256 digest has 32
        };
        Self { serializer, keys: secrets.iter().map(key).collect(), max_age }
    }

    /// # Errors
    /// [`LayerError::Unserializable`]: JSON has no form for something in the event, or lists and maps are deeper than is read.
    pub(super) fn encode(&self, event: &Event, to: Option<&Address>) -> Result<Vec<u8>, LayerError> {
        if let Some((key, _)) = fields(event).find(|(_, value)| is_deeper(value, DEEPEST)) {
            let what = format!("lists and maps in `{key}` are more than {DEEPEST} deep");
            return Err(LayerError::Unserializable(what));
        }
        let plain = match self.serializer {
            Serializer::Msgpack => to_msgpack(event, to),
            Serializer::Json => to_json(event, to)?,
        };
        Ok(match self.keys.first() {
            Some(key) => key.encrypt(&plain).into_bytes(),
            None => plain,
        })
    }

    pub(super) fn decode(&self, bytes: &[u8]) -> Result<(Event, Option<Address>), Undecodable> {
        let decrypted;
        let plain = if self.keys.is_empty() {
            bytes
        } else {
            decrypted = self.decrypt(bytes)?;
            &decrypted
        };
        let value = match self.serializer {
            Serializer::Msgpack => msgpack::read(plain).map_err(|cause| Undecodable(cause.to_string()))?,
            Serializer::Json => {
                let json = serde_json::from_slice(plain).map_err(|cause| Undecodable(cause.to_string()))?;
                Value::from_json(json).map_err(|cause| Undecodable(cause.to_string()))?
            }
        };
        let Value::Map(mut map) = value else { return Err(Undecodable("an event is a map".to_owned())) };
        let address = map.remove(ADDRESS).map(address).transpose()?;
        let event = Event::from_map(map).map_err(|cause| Undecodable(cause.to_string()))?;
        Ok((event, address))
    }

    fn decrypt(&self, token: &[u8]) -> Result<Vec<u8>, Undecodable> {
        let token = str::from_utf8(token).map_err(|_| Undecodable("it is not encrypted".to_owned()))?;
        let none = || Undecodable("none of symmetric_encryption_keys decrypts it".to_owned());
        let plain = self.keys.iter().find_map(|key| key.decrypt(token).ok()).ok_or_else(none)?;
        // Asked for the age, the library adds to the token's time before it knows that the token is genuine, and a
        // forged time overflows.
        match self.max_age {
            Some(age) if is_older(token, age) => Err(Undecodable(format!("it is older than {} s", age.as_secs()))),
            _ => Ok(plain),
        }
    }
}

/// Whether a token was made longer ago: its first nine bytes are a version and the time in seconds.
fn is_older(token: &str, age: Duration) -> bool {
    let made = token.get(..12).and_then(|head| BASE64_URL_SAFE.decode(head).ok());
    let made = made.and_then(|head| Some(u64::from_be_bytes(*head.last_chunk()?)));
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    made.is_none_or(|made| made.saturating_add(age.as_secs()) < now)
}

fn is_deeper(value: &Value, levels: usize) -> bool {
    match (value, levels.checked_sub(1)) {
        (Value::List(_) | Value::Map(_), None) => true,
        (Value::List(values), Some(levels)) => values.iter().any(|value| is_deeper(value, levels)),
        (Value::Map(values), Some(levels)) => values.values().any(|value| is_deeper(value, levels)),
        _ => false,
    }
}

fn address(value: Value) -> Result<Address, Undecodable> {
    let text = |value| match value {
        Value::Str(text) => Ok(text),
        _ => Err(Undecodable(format!("{ADDRESS} is neither a text nor a list of texts"))),
    };
    match value {
        Value::List(names) => Ok(Address::Many(names.into_iter().map(text).collect::<Result<_, _>>()?)),
        value => text(value).map(Address::One),
    }
}

/// All but the type that goes onto the wire.
fn fields(event: &Event) -> impl Iterator<Item = (&String, &Value)> {
    event.fields().iter().filter(|(key, _)| *key != ADDRESS)
}

fn to_msgpack(event: &Event, to: Option<&Address>) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    msgpack::write_map_len(&mut out, 1 + fields(event).count() + usize::from(to.is_some()));
    msgpack::write_str(&mut out, TYPE);
    msgpack::write_str(&mut out, event.kind());
    for (key, value) in fields(event) {
        msgpack::write_str(&mut out, key);
        msgpack::write(&mut out, value);
    }
    if let Some(to) = to {
        msgpack::write_str(&mut out, ADDRESS);
        match to {
            Address::One(name) => msgpack::write_str(&mut out, name),
            Address::Many(names) => {
                msgpack::write_array_len(&mut out, names.len());
                for name in names {
                    msgpack::write_str(&mut out, name);
                }
            }
        }
    }
    out
}

fn to_json(event: &Event, to: Option<&Address>) -> Result<Vec<u8>, LayerError> {
    for (key, value) in fields(event) {
        has_json(value).map_err(|what| {
            LayerError::Unserializable(format!("`{key}` has {what}, which JSON has no form for; use msgpack"))
        })?;
    }
    let kind = (TYPE, event.kind().into());
    let fields = fields(event).map(|(key, value)| (key.as_str(), value.to_json()));
    let to = to.map(|to| match to {
        Address::One(name) => (ADDRESS, name.as_str().into()),
        Address::Many(names) => (ADDRESS, names.iter().map(String::as_str).collect()),
    });
    let json: serde_json::Value = std::iter::once(kind).chain(fields).chain(to).collect();
    Ok(json.to_string().into_bytes())
}

/// What JSON cannot say of a value, if anything.
fn has_json(value: &Value) -> Result<(), &'static str> {
    match value {
        Value::Bytes(_) => Err("bytes"),
        Value::Float(float) if !float.is_finite() => Err("a float that is no number"),
        Value::List(values) => values.iter().try_for_each(has_json),
        Value::Map(values) => BTreeMap::values(values).try_for_each(has_json),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const SECRET: &str = "s3cret";
    /// The token of `{"type": "t"}` under [`SECRET`], made by `channels_redis` 4.3.0 at the second 1,700,000,000.
    const TOKEN: &str = "gAAAAABlU_EAAAECAwQFBgcICQoLDA0ODwMAKefxdZ39d0uwCAmq_7lXSdnynDVTmYYpVShv4eTkLhPZSCDpW3cF0gArgqbCXA==";

    fn codec(serializer: Serializer, secrets: &[&str], max_age: Option<Duration>) -> Codec {
        Codec::new(serializer, &secrets.iter().map(|&secret| secret.to_owned()).collect::<Vec<_>>(), max_age)
    }

    fn plain(serializer: Serializer) -> Codec {
        codec(serializer, &[], None)
    }

    fn event(json: serde_json::Value) -> Event {
        Event::from_json(json).unwrap()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])))
            .collect()
    }

    /// Made with Python's msgpack 1.2.4, but for the order of the fields, which says nothing: ours are sorted.
    #[test]
    fn msgpack_is_that_of_python() {
        let encoded = |json| hex(&plain(Serializer::Msgpack).encode(&event(json), None).unwrap());
        assert_eq!(encoded(json!({"type": "t"})), "81a474797065a174");
        assert_eq!(
            encoded(json!({"type": "chat.message", "text": "h\u{e9}", "n": -1, "f": 1.5, "l": [1, [2]], "d": {"k": "v"}})),
            "86a474797065ac636861742e6d657373616765a16481a16ba176a166cb3ff8000000000000a16c92019102a16effa474657874a368c3a9"
        );
        let bytes = Event::new("t").with("b", Bytes::from_static(&[0, 255]));
        assert_eq!(hex(&plain(Serializer::Msgpack).encode(&bytes, None).unwrap()), "82a474797065a174a162c40200ff");
        let (one, many) = (Address::One("a!b".to_owned()), Address::Many(vec!["a!b".to_owned(), "a!c".to_owned()]));
        let to = |to| hex(&plain(Serializer::Msgpack).encode(&Event::new("t"), Some(to)).unwrap());
        assert_eq!(to(&one), format!("82a474797065a174b0{}a3612162", hex(ADDRESS.as_bytes())));
        assert_eq!(to(&many), format!("82a474797065a174b0{}92a3612162a3612163", hex(ADDRESS.as_bytes())));
    }

    #[test]
    fn json_is_read_as_python_writes_it() {
        let text =
            r#"{"type": "chat.message", "text": "h\u00e9", "n": -1, "f": 1.5, "l": [1, [2]], "__asgi_channel__": ["a!b"]}"#;
        let (read, to) = plain(Serializer::Json).decode(text.as_bytes()).unwrap();
        assert_eq!(read, event(json!({"type": "chat.message", "text": "h\u{e9}", "n": -1, "f": 1.5, "l": [1, [2]]})));
        assert_eq!(to, Some(Address::Many(vec!["a!b".to_owned()])));
    }

    #[test]
    fn what_json_cannot_say_is_refused_with_the_key() {
        for (value, what) in [(Value::Bytes(Bytes::new()), "bytes"), (f64::NAN.into(), "no number")] {
            let nested = Event::new("t").with("key", vec![Value::Map([("in".to_owned(), value)].into())]);
            let refused = plain(Serializer::Json).encode(&nested, None).unwrap_err().to_string();
            assert!(refused.contains("`key`") && refused.contains(what), "{refused}");
        }
    }

    #[test]
    fn a_token_of_python_is_read_with_whichever_key_it_was_made() {
        let expected = Ok((Event::new("t"), None));
        for secrets in [&[SECRET][..], &["new", SECRET], &["new", "newer", SECRET]] {
            assert_eq!(codec(Serializer::Msgpack, secrets, None).decode(TOKEN.as_bytes()), expected);
        }
        for (secrets, max_age, reason) in [
            (&["another"][..], None, "none of symmetric_encryption_keys decrypts it"),
            (&[SECRET], Some(Duration::from_secs(70)), "it is older than 70 s"),
        ] {
            let refused = codec(Serializer::Msgpack, secrets, max_age).decode(TOKEN.as_bytes());
            assert_eq!(refused, Err(Undecodable(reason.to_owned())));
        }
        let decade = Some(Duration::from_hours(24 * 3650));
        assert_eq!(codec(Serializer::Msgpack, &[SECRET], decade).decode(TOKEN.as_bytes()), expected, "in its time");
    }

    #[test]
    fn a_forged_time_is_no_danger() {
        for time in [0, 1, u64::MAX - 100, u64::MAX] {
            let mut token = vec![0x80];
            token.extend(time.to_be_bytes());
            token.extend([0; 16 + 16 + 32]);
            let token = BASE64_URL_SAFE.encode(token);
            for max_age in [None, Some(Duration::from_secs(70)), Some(Duration::MAX)] {
                assert!(codec(Serializer::Msgpack, &[SECRET], max_age).decode(token.as_bytes()).is_err(), "{time}");
            }
        }
    }

    #[test]
    fn what_would_be_too_deep_to_read_is_not_sent() {
        let nested = |levels| (0..levels).fold(Value::Nil, |value, _| vec![value].into());
        for serializer in [Serializer::Msgpack, Serializer::Json] {
            let deepest = Event::new("t").with("key", nested(DEEPEST));
            let encoded = plain(serializer).encode(&deepest, None).unwrap();
            assert_eq!(plain(serializer).decode(&encoded), Ok((deepest, None)));
            let refused = plain(serializer).encode(&Event::new("t").with("key", nested(DEEPEST + 1)), None);
            assert!(matches!(&refused, Err(LayerError::Unserializable(what)) if what.contains("`key`")), "{refused:?}");
        }
    }

    #[test]
    fn the_first_key_encrypts() {
        let token = codec(Serializer::Json, &["new", "old"], None).encode(&Event::new("t"), None).unwrap();
        let max_age = Some(Duration::from_secs(70));
        assert!(codec(Serializer::Json, &["new"], max_age).decode(&token).is_ok());
        assert!(codec(Serializer::Json, &["old"], max_age).decode(&token).is_err());
        let open = plain(Serializer::Json).encode(&Event::new("t"), None).unwrap();
        assert!(codec(Serializer::Json, &["new"], None).decode(&open).is_err(), "what is not encrypted is not taken");
    }

    #[test]
    fn nobody_addresses_by_an_event() {
        for serializer in [Serializer::Msgpack, Serializer::Json] {
            let encoded = plain(serializer).encode(&Event::new("t").with(ADDRESS, "a!b"), None).unwrap();
            assert_eq!(plain(serializer).decode(&encoded), Ok((Event::new("t"), None)));
        }
    }

    #[test]
    fn what_is_no_event_is_refused_with_the_reason() {
        for (text, reason) in [
            ("[]", "an event is a map"),
            ("{}", "an event has a \"type\" that is a string"),
            (r#"{"type": 1}"#, "an event has a \"type\" that is a string"),
            (r#"{"type": "t", "__asgi_channel__": 1}"#, "__asgi_channel__ is neither a text nor a list of texts"),
            ("{", "EOF while parsing an object at line 1 column 1"),
        ] {
            assert_eq!(plain(Serializer::Json).decode(text.as_bytes()), Err(Undecodable(reason.to_owned())), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            fields in proptest::collection::btree_map("[a-z]{1,8}", msgpack::tests::value(), 0..6),
            secrets in proptest::collection::vec(".*", 0..2),
            names in proptest::collection::vec("[a-z]{1,8}![a-z]{0,8}", 0..4),
        ) {
            let event = fields.into_iter().fold(Event::new("test"), |event, (key, value)| event.with(key, value));
            let codec = Codec::new(Serializer::Msgpack, &secrets, Some(Duration::from_secs(70)));
            let to = Some(Address::Many(names));
            let encoded = codec.encode(&event, to.as_ref()).unwrap();
            prop_assert_eq!(codec.decode(&encoded), Ok((event, to)));
        }

        #[test]
        fn no_bytes_are_a_danger(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for serializer in [Serializer::Msgpack, Serializer::Json] {
                // Whether they are something or nothing: there is an answer.
                let _ = plain(serializer).decode(&bytes);
                let _ = codec(serializer, &[SECRET], None).decode(&bytes);
            }
        }
    }
}
