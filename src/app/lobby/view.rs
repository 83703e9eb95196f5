//! The page of the list of rooms.

use leptos::prelude::*;

use super::{LobbyLink, LobbyState};
#[cfg(not(feature = "ssr"))]
use crate::app::{
    components::take_over_me,
    part::{Part, take_over},
};
use crate::{
    app::{
        ZoneOf,
        client::renders,
        components::{Me, TopBar, clock, mark},
        live::{click, effect, live, memo, text, when},
        markup::{Inner, Markup, element},
        page::{Alike, LobbyPage},
        search::SearchForm,
        status::{Loading, Status},
        words::words,
    },
    locales::app as say,
    wire::{Person, RoomSummary, beginning},
};

/// The page of the list, with the link to the browser.
#[derive(Clone)]
pub struct LobbyView {
    pub link: LobbyLink,
    you: Person,
    name: String,
    mistake: Option<(String, String)>,
    alike: Option<Alike>,
    /// The rooms of the reader's own, as HTML.
    own: Option<String>,
}

impl LobbyView {
    pub fn new(page: LobbyPage) -> Self {
        let LobbyPage { you, list, name, first, mistake, alike, own } = page;
        let link = LobbyLink {
            state: RwSignal::new(LobbyState::named(&name, list)),
            status: RwSignal::new(Status::Rendered),
            called: RwSignal::new(you.name.clone()),
            name: RwSignal::new(name.clone()),
            first,
            list: NodeRef::new(),
            loading: RwSignal::new(Loading::Idle),
            read: StoredValue::new(None),
        };
        Self { link, you, name, mistake, alike, own }
    }

    /// All of it.
    pub fn whole(self) -> impl IntoView {
        let (link, you) = (self.link, self.you.clone());
        view! {
            <TopBar title="Confab".to_owned()>
                <Me you called=link.called next="/".to_owned() />
            </TopBar>
            <Lobby page=self />
        }
    }

    /// What of it is made alive at once, one part after the other.
    #[cfg(not(feature = "ssr"))]
    pub fn parts(&self) -> Vec<Part> {
        let (page, me, called) = (self.clone(), self.you.id.clone(), self.link.called);
        vec![
            Part::new(move |app| take_over(app, ".lobby", view! { <Lobby page /> })),
            Part::new(move |app| take_over_me(app, me, called)),
        ]
    }
}

#[component]
fn Lobby(page: LobbyView) -> impl IntoView {
    let LobbyView { link, name, mistake, alike, own, .. } = page;
    let (state, status, first) = (link.state, link.status, link.first);
    let is_empty = memo(move || link.name.with(|name| state.with(|state| state.with_name(name).next().is_none())));
    // As in a room.
    let items = if renders() { state.with_untracked(|state| rooms(state, &name, |_| 0)) } else { Vec::new() };
    let items: String = items.iter().map(Markup::html).collect();
    let (mistake, entered) = mistake.unzip();
    let described = mistake.is_some().then_some("group-mistake");
    let entered = entered.or_else(|| alike.as_ref().map(|alike| alike.entered.to_string())).unwrap_or(name);
    let lost = use_lost(status);
    view! {
        <main class="lobby">
            <h1>{say::rooms()}</h1>
            <form class="goto" method="get" action="/room/">
                <label for="group">{say::go_to_room()}</label>
                <div class="field">
                    <input
                        id="group"
                        name="group"
                        required
                        maxlength="64"
                        pattern="[A-Za-z0-9_\\-]+"
                        title=say::letters()
                        autocomplete="off"
                        autocapitalize="none"
                        spellcheck="false"
                        placeholder="general"
                        value=entered
                        on:input=move |event| link.name.set(event_target_value(&event).trim().to_owned())
                        aria-invalid=mistake.is_some().then_some("true")
                        aria-describedby=described
                    />
                    <button type="submit">{say::enter()}</button>
                    <button type="submit" class="find" formaction="/" formnovalidate>
                        {say::find()}
                    </button>
                </div>
                {mistake.map(|text| view! { <p id="group-mistake" class="mistake">{text}</p> })}
            </form>
            {alike.map(|alike| view! { <Mistakable alike /> })}
            <SearchForm />
            {own.map(|own| view! { <section class="own" aria-label=say::your_rooms() inner_html=own></section> })}
            <p
                class="lost"
                role="status"
                inner_html=text(move || if lost.get() { say::list_lost() } else { "" })
            ></p>
            {(!first).then(|| view! { <p><a href="/">{say::newest_rooms()}</a></p> })}
            {when(move || is_empty.get(), move || {
                view! {
                    <p
                        class="empty"
                        inner_html=text(move || match link.name.get() {
                            name if !name.is_empty() => words(&say::no_room_has(name)),
                            _ if state.with(|state| state.next("").is_some()) || !first => say::no_rooms_here().to_owned(),
                            _ => say::no_rooms_yet().to_owned(),
                        })
                    ></p>
                }
            })}
            <ul class="rooms" hidden=live(move || is_empty.get()) inner_html=items node_ref=link.list></ul>
            <More link />
        </main>
    }
}

/// So long may a connection be away before it is said, in milliseconds: most come back before.
const LOST_AFTER: u64 = 3_000;

/// Whether the page has been without a connection for a while.
fn use_lost(status: RwSignal<Status>) -> RwSignal<bool> {
    let lost = RwSignal::new(false);
    let is_lost = move || !matches!(status.get_untracked(), Status::Rendered | Status::Connected);
    effect(move || {
        status.track();
        if is_lost() {
            let late = move || lost.set(is_lost());
            set_timeout(late, std::time::Duration::from_millis(LOST_AFTER));
        } else {
            lost.set(false);
        }
    });
    lost
}

/// Which of two rooms is meant.
#[component]
fn Mistakable(alike: Alike) -> impl IntoView {
    let Alike { entered, there } = alike;
    view! {
        <div class="mistakable" role="group" aria-label=say::which_room()>
            <p inner_html=say::there_is_room(format_args!("<b>{there}</b>"), format_args!("<b>{entered}</b>"))></p>
            <div class="field">
                <a class="button" href=format!("/room/{there}/") autofocus>
                    {say::go_to(&there)}
                </a>
                <a class="button quiet" href=format!("/room/{entered}/")>
                    {say::make(&entered)}
                </a>
            </div>
        </div>
    }
}

/// The way to further rooms: read into the list where the page is alive, a page of its own elsewhere.
#[component]
fn More(link: LobbyLink) -> impl IntoView {
    let next = memo(move || {
        let name = link.name.get();
        link.state.with(|state| state.next(&name).map(|next| (name.clone(), next.to_owned())))
    });
    let label = move || match link.loading.get() {
        Loading::Idle => say::more_rooms(),
        Loading::Busy => say::loading_rooms(),
        Loading::Failed => say::rooms_not_loaded(),
    };
    let read = move |event: leptos::ev::MouseEvent| {
        if let Some(read) = link.read.get_value() {
            event.prevent_default();
            read();
        }
    };
    move || {
        next.get().map(|(name, next)| {
            view! {
                <a class="more" href=address(&name, &next) on:click=click(read) inner_html=text(label)></a>
            }
        })
    }
}

/// The page with further rooms. A name that no room can have needs no way on.
fn address(name: &str, next: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let name: String = name.chars().filter(|c| is_plain(*c)).collect();
    format!("/?group={name}&before={next}")
}

/// The rooms that have this in their names, as a reader sees them by their clock.
pub fn rooms(state: &LobbyState, name: &str, zone: ZoneOf) -> Vec<Markup> {
    state.with_name(name).map(|room| item(room, zone)).collect()
}

fn item(RoomSummary { group, latest }: &RoomSummary, zone: ZoneOf) -> Markup {
    let latest = latest.as_ref().map(|latest| {
        let message = &latest.message;
        let said = if message.content.deleted {
            format!("<i>{}</i>", say::message_deleted())
        } else {
            format!("<bdi>{}</bdi>", words(&beginning(&message.content.text)))
        };
        let (author, mark) = (words(&message.from.name), mark(&message.from));
        let clock = clock(message.at, zone, true).html();
        let says = say::says(format_args!("<bdi class=\"author\">{author}</bdi>{mark}"), said);
        format!("<span class=\"latest\">{says}</span>{clock}")
    });
    let html = format!("<span class=\"name\">{group}</span>{}", latest.unwrap_or_default());
    let link = element("a", &[("href", &format!("/room/{group}/"))], html);
    Markup { tag: "li", attributes: vec![("data-room", group.to_string())], inner: Inner::Elements(vec![link]) }
}
