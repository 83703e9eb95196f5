//! The list of rooms: its state and its page.

use leptos::prelude::*;

use super::{
    Alike, Loading, LobbyLink, LobbyPage, Outside, Status, Zone,
    components::{Clock, Me, TopBar, program},
    feed::{Feed, Reducer},
    search::SearchForm,
    words::words,
};
use crate::wire::{Content, Event, Group, MessageId, Offset, RoomList, RoomSummary, State, Stored, Timestamp, beginning};

/// The rooms that the page knows, newest activity first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LobbyState {
    rooms: Vec<RoomSummary>,
    /// What to ask with for the rooms after these; none where all are known.
    next: Option<String>,
    /// The name that was last asked for, and what to ask with for more rooms that have it.
    found: Option<(String, Option<String>)>,
    /// There are none between the rooms that it knows.
    level: bool,
    feed: Feed,
}

impl LobbyState {
    /// The beginning of the list of all rooms.
    pub fn new(RoomList { rooms, next }: RoomList) -> Self {
        Self { rooms, next, found: None, level: true, feed: Feed::default() }
    }

    /// The same, of a list that is followed already.
    pub fn begin_anew(&mut self, list: RoomList) {
        *self = Self { feed: std::mem::take(&mut self.feed), ..Self::new(list) };
    }

    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// False where there may be others between the rooms that it knows: they have to be read anew.
    pub fn is_level(&self) -> bool {
        self.level
    }

    /// The beginning of the list of those that have the name; of the others nothing is known.
    fn named(name: &str, RoomList { rooms, next }: RoomList) -> Self {
        if name.is_empty() {
            return Self::new(RoomList { rooms, next });
        }
        Self { next: Some(String::new()), found: Some((name.to_owned(), next)), ..Self::new(RoomList { rooms, next: None }) }
    }

    pub fn rooms(&self) -> &[RoomSummary] {
        &self.rooms
    }

    /// The rooms that have this in their names, in any case.
    fn with_name(&self, name: &str) -> impl Iterator<Item = &RoomSummary> {
        let name = name.to_ascii_lowercase();
        self.rooms.iter().filter(move |room| room.group.as_str().to_ascii_lowercase().contains(&name))
    }

    /// What to ask with for more rooms that have this in their names, which is nothing where they have not been asked for yet; none
    /// where all are known.
    pub fn next(&self, name: &str) -> Option<&str> {
        let next = self.next.as_deref()?;
        if name.is_empty() {
            return Some(next);
        }
        match &self.found {
            Some((asked, next)) if asked == name => next.as_deref(),
            // Who has the longer name has the shorter one.
            Some((asked, None)) if name.contains(asked) => None,
            _ => Some(""),
        }
    }

    /// More rooms that have this in their names were read.
    pub fn read(&mut self, name: &str, RoomList { rooms, next }: RoomList) {
        for room in rooms {
            self.apply(room);
        }
        if name.is_empty() {
            self.next = next;
        } else {
            self.found = Some((name.to_owned(), next));
        }
    }

    fn room(&self, group: &Group) -> Option<&RoomSummary> {
        self.rooms.iter().find(|room| room.group == *group)
    }

    /// Takes in a room's latest message, or what has become of it; what is older than what is shown changes nothing.
    pub fn apply(&mut self, news: RoomSummary) {
        if self.room(&news.group).is_some_and(|known| is_older(&news, known)) {
            return;
        }
        self.rooms.retain(|room| room.group != news.group);
        let place = self.rooms.partition_point(|room| at(room) > at(&news));
        self.rooms.insert(place, news);
    }
}

impl Reducer for LobbyState {
    fn feed(&mut self) -> &mut Feed {
        &mut self.feed
    }

    /// These are the newest rooms; those after them stay.
    fn snapshot(&mut self, _: bool, state: State) {
        let rooms = state.rooms.unwrap_or_default();
        let Some(oldest) = rooms.iter().map(at).min() else { return self.begin_anew(RoomList::default()) };
        self.level = self.next.as_deref() != Some("") && self.rooms.iter().any(|known| at(known) >= oldest);
        self.rooms.retain(|known| at(known) < oldest && !rooms.iter().any(|room| room.group == known.group));
        self.rooms.splice(..0, rooms);
    }

    fn event(&mut self, _: Option<Offset>, event: Event) {
        if let Event::Room(news) = event {
            self.apply(news);
        }
    }
}

fn at(room: &RoomSummary) -> Option<Timestamp> {
    room.latest.as_ref().map(|latest| latest.message.at)
}

/// Whether this says less of a room than what is known. Its stream tells which message is the later one, for the times of messages
/// are by the clocks of several nodes; only those of different streams, of nodes with a store each, have nothing else.
fn is_older(news: &RoomSummary, known: &RoomSummary) -> bool {
    let (Some(news), Some(known)) = (&news.latest, &known.latest) else { return known.latest.is_some() };
    let stream = |stored: &Stored| stored.message.id.parse::<MessageId>().map(|id| id.epoch).ok();
    let place = |stored: &Stored| {
        let Content { deleted, edited, .. } = stored.message.content;
        (stored.offset, deleted, edited)
    };
    if stream(news) == stream(known) {
        place(news) < place(known)
    } else {
        (news.message.at, place(news)) < (known.message.at, place(known))
    }
}

#[component]
pub(super) fn Lobby(page: LobbyPage) -> impl IntoView {
    let LobbyPage { you, list, name, first, mistake, alike } = page;
    let link = LobbyLink {
        state: RwSignal::new(LobbyState::named(&name, list)),
        status: RwSignal::new(Status::Rendered),
        called: RwSignal::new(you.name.clone()),
        name: RwSignal::new(name.clone()),
        loading: RwSignal::new(Loading::Idle),
        read: StoredValue::new(None),
    };
    let (state, status) = (link.state, link.status);
    let outside = use_context::<Outside>();
    let zone = expect_context::<Zone>().0;
    Effect::new(move || {
        if let Some(outside) = outside {
            zone.set(outside.zone);
            if first {
                (outside.lobby)(link);
            }
        }
    });
    let groups = Memo::new(move |_| {
        let name = link.name.get();
        state.with(|state| state.with_name(&name).map(|room| room.group.clone()).collect::<Vec<_>>())
    });
    let (mistake, entered) = mistake.unzip();
    let described = mistake.is_some().then_some("group-mistake");
    let entered = entered.or_else(|| alike.as_ref().map(|alike| alike.entered.to_string())).unwrap_or(name);
    let lost = use_lost(status);
    view! {
        <TopBar title="Confab".to_owned()>
            <Me you called=link.called next="/".to_owned() />
        </TopBar>
        <main class="lobby">
            <h1>"Rooms"</h1>
            <form class="goto" method="get" action="/room/">
                <label for="group">"Go to a room, or make one"</label>
                <div class="field">
                    <input
                        id="group"
                        name="group"
                        required
                        maxlength="64"
                        pattern="[A-Za-z0-9_\\-]+"
                        title="Letters A to Z, digits, _ and -"
                        autocomplete="off"
                        autocapitalize="none"
                        spellcheck="false"
                        placeholder="general"
                        value=entered
                        on:input=move |event| link.name.set(event_target_value(&event).trim().to_owned())
                        aria-invalid=mistake.is_some().then_some("true")
                        aria-describedby=described
                    />
                    <button type="submit">"Enter"</button>
                    <button type="submit" class="find" formaction="/" formnovalidate>
                        "Find"
                    </button>
                </div>
                {mistake.map(|text| view! { <p id="group-mistake" class="mistake">{text}</p> })}
            </form>
            {alike.map(|alike| view! { <Mistakable alike /> })}
            <SearchForm />
            <p
                class="lost"
                role="status"
                inner_html=move || if lost.get() { "Not connected: what is new does not show here. Trying again…" } else { "" }
            ></p>
            {(!first).then(|| view! { <p><a href="/">"Newest rooms"</a></p> })}
            <Show when=move || groups.with(Vec::is_empty)>
                <p
                    class="empty"
                    inner_html=move || match link.name.get() {
                        name if !name.is_empty() => words(&format!("No room has “{name}” in its name.")),
                        _ if state.with(|state| state.next("").is_some()) || !first => "There are no rooms here.".to_owned(),
                        _ => "No room has been used yet. Name one above and say the first thing.".to_owned(),
                    }
                ></p>
            </Show>
            <ul class="rooms" hidden=move || groups.with(Vec::is_empty)>
                <For each=move || groups.get() key=Clone::clone let:group>
                    <RoomItem state group />
                </For>
            </ul>
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
    Effect::new(move || {
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
        <div class="mistakable" role="group" aria-label="Which room">
            <p>
                "There is a room " <b>{there.to_string()}</b> " already. The room " <b>{entered.to_string()}</b>
                " would be another one: capital letters count."
            </p>
            <div class="field">
                <a class="button" href=format!("/room/{there}/") autofocus>
                    {format!("Go to {there}")}
                </a>
                <a class="button quiet" href=format!("/room/{entered}/")>
                    {format!("Make {entered}")}
                </a>
            </div>
        </div>
    }
}

/// The way to further rooms: read into the list where the page is alive, a page of its own elsewhere.
#[component]
fn More(link: LobbyLink) -> impl IntoView {
    let next = Memo::new(move |_| {
        let name = link.name.get();
        link.state.with(|state| state.next(&name).map(|next| (name.clone(), next.to_owned())))
    });
    let label = move || match link.loading.get() {
        Loading::Idle => "More rooms",
        Loading::Busy => "Loading more rooms…",
        Loading::Failed => "More rooms could not be loaded. Try again",
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
                <a class="more" href=address(&name, &next) on:click=read inner_html=label></a>
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

#[component]
fn RoomItem(state: RwSignal<LobbyState>, group: Group) -> impl IntoView {
    let href = format!("/room/{group}/");
    let name = group.to_string();
    let latest = Memo::new(move |_| state.with(|state| state.room(&group).and_then(|room| room.latest.clone())));
    view! {
        <li>
            <a href=href>
                <span class="name">{name}</span>
                {move || {
                    latest.get().map(|latest| {
                        let message = latest.message;
                        let said = if message.content.deleted {
                            "<i>message deleted</i>".to_owned()
                        } else {
                            format!("<bdi>{}</bdi>", words(&beginning(&message.content.text)))
                        };
                        view! {
                            <span class="latest">
                                <bdi class="author" inner_html=words(&message.from.name)></bdi>
                                {program(&message.from)}
                                ": "
                                <span inner_html=said></span>
                            </span>
                            <Clock at=message.at day=true />
                        }
                    })
                }}
            </a>
        </li>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Content, Joined, Message, Offset, Person, Stored, Timestamp, Topic};

    fn summary(group: &str, offset: u64, at: i64) -> RoomSummary {
        let message = Message {
            id: format!("{group}-{offset}"),
            key: "k".parse().expect("a key"),
            from: Person { id: "ann".to_owned(), name: "Ann".to_owned() },
            content: Content::new("hello"),
            at: Timestamp::from_millis(at),
        };
        RoomSummary { group: group.parse().expect("a group"), latest: Some(Stored { offset: Offset(offset), message }) }
    }

    fn state(rooms: Vec<RoomSummary>) -> LobbyState {
        LobbyState::new(RoomList { rooms, next: None })
    }

    fn names<'s>(state: &'s LobbyState, name: &str) -> Vec<&'s str> {
        state.with_name(name).map(|room| room.group.as_str()).collect()
    }

    fn list(rooms: Vec<RoomSummary>, next: Option<&str>) -> RoomList {
        RoomList { rooms, next: next.map(str::to_owned) }
    }

    #[test]
    fn rooms_are_found_by_a_part_of_their_names_and_asked_for_where_not_all_are_known() {
        let mut state = LobbyState::new(list(vec![summary("Design", 5, 50), summary("ops", 3, 40)], Some("7-")));
        assert_eq!((names(&state, "SIG"), state.next("sig"), state.next("")), (vec!["Design"], Some(""), Some("7-")));
        state.read("sig", list(vec![summary("Design", 5, 50), summary("signals", 2, 20)], Some("4-")));
        assert_eq!((names(&state, "sig"), state.next("sig")), (vec!["Design", "signals"], Some("4-")));
        state.read("sig", list(vec![summary("old-sigma", 2, 10)], None));
        assert_eq!((names(&state, "sig"), state.next("sig")), (vec!["Design", "signals", "old-sigma"], None));
        assert_eq!((state.next("sigm"), state.next("op")), (None, Some("")), "the longer name is known as well");
        state.read("", list(vec![summary("last", 1, 1)], None));
        assert_eq!((state.next(""), state.next("op")), (None, None));
    }

    /// Takes in the answer to a join; false where the list has to be read anew.
    fn joins(list: &mut LobbyState, rooms: Vec<RoomSummary>) -> bool {
        let at = Joined { topic: Topic::Lobby, epoch: "list".parse().expect("an epoch"), offset: Offset::START };
        list.joined(at, State { rooms: Some(rooms), ..State::default() });
        list.is_level()
    }

    #[test]
    fn a_join_brings_the_newest_and_leaves_what_was_read_after_them() {
        let mut state = LobbyState::new(list(vec![summary("a", 5, 50), summary("b", 4, 40), summary("c", 3, 30)], Some("2-")));
        state.read("", list(vec![summary("d", 2, 20)], Some("1-")));
        assert!(joins(&mut state, vec![summary("e", 1, 60), summary("a", 5, 50), summary("b", 4, 40)]));
        assert_eq!((names(&state, ""), state.next("")), (vec!["e", "a", "b", "c", "d"], Some("1-")));
        // What is no longer among the newest is gone.
        assert!(joins(&mut state, vec![summary("e", 1, 60), summary("b", 4, 40)]));
        assert_eq!(names(&state, ""), ["e", "b", "c", "d"]);
        // There may be others between.
        assert!(!joins(&mut state, vec![summary("f", 1, 80), summary("g", 4, 70)]));
        assert_eq!(names(&state, ""), ["f", "g", "e", "b", "c", "d"]);
        assert!(joins(&mut state, vec![]));
        assert_eq!((names(&state, ""), state.next("")), (vec![], None));
    }

    #[test]
    fn the_newest_room_is_first_and_each_is_there_once() {
        let mut state = state(vec![summary("b", 5, 50), summary("a", 3, 30)]);
        state.apply(summary("a", 4, 60));
        state.apply(summary("c", 1, 55));
        let names: Vec<_> = state.rooms().iter().map(|room| room.group.to_string()).collect();
        assert_eq!(names, ["a", "c", "b"]);
    }

    #[test]
    fn what_was_said_later_is_the_latest_although_its_node_has_a_slow_clock() {
        let mut state = state(vec![summary("b", 5, 50), summary("a", 3, 40)]);
        for _ in 0..2 {
            state.apply(summary("a", 4, 30));
            assert_eq!(state.rooms(), [summary("b", 5, 50), summary("a", 4, 30)]);
            state.apply(summary("a", 3, 40));
        }
        // Of another node's stream, whose offsets have nothing to do with these.
        let mut other = summary("a", 1, 60);
        other.latest.as_mut().expect("a message").message.id = "x-1".to_owned();
        state.apply(other.clone());
        state.apply(summary("a", 5, 55));
        assert_eq!(state.rooms(), [other, summary("b", 5, 50)]);
    }

    #[test]
    fn what_becomes_of_a_latest_message_stays() {
        let first = summary("a", 3, 30);
        let amended = |deleted, edited: Option<i64>| {
            let mut room = first.clone();
            let content = &mut room.latest.as_mut().expect("a message").message.content;
            (content.deleted, content.edited) = (deleted, edited.map(Timestamp::from_millis));
            room
        };
        let mut state = state(vec![summary("b", 5, 50), first.clone()]);
        for room in [amended(false, Some(40)), amended(false, Some(41)), amended(true, None)] {
            state.apply(room.clone());
            state.apply(first.clone());
            assert_eq!(state.rooms()[1], room);
        }
    }

    #[test]
    fn of_two_edits_of_one_moment_the_one_that_comes_later_is_shown() {
        let edited = |text: &str| {
            let mut room = summary("a", 3, 30);
            let content = &mut room.latest.as_mut().expect("a message").message.content;
            *content = Content { edited: Some(Timestamp::from_millis(40)), ..Content::new(text) };
            room
        };
        let mut state = state(vec![summary("a", 3, 30)]);
        for text in ["first", "second"] {
            state.apply(edited(text));
            assert_eq!(state.rooms(), [edited(text)]);
        }
    }

    #[test]
    fn older_news_changes_nothing() {
        let mut state = state(vec![summary("b", 5, 50), summary("a", 3, 30)]);
        let before = state.clone();
        state.apply(summary("b", 4, 49));
        state.apply(summary("a", 3, 30));
        assert_eq!(state, before);
    }
}
