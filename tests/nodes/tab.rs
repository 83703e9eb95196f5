//! A tab of a browser as the tests open it: on one connection it shows some rooms and the list of rooms, with the reducers of the
//! real pages, [`RoomState`] and [`LobbyState`], and treats them as these do. It joins with the positions that it has, and sends
//! again, with the keys they had, the commands that have no answer.

use std::collections::{HashSet, VecDeque};

use confab::{
    app::{Input, LobbyState, Reducer as _, RoomState, Row},
    wire::{
        self, Answer, Code, Command, Content, Event, Join, Key, MessageId, Mine, Offset, Outcome, Person, Ping, Position, Push,
        Request, RoomList, ServerFrame, Stored, Stretch, Timestamp, Topic,
    },
};
use futures_util::{SinkExt as _, StreamExt as _};
use proptest::sample::Index;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error, Message},
};

use crate::{
    app::{Http as _, Program},
    clients::connect,
    within,
};

/// The epoch of a room that was not joined yet.
const NONE: &str = "none";

/// A command of a tab.
#[derive(Clone, Debug)]
pub enum Act {
    /// Says something.
    Says,
    /// Sends a command once more, with the same key, whatever became of it: one of the person's, in this tab or an earlier one.
    Repeats(Index),
    /// Says one of the person's messages that it shows differently.
    Edits(Index),
    /// Takes one of these back.
    Deletes(Index),
    /// Puts a reaction to any message that it shows, or takes it away.
    Reacts(Index, bool),
}

/// A person's tab, and what the person remembers over all of them.
pub struct Tab {
    cookie: String,
    you: Option<Person>,
    rooms: Vec<Room>,
    list: LobbyState,
    /// None while it is not connected, as far as it knows.
    link: Option<Link>,
}

/// One of its rooms.
struct Room {
    group: &'static str,
    state: RoomState,
    asked: Asking,
}

/// What a person has asked for in a room.
#[derive(Debug, Default)]
pub struct Asking {
    /// Every message of the person's.
    pub said: Vec<Said>,
    /// Every change of the person's. One without an answer is not made again: it was made or it was not.
    pub changed: Vec<Changed>,
}

#[derive(Debug)]
pub struct Changed {
    message: MessageId,
    pub what: What,
    /// What the answer said, if one came and it was not refused: where the message's last change stands, if this was none.
    pub place: Option<Offset>,
    /// It has an answer.
    settled: bool,
}

#[derive(Debug, PartialEq)]
pub enum What {
    Edit(String),
    Delete,
    React,
}

#[derive(Debug)]
pub struct Said {
    pub key: Key,
    pub text: String,
    /// What the answer said, if one came.
    pub place: Option<Offset>,
}

/// A connection.
struct Link {
    node: usize,
    socket: WebSocketStream<TcpStream>,
    last_id: u64,
    /// What has no answer yet, in the order in which it was sent.
    waiting: VecDeque<(u64, Asked)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Asked {
    /// To join the room of this number; `anew`: without a position.
    Join {
        room: usize,
        anew: bool,
    },
    /// For the list of rooms.
    List,
    /// The person's message of the second number in the room of the first.
    Said(usize, usize),
    /// The person's change likewise.
    Changed(usize, usize),
    Ping,
}

impl Room {
    fn new(group: &'static str) -> Self {
        Self { group, state: empty(NONE), asked: Asking::default() }
    }

    fn topic(&self) -> Topic {
        Topic::Room(self.group.parse().expect("a name"))
    }

    fn position(&self) -> &Position {
        self.state.feed().position().expect("it begins with a stretch")
    }

    /// Nothing is missing on a connection.
    fn apply(&mut self, input: Input) {
        let before = self.position().clone();
        self.state.apply(input.clone()).unwrap_or_else(|_| panic!("a hole in {} after {before:?}: {input:?}", self.group));
    }

    /// One of the messages that it shows, of the person's own where `mine`.
    fn shown(&self, which: Index, you: &Person, mine: bool) -> Option<MessageId> {
        let fits = |row: &&Row| !row.content.deleted && (!mine || row.from.id == you.id);
        let ids: Vec<_> = self.state.rows().iter().filter(fits).filter_map(|row| self.state.id(row)).collect();
        (!ids.is_empty()).then(|| which.get(&ids).clone())
    }
}

/// A room in which nothing was said.
fn empty(epoch: &str) -> RoomState {
    let (offset, messages, mine) = (Offset::START, Vec::new(), Mine::new());
    let epoch = epoch.parse().expect("a name");
    RoomState::new(Stretch { epoch, offset, first: offset.next(), latest: offset, messages, mine })
}

impl Link {
    /// Connects and asks to join the list and these rooms, each with a position, if there is one.
    async fn begin(
        node: usize,
        program: &Program,
        cookie: &str,
        rooms: Vec<(Topic, Option<Position>)>,
    ) -> Result<(Self, Person), Error> {
        let headers = [("sec-websocket-protocol", "confab.v1"), ("cookie", cookie)];
        let socket = connect(program.address, "/ws/", &headers).await?;
        let mut link = Self { node, socket, last_id: 0, waiting: VecDeque::new() };
        let ServerFrame::Welcome { welcome } = link.frame().await? else { panic!("no welcome") };
        link.ask(Asked::List, Command::Join(Join { topic: Topic::Lobby, since: None })).await?;
        for (room, (topic, since)) in rooms.into_iter().enumerate() {
            let anew = since.is_none();
            link.ask(Asked::Join { room, anew }, Command::Join(Join { topic, since })).await?;
        }
        Ok((link, welcome.you))
    }

    async fn ask(&mut self, asked: Asked, command: Command) -> Result<(), Error> {
        self.last_id += 1;
        self.waiting.push_back((self.last_id, asked));
        let request = serde_json::to_string(&Request { id: self.last_id, command }).expect("JSON");
        within("room to send", self.socket.send(Message::text(request))).await
    }

    async fn frame(&mut self) -> Result<ServerFrame, Error> {
        loop {
            match within("a frame", self.socket.next()).await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).expect("a frame of confab.v1")),
                Some(Ok(Message::Ping(_))) => {}
                Some(Ok(Message::Close(_))) | None => return Err(Error::ConnectionClosed),
                Some(Ok(other)) => panic!("not text: {other:?}"),
                Some(Err(error)) => return Err(error),
            }
        }
    }
}

/// What one of a person's messages says in the end is what the last of the person's changes has made of it, as far as answers tell.
pub fn assert_says(found: &Stored, first: &str, changed: &[Changed]) {
    let content = &found.message.content;
    let of_it: Vec<_> = changed.iter().filter(|changed| changed.message.to_string() == found.message.id).collect();
    let deletions = || of_it.iter().filter(|changed| changed.what == What::Delete);
    assert!(!content.deleted || deletions().next().is_some(), "nobody has deleted {found:?}");
    if content.deleted {
        return;
    }
    assert!(deletions().all(|deletion| !deletion.settled), "{found:?} was deleted");
    let last = of_it.iter().filter(|changed| matches!(changed.what, What::Edit(_))).filter_map(|changed| changed.place).max();
    let may_say = |changed: &&&Changed| !changed.settled || last.is_some() && changed.place == last;
    let mut texts = of_it.iter().filter(may_say).filter_map(|changed| match &changed.what {
        What::Edit(text) => Some(text.as_str()),
        What::Delete | What::React => None,
    });
    assert!((last.is_none() && content.text == first) || texts.any(|text| text == content.text), "{found:?}: {of_it:?}");
}

impl Tab {
    /// Of the person of this number.
    pub fn new(number: usize, rooms: &[&'static str]) -> Self {
        let rooms = rooms.iter().map(|group| Room::new(group)).collect();
        Self {
            cookie: format!("confab_guest={number:032x}"),
            you: None,
            rooms,
            list: LobbyState::new(RoomList::default()),
            link: None,
        }
    }

    pub fn is_connected(&self) -> bool {
        self.link.is_some()
    }

    pub fn is_on(&self, node: usize) -> bool {
        self.link.as_ref().is_some_and(|link| link.node == node)
    }

    /// Where it is connected.
    pub fn node(&self) -> usize {
        self.link.as_ref().expect("it is connected").node
    }

    /// It is connected and has nothing to send.
    pub fn is_settled(&self) -> bool {
        self.link.is_some() && self.rooms.iter().all(|room| room.state.unsent().next().is_none())
    }

    pub fn shows(&self, group: &str) -> bool {
        self.rooms.iter().any(|room| room.group == group)
    }

    /// What the person has asked for in a room, if it is one of theirs.
    pub fn asked(&self, group: &str) -> Option<(&Person, &Asking)> {
        let room = self.rooms.iter().find(|room| room.group == group)?;
        Some((self.you.as_ref().expect("it was connected"), &room.asked))
    }

    fn room(&mut self, group: &str) -> &mut Room {
        self.rooms.iter_mut().find(|room| room.group == group).expect("one of its rooms")
    }

    /// Forgets all about a room.
    pub fn forget(&mut self, room: usize) {
        self.rooms[room] = Room::new(self.rooms[room].group);
    }

    pub fn drop_link(&mut self) {
        self.link = None;
    }

    /// Opens another tab of the same person; nothing comes of it where the node dies meanwhile.
    pub async fn open(&mut self, node: usize, program: &Program) {
        let opened = self.try_link(node, program, true).await;
        self.keep(opened);
    }

    /// Connects again with what is there.
    pub async fn come(&mut self, node: usize, program: &Program) {
        let mut came = self.try_link(node, program, false).await;
        if came.is_ok() {
            came = self.try_send_again().await;
        }
        self.keep(came);
    }

    async fn try_link(&mut self, node: usize, program: &Program, anew: bool) -> Result<(), Error> {
        self.link = None;
        let since = |room: &Room| Some(room.position()).filter(|at| !anew && at.epoch.as_str() != NONE).cloned();
        let rooms = self.rooms.iter().map(|room| (room.topic(), since(room))).collect();
        let (link, you) = Link::begin(node, program, &self.cookie, rooms).await?;
        assert!(self.you.replace(you.clone()).is_none_or(|before| before == you));
        self.link = Some(link);
        self.try_listen().await
    }

    /// After an error the connection is gone.
    fn keep(&mut self, done: Result<(), Error>) {
        if done.is_err() {
            self.link = None;
        }
    }

    /// Does this in the room of that number, if it has so many.
    pub async fn act(&mut self, room: usize, acts: Vec<Act>) {
        if room >= self.rooms.len() {
            return;
        }
        for act in acts {
            let said = self.rooms[room].asked.said.len();
            let sent = match act {
                Act::Says => {
                    let number = self.say(room);
                    self.try_send(room, number).await
                }
                Act::Repeats(_) if said == 0 => continue,
                Act::Repeats(which) => self.try_send(room, which.index(said)).await,
                Act::Edits(which) => self.try_edit(room, which).await,
                Act::Deletes(which) => self.try_delete(room, which).await,
                Act::Reacts(which, on) => self.try_react(room, which, on).await,
            };
            self.keep(sent);
        }
    }

    /// Says something that is acknowledged; gives its text, which nothing else has.
    pub async fn says(&mut self, room: usize) -> String {
        let number = self.say(room);
        self.try_send(room, number).await.expect("its node lives");
        self.try_listen().await.expect("its node lives");
        let said = &self.rooms[room].asked.said[number];
        assert!(said.place.is_some(), "{said:?} was refused");
        said.text.clone()
    }

    /// Says what it said last in a room differently, which is acknowledged; gives the text, which nothing else has.
    pub async fn corrects(&mut self, room: usize) -> String {
        let Room { state, asked, .. } = &self.rooms[room];
        let offset = asked.said.last().and_then(|said| said.place).expect("it was acknowledged");
        let message = MessageId { epoch: state.feed().position().expect("it was joined").epoch.clone(), offset };
        let text = format!("{message} as it should be");
        self.try_say_differently(room, message, text.clone()).await.expect("its node lives");
        self.try_listen().await.expect("its node lives");
        let changed = self.rooms[room].asked.changed.last();
        assert!(changed.is_some_and(|changed| changed.place.is_some()), "{changed:?} was refused");
        text
    }

    /// Writes something down; gives its number.
    fn say(&mut self, room: usize) -> usize {
        let from = self.you.clone().expect("it was connected");
        let room = &mut self.rooms[room];
        let number = room.asked.said.len();
        let key: Key = format!("k{number}").parse().expect("a key");
        let (text, at) = (format!("{} says {number} in {}", from.id, room.group), Timestamp::from_millis(0));
        room.asked.said.push(Said { key: key.clone(), text: text.clone(), place: None });
        room.apply(Input::Begun { act: wire::Act::Send { key, text }, from, at });
        number
    }

    /// Sends a command as far as there is a connection.
    async fn try_send(&mut self, room: usize, number: usize) -> Result<(), Error> {
        let topic = self.rooms[room].topic();
        let Said { key, text, .. } = &self.rooms[room].asked.said[number];
        let command = Command::Act { topic, act: wire::Act::Send { key: key.clone(), text: text.clone() } };
        match &mut self.link {
            Some(link) => link.ask(Asked::Said(room, number), command).await,
            None => Ok(()),
        }
    }

    /// One of the messages that it shows in a room, of the person's own where `mine`.
    fn shown(&self, room: usize, which: Index, mine: bool) -> Option<MessageId> {
        self.rooms[room].shown(which, self.you.as_ref()?, mine)
    }

    async fn try_edit(&mut self, room: usize, which: Index) -> Result<(), Error> {
        let Some(message) = self.shown(room, which, true) else { return Ok(()) };
        let text = format!("edit {}", self.rooms[room].asked.changed.len());
        self.try_say_differently(room, message, text).await
    }

    async fn try_say_differently(&mut self, room: usize, message: MessageId, text: String) -> Result<(), Error> {
        let edit = wire::Act::Edit { message: message.clone(), text: text.clone() };
        self.try_change(room, message, What::Edit(text), edit).await
    }

    async fn try_delete(&mut self, room: usize, which: Index) -> Result<(), Error> {
        let Some(message) = self.shown(room, which, true) else { return Ok(()) };
        let delete = wire::Act::Delete { message: message.clone() };
        self.try_change(room, message, What::Delete, delete).await
    }

    async fn try_react(&mut self, room: usize, which: Index, on: bool) -> Result<(), Error> {
        let Some(message) = self.shown(room, which, false) else { return Ok(()) };
        let emoji = "👍".parse().expect("an emoji");
        let react = wire::Act::React { message: message.clone(), emoji, on };
        self.try_change(room, message, What::React, react).await
    }

    async fn try_change(&mut self, room: usize, message: MessageId, what: What, act: wire::Act) -> Result<(), Error> {
        let topic = self.rooms[room].topic();
        let Some(link) = &mut self.link else { return Ok(()) };
        let changed = &mut self.rooms[room].asked.changed;
        changed.push(Changed { message, what, place: None, settled: false });
        link.ask(Asked::Changed(room, changed.len() - 1), Command::Act { topic, act }).await
    }

    /// What this tab has said and has no answer to.
    async fn try_send_again(&mut self) -> Result<(), Error> {
        for room in 0..self.rooms.len() {
            let pending: HashSet<String> = self.rooms[room].state.pending().map(|row| row.key.key().to_owned()).collect();
            for number in 0..self.rooms[room].asked.said.len() {
                if pending.contains(self.rooms[room].asked.said[number].key.as_str()) {
                    self.try_send(room, number).await?;
                }
            }
        }
        Ok(())
    }

    pub async fn listen(&mut self) {
        let listened = self.try_listen().await;
        self.keep(listened);
    }

    /// On one connection nothing overtakes: what came before the answer to a ping is here.
    async fn try_listen(&mut self) -> Result<(), Error> {
        if let Some(link) = &mut self.link {
            link.ask(Asked::Ping, Command::Ping(Ping {})).await?;
        }
        while self.link.as_ref().is_some_and(|link| !link.waiting.is_empty()) {
            self.try_take().await?;
        }
        Ok(())
    }

    /// To the end of the connection.
    pub async fn hear_all(&mut self) {
        while self.try_take().await.is_ok() {}
        self.link = None;
    }

    /// Until it has come to these heads.
    pub async fn hear_up_to(&mut self, heads: Vec<(&str, &Position)>) {
        for (group, head) in heads {
            assert_eq!(self.room(group).position().epoch, head.epoch);
            while self.room(group).position().offset < head.offset {
                self.try_take().await.expect("the node lives");
            }
        }
    }

    /// Until its list says that this was said last.
    pub async fn hear_of_all(&mut self, latest: Vec<(&str, &Stored)>) {
        for (group, latest) in latest {
            while !self.lists(group, latest) {
                self.try_take().await.expect("the node lives");
            }
        }
    }

    fn lists(&self, group: &str, latest: &Stored) -> bool {
        let listed = self.list.rooms().iter().find(|room| room.group.as_str() == group);
        // It does not say how people have reacted.
        let shown = |stored: &Stored| {
            let Content { text, edited, deleted, .. } = stored.message.content.clone();
            (stored.offset, text, edited, deleted)
        };
        listed.and_then(|room| room.latest.as_ref()).is_some_and(|listed| shown(listed) == shown(latest))
    }

    /// Takes in the next frame.
    async fn try_take(&mut self) -> Result<(), Error> {
        let link = self.link.as_mut().expect("it is connected");
        match link.frame().await? {
            ServerFrame::Push(push @ Push { topic: Topic::Lobby, .. }) => {
                assert!(matches!(push.event, Event::Room(_)), "not of the list: {push:?}");
                self.list.pushed(push).expect("what is missing is never missed");
            }
            ServerFrame::Push(push) => {
                let room = self.rooms.iter_mut().find(|room| room.topic() == push.topic);
                room.unwrap_or_else(|| panic!("not of its rooms: {push:?}")).apply(Input::Pushed(push));
            }
            ServerFrame::Reply(reply) => {
                let (id, asked) = link.waiting.pop_front().expect("an answer to something");
                assert_eq!(reply.id, Some(id));
                self.answered(asked, reply.outcome);
            }
            ServerFrame::Welcome { .. } => panic!("a second welcome"),
        }
        Ok(())
    }

    fn answered(&mut self, asked: Asked, outcome: Outcome) {
        match (asked, outcome) {
            (Asked::List, Outcome::Ok(Answer::Joined { at, state })) => {
                self.list = LobbyState::new(RoomList::default());
                self.list.joined(at, state);
            }
            (Asked::Join { room, anew }, Outcome::Ok(Answer::Joined { at, state })) => {
                let room = &mut self.rooms[room];
                // Nothing is ever forgotten here, and nobody is away for long.
                assert_eq!(state.recovered, !anew, "since {:?}: {at:?}", room.position());
                if anew {
                    room.state = empty(at.epoch.as_str());
                }
                room.apply(Input::Joined(at, state));
            }
            (Asked::Said(room, number), Outcome::Ok(Answer::Sent { offset: Some(place) })) => {
                let room = &mut self.rooms[room];
                let said = &mut room.asked.said[number];
                assert!(said.place.is_none_or(|before| before == place), "{said:?} is at {place} now");
                said.place = Some(place);
                let act = wire::Act::Send { key: said.key.clone(), text: said.text.clone() };
                room.apply(Input::Done { act, offset: Some(place) });
            }
            (Asked::Changed(room, number), Outcome::Ok(Answer::Sent { offset: Some(place) })) => {
                let changed = &mut self.rooms[room].asked.changed[number];
                (changed.settled, changed.place) = (true, Some(place));
            }
            // Another command has deleted it.
            (Asked::Changed(room, number), Outcome::Error(error)) if error.code == Code::NotFound => {
                self.rooms[room].asked.changed[number].settled = true;
            }
            // It stays among what has no answer.
            (Asked::Changed(..) | Asked::Said(..), Outcome::Error(error)) if error.code == Code::Unavailable => {}
            (Asked::Ping, Outcome::Ok(_)) => {}
            (asked, outcome) => panic!("{asked:?} is answered with {outcome:?}"),
        }
    }

    /// Reads what was said in a room before the tab was opened, as it does when it is scrolled.
    pub async fn read_back(&mut self, group: &str, program: &Program) {
        let room = self.room(group);
        while let Some(before) = room.state.older_than() {
            let (status, body) = program.api(&format!("/api/v1/rooms/{group}/messages?before={before}&limit=50")).await;
            assert_eq!(status, 200, "{body}");
            let stretch: Stretch = serde_json::from_value(body).expect("a stretch");
            room.apply(Input::Older(before, stretch));
        }
    }

    /// It shows of a room what the store has.
    pub fn assert_shows(&mut self, group: &str, stored: &[Stored]) {
        let rows = self.room(group).state.rows().iter();
        let shown: Vec<_> = rows.map(|row| (row.offset, row.key.key(), &row.from, &row.content, row.at)).collect();
        let stored: Vec<_> = stored
            .iter()
            .map(|Stored { offset, message }| {
                (Some(*offset), message.key.as_str(), &message.from, &message.content, Some(message.at))
            })
            .collect();
        assert_eq!(shown, stored, "in {group}");
    }
}
