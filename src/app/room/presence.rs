//! Where it is shown who is in the room and who is writing.

use leptos::prelude::*;

use super::{
    here::{Here, Typists},
    link::RoomLink,
};
use crate::{
    app::{
        components::{hue, initial, mark},
        live::{live, memo, text, when},
        words::words,
    },
    locales::room as say,
    wire::Person,
};

/// How many people are in the room; opens the list of them.
#[component]
pub(super) fn PeopleButton(link: RoomLink) -> impl IntoView {
    let count = memo(move || link.with_here(Here::count));
    view! {
        <button type="button" class="quiet people-button" class:nobody=live(move || count.get() == 0) popovertarget="people">
            <span inner_html=text(move || match count.get() {
                0 => say::nobody().to_owned(),
                count => count.to_string(),
            })></span> <span class="word">{say::here()}</span>
        </button>
    }
}

/// Who is in the room. A popover of the browser's own, like the form for one's name.
#[component]
pub(super) fn People(link: RoomLink) -> impl IntoView {
    // As whom the page was made.
    let me = StoredValue::new(link.about.with_value(|about| about.you.id.clone()));
    let more = memo(move || link.with_here(Here::more));
    let people = memo(move || link.with_here(|here| me.with_value(|me| here.people(me))));
    view! {
        <section id="people" class="people" popover="auto" aria-label=say::people_in_room()>
            <ul
                tabindex="0"
                aria-label=say::people()
                inner_html=text(move || people.with(|people| me.with_value(|me| people.iter().map(|person| item(person, me)).collect::<String>())))
            ></ul>
            {when(move || more.get() != 0, move || {
                view! {
                    <p class="more" inner_html=text(move || say::and_more(more.get()))></p>
                }
            })}
            {when(move || link.with_here(Here::count) == 0, move || {
                view! {
                    <p class="more">{say::nobody_here()}</p>
                }
            })}
        </section>
    }
}

/// Somebody who is there.
fn item(person: &Person, me: &str) -> String {
    let (hue, initial, name) = (hue(&person.id), words(&initial(&person.name)), words(&person.name));
    let you = if person.id == me { format!("<span class=\"you\">{}</span>", say::you_mark()) } else { String::new() };
    let mark = if you.is_empty() { mark(person) } else { String::new() };
    format!(
        "<li><span class=\"avatar\" data-hue=\"{hue}\" aria-hidden=\"true\">{initial}</span>\
         <bdi class=\"name\" title=\"{name}\">{name}</bdi>{mark}{you}</li>"
    )
}

/// Who is writing. The line is always there, so that nothing moves when somebody begins or stops; it is read out to nobody, since
/// that would drown what is said.
#[component]
pub(super) fn TypingLine(link: RoomLink) -> impl IntoView {
    let typists = memo(move || link.with_here(Here::typists));
    view! {
        <p class="typing" aria-live="off" inner_html=text(move || said(&typists.get()))></p>
    }
}

/// Who is writing, in words, as what is in an element.
fn said(typists: &Typists) -> String {
    let name = |name: &String| format!("<bdi>{}</bdi>", words(name));
    match typists {
        Typists::Nobody => String::new(),
        Typists::One(one) => say::typing_one(name(one)),
        Typists::Two(one, other) => say::typing_two(name(one), name(other)),
        Typists::Several => say::typing_several().to_owned(),
    }
}
