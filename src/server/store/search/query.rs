//! What is searched for, and where it stands in a message.
//!
//! Any text is a query. It has parts, and a message is found that has them all: a word, a run of signs such as 中文, or what stands
//! in quotation marks, whose words stand one after the other in the message. The last word may be the beginning of one.
//!
//! An index finds what has the [terms](Need) of a query. Whether a message has its parts, how well and where, is found out here from
//! the message's text, so that every store finds the same and ranks it alike.

use std::{collections::HashMap, fmt, ops::Range};

use super::words::{Token, searched, tokens};
use crate::wire::Segment;

/// The longest query, in characters.
pub const LONGEST_QUERY: usize = 256;
/// A beginning of a word has at least so many letters: most words begin with one of a few letters.
const SHORTEST_BEGINNING: usize = 3;
/// About how many bytes of text stand around a match,
const AROUND: usize = 240;
/// and how many of them before it.
const BEFORE: usize = 60;
/// How soon a further mention of the same counts for less, and how many tokens a message of usual length has: `k1`, `b` and the
/// average length of BM25.
const SATURATION: f64 = 1.2;
const LENGTH_COUNTS: f64 = 0.75;
const USUAL_LENGTH: f64 = 20.0;

/// A query is too long; holds the longest that there may be, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryTooLong(pub usize);

impl fmt::Display for QueryTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a query has at most {} characters", self.0)
    }
}

impl std::error::Error for QueryTooLong {}

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
pub(in crate::server::store) enum Need {
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
    pub(in crate::server::store) fn needs(&self) -> Vec<Need> {
        let mut needs: Vec<Need> = self.parts.iter().flat_map(Part::needs).collect();
        needs.sort();
        needs.dedup();
        needs
    }

    /// Where a message has all parts; none where one of them is missing.
    pub(super) fn find(&self, text: &str) -> Option<Match> {
        let tokens = tokens(searched(text));
        let mut by_first: HashMap<&str, Vec<usize>> = HashMap::new();
        for (number, part) in self.parts.iter().enumerate().filter(|(_, part)| !part.open) {
            by_first.entry(&part.steps[0].term).or_default().push(number);
        }
        let open = self.parts.iter().enumerate().filter(|(_, part)| part.open).map(|(number, _)| number);
        let open: Vec<usize> = open.collect();
        let mut counts = vec![0.0; self.parts.len()];
        let mut places: Vec<Range<usize>> = Vec::new();
        for (at, token) in tokens.iter().enumerate() {
            for number in by_first.get(&*token.term).into_iter().flatten().chain(&open) {
                let part = &self.parts[*number];
                let Some(weight) = part.stands_at(&tokens[at..]) else { continue };
                counts[*number] += weight;
                let place = token.range.start..tokens[at + part.steps.len() - 1].range.end;
                match places.last_mut() {
                    Some(last) if place.start <= last.end => last.end = last.end.max(place.end),
                    _ => places.push(place),
                }
            }
        }
        if self.is_empty() || counts.contains(&0.0) {
            return None;
        }
        let length = 1.0 - LENGTH_COUNTS + LENGTH_COUNTS * tokens.len() as f64 / USUAL_LENGTH;
        let score = counts.iter().map(|count| count / (count + SATURATION * length)).sum();
        Some(Match { score, places })
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

    /// How much it counts that the part stands at the beginning of these tokens; none where it does not.
    fn stands_at(&self, tokens: &[Token]) -> Option<f64> {
        if self.open {
            let (step, token) = (&self.steps[0], tokens.first()?);
            let begins = !token.sign && token.term.starts_with(&step.term);
            return begins.then_some(if token.term == step.term { 1.0 } else { 0.5 });
        }
        let here = tokens.get(..self.steps.len())?;
        let first = here.first().is_some_and(|token| token.term == self.steps[0].term);
        let follow = |(step, token): (&Step, &Token)| token.term == step.term && (!step.joined || token.joined);
        (first && self.steps.iter().zip(here).skip(1).all(follow)).then_some(1.0)
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
