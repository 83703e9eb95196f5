//! The page of a room.

use leptos::prelude::*;

use super::{
    RoomState,
    actions::{ActionMenu, Actions, DeleteQuestion, step},
    composer::{Barred, Composer},
    link::About,
    message,
    presence::{People, PeopleButton, TypingLine},
    reader::Reader,
};
#[cfg(not(feature = "ssr"))]
use crate::app::{
    components::take_over_me,
    part::{Part, take_over},
};
use crate::{
    app::{
        Client, Intent, Loading, RoomLink, RoomPage, Status,
        client::renders,
        components::{Me, TopBar},
        live::{click, live, memo, text, when},
        page::OwnedRoom,
        search::SearchLink,
        words::words,
    },
    locales::{app as common, room as say},
    wire::{Key, Person},
};

/// The page of a room: what it is made of, and the link to the browser.
#[derive(Clone)]
pub struct RoomView {
    pub link: RoomLink,
    actions: Actions,
    you: Person,
    called: String,
    name: String,
    /// Its address.
    here: String,
    owned: Option<OwnedRoom>,
    form_key: Key,
    longest: usize,
    /// What the form sent in vain.
    entered: Option<String>,
}

impl RoomView {
    pub fn new(page: RoomPage) -> Self {
        let called = page.called().to_owned();
        let RoomPage { group, you, stretch, members, form_key, longest, mistake, owned, may } = page;
        let (name, here) = (group.to_string(), format!("/room/{group}/"));
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
            about: StoredValue::new(About { group, you: you.clone(), may: RwSignal::new(may) }),
            ask: StoredValue::new(None),
        };
        Self { link, actions: Actions::new(link), you, called, name, here, owned, form_key, longest, entered }
    }

    /// All of it.
    pub fn whole(self) -> impl IntoView {
        let Self { link, actions, you, called, name, here, owned, .. } = self.clone();
        let is_past = link.state.with_untracked(RoomState::is_past);
        let about = owned.map(|owned| (owned.topic, format!("{here}settings")));
        let next = here.clone();
        view! {
            <TopBar title=common::rooms().to_owned() back=true>
                <h1 class="title" title=called.clone()>
                    {called.clone()}
                </h1>
                {about.map(|(topic, settings)| view! { <AboutRoom topic settings /> })}
                <SearchLink name=name.clone() />
                <PeopleButton link />
                <People link />
                <Connection link />
                <Me you called=link.called next />
            </TopBar>
            <main class="room">
                <Reason link />
                {self.log()}
                // Where the page is alive there is a button above the list's end.
                {is_past
                    .then(|| {
                        view! {
                            <p class="archive">
                                {say::these_are_earlier()} " " <a class="button" href=here>
                                    {say::go_to_latest()}
                                </a>
                            </p>
                        }
                    })}
                <TypingLine link />
                <Barred link />
                {self.composer()}
                <ActionMenu actions />
                <DeleteQuestion actions />
                <Announced link />
            </main>
        }
    }

    fn log(&self) -> impl IntoView + use<> {
        view! { <Log link=self.link name=self.name.clone() here=self.here.clone() actions=self.actions /> }
    }

    fn composer(&self) -> impl IntoView + use<> {
        let Self { link, actions, name, here, form_key, longest, entered, .. } = self.clone();
        view! { <Composer link actions name here form_key longest entered /> }
    }

    /// What of it is made alive at once, one part after the other: first what is read and written, last what opens when it is asked for.
    #[cfg(not(feature = "ssr"))]
    pub fn parts(&self) -> Vec<Part> {
        let Self { link, actions, you, .. } = self;
        let (link, actions, me) = (*link, *actions, you.id.clone());
        let (log, composer) = (self.clone(), self.clone());
        vec![
            Part::new(move |page| take_over(page, ".log", log.log())),
            Part::new(move |page| take_over(page, ".composer", composer.composer())),
            Part::new(move |page| {
                take_over(page, ".people-button", view! { <PeopleButton link /> });
                take_over(page, "#people", view! { <People link /> });
            }),
            Part::new(move |page| take_over_me(page, me, link.called)),
            Part::new(move |page| {
                take_over(page, ".connection", view! { <Connection link /> });
                take_over(page, ".reason", view! { <Reason link /> });
                take_over(page, ".typing", view! { <TypingLine link /> });
                take_over(page, ".barred", view! { <Barred link /> });
                take_over(page, ".announced", view! { <Announced link /> });
            }),
            Part::new(move |page| {
                take_over(page, ".actions", view! { <ActionMenu actions /> });
                take_over(page, ".question", view! { <DeleteQuestion actions /> });
            }),
        ]
    }
}

/// Why the server has closed the connection, where it has said so.
#[component]
fn Reason(link: RoomLink) -> impl IntoView {
    let said = move || {
        link.status.with(|status| match status {
            Status::Closed { reason: Some(reason) } if !reason.is_empty() => words(&say::closed_because(reason)),
            _ => String::new(),
        })
    };
    view! { <p class="reason" role="alert" inner_html=text(said)></p> }
}

/// What a screen reader is told of what comes.
#[component]
fn Announced(link: RoomLink) -> impl IntoView {
    let told = move || link.announcement.with(|text| words(text));
    view! { <div class="announced visually-hidden" role="status" aria-live="polite" inner_html=text(told)></div> }
}

/// What a room is about that somebody owns, and the way to its settings.
#[component]
fn AboutRoom(topic: String, settings: String) -> impl IntoView {
    view! {
        {(!topic.is_empty()).then(|| view! { <span class="topic">{topic}</span> })}
        <a class="about" href=settings>
            {say::about()}
        </a>
    }
}

/// How the connection is doing, and the button that closes and opens it.
#[component]
fn Connection(link: RoomLink) -> impl IntoView {
    let word = move || {
        link.status.with(|status| match status {
            Status::Rendered => "",
            Status::Connecting => say::connecting(),
            Status::Connected => say::connected(),
            Status::Closed { .. } => say::connection_closed(),
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
                        <span inner_html=text(move || if closed() { say::connect() } else { say::close() })></span>
                        {when(move || !closed(), || view! { <span class="word">{say::of_connection()}</span> })}
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
        <div class="log" role="log" aria-live="off" aria-label=say::messages_in(name) tabindex="0" node_ref=link.log>
            <div class="inner">
                {live(move || {
                    older.get().map(|before| {
                        let label = move || match link.loading.get() {
                            Loading::Idle => say::earlier(),
                            Loading::Busy => say::earlier_loading(),
                            Loading::Failed => say::earlier_failed(),
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
                        <p class="empty">{say::nothing_said()}</p>
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
                            Loading::Idle => say::later(),
                            Loading::Busy => say::later_loading(),
                            Loading::Failed => say::later_failed(),
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
                                    0 => say::jump().to_owned(),
                                    new => say::jump_new(new),
                                })
                            ></button>
                        }
                    })}
                </div>
            </div>
        </div>
    }
}
