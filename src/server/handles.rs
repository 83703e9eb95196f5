//! By what everybody with an account is mentioned, in memory: some hundred bytes an account.
//!
//! Whoever has a handle has an account, and whoever has none is a guest or a program: so this tells them apart wherever people are shown,
//! whatever they were when they wrote. Stores and other nodes bring people without their handles, as ids and names. The [accounts](super::accounts)
//! note who has which.

use std::{collections::HashMap, sync::Arc};

use parking_lot::RwLock;

use crate::wire::{Change, Event, Members, Message, Person, Presence, Reaction, Stored};

/// See the [module](self).
#[derive(Default)]
pub struct Handles(RwLock<HashMap<Box<str>, Arc<str>>>);

impl Handles {
    /// Somebody has an account, with this handle.
    pub fn note(&self, id: &str, handle: &str) {
        // Nearly always it is known.
        if self.0.read().get(id).is_none_or(|known| **known != *handle) {
            self.0.write().insert(id.into(), handle.into());
        }
    }

    /// Somebody has an account no more.
    pub fn forget(&self, id: &str) {
        self.0.write().remove(id);
    }

    /// Whether somebody has an account.
    pub fn has(&self, id: &str) -> bool {
        self.0.read().contains_key(id)
    }

    /// Gives those the handle who have one.
    pub fn complete<'p>(&self, people: impl IntoIterator<Item = &'p mut Person>) {
        let known = self.0.read();
        if known.is_empty() {
            return;
        }
        for person in people {
            if person.handle.is_none() {
                person.handle = known.get(&*person.id).map(ToString::to_string);
            }
        }
    }

    /// The same for those who are in a room.
    pub fn complete_members(&self, members: &mut Members) {
        self.complete(&mut members.people);
    }

    /// The same for who has said a message, and who has put something to it.
    pub fn complete_message(&self, message: &mut Message) {
        let put = message.content.reactions.iter_mut().flat_map(|Reaction { from, .. }| from);
        self.complete(put.chain([&mut message.from]));
    }

    /// The same of several.
    pub fn complete_messages<'m>(&self, messages: impl IntoIterator<Item = &'m mut Stored>) {
        messages.into_iter().for_each(|stored| self.complete_message(&mut stored.message));
    }

    /// The same for who has done something to a message.
    pub fn complete_change(&self, change: &mut Change) {
        if let Change::React { from, .. } = change {
            self.complete([from]);
        }
    }

    /// The same for those whom an event names.
    pub fn complete_event(&self, event: &mut Event) {
        match event {
            Event::Message(message) => self.complete_message(message),
            Event::Change(change) => self.complete_change(change),
            Event::Room(room) => self.complete_messages(&mut room.latest),
            Event::Presence(Presence { joined, people, .. }) => {
                self.complete(joined.iter_mut().chain(people.iter_mut().flatten()));
            }
            Event::Typing(typist) => self.complete([&mut typist.from]),
            Event::Renamed(_)
            | Event::Left(_)
            | Event::Changed(_)
            | Event::SignedOut(_)
            | Event::Announced(_)
            | Event::Other(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Presence, Typist};

    #[test]
    fn whoever_has_an_account_is_known_by_the_handle_whatever_the_id_begins_with() {
        let handles = Handles::default();
        let mut typing = Event::Typing(Typist { from: Person::new("g1", "Ann") });
        handles.complete_event(&mut typing);
        assert_eq!(typing, Event::Typing(Typist { from: Person::new("g1", "Ann") }), "a guest has none");
        handles.note("g1", "ann");
        handles.note("a2", "bob");
        let with = |id: &str, name: &str, handle: &str| Person { handle: Some(handle.to_owned()), ..Person::new(id, name) };
        let here = Presence {
            joined: vec![Person::new("g3", "Ann")],
            people: Some(vec![Person::new("a2", "B")]),
            ..Presence::default()
        };
        let mut here = Event::Presence(here);
        for event in [&mut typing, &mut here] {
            handles.complete_event(event);
        }
        assert_eq!(typing, Event::Typing(Typist { from: with("g1", "Ann", "ann") }));
        let Event::Presence(Presence { joined, people, .. }) = here else { unreachable!() };
        assert_eq!((joined, people), (vec![Person::new("g3", "Ann")], Some(vec![with("a2", "B", "bob")])));
        assert!(handles.has("g1") && !handles.has("g3"));
    }
}
