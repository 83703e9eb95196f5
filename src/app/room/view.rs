//! The page of a room.

use leptos::prelude::*;

use super::{
    RoomState,
    actions::{ActionMenu, Actions, DeleteQuestion, step},
    composer::Composer,
    link::About,
    message,
    presence::{People, TypingLine},
    reader::Reader,
};
use crate::app::{
    Client, Intent, Loading, RoomLink, RoomPage, Status,
    client::renders,
    components::{Me, TopBar},
    live::{click, live, memo, text, when},
    search::SearchLink,
    words::words,
};

#[component]
pub(crate) fn Room(page: RoomPage) -> impl IntoView {
    let called = page.called().to_owned();
    let RoomPage { group, you, stretch, members, form_key, longest, mistake, owned } = page;
    let name = group.to_string();
    let here = format!("/room/{group}/");
    let (title, next) = (name.clone(), here.clone());
    let about_room = owned.as_ref().map(|owned| (owned.topic.clone(), format!("{here}settings")));
    let me = StoredValue::new(you.id.clone());
    let about = About { group, you: you.clone() };
    // What the form sent in vain, and why.
    let (refused, entered) = mistake.unzip();
    let link = RoomLink {
        state: RwSignal::new(RoomState::new(stretch).with_members(members).read_by(&you.id)),
        list: Trigger::new(),
        here: Trigger::new(),
        status: RwSignal::new(Status::Rendered),
        called: RwSignal::new(you.name.clone()),
        unseen: RwSignal::new(0),
        away: RwSignal::new(false),
        loading: RwSignal::new(Loading::Idle),
        returning: RwSignal::new(Loading::Idle),
        edits: RwSignal::default(),
        problem: RwSignal::new(refused),
        announcement: RwSignal::new(String::new()),
        log: NodeRef::new(),
        composer: NodeRef::new(),
        about: StoredValue::new(about),
        ask: StoredValue::new(None),
    };
    let actions = Actions::new(link);
    let is_past = link.state.with_untracked(RoomState::is_past);
    let client = use_context::<Client>();
    Effect::new(move || {
        if let Some(client) = client {
            (client.room)(link);
        }
    });
    let reason = move || {
        link.status.with(|status| match status {
            Status::Closed { reason: Some(reason) } if !reason.is_empty() => Some(reason.clone()),
            _ => None,
        })
    };
    view! {
        <TopBar title="Rooms".to_owned() back=true>
            <h1 class="title" title=called.clone()>
                {called.clone()}
            </h1>
            {about_room.map(|(topic, settings)| view! { <AboutRoom topic settings /> })}
            <SearchLink name=title />
            <People link me />
            <Connection link />
            <Me you called=link.called next />
        </TopBar>
        <main class="room" class:alive=live(move || actions.alive.get())>
            {when(move || reason().is_some(), move || {
                view! {
                    <p
                        class="reason"
                        role="alert"
                        inner_html=text(move || {
                            words(&format!("The server has closed the connection: {}.", reason().unwrap_or_default()))
                        })
                    ></p>
                }
            })}
            <Log link name=name.clone() here=here.clone() actions />
            // Where the page is alive there is a button above the list's end.
            {is_past
                .then(|| {
                    view! {
                        <p class="archive">
                            "These are earlier messages. " <a class="button" href=here.clone()>
                                "Go to the latest"
                            </a>
                        </p>
                    }
                })}
            <TypingLine link />
            <Composer link actions name=name here form_key longest entered />
            <ActionMenu actions />
            <DeleteQuestion actions />
            <div
                class="visually-hidden"
                role="status"
                aria-live="polite"
                inner_html=text(move || link.announcement.with(|text| words(text)))
            ></div>
        </main>
    }
}

/// What a room is about that somebody owns, and the way to its settings.
#[component]
fn AboutRoom(topic: String, settings: String) -> impl IntoView {
    view! {
        {(!topic.is_empty()).then(|| view! { <span class="topic">{topic}</span> })}
        <a class="about" href=settings>
            "About"
        </a>
    }
}

/// How the connection is doing, and the button that closes and opens it.
#[component]
fn Connection(link: RoomLink) -> impl IntoView {
    let word = move || {
        link.status.with(|status| match status {
            Status::Rendered => "",
            Status::Connecting => "Connecting…",
            Status::Connected => "Connected",
            Status::Closed { .. } => "Connection closed",
        })
    };
    let kind = move || {
        link.status.with(|status| match status {
            Status::Rendered => "rendered",
            Status::Connecting => "connecting",
            Status::Connected => "connected",
            Status::Closed { .. } => "closed",
        })
    };
    let closed = move || link.status.with(|status| matches!(status, Status::Closed { .. }));
    let alive = move || link.status.with(|status| *status != Status::Rendered);
    view! {
        <div class="connection" data-status=live(kind)>
            <span class="status" role="status" inner_html=text(word)></span>
            {when(alive, move || {
                view! {
                    <button
                        type="button"
                        class="quiet"
                        on:click=click(move |_| link.request(if closed() { Intent::Reconnect } else { Intent::Close }))
                    >
                        <span inner_html=text(move || if closed() { "Connect" } else { "Close" })></span>
                        {when(move || !closed(), || view! { <span class="word">" connection"</span> })}
                    </button>
                }
            })}
        </div>
    }
}

/// Names the list, so that a page of later messages opens at its beginning.
const MESSAGES: &str = "messages";

/// The messages. The scrolling element is a reversed column, so that it stands at its end from the first paint on, with scripts
/// or without.
#[component]
fn Log(link: RoomLink, name: String, here: String, actions: Actions) -> impl IntoView {
    let state = link.state;
    let older = memo(move || link.with_list(RoomState::older_than));
    let newer = memo(move || state.with(RoomState::newer_than));
    // Where the server has rendered them they are there; what becomes of them is up to `browser/room/list.rs`.
    let rows = if renders() {
        let reader = |me: &String| state.with_untracked(|state| message::all(state, &Reader::of_the_page(me)));
        link.about.with_value(|about| reader(&about.you.id))
    } else {
        String::new()
    };
    // Without scripts the link leads to a page of its own.
    let load = move |event: leptos::ev::MouseEvent, intent: Option<Intent>| {
        if link.ask.with_value(Option::is_some)
            && let Some(intent) = intent
        {
            event.prevent_default();
            link.request(intent);
        }
    };
    let touch = use_context::<Client>().map(|client| client.touch);
    let later_here = here.clone();
    view! {
        <div class="log" role="log" aria-live="off" aria-label=format!("Messages in {name}") tabindex="0" node_ref=link.log>
            <div class="inner">
                {live(move || {
                    older.get().map(|before| {
                        let label = move || match link.loading.get() {
                            Loading::Idle => "Earlier messages",
                            Loading::Busy => "Loading earlier messages…",
                            Loading::Failed => "Earlier messages could not be loaded. Try again",
                        };
                        view! {
                            <a
                                class="older"
                                href=format!("{here}?before={before}")
                                on:click=click(move |event| load(event, older.get_untracked().map(Intent::Older)))
                                inner_html=text(label)
                            ></a>
                        }
                    })
                })}
                {when(move || link.with_list(|state| state.rows().is_empty()), move || {
                    view! {
                        <p class="empty">"Nothing has been said here yet. Say the first thing."</p>
                    }
                })}
                <ol
                    class="messages"
                    id=MESSAGES
                    inner_html=rows
                    on:keydown=|event| step(&event)
                    on:click=click(move |event| actions.pressed(&event, touch))
                ></ol>
                {live(move || {
                    newer.get().map(|after| {
                        let label = move || match link.returning.get() {
                            Loading::Idle => "Later messages",
                            Loading::Busy => "Loading later messages…",
                            Loading::Failed => "Later messages could not be loaded. Try again",
                        };
                        view! {
                            <a
                                class="newer"
                                href=format!("{later_here}?after={after}#{MESSAGES}")
                                on:click=click(move |event| load(event, newer.get_untracked().map(Intent::Newer)))
                                inner_html=text(label)
                            ></a>
                        }
                    })
                })}
                <div class="jump">
                    {when(move || link.away.get(), move || {
                        view! {
                            <button
                                type="button"
                                on:click=click(move |_| link.request(Intent::JumpToLatest))
                                inner_html=text(move || match link.unseen.get() {
                                    0 => "Jump to latest".to_owned(),
                                    new => format!("Jump to latest ({new} new)"),
                                })
                            ></button>
                        }
                    })}
                </div>
            </div>
        </div>
    }
}
