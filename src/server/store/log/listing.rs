//! A page of the list of rooms: which of them are on it, and where the next one goes on.

use std::{fmt, ops::ControlFlow, sync::Arc};

use crate::wire::{Group, RoomSummary};

/// A page looks at so many rooms at most, whether they are on it or not, so that nobody's question costs more than that.
pub(in crate::server::store) const LOOKED_AT: usize = 5_000;

/// Which rooms are asked for.
#[derive(Clone)]
pub enum Within {
    Room(Group),
    /// All that there are.
    Everything,
    /// Those to which this says yes.
    Rooms(Arc<dyn Fn(&Group) -> bool + Send + Sync>),
}

impl Within {
    /// Whether a room is among them.
    pub fn has(&self, room: &Group) -> bool {
        match self {
            Self::Room(group) => group == room,
            Self::Everything => true,
            Self::Rooms(allowed) => allowed(room),
        }
    }
}

impl fmt::Debug for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Room(group) => group.as_str(),
            Self::Everything => "everything",
            Self::Rooms(_) => "some rooms",
        })
    }
}

/// A part of the list of rooms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Those with the newest activity first.
    pub rooms: Vec<ListedRoom>,
    /// Before which activity there may be more; none where there are no more.
    pub next: Option<u64>,
}

/// A room in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedRoom {
    /// The number of its newest message among those of the whole store: the list is in its order.
    pub activity: u64,
    pub room: RoomSummary,
}

/// Decides room by room, in falling order of their activity, which are on a page.
pub(in crate::server::store) struct Picking<'w> {
    within: &'w Within,
    count: usize,
    picked: usize,
    looked_at: usize,
    /// The activity of the last room that was looked at and is on no later page.
    last: Option<u64>,
    next: Option<u64>,
}

impl<'w> Picking<'w> {
    pub(in crate::server::store) fn new(within: &'w Within, before: Option<u64>, count: usize) -> Self {
        Self { within, count, picked: 0, looked_at: 0, last: before, next: None }
    }

    /// Whether the next room is on the page; breaks where the page ends before it.
    pub(in crate::server::store) fn pick(&mut self, activity: u64, group: &Group) -> ControlFlow<(), bool> {
        let is_asked_for = self.within.has(group);
        if self.looked_at == LOOKED_AT || (is_asked_for && self.picked == self.count) {
            self.next = Some(self.last.unwrap_or(u64::MAX));
            return ControlFlow::Break(());
        }
        self.looked_at += 1;
        self.picked += usize::from(is_asked_for);
        self.last = Some(activity);
        ControlFlow::Continue(is_asked_for)
    }

    /// See [`Listed::next`]; none as long as there was a room for everything that was asked.
    pub(in crate::server::store) fn next(&self) -> Option<u64> {
        self.next
    }
}
