//! One line of a file of messages: what an export has written, or a program that knows other messages.
//!
//! Needed are `key`, `from` with `id` and `name`, `text` and `at`. What a line has beside what is asked here means nothing.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    server::store::Imported,
    wire::{
        Content, Emoji, InvalidName, Key, MOST_KINDS, Offset, Person, PersonName, REACTION_SAMPLE, Reaction, Text, Timestamp,
    },
};

/// What stands in a line.
pub(super) enum Line {
    Message(Box<Imported>),
    /// It stands for messages that could not be read when the file was made.
    Lost,
}

#[derive(Deserialize)]
struct Written {
    offset: Option<u64>,
    key: Option<Key>,
    from: Option<Author>,
    text: Option<String>,
    at: Option<Timestamp>,
    edited: Option<Timestamp>,
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    reactions: Vec<Put>,
    changed: Option<u64>,
    /// Of a line that stands for what could not be read.
    error: Option<String>,
}

#[derive(Deserialize)]
struct Author {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Put {
    emoji: Emoji,
    count: Option<u64>,
    from: Vec<Author>,
}

/// The largest number that JSON can carry everywhere.
const LARGEST: u64 = (1 << 53) - 1;
/// So many people are counted at most.
const MOST_PEOPLE: u64 = 1_000_000_000;

/// Reads a line; says what is wrong with it.
pub(super) fn read(line: u64, text: &[u8], longest: usize) -> Result<Line, String> {
    let written: Written = serde_json::from_slice(text).map_err(|cause| {
        let said = cause.to_string();
        // To serde all of it is line 1.
        let said = said.split(" at line ").next().unwrap_or_default().to_owned();
        format!("it is no message: {said}")
    })?;
    let Written { offset, key, from, text, at, edited, deleted, reactions, changed, error } = written;
    if error.is_some() && text.is_none() {
        return Ok(Line::Lost);
    }
    let missing = |what: &str| format!("`{what}` is missing");
    let key = key.ok_or_else(|| missing("key"))?;
    let from = person(from.ok_or_else(|| missing("from"))?)?;
    let at = at.ok_or_else(|| missing("at"))?;
    let text = said(text.ok_or_else(|| missing("text"))?, deleted, longest)?;
    let offset = offset.map(place).transpose()?;
    let changed = changed.map(place).transpose()?;
    let (reactions, reactors) = put(reactions)?;
    if deleted && !reactions.is_empty() {
        return Err("a message that was deleted has no reactions".to_owned());
    }
    let content = Content { text, edited, deleted, reactions, changed };
    Ok(Line::Message(Box::new(Imported { line, offset, key, from, content, reactors, at })))
}

fn said(text: String, deleted: bool, longest: usize) -> Result<String, String> {
    match (deleted, text.is_empty()) {
        (true, true) => return Ok(text),
        (true, false) => return Err("a message that was deleted has no text".to_owned()),
        (false, _) => {}
    }
    if text.len() > longest {
        return Err(format!("its text has {} bytes; limits.message_bytes allows {longest}", text.len()));
    }
    Text::exactly(text).map(Text::into_string).map_err(|_| "nothing of its text is seen".to_owned())
}

fn place(number: u64) -> Result<Offset, String> {
    if (1..=LARGEST).contains(&number) { Ok(Offset(number)) } else { Err(format!("`offset` and `changed` are 1 to {LARGEST}")) }
}

fn person(Author { id, name }: Author) -> Result<Person, String> {
    const RULE: InvalidName = InvalidName("the `id` of a person is 1 to 64 of A-Z a-z 0-9 _ -");
    let is_id = (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if !is_id {
        return Err(RULE.to_string());
    }
    let name: PersonName = name.parse().map_err(|cause| format!("`name` of a person: {cause}"))?;
    Ok(Person::new(id, name.into_string()))
}

/// Somebody, and what they have put.
type Reactor = (Emoji, Person);

/// What is shown of reactions, and everybody who is named.
fn put(all: Vec<Put>) -> Result<(Vec<Reaction>, Vec<Reactor>), String> {
    let mut kinds: BTreeMap<Emoji, (u64, BTreeMap<String, Person>)> = BTreeMap::new();
    for Put { emoji, count, from } in all {
        let (counted, people) = kinds.entry(emoji).or_default();
        *counted = counted.saturating_add(count.unwrap_or(0));
        for author in from {
            let person = person(author)?;
            people.insert(person.id.clone(), person);
        }
    }
    if kinds.len() > MOST_KINDS {
        return Err(format!("it has {} different emoji; a message has {MOST_KINDS} at most", kinds.len()));
    }
    let (mut reactions, mut reactors) = (Vec::new(), Vec::new());
    for (emoji, (counted, people)) in kinds {
        let count = counted.max(people.len() as u64);
        if !(1..=MOST_PEOPLE).contains(&count) {
            return Err(format!("`count` of a reaction is 1 to {MOST_PEOPLE}"));
        }
        reactors.extend(people.values().map(|person| (emoji.clone(), person.clone())));
        let from = people.into_values().take(REACTION_SAMPLE).collect();
        reactions.push(Reaction { emoji, count, from });
    }
    Ok((reactions, reactors))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(line: &Value) -> Result<Line, String> {
        read(7, line.to_string().as_bytes(), 20)
    }

    fn message(line: &Value) -> Imported {
        match of(line) {
            Ok(Line::Message(message)) => *message,
            Ok(Line::Lost) => panic!("{line} is a message"),
            Err(why) => panic!("{line}: {why}"),
        }
    }

    /// With these fields beside or instead of what each line needs.
    fn with(fields: &Value) -> Value {
        let mut line = json!({"key": "k", "from": {"id": "d7", "name": "Ann"}, "text": "hello", "at": "2026-11-20T12:00:00Z"});
        line.as_object_mut().expect("a map").extend(fields.as_object().expect("a map").clone());
        line
    }

    #[test]
    fn what_an_export_has_is_read() {
        let line = json!({
            "offset": 2, "id": "e-2", "key": "k", "from": {"id": "ann", "name": "Ann", "handle": "ann"}, "text": "hello",
            "edited": "2026-11-20T13:00:00.000Z", "changed": 4, "at": "2026-11-20T12:00:00.000Z", "html": "what will be",
            "reactions": [{"emoji": "👍", "count": 30, "from": [{"id": "zoe", "name": "Zoe"}, {"id": "bob", "name": "Bob"}]}],
        });
        let read = message(&line);
        assert_eq!((read.line, read.offset, read.from), (7, Some(Offset(2)), Person::new("ann", "Ann")));
        let [Reaction { count, from, .. }] = &read.content.reactions[..] else { panic!("one") };
        assert_eq!((*count, from.iter().map(|one| one.id.as_str()).collect::<Vec<_>>()), (30, vec!["bob", "zoe"]));
        assert_eq!((read.reactors.len(), read.content.changed), (2, Some(Offset(4))));
        let gone = message(&with(&json!({"text": "", "deleted": true})));
        assert!(gone.content.deleted);
        assert!(matches!(of(&json!({"offset": 2, "to": 4, "error": "what stands here cannot be read"})), Ok(Line::Lost)));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (fields, says) in [
            (json!({"key": null}), "`key` is missing"),
            (json!({"key": "a b"}), "a key is 1 to 64 of"),
            (json!({"from": {"id": "d7"}}), "missing field `name`"),
            (json!({"from": {"id": "", "name": "Ann"}}), "the `id` of a person is"),
            (json!({"from": {"id": "d7", "name": "\u{200B}"}}), "`name` of a person: a name is 1 to 40"),
            (json!({"text": null}), "`text` is missing"),
            (json!({"text": " \n"}), "nothing of its text is seen"),
            (json!({"text": "x".repeat(21)}), "its text has 21 bytes; limits.message_bytes allows 20"),
            (json!({"text": "here", "deleted": true}), "a message that was deleted has no text"),
            (json!({"at": "yesterday"}), "RFC 3339"),
            (json!({"at": null}), "`at` is missing"),
            (json!({"offset": 0}), "`offset` and `changed` are 1 to"),
            (json!({"changed": LARGEST + 1}), "`offset` and `changed` are 1 to"),
            (json!({"reactions": [{"emoji": "two words", "from": []}]}), "a reaction is an emoji or a word"),
            (json!({"reactions": [{"emoji": "👍", "from": []}]}), "`count` of a reaction is 1 to"),
            (
                json!({"reactions": (0..21).map(|n| json!({"emoji": n.to_string(), "count": 1, "from": []})).collect::<Vec<_>>()}),
                "it has 21 different emoji; a message has 20 at most",
            ),
        ] {
            let why = of(&with(&fields)).err().unwrap_or_else(|| panic!("{fields} is refused"));
            assert!(why.contains(says) && !why.contains(" at line "), "{fields}: {why}");
        }
        for text in ["", "[]", "{", "7", "{\"text\": \"a\u{0}\"}"] {
            assert!(read(1, text.as_bytes(), 20).is_err(), "{text}");
        }
        assert!(read(1, b"{\"text\": \"\xff\"}", 20).is_err());
    }
}
