//! How many unread messages a channel may have: a number for all, and others for names that match a pattern.

use super::Channel;
use crate::server::glob::Glob;

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
