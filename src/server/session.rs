//! `confab.v1`: one socket, many topics; every command gets one answer.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use tracing::debug;

use crate::{
    server::{
        allowance::{Allowance, Spent},
        assets::BUILD,
        hub::{Feed, Form, Membership, Reachable, Unavailable, v1},
        presence::Attendance,
        quota::Owed,
        rooms::{Access, AlterError, CatchUp, PostError, Refusal, Room, list_position},
        store::{Alteration, Entry, Refused, StoreError},
        transports::{
            Consumer, Flow, LONG, Refuse, Scope,
            websocket::{CloseCode, Frame, Message, Socket},
        },
        turns::Turn,
        visitors::Household,
    },
    wire::{
        self, Answer, Code, Command, CommandError, Delete, Edit, Join, Members, MessageId, Mine, Offset, Outcome, Position,
        Push, React, Reply, Request, Send, ServerFrame, State, Text, Topic, Typing, Welcome,
    },
};

/// How long a client that asks for too much is not listened to at most.
const HOLD: Duration = Duration::from_secs(1);

/// A connection that speaks `confab.v1`.
pub struct Chat {
    scope: Scope,
    /// The room in the address.
    address: Option<Access<Room>>,
    allowance: Allowance,
    topics: HashMap<Topic, Joined>,
    link: Option<(Arc<Socket>, Reachable)>,
}

/// A topic that was joined: what may be done in it, and being told of it.
struct Joined {
    access: Option<Access<Room>>,
    /// The others see that the person is here, where it is a room.
    attendance: Option<Attendance>,
    membership: Membership,
}

/// An answer that has gone out already, or one that has not.
type Answered = Result<Option<Answer>, CommandError>;

#[async_trait]
impl Consumer for Chat {
    fn connect(scope: Scope) -> Result<Self, Refuse> {
        let address = scope.group.as_ref().map(|group| scope.rooms.enter(&scope.person, group)).transpose()?;
        let allowance = Allowance::new(&scope.limits, scope.payer, &scope.accounts, &scope.quotas);
        Ok(Self { scope, address, allowance, topics: HashMap::new(), link: None })
    }

    fn longest_message(&self) -> usize {
        self.scope.limits.json_bytes()
    }

    async fn open(&mut self, socket: &Arc<Socket>) -> Flow {
        let reachable = self.scope.hub.register(socket, Form::V1);
        let mut welcome = Welcome {
            channel: reachable.channel.to_string(),
            you: self.scope.person.clone(),
            ping_s: self.scope.limits.ping_s,
            build: BUILD.to_owned(),
            joined: None,
        };
        self.link = Some((Arc::clone(socket), reachable));
        let Some(access) = self.address.take() else {
            socket.send(&[socket.fitted(v1(&ServerFrame::Welcome { welcome }))]);
            return Flow::Continue;
        };
        let topic = Topic::Room(access.room().group.clone());
        let joined = async {
            let membership = self.join_closed(access.feed(), socket).await?;
            let head = access.head().await.map_err(unavailable)?;
            Ok::<_, CommandError>((membership, head))
        };
        match joined.await {
            Ok((membership, head)) => {
                welcome.joined = Some(wire::Joined { topic: topic.clone(), epoch: head.epoch.clone(), offset: head.offset });
                membership.release(Some(head), Some(v1(&ServerFrame::Welcome { welcome })));
                let attendance = self.attend(&topic, &membership);
                self.topics.insert(topic, Joined { access: Some(access), attendance, membership });
                Flow::Continue
            }
            Err(error) => Flow::close(CloseCode::TRY_AGAIN, error.message),
        }
    }

    async fn turn(&self) -> Option<Turn<Household>> {
        self.allowance.turn().await
    }

    async fn receive(&mut self, message: Message, turn: Option<Turn<Household>>) -> Flow {
        let Some((socket, _)) = &self.link else { return Flow::Continue };
        let socket = Arc::clone(socket);
        let Message::Text(text) = message else {
            return Flow::close(CloseCode::UNSUPPORTED, "confab.v1 is spoken in text messages");
        };
        let length = text.len();
        let came = self.allowance.receive(length);
        let (id, command) = match Request::parse(&text) {
            Ok(Request { id, command }) => (Some(id), Ok(command)),
            Err((id, error)) => (id, Err(error)),
        };
        // Its JSON may be six times as long, and it may have to wait.
        drop((text, turn));
        // Pings are never refused, since a client needs them to know that it is not cut off; nonsense is.
        let (allowed, pause) = if matches!(command, Ok(Command::Ping(_))) {
            (Ok(()), self.allowance.charge_bytes(length))
        } else {
            let taken = came.and_then(|()| self.allowance.take(length));
            (taken.map_err(|spent| self.refusal(spent)), taken.err().map_or(Duration::ZERO, Spent::wait))
        };
        let answered = match allowed.and(command) {
            Ok(command) => self.carry_out(id, command, &socket).await,
            Err(error) => Err(error),
        };
        // To refuse is work too: who goes on all the same is read no faster than there is something to be had again.
        let flow = Flow::after(pause.min(HOLD));
        let outcome = match answered {
            Ok(None) => return flow,
            Ok(Some(answer)) => Outcome::Ok(answer),
            Err(error) => Outcome::Error(error),
        };
        socket.send(&[socket.fitted(v1(&ServerFrame::Reply(Reply { id, outcome })))]);
        flow
    }

    fn charge(&mut self, bytes: usize) -> Flow {
        Flow::after(self.allowance.charge_frames(bytes).min(HOLD))
    }

    fn hand_out(&self) {
        for joined in self.topics.values() {
            joined.membership.hand_out();
        }
    }

    fn owed(&self) -> Duration {
        self.allowance.owed()
    }

    async fn disconnect(self, _code: CloseCode) {}
}

impl Chat {
    fn refusal(&self, spent: Spent) -> CommandError {
        let limits = &self.scope.limits;
        let message = match spent {
            Spent::Messages(_) => format!("at most {} commands a second on one connection", limits.messages_per_second),
            Spent::Bytes(_) => format!("at most {} bytes a second on one connection", limits.bytes_per_second),
            Spent::Account(_) => {
                format!("at most {} commands a second on all of your connections", self.scope.accounts.per_second())
            }
            Spent::Quota(Owed::ByAccount(_)) => {
                format!("at most {} bytes a second on all of your connections", self.scope.quotas.of_account())
            }
            Spent::Quota(Owed::ByAddress(_)) => {
                format!("at most {} bytes a second to and from one address", self.scope.quotas.of_address())
            }
        };
        CommandError::rate_limited(message, spent.wait())
    }

    async fn carry_out(&mut self, id: Option<u64>, command: Command, socket: &Arc<Socket>) -> Answered {
        match command {
            Command::Join(join) => {
                self.allowance.advance();
                let joined = self.join(id, join, socket).await;
                let cost = joined.as_ref().map_or(0, |answer| cost(answer, socket));
                self.allowance.settle(cost);
                if cost >= LONG {
                    tokio::task::yield_now().await;
                }
                joined.map(|_| None)
            }
            Command::Leave(leave) => match self.topics.remove(&leave.topic) {
                Some(_) => Ok(Some(Answer::Done {})),
                None => Err(not_joined(&leave.topic)),
            },
            Command::Send(send) => self.send(send).await.map(|offset| Some(Answer::Sent { offset })),
            Command::Edit(Edit { topic, message, text }) => {
                let text = written(&text)?;
                self.change(&topic, message, Alteration::Edit(text.into_string())).await
            }
            Command::Delete(Delete { topic, message }) => self.change(&topic, message, Alteration::Delete).await,
            Command::React(React { topic, message, emoji, on }) => {
                self.change(&topic, message, Alteration::React { emoji, on }).await
            }
            Command::Typing(typing) => self.typing(&typing).map(|()| Some(Answer::Done {})),
            Command::Ping(_) => Ok(Some(Answer::Done {})),
        }
    }

    fn typing(&self, Typing { topic }: &Typing) -> Result<(), CommandError> {
        if !self.topics.contains_key(topic) {
            return Err(not_joined(topic));
        }
        let Topic::Room(room) = topic else {
            return Err(CommandError::new(Code::BadRequest, format!("nothing can be written in {topic}")));
        };
        self.scope.presence.typing(room, &self.scope.person);
        Ok(())
    }

    /// Lets the others see that the person is in a room.
    fn attend(&self, topic: &Topic, membership: &Membership) -> Option<Attendance> {
        let Topic::Room(room) = topic else { return None };
        Some(self.scope.presence.enter(room, &self.scope.person, membership.audience()))
    }

    /// Who is in a room.
    fn members(&self, topic: &Topic) -> Option<Members> {
        let Topic::Room(room) = topic else { return None };
        Some(self.scope.presence.members(room))
    }

    /// The room of a topic that was joined, when there is room for one more event of about so many bytes on the way to its members.
    async fn room(&self, topic: &Topic, bytes: usize) -> Result<&Access<Room>, CommandError> {
        let joined = self.topics.get(topic).ok_or_else(|| not_joined(topic))?;
        let nothing = || CommandError::new(Code::BadRequest, format!("nothing can be sent to {topic}"));
        let access = joined.access.as_ref().ok_or_else(nothing)?;
        self.allowance.charge_copies(bytes, joined.membership.members());
        joined.membership.has_room().await;
        Ok(access)
    }

    async fn send(&self, Send { topic, key, text }: Send) -> Result<Option<Offset>, CommandError> {
        let access = self.room(&topic, text.len()).await?;
        let again = "the message cannot be taken now; send it again with the same key";
        let posted = access.post(key, written(&text)?).await.map_err(|error| refused(error, again))?;
        Ok(posted.offset)
    }

    async fn change(&self, topic: &Topic, message: MessageId, alteration: Alteration) -> Answered {
        let bytes = if let Alteration::Edit(text) = &alteration { text.len() } else { 0 };
        let changed = self.room(topic, bytes).await?.change(message, alteration).await;
        let offset = changed.map_err(|error| match error {
            AlterError::Post(error) => refused(error, "the change cannot be made now; send it again"),
            AlterError::Refused(refused) => {
                let code = match refused {
                    Refused::NotFound => Code::NotFound,
                    Refused::NotYours => Code::Forbidden,
                    Refused::TooManyKinds | Refused::TooManyOfOne => Code::TooLarge,
                };
                CommandError::new(code, refused.to_string())
            }
        })?;
        Ok(Some(Answer::Sent { offset: Some(offset) }))
    }

    /// Joins and answers: the answer and what is published after it leave in one piece. Gives the answer before it was fitted to the
    /// connection.
    async fn join(
        &mut self,
        id: Option<u64>,
        Join { topic, since }: Join,
        socket: &Arc<Socket>,
    ) -> Result<Frame, CommandError> {
        let most = self.scope.limits.topics;
        if !self.topics.contains_key(&topic) && self.topics.len() >= most {
            return Err(CommandError::new(Code::TooLarge, format!("a connection joins at most {most} topics")));
        }
        let (access, feed) = match &topic {
            Topic::Room(group) => {
                let access = self.scope.rooms.enter(&self.scope.person, group).map_err(|refusal| match refusal {
                    Refusal::NotFound => CommandError::new(Code::NotFound, format!("there is no room {group}")),
                    Refusal::Forbidden => CommandError::new(Code::Forbidden, format!("the room {group} is not open to guests")),
                })?;
                let feed = access.feed();
                (Some(access), feed)
            }
            Topic::Me => (None, self.scope.rooms.feed()),
        };
        // From here on it is put back, or was never there.
        let known = self.topics.remove(&topic);
        let was_member = known.is_some();
        let (membership, attendance) = match known {
            Some(joined) => {
                joined.membership.hold();
                (joined.membership, joined.attendance)
            }
            None => (self.join_closed(feed, socket).await?, None),
        };
        let state = match &access {
            Some(access) => access.catch_up(since.as_ref()).await.map(|caught_up| room_state(&topic, caught_up)),
            None => self.scope.rooms.newest().await.map(|rooms| {
                let state =
                    State { recovered: false, events: Vec::new(), mine: Mine::new(), rooms: Some(rooms), members: None };
                (list_position(), state)
            }),
        };
        match state {
            Ok((head, mut state)) => {
                let attendance = attendance.or_else(|| self.attend(&topic, &membership));
                state.members = self.members(&topic);
                let at = wire::Joined { topic: topic.clone(), epoch: head.epoch.clone(), offset: head.offset };
                let reply = Reply { id, outcome: Outcome::Ok(Answer::Joined { at, state }) };
                let answer = v1(&ServerFrame::Reply(reply));
                membership.release(Some(head), Some(answer.clone()));
                self.topics.insert(topic, Joined { access, attendance, membership });
                Ok(answer)
            }
            Err(cause) => {
                // Who was a member before stays one, where it stood.
                if was_member {
                    membership.release(None, None);
                    self.topics.insert(topic, Joined { access, attendance, membership });
                }
                Err(unavailable(cause))
            }
        }
    }

    async fn join_closed(&self, feed: Arc<dyn Feed>, socket: &Arc<Socket>) -> Result<Membership, CommandError> {
        self.scope
            .hub
            .join(feed, socket, (Form::V1, true))
            .await
            .map_err(|Unavailable(cause)| unavailable(StoreError::Unavailable(cause)))
    }
}

/// What an answer costs, in bytes. One that is deflated for its reader alone takes as long as eight of its length that are not.
fn cost(answer: &Frame, socket: &Socket) -> usize {
    const DEFLATED: usize = 8;
    let length = answer.bytes().len();
    if socket.deflates(answer) { DEFLATED * length } else { length }
}

fn room_state(topic: &Topic, CatchUp { head, recovered, entries, mine }: CatchUp) -> (Position, State) {
    let push = |Entry { offset, what }| Push { topic: topic.clone(), offset: Some(offset), event: what.into() };
    (head, State { recovered, events: entries.into_iter().map(push).collect(), mine, rooms: None, members: None })
}

fn written(text: &str) -> Result<Text, CommandError> {
    Text::written(text).map_err(|blank| CommandError::new(Code::BadRequest, blank.to_string()))
}

/// Why something was not taken; `again` says what to do where it may be taken later.
fn refused(error: PostError, again: &str) -> CommandError {
    match error {
        PostError::TooLong(longest) => CommandError::new(Code::TooLarge, format!("a text is at most {longest} bytes of UTF-8")),
        PostError::Unavailable => {
            CommandError { code: Code::Unavailable, message: again.to_owned(), retry_after_ms: Some(1_000) }
        }
    }
}

fn not_joined(topic: &Topic) -> CommandError {
    CommandError::new(Code::NotJoined, format!("join {topic} first"))
}

fn unavailable(StoreError::Unavailable(cause): StoreError) -> CommandError {
    debug!(%cause, "the store could not be read");
    CommandError { code: Code::Unavailable, message: "not now; try again".to_owned(), retry_after_ms: Some(1_000) }
}
