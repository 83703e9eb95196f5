//! Brings elements of the page to what they are to be, from what they were: only what differs is changed, so that the keyboard, a selection
//! and an open menu stay where they are, and so does what a translator or an extension has made of the rest.

use leptos::prelude::document;
use wasm_bindgen::UnwrapThrowExt;
use web_sys::Element;

use crate::app::{Inner, Markup, first_word};

/// A new element.
pub(super) fn create(markup: &Markup) -> Element {
    let element = document().create_element(markup.tag).expect_throw("it is the name of an element");
    for (name, value) in &markup.attributes {
        set(&element, name, value);
    }
    element.set_inner_html(&markup.inner_html());
    element
}

/// Makes of an element that was `before` what it is `now`.
pub(super) fn merge(element: &Element, before: &Markup, now: &Markup) {
    for (name, value) in &now.attributes {
        if before.attribute(name) != Some(value) {
            set(element, name, value);
        }
    }
    for (name, _) in before.attributes.iter().filter(|(name, _)| now.attribute(name).is_none()) {
        // Where it is not there it need not go.
        let _ = element.remove_attribute(name);
    }
    match (&before.inner, &now.inner) {
        (Inner::Elements(before), Inner::Elements(now)) => merge_children(element, before, now),
        (before, inner) if before != inner => element.set_inner_html(&now.inner_html()),
        _ => {}
    }
}

/// The same of the elements in one, each of which is known by its name. What is not ours among them stays.
pub(super) fn merge_children(parent: &Element, before: &[Markup], now: &[Markup]) {
    let is_in = |all: &[Markup], one: &Markup| all.iter().any(|other| other.name() == one.name());
    let (mut stay, gone): (Vec<_>, Vec<_>) = before.iter().partition(|one| is_in(now, one));
    for element in gone.into_iter().filter_map(|one| find(parent, one)) {
        element.remove();
    }
    let mut next = None;
    for one in now.iter().rev() {
        let place = stay.iter().rposition(|other| other.name() == one.name());
        let is_last = place.is_some_and(|place| place + 1 == stay.len());
        match place.map(|place| stay.remove(place)) {
            Some(was) if was == one && is_last => {}
            was => match (was, find(parent, one)) {
                (Some(was), Some(element)) => {
                    merge(&element, was, one);
                    if !is_last {
                        insert(parent, &element, next.and_then(|next| find(parent, next)).as_ref());
                    }
                }
                _ => insert(parent, &create(one), next.and_then(|next| find(parent, next)).as_ref()),
            },
        }
        next = Some(one);
    }
}

/// Puts an element in another one, before this one in there, or at the end.
pub(super) fn insert(parent: &Element, element: &Element, next: Option<&Element>) {
    if parent.insert_before(element, next.map(AsRef::as_ref)).is_err() {
        // Something else has taken it away.
        let _ = parent.append_child(element);
    }
}

fn find(parent: &Element, one: &Markup) -> Option<Element> {
    let (attribute, name) = one.name()?;
    let children = parent.children();
    let is_it = |child: &Element| child.get_attribute(attribute).is_some_and(|value| first_word(&value) == name);
    (0..children.length()).filter_map(|at| children.item(at)).find(is_it)
}

fn set(element: &Element, name: &str, value: &str) {
    // All of ours are names of attributes.
    let _ = element.set_attribute(name, value);
}
