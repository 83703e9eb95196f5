//! Who is in the room and who is writing, as the page knows it.

use crate::wire::{Members, Person, Presence, SAMPLE, TYPING_SHOWN_MS, Timestamp, lowercase};

/// See [`TYPING_SHOWN_MS`].
const SHOWN: i64 = TYPING_SHOWN_MS as i64;

/// The people in a room. Of more than [`SAMPLE`] those are known whose ids sort first, like on the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Here {
    count: u64,
    /// Sorted by their ids. They are few, so they need no tree.
    people: Vec<Person>,
    /// In the order in which they began, with the time at which each was last said to.
    typing: Vec<(Person, Timestamp)>,
}

/// Who is writing, as far as the page says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typists {
    Nobody,
    One(String),
    Two(String, String),
    Several,
}

impl Here {
    /// How many people are there.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Those who are known, by name; the one with the id `first` before all others.
    pub fn people(&self, first: &str) -> Vec<Person> {
        let mut people = Vec::with_capacity(self.people.len());
        for person in &self.people {
            let key = (person.id != first, lowercase(&person.name), &person.id);
            let place = people.partition_point(|(other, _)| *other < key);
            people.insert(place, (key, person.clone()));
        }
        people.into_iter().map(|(_, person)| person).collect()
    }

    /// How many there are besides those who are known.
    pub fn more(&self) -> u64 {
        self.count.saturating_sub(self.people.len() as u64)
    }

    pub fn typists(&self) -> Typists {
        match &self.typing[..] {
            [] => Typists::Nobody,
            [(one, _)] => Typists::One(one.name.clone()),
            [(one, _), (other, _)] => Typists::Two(one.name.clone(), other.name.clone()),
            _ => Typists::Several,
        }
    }

    /// A join has found these.
    pub(super) fn joined(&mut self, Members { count, people }: Members) {
        self.count = count;
        self.people.clear();
        for person in people {
            self.is_there(person);
        }
    }

    /// Where the person stands, or is to.
    fn place(&self, id: &str) -> Result<usize, usize> {
        self.people.binary_search_by(|known| known.id.as_str().cmp(id))
    }

    fn is_there(&mut self, person: Person) {
        match self.place(&person.id) {
            Ok(at) => self.people[at] = person,
            Err(at) => self.people.insert(at, person),
        }
    }

    /// People have come and gone.
    pub(super) fn changed(&mut self, Presence { count, joined, left, people }: Presence) {
        if let Some(people) = people {
            self.joined(Members { count, people });
        }
        self.count = count;
        for person in joined {
            self.is_there(person);
        }
        for id in left {
            if let Ok(at) = self.place(&id) {
                self.people.remove(at);
            }
            self.stopped_typing(&id);
        }
        if self.count > SAMPLE as u64 {
            self.people.truncate(SAMPLE);
        }
    }

    /// Somebody is writing something.
    pub(super) fn typing(&mut self, from: Person, at: Timestamp) {
        match self.typing.iter_mut().find(|(known, _)| known.id == from.id) {
            Some(known) => *known = (from, at),
            None => self.typing.push((from, at)),
        }
    }

    /// Somebody has said it, or has gone; true where they were writing.
    pub(super) fn stopped_typing(&mut self, id: &str) -> bool {
        let before = self.typing.len();
        self.typing.retain(|(from, _)| from.id != id);
        self.typing.len() < before
    }

    /// Nobody is shown as writing who was last said to be long ago.
    pub(super) fn elapsed(&mut self, now: Timestamp) {
        // A clock may be set back.
        self.typing.retain(|(_, at)| (0..SHOWN).contains(&(now.as_millis() - at.as_millis())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(id: &str) -> Person {
        Person::new(id, id.to_uppercase())
    }

    fn here(count: u64, ids: &[&str]) -> Here {
        let mut here = Here::default();
        here.joined(Members { count, people: ids.iter().map(|id| person(id)).collect() });
        here
    }

    fn ids(here: &Here) -> Vec<String> {
        here.people("").into_iter().map(|person| person.id).collect()
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn people_come_go_and_are_called_something_else() {
        let mut here = here(2, &["a", "b"]);
        let renamed = Person { name: "Zoe".to_owned(), ..person("a") };
        let joined = vec![person("c"), renamed.clone()];
        here.changed(Presence { count: 2, joined, left: vec!["b".to_owned(), "unknown".to_owned()], people: None });
        assert_eq!((here.count(), here.more()), (2, 0));
        assert_eq!(here.people(""), [person("c"), renamed.clone()], "by name");
        assert_eq!(here.people("a"), [renamed, person("c")], "the reader first");
    }

    #[test]
    fn of_too_many_those_are_kept_whose_ids_sort_first() {
        let known: Vec<_> = (0..SAMPLE).map(|n| format!("k{n:02}")).collect();
        let mut here = here(SAMPLE as u64, &known.iter().map(String::as_str).collect::<Vec<_>>());
        here.changed(Presence { count: SAMPLE as u64 + 2, joined: vec![person("a"), person("z")], ..Presence::default() });
        assert_eq!(ids(&here), ["a".to_owned()].iter().chain(&known[..SAMPLE - 1]).cloned().collect::<Vec<_>>());
        assert_eq!(here.more(), 2);
    }

    #[test]
    fn a_fresh_sample_stands_for_all_that_was_known() {
        let mut here = here(2, &["a", "b"]);
        here.changed(Presence { count: 70, people: Some(vec![person("x")]), ..Presence::default() });
        assert_eq!((ids(&here), here.count(), here.more()), (vec!["x".to_owned()], 70, 69));
    }

    #[test]
    fn two_writers_are_named_and_more_are_several() {
        let mut here = here(0, &[]);
        assert_eq!(here.typists(), Typists::Nobody);
        here.typing(person("a"), at(0));
        assert_eq!(here.typists(), Typists::One("A".to_owned()));
        here.typing(person("b"), at(1));
        here.typing(person("a"), at(2));
        assert_eq!(here.typists(), Typists::Two("A".to_owned(), "B".to_owned()), "in the order in which they began");
        here.typing(person("c"), at(3));
        assert_eq!(here.typists(), Typists::Several);
    }

    #[test]
    fn a_writer_is_gone_after_a_while_with_the_message_or_with_the_person() {
        let mut here = here(3, &["a", "b", "c"]);
        for (id, millis) in [("a", 0), ("b", 1), ("c", 2), ("a", 3)] {
            here.typing(person(id), at(millis));
        }
        here.elapsed(at(SHOWN + 1));
        assert_eq!(here.typists(), Typists::Two("A".to_owned(), "C".to_owned()));
        here.stopped_typing("a");
        assert_eq!(here.typists(), Typists::One("C".to_owned()));
        here.changed(Presence { count: 2, left: vec!["c".to_owned()], ..Presence::default() });
        assert_eq!(here.typists(), Typists::Nobody);
    }
}
