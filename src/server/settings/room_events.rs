//! How a room looks in the channel layer, where consumers in Python may read along: the group that carries it, and the type
//! and the key of the text of its messages.

use std::{fmt, str::FromStr};

use super::{mistakes::Invalid, patterns::Pattern};

/// The longest name of a group of the layer, in characters.
const LONGEST_GROUP: usize = 99;
/// The longest name of a room, in characters.
const LONGEST_ROOM: usize = 64;
/// What stands in a template for the room's name.
const ROOM: &str = "{group}";
/// What the server's own types and groups begin with.
const OWN: &str = "confab.";
/// The group of the list of rooms.
const LIST: &str = "confab.rooms";

/// What the server sets itself in a room's messages, or finds there, besides the text; and what `channels_redis` sets.
const TAKEN: [&str; 11] =
    ["type", "id", "key", "from", "at", "epoch", "offset", "bytes", "text_key", "latest", "__asgi_channel__"];

/// What a rule for rooms says of their events. The default is that of the tutorial of Channels, with the room's name for the group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomEvents {
    pub event_type: EventType,
    pub text_key: TextKey,
    pub group: GroupTemplate,
}

/// The `type` of a room's messages: a name of which Channels makes the name of a consumer's method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventType(String);

impl EventType {
    /// The type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether consumers in Python take `kind` for this type: `_` and `.` are the same to them.
    pub fn is(&self, kind: &str) -> bool {
        let same = |(one, other): (u8, u8)| one == other || (matches!(one, b'_' | b'.') && matches!(other, b'_' | b'.'));
        self.0.len() == kind.len() && self.0.bytes().zip(kind.bytes()).all(same)
    }
}

impl Default for EventType {
    fn default() -> Self {
        Self("chat.message".to_owned())
    }
}

impl FromStr for EventType {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let letters = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'));
        // A consumer refuses these, lest somebody calls a private method.
        let private = text.starts_with(['_', '.']);
        if !letters || private || !(1..=100).contains(&text.len()) {
            return Err(Invalid(
                "an event type is 1 to 100 of A-Z a-z 0-9 _ . and begins with a letter or a digit, like chat.message",
            ));
        }
        if text.replace('_', ".").starts_with(OWN) {
            return Err(Invalid("types that begin with confab. are the server's own"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The key of the text in a room's messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextKey(String);

impl TextKey {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the one of the tutorial, which is the default.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for TextKey {
    fn default() -> Self {
        Self("message".to_owned())
    }
}

impl FromStr for TextKey {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if TAKEN.contains(&text) {
            return Err(Invalid("that key has another meaning in a message"));
        }
        let good =
            (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        good.then(|| Self(text.to_owned())).ok_or(Invalid("a key is 1 to 64 of A-Z a-z 0-9 _ -, like message"))
    }
}

impl fmt::Display for TextKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which group of the layer carries a room: a name with `{group}` in the room's place, or without, for one room alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupTemplate {
    before: String,
    /// None where the name is the whole of it.
    after: Option<String>,
}

impl Default for GroupTemplate {
    fn default() -> Self {
        Self { before: String::new(), after: Some(String::new()) }
    }
}

impl GroupTemplate {
    /// A template for the rooms of a pattern.
    ///
    /// # Errors
    /// If it gives several rooms one group, a name that is no group's, or a group of the server's own.
    pub fn new(text: &str, rooms: &Pattern) -> Result<Self, Invalid> {
        let letters = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        let (before, after) = text.split_once(ROOM).map_or((text, None), |(before, after)| (before, Some(after)));
        if !letters(before) || !after.is_none_or(letters) || text.is_empty() {
            return Err(Invalid(
                "a group is made of A-Z a-z 0-9 - _ . with {group} once for the room's name, like chat_{group}",
            ));
        }
        if after.is_none() && rooms.only().is_none() {
            return Err(Invalid("without {group} several rooms would have one group: write it where the room's name belongs"));
        }
        let room = rooms.only().map_or(LONGEST_ROOM, str::len);
        if before.len() + after.map_or(0, |after| room + after.len()) > LONGEST_GROUP {
            return Err(Invalid("a group has at most 99 letters, of which the room's name may be 64"));
        }
        let template = Self { before: before.to_owned(), after: after.map(str::to_owned) };
        if before.starts_with(OWN) || template.room_of(LIST).is_some_and(|room| rooms.matches(room)) {
            return Err(Invalid("groups that begin with confab. are the server's own"));
        }
        Ok(template)
    }

    /// The name of the group that carries a room. It is valid for each room of the pattern that the template was made for.
    pub fn group_of(&self, room: &str) -> String {
        match &self.after {
            Some(after) => [&*self.before, room, after].concat(),
            None => self.before.clone(),
        }
    }

    /// The room whose group has this name. None where none has; the template has its `{group}`.
    fn room_of<'n>(&self, group: &'n str) -> Option<&'n str> {
        let room = group.strip_prefix(&*self.before)?.strip_suffix(&**self.after.as_ref()?)?;
        ((1..=LONGEST_ROOM).contains(&room.len()) && room.bytes().all(in_rooms)).then_some(room)
    }
}

/// Whether rooms' names have this letter.
fn in_rooms(letter: u8) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, b'_' | b'-')
}

impl fmt::Display for GroupTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(after) = &self.after else { return f.write_str(&self.before) };
        write!(f, "{}{ROOM}{after}", self.before)
    }
}

/// A rule: which rooms it is for, and which groups carry them.
type Carried<'r> = (&'r Pattern, &'r GroupTemplate);

/// Two rules that may give two different rooms the same group, the first one first.
///
/// Rules with the same template never do. A rule for one room is looked at exactly: its group must not be that of another
/// room, by the rule that holds for that one. Of rules with patterns the groups must not overlap at all, whichever rooms an
/// earlier rule takes away from them.
pub(super) fn collision(rules: &[Carried<'_>]) -> Option<(usize, usize)> {
    let pairs = (0..rules.len()).flat_map(|other| (0..other).map(move |one| (one, other)));
    pairs.into_iter().find(|(one, other)| collide(rules, *one, *other))
}

fn collide(rules: &[Carried<'_>], one: usize, other: usize) -> bool {
    let holds = |rule: usize, room: &str| rules.iter().position(|(rooms, _)| rooms.matches(room)) == Some(rule);
    let template = |rule: usize| rules[rule].1;
    match (rules[one].0.only(), rules[other].0.only()) {
        (Some(a), Some(b)) => a != b && template(one).group_of(a) == template(other).group_of(b),
        (Some(a), None) => holds(one, a) && takes(rules, other, &template(one).group_of(a), a),
        (None, Some(b)) => holds(other, b) && takes(rules, one, &template(other).group_of(b), b),
        (None, None) => template(one) != template(other) && overlap(rules[one], rules[other]),
    }
}

/// Whether a rule holds for a room besides `room` that has this group.
fn takes(rules: &[Carried<'_>], rule: usize, group: &str, room: &str) -> bool {
    let holds = |room: &str| rules.iter().position(|(rooms, _)| rooms.matches(room)) == Some(rule);
    rules[rule].1.room_of(group).is_some_and(|taken| taken != room && holds(taken))
}

/// A letter of a group's name, as a template and a pattern leave it open.
#[derive(Clone, Copy)]
enum Letter {
    Is(u8),
    Any,
    /// Any number of any.
    Star,
}

fn letters((rooms, template): Carried<'_>) -> Vec<Letter> {
    let GroupTemplate { before, after } = template;
    let pattern = rooms.to_string();
    let open = pattern.bytes().map(|letter| match letter {
        b'*' => Letter::Star,
        b'?' => Letter::Any,
        letter => Letter::Is(letter),
    });
    let fixed = |text: &str| text.bytes().map(Letter::Is).collect::<Vec<_>>();
    fixed(before).into_iter().chain(open).chain(fixed(after.as_deref().unwrap_or_default())).collect()
}

/// Whether there is a name that both rules may give a group.
fn overlap(one: Carried<'_>, other: Carried<'_>) -> bool {
    let (one, other) = (letters(one), letters(other));
    // For each place in `other`, from the end on: whether the rest of `one` and the rest of `other` have a name in common.
    let mut rests = vec![false; other.len() + 1];
    for i in (0..=one.len()).rev() {
        let before = rests.clone();
        for j in (0..=other.len()).rev() {
            let next = |rests: &[bool]| rests.get(j + 1).copied().unwrap_or_default();
            rests[j] = match (one.get(i), other.get(j)) {
                (None, None) => true,
                // A star is for nothing more, or takes the other's letter.
                (Some(Letter::Star), letter) => before[j] || (letter.copied().is_some_and(is_in_rooms) && next(&rests)),
                (letter, Some(Letter::Star)) => next(&rests) || (letter.copied().is_some_and(is_in_rooms) && before[j]),
                (Some(Letter::Is(a)), Some(Letter::Is(b))) => a == b && next(&before),
                (Some(Letter::Any), Some(Letter::Any)) => next(&before),
                (Some(Letter::Any), Some(Letter::Is(letter))) | (Some(Letter::Is(letter)), Some(Letter::Any)) => {
                    in_rooms(*letter) && next(&before)
                }
                (None, Some(_)) | (Some(_), None) => false,
            };
        }
    }
    rests[0]
}

fn is_in_rooms(letter: Letter) -> bool {
    if let Letter::Is(letter) = letter { in_rooms(letter) } else { true }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(pattern: &str, group: &str) -> (Pattern, GroupTemplate) {
        let rooms = Pattern::for_rooms(pattern).unwrap();
        let group = GroupTemplate::new(group, &rooms).unwrap();
        (rooms, group)
    }

    #[test]
    fn types_are_names_that_a_consumer_may_have_a_method_for() {
        for good in ["chat.message", "chat_message", "a", "9", "chat..x", "Chat.", "confab", "confabulate.x"] {
            assert!(good.parse::<EventType>().is_ok(), "{good}");
        }
        for bad in ["", "_a", ".a", "a b", "a-b", "ä", "confab.x", "confab_x", "confab.", &"x".repeat(101)] {
            assert!(bad.parse::<EventType>().is_err(), "{bad}");
        }
        let kind: EventType = "chat.message".parse().unwrap();
        assert!(kind.is("chat.message") && kind.is("chat_message"));
        assert!(!kind.is("chat-message") && !kind.is("chat.messages") && !kind.is("chat"));
    }

    #[test]
    fn keys_of_the_text_have_no_other_meaning() {
        for good in ["message", "text", "msg", "a-b", &"x".repeat(64)] {
            assert!(good.parse::<TextKey>().is_ok(), "{good}");
        }
        for bad in TAKEN.into_iter().chain(["", "a.b", "a b", "ä"]) {
            assert!(bad.parse::<TextKey>().is_err(), "{bad}");
        }
    }

    #[test]
    fn templates_give_the_names_of_groups() {
        for (template, pattern, room, group) in [
            ("{group}", "*", "lobby", "lobby"),
            ("chat_{group}", "*", "lobby", "chat_lobby"),
            ("a.{group}.b", "team-?", "team-1", "a.team-1.b"),
            ("coins", "gold", "gold", "coins"),
            ("chat_{group}", "gold", "gold", "chat_gold"),
        ] {
            let template = GroupTemplate::new(template, &Pattern::for_rooms(pattern).unwrap()).unwrap();
            assert_eq!(template.group_of(room), group);
        }
        let (most, over) = (format!("{{group}}{}", "x".repeat(35)), format!("{{group}}{}", "x".repeat(36)));
        for (template, pattern, good) in [
            ("", "*", false),
            ("", "gold", false),
            ("coins", "*", false),
            ("coins", "gold?", false),
            ("{group}{group}", "*", false),
            ("{room}", "*", false),
            ("chat {group}", "*", false),
            ("chat:{group}", "*", false),
            ("chät-{group}", "*", false),
            (&most, "*", true),
            (&over, "*", false),
            (&over, "gold", true),
            ("confab.{group}", "*", false),
            ("confab.x", "gold", false),
            ("confab_{group}", "*", true),
            ("{group}.rooms", "*", false),
            ("{group}.rooms", "team-*", true),
        ] {
            let made = GroupTemplate::new(template, &Pattern::for_rooms(pattern).unwrap());
            assert_eq!(made.is_ok(), good, "{template} for {pattern}");
        }
    }

    #[test]
    fn two_rooms_do_not_get_one_group() {
        for (rules, expected) in [
            (&[("team-*", "chat_{group}"), ("*", "chat_{group}")][..], None),
            (&[("lobby", "chat_lobby"), ("*", "chat_{group}")], None),
            (&[("lobby", "lobby"), ("*", "{group}")], None),
            (&[("lobby", "chat_lobby"), ("*", "{group}")], Some((0, 1))),
            (&[("lobby", "chat.lobby"), ("*", "{group}")], None),
            (&[("a", "x"), ("b", "x")], Some((0, 1))),
            (&[("a", "b"), ("b", "a")], None),
            (&[("a", "b"), ("b", "b.b"), ("*", "{group}")], None),
            (&[("team-*", "chat_{group}"), ("*", "{group}")], Some((0, 1))),
            (&[("team-*", "chat.{group}"), ("*", "{group}")], None),
            (&[("team-*", "{group}x"), ("room-*", "{group}")], None),
            (&[("t*", "{group}x"), ("x", "q"), ("?e*", "{group}")], Some((0, 2))),
            (&[("?", "a{group}"), ("?b", "{group}")], Some((0, 1))),
            (&[("?", "a{group}"), ("??", "b.{group}")], None),
            (&[("a*", "{group}-b"), ("*b", "a-{group}")], Some((0, 1))),
            (&[("a*", "{group}-b"), ("*c", "a-{group}")], None),
        ] {
            let rules: Vec<_> = rules.iter().map(|(pattern, group)| rule(pattern, group)).collect();
            let rules: Vec<_> = rules.iter().map(|(rooms, group)| (rooms, group)).collect();
            assert_eq!(collision(&rules), expected, "{rules:?}");
        }
    }
}
