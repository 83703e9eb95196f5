//! What of a page changes by itself.
//!
//! Leptos renders each kind of closure by code of its own, and the browser would load all of it. So what is read again and again goes through
//! a pointer, and what is shown of one kind is rendered by one piece of code.

use std::sync::Arc;

use leptos::{ev, prelude::*};

/// Something that is read again when a signal in it has changed.
pub(super) type Live<T> = Arc<dyn Fn() -> T + Send + Sync>;

pub(super) fn live<T>(read: impl Fn() -> T + Send + Sync + 'static) -> Live<T> {
    Arc::new(read)
}

/// Text that is all that is in an element, or the value of an attribute.
pub(super) fn text<T: Into<String>>(read: impl Fn() -> T + Send + Sync + 'static) -> Live<String> {
    Arc::new(move || read().into())
}

/// The same, read again only when it is another.
pub(super) fn memo<T: PartialEq + Send + Sync + 'static>(read: impl Fn() -> T + Send + Sync + 'static) -> Memo<T> {
    let read = live(read);
    Memo::new(move |_| read())
}

/// Does something in the browser, and does it again when a signal that it has read has changed.
pub fn effect(act: impl FnMut() + 'static) {
    let act: Box<dyn FnMut()> = Box::new(act);
    Effect::new(act);
}

/// A view that is there at times.
pub(super) fn when<V: 'static>(
    is_there: impl Fn() -> bool + Send + Sync + 'static,
    view: impl Fn() -> V + Send + Sync + 'static,
) -> Live<Option<V>> {
    let is_there = memo(is_there);
    live(move || is_there.get().then(&view))
}

/// What a click does.
pub(super) fn click(act: impl FnMut(ev::MouseEvent) + 'static) -> Box<dyn FnMut(ev::MouseEvent)> {
    Box::new(act)
}
