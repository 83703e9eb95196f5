//! Who is in a room, and who is writing something.

use serde::{Deserialize, Serialize};

use super::Person;

/// How many people are named at most, where more may be there.
pub const SAMPLE: usize = 50;

/// How long somebody is shown who was said to be writing, in milliseconds.
pub const TYPING_SHOWN_MS: u32 = 6_000;

/// The people in a room, as a join finds them: all of them, or of more than [`SAMPLE`] those whose ids sort first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    /// How many people are there, those that are not named too.
    pub count: u64,
    /// In the order of their ids.
    pub people: Vec<Person>,
}

/// What has changed among the people in a room since the last such event, or since the join.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "presence")]
pub struct Presence {
    /// How many people are there now.
    pub count: u64,
    /// Who has come, or has another name now.
    #[serde(default)]
    pub joined: Vec<Person>,
    /// The ids of those who have gone; it is no mistake if some of them were not known.
    #[serde(default)]
    pub left: Vec<String>,
    /// Stands for what was known before, as in [`Members`]: too much has changed to say it one by one, or somebody has gone
    /// whose place in the sample another one takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub people: Option<Vec<Person>>,
}

/// Somebody is writing something, now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "typing")]
pub struct Typist {
    pub from: Person,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::Event;

    fn ann() -> Person {
        Person::new("g1", "Ann")
    }

    #[test]
    fn the_events_read_back_what_they_print() {
        let change = Presence { count: 3, joined: vec![ann()], left: vec!["g2".to_owned()], people: None };
        let afresh = Presence { count: 60, people: Some(vec![ann()]), ..Presence::default() };
        for (event, json) in [
            (
                Event::Presence(change),
                json!({"type": "presence", "count": 3, "joined": [{"id": "g1", "name": "Ann"}], "left": ["g2"]}),
            ),
            (
                Event::Presence(afresh),
                json!({"type": "presence", "count": 60, "joined": [], "left": [], "people": [{"id": "g1", "name": "Ann"}]}),
            ),
            (Event::Typing(Typist { from: ann() }), json!({"type": "typing", "from": {"id": "g1", "name": "Ann"}})),
        ] {
            assert_eq!(serde_json::to_value(&event).unwrap(), json);
            assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
        }
    }

    #[test]
    fn a_programs_event_of_the_same_type_and_another_shape_is_passed_on() {
        for json in [json!({"type": "presence", "who": "Ann"}), json!({"type": "typing", "from": "Ann"})] {
            assert!(matches!(serde_json::from_value(json).unwrap(), Event::Other(_)));
        }
    }
}
