//! Searching: the form, the way to it, and the page of what was found. It needs no script, and the server alone renders it; the
//! browser shows its times by the reader's clock (`browser/still.rs`).

use leptos::prelude::*;

#[cfg(feature = "ssr")]
use super::{
    Outcome, SearchPage,
    components::{Me, TopBar, clock, mark},
    words::words,
};
use crate::wire::Group;
#[cfg(feature = "ssr")]
use crate::wire::{Hit, Segment};

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
        Some(group) => format!("Search in {group}"),
        None => "Search all rooms".to_owned(),
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
                <button type="submit">"Search"</button>
            </div>
            {mistake.map(|text| view! { <p id="search-mistake" class="mistake">{text}</p> })}
        </form>
    }
}

/// The way from a room to the form that searches it.
#[component]
pub(super) fn SearchLink(name: String) -> impl IntoView {
    view! {
        <a class="search-link" href=format!("/search/?room={name}") aria-label="Search in this room" title="Search in this room">
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
    let mistake = (outcome == Outcome::TooLong)
        .then(|| format!("This is {} characters long; a search has at most {longest}.", text.chars().count()));
    let back = group.clone();
    view! {
        <TopBar title="‹ Rooms".to_owned()>
            <Me called=RwSignal::new(you.name.clone()) you next=here />
        </TopBar>
        <main class="searching">
            <h1>"Search"</h1>
            <SearchForm group text mistake />
            {back.map(|group| {
                view! {
                    <p>
                        <a href=format!("/room/{group}/")>{format!("Back to {group}")}</a>
                        " · "
                        <a href="/search/">"Search all rooms"</a>
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
        Outcome::Nothing => {
            "A message is found that has all words, in any case and with or without accents; of the last one three \
                             letters are enough. What stands in \"quotation marks\" is found word for word."
                .to_owned()
        }
        Outcome::Found { hits, complete } => match (hits.len(), complete) {
            (0, true) => "Nothing was found.".to_owned(),
            (0, false) => "Nothing was found among the newer messages. Add a word, or search in one room.".to_owned(),
            (1, true) => "One message was found:".to_owned(),
            (count, true) => format!("The {count} messages that fit best:"),
            (count, false) => format!("Of the newer messages, the {count} that fit best:"),
        },
        Outcome::TooLong => String::new(),
        Outcome::NotKept => "What is said in this room is not kept in the store, so it cannot be searched.".to_owned(),
        Outcome::Unavailable => "The messages cannot be searched now. Try again in a moment.".to_owned(),
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
