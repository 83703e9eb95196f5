//! What is searched for, and where it stands in a message.
//!
//! Any text is a query. It has parts, and a message is found that has them all: a word, a run of signs such as 中文, or what stands
//! in quotation marks, whose words stand one after the other in the message. The last word may be the beginning of one.
//!
//! An index finds what has the [terms](Need) of a query. Whether a message has its parts, how well and where, is found out here from
//! the message's text, so that every store finds the same and ranks it alike.

use std::ops::Range;

use thiserror::Error;

use super::words::{Seen, Token, read, searched, tokens};
use crate::wire::Segment;

/// The longest query, in characters.
pub const LONGEST_QUERY: usize = 256;
/// A beginning of a word has at least so many letters: most words begin with one of a few letters.
const SHORTEST_BEGINNING: usize = 3;
/// About how many bytes of text stand around a match,
const AROUND: usize = 240;
/// and how many of them before it.
const BEFORE: usize = 60;
/// So many places are noted of a message: more than a snippet shows.
const MOST_PLACES: usize = 256;
/// How soon a further mention of the same counts for less, and how many tokens a message of usual length has: `k1`, `b` and the
/// average length of BM25.
const SATURATION: f64 = 1.2;
const LENGTH_COUNTS: f64 = 0.75;
const USUAL_LENGTH: f64 = 20.0;

/// A query is too long; holds the longest that there may be, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a query has at most {0} characters")]
pub struct QueryTooLong(pub usize);

/// What somebody searches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    parts: Vec<Part>,
}

/// Tokens that stand one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    /// At least one.
    steps: Vec<Step>,
    /// The last word, which is the only one, may be the beginning of a longer one.
    open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    term: String,
    sign: bool,
    joined: bool,
}

/// A term that an index must have for a message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::server) enum Need {
    Term(String),
    /// Any that begins with this.
    Beginning(String),
}

/// Where a message has what was searched for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Match {
    /// The more, the better. The same for the same text and query.
    pub(super) score: f64,
    /// In bytes, in their order, apart from each other.
    places: Vec<Range<usize>>,
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// It is longer than [`LONGEST_QUERY`].
    pub fn parse(text: &str) -> Result<Self, QueryTooLong> {
        if text.chars().nth(LONGEST_QUERY).is_some() {
            return Err(QueryTooLong(LONGEST_QUERY));
        }
        let pieces: Vec<&str> = text.split(['"', '“', '”', '„']).collect();
        let mut parts: Vec<Part> = Vec::new();
        for (number, piece) in pieces.iter().enumerate() {
            // What a mark opens and none closes is no phrase.
            let quoted = number % 2 == 1 && number + 1 < pieces.len();
            let mut last_is_open = number + 1 == pieces.len();
            for steps in runs(tokens(piece), quoted).into_iter().rev() {
                let open = last_is_open && steps[0].is_beginning();
                last_is_open = false;
                parts.push(Part { steps, open });
            }
        }
        parts.sort_by(|one, other| one.steps.iter().map(|step| &step.term).cmp(other.steps.iter().map(|step| &step.term)));
        // A word and the same as a beginning are two things, of which the word is the narrower.
        parts.sort_by_key(|part| part.open);
        parts.dedup();
        Ok(Self { parts })
    }

    /// Whether there is nothing to search for: then nothing is found.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The terms that a message has in an index if it is to be found.
    pub(in crate::server) fn needs(&self) -> Vec<Need> {
        let mut needs: Vec<Need> = self.parts.iter().flat_map(Part::needs).collect();
        needs.sort();
        needs.dedup();
        needs
    }
}

/// A query, made ready to be looked for in many messages: its terms are numbered, so that a token is compared with all of them once.
#[derive(Debug)]
pub(super) struct Finder {
    /// In their order, which is that of their numbers.
    terms: Vec<String>,
    /// The word that may be the beginning of one, with its part, which is the last.
    open: Option<(String, usize)>,
    /// Each part that is not open, as the numbers of its terms and whether each stands right after the one before.
    parts: Vec<Vec<(u32, bool)>>,
    /// The parts that begin with a term.
    by_first: Vec<Vec<usize>>,
}

/// A token of a message.
struct Mark {
    /// The number of its term, or [`OTHER`].
    term: u32,
    joined: bool,
    range: Range<usize>,
}

/// A term that is not looked for.
const OTHER: u32 = u32::MAX;

/// What it takes to look through a message: bytes that were read, and tokens that were compared.
pub(super) type Work = usize;

impl Finder {
    pub(super) fn new(query: &Query) -> Self {
        let whole = || query.parts.iter().filter(|part| !part.open);
        let mut terms: Vec<String> = whole().flat_map(|part| &part.steps).map(|step| step.term.clone()).collect();
        terms.sort();
        terms.dedup();
        // Every term of a part that is not open is among them, and there are no more of them than characters in a query.
        let number =
            |term: &String| terms.binary_search(term).ok().and_then(|number| u32::try_from(number).ok()).unwrap_or(OTHER);
        let parts: Vec<Vec<_>> =
            whole().map(|part| part.steps.iter().map(|step| (number(&step.term), step.joined)).collect()).collect();
        let mut by_first = vec![Vec::new(); terms.len()];
        for (part, steps) in parts.iter().enumerate() {
            by_first[steps[0].0 as usize].push(part);
        }
        let open = query.parts.iter().find(|part| part.open).map(|part| (part.steps[0].term.clone(), parts.len()));
        Self { terms, open, parts, by_first }
    }

    /// Where a message has all parts, none where one of them is missing; and what it took.
    pub(super) fn find(&self, text: &str) -> (Option<Match>, Work) {
        let text = searched(text);
        let mut counts = vec![0.0; self.parts.len() + usize::from(self.open.is_some())];
        let mut marks: Vec<Mark> = Vec::new();
        let mut begun: Vec<Range<usize>> = Vec::new();
        read(text, |Seen { term, range, sign, joined }| {
            if let Some((open, part)) = &self.open
                && !sign
                && term.starts_with(&**open)
            {
                counts[*part] += if term == open { 1.0 } else { 0.5 };
                note(&mut begun, range.clone());
            }
            let term = self.terms.binary_search_by(|known| known.as_str().cmp(term));
            let term = term.ok().and_then(|number| u32::try_from(number).ok()).unwrap_or(OTHER);
            marks.push(Mark { term, joined, range });
        });
        let (mut places, mut work) = (Vec::new(), text.len());
        for (at, mark) in marks.iter().enumerate().filter(|(_, mark)| mark.term != OTHER) {
            for part in &self.by_first[mark.term as usize] {
                let steps = &self.parts[*part];
                let Some(here) = marks.get(at..at + steps.len()) else { continue };
                let follows = |((term, joined), mark): &(&(u32, bool), &Mark)| *term == mark.term && (!joined || mark.joined);
                let same = 1 + steps.iter().zip(here).skip(1).take_while(follows).count();
                work += same;
                if same == steps.len() {
                    counts[*part] += 1.0;
                    note(&mut places, mark.range.start..here[same - 1].range.end);
                }
            }
        }
        if counts.is_empty() || counts.contains(&0.0) {
            return (None, work);
        }
        let length = 1.0 - LENGTH_COUNTS + LENGTH_COUNTS * marks.len() as f64 / USUAL_LENGTH;
        let score = counts.iter().map(|count| count / (count + SATURATION * length)).sum();
        places.extend(begun);
        places.sort_by_key(|place| (place.start, place.end));
        let mut apart = Vec::new();
        for place in places {
            note(&mut apart, place);
        }
        (Some(Match { score, places: apart }), work)
    }
}

/// Notes a place that does not begin before those that are noted. Of very many only the first count.
fn note(places: &mut Vec<Range<usize>>, place: Range<usize>) {
    if let Some(last) = places.last_mut().filter(|last| place.start <= last.end) {
        last.end = last.end.max(place.end);
    } else if places.len() < MOST_PLACES {
        places.push(place);
    }
}

/// Tokens as parts: all of what was quoted is one, else each word and each run of signs.
fn runs(tokens: Vec<Token>, quoted: bool) -> Vec<Vec<Step>> {
    let mut runs: Vec<Vec<Step>> = Vec::new();
    for Token { term, sign, joined, range: _ } in tokens {
        let step = Step { term, sign, joined };
        match runs.last_mut() {
            Some(run) if quoted || joined => run.push(step),
            _ => runs.push(vec![step]),
        }
    }
    runs
}

impl Step {
    fn is_beginning(&self) -> bool {
        !self.sign && self.term.chars().nth(SHORTEST_BEGINNING - 1).is_some()
    }
}

impl Part {
    fn needs(&self) -> Vec<Need> {
        let mut needs = Vec::new();
        for (at, step) in self.steps.iter().enumerate() {
            let next = self.steps.get(at + 1).filter(|next| next.joined);
            match next {
                Some(next) => needs.push(Need::Term(format!("{}{}", step.term, next.term))),
                // It is in the pair before.
                None if step.joined => {}
                None if self.open => needs.push(Need::Beginning(step.term.clone())),
                None => needs.push(Need::Term(step.term.clone())),
            }
        }
        needs
    }
}

impl Match {
    /// The text around the first place, cut where something that was looked for begins or ends.
    pub(super) fn snippet(&self, text: &str) -> Vec<Segment> {
        let first = self.places.first().map_or(0, |place| place.start);
        let start = begin(text, first);
        let end = finish(text, start.saturating_add(AROUND));
        let mut segments = Vec::new();
        let mut add = |part: &str, matches| {
            if !part.is_empty() {
                segments.push(Segment { text: part.to_owned(), matches });
            }
        };
        add(if start > 0 { "…" } else { "" }, false);
        let mut at = start;
        for place in self.places.iter().take_while(|place| place.start < end) {
            add(&text[at..place.start], false);
            at = place.end.min(end);
            add(&text[place.start..at], true);
        }
        add(&text[at..end], false);
        add(if end < text.len() { "…" } else { "" }, false);
        segments
    }
}

/// Where to begin, so that `first` is in sight: at the beginning of a word where there is one.
fn begin(text: &str, first: usize) -> usize {
    if first <= BEFORE {
        return 0;
    }
    let near = text.ceil_char_boundary(first - BEFORE).min(first);
    let space = text[near..first].find(char::is_whitespace);
    space.map_or(near, |space| first - text[near + space..first].trim_start().len())
}

/// Where to end: not within a word where its end is near.
fn finish(text: &str, about: usize) -> usize {
    if about >= text.len() {
        return text.len();
    }
    let about = text.floor_char_boundary(about);
    let tail = text.floor_char_boundary(about - BEFORE.min(about));
    text[tail..about].rfind(char::is_whitespace).map_or(about, |space| tail + text[tail..tail + space].trim_end().len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::words::terms, *};

    fn query(text: &str) -> Query {
        Query::parse(text).expect("a short query")
    }

    impl Query {
        fn find(&self, text: &str) -> Option<Match> {
            Finder::new(self).find(text).0
        }
    }

    /// The snippet of a message with `[` and `]` around what was looked for.
    fn shown(searched_for: &str, text: &str) -> Option<String> {
        let segment = |Segment { text, matches }: Segment| if matches { format!("[{text}]") } else { text };
        Some(query(searched_for).find(text)?.snippet(text).into_iter().map(segment).collect())
    }

    #[test]
    fn what_is_found_and_where() {
        for (searched_for, text, expected) in [
            ("hello", "Say Hello, hello!", Some("Say [Hello], [hello]!")),
            ("hel", "hello help shell", Some("[hello] [help] shell")),
            ("he", "hello", None),
            ("he", "he said", Some("[he] said")),
            ("hel world", "hello world", None),
            ("world hel", "hello world", Some("[hello] [world]")),
            ("hello hello", "hello", Some("[hello]")),
            ("CAFÉ", "un cafe\u{301}", Some("un [cafe\u{301}]")),
            ("Gesamtkonzept", "das Ge\u{ad}samt\u{ad}kon\u{ad}zept!", Some("das [Ge\u{ad}samt\u{ad}kon\u{ad}zept]!")),
            ("Ge\u{ad}samt", "gesamt", Some("[gesamt]")),
            ("foo_bar", "bar.foo", Some("[bar].[foo]")),
            ("我", "给我看", Some("给[我]看")),
            ("中文", "学中文 中 文", Some("学[中文] 中 文")),
            ("中文", "中 文", None),
            ("中国", "中间是国家", None),
            ("学中文", "中文学", None),
            ("中文 rust", "用Rust写中文", Some("用[Rust]写[中文]")),
            ("aa", "aaa", None),
            ("哈哈", "哈哈哈", Some("[哈哈哈]")),
            ("한국", "한국어를", Some("[한국]어를")),
            ("\"new york\"", "New York, york new", Some("[New York], york new")),
            ("\"york new\"", "New York", None),
            ("\"new yor\"", "New York", None),
            ("\"new york", "york: new", Some("[york]: [new]")),
            ("“中文, 字”", "学中文，字", Some("学[中文，字]")),
            ("👍", "ok 👍🏽", Some("ok [👍🏽]")),
            ("", "anything", None),
            ("?! \"\" '", "anything ?!", None),
            ("a* OR (b) NEAR -c: ^d", "or near a b c d", Some("[or] [near] [a] [b] [c] [d]")),
        ] {
            assert_eq!(shown(searched_for, text).as_deref(), expected, "{searched_for:?} in {text:?}");
        }
    }

    #[test]
    fn a_snippet_is_about_the_first_match() {
        let words = |count| "lorem ipsum ".repeat(count);
        let text = format!("{}needle {}", words(20), words(40));
        let snippet = shown("needle", &text).expect("found");
        assert!(snippet.starts_with("…") && snippet.ends_with("…") && snippet.contains(" [needle] lorem"), "{snippet}");
        assert!(snippet.len() < AROUND + 20, "{snippet}");
        let bare = snippet.trim_matches('…').replace(['[', ']'], "");
        assert!(text.contains(&format!(" {bare} ")), "whole words: {bare}");
        let run = format!("{}针{}", "水".repeat(300), "水".repeat(300));
        let snippet = shown("针", &run).expect("found");
        assert!(snippet.contains("水[针]水") && snippet.len() < AROUND + 20, "{snippet}");
        assert_eq!(shown("end", &format!("{}end", words(20))).map(|text| text.ends_with(" [end]")), Some(true));
    }

    #[test]
    fn better_is_more_of_it_in_less_text_and_as_a_whole_word() {
        let score = |searched_for: &str, text: &str| query(searched_for).find(text).expect("found").score;
        assert!(score("tea", "tea and tea") > score("tea", "tea and cake"));
        assert!(score("tea", "tea") > score("tea", "tea with many other words around it"));
        assert!(score("tea", "tea cup") > score("tea", "teapot cup"));
        assert!(score("tea cup", "tea tea cup cup") > score("tea cup", "tea tea tea cup"));
    }

    #[test]
    fn what_it_takes_to_look_through_a_message_is_counted() {
        let text = "a ".repeat(32 << 10);
        let work = |searched_for: &str| Finder::new(&query(searched_for)).find(&text).1;
        // Each word is compared with the first of the phrase, or with all of it but the last.
        assert_eq!(work("\"b a\""), text.len());
        let long = format!("\"{}b\"", "a ".repeat(100));
        assert!(work(&long) > 90 * text.len() / 2, "{}", work(&long));
    }

    #[test]
    fn places_are_bounded_and_those_shown_are_the_first() {
        let text = "tea, no ".repeat(8_000);
        let found = query("tea").find(&text).expect("found");
        assert_eq!((found.places.len(), found.places[0].clone()), (MOST_PLACES, 0..3));
        let marked = found.snippet(&text).iter().filter(|segment| segment.matches).count();
        assert_eq!(marked, AROUND / 8);
    }

    #[test]
    fn a_query_is_bounded() {
        assert!(Query::parse(&"中".repeat(LONGEST_QUERY)).is_ok());
        assert_eq!(Query::parse(&"中".repeat(LONGEST_QUERY + 1)), Err(QueryTooLong(LONGEST_QUERY)));
    }

    proptest! {
        /// What an index has for a message never hides it.
        #[test]
        fn what_is_found_has_the_terms_that_are_needed(
            searched_for in "[ab中文字 \"é👍]{0,8}",
            text in "[ab中文字 ,é👍]{0,40}",
            any in ".{0,40}",
        ) {
            for (searched_for, text) in [(&searched_for, &text), (&searched_for, &any), (&any, &any)] {
                let query = query(searched_for);
                let terms = terms(text);
                let met = |need: &Need| match need {
                    Need::Term(term) => terms.contains(term),
                    Need::Beginning(beginning) => terms.iter().any(|term| term.starts_with(&**beginning)),
                };
                if let Some(found) = query.find(text) {
                    prop_assert!(query.needs().iter().all(met), "{query:?} {terms:?}");
                    let snippet = found.snippet(text);
                    let whole: String = snippet.iter().map(|segment| &*segment.text).collect();
                    prop_assert!(text.contains(whole.trim_matches('…')));
                    prop_assert!(snippet.iter().any(|segment| segment.matches));
                }
            }
        }
    }
}
