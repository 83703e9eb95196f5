//! Searching: the form, the way to it, and the page of what was found. It needs no script, and the server alone renders it; the
//! browser shows its times by the reader's clock (`browser/still.rs`).

use leptos::prelude::*;

#[cfg(feature = "ssr")]
use super::{
    Outcome, SearchPage,
    components::{Me, TopBar, clock, mark},
    words::words,
};
#[cfg(feature = "ssr")]
use crate::locales::still;
#[cfg(feature = "ssr")]
use crate::wire::{Hit, Segment};
use crate::{locales::app as say, wire::Group};

/// The form that searches a room, or all of them.
#[component]
pub(super) fn SearchForm(
    #[prop(optional_no_strip)] group: Option<Group>,
    #[prop(optional)] text: String,
    /// What was wrong with the text.
    #[prop(optional_no_strip)]
    mistake: Option<String>,
) -> impl IntoView {
    let label = match &group {
        Some(group) => say::search_in(group),
        None => say::search_all().to_owned(),
    };
    let described = mistake.is_some().then_some("search-mistake");
    view! {
        <form class="search-form" role="search" method="get" action="/search/">
            <label for="q">{label}</label>
            <div class="field">
                <input
                    id="q"
                    type="search"
                    name="q"
                    autocomplete="off"
                    value=text
                    aria-invalid=mistake.is_some().then_some("true")
                    aria-describedby=described
                />
                {group.map(|group| view! { <input type="hidden" name="room" value=group.to_string() /> })}
                <button type="submit">{say::search()}</button>
            </div>
            {mistake.map(|text| view! { <p id="search-mistake" class="mistake">{text}</p> })}
        </form>
    }
}

/// The way from a room to the form that searches it.
#[component]
pub(super) fn SearchLink(name: String) -> impl IntoView {
    view! {
        <a class="search-link" href=format!("/search/?room={name}") aria-label=say::search_in_this_room() title=say::search_in_this_room()>
            <svg width="20" height="20" viewBox="0 0 20 20" fill="none" stroke="currentColor" stroke-width="2" aria-hidden="true">
                <circle cx="8.5" cy="8.5" r="5.5" />
                <path d="m13 13 5 5" stroke-linecap="round" />
            </svg>
        </a>
    }
}

#[cfg(feature = "ssr")]
#[component]
pub(super) fn Search(page: SearchPage) -> impl IntoView {
    let SearchPage { you, group, text, longest, outcome, here } = page;
    let mistake = (outcome == Outcome::TooLong).then(|| still::search_too_long(text.chars().count(), longest));
    let back = group.clone();
    view! {
        <TopBar title=still::back_to_rooms().to_owned()>
            <Me called=RwSignal::new(you.name.clone()) you next=here />
        </TopBar>
        <main class="searching">
            <h1>{say::search()}</h1>
            <SearchForm group text mistake />
            {back.map(|group| {
                view! {
                    <p>
                        <a href=format!("/room/{group}/")>{still::back_to(&group)}</a>
                        " · "
                        <a href="/search/">{say::search_all()}</a>
                    </p>
                }
            })}
            <p role="status">{said(&outcome)}</p>
            {match outcome {
                Outcome::Found { hits, .. } if !hits.is_empty() => {
                    let items: String = hits.iter().map(item).collect();
                    Some(view! { <ol class="hits" inner_html=items></ol> })
                }
                _ => None,
            }}
        </main>
    }
}

/// What came of it, in a sentence.
#[cfg(feature = "ssr")]
fn said(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Nothing => still::how_to_search().to_owned(),
        Outcome::Found { hits, complete } => match (hits.len(), complete) {
            (0, true) => still::nothing_found().to_owned(),
            (0, false) => still::nothing_found_in_newer().to_owned(),
            (1, true) => still::one_found().to_owned(),
            (count, true) => still::found(count),
            (count, false) => still::found_in_newer(count),
        },
        Outcome::TooLong => String::new(),
        Outcome::NotKept => still::not_kept().to_owned(),
        Outcome::Unavailable => still::search_unavailable().to_owned(),
    }
}

/// A message that was found, which leads to its place.
#[cfg(feature = "ssr")]
fn item(Hit { group, offset, from, at, snippet, .. }: &Hit) -> String {
    let segment = |Segment { text, matches }: &Segment| {
        if *matches { format!("<mark>{}</mark>", words(text)) } else { words(text) }
    };
    let (author, mark, clock) = (words(&from.name), mark(from), clock(*at, |_| 0, true).html());
    let snippet: String = snippet.iter().map(segment).collect();
    format!(
        "<li><a href=\"/room/{group}/?around={offset}#message-{offset}\"><span class=\"where\"><span class=\"name\">{group}</span> · \
         <bdi class=\"author\">{author}</bdi>{mark}</span>{clock}<span class=\"snippet\" dir=\"auto\">{snippet}</span></a></li>"
    )
}
