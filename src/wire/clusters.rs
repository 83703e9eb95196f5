//! Where a text may be cut: between what people take for characters, the grapheme clusters of UAX 29. A flag, a family or a
//! letter with its accents are several code points each.
//!
//! The tables for this are large, so the server has them and the browser asks its own (`Intl.Segmenter`). What neither has is
//! cut between code points.

/// What people take for the first character of a text.
pub fn first_cluster(text: &str) -> &str {
    let sign = text.chars().next().map_or(0, char::len_utf8);
    if text.chars().take(2).all(is_plain) {
        return &text[..sign];
    }
    let end = imp::first(text).filter(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(sign)]
}

/// The beginning of a text, of at most so many code points, and whole clusters of them; none where that is all of it.
pub fn cut(text: &str, most: usize) -> Option<&str> {
    let (at, sign) = text.char_indices().nth(most)?;
    if is_plain(sign) && text[..at].chars().next_back().is_none_or(is_plain) {
        return Some(&text[..at]);
    }
    // One cluster may be longer than all that is wanted.
    let start = imp::start(text, at).filter(|start| *start > 0 && *start <= at && text.is_char_boundary(*start));
    Some(&text[..start.unwrap_or(at)])
}

/// One of the many signs of which two are always two characters: letters of Latin, Cyrillic and Japanese, Chinese characters, and what else is
/// in ASCII. Of these nobody is asked, since a browser that is asked for the first time takes long to answer.
fn is_plain(sign: char) -> bool {
    matches!(
        sign,
        ' '..='~' | 'À'..='ɏ' | 'Ѐ'..='ҁ' | '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
    )
}

#[cfg(feature = "ssr")]
mod imp {
    use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation as _};

    /// Where the first cluster ends.
    pub(super) fn first(text: &str) -> Option<usize> {
        text.graphemes(true).next().map(str::len)
    }

    /// Where the cluster begins in which a code point stands.
    pub(super) fn start(text: &str, at: usize) -> Option<usize> {
        let mut cursor = GraphemeCursor::new(at, text.len(), true);
        // The whole text is there, so nothing is asked for.
        match cursor.is_boundary(text, 0) {
            Ok(false) => cursor.prev_boundary(text, 0).ok().flatten(),
            _ => Some(at),
        }
    }
}

#[cfg(all(feature = "hydrate", target_arch = "wasm32", not(feature = "ssr")))]
mod imp {
    use js_sys::{
        Array,
        Intl::{SegmentData, Segmenter},
        Object, Reflect,
    };

    /// How much of a text is given to the browser beyond the place that matters, in bytes.
    const BEYOND: usize = 256;

    pub(super) fn first(text: &str) -> Option<usize> {
        let cluster = String::from(cluster(&text[..text.floor_char_boundary(BEYOND)], 0)?.segment());
        Some(cluster.len())
    }

    pub(super) fn start(text: &str, at: usize) -> Option<usize> {
        let units = |text: &str| text.encode_utf16().count();
        let cluster = cluster(&text[..text.floor_char_boundary(at + BEYOND)], units(&text[..at]))?;
        // The browser counts in units of UTF-16.
        let mut left = usize::try_from(cluster.index()).ok()?;
        let place = text.char_indices().find(|(_, sign)| {
            let found = left == 0;
            left = left.saturating_sub(sign.len_utf16());
            found
        });
        place.map(|(place, _)| place)
    }

    /// The cluster in which the unit stands; none where the browser is too old to tell.
    fn cluster(text: &str, unit: usize) -> Option<SegmentData> {
        let intl = Reflect::get(&js_sys::global(), &"Intl".into()).ok()?;
        if !Reflect::has(&intl, &"Segmenter".into()).ok()? {
            return None;
        }
        Segmenter::new(&Array::new(), &Object::new()).segment(text).containing(u32::try_from(unit).ok()?)
    }
}

#[cfg(not(any(feature = "ssr", all(feature = "hydrate", target_arch = "wasm32"))))]
mod imp {
    pub(super) fn first(_: &str) -> Option<usize> {
        None
    }

    pub(super) fn start(_: &str, _: usize) -> Option<usize> {
        None
    }
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;

    /// One character each, to people.
    const WHOLE: [&str; 11] = [
        "a",
        "王",
        "か\u{3099}",
        "é",
        "e\u{301}",
        "🇩🇪",
        "👩‍👩‍👧‍👦",
        "👍🏽",
        "\u{1112}\u{1161}\u{11AB}",
        "🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}",
        "क्ष",
    ];

    #[test]
    fn two_plain_signs_are_two_characters() {
        for sign in ('\0'..=char::MAX).filter(|sign| is_plain(*sign)) {
            for other in ['a', sign, '王'] {
                assert_eq!(imp::first(&format!("{sign}{other}")), Some(sign.len_utf8()), "{sign:?} {other}");
                assert_eq!(imp::first(&format!("{other}{sign}")), Some(other.len_utf8()), "{other} {sign:?}");
            }
        }
    }

    #[test]
    fn the_first_character_is_whole() {
        for whole in WHOLE {
            for rest in ["", "x", " x", "王", "🇫🇷"] {
                assert_eq!(first_cluster(&format!("{whole}{rest}")), whole);
            }
        }
        assert_eq!(first_cluster(""), "");
    }

    #[test]
    fn a_text_is_cut_between_characters_and_never_longer_than_wanted() {
        for whole in WHOLE {
            let text = format!("ab{whole}cd");
            let count = whole.chars().count();
            for most in 0..=count + 4 {
                let expected = match most {
                    0..=2 => Some("ab".get(..most).expect("ASCII").to_owned()),
                    _ if most < count + 2 => Some("ab".to_owned()),
                    _ if most == count + 2 => Some(format!("ab{whole}")),
                    _ if most == count + 3 => Some(format!("ab{whole}c")),
                    _ => None,
                };
                assert_eq!(cut(&text, most).map(str::to_owned), expected, "{text} {most}");
            }
        }
        // One that has no end.
        let endless = format!("a{}", "\u{301}".repeat(1_000));
        assert_eq!(cut(&endless, 10).map(|text| text.chars().count()), Some(10));
    }
}
