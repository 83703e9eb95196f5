//! Patterns for names of rooms and of channels.

/// A pattern over whole names, as Python's `fnmatch` has it: `*` for any bytes, `?` for any one, `[a-z]` and `[!a-z]` for one of a set;
/// everything else stands for itself, and case matters. Every text is a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Vec<Token>);

#[derive(Clone, Debug, PartialEq, Eq)]
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
    pub fn new(pattern: &str) -> Self {
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

    /// Whether it matches the whole name.
    pub fn matches(&self, name: &[u8]) -> bool {
        // On a mismatch the last `*` takes one byte more: no earlier one needs to, so this takes at most pattern times name steps.
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
    fn brackets_that_make_no_set_stand_for_themselves() {
        assert!(Glob::new("[ab").matches(b"[ab"), "a set that is not closed stands for itself");
        assert!(Glob::new("[]x]").matches(b"]"), "a bracket that comes first is one of the set");
    }
}
