//! What a text is that can be said, and what a name is that somebody can go by. The form, the sockets, the API and `confab
//! send` ask the same: [`Text`] and [`PersonName`].
//!
//! Both have at least one sign that is seen. Unicode has many that are not: spaces, controls, and those that only steer how their
//! neighbours are shown. A text keeps them, since they are part of what is said; a name keeps only those that its script or its
//! emoji need, so that two names that look the same are the same.

use std::fmt;

/// The longest name, in characters.
pub const LONGEST_NAME: usize = 40;

/// There is nothing to be seen in a text: it is empty, or all spaces and invisible signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blank;

impl fmt::Display for Blank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text is empty, or spaces and invisible signs alone")
    }
}

impl std::error::Error for Blank {}

/// Whether there is nothing to be seen in it.
pub fn is_blank(text: &str) -> bool {
    !text.contains(is_seen)
}

/// A text that can be said: something of it is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// What somebody has written. Every line ends with a line feed, whatever it ended with; other control characters than the
    /// tab are left out; and so are lines at the beginning and at the end in which nothing is seen.
    ///
    /// # Errors
    /// Nothing is seen in it.
    pub fn written(text: &str) -> Result<Self, Blank> {
        let mut signs = text.chars().peekable();
        let mut kept = String::with_capacity(text.len());
        while let Some(sign) = signs.next() {
            match sign {
                '\r' => {
                    signs.next_if_eq(&'\n');
                    kept.push('\n');
                }
                '\n' | '\t' => kept.push(sign),
                _ if sign.is_control() => {}
                _ => kept.push(sign),
            }
        }
        let (Some(first), Some(last)) = (kept.find(is_seen), kept.rfind(is_seen)) else { return Err(Blank) };
        if let Some(end) = kept[last..].find('\n') {
            kept.truncate(last + end);
        }
        if let Some(line) = kept[..first].rfind('\n') {
            kept.drain(..=line);
        }
        Ok(Self(kept))
    }

    /// Exactly this, as plain clients send and get it.
    ///
    /// # Errors
    /// Nothing is seen in it: it is given back.
    pub fn exactly(text: String) -> Result<Self, String> {
        if is_blank(&text) { Err(text) } else { Ok(Self(text)) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, for who keeps it.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// Why nobody can go by a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPersonName;

impl fmt::Display for InvalidPersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a name is 1 to {LONGEST_NAME} characters, and one of them at least is seen")
    }
}

impl std::error::Error for InvalidPersonName {}

/// What is shown of a name on one line, if anything is and it is of so many characters at most.
///
/// Left out are control characters, signs that turn the direction of what follows, and invisible ones, but for those between
/// two signs that look different with it: joiners in emoji and in the scripts that have them, and selectors of a variant. One
/// space stands for many, and none at the ends.
pub fn shown(text: &str, longest: usize) -> Option<String> {
    let mut kept = String::with_capacity(text.len());
    let (mut length, mut space) = (0, false);
    let mut rest = text;
    while let Some(sign) = rest.chars().next() {
        rest = &rest[sign.len_utf8()..];
        if sign.is_whitespace() {
            space = !kept.is_empty();
            continue;
        }
        let before = if space { None } else { kept.chars().next_back() };
        if sign.is_control() || is_ignorable(sign) && !before.is_some_and(|before| is_needed(before, sign, rest)) {
            continue;
        }
        if space {
            kept.push(' ');
            length += 1;
            space = false;
        }
        kept.push(sign);
        length += 1;
        if length > longest {
            return None;
        }
    }
    (!is_blank(&kept)).then_some(kept)
}

/// A name that somebody goes by: what is [shown](shown) of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonName(String);

impl PersonName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name, for who keeps it.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl std::str::FromStr for PersonName {
    type Err = InvalidPersonName;

    fn from_str(text: &str) -> Result<Self, InvalidPersonName> {
        shown(text, LONGEST_NAME).map(Self).ok_or(InvalidPersonName)
    }
}

impl fmt::Display for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether an invisible sign after another makes a difference to the eye.
fn is_needed(before: char, sign: char, rest: &str) -> bool {
    let next = rest.chars().next();
    match sign {
        // The zero-width joiner and its opposite.
        '\u{200C}' | '\u{200D}' => next
            .is_some_and(|next| (joins(before) && joins(next)) || (sign == '\u{200D}' && in_emoji(before) && is_picture(next))),
        // A digit is shown as a key, a sign in colours or in ink.
        '\u{FE0E}' | '\u{FE0F}' => is_picture(before) || next == Some('\u{20E3}'),
        '\u{FE00}'..='\u{FE0D}' | '\u{E0100}'..='\u{E01EF}' => is_han(before),
        '\u{180B}'..='\u{180D}' | '\u{180F}' => ('\u{1820}'..='\u{18AA}').contains(&before),
        // The flag of a country's part: a black flag, its letters, and an end.
        '\u{E0020}'..='\u{E007F}' => {
            let is_letter = |sign: char| ('\u{E0020}'..='\u{E007E}').contains(&sign);
            (before == '\u{1F3F4}' || is_letter(before))
                && (sign == '\u{E007F}' || rest.trim_start_matches(is_letter).starts_with('\u{E007F}'))
        }
        _ => false,
    }
}

/// Whether the script of a sign has joiners: Arabic and its kin, the scripts of India and South-East Asia, Mongolian.
fn joins(sign: char) -> bool {
    matches!(sign,
        '\u{0600}'..='\u{109F}' | '\u{1700}'..='\u{1CFF}' | '\u{A800}'..='\u{ABFF}' | '\u{FB50}'..='\u{FDFF}'
        | '\u{FE70}'..='\u{FEFC}' | '\u{10A00}'..='\u{11FFF}' | '\u{1E900}'..='\u{1E95F}')
        && !sign.is_whitespace()
        && !is_ignorable(sign)
}

/// Whether a sign is one of those that emoji are made of, and none of a word.
fn is_picture(sign: char) -> bool {
    sign >= '\u{A9}' && !sign.is_alphanumeric() && !sign.is_whitespace() && !is_ignorable(sign) && !joins(sign)
}

/// The same, or what may stand between two such signs and the joiner.
fn in_emoji(sign: char) -> bool {
    is_picture(sign) || sign == '\u{FE0F}'
}

fn is_han(sign: char) -> bool {
    matches!(sign,
        '\u{2E80}'..='\u{2FDF}' | '\u{3005}'..='\u{3007}' | '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{3FFFF}')
}

/// Whether a sign is seen.
pub(super) fn is_seen(sign: char) -> bool {
    // The last three are letters without ink.
    !(sign.is_whitespace() || sign.is_control() || is_ignorable(sign) || matches!(sign, '\u{2800}' | '\u{16FE4}' | '\u{1D159}'))
}

/// Whether a sign only steers how its neighbours are shown, or parts the notes between lines.
fn is_ignorable(sign: char) -> bool {
    is_default_ignorable(sign) || matches!(sign, '\u{FFF9}'..='\u{FFFB}')
}

/// Whether a sign is shown as nothing where it is not understood: Unicode's `Default_Ignorable_Code_Point`.
pub fn is_default_ignorable(sign: char) -> bool {
    matches!(sign,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}'
        | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFF8}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Option<String> {
        text.parse().ok().map(PersonName::into_string)
    }

    fn written(text: &str) -> Option<String> {
        Text::written(text).ok().map(Text::into_string)
    }

    /// Texts that look like nothing.
    const NOTHING: [&str; 14] = [
        "",
        "   ",
        "\u{7}",
        "\0",
        "\r\n\t\r\n",
        "\u{200B}",
        "\u{200B}\u{200B}",
        "\u{2800}",
        "\u{3164}",
        "\u{AD}",
        "\u{FEFF}\u{2060}",
        "\u{202E}\u{2069}",
        "\u{3000}\u{A0}\u{1160}\u{FFA0}",
        "\u{200D}\u{FE0F}\u{E0061}\u{E007F}",
    ];

    #[test]
    fn what_is_not_seen_is_no_text_and_no_name() {
        for nothing in NOTHING {
            assert!(is_blank(nothing), "{nothing:?}");
            assert_eq!((name(nothing), written(nothing)), (None, None), "{nothing:?}");
            assert_eq!(Text::exactly(nothing.to_owned()), Err(nothing.to_owned()));
        }
    }

    #[test]
    fn a_text_keeps_what_was_said() {
        for (text, kept) in [
            ("hello", "hello"),
            ("a\r\nb\rc\nd", "a\nb\nc\nd"),
            ("\r\n\r\n  indented\r\n\r\nafter a blank line \r\n \r\n", "  indented\n\nafter a blank line "),
            ("\u{200B}\n x \u{200B}\n\u{AD}", " x \u{200B}"),
            ("a\0b\u{7}\u{1B}[0m\u{85}\u{7F}", "ab[0m"),
            ("tab\there", "tab\there"),
            ("👩\u{200D}👩\u{200D}👧", "👩\u{200D}👩\u{200D}👧"),
            ("\u{202E}right to left", "\u{202E}right to left"),
        ] {
            assert_eq!(written(text).as_deref(), Some(kept), "{text:?}");
        }
        let exact = "\r\n a\0 \r";
        assert_eq!(Text::exactly(exact.to_owned()).map(Text::into_string), Ok(exact.to_owned()));
    }

    #[test]
    fn names_that_look_the_same_are_the_same() {
        for same in [
            "Ann",
            " Ann\t",
            "Ann\u{200B}",
            "\u{200B}A\u{AD}n\u{2060}n",
            "A\u{200D}nn\u{200C}",
            "\u{202E}Ann\u{202C}",
            "\u{2066}Ann\u{2069}",
            "Ann\u{FE0F}",
            "Ann\u{E0041}\u{E007F}",
            "\u{FEFF}Ann\u{3164}",
            "A\u{0}nn\u{1B}",
        ] {
            assert_eq!(name(same).as_deref(), Some("Ann"), "{same:?}");
        }
        assert_eq!(name("Ann \u{A0}\r\n B.").as_deref(), Some("Ann B."));
        assert_eq!(name("Ann \u{200B} B.").as_deref(), Some("Ann B."));
        assert_eq!(name("5\u{FE0F}").as_deref(), Some("5"));
    }

    #[test]
    fn scripts_and_emoji_keep_what_they_need() {
        for whole in [
            "Zoë",
            "王小明",
            "שלום",
            // Persian and Sinhala, with and without joining.
            "می\u{200C}خواهم",
            "ශ\u{0DCA}\u{200D}රී",
            "क\u{094D}\u{200D}ष",
            // A family, a heart, a key, a pirate, a judge, Scotland, a variant of a Han sign.
            "👩\u{200D}👩\u{200D}👧\u{200D}👦",
            "❤\u{FE0F}",
            "5\u{FE0F}\u{20E3}",
            "🏴\u{200D}☠\u{FE0F}",
            "👩🏽\u{200D}⚖\u{FE0F}",
            "🏴\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}",
            "葛\u{E0100}城",
            "🇩🇪 Ann",
            "©\u{FE0F}",
        ] {
            assert_eq!(name(whole).as_deref(), Some(whole), "{whole:?}");
        }
        assert_eq!(name("👩\u{200D}").as_deref(), Some("👩"));
        assert_eq!(name("👩\u{200D} 👩").as_deref(), Some("👩 👩"));
        assert_eq!(name("🏴\u{E0067}\u{E0062}x").as_deref(), Some("🏴x"));
    }

    #[test]
    fn a_name_is_at_most_forty_characters_that_count() {
        let longest = "x".repeat(LONGEST_NAME);
        assert_eq!(name(&format!("  {longest}\u{200B}{}", "\u{200B}".repeat(100))).as_deref(), Some(&*longest));
        assert_eq!(name(&format!("{longest}x")), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn a_name_is_its_own_name_and_shows_something(
            text in prop_oneof![any::<String>(), "[Aé王\u{1F469}\u{2764}\u{0915}\u{094D}5 \u{200B}-\u{200F}\u{202E}\u{FE0F}\u{20E3}\u{1F3F4}\u{E0067}\u{E007F}]{0,12}"]
        ) {
            if let Some(once) = name(&text) {
                prop_assert_eq!(name(&once), Some(once.clone()), "{:?}", text);
                prop_assert!(!is_blank(&once) && once.chars().count() <= LONGEST_NAME);
                prop_assert!(!once.contains(char::is_control) && once.trim() == once);
            }
        }

        #[test]
        fn a_text_that_was_written_stays_as_it_is(text in prop_oneof![any::<String>(), "[a \r\n\t\0\u{200B}\u{7F}]{0,12}"]) {
            match Text::written(&text) {
                Ok(once) => {
                    prop_assert_eq!(Text::written(once.as_str()), Ok(once.clone()));
                    prop_assert!(!once.as_str().contains(['\r', '\0']));
                }
                Err(Blank) => prop_assert!(is_blank(&text)),
            }
        }
    }
}
