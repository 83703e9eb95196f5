//! What is never printed.

use std::{fmt, str::FromStr};

use super::mistakes::Invalid;

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text, for who needs it: not to be printed.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() { Err(Invalid("at least one letter is needed")) } else { Ok(Self(text.to_owned())) }
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// A text that may be an address, right or wrong, without what may be a password in it: everything before the last `@` but
/// the scheme and the user, and the value of an option with `pass` in its name.
pub(super) fn masked(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (&text[..scheme.len() + 3], rest));
    let (user, address) = match rest.rsplit_once('@') {
        // Without a colon the one word may well be the password.
        Some((user, address)) => (user.split_once(':').map_or("***@".to_owned(), |(user, _)| format!("{user}:***@")), address),
        None => (String::new(), rest),
    };
    let Some((address, options)) = address.split_once('?') else { return format!("{scheme}{user}{address}") };
    let option = |option: &str| match option.split_once('=') {
        Some((name, _)) if name.to_ascii_lowercase().contains("pass") => format!("{name}=***"),
        _ => option.to_owned(),
    };
    format!("{scheme}{user}{address}?{}", options.split('&').map(option).collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_masked() {
        for (text, shown) in [
            ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
            ("redis://:pw@h:1/0", "redis://:***@h:1/0"),
            ("redis://me:p@w@h", "redis://me:***@h"),
            ("redis://me:p/w@h/0", "redis://me:***@h/0"),
            ("redis://me:p?w@h", "redis://me:***@h"),
            ("redis://pw@h", "redis://***@h"),
            ("me:pw@h", "me:***@h"),
            ("postgres://h/db?user=me&password=pw&sslmode=on", "postgres://h/db?user=me&password=***&sslmode=on"),
            ("lobby", "lobby"),
        ] {
            assert_eq!(masked(text), shown);
        }
    }
}
