//! What is wrong with the settings, and where.

use std::{fmt, sync::Arc};

use strsim::levenshtein;

/// Why a text was refused: what is needed instead, to be read after `cannot be "...": `.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub &'static str);

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file that could not be read at all.
    File(Arc<str>),
    /// A line of a file, from 1.
    Line(Arc<str>, usize),
    /// An environment variable.
    Variable(Arc<str>),
    /// A flag of the command line, with its dashes.
    Flag(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(name) | Self::Variable(name) => f.write_str(&printable(name)),
            Self::Line(name, line) => write!(f, "{}:{line}", printable(name)),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

impl Place {
    /// The line of the byte at `offset` in a file's content.
    pub(super) fn in_file(name: &Arc<str>, content: &[u8], offset: usize) -> Self {
        let before = content.get(..offset).unwrap_or(content);
        Self::Line(Arc::clone(name), before.split(|byte| *byte == b'\n').count())
    }
}

/// A message or a comment is one line, whatever stands in it.
pub(super) fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// One mistake. Printed, it reads `Leptos.toml:14: limits.message_byte is not a setting; did you mean limits.message_bytes?`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub place: Place,
    /// The key, what is wrong with it and what would be right. Never holds a secret.
    pub says: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.says)
    }
}

/// All mistakes that were found, one a line when printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// Takes what is right out of a result and keeps what is wrong.
    pub fn keep<T>(&mut self, result: Result<T, Self>) -> Option<T> {
        result.map_err(|more| self.add(more)).ok()
    }

    /// Adds more of them.
    pub fn add(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// `value`, if there was no mistake.
    ///
    /// # Errors
    /// The mistakes.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl From<Mistake> for Mistakes {
    fn from(mistake: Mistake) -> Self {
        Self(vec![mistake])
    }
}

impl FromIterator<Mistake> for Mistakes {
    fn from_iter<I: IntoIterator<Item = Mistake>>(mistakes: I) -> Self {
        Self(mistakes.into_iter().collect())
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, mistake) in self.0.iter().enumerate() {
            write!(f, "{}{mistake}", if at == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// The known name that was most likely meant: one that ends in the same part (`listen` for `server.listen`), or the nearest
/// by edit distance if no more differs than a third of that part.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let last = |path: &str| path.rsplit_once('.').map_or(path, |(_, last)| last).to_owned();
    let wanted = last(name);
    let most = (wanted.chars().count() / 3).max(1);
    let section = |known: &str| name.strip_prefix(known).is_some_and(|rest| rest.starts_with('.'));
    known
        .filter(|known| !section(known))
        .map(|known| (if last(known) == wanted { 0 } else { levenshtein(name, known) }, known))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_names_are_not_suggested() {
        let known = ["server.listen", "limits"];
        assert_eq!(nearest("server.lisen", known.into_iter()), Some("server.listen"));
        assert_eq!(nearest("listen", known.into_iter()), Some("server.listen"));
        assert_eq!(nearest("limit", known.into_iter()), Some("limits"));
        assert_eq!(nearest("limits.a", known.into_iter()), None, "the section that it stands in");
        assert_eq!(nearest("colour", known.into_iter()), None);
    }
}
