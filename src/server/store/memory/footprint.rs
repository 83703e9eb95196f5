//! How much memory things take that are held: what they point to, as the allocator hands it out. Their own places are reckoned with
//! the tables in which they stand.

use crate::{
    server::store::log::{Entry, What, change::Unnamed},
    wire::{Change, Content, Emoji, Message, Offset, Person, Reaction, Stored},
};

/// A message that is held.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) stored: Stored,
    /// Who has put a reaction to it without being named there.
    pub(super) unnamed: Unnamed,
}

impl Held {
    pub(super) fn offset(&self) -> Offset {
        self.stored.offset
    }
}

/// What an allocation of so many bytes takes: with what the allocator notes beside it, in steps of 16 and 32 at least.
pub(super) fn heap(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { (bytes + 8).next_multiple_of(16).max(32) }
}

/// What a hash table takes that has room for so many entries: an eighth more places, as many as a power of two, and a byte for each.
pub(super) fn table<E>(capacity: usize) -> usize {
    if capacity == 0 { 0 } else { heap((capacity + capacity.div_ceil(7)).next_power_of_two() * (size_of::<E>() + 1) + 16) }
}

/// Whether most places of a table stand empty. A few do no harm.
pub(super) fn is_loose(len: usize, capacity: usize) -> bool {
    capacity > 16 && len < capacity / 4
}

/// A text that is shared is counted with each who has it.
fn shared(text: &str) -> usize {
    heap(text.len() + 16)
}

fn emoji(emoji: &Emoji) -> usize {
    shared(emoji.as_str())
}

fn person(Person { id, name, handle, .. }: &Person) -> usize {
    heap(id.capacity()) + heap(name.capacity()) + handle.as_ref().map_or(0, |handle| heap(handle.capacity()))
}

fn reaction(Reaction { emoji: put, from, .. }: &Reaction) -> usize {
    emoji(put) + heap(from.capacity() * size_of::<Person>()) + from.iter().map(person).sum::<usize>()
}

/// A message, with the part of its key that stands in the table of keys.
pub(super) fn of_held(Held { stored: Stored { message, .. }, unnamed }: &Held) -> usize {
    let Message { id, key, from, content, .. } = message;
    let Content { text, reactions, .. } = content;
    let names = heap(id.capacity()) + shared(key.as_str()) + person(from) + heap(from.id.len());
    let said = heap(text.capacity()) + heap(reactions.capacity() * size_of::<Reaction>());
    names + said + reactions.iter().map(reaction).sum::<usize>() + table::<[u8; 8]>(unnamed.capacity())
}

/// A change. The epoch in it is the room's.
pub(super) fn of_entry(Entry { what, .. }: &Entry) -> usize {
    match what {
        What::Change(Change::React { emoji: put, from, .. }) => emoji(put) + person(from),
        What::Change(Change::Edit { text, .. }) => heap(text.capacity()),
        What::Change(Change::Delete { .. }) => 0,
        What::Message(message) => message.content.text.capacity(),
    }
}
