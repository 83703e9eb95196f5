//! What the components ask of the world outside, and what it tells them.

use std::sync::Arc;

use leptos::{html, prelude::*, web_sys};

use super::{Edits, LobbyState, RoomState, RowKey, Signals, ZoneOf};
use crate::wire::{Act, Group, Offset, Person};

/// How a live page's connection is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// The page is as the server rendered it; nothing is known.
    Rendered,
    Connecting,
    Connected,
    /// Closed, and for how long: by the reader, who may open it again, or by the server with a reason that will not pass.
    Closed {
        reason: Option<String>,
    },
}

/// What somebody wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Say this.
    Send(String),
    /// Say a refused message again, or forget it.
    Retry(RowKey),
    Discard(RowKey),
    /// Do this.
    Act(Act),
    /// Show what was said before this.
    Older(Offset),
    /// Show what was said after this.
    Newer(Offset),
    /// Go to the newest message.
    JumpToLatest,
    Close,
    Reconnect,
    /// The text in the composer is this now.
    Draft(String),
}

/// The handle by which the page asks; filled in by the outside.
pub type Ask = StoredValue<Option<Arc<dyn Fn(Intent) + Send + Sync>>>;

/// Between a room's page and the outside.
#[derive(Clone, Copy)]
pub struct RoomLink {
    pub state: RwSignal<RoomState>,
    /// What renders the rows anew that have changed.
    pub signals: StoredValue<Signals>,
    pub status: RwSignal<Status>,
    /// What the reader is called, which changes in another tab.
    pub called: RwSignal<String>,
    /// How many messages came below what the reader sees.
    pub unseen: RwSignal<usize>,
    /// The reader is away from the end, so there is something to jump to.
    pub away: RwSignal<bool>,
    /// Earlier messages are on their way, or could not be had.
    pub loading: RwSignal<Loading>,
    /// The same of later ones.
    pub returning: RwSignal<Loading>,
    /// What is written in place of messages that were said; the composer holds one of them in place of the draft.
    pub edits: RwSignal<Edits>,
    /// What went wrong with what was asked for last; said beside the composer until something else is done there.
    pub problem: RwSignal<Option<String>>,
    /// What a screen reader is told.
    pub announcement: RwSignal<String>,
    /// The element that scrolls, and the one that is written in.
    pub log: NodeRef<html::Div>,
    pub composer: NodeRef<html::Textarea>,
    pub about: StoredValue<About>,
    pub ask: Ask,
}

/// What the outside must know of the page.
#[derive(Clone, Debug)]
pub struct About {
    pub group: Group,
    pub you: Person,
}

/// Reading more messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loading {
    Idle,
    Busy,
    Failed,
}

impl RoomLink {
    /// Asks the outside; before the page is alive nobody hears it.
    pub fn request(&self, intent: Intent) {
        if let Some(ask) = self.ask.get_value() {
            ask(intent);
        }
    }
}

/// Between the list of rooms and the outside.
#[derive(Clone, Copy)]
pub struct LobbyLink {
    pub state: RwSignal<LobbyState>,
    pub status: RwSignal<Status>,
    /// What the reader is called, as in a room.
    pub called: RwSignal<String>,
    /// What the rooms that are shown have in their names.
    pub name: RwSignal<String>,
    /// Further rooms are on their way, or could not be had.
    pub loading: RwSignal<Loading>,
    /// Has further rooms with that name read; filled in by the outside.
    pub read: StoredValue<Option<Arc<dyn Fn() + Send + Sync>>>,
}

/// What the browser does for a page once it is alive; in the context of the application, or not there at all.
#[derive(Clone, Copy)]
pub struct Outside {
    pub room: fn(RoomLink),
    pub lobby: fn(LobbyLink),
    /// Keeps an element where it is in the window, whatever becomes of it until it is painted next.
    pub hold: fn(web_sys::Element),
    /// The reader's clock.
    pub zone: ZoneOf,
    /// The reader has a touch screen and nothing more precise.
    pub touch: fn() -> bool,
}
