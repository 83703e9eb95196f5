//! The list of rooms: its state and its page.

use leptos::prelude::*;

use super::{
    LobbyLink, LobbyPage, Outside, Status, Zone,
    components::{Clock, Me, TopBar},
    search::SearchForm,
};
use crate::wire::{Content, Group, MessageId, RoomSummary, Stored};

/// The rooms, newest activity first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LobbyState {
    rooms: Vec<RoomSummary>,
}

impl LobbyState {
    pub fn new(rooms: Vec<RoomSummary>) -> Self {
        Self { rooms }
    }

    pub fn rooms(&self) -> &[RoomSummary] {
        &self.rooms
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
        let at = |room: &RoomSummary| room.latest.as_ref().map(|latest| latest.message.at);
        let place = self.rooms.partition_point(|room| at(room) > at(&news));
        self.rooms.insert(place, news);
    }
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
    let LobbyPage { you, rooms, mistake } = page;
    let state = RwSignal::new(LobbyState::new(rooms));
    let status = RwSignal::new(Status::Rendered);
    let outside = use_context::<Outside>();
    let zone = expect_context::<Zone>().0;
    Effect::new(move || {
        if let Some(outside) = outside {
            zone.set(outside.zone);
            (outside.lobby)(LobbyLink { state, status });
        }
    });
    let groups = move || state.with(|state| state.rooms().iter().map(|room| room.group.clone()).collect::<Vec<_>>());
    let (mistake, entered) = mistake.unzip();
    let described = mistake.is_some().then_some("group-mistake");
    view! {
        <TopBar title="Confab".to_owned()>
            <Me you next="/".to_owned() />
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
                        aria-invalid=mistake.is_some().then_some("true")
                        aria-describedby=described
                    />
                    <button type="submit">"Enter"</button>
                </div>
                {mistake.map(|text| view! { <p id="group-mistake" class="mistake">{text}</p> })}
            </form>
            <SearchForm />
            <Show
                when=move || state.with(|state| !state.rooms().is_empty())
                fallback=|| view! { <p class="empty">"No room has been used yet. Name one above and say the first thing."</p> }
            >
                <ul class="rooms">
                    <For each=groups key=Clone::clone let:group>
                        <RoomItem state group />
                    </For>
                </ul>
            </Show>
        </main>
    }
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
                        let text: String = message.content.text.chars().take(200).collect();
                        let deleted = message.content.deleted;
                        view! {
                            <span class="latest">
                                <bdi class="author">{message.from.name}</bdi>
                                ": "
                                {if deleted { view! { <i>"message deleted"</i> }.into_any() } else { view! { <bdi>{text}</bdi> }.into_any() }}
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
    use crate::wire::{Content, Message, Offset, Person, Stored, Timestamp};

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

    #[test]
    fn the_newest_room_is_first_and_each_is_there_once() {
        let mut state = LobbyState::new(vec![summary("b", 5, 50), summary("a", 3, 30)]);
        state.apply(summary("a", 4, 60));
        state.apply(summary("c", 1, 55));
        let names: Vec<_> = state.rooms().iter().map(|room| room.group.to_string()).collect();
        assert_eq!(names, ["a", "c", "b"]);
    }

    #[test]
    fn what_was_said_later_is_the_latest_although_its_node_has_a_slow_clock() {
        let mut state = LobbyState::new(vec![summary("b", 5, 50), summary("a", 3, 40)]);
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
        let mut state = LobbyState::new(vec![summary("b", 5, 50), first.clone()]);
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
        let mut state = LobbyState::new(vec![summary("a", 3, 30)]);
        for text in ["first", "second"] {
            state.apply(edited(text));
            assert_eq!(state.rooms(), [edited(text)]);
        }
    }

    #[test]
    fn older_news_changes_nothing() {
        let mut state = LobbyState::new(vec![summary("b", 5, 50), summary("a", 3, 30)]);
        let before = state.clone();
        state.apply(summary("b", 4, 49));
        state.apply(summary("a", 3, 30));
        assert_eq!(state, before);
    }
}
