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

/// The same of the elements in one, each of which is known by its name.
pub(super) fn merge_children(parent: &Element, before: &[Markup], now: &[Markup]) {
    let mut from = same(before.len(), now.len(), &|old, new| before[old].name() == now[new].name());
    for (from, now) in from.iter_mut().zip(now) {
        if let Some(old) = *from
            && before[old] != *now
        {
            match find(parent, &before[old]) {
                Some(element) => merge(&element, &before[old], now),
                // Something else has taken it away.
                None => *from = None,
            }
        }
    }
    arrange(parent, before.len(), &from, &|old| find(parent, &before[old]), &mut |new| create(&now[new]));
}

/// Which of those that there were each of those is that there are to be: mostly some come at the end or go at the beginning.
pub(super) fn same(before: usize, now: usize, is: &dyn Fn(usize, usize) -> bool) -> Vec<Option<usize>> {
    let most = before.min(now);
    let head = (0..most).take_while(|at| is(*at, *at)).count();
    let tail = (1..=most - head).take_while(|end| is(before - end, now - end)).count();
    let from = |new| match now - new {
        _ if new < head => Some(new),
        end if end <= tail => Some(before - end),
        _ => (head..before - tail).find(|old| is(*old, new)),
    };
    (0..now).map(from).collect()
}

/// Has elements stand in their parent as they are to, `from` those that stood there before. What stands where it is to stand is not touched,
/// and what is not ours among them stays. `element` finds one of those before, and `create` makes one that there was not, the last first.
pub(super) fn arrange(
    parent: &Element,
    before: usize,
    from: &[Option<usize>],
    element: &dyn Fn(usize) -> Option<Element>,
    create: &mut dyn FnMut(usize) -> Element,
) {
    let mut stays = vec![false; before];
    from.iter().flatten().for_each(|old| stays[*old] = true);
    let (mut stay, gone): (Vec<_>, Vec<_>) = (0..before).partition(|old| stays[*old]);
    for element in gone.into_iter().filter_map(element) {
        element.remove();
    }
    let (mut next, mut next_is) = (None::<Element>, None);
    for (new, from) in from.iter().enumerate().rev() {
        let place = stay.iter().rposition(|old| Some(*old) == *from);
        let stands = place.is_some_and(|place| place + 1 == stay.len());
        let old = place.map(|place| stay.remove(place));
        next = if stands {
            None
        } else {
            let one = old.and_then(element).unwrap_or_else(|| create(new));
            insert(parent, &one, next.or_else(|| next_is.and_then(element)).as_ref());
            Some(one)
        };
        next_is = old;
    }
}

/// Puts an element in another one, before this one in there, or at the end.
fn insert(parent: &Element, element: &Element, next: Option<&Element>) {
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
