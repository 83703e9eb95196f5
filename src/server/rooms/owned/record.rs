//! What is known of a room that somebody owns, and of the people in it.

use std::{fmt, str::FromStr};

use crate::{
    server::store::{FromValue, Value},
    wire::{Group, InvalidName, Person, Timestamp, shown},
};

/// Makes an enum that is written as words, in tables, forms and on the wire.
macro_rules! words {
    ($(#[$of:meta])* $name:ident, $rule:literal { $($(#[$about:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$of])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$about])* $variant),+
        }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::ALL.iter().copied().find(|one| one.as_str() == text).ok_or(InvalidName($rule))
            }
        }

        impl From<$name> for Value {
            fn from(one: $name) -> Self {
                one.as_str().into()
            }
        }

        impl FromValue for $name {
            fn from_value(value: &Value) -> Option<Self> {
                String::from_value(value)?.parse().ok()
            }
        }
    };
}

words! {
    /// For whom a room is.
    RoomKind, "a room is open, closed or direct" {
        /// For everybody with an account, and for guests where the rule of the settings says so.
        Open = "open",
        /// For those who were invited.
        Closed = "closed",
        /// For two to eight people, and always the same.
        Direct = "direct",
    }
}

words! {
    /// Who of those who read a room may say something in it.
    Posting, "those who may post are everybody, members or moderators" {
        Everybody = "everybody",
        Members = "members",
        Moderators = "moderators",
    }
}

words! {
    /// What somebody is in a room.
    Role, "a role is owner, moderator, member or read_only" {
        Owner = "owner",
        Moderator = "moderator",
        Member = "member",
        ReadOnly = "read_only",
    }
}

/// A text of a room that is one line, of so many characters at most, and none of those that turn the line around.
fn line(text: &str, most: usize, rule: InvalidName) -> Result<String, InvalidName> {
    let text = text.trim();
    let is_bad = |sign: char| sign.is_control() || matches!(sign, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.chars().count() > most || text.chars().any(is_bad) { Err(rule) } else { Ok(text.to_owned()) }
}

/// What a room is called; any text, on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Title(String);

/// What a room is about; any text, on one line, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topic(String);

impl Title {
    /// In characters.
    pub const LONGEST: usize = 80;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Topic {
    /// In characters.
    pub const LONGEST: usize = 250;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Title {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        const RULE: InvalidName = InvalidName("a title is 1 to 80 characters on one line, of which one is seen");
        let title = line(text, Self::LONGEST, RULE)?;
        // As in names: two that look the same are the same.
        shown(&title, Self::LONGEST).map(Self).ok_or(RULE)
    }
}

impl FromStr for Topic {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        line(text, Self::LONGEST, InvalidName("what a room is about is at most 250 characters on one line")).map(Self)
    }
}

/// What the rules have to know of a room; every node has it of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brief {
    pub kind: RoomKind,
    pub posting: Posting,
    pub is_archived: bool,
    /// Nobody enters any more, and nobody makes another of this name.
    pub is_deleted: bool,
    /// The number of the change that made it so.
    pub changed: i64,
}

/// A room that somebody owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub group: Group,
    pub title: String,
    pub topic: String,
    pub brief: Brief,
}

/// How somebody stands in a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// None for who is no member.
    pub role: Option<Role>,
    pub muted: Option<Timestamp>,
    pub is_banned: bool,
}

impl Standing {
    /// With what another site has made them, who are no member here and not kept out.
    #[must_use]
    pub fn or(self, granted: Option<Role>) -> Self {
        Self { role: self.role.or(granted.filter(|_| !self.is_banned)), ..self }
    }
}

/// Somebody in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub person: Person,
    pub role: Role,
    pub muted: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_seen_and_on_one_line() {
        for good in ["a", " Team ✨ ", &"ä".repeat(80)] {
            assert_eq!(good.parse::<Title>().map(|title| title.0), Ok(good.trim().to_owned()));
        }
        for bad in ["", "  ", "\u{200b}", "two\nlines", "\u{202e}txet", &"a".repeat(81)] {
            assert!(bad.parse::<Title>().is_err(), "{bad:?}");
        }
        for alike in ["Te\u{200b}am", "\u{feff}Team", "Team\u{2060}", "Te\u{ad}am", "T\u{fe0f}eam"] {
            assert_eq!(alike.parse::<Title>().map(|title| title.0), Ok("Team".to_owned()), "{alike:?} looks like it");
        }
        assert_eq!("👩\u{200d}💻".parse::<Title>().map(|title| title.0), Ok("👩\u{200d}💻".to_owned()), "that is one sign");
        assert!("".parse::<Topic>().is_ok() && "a\u{7}".parse::<Topic>().is_err() && "a".repeat(251).parse::<Topic>().is_err());
    }

    #[test]
    fn words_read_back() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(*role));
        }
        assert!("Owner".parse::<Role>().is_err());
    }
}
