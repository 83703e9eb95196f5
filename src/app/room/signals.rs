//! Which parts of the page are rendered anew when the state has changed.
//!
//! The state is one value, and a list of 400 rows that all listened to it would be asked 400 times for each message, each typing sign and
//! each reaction. So the state notes what an input has [`Touched`], and every row listens to a signal of its own: what a message costs the
//! page does not depend on how many are on it.

use std::collections::HashMap;

use leptos::prelude::*;

use super::{Here, Input, RoomState, RowKey};
use crate::app::{Gap, RoomLink};

/// What of the page may look different.
#[derive(Clone, Debug, Default)]
pub(super) struct Touched {
    /// Rows have come, gone or moved.
    pub(super) list: bool,
    /// People have come or gone, or write or write no more.
    pub(super) here: bool,
    /// These rows; some may be there no more.
    pub(super) rows: Vec<RowKey>,
}

/// It is a note for the page and no part of what the page shows: two states are equal whatever has led to them.
impl PartialEq for Touched {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Touched {}

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
