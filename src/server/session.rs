//! A session: `confab.v1` over any way out. One connection, many topics; every command gets one answer.
//!
//! A text is [parsed](Asked::parse), costs some of the [`Allowance`], and is carried out. Which topics there are and what may be done in
//! them the session does not know: it [opens](crate::server::topics::Topics::open) them, joins their feeds and hands them what is done.

#[cfg(test)]
#[path = "../../tests/nodes/counter/mod.rs"]
mod counter;
mod open;

use std::{pin::pin, sync::Arc, time::Duration};

use serde::Deserialize;
use tracing::debug;

use self::open::{Joined, Open, changed};
use crate::{
    server::{
        accounts::Unknown,
        allowance::{Allowance, Spent},
        assets::BUILD,
        hub::{Form, Outbound, Reachable, Unavailable, v1},
        lease::{Lease, Why},
        noun::{Act, Opened},
        problem::Problem,
        quota::{Owed, Quotas},
        scope::{Flow, LONG, Scope},
        topics::AUTHORIZE,
        turns::Turn,
        visitors::Subnet,
        websocket::{CloseCode, Frame},
    },
    wire::{
        self, Answer, Asked, Code, Command, CommandError, Group, Join, Outcome, Position, Push, Read, Reply, Request, Rights,
        ServerFrame, State, Topic, Typing, Welcome,
    },
};

/// How long a client that asks for too much is not listened to at most.
const HOLD: Duration = Duration::from_secs(1);
/// How long the store may take for an answer in which others of the address wait for their turn: it is no work of this machine then.
const READING: Duration = Duration::from_millis(100);

/// See the module.
pub struct Session {
    scope: Scope,
    /// What the address names, until it is joined.
    address: Option<Arc<dyn Opened>>,
    allowance: Allowance,
    open: Arc<Open>,
    /// By which what is open is found to be taken back.
    lease: Lease,
    /// Something was asked for: whose the connection is is settled.
    is_settled: bool,
    link: Option<(Outbound, Reachable)>,
}

/// What somebody is told who joins.
#[derive(Clone, Copy)]
enum Level<'p> {
    /// Where the topic stands.
    Head,
    /// What they need to be level, who are here or have nothing.
    Since(Option<&'p Position>),
}

/// What is to be done.
enum Todo {
    Command(Command),
    /// With a command of a noun's own.
    Act(Act),
    /// To show who asks.
    Authorize(Authorize),
}

/// Who asks, by a token of another site.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Authorize {
    token: String,
}

/// An answer that has gone out already, or one that has not.
type Answered = Result<Option<Answer>, CommandError>;

impl Session {
    /// Opens what its address names, if it names anything.
    ///
    /// # Errors
    /// That is not for whoever asks.
    pub async fn new(scope: Scope) -> Result<Self, CommandError> {
        let allowance = Allowance::new(&scope.limits, scope.payer, &scope.rates, &scope.quotas);
        let open = Arc::new(Open::new(&scope));
        // From before it is asked for until it is joined.
        open.begin();
        let lease = scope.leases.grant(&scope.who.person().id, scope.who.session(), &open);
        let address = match &scope.topic {
            Some(topic) => Some(scope.topics.open(topic, scope.asker()).await?),
            None => None,
        };
        let is_settled = address.is_some();
        Ok(Self { scope, address, allowance, open, lease, is_settled, link: None })
    }

    /// The longest text that a client may send, in bytes.
    pub fn longest_message(&self) -> usize {
        self.scope.limits.json_bytes()
    }

    /// The connection is there: says hello, and joins what the address names.
    pub async fn open(&mut self, outbound: Outbound) -> Flow {
        {
            let open = self.open.lock();
            if let Some((code, reason)) = open.over() {
                return Flow::close(code, reason);
            }
            // Whoever takes something back finds it from now on; it is set once, here.
            let _ = self.open.outbound.set(outbound.clone());
        }
        let reachable = self.scope.hub.register(&outbound, Form::V1);
        let welcome = Welcome {
            channel: reachable.channel.to_string(),
            you: self.scope.who.you(),
            ping_s: self.scope.limits.ping_s,
            build: BUILD.to_owned(),
            joined: None,
        };
        self.link = Some((outbound.clone(), reachable));
        let Some(opened) = self.address.take() else {
            outbound.send(&[outbound.fitted(v1(&ServerFrame::Welcome { welcome }))]);
            return Flow::Continue;
        };
        let answer = |joined, _| ServerFrame::Welcome { welcome: Welcome { joined: Some(joined), ..welcome } };
        match self.enter(opened, Level::Head, &outbound, answer).await {
            Ok(_) => Flow::Continue,
            Err(error) if matches!(error.code, Code::Unavailable | Code::TooLarge) => {
                Flow::close(CloseCode::TRY_AGAIN, error.message)
            }
            Err(error) => Flow::close(CloseCode::TAKEN_BACK, error.message),
        }
    }

    /// Waits until something that takes long may be done for this connection.
    pub async fn turn(&self) -> Option<Turn<Subnet>> {
        self.allowance.turn().await
    }

    /// The client has said something; `turn` ends as soon as it is read.
    pub async fn receive(&mut self, text: String, turn: Option<Turn<Subnet>>) -> Flow {
        let Some((outbound, _)) = &self.link else { return Flow::Continue };
        let outbound = outbound.clone();
        outbound.tap().heard(&text);
        let length = text.len();
        let came = self.allowance.receive(length);
        let (id, command) = match Asked::parse(&text) {
            Ok(Asked::Request(Request { id, command })) => (Some(id), Ok(Todo::Command(command))),
            Ok(Asked::Other(other)) if other.name == AUTHORIZE => (Some(other.id), other.read().map(Todo::Authorize)),
            Ok(Asked::Other(other)) => (Some(other.id), self.scope.topics.read(&other).map(Todo::Act)),
            Err((id, error)) => (id, Err(error)),
        };
        let is_ping = matches!(command, Ok(Todo::Command(Command::Ping(_))));
        let was_settled = self.is_settled;
        self.is_settled |= !is_ping;
        let command = match command {
            Ok(Todo::Authorize(_)) if was_settled => Err(Problem::LateToken.into()),
            command => command,
        };
        // Its JSON may be six times as long, and it may have to wait.
        drop((text, turn));
        // Pings are never refused, since a client needs them to know that it is not cut off; nonsense is.
        let (allowed, pause) = if is_ping {
            (Ok(()), self.allowance.charge_bytes(length))
        } else {
            let taken = came.and_then(|()| self.allowance.take(length));
            (taken.map_err(|spent| self.refusal(spent)), taken.err().map_or(Duration::ZERO, Spent::wait))
        };
        let answered = match allowed.and(command) {
            Ok(command) => self.carry_out(id, command, &outbound).await,
            Err(error) => Err(error),
        };
        // To refuse is work too: who goes on all the same is read no faster than there is something to be had again.
        let flow = Flow::after(pause.min(HOLD));
        let outcome = match answered {
            Ok(None) => return flow,
            Ok(Some(answer)) => Outcome::Ok(answer),
            Err(error) => Outcome::Error(error),
        };
        outbound.send(&[outbound.fitted(v1(&ServerFrame::Reply(Reply { id, outcome })))]);
        flow
    }

    /// Something has come that is no text, and cost so many bytes.
    pub fn charge(&mut self, bytes: usize) -> Flow {
        Flow::after(self.allowance.charge_frames(bytes).min(HOLD))
    }

    /// The client says nothing more: what it has said is said to it before it is told goodbye.
    pub fn hand_out(&self) {
        for joined in self.open.lock().joined.values() {
            joined.membership.hand_out();
        }
    }

    /// How much longer nothing is to be read from the client, after it was held for a while.
    pub fn owed(&self) -> Duration {
        self.allowance.owed()
    }

    fn refusal(&self, spent: Spent) -> CommandError {
        let limits = &self.scope.limits;
        let wait = spent.wait();
        let problem = match spent {
            Spent::Messages(_) => Problem::Commands(limits.messages_per_second, wait),
            Spent::Bytes(_) => Problem::BytesOfConnection(limits.bytes_per_second, wait),
            Spent::Account(_) => Problem::CommandsOfAccount(self.scope.rates.per_second(), wait),
            Spent::Quota(Owed::ByAccount(_)) => Problem::BytesOfAccount(self.scope.quotas.of_account(), wait),
            Spent::Quota(Owed::ByAddress(_)) => Problem::Bytes(self.scope.quotas.of_address(), wait),
        };
        problem.into()
    }

    async fn carry_out(&mut self, id: Option<u64>, todo: Todo, outbound: &Outbound) -> Answered {
        let command = match todo {
            Todo::Command(command) => command,
            Todo::Act(act) => return self.act(act).await,
            Todo::Authorize(Authorize { token }) => return self.authorize(&token).await,
        };
        match command {
            Command::Join(join) => {
                self.allowance.advance();
                let joined = self.join(id, join, outbound).await;
                let cost = joined.as_ref().map_or(0, |answer| cost(answer, outbound));
                self.allowance.settle(cost);
                if cost >= LONG {
                    tokio::task::yield_now().await;
                }
                joined.map(|_| None)
            }
            Command::Leave(leave) => {
                let joined = self.open.lock().joined.remove(&leave.topic);
                joined.map(|_| Some(Answer::Done {})).ok_or_else(|| not_joined(&leave.topic))
            }
            Command::Act { topic, act } => self.act(Act::new(topic, act.bytes(), act)).await,
            Command::Typing(typing) => self.typing(&typing).await.map(|()| Some(Answer::Done {})),
            Command::Read(read) => self.read(read).await.map(|()| Some(Answer::Done {})),
            Command::Ping(_) => Ok(Some(Answer::Done {})),
        }
    }

    /// Whoever has this token of another site asks from now on.
    async fn authorize(&mut self, token: &str) -> Answered {
        let who = self.scope.elsewhere.by_token(token).await.map_err(|not_taken| Problem::from(Unknown::from(not_taken)))?;
        self.allowance.belongs_to(who.rate_key());
        // Where it is over meanwhile, so is the connection.
        self.lease = self.scope.leases.grant(&who.person().id, who.session(), &self.open);
        self.scope.who = who;
        Ok(Some(Answer::You { you: self.scope.who.you() }))
    }

    /// The person has read a room so far: their other pages hear of it.
    async fn read(&self, Read { topic, up_to, back }: Read) -> Result<(), CommandError> {
        if self.scope.manage.switches().read_only {
            return Err(Problem::ReadOnly.into());
        }
        let opened = self.open.lock().joined.get(&topic).map(|joined| Arc::clone(&joined.opened));
        let opened = opened.ok_or_else(|| not_joined(&topic))?;
        if opened.has_read(up_to.clone(), back).await? {
            let event = wire::Event::Read(wire::UpTo { topic, up_to, back });
            self.scope.topics.personal.tell(self.scope.who.person(), event).await;
        }
        Ok(())
    }

    async fn typing(&self, Typing { topic }: &Typing) -> Result<(), CommandError> {
        let opened = self.open.lock().joined.get(topic).map(|joined| Arc::clone(&joined.opened));
        opened.ok_or_else(|| not_joined(topic))?.may_write().await?;
        let open = self.open.lock();
        let joined = open.joined.get(topic).ok_or_else(|| not_joined(topic))?;
        let Some((room, _)) = &joined.attendance else {
            return Err(Problem::NothingWritten(topic.clone()).into());
        };
        self.scope.presence.typing(room, self.scope.who.person());
        Ok(())
    }

    /// Does something in a topic that was joined, when there is room for one more event on the way to its members.
    async fn act(&self, act: Act) -> Answered {
        if self.scope.manage.switches().read_only {
            return Err(Problem::ReadOnly.into());
        }
        let line = {
            let open = self.open.lock();
            let joined = open.joined.get(&act.topic).ok_or_else(|| not_joined(&act.topic))?;
            self.allowance.charge_copies(act.bytes, joined.membership.members());
            joined.membership.line()
        };
        line.has_room().await;
        // It may have been taken back meanwhile.
        let opened = self.open.lock().joined.get(&act.topic).map(|joined| Arc::clone(&joined.opened));
        let offset = opened.ok_or_else(|| not_joined(&act.topic))?.act(act).await?;
        Ok(Some(Answer::Sent { offset }))
    }

    /// Joins and answers. Gives the answer before it was fitted to the connection.
    async fn join(&mut self, id: Option<u64>, Join { topic, since }: Join, outbound: &Outbound) -> Result<Frame, CommandError> {
        let most = self.scope.limits.topics;
        {
            let open = self.open.lock();
            if !open.joined.contains_key(&topic) && open.joined.len() >= most {
                return Err(Problem::Topics(most).into());
            }
        }
        self.open.begin();
        let opened = self.scope.topics.open(&topic, self.scope.asker()).await?;
        let answer = |at, state| {
            let outcome = Outcome::Ok(Answer::Joined { at, state });
            ServerFrame::Reply(Reply { id, outcome })
        };
        self.enter(opened, Level::Since(since.as_ref()), outbound, answer).await
    }

    /// Becomes a member of a topic, or goes on being one: the answer and what is published after it leave in one piece.
    async fn enter(
        &mut self,
        opened: Arc<dyn Opened>,
        level: Level<'_>,
        outbound: &Outbound,
        answer: impl FnOnce(wire::Joined, State) -> ServerFrame,
    ) -> Result<Frame, CommandError> {
        let feed = opened.feed();
        let (topic, room) = (feed.topic().clone(), feed.shows_presence().cloned());
        let is_member = self.open.lock().joined.get(&topic).map(|joined| joined.membership.hold()).is_some();
        let (membership, seat) = if is_member {
            (None, None)
        } else {
            let most = self.scope.limits.topics;
            let seat = self.allowance.seat(most).ok_or_else(|| Problem::TopicsOfAddress(Quotas::most_seats(most)))?;
            (Some(self.scope.hub.join(feed, outbound, (Form::V1, true)).await.map_err(unavailable)?), Some(seat))
        };
        let is_answered = matches!(level, Level::Since(_));
        // It ends when the answer has gone out.
        let is_level = |since: &Position| match &membership {
            Some(membership) => membership.is_level(since),
            None => self.open.lock().joined.get(&topic).is_some_and(|joined| joined.membership.is_level(since)),
        };
        let (_turn, level) = match level {
            // Nothing is missing, so nothing is read.
            Level::Since(Some(since)) if is_level(since) => {
                (None, Ok((since.clone(), State { recovered: true, ..State::default() })))
            }
            Level::Head => (None, opened.head().await.map(|head| (head, State::default()))),
            Level::Since(since) => self.in_turn(opened.catch_up(since)).await,
        };
        let level = match level {
            // Who begins at the head is told nothing more.
            Ok((head, state)) if is_answered => about(&*opened).await.map(|(may, read)| (head, State { may, read, ..state })),
            level => level,
        };
        let mut open = self.open.lock();
        if let Some(why) = open.is_lost(&topic) {
            return Err(Problem::TakenBack(why.said(&topic)).into());
        }
        let is_stirred = open.is_stirred();
        let (head, mut state) = match level {
            Ok(level) => level,
            Err(cause) => {
                // Who was a member before stays one, where it stood.
                if let Some(joined) = open.joined.get(&topic) {
                    joined.membership.release(None, None);
                }
                return Err(unavailable(cause));
            }
        };
        let Scope { presence, who, .. } = &self.scope;
        if let (Some(membership), Some(seat)) = (membership, seat) {
            let attend = |room: Group| {
                let attendance = presence.enter(&room, who.person(), membership.audience());
                (room, attendance)
            };
            let attendance = room.map(attend);
            let joined = Joined { opened: Arc::clone(&opened), attendance, membership, _seat: seat };
            open.joined.insert(topic.clone(), Box::new(joined));
        }
        let Some(joined) = open.joined.get_mut(&topic) else {
            return Err(Problem::TakenBack(Why::Unsaid.said(&topic)).into());
        };
        joined.opened = opened;
        state.members = joined.attendance.as_ref().map(|(room, _)| presence.members(room));
        // What is switched from here on a member is told of.
        let announced = if topic == Topic::Me { self.scope.manage.news() } else { None };
        let at = wire::Joined { topic: topic.clone(), epoch: head.epoch.clone(), offset: head.offset };
        let frame = v1(&answer(at, state));
        joined.membership.release(Some(head), Some(frame.clone()));
        if let Some(announced) = announced {
            let event = wire::Event::Announced(announced);
            outbound.send(&[outbound.fitted(v1(&ServerFrame::Push(Push { topic: Topic::Me, offset: None, event })))]);
        }
        // What the answer says of it may be from before.
        if is_stirred && is_answered {
            outbound.send(&[outbound.fitted(changed(&topic))]);
        }
        Ok(frame)
    }

    /// Reads what is answered to a join when it is its turn, which lasts until the answer is made: of all connections of an address one at a
    /// time takes the store's readers and the memory for that. Whatever else a join waits for it has behind it.
    async fn in_turn<T>(&self, reading: impl Future<Output = T>) -> (Option<Turn<Subnet>>, T) {
        let Some(turn) = self.allowance.turn().await else { return (None, reading.await) };
        let mut reading = pin!(reading);
        if let Ok(read) = tokio::time::timeout(READING, reading.as_mut()).await {
            return (Some(turn), read);
        }
        drop(turn);
        let read = reading.await;
        (self.allowance.turn().await, read)
    }
}

/// What is said of the person who joins, beside what the topic has.
async fn about(opened: &dyn Opened) -> Result<(Rights, Option<Position>), Unavailable> {
    Ok((opened.rights().await?, opened.read_up_to().await?))
}

/// What an answer costs, in bytes. One that is deflated for its reader alone takes as long as eight of its length that are not.
fn cost(answer: &Frame, outbound: &Outbound) -> usize {
    const DEFLATED: usize = 8;
    let length = answer.bytes().len();
    if outbound.deflates(answer) { DEFLATED * length } else { length }
}

fn not_joined(topic: &Topic) -> CommandError {
    Problem::NotJoined(topic.clone()).into()
}

fn unavailable(Unavailable(cause): Unavailable) -> CommandError {
    debug!(%cause, "a topic could not be read");
    Problem::Unavailable.into()
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        sync::atomic::{AtomicBool, Ordering},
    };

    use async_trait::async_trait;
    use parking_lot::Mutex;
    use serde_json::{Value, json};
    use tokio::{
        io::AsyncReadExt as _,
        net::{TcpListener, TcpStream},
        sync::Notify,
    };

    use super::*;
    use crate::server::{
        accounts::Who,
        hub::{Feed, Hub, Mailbox},
        layers::{MemoryLayer, MemoryOptions},
        lease::{Holder as _, Taken},
        quota::Payer,
        settings::Settings,
        start,
        visitors::Visitor,
        websocket::{Listener, Socket},
    };

    /// The other end of a way out.
    enum Reader {
        Socket(TcpStream),
        Mailbox(Arc<Mailbox>),
    }

    /// A session and what its client has been sent.
    struct Client {
        session: Session,
        outbound: Outbound,
        reader: Reader,
        /// What has come and was not looked at.
        bytes: Vec<u8>,
    }

    impl Client {
        async fn open(scope: &Scope, over_socket: bool) -> Self {
            let (outbound, reader) = if over_socket {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let reader = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
                let socket = Socket::new(listener.accept().await.unwrap().0, None, 0, None, &Arc::default());
                (Outbound::WebSocket(Arc::new(socket)), Reader::Socket(reader))
            } else {
                let mailbox = Arc::new(Mailbox::default());
                (Outbound::Mailbox(Arc::clone(&mailbox)), Reader::Mailbox(mailbox))
            };
            let session = Session::new(scope.clone()).await.unwrap();
            Self { session, outbound, reader, bytes: Vec::new() }
        }

        async fn say(&mut self, command: Value) {
            assert_eq!(self.session.receive(command.to_string(), None).await, Flow::Continue);
        }

        async fn fill(&mut self, length: usize) {
            while self.bytes.len() < length {
                match &mut self.reader {
                    Reader::Socket(reader) => assert!(reader.read_buf(&mut self.bytes).await.unwrap() > 0, "it has ended"),
                    Reader::Mailbox(mailbox) => self.bytes.extend(mailbox.take().await),
                }
            }
        }

        /// The next frame: what it says, without what is another each time; of a close frame its code.
        async fn next(&mut self) -> Value {
            self.fill(2).await;
            let (kind, short) = (self.bytes[0] & 0x0f, usize::from(self.bytes[1]));
            let header = if short == 126 { 4 } else { 2 };
            self.fill(header).await;
            let length = if short == 126 { usize::from(u16::from_be_bytes([self.bytes[2], self.bytes[3]])) } else { short };
            self.fill(header + length).await;
            let payload = self.bytes[header..header + length].to_vec();
            self.bytes.drain(..header + length);
            if kind == 8 {
                return json!({"closed": u16::from_be_bytes([payload[0], payload[1]])});
            }
            stripped(serde_json::from_slice(&payload).unwrap())
        }
    }

    /// Without epochs, times and channels.
    fn stripped(value: Value) -> Value {
        match value {
            Value::Object(fields) => {
                let kept = fields.into_iter().filter(|(key, _)| !["epoch", "at", "channel", "id"].contains(&key.as_str()));
                kept.map(|(key, value)| (key, stripped(value))).collect()
            }
            Value::Array(values) => values.into_iter().map(stripped).collect(),
            other => other,
        }
    }

    /// What Ann's connections of a fresh server begin with.
    async fn scope(data: &tempfile::TempDir) -> Scope {
        let mut settings = Settings::default();
        settings.server.data = data.path().to_owned();
        let layer = Arc::new(MemoryLayer::new(MemoryOptions::default()).unwrap());
        let (services, _) = start(layer, &[counter::make], &settings).await.unwrap();
        services.scope(&Who::guest("g1", "Ann"), Payer { account: None, address: None }, None)
    }

    /// All that a client is sent which presses a counter.
    async fn counted(over_socket: bool) -> Vec<Value> {
        let data = tempfile::tempdir().unwrap();
        let scope = scope(&data).await;
        let mut client = Client::open(&scope, over_socket).await;
        let outbound = client.outbound.clone();
        client.session.open(outbound).await;
        let mut sent = vec![client.next().await];
        for (command, answers) in [
            (json!({"id": 1, "press": {"topic": "counter/a"}}), 1),
            (json!({"id": 2, "join": {"topic": "counter/a"}}), 1),
            (json!({"id": 3, "press": {"topic": "counter/a"}}), 2),
            (json!({"id": 4, "press": {"topic": "counter/a"}}), 2),
            (json!({"id": 5, "join": {"topic": "counter/a", "since": {"epoch": "presses", "offset": 1}}}), 1),
            (json!({"id": 6, "leave": {"topic": "counter/a"}}), 1),
        ] {
            client.say(command).await;
            let begin = sent.len();
            for _ in 0..answers {
                sent.push(client.next().await);
            }
            sent[begin..].sort_by_key(Value::to_string);
        }
        sent
    }

    #[tokio::test]
    async fn every_way_out_is_sent_the_same_of_a_noun_in_a_folder_of_its_own() {
        let (socket, mailbox) = (counted(true).await, counted(false).await);
        assert_eq!(socket, mailbox);
        let values: Vec<_> = socket.iter().filter_map(|frame| frame["event"]["value"].as_u64()).collect();
        assert_eq!(values, [1, 2]);
    }

    /// All that a client is sent which does one thing after the other.
    async fn transcript(over_socket: bool) -> Vec<Value> {
        let data = tempfile::tempdir().unwrap();
        let scope = scope(&data).await;
        let mut client = Client::open(&scope, over_socket).await;
        let mut sent = Vec::new();
        let outbound = client.outbound.clone();
        assert_eq!(client.session.open(outbound).await, Flow::Continue);
        sent.push(client.next().await);
        for (command, answers) in [
            (json!({"id": 1, "join": {"topic": "room/a"}}), 1),
            (json!({"id": 2, "send": {"topic": "room/a", "key": "k", "text": "hello"}}), 2),
            (json!({"id": 3, "join": {"topic": "room/a"}}), 1),
            (json!({"id": 4, "typing": {"topic": "room/b"}}), 1),
            (json!({"id": 5, "ping": {}}), 1),
            (json!({"id": 6, "leave": {"topic": "room/a"}}), 1),
            (json!({"nonsense": 1}), 1),
        ] {
            client.say(command).await;
            let begin = sent.len();
            for _ in 0..answers {
                sent.push(client.next().await);
            }
            // Its own message may come to its author before the answer or after it.
            sent[begin..].sort_by_key(Value::to_string);
        }
        client.outbound.close(CloseCode::SHUTTING_DOWN, "over");
        client.outbound.close(CloseCode::NORMAL, "is too late");
        sent.push(client.next().await);
        sent
    }

    #[tokio::test]
    async fn every_way_out_is_sent_the_same() {
        let (socket, mailbox) = (transcript(true).await, transcript(false).await);
        assert_eq!(socket, mailbox);
        assert_eq!(socket.len(), 10);
        assert_eq!(socket.last(), Some(&json!({"closed": 4003})));
        let texts: Vec<_> = socket.iter().filter_map(|frame| frame["ok"]["events"][0]["event"]["text"].as_str()).collect();
        assert_eq!(texts, ["hello"], "who joins again is given what was said");
    }

    /// What goes in and out, by its kind.
    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Listener for Heard {
        fn heard(&self, text: &str) {
            self.0.lock().push(format!("in {text}"));
        }

        fn said(&self, frame: &Frame) {
            self.0.lock().push(format!("out {} bytes", frame.bytes().len()));
        }
    }

    #[tokio::test]
    async fn who_listens_to_a_session_hears_what_goes_in_and_out() {
        let data = tempfile::tempdir().unwrap();
        let scope = scope(&data).await;
        for over_socket in [true, false] {
            let mut client = Client::open(&scope, over_socket).await;
            let heard = Arc::new(Heard::default());
            client.session.open(client.outbound.clone()).await;
            client.say(json!({"id": 1, "ping": {}})).await;
            client.outbound.tap().open(Arc::clone(&heard) as _);
            client.say(json!({"id": 2, "ping": {}})).await;
            client.outbound.close(CloseCode::NORMAL, "");
            client.outbound.tap().close();
            client.say(json!({"id": 3, "ping": {}})).await;
            let expected = [r#"in {"id":2,"ping":{}}"#, "out 18 bytes", "out 4 bytes"];
            assert_eq!(*heard.0.lock(), expected, "over a socket: {over_socket}");
        }
    }

    /// A room that is read only when it is told to.
    struct Slow {
        room: Arc<dyn Opened>,
        is_read: AtomicBool,
        go_on: Notify,
    }

    impl Slow {
        fn new(room: Arc<dyn Opened>) -> Self {
            Self { room, is_read: AtomicBool::new(false), go_on: Notify::new() }
        }

        /// Whether somebody waits for what is in it.
        fn is_read(&self) -> bool {
            self.is_read.load(Ordering::Relaxed)
        }
    }

    #[async_trait]
    impl Opened for Slow {
        fn feed(&self) -> Arc<dyn Feed> {
            self.room.feed()
        }

        async fn head(&self) -> Result<Position, Unavailable> {
            self.room.head().await
        }

        async fn catch_up(&self, since: Option<&Position>) -> Result<(Position, State), Unavailable> {
            self.is_read.store(true, Ordering::Relaxed);
            self.go_on.notified().await;
            self.room.catch_up(since).await
        }
    }

    #[tokio::test]
    async fn what_is_taken_back_while_it_is_joined_is_not_joined_and_nothing_that_was_held_goes_out() {
        let data = tempfile::tempdir().unwrap();
        let scope = scope(&data).await;
        let topic: Topic = "room/a".parse().unwrap();
        for over_socket in [true, false] {
            for anew in [true, false] {
                let (mut ann, mut bob) = (Client::open(&scope, over_socket).await, Client::open(&scope, over_socket).await);
                for client in [&mut ann, &mut bob] {
                    let outbound = client.outbound.clone();
                    client.session.open(outbound).await;
                    client.next().await;
                }
                bob.say(json!({"id": 1, "join": {"topic": "room/a"}})).await;
                if !anew {
                    ann.say(json!({"id": 1, "join": {"topic": "room/a"}})).await;
                    ann.next().await;
                }
                let slow = Arc::new(Slow::new(scope.topics.open(&topic, scope.asker()).await.ok().unwrap()));
                let (outbound, open) = (ann.outbound.clone(), Arc::clone(&ann.session.open));
                open.begin();
                let answer =
                    |at, state| ServerFrame::Reply(Reply { id: Some(2), outcome: Outcome::Ok(Answer::Joined { at, state }) });
                let mut entering = Box::pin(ann.session.enter(Arc::clone(&slow) as _, Level::Since(None), &outbound, answer));
                while futures_util::poll!(entering.as_mut()).is_pending() && scope.hub.census().members < 2 {
                    tokio::task::yield_now().await;
                }
                bob.say(json!({"id": 2, "send": {"topic": "room/a", "key": "k", "text": "held"}})).await;
                open.take_back(&Taken::Topic(topic.clone(), Why::Unsaid));
                slow.go_on.notify_one();
                let refused = entering.await.unwrap_err();
                assert_eq!(refused, Problem::TakenBack(Why::Unsaid.said(&topic)).into());
                assert_eq!(scope.hub.census().members, 1, "it is no member any more");
                ann.say(json!({"id": 3, "send": {"topic": "room/a", "key": "k", "text": "late"}})).await;
                if !anew {
                    let word = json!({"code": "forbidden", "message": "room/a is not open to you any more", "type": "left"});
                    assert_eq!(ann.next().await, json!({"topic": "room/a", "event": word}));
                }
                assert_eq!(ann.next().await["error"]["code"], "not_joined");
            }
        }
    }

    /// A room that cannot be read now.
    struct Away(Arc<dyn Opened>);

    #[async_trait]
    impl Opened for Away {
        fn feed(&self) -> Arc<dyn Feed> {
            self.0.feed()
        }

        async fn head(&self) -> Result<Position, Unavailable> {
            Err(Unavailable("it is away".into()))
        }

        async fn catch_up(&self, _: Option<&Position>) -> Result<(Position, State), Unavailable> {
            Err(Unavailable("it is away".into()))
        }
    }

    #[tokio::test]
    async fn a_join_that_the_store_refuses_leaves_who_was_a_member_one() {
        let data = tempfile::tempdir().unwrap();
        let scope = scope(&data).await;
        let topic: Topic = "room/a".parse().unwrap();
        for over_socket in [true, false] {
            let (mut ann, mut bob) = (Client::open(&scope, over_socket).await, Client::open(&scope, over_socket).await);
            for client in [&mut ann, &mut bob] {
                let outbound = client.outbound.clone();
                client.session.open(outbound).await;
                client.next().await;
                client.say(json!({"id": 1, "join": {"topic": "room/a"}})).await;
                client.next().await;
            }
            let members = scope.hub.census().members;
            let away = Arc::new(Away(scope.topics.open(&topic, scope.asker()).await.ok().unwrap()));
            let outbound = ann.outbound.clone();
            let answer =
                |at, state| ServerFrame::Reply(Reply { id: Some(2), outcome: Outcome::Ok(Answer::Joined { at, state }) });
            ann.session.open.begin();
            let refused = ann.session.enter(away, Level::Since(None), &outbound, answer).await.unwrap_err();
            assert_eq!(refused.code, Code::Unavailable);
            assert_eq!(scope.hub.census().members, members);
            // It hears what is said, and may say something.
            let key = format!("k{over_socket}");
            bob.say(json!({"id": 2, "send": {"topic": "room/a", "key": key, "text": "to all"}})).await;
            assert_eq!(ann.next().await["event"]["text"], "to all", "over a socket: {over_socket}");
            ann.say(json!({"id": 3, "typing": {"topic": "room/a"}})).await;
            assert_eq!(ann.next().await["ok"], json!({}));
        }
    }

    /// Joins a room for somebody.
    async fn enter(client: &mut Client, room: &Arc<Slow>) -> Frame {
        let answer = |at, state| ServerFrame::Reply(Reply { id: Some(1), outcome: Outcome::Ok(Answer::Joined { at, state }) });
        let outbound = client.outbound.clone();
        client.session.open.begin();
        client.session.enter(Arc::clone(room) as _, Level::Since(None), &outbound, answer).await.unwrap()
    }

    /// Goes on with a join, which cannot come to its end before something is so.
    async fn until<T>(joining: &mut Pin<Box<impl Future<Output = T>>>, is_so: impl Fn() -> bool) {
        while !is_so() {
            assert!(futures_util::poll!(joining.as_mut()).is_pending());
            tokio::task::yield_now().await;
        }
    }

    /// Clients of these addresses that are connected, and a room for each.
    async fn at_addresses(data: &tempfile::TempDir, addresses: [&str; 3]) -> (Arc<Hub>, [Client; 3], [Arc<Slow>; 3]) {
        let scope = scope(data).await;
        let topic = "room/a".parse().unwrap();
        let room = async || Arc::new(Slow::new(scope.topics.open(&topic, scope.asker()).await.ok().unwrap()));
        let client = async |address: &str| {
            let address = Some(Visitor::direct(address.parse().unwrap()).subnet());
            let scope = Scope { payer: Payer { account: None, address }, ..scope.clone() };
            let mut client = Client::open(&scope, false).await;
            client.session.open(client.outbound.clone()).await;
            client
        };
        let [first, second, third] = addresses.map(client);
        (Arc::clone(&scope.hub), [first.await, second.await, third.await], [room().await, room().await, room().await])
    }

    #[tokio::test]
    async fn the_joins_of_an_address_are_answered_one_after_the_other_and_each_is_a_member_before() {
        let data = tempfile::tempdir().unwrap();
        let (hub, mut clients, rooms) = at_addresses(&data, ["192.0.2.1", "192.0.2.1", "192.0.2.2"]).await;
        let [ann, bob, elsewhere] = &mut clients;
        let mut first = Box::pin(enter(ann, &rooms[0]));
        until(&mut first, || rooms[0].is_read()).await;
        let mut second = Box::pin(enter(bob, &rooms[1]));
        until(&mut second, || hub.census().members == 2).await;
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        let mut other = Box::pin(enter(elsewhere, &rooms[2]));
        until(&mut other, || rooms[2].is_read()).await;
        assert!(!rooms[1].is_read(), "the first has no answer yet");
        rooms[0].go_on.notify_one();
        first.await;
        until(&mut second, || rooms[1].is_read()).await;
        rooms[1].go_on.notify_one();
        rooms[2].go_on.notify_one();
        tokio::join!(second, other);
    }

    #[tokio::test]
    async fn a_join_for_which_the_store_takes_long_lets_others_go_first() {
        let data = tempfile::tempdir().unwrap();
        let (_hub, mut clients, rooms) = at_addresses(&data, ["192.0.2.1"; 3]).await;
        let [ann, bob, _] = &mut clients;
        let mut first = Box::pin(enter(ann, &rooms[0]));
        until(&mut first, || rooms[0].is_read()).await;
        let mut second = Box::pin(enter(bob, &rooms[1]));
        tokio::time::pause();
        tokio::time::advance(2 * READING).await;
        assert!(futures_util::poll!(first.as_mut()).is_pending());
        until(&mut second, || rooms[1].is_read()).await;
        rooms[1].go_on.notify_one();
        second.await;
        rooms[0].go_on.notify_one();
        first.await;
    }

    #[tokio::test]
    async fn what_waits_for_its_reader_goes_with_what_is_taken_back() {
        let data = tempfile::tempdir().unwrap();
        let scope = scope(&data).await;
        for (taken, code) in [(Taken::Everything, 4501), (Taken::Topic("room/a".parse().unwrap(), Why::Unsaid), 4002)] {
            let mut client = Client::open(&scope, false).await;
            let outbound = client.outbound.clone();
            client.session.open(outbound).await;
            client.next().await;
            client.say(json!({"id": 1, "join": {"topic": "room/a"}})).await;
            client.session.open.take_back(&taken);
            assert_eq!(client.next().await, json!({"closed": code}), "the answer was not read yet");
        }
    }
}
