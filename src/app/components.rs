//! Small parts that several pages use.

use leptos::{either::Either, prelude::*};

#[cfg(not(feature = "ssr"))]
use super::part::take_over;
use super::{
    ZoneOf,
    live::text,
    markup::{Markup, element},
    words::words,
};
use crate::{
    locales::{Language, app as say, dates, here},
    wire::{Person, Timestamp, first_cluster, uppercase},
};

/// The bar at the top of every page; its title leads home. With `back` an arrow stands before it, and on narrow screens for it.
#[component]
pub(super) fn TopBar<C: IntoView + 'static>(
    title: String,
    #[prop(optional)] back: bool,
    children: TypedChildren<C>,
) -> impl IntoView {
    view! {
        <header class="bar">
            <a class="home" class:back=back href="/">
                {back.then(|| view! { <span class="arrow" aria-hidden="true">"‹ "</span> })} <span class="word">{title}</span>
            </a>
            {children.into_inner()()}
        </header>
    }
}

/// Who the reader is, and the form to be called something else. A popover of the browser's own: it closes on Escape and on a
/// click beside it, and needs no script.
#[component]
pub(super) fn Me(you: Person, called: RwSignal<String>, next: String) -> impl IntoView {
    let id = you.id;
    let links = if you.handle.is_some() {
        Either::Left(view! {
            <p class="me-links">
                <a href="/account/">{say::your_account()}</a>
                <a href="/logout">{say::sign_out()}</a>
            </p>
        })
    } else {
        // What is asked of a page would end where the next parameter begins.
        let to = format!("/login?next={}", next.split('?').next().unwrap_or("/"));
        Either::Right(view! {
            <p class="me-links">
                <a href=to>{say::sign_in()}</a>
            </p>
        })
    };
    view! {
        <MeButton id called />
        <form id="me" class="me-form" method="post" action="/me" popover="auto">
            <label for="name">{say::others_call_you()}</label>
            <div class="field">
                <NameField called />
                <input type="hidden" name="next" value=next />
                <button type="submit">{say::save()}</button>
            </div>
            {links}
            <Languages />
        </form>
    }
}

/// The other languages of the page, each to be chosen: by the form around them, which is sent elsewhere for that.
#[component]
fn Languages() -> impl IntoView {
    let others = Language::ALL.into_iter().filter(|language| *language != here());
    let button = |language: Language| {
        view! {
            <button
                type="submit"
                class="quiet"
                name="language"
                value=language.tag()
                lang=language.tag()
                formaction="/language"
                formnovalidate
            >
                {language.own_name()}
            </button>
        }
    };
    view! { <p class="me-links">{others.map(button).collect_view()}</p> }
}

/// What opens the form, with who the reader is.
#[component]
fn MeButton(id: String, called: RwSignal<String>) -> impl IntoView {
    view! {
        <button type="button" class="me" popovertarget="me">
            <span
                class="avatar"
                data-hue=hue(&id)
                aria-hidden="true"
                inner_html=text(move || called.with(|name| words(&initial(name))))
            ></span>
            <span class="visually-hidden">{say::you_are()}</span>
            <bdi class="name" inner_html=text(move || called.with(|name| words(name)))></bdi>
        </button>
    }
}

/// Where the reader's name is changed.
#[component]
fn NameField(called: RwSignal<String>) -> impl IntoView {
    view! { <input id="name" name="name" required maxlength="40" autocomplete="nickname" value=text(move || called.get()) /> }
}

/// Makes alive what of [`Me`] changes.
#[cfg(not(feature = "ssr"))]
pub(super) fn take_over_me(page: &web_sys::Element, id: String, called: RwSignal<String>) {
    take_over(page, ".me", view! { <MeButton id called /> });
    take_over(page, "#name", view! { <NameField called /> });
}

/// The mark behind a name: of what no person has said, and of a guest; of whoever else could be taken for another one, the handle. HTML.
pub fn mark(from: &Person) -> String {
    let kind = |kind, called| format!(" <span class=\"{kind}\">{called}</span>");
    match from.told_apart_by() {
        _ if from.is_program() => kind("program", say::program()),
        _ if from.is_guest() => kind("guest", say::guest()),
        Some(handle) => format!(" <bdi class=\"handle\">@{}</bdi>", words(handle)),
        None => String::new(),
    }
}

/// The same in a line of text.
pub fn called(from: &Person) -> String {
    match from.told_apart_by() {
        _ if from.is_guest() => say::called_guest(&from.name),
        Some(handle) => say::called_handle(&from.name, handle),
        None => from.name.clone(),
    }
}

/// A time of day on the reader's clock; with `day`, the date where it is not obvious from the surroundings.
pub fn clock(at: Timestamp, zone: ZoneOf, day: bool) -> Markup {
    let local = at.civil(zone(at));
    let time = format!("{:02}:{:02}", local.hour(), local.minute());
    let time = if day { format!("{} {time}", date(at, zone)) } else { time };
    element("time", &[("datetime", &*at.to_string()), ("title", &moment(at, zone))], words(&time))
}

/// A day and a time of it to the second, `20 Nov 2026 12:00:00`.
pub(super) fn moment(at: Timestamp, zone: ZoneOf) -> String {
    let local = at.civil(zone(at));
    format!("{} {:02}:{:02}:{:02}", date(at, zone), local.hour(), local.minute(), local.second())
}

/// A calendar day, as people write it.
pub(super) fn date(at: Timestamp, zone: ZoneOf) -> String {
    let local = at.civil(zone(at));
    dates::date(local.day(), local.month().into(), local.year())
}

/// The character that stands for a name.
pub fn initial(name: &str) -> String {
    uppercase(first_cluster(name.trim()))
}

/// A number from 0 to 11 that is always the same for the same person; the stylesheet has a colour for each.
pub fn hue(id: &str) -> String {
    // FNV-1a: any hash will do that both sides compute alike.
    let hash = id.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (hash % 12).to_string()
}
