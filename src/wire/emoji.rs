//! What somebody may put to a message.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{InvalidName, is_blank, text::is_seen};

/// What somebody puts to a message: an emoji, or a short word. At most 32 bytes of UTF-8, without white space and control
/// characters, and something of it is seen.
///
/// Parsing is the rule for what is put now. What was put before the rule was as strict is still read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema), schema(value_type = String))]
pub struct Emoji(Arc<str>);

/// In bytes.
const LONGEST: usize = 32;

impl Emoji {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is short enough and stands in one line. It may be nothing that is seen.
    pub(super) fn any(text: &str) -> Result<Self, InvalidName> {
        let fits = (1..=LONGEST).contains(&text.len());
        if fits && !text.chars().any(|char| char.is_whitespace() || char.is_control()) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName("a reaction is an emoji or a word of 1 to 32 bytes without spaces"))
        }
    }
}

impl FromStr for Emoji {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let emoji = Self::any(text)?;
        if text.chars().any(|sign| !is_seen(sign) && !joins(sign)) {
            return Err(InvalidName("a reaction has no invisible characters but those that join an emoji"));
        }
        if is_blank(text) {
            return Err(InvalidName("a reaction is an emoji or a word of which something is seen"));
        }
        Ok(emoji)
    }
}

/// What is not seen by itself and has its place in emoji and words: joiners, selectors of a variant, and tags, of flags.
fn joins(sign: char) -> bool {
    matches!(sign, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0020}'..='\u{e007f}' | '\u{e0100}'..='\u{e01ef}')
}

impl fmt::Display for Emoji {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Emoji {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Emoji {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::any(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_reaction_is_refused() {
        for text in ["", " ", "a b", "a\n", "\u{7}", "\u{a0}", &"x".repeat(33)] {
            assert!(text.parse::<Emoji>().is_err(), "{text:?}");
            assert!(serde_json::from_value::<Emoji>(text.into()).is_err(), "{text:?}");
        }
        for text in [
            "👍",
            "👩‍👩‍👧‍👦",
            "❤️",
            "1️⃣",
            "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
            "+1",
            "好",
            "می\u{200c}خواهم",
            "e\u{301}",
        ] {
            assert!(text.parse::<Emoji>().is_ok(), "{text:?}");
        }
        assert!("x".repeat(32).parse::<Emoji>().is_ok());
    }

    #[test]
    fn what_is_not_seen_is_not_put_and_still_read() {
        for text in
            ["\u{200b}", "\u{2800}", "\u{3164}", "\u{ad}", "\u{200d}", "\u{fe0f}", "👍\u{200b}", "a\u{202e}b", "\u{e0041}"]
        {
            let refused = text.parse::<Emoji>();
            assert!(refused.is_err(), "{text:?}");
            assert_eq!(serde_json::from_value::<Emoji>(text.into()).map(|emoji| emoji.to_string()).ok().as_deref(), Some(text));
        }
    }
}
