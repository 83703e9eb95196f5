//! Between a room's page and the browser: what each asks of the other, and which parts of the page are rendered anew when the state has
//! changed.
//!
//! The state is one value, and a page that asked all of it for each message, each typing sign and each reaction would be slow. So the state
//! notes what an input has [`Touched`]: the list of messages has those rows shown anew (`browser/room/list.rs`), and what a message costs the
//! page does not depend on how many are on it.

use std::sync::Arc;

use leptos::{html, prelude::*};

use super::{
    edits::Edits,
    here::Here,
    state::{Input, RoomState, RowKey, Touched},
};
use crate::{
    app::{
        feed::Gap,
        status::{Loading, Status},
    },
    wire::{Act, Group, Offset, Person, Rights},
};

/// What somebody wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Say this.
    Send(String),
    /// Say a refused message again, or forget it.
    Retry(RowKey),
    Discard(RowKey),
    /// Show a long message whole, or only its beginning.
    Fold(RowKey),
    /// Do this.
    Act(Act),
    /// This message, and what comes after it, is unread again.
    Unread(RowKey),
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

/// The handle by which the page asks; filled in by the browser.
pub type Ask = StoredValue<Option<Arc<dyn Fn(Intent) + Send + Sync>>>;

/// Between a room's page and the browser.
#[derive(Clone, Copy)]
pub struct RoomLink {
    pub state: RwSignal<RoomState>,
    /// Rows have come, gone or moved.
    pub list: Trigger,
    /// The people have changed, or who writes.
    pub here: Trigger,
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

/// What the browser must know of the page.
#[derive(Clone, Debug)]
pub struct About {
    pub group: Group,
    pub you: Person,
    /// What they may do.
    pub may: RwSignal<Rights>,
}

impl RoomLink {
    /// What the reader may do.
    pub fn may(&self) -> RwSignal<Rights> {
        self.about.with_value(|about| about.may)
    }

    /// Asks the browser; before the page is alive nobody hears it.
    pub fn request(&self, intent: Intent) {
        if let Some(ask) = self.ask.get_value() {
            ask(intent);
        }
    }

    /// Changes the state by these inputs, in their order. All that stand behind an event before which one is missing wait in vain for
    /// that one. What of the list has to be shown anew is for the caller.
    ///
    /// # Errors
    /// An event is missing.
    pub fn apply(&self, inputs: impl IntoIterator<Item = Input>) -> (Touched, Result<(), Gap>) {
        let mut touched = Touched::default();
        let applied = self.state.try_update(|state| {
            let applied = inputs.into_iter().try_for_each(|input| state.apply(input));
            touched = state.take_touched();
            applied
        });
        if touched.list {
            self.list.notify();
        }
        if touched.here {
            self.here.notify();
        }
        // The state is there as long as the page is.
        (touched, applied.unwrap_or(Ok(())))
    }

    /// What the state says about the list; the caller runs again when rows have come, gone or moved.
    pub(super) fn with_list<T>(&self, read: impl FnOnce(&RoomState) -> T) -> T {
        self.list.track();
        self.state.with_untracked(read)
    }

    /// What the state says about the people; the caller runs again when that has changed.
    pub(super) fn with_here<T>(&self, read: impl FnOnce(&Here) -> T) -> T {
        self.here.track();
        self.state.with_untracked(|state| read(state.here()))
    }
}
