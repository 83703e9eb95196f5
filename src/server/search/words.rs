//! What a text is found by: its terms, the same for every store and for what is searched for.
//!
//! ```text
//!   text ──► grapheme clusters ──► composed (NFKC) ──┬─ of a script with spaces: lower case, no accents; a run of them is a word
//!                                                    └─ of one without, or a pictograph: a sign, a token by itself
//! ```
//!
//! Chinese, Japanese and Thai are written without spaces, and Korean hangs endings on its words. So each of their signs is a term, and
//! so are two that stand together: whoever looks for a run of signs looks for its pairs, and then sees whether they are one run.
//!
//! What nobody sees inside a word, such as the places where it may be parted at the end of a line, is no part of it and does not part it.

use std::{collections::BTreeSet, ops::Range};

use unicode_normalization::{
    UnicodeNormalization as _,
    char::{canonical_combining_class, is_combining_mark},
};
use unicode_script::{Script, UnicodeScript as _};
use unicode_segmentation::UnicodeSegmentation as _;

use crate::wire::is_default_ignorable;

/// How much of a message is searched, in bytes from its beginning.
const SEARCHED_BYTES: usize = 64 << 10;
/// A longer word counts up to here, in bytes.
const LONGEST_WORD: usize = 64;
/// The combining class of marks that make two letters one, as in Hindi. Marks of other classes stand over or under a letter.
const VIRAMA: u8 = 9;

/// A piece of a text that is found as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// In the form in which it is compared.
    pub(super) term: String,
    /// Where it stands in the text, in bytes.
    pub(super) range: Range<usize>,
    /// One sign of a script without spaces, or a pictograph; else a word.
    pub(super) sign: bool,
    /// Both it and the token before are signs, with nothing between them.
    pub(super) joined: bool,
}

/// The part of a message that is searched.
pub(in crate::server) fn searched(text: &str) -> &str {
    &text[..text.floor_char_boundary(SEARCHED_BYTES)]
}

/// A token while it is read.
#[derive(Clone, Debug)]
pub(super) struct Seen<'t> {
    /// In the form in which it is compared.
    pub(super) term: &'t str,
    /// The rest is as in a [`Token`].
    pub(super) range: Range<usize>,
    pub(super) sign: bool,
    pub(super) joined: bool,
}

/// The tokens of a text in their order.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    read(text, |Seen { term, range, sign, joined }| tokens.push(Token { term: term.to_owned(), range, sign, joined }));
    tokens
}

/// Reads the tokens of a text in their order.
pub(super) fn read(text: &str, see: impl FnMut(Seen<'_>)) {
    let mut reading = Reading { see, word: String::new(), range: 0..0, after_sign: false };
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        // Most of what is written, in a shorter way. The last letter before another sign may be one with it.
        let plain = bytes[at..].iter().take_while(|byte| byte.is_ascii()).count();
        let end = if at + plain < bytes.len() { at + plain.saturating_sub(1) } else { bytes.len() };
        for (place, byte) in (at..end).zip(&bytes[at..end]) {
            if byte.is_ascii_alphanumeric() {
                reading.letter(char::from(byte.to_ascii_lowercase()), &(place..place + 1));
            } else {
                reading.gap();
            }
        }
        at = end;
        let mut other = bytes[at..].iter().skip(1).take_while(|byte| !byte.is_ascii()).count();
        other += usize::from(at < bytes.len());
        for (place, cluster) in text[at..at + other].grapheme_indices(true) {
            reading.cluster(cluster, &(at + place..at + place + cluster.len()));
        }
        at += other;
    }
    reading.gap();
}

/// The terms under which a message is kept in an index, each once.
pub(in crate::server) fn terms(text: &str) -> BTreeSet<String> {
    let tokens = tokens(searched(text));
    let pairs = tokens.windows(2).filter(|pair| pair[1].joined).map(|pair| pair[0].term.clone() + &pair[1].term);
    let mut terms: BTreeSet<String> = pairs.collect();
    terms.extend(tokens.into_iter().map(|token| token.term));
    terms
}

/// Tokens that are found one letter after the other.
struct Reading<S> {
    see: S,
    /// The word that is being read, if it is not empty, and where it stands.
    word: String,
    range: Range<usize>,
    /// A sign came last.
    after_sign: bool,
}

impl<S: FnMut(Seen<'_>)> Reading<S> {
    /// What is no part of any token.
    fn gap(&mut self) {
        self.end_word();
        self.after_sign = false;
    }

    fn end_word(&mut self) {
        if !self.word.is_empty() {
            let term = &self.word[..self.word.floor_char_boundary(LONGEST_WORD)];
            (self.see)(Seen { term, range: self.range.clone(), sign: false, joined: false });
            self.word.clear();
        }
    }

    /// A letter as it is compared, of the cluster that stands there.
    fn letter(&mut self, letter: char, range: &Range<usize>) {
        self.after_sign = false;
        if self.word.is_empty() {
            self.range.start = range.start;
        }
        self.word.push(letter);
        self.range.end = range.end;
    }

    /// One grapheme cluster.
    fn cluster(&mut self, cluster: &str, range: &Range<usize>) {
        if cluster.chars().all(is_ignorable) {
            return;
        }
        let composed: String = cluster.nfkc().collect();
        for piece in composed.graphemes(true) {
            self.piece(piece, range);
        }
    }

    /// One composed grapheme cluster.
    fn piece(&mut self, piece: &str, range: &Range<usize>) {
        if piece.contains(is_pictograph) {
            return self.sign(&piece.chars().filter(|c| is_pictograph(*c)).collect::<String>(), range);
        }
        if !piece.contains(is_alphanumeric) {
            return self.gap();
        }
        if piece.contains(has_no_spaces) {
            // What only chooses between two looks of the same sign is left out.
            let kept = |c: &char| is_alphanumeric(*c) || canonical_combining_class(*c) != 0;
            return self.sign(&piece.chars().filter(kept).collect::<String>(), range);
        }
        for letter in piece.chars().flat_map(char::to_lowercase).nfkd().filter(|c| is_letter(*c)) {
            // At the end of a Greek word it looks different.
            self.letter(if letter == 'ς' { 'σ' } else { letter }, range);
        }
    }

    fn sign(&mut self, term: &str, range: &Range<usize>) {
        self.end_word();
        let joined = self.after_sign;
        self.after_sign = true;
        (self.see)(Seen { term, range: range.clone(), sign: true, joined });
    }
}

/// A letter or a digit that is seen: Unicode has letters that only fill a place.
fn is_alphanumeric(c: char) -> bool {
    c.is_alphanumeric() && !is_ignorable(c)
}

/// Whether it is compared: an accent is not.
fn is_letter(c: char) -> bool {
    match canonical_combining_class(c) {
        0 => is_alphanumeric(c),
        class => class == VIRAMA && is_combining_mark(c),
    }
}

/// Of a script that is written without spaces, or in which a word has too many forms to be compared as one.
fn has_no_spaces(c: char) -> bool {
    use Script::{
        Balinese, Bopomofo, Han, Hangul, Hiragana, Javanese, Katakana, Khmer, Lao, Myanmar, New_Tai_Lue, Tai_Le, Tai_Tham,
        Tai_Viet, Thai, Tibetan, Yi,
    };
    const SCRIPTS: [Script; 17] = [
        Han,
        Hiragana,
        Katakana,
        Hangul,
        Bopomofo,
        Thai,
        Lao,
        Khmer,
        Myanmar,
        Tibetan,
        Yi,
        Tai_Le,
        Tai_Tham,
        Tai_Viet,
        New_Tai_Lue,
        Javanese,
        Balinese,
    ];
    // The mark that makes a vowel long belongs to two scripts.
    !c.is_ascii() && SCRIPTS.iter().any(|script| c.script() == *script || (c == 'ー' && *script == Katakana))
}

/// Whether nobody sees it; the space of no width is not one of these, since it parts words where it stands.
fn is_ignorable(c: char) -> bool {
    c != '\u{200b}' && is_default_ignorable(c)
}

/// An emoji or the like. The colour of a skin is not told apart.
fn is_pictograph(c: char) -> bool {
    matches!(c, '\u{2600}'..='\u{27bf}' | '\u{1f1e6}'..='\u{1f1ff}' | '\u{1f300}'..='\u{1f3fa}' | '\u{1f400}'..='\u{1faff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tokens with a `+` where one is joined to the one before.
    fn shown(text: &str) -> String {
        let token = |token: &Token| format!("{}{}", if token.joined { "+" } else { " " }, token.term);
        tokens(text).iter().map(token).collect::<String>().trim_start().to_owned()
    }

    #[test]
    fn words_and_signs() {
        for (text, expected) in [
            ("", ""),
            (" \t\r\n.,;!?-_/\\'\"\u{0}", ""),
            ("Hello, World!", "hello world"),
            ("can't stop-me foo_bar v1.2.3", "can t stop me foo bar v1 2 3"),
            ("https://example.org/a?b=1", "https example org a b 1"),
            // Case and accents, composed or not.
            ("Café CAFE\u{301} naïve Ångström", "cafe cafe naive angstrom"),
            ("ΟΔΟΣ οδός", "οδοσ οδοσ"),
            ("Ёлка Й İstanbul", "елка и istanbul"),
            ("straße ﬁne ½ ²", "straße fine 1 2 2"),
            ("Ｆｕｌｌ ｗｉｄｔｈ", "full width"),
            ("שָׁלוֹם مَرْحَبًا", "שלום مرحبا"),
            // A vowel of Hindi is no accent.
            ("हिन्दी कि का", "हिन्दी कि का"),
            // Scripts without spaces.
            ("我", "我"),
            ("中文字", "中+文+字"),
            ("中，文 字", "中 文 字"),
            ("用Rust写的3个", "用 rust 写+的 3 个"),
            ("カタカナ ｶﾞ ガ か\u{3099} コーヒー", "カ+タ+カ+ナ ガ ガ が コ+ー+ヒ+ー"),
            ("한국어 \u{1112}\u{1161}\u{11ab}", "한+국+어 한"),
            ("ที่นี่", "ที่+นี่"),
            ("葛\u{e0100}城", "葛+城"),
            ("㍿", "株+式+会+社"),
            // Pictographs.
            ("🎉🎉 ok👍🏽👍", "🎉+🎉 ok 👍+👍"),
            ("👩‍👩‍👧 🇩🇪 ❤️", "👩👩👧 🇩🇪 ❤"),
            // What nobody sees does not part a word, but for the space of no width.
            ("Ge\u{ad}samt\u{ad}kon\u{2060}zept\u{feff} a\u{200e}b", "gesamtkonzept ab"),
            ("می\u{200c}خواهم \u{ad} \u{3164}", "میخواهم"),
            ("中\u{2060}文\u{200b}字", "中+文 字"),
            ("zero\u{200b}width", "zero width"),
            ("e\u{34f}\u{301}x 가\u{3164}나", "ex 가+나"),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_token_says_where_it_stands() {
        let text = "Zoë, 中文 ﬁn👍🏽";
        let places: Vec<_> = tokens(text).into_iter().map(|token| &text[token.range]).collect();
        assert_eq!(places, ["Zoë", "中", "文", "ﬁn", "👍🏽"]);
    }

    #[test]
    fn signs_are_terms_alone_and_in_pairs() {
        let expected = ["中", "中文", "字", "文", "文字", "ok"];
        assert_eq!(terms("OK 中文字 ok"), expected.map(str::to_owned).into());
        assert_eq!(terms("中 文"), ["中", "文"].map(str::to_owned).into());
    }

    #[test]
    fn what_is_very_long_counts_up_to_a_bound() {
        let long = "ä".repeat(100);
        assert_eq!(shown(&long), "a".repeat(LONGEST_WORD));
        assert_eq!(shown(&"я".repeat(100)), "я".repeat(LONGEST_WORD / 2));
        assert_eq!(shown(&"𐐨".repeat(100)).len(), LONGEST_WORD);
        let message = format!("{}end", "x ".repeat(SEARCHED_BYTES / 2));
        assert_eq!(terms(&message), ["x".to_owned()].into());
        assert_eq!(searched(&"中".repeat(SEARCHED_BYTES)).len(), SEARCHED_BYTES / 3 * 3);
    }
}
