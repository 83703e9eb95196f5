//! Keeps the reader's place in the log.
//!
//! As the server renders it the scrolling element is a reversed column, which stands at its end without a script. From then on it is a column
//! like any, whose end is followed here: in a reversed one Chromium goes through all that is in it whenever it grows. Before the state
//! changes, [`Scroll::remember`] notes which row is the first in sight and where; when the list has changed [`Scroll::restore`] puts that row
//! back to where it was, and so does an observer when something else has changed it, before it is painted. A reader within 100 px of the end
//! follows the end instead, unless they have something there in hand: a menu that is open, words that are selected, a pointer that is pressed.
//!
//! Rows are not whole pixels high, and scroll positions are. So a row is put back to where the reader had it, not to where it came to
//! stand the last time: else the list would creep by a part of a pixel with each message.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use leptos::prelude::*;
use wasm_bindgen::{JsCast, closure::Closure};

use crate::app::{Intent, Loading, MENU, RoomLink, RoomState};

/// How close to the end a reader follows it, in pixels.
const NEAR_END: i32 = 100;
/// How close to the beginning earlier messages are asked for, or later ones to the end of what is shown, in pixels.
const NEAR_MORE: i32 = 600;

/// What has moved by less than this has not moved, in pixels: a tenth of the smallest step on a dense screen.
const SAME: f64 = 0.02;

/// The place of one log.
#[derive(Clone)]
pub(super) struct Scroll(Rc<Place>);

struct Place {
    link: RoomLink,
    following: Cell<bool>,
    /// The first row in sight; none for a reader who follows the end.
    anchor: RefCell<Option<Anchor>>,
    /// The pointer is pressed on a row.
    pressed: Cell<bool>,
    /// The reader has something in hand.
    held: Cell<bool>,
}

/// A row that stays where it is.
struct Anchor {
    row: web_sys::Element,
    /// How far below the log's upper edge the reader had it.
    top: f64,
    /// How far below it came to stand when it was put there.
    stands: f64,
}

impl Scroll {
    /// Watches over the page's log as long as the page lives.
    pub(super) fn start(link: RoomLink) -> Self {
        let (pressed, held) = (Cell::default(), Cell::default());
        let place = Rc::new(Place { link, following: Cell::new(true), anchor: RefCell::default(), pressed, held });
        if let Some(log) = place.log() {
            let away = -log.scroll_top();
            // It has a class attribute.
            let _ = log.class_list().add_1("kept");
            log.set_scroll_top(log.scroll_height() - log.client_height() - away);
            place.look();
            place.watch(&log);
        }
        Self(place)
    }

    /// To be called before the list changes.
    pub(super) fn remember(&self) {
        self.0.look();
    }

    /// To be called when it has changed.
    pub(super) fn restore(&self) {
        self.0.restore();
    }

    /// The reader sees what comes as it comes.
    pub(super) fn follows(&self) -> bool {
        self.0.following.get()
    }

    /// The first row in sight, when that was remembered; none for a reader who follows the end.
    pub(super) fn anchor(&self) -> Option<web_sys::Element> {
        self.0.anchor.borrow().as_ref().map(|anchor| anchor.row.clone())
    }

    /// The last row in sight.
    pub(super) fn last(&self) -> Option<web_sys::Element> {
        let log = self.0.log()?;
        let rows = rows_of(&log)?;
        let edge = log.get_bounding_client_rect().bottom();
        rows.item(first_place(&rows, |row| row.get_bounding_client_rect().bottom() > edge).checked_sub(1)?)
    }

    /// Goes to where this row is in sight, with some of what stands above it, unless it is.
    pub(super) fn show(&self, row: &web_sys::Element) {
        if let Some(log) = self.0.log() {
            let above = f64::from(log.client_height()) / 4.0;
            let top = top_in(&log, row);
            if top < 0.0 {
                log.scroll_by_with_x_and_y(0.0, top - above);
            }
        }
        self.0.look();
    }

    /// Goes to the end and follows it from there.
    pub(super) fn to_end(&self) {
        if let Some(log) = self.0.log() {
            if let Some(selection) = selection_in(&log) {
                // What keeps the selection is a range that the browser made.
                let _ = selection.remove_all_ranges();
            }
            log.set_scroll_top(log.scroll_height());
        }
        self.0.look();
    }

    /// So many messages came at the end.
    pub(super) fn came(&self, count: usize) {
        if !self.follows() {
            self.0.link.unseen.update(|unseen| *unseen += count);
            self.0.link.away.set(true);
        }
    }
}

impl Place {
    fn log(&self) -> Option<web_sys::Element> {
        self.link.log.get_untracked().map(|log| log.unchecked_ref::<web_sys::Element>().clone())
    }

    fn watch(self: &Rc<Self>, log: &web_sys::Element) {
        let changed = {
            let place = Rc::clone(self);
            Closure::<dyn Fn()>::new(move || place.restore())
        };
        let scrolled = {
            let place = Rc::clone(self);
            Closure::<dyn Fn()>::new(move || place.scrolled())
        };
        let options = web_sys::MutationObserverInit::new();
        options.set_child_list(true);
        options.set_character_data(true);
        options.set_subtree(true);
        // Without one of these the browser is too old for WebAssembly as well.
        if let Ok(observer) = web_sys::MutationObserver::new(changed.as_ref().unchecked_ref()) {
            let _ = observer.observe_with_options(log, &options);
        }
        if let Ok(observer) = web_sys::ResizeObserver::new(changed.as_ref().unchecked_ref()) {
            observer.observe(log);
        }
        let _ = log.add_event_listener_with_callback("scroll", scrolled.as_ref().unchecked_ref());
        self.watch_hand(log);
        // They live as long as the page does.
        changed.forget();
        scrolled.forget();
    }

    /// Watches what the reader takes in hand, and what they let go of.
    fn watch_hand(self: &Rc<Self>, log: &web_sys::Element) {
        let pressed = {
            let (place, log) = (Rc::clone(self), log.clone());
            // On the log itself is its scroll bar, of which browsers do not tell when it is let go.
            Closure::<dyn Fn(web_sys::Event)>::new(move |event: web_sys::Event| {
                place.pressed.set(event.target().as_ref() != Some(log.as_ref()));
            })
        };
        let let_go = {
            let place = Rc::clone(self);
            Closure::<dyn Fn()>::new(move || {
                place.pressed.set(false);
                place.let_go();
            })
        };
        let changed = {
            let place = Rc::clone(self);
            Closure::<dyn Fn()>::new(move || place.let_go())
        };
        let _ = log.add_event_listener_with_callback("pointerdown", pressed.as_ref().unchecked_ref());
        for event in ["pointerup", "pointercancel", "blur"] {
            let _ = window().add_event_listener_with_callback(event, let_go.as_ref().unchecked_ref());
        }
        let changed_function = changed.as_ref().unchecked_ref();
        let _ = document().add_event_listener_with_callback("selectionchange", changed_function);
        // It does not bubble.
        let _ = document().add_event_listener_with_callback_and_bool("toggle", changed_function, true);
        // They live as long as the page does.
        pressed.forget();
        let_go.forget();
        changed.forget();
    }

    /// The reader has something in hand that would be carried away.
    fn is_held(&self, log: &web_sys::Element) -> bool {
        let has_menu = || document().query_selector(&format!("#{MENU}:popover-open")).ok().flatten().is_some();
        self.pressed.get() || selection_in(log).is_some() || has_menu()
    }

    /// The reader may have let go of what they had in hand. Who is still near the end follows it again.
    fn let_go(&self) {
        if self.held.get() && self.log().is_some_and(|log| !self.is_held(&log)) {
            self.look();
            if self.following.get() {
                self.restore();
            }
        }
    }

    /// Notes where the reader is.
    fn look(&self) {
        let Some(log) = self.log() else { return };
        // The end of what is shown is not the end of the room where the reader is in the past.
        let in_the_past = self.link.state.with_untracked(|state| state.newer_than().is_some());
        let is_near = from_end(&log) <= NEAR_END && !in_the_past;
        self.held.set(self.is_held(&log));
        let following = is_near && !self.held.get();
        self.following.set(following);
        let anchor = if following { None } else { first_in_sight(&log, self.anchor.take()) };
        self.anchor.replace(anchor);
        if following && self.link.unseen.get_untracked() > 0 {
            self.link.unseen.set(0);
        }
        // Who has something in hand at the end is away from it only once something has come.
        let away = !is_near || self.link.unseen.get_untracked() > 0;
        if self.link.away.get_untracked() != away {
            self.link.away.set(away);
        }
    }

    fn scrolled(&self) {
        self.look();
        let Some(log) = self.log() else { return };
        if log.scroll_top() < NEAR_MORE
            && self.link.loading.get_untracked() == Loading::Idle
            && let Some(before) = self.link.state.with_untracked(RoomState::older_than)
        {
            self.link.request(Intent::Older(before));
        }
        if from_end(&log) < NEAR_MORE
            && self.link.returning.get_untracked() == Loading::Idle
            && let Some(after) = self.link.state.with_untracked(RoomState::newer_than)
        {
            self.link.request(Intent::Newer(after));
        }
    }

    /// Puts the reader back where it was.
    fn restore(&self) {
        let Some(log) = self.log() else { return };
        if self.following.get() {
            log.set_scroll_top(log.scroll_height());
            return;
        }
        let mut anchor = self.anchor.borrow_mut();
        let Some(anchor) = anchor.as_mut() else { return };
        // The row is held no more: the oldest that are come next.
        if !anchor.row.is_connected() {
            log.set_scroll_top(0);
            return;
        }
        let moved = top_in(&log, &anchor.row) - anchor.top;
        if moved.abs() >= 0.5 {
            log.scroll_by_with_x_and_y(0.0, moved);
        }
        anchor.stands = top_in(&log, &anchor.row);
    }
}

/// How far above its end a log stands, in pixels.
fn from_end(log: &web_sys::Element) -> i32 {
    log.scroll_height() - log.client_height() - log.scroll_top()
}

/// What is selected, if it is in the log.
fn selection_in(log: &web_sys::Element) -> Option<web_sys::Selection> {
    let selection = document().get_selection().ok().flatten()?;
    (!selection.is_collapsed() && log.contains(selection.anchor_node().as_ref())).then_some(selection)
}

/// Keeps an element of the log where it is, over the next frame.
pub(super) fn hold(element: web_sys::Element) {
    let before = element.get_bounding_client_rect().top();
    request_animation_frame(move || {
        let moved = element.get_bounding_client_rect().top() - before;
        if let Some(log) = element.closest(".log").ok().flatten() {
            log.scroll_by_with_x_and_y(0.0, moved);
        }
    });
}

/// How far below the log's upper edge an element begins.
fn top_in(log: &web_sys::Element, element: &web_sys::Element) -> f64 {
    element.get_bounding_client_rect().top() - log.get_bounding_client_rect().top()
}

fn rows_of(log: &web_sys::Element) -> Option<web_sys::HtmlCollection> {
    Some(log.query_selector(".messages").ok().flatten()?.children())
}

/// The first row in sight. Where the one before stands as it was put, the reader has not scrolled, and it is still the one that stays.
fn first_in_sight(log: &web_sys::Element, before: Option<Anchor>) -> Option<Anchor> {
    let rows = rows_of(log)?;
    let row = rows.item(place_in_sight(log, &rows))?;
    let stands = |anchor: &Anchor| anchor.row.is_connected() && (top_in(log, &anchor.row) - anchor.stands).abs() < SAME;
    Some(before.filter(stands).unwrap_or_else(|| {
        let top = top_in(log, &row);
        Anchor { row, top, stands: top }
    }))
}

/// The rows stand one below the other, so the first that ends below the upper edge is found by halving.
fn place_in_sight(log: &web_sys::Element, rows: &web_sys::HtmlCollection) -> u32 {
    let edge = log.get_bounding_client_rect().top();
    first_place(rows, |row| row.get_bounding_client_rect().bottom() > edge)
}

/// The place of the first row of which this is so, as of all below it.
fn first_place(rows: &web_sys::HtmlCollection, is_so: impl Fn(web_sys::Element) -> bool) -> u32 {
    let (mut low, mut high) = (0, rows.length());
    while low < high {
        let middle = low.midpoint(high);
        if rows.item(middle).is_some_and(&is_so) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}
