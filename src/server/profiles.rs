//! Everybody with an account as others see them, in memory: what they are called, and by what they are mentioned. Some hundred bytes an account.
//!
//! Whatever leaves with a person on it asks here, a page, an event, an answer of the API: stores and other nodes bring people as ids, with the
//! names that they had when they wrote. So a message keeps what was said, and who said it is shown as they are now. Whoever is in here has an
//! account, and whoever is not is a guest or a program, whatever they were when they wrote.
//!
//! The [accounts](super::accounts) note what they read and write. Who looks otherwise than before is [told of](Profiles::take_changed) where that
//! person is shown already, and counts as a [change](Profiles::version) for pages that were rendered before.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use crate::wire::{Change, Event, Members, Message, Person, Presence, Reaction, Stored};

/// How somebody with an account is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub name: Box<str>,
    pub handle: Arc<str>,
    /// When it was changed last. What was read before that and comes later is passed over.
    pub changed: i64,
}

impl Profile {
    fn is_as(&self, other: &Self) -> bool {
        let Self { name, handle, changed: _ } = self;
        (name, handle) == (&other.name, &other.handle)
    }

    /// Shows somebody so. Mostly nothing has changed since they wrote.
    fn put_on(&self, person: &mut Person) {
        if *person.name != *self.name {
            person.name = self.name.to_string();
        }
        if person.handle.as_deref() != Some(&*self.handle) {
            person.handle = Some(self.handle.to_string());
        }
    }
}

/// See the [module](self).
#[derive(Default)]
pub struct Profiles {
    /// By their ids; none is how those are seen who have gone for good.
    known: RwLock<HashMap<Box<str>, Option<Profile>>>,
    version: AtomicU64,
    /// Who has changed, and nobody was told.
    changed: Mutex<Vec<Box<str>>>,
    wake: Arc<Notify>,
}

impl Profiles {
    /// Somebody has an account, and is seen so.
    pub fn note(&self, id: &str, profile: Profile) {
        let is_known = |known: &Option<Profile>| known.as_ref().is_none_or(|known| known.changed >= profile.changed);
        // Nearly always it is.
        if self.known.read().get(id).is_some_and(is_known) {
            return;
        }
        let mut known = self.known.write();
        if known.get(id).is_some_and(is_known) {
            return;
        }
        let is_seen_so = known.get(id).and_then(Option::as_ref).is_some_and(|before| before.is_as(&profile));
        known.insert(id.into(), Some(profile));
        drop(known);
        if !is_seen_so {
            self.tell(id);
        }
    }

    /// Somebody has gone for good: what they leave behind says who wrote it, and nobody else gets their id.
    pub fn forget(&self, id: &str) {
        if self.known.write().insert(id.into(), None) != Some(None) {
            self.tell(id);
        }
    }

    fn tell(&self, id: &str) {
        self.version.fetch_add(1, Relaxed);
        self.changed.lock().push(id.into());
        self.wake.notify_one();
    }

    /// Whether somebody has an account, or had one.
    pub fn has(&self, id: &str) -> bool {
        self.known.read().contains_key(id)
    }

    /// Another number whenever anybody is seen otherwise.
    pub fn version(&self) -> u64 {
        self.version.load(Relaxed)
    }

    /// Who is seen otherwise since this was asked last; whoever asks is [woken](Self::wake) when there is somebody.
    pub fn take_changed(&self) -> Vec<Box<str>> {
        std::mem::take(&mut *self.changed.lock())
    }

    pub fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    /// Shows people as they are now.
    pub fn complete<'p>(&self, people: impl IntoIterator<Item = &'p mut Person>) {
        let known = self.known.read();
        if known.is_empty() {
            return;
        }
        for person in people {
            if let Some(Some(profile)) = known.get(&*person.id) {
                profile.put_on(person);
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
            | Event::Read(_)
            | Event::Other(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Presence, Typist};

    fn profile(name: &str, handle: &str) -> Profile {
        Profile { name: name.into(), handle: handle.into(), changed: 1 }
    }

    fn with(id: &str, name: &str, handle: &str) -> Person {
        Person { handle: Some(handle.to_owned()), ..Person::new(id, name) }
    }

    #[test]
    fn whoever_has_an_account_is_shown_as_they_are_now_whatever_the_id_begins_with() {
        let profiles = Profiles::default();
        let mut typing = Event::Typing(Typist { from: Person::new("g1", "Ann") });
        profiles.complete_event(&mut typing);
        assert_eq!(typing, Event::Typing(Typist { from: Person::new("g1", "Ann") }), "a guest has none");
        profiles.note("g1", profile("Ann", "ann"));
        profiles.note("a2", profile("Bobby", "bob"));
        let here = Presence {
            joined: vec![Person::new("g3", "Ann")],
            people: Some(vec![with("a2", "B", "robert")]),
            ..Presence::default()
        };
        let mut here = Event::Presence(here);
        for event in [&mut typing, &mut here] {
            profiles.complete_event(event);
        }
        assert_eq!(typing, Event::Typing(Typist { from: with("g1", "Ann", "ann") }));
        let Event::Presence(Presence { joined, people, .. }) = here else { unreachable!() };
        assert_eq!((joined, people), (vec![Person::new("g3", "Ann")], Some(vec![with("a2", "Bobby", "bob")])));
        assert!(profiles.has("g1") && !profiles.has("g3"));
    }

    #[tokio::test]
    async fn whoever_changes_is_told_of_once_and_who_has_gone_keeps_the_id_and_nothing_else() {
        let profiles = Profiles::default();
        profiles.note("a1", profile("Ann", "ann"));
        profiles.wake().notified().await;
        let first = profiles.version();
        assert_eq!(profiles.take_changed(), [Box::from("a1")]);
        profiles.note("a1", profile("Ann", "ann"));
        profiles.note("a1", Profile { changed: 2, ..profile("Ann", "ann") });
        profiles.note("a1", profile("Anna", "anna"));
        assert!(profiles.take_changed().is_empty() && profiles.version() == first, "nothing has changed since");
        profiles.forget("a1");
        assert!(profiles.take_changed().len() == 1 && profiles.version() != first);
        let mut gone = Person::new("a1", "former member");
        profiles.complete([&mut gone]);
        assert_eq!(gone, Person::new("a1", "former member"));
        assert!(profiles.has("a1"), "nobody else is to be it");
    }
}
