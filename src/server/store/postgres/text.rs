//! Texts in a database whose text type cannot hold U+0000.
//!
//! U+0001 followed by `a` stands for U+0000 and followed by `b` for itself. So texts stay readable and searchable, any of them
//! comes back as it was, and hardly one is changed at all.

use std::borrow::Cow;

/// As it is stored.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    if text.contains(['\0', '\u{1}']) { text.replace('\u{1}', "\u{1}b").replace('\0', "\u{1}a").into() } else { text.into() }
}

/// As it was.
pub(super) fn unescape(text: String) -> String {
    if text.contains('\u{1}') { text.replace("\u{1}a", "\0").replace("\u{1}b", "\u{1}") } else { text }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_comes_back_as_it_was(text in "[\u{0}\u{1}\u{2}ab]{0,12}", any in ".*") {
            for text in [text, any] {
                let stored = escape(&text);
                prop_assert!(!stored.contains('\0'));
                prop_assert_eq!(unescape(stored.into_owned()), text);
            }
        }
    }

    #[test]
    fn other_texts_are_stored_as_they_are() {
        assert!(matches!(escape("a\nb"), Cow::Borrowed("a\nb")));
    }
}
