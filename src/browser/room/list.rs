//! The list of messages on the page: one element for each row of the state, in its order.
//!
//! The rows that the server has rendered are taken over as they are. After that a row that was touched is rendered once more, to a value, and
//! only that of the element is changed in which the two differ (see [`markup`](crate::browser::markup)).

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use web_sys::Element;

use crate::{
    app::{DAY, Markup, Reader, RoomLink, RoomState, RowKey, Status, Touched, day_number, message},
    browser::{
        markup::{arrange, create, merge, same},
        pause,
        room::now,
        scroll::{Scroll, hold},
        spawn, zone,
    },
};

/// So many rows are gone through before others have their turn.
const PART: usize = 8;

/// The list of one page.
pub(super) struct List {
    link: RoomLink,
    scroll: Scroll,
    element: Element,
    rows: RefCell<Vec<Shown>>,
    /// The row whose menu is where Tab comes to the list: the last that has one.
    stop: RefCell<Option<RowKey>>,
    is_alive: Cell<bool>,
}

struct Shown {
    key: RowKey,
    element: Element,
    markup: Markup,
    unfolded: bool,
}

impl List {
    /// Takes over what the page has; none where it has no list.
    pub(super) fn of_the_page(link: RoomLink, scroll: Scroll) -> Option<Self> {
        let element = link.log.get_untracked()?.query_selector(".messages").ok().flatten()?;
        let me = link.about.with_value(|about| about.you.id.clone());
        let reader = Reader::of_the_page(&me);
        let rows = link.state.with_untracked(|state| {
            let found = |(place, key): (usize, &RowKey)| {
                let markup = message(state, place, &reader, false);
                let element = document().get_element_by_id(markup.attribute("id")?)?;
                Some(Shown { key: key.clone(), element, markup, unfolded: false })
            };
            state.rows().iter().map(|row| &row.key).enumerate().filter_map(found).collect()
        });
        let (rows, stop, is_alive) = (RefCell::new(rows), RefCell::default(), Cell::default());
        let list = Self { link, scroll, element, rows, stop, is_alive };
        list.show(&Touched { list: true, ..Touched::default() });
        Some(list)
    }

    /// Shows what has changed.
    pub(super) fn show(&self, touched: &Touched) {
        let Self { link, .. } = self;
        link.status.with_untracked(|status| {
            link.about.with_value(|about| {
                let reader = Reader { id: &about.you.id, zone, today: Some(day_number(now(), zone)), status };
                link.state.with_untracked(|state| self.show_to(&reader, state, touched));
            });
        });
    }

    fn show_to(&self, reader: &Reader, state: &RoomState, touched: &Touched) {
        if touched.list {
            self.arrange(reader, state);
        }
        let mut rows = self.rows.borrow_mut();
        for key in &touched.rows {
            if let Some(place) = state.place(key)
                && let Some(row) = rows.get_mut(place)
            {
                let now = message(state, place, reader, row.unfolded);
                merge(&row.element, &row.markup, &now);
                row.markup = now;
            }
        }
        let stop = state.last_changeable();
        if stop != self.stop.borrow().as_ref() {
            let before = self.stop.replace(stop.cloned());
            for (key, index) in [(before.as_ref(), "-1"), (stop, "0")] {
                let row = key.and_then(|key| rows.get(state.place(key)?));
                if let Some(menu) = row.and_then(|row| row.element.query_selector(".act").ok().flatten()) {
                    // An attribute can be set.
                    let _ = menu.set_attribute("tabindex", index);
                }
            }
        }
    }

    /// Has the elements stand as the rows do.
    fn arrange(&self, reader: &Reader, state: &RoomState) {
        let (before, wanted) = (self.rows.take(), state.rows());
        let from = same(before.len(), wanted.len(), &|old, new| before[old].key == wanted[new].key);
        let mut new = Vec::new();
        arrange(&self.element, before.len(), &from, &|old| Some(before[old].element.clone()), &mut |place| {
            let markup = message(state, place, reader, false);
            let element = create(&markup);
            new.push(Shown { key: wanted[place].key.clone(), element: element.clone(), markup, unfolded: false });
            element
        });
        let mut before: Vec<_> = before.into_iter().map(Some).collect();
        // The last was made first.
        let row = |from: &Option<usize>| from.map_or_else(|| new.pop(), |old| before[old].take());
        self.rows.replace(from.iter().filter_map(row).collect());
    }

    /// The connection is in another state. Once there is one at all, the page says that it is alive, and every row is shown as this reader
    /// sees it, by their clock and with buttons that are heard: those at the end first, and a few at a time. Later on only what waits for the
    /// connection says so.
    pub(super) fn status_changed(self: &Rc<Self>) {
        let is_alive = self.link.status.with_untracked(|status| *status != Status::Rendered);
        let rows: Vec<_> = if is_alive && !self.is_alive.replace(true) {
            if let Some(room) = self.element.closest(".room").ok().flatten() {
                // It has a class attribute.
                let _ = room.class_list().add_1("alive");
            }
            self.wait_for_midnight();
            self.rows.borrow().iter().map(|row| row.key.clone()).collect()
        } else {
            self.link.state.with_untracked(|state| state.unsent().map(|row| row.key.clone()).collect())
        };
        let list = Rc::clone(self);
        spawn(async move { list.show_in_parts(rows).await });
    }

    async fn show_in_parts(&self, mut rows: Vec<RowKey>) {
        while !rows.is_empty() {
            pause().await;
            let part = rows.split_off(rows.len().saturating_sub(PART));
            self.scroll.remember();
            self.show(&Touched { rows: part, ..Touched::default() });
            self.scroll.restore();
        }
    }

    /// At midnight what was today is yesterday.
    fn wait_for_midnight(self: &Rc<Self>) {
        let list = Rc::clone(self);
        spawn(async move {
            loop {
                let now = now();
                let left = DAY - (now.as_millis() + i64::from(zone(now)) * 60_000).rem_euclid(DAY);
                // It may be somewhat early.
                TimeoutFuture::new(left as u32 + 1_000).await;
                let rows = list.rows.borrow().iter().map(|row| row.key.clone()).collect();
                list.show_in_parts(rows).await;
            }
        });
    }

    /// Shows a long message whole, or only its beginning. What the reader looks at stays where it is: the message when it is unfolded, and
    /// the button when it is folded again.
    pub(super) fn fold(&self, key: &RowKey) {
        if let Some(row) = self.rows.borrow_mut().iter_mut().find(|row| row.key == *key) {
            let button = || row.element.query_selector(".fold").ok().flatten();
            hold(row.unfolded.then(button).flatten().unwrap_or_else(|| row.element.clone()));
            row.unfolded = !row.unfolded;
        }
        self.show(&Touched { rows: vec![key.clone()], ..Touched::default() });
    }

    /// Which row an element is.
    pub(super) fn key_of(&self, element: &Element) -> Option<RowKey> {
        self.rows.borrow().iter().find(|row| row.element == *element).map(|row| row.key.clone())
    }
}
