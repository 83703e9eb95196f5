//! Between a room's page and the browser: what each asks of the other, and which parts of the page are rendered anew when the state has
//! changed.
//!
//! The state is one value, and a list of 400 rows that all listened to it would be asked 400 times for each message, each typing sign and
//! each reaction. So the state notes what an input has [`Touched`], and every row listens to a signal of its own: what a message costs the
//! page does not depend on how many are on it.

use std::{collections::HashMap, sync::Arc};

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
    wire::{Act, Group, Offset, Person},
};

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

/// The handle by which the page asks; filled in by the browser.
pub type Ask = StoredValue<Option<Arc<dyn Fn(Intent) + Send + Sync>>>;

/// Between a room's page and the browser.
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

/// What the browser must know of the page.
#[derive(Clone, Debug)]
pub struct About {
    pub group: Group,
    pub you: Person,
}

/// The signals of one page.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    list: ArcTrigger,
    here: ArcTrigger,
    rows: HashMap<RowKey, ArcTrigger>,
}

impl Signals {
    /// Has everything rendered anew that was touched.
    fn notify(&self, touched: &Touched) {
        if touched.list {
            self.list.notify();
        }
        if touched.here {
            self.here.notify();
        }
        for signal in touched.rows.iter().filter_map(|key| self.rows.get(key)) {
            signal.notify();
        }
    }
}

impl RoomLink {
    /// Asks the browser; before the page is alive nobody hears it.
    pub fn request(&self, intent: Intent) {
        if let Some(ask) = self.ask.get_value() {
            ask(intent);
        }
    }

    /// Changes the state by these inputs, in their order, and has the page show what has come of them. All that stand behind an event
    /// before which one is missing wait in vain for that one.
    ///
    /// # Errors
    /// An event is missing.
    pub fn apply(&self, inputs: impl IntoIterator<Item = Input>) -> Result<(), Gap> {
        let mut touched = Touched::default();
        let applied = self.state.try_update(|state| {
            let applied = inputs.into_iter().try_for_each(|input| state.apply(input));
            touched = state.take_touched();
            applied
        });
        self.signals.with_value(|signals| signals.notify(&touched));
        // The state is there as long as the page is.
        applied.unwrap_or(Ok(()))
    }

    /// What the state says about the list; the caller runs again when rows have come, gone or moved.
    pub(super) fn with_list<T>(&self, read: impl FnOnce(&RoomState) -> T) -> T {
        self.signals.with_value(|signals| signals.list.track());
        self.state.with_untracked(read)
    }

    /// What the state says about the people; the caller runs again when that has changed.
    pub(super) fn with_here<T>(&self, read: impl FnOnce(&Here) -> T) -> T {
        self.signals.with_value(|signals| signals.here.track());
        self.state.with_untracked(|state| read(state.here()))
    }

    /// The signal of a row that is being rendered, for as long as its owner is there.
    pub(super) fn row_signal(&self, key: &RowKey) -> ArcTrigger {
        let (signals, key) = (self.signals, key.clone());
        let mut signal = None;
        signals.update_value(|signals| signal = Some(signals.rows.entry(key.clone()).or_default().clone()));
        on_cleanup(move || {
            signals.try_update_value(|signals| signals.rows.remove(&key));
        });
        signal.unwrap_or_default()
    }
}
