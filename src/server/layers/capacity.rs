//! How many unread messages a channel may have: a number for all, and others for names that match a pattern.

use super::Channel;

/// The capacities of a layer's channels.
#[derive(Clone, Debug)]
pub struct Capacities {
    default: usize,
    patterns: Vec<(Glob, usize)>,
}

impl Capacities {
    /// `patterns` are globs over whole channel names as Python's `fnmatch` has them (`*`, `?`, `[a-z]`, `[!a-z]`), case-sensitive; the
    /// first that matches decides, `default` where none does. Every text is a pattern: what is not special stands for itself.
    pub fn new<P: AsRef<str>>(default: usize, patterns: impl IntoIterator<Item = (P, usize)>) -> Self {
        let patterns = patterns.into_iter().map(|(pattern, capacity)| (Glob::new(pattern.as_ref()), capacity)).collect();
        Self { default, patterns }
    }

    /// The number of unread messages at which `channel` is full.
    pub fn of(&self, channel: &Channel) -> usize {
        let name = channel.as_str().as_bytes();
        self.patterns.iter().find(|(pattern, _)| pattern.matches(name)).map_or(self.default, |(_, capacity)| *capacity)
    }
}

#[derive(Clone, Debug)]
struct Glob(Vec<Token>);

#[derive(Clone, Debug)]
enum Token {
    /// `*`: any bytes, or none.
    Any,
    /// A byte in one of the ranges, both ends included, or in none of them.
    One { ranges: Vec<(u8, u8)>, negated: bool },
}

impl Token {
    fn takes(&self, byte: u8) -> bool {
        match self {
            Self::Any => true,
            Self::One { ranges, negated } => ranges.iter().any(|(from, to)| (*from..=*to).contains(&byte)) != *negated,
        }
    }
}

impl Glob {
    fn new(pattern: &str) -> Self {
        let mut rest = pattern.as_bytes();
        let mut tokens = Vec::new();
        while let [first, after @ ..] = rest {
            let (token, after) = match first {
                b'*' => (Token::Any, after),
                b'?' => (Token::One { ranges: Vec::new(), negated: true }, after),
                b'[' => set(after).unwrap_or_else(|| (literal(b'['), after)),
                byte => (literal(*byte), after),
            };
            tokens.push(token);
            rest = after;
        }
        Self(tokens)
    }

    /// On a mismatch the last `*` takes one byte more: no earlier one needs to, so this takes at most pattern times name steps.
    fn matches(&self, name: &[u8]) -> bool {
        let (mut token, mut byte) = (0, 0);
        let mut last_star = None;
        while byte < name.len() {
            match self.0.get(token) {
                Some(Token::Any) => {
                    last_star = Some((token, byte));
                    token += 1;
                }
                Some(one) if one.takes(name[byte]) => (token, byte) = (token + 1, byte + 1),
                _ => {
                    let Some((star, start)) = last_star else { return false };
                    last_star = Some((star, start + 1));
                    (token, byte) = (star + 1, start + 1);
                }
            }
        }
        self.0[token..].iter().all(|token| matches!(token, Token::Any))
    }
}

fn literal(byte: u8) -> Token {
    Token::One { ranges: vec![(byte, byte)], negated: false }
}

/// What follows a `[`: a set and the pattern after it, or nothing if no `]` closes it. A `]` that comes first is one of the set.
fn set(after: &[u8]) -> Option<(Token, &[u8])> {
    let (negated, body) = match after {
        [b'!', body @ ..] => (true, body),
        body => (false, body),
    };
    let end = 1 + body.iter().skip(1).position(|b| *b == b']')?;
    let (mut body, rest) = (&body[..end], &body[end + 1..]);
    let mut ranges = Vec::new();
    loop {
        body = match body {
            [from, b'-', to, after @ ..] => {
                ranges.push((*from, *to));
                after
            }
            [byte, after @ ..] => {
                ranges.push((*byte, *byte));
                after
            }
            [] => return Some((Token::One { ranges, negated }, rest)),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_fnmatch() {
        for (pattern, matching, others) in [
            ("tiny", &["tiny"][..], &["tin", "tiny1", "xtiny", "Tiny"][..]),
            ("*", &["a", "a!b"], &[]),
            ("chat.*", &["chat.", "chat.a", "chat.a.b!c"], &["chat", "xchat.a"]),
            ("*.log", &["a.log", "a.log.log"], &["a.log2", "log"]),
            ("a*b*c", &["abc", "axbxc", "abcbc"], &["ab", "abcb", "acb"]),
            ("a?c", &["abc", "a!c"], &["ac", "abbc"]),
            ("room-[0-9]", &["room-0", "room-9"], &["room-a", "room-10"]),
            ("[!a-c]x", &["dx", "Ax"], &["ax", "cx", "x"]),
            ("[a-]x", &["ax", "-x"], &["bx"]),
            ("[]-]x", &["-x"], &["ax"]),
            ("[z-a]", &[], &["a", "z", "m"]),
            ("[ab", &[], &["a", "ab"]),
            ("", &[], &["a"]),
            ("\u{e9}", &[], &["a"]),
        ] {
            let capacities = Capacities::new(1, [(pattern, 2)]);
            for name in matching {
                assert_eq!(capacities.of(&name.parse().unwrap()), 2, "{pattern} {name}");
            }
            for name in others {
                assert_eq!(capacities.of(&name.parse().unwrap()), 1, "{pattern} {name}");
            }
        }
        assert!(Glob::new("[ab").matches(b"[ab"), "a set that is not closed stands for itself");
        assert!(Glob::new("[]x]").matches(b"]"), "a bracket that comes first is one of the set");
    }

    #[test]
    fn the_first_pattern_that_matches_decides() {
        let capacities = Capacities::new(1, [("a*", 2), ("ab*", 3), ("b*", 4)]);
        assert_eq!(["abc", "b", "c"].map(|name| capacities.of(&name.parse().unwrap())), [2, 4, 1]);
    }

    #[test]
    fn many_stars_do_not_take_for_ever() {
        let capacities = Capacities::new(1, [("a*".repeat(40) + "b", 2)]);
        assert_eq!(capacities.of(&"a".repeat(99).parse().unwrap()), 1);
    }
}
