//! What an account is called by where others mention it, and signs in with. Any script has its letters in it; two that are told apart by
//! their looks alone are one.

use std::{fmt, str::FromStr, sync::Arc};

use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};
use unicode_security::confusable_detection::skeleton;

use crate::{locales::accounts as say, wire::is_default_ignorable};

/// How many signs it has at most.
const LONGEST: usize = 32;

/// See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Handle(Arc<str>);

/// Why a text is no handle, ready to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidHandle;

impl fmt::Display for InvalidHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&say::handle_rule(LONGEST))
    }
}

impl std::error::Error for InvalidHandle {}

impl Handle {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which handles are compared: without case, without what is only another way to write the same, and with one sign for
    /// those that look alike.
    pub fn folded(&self) -> String {
        let once = skeleton(&without_case(&self.0)).collect::<String>();
        // A sign may stand for one that has a case, as the letter O does for the digit.
        skeleton(&without_case(&once)).collect()
    }
}

/// Letter by letter: what stands around a letter does not count, as at the end of a Greek word. Through capitals, so that ß is ss.
fn without_case(text: &str) -> String {
    text.nfkc().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfkc().collect()
}

impl FromStr for Handle {
    type Err = InvalidHandle;

    /// An @ in front is left out, and a space is a low line.
    fn from_str(text: &str) -> Result<Self, InvalidHandle> {
        let text = text.trim();
        let words: Vec<_> = text.strip_prefix('@').unwrap_or(text).split_whitespace().collect();
        // What is too long in any form is not looked at further.
        if words.iter().map(|word| word.len()).sum::<usize>() > LONGEST * 18 {
            return Err(InvalidHandle);
        }
        let handle: String = words.join("_").nfkc().collect();
        let stands_alone = |sign: char| sign.is_alphanumeric() && !is_default_ignorable(sign);
        let good = |sign: char| {
            stands_alone(sign) || is_combining_mark(sign) && !is_default_ignorable(sign) || matches!(sign, '_' | '-' | '.')
        };
        let is_good = handle.chars().next().is_some_and(stands_alone) && handle.chars().all(good);
        let is_short = handle.chars().count() <= LONGEST;
        if is_good && is_short { Ok(Self(handle.into())) } else { Err(InvalidHandle) }
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folded(text: &str) -> String {
        text.parse::<Handle>().map_or_else(|error| panic!("{text}: {error}"), |handle| handle.folded())
    }

    #[test]
    fn what_looks_the_same_is_the_same() {
        for (one, other) in [
            ("Ann", "ANN"),
            ("@ann", "ann"),
            ("Ann Smith", "ann_smith"),
            ("paypal", "p\u{430}yp\u{430}l"),
            ("Straße", "STRASSE"),
            ("ΟΔΟΣ", "οδος"),
            ("é", "e\u{301}"),
            ("ﬁn", "fin"),
            ("bob0", "bobo"),
            ("bill", "bi11"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        for (one, other) in [("ann", "anna"), ("王", "玉"), ("müller", "muller")] {
            assert_ne!(folded(one), folded(other), "{one} {other}");
        }
    }

    #[test]
    fn a_handle_has_letters_of_any_script_and_nothing_that_is_not_seen() {
        for good in ["a", "王小明", "Ann-Marie", "o.k", "josé", "नमस्ते", &"x".repeat(32)] {
            assert!(good.parse::<Handle>().is_ok(), "{good}");
        }
        for bad in ["", " ", "@", "_a", "a/b", "a@b", "\u{202E}ann", "a\u{200B}b", "a\0b", "\u{301}a", "👍", &"x".repeat(33)]
        {
            assert!(bad.parse::<Handle>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn the_folded_form_is_its_own(text in any::<String>()) {
            if let Ok(handle) = text.parse::<Handle>() {
                prop_assert_eq!(handle.as_str().parse::<Handle>(), Ok(handle.clone()));
                let folded = handle.folded();
                prop_assert!(!folded.is_empty());
                prop_assert_eq!(Handle(folded.as_str().into()).folded(), folded);
            }
        }
    }
}
