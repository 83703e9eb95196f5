//! Patterns for the names of rooms and channels.

use std::fmt;

use super::mistakes::Invalid;
use crate::server::glob::Glob;

/// A pattern for names: `*` stands for any number of letters, `?` for exactly one, everything else for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    glob: Glob,
}

impl Pattern {
    /// `*`.
    pub fn everything() -> Self {
        Self::new("*")
    }

    fn new(text: &str) -> Self {
        Self { text: text.to_owned(), glob: Glob::new(text) }
    }

    /// A pattern for the names of rooms.
    ///
    /// # Errors
    /// If there is a letter in it that no room's name has: it could never match.
    pub fn for_rooms(text: &str) -> Result<Self, Invalid> {
        Self::of(text, b"_-*?")
            .ok_or(Invalid("a room pattern is made of A-Z a-z 0-9 _ - with * for any letters and ? for any one"))
    }

    /// A pattern for the names of channels.
    ///
    /// # Errors
    /// If there is a letter in it that no channel's name has: it could never match.
    pub fn for_channels(text: &str) -> Result<Self, Invalid> {
        Self::of(text, b"_-.!*?")
            .ok_or(Invalid("a channel pattern is made of A-Z a-z 0-9 _ - . ! with * for any letters and ? for any one"))
    }

    fn of(text: &str, besides: &[u8]) -> Option<Self> {
        let good = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || besides.contains(&b));
        good.then(|| Self::new(text))
    }

    /// Whether it matches the whole name.
    pub fn matches(&self, name: &str) -> bool {
        self.glob.matches(name.as_bytes())
    }

    /// The one name that it matches, if it has no `*` and no `?`.
    pub fn only(&self) -> Option<&str> {
        (!self.text.contains(['*', '?'])).then_some(&*self.text)
    }

    /// Whether there is no name that it does not match.
    pub fn matches_everything(&self) -> bool {
        self.text.bytes().all(|letter| letter == b'*')
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("*", "lobby", true),
            ("lobby", "lobby", true),
            ("lobby", "lobby2", false),
            ("lobby", "lobb", false),
            ("lobby?", "lobby2", true),
            ("lobby?", "lobby", false),
            ("team-*", "team-", true),
            ("team-*", "team", false),
            ("*-x-*", "a-x-x-b", true),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbXbX", false),
            ("*a", "aaab", false),
            ("?*", "", false),
            ("a**", "a", true),
        ] {
            assert_eq!(Pattern::for_rooms(pattern).map(|pattern| pattern.matches(name)), Ok(expected), "{pattern} {name}");
        }
    }
}
