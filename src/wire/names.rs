//! Names and positions.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::Timestamp;

/// Why a name was refused: what is allowed instead, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidName(pub &'static str);

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for InvalidName {}

fn is_name(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// A checked text that is cheap to clone: what it `accepts` is asked of each text, and where it is none the `rule` says what is.
macro_rules! checked_text {
    ($(#[$meta:meta])* $name:ident, $accepts:ident($($bound:tt)*), $rule:literal) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::wire::InvalidName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if $accepts(text, $($bound)*) { Ok(Self(text.into())) } else { Err($crate::wire::InvalidName($rule)) }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

#[cfg(feature = "ssr")]
pub(crate) use checked_text;

/// One that crosses the network; the name types below differ in how long they may be.
macro_rules! checked_name {
    ($(#[$doc:meta])* $name:ident, $longest:tt, $rule:literal) => {
        checked_text! {
            $(#[$doc])*
            #[cfg_attr(
                feature = "ssr",
                derive(utoipa::ToSchema),
                schema(value_type = String, min_length = 1, max_length = $longest, pattern = "^[A-Za-z0-9_-]*$")
            )]
            $name, is_name($longest), $rule
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    };
}

checked_name!(
    /// The name of a group, as it stands in addresses: `[A-Za-z0-9_-]{1,64}`.
    Group,
    64,
    "a group name is 1 to 64 of A-Z a-z 0-9 _ -"
);

checked_name!(
    /// The key that a client gives a message it sends, unique for its author in the room: a repeated send with the
    /// same key is the same message. Usual are UUIDs of version 7.
    Key,
    64,
    "a key is 1 to 64 of A-Z a-z 0-9 _ -"
);

impl Key {
    /// A UUID of version 7 (RFC 9562, section 5.7) from an instant and 74 of the random bits. Keys of one time stand side by side
    /// in a store's index, so that they cost it the least to keep.
    pub fn fresh(at: Timestamp, random: u128) -> Self {
        const VERSION: u128 = 0x7 << 76;
        const VARIANT: u128 = 0x2 << 62;
        const RANDOM: u128 = (0xFFF << 64) | ((1 << 62) - 1);
        let time = u128::from(at.as_millis().unsigned_abs()) << 80;
        let hex = format!("{:032x}", time | VERSION | VARIANT | random & RANDOM);
        Self([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-").into())
    }
}

checked_name!(
    /// One life of a topic's stream. Offsets of different epochs cannot be compared: the stream was begun anew.
    Epoch,
    32,
    "an epoch is 1 to 32 of A-Z a-z 0-9 _ -"
);

/// A place in a topic's stream. The first event has offset 1 and each next one is one more; 0 is the place before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Offset(pub u64);

impl Offset {
    /// The place before the first event.
    pub const START: Self = Self(0);

    /// The place one further on. No stream gets as far as the last number there is, but a client may name it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a reader stands in a stream: it has everything up to and including `offset`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    pub epoch: Epoch,
    pub offset: Offset,
}

/// What a message of a stream is called, unique over all rooms since their epochs differ: `{epoch}-{offset}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId {
    pub epoch: Epoch,
    pub offset: Offset,
}

impl FromStr for MessageId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        const RULE: InvalidName = InvalidName("the id of a message is its epoch, a dash and its offset");
        let (epoch, offset) = text.rsplit_once('-').ok_or(RULE)?;
        let digits = !offset.is_empty() && offset.bytes().all(|byte| byte.is_ascii_digit());
        let offset = offset.parse().ok().filter(|_| digits).ok_or(RULE)?;
        Ok(Self { epoch: epoch.parse().map_err(|_| RULE)?, offset: Offset(offset) })
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.offset)
    }
}

impl Serialize for MessageId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl fmt::Display for OfNoun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.whole)
    }
}

/// What a connection can join.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// `room/{group}`: the messages of a room.
    Room(Group),
    /// `lobby`: the open rooms and their latest messages.
    Lobby,
    /// `me`: what concerns the person behind the connection.
    Me,
    /// `{kind}/{name}`: of another noun.
    Other(OfNoun),
}

/// A topic as its noun calls it: `{kind}/{name}`, the kind 1 to 24 of a-z 0-9 -, the name 1 to 64 of A-Z a-z 0-9 _ . -
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OfNoun {
    whole: Arc<str>,
    /// Where the name begins.
    name: u8,
}

impl OfNoun {
    /// Of which kind it is.
    pub fn kind(&self) -> &str {
        &self.whole[..usize::from(self.name) - 1]
    }

    pub fn name(&self) -> &str {
        &self.whole[usize::from(self.name)..]
    }

    /// None where one of them is not as it has to be.
    fn new(kind: &str, name: &str) -> Option<Self> {
        let in_kind = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let in_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        let good = (1..=24).contains(&kind.len()) && kind.bytes().all(in_kind);
        let good = good && (1..=64).contains(&name.len()) && name.bytes().all(in_name);
        let begin = u8::try_from(kind.len() + 1).ok()?;
        good.then(|| Self { whole: format!("{kind}/{name}").into(), name: begin })
    }
}

impl FromStr for Topic {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        const RULE: InvalidName = InvalidName("a topic is room/{group}, lobby or me");
        match text.split_once('/') {
            Some(("room", group)) => Ok(Self::Room(group.parse()?)),
            Some(("lobby" | "me", _)) => Err(RULE),
            Some((kind, name)) => OfNoun::new(kind, name).map(Self::Other).ok_or(RULE),
            None if text == "lobby" => Ok(Self::Lobby),
            None if text == "me" => Ok(Self::Me),
            None => Err(RULE),
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Room(group) => write!(f, "room/{group}"),
            Self::Lobby => f.write_str("lobby"),
            Self::Me => f.write_str("me"),
            Self::Other(topic) => topic.fmt(f),
        }
    }
}

impl Serialize for Topic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Topic {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_key_is_the_uuid_of_the_rfc() {
        // RFC 9562, appendix A.6.
        let (at, random) = (Timestamp::from_millis(0x017F_22E2_79B0), 0xCC3_u128 << 64 | 0x18C4_DC0C_0C07_398F);
        let key = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
        assert_eq!(Key::fresh(at, random).as_str(), key);
        assert_eq!(Key::fresh(at, random | !((0xFFF << 64) | ((1 << 62) - 1))).as_str(), key, "the other bits do not count");
    }

    #[test]
    fn group_names() {
        for good in ["a", "123", "general-chat_2", &"x".repeat(64)] {
            assert_eq!(good.parse::<Group>().map(|g| g.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", " ", "a b", "a/b", "ä", "a\n", "../x", &"x".repeat(65)] {
            assert!(bad.parse::<Group>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_id_of_a_message_reads_back() {
        for good in ["k3f9-41", "a-b-1", "e-0", "e-18446744073709551615"] {
            assert_eq!(good.parse::<MessageId>().map(|id| id.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "k3f9", "k3f9-", "-1", "k3f9-x", "k3f9-+1", "k3f9-18446744073709551616", "a b-1"] {
            assert!(bad.parse::<MessageId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn there_is_nothing_after_the_last_offset() {
        assert_eq!(Offset::START.next(), Offset(1));
        assert_eq!(Offset(u64::MAX).next(), Offset(u64::MAX));
    }

    #[test]
    fn topics_read_back_what_they_print() {
        for text in ["room/lobby", "lobby", "me", "series/cpu.load_1-m"] {
            assert_eq!(text.parse::<Topic>().map(|t| t.to_string()), Ok(text.to_owned()));
        }
        for bad in [
            "",
            "room",
            "room/",
            "room/a/b",
            "Rooms/a",
            "me/",
            "me/a",
            "lobby/",
            "series/",
            "series/x/y",
            "series/x y",
            "/x",
            "series",
        ] {
            assert!(bad.parse::<Topic>().is_err(), "{bad:?}");
        }
        let Ok(Topic::Other(series)) = "series/cpu".parse() else { panic!("a series") };
        assert_eq!((series.kind(), series.name()), ("series", "cpu"));
    }
}
