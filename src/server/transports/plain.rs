//! Plain clients: what one says reaches every member of the group, verbatim; nothing else is ever sent to them. A text in which
//! nothing is seen reaches the other plain clients, and is no message.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::http::StatusCode;
use parking_lot::Mutex;
use tracing::error;

use super::{
    Consumer,
    websocket::{CloseCode, Message, Socket},
};
use crate::{
    server::{
        allowance::Allowance,
        hub::{Form, Membership, Outbound, Reachable, Unavailable},
        lease::{Holder, Lease, Taken},
        random,
        rooms::{Access, PostError, Room},
        scope::{Flow, Refuse, Scope},
        turns::Turn,
        visitors::Household,
    },
    wire::{Key, Text, Timestamp, Topic},
};

/// The text with which a plain client asks to be closed.
const EXIT: &str = "exit";

/// A member of one group.
pub struct Plain {
    scope: Scope,
    access: Access<Room>,
    allowance: Allowance,
    /// What makes the key of this connection's next message unique.
    random: u128,
    open: Arc<Open>,
    /// By which what is open is found to be taken back.
    _lease: Lease,
}

/// What is open on the connection.
struct Open {
    topic: Topic,
    stands: Mutex<Stands>,
}

/// How it stands.
enum Stands {
    /// It was allowed, and is about to be joined.
    Allowed,
    Joined {
        outbound: Outbound,
        membership: Membership,
        _reachable: Reachable,
    },
    /// It was taken back, with this code and reason.
    Ended(CloseCode, &'static str),
}

impl Holder for Open {
    fn take_back(&self, taken: &Taken) {
        let (code, reason) = match taken {
            Taken::Everything => (CloseCode::SIGNED_OUT, "you were signed out"),
            Taken::Topic(topic) if *topic == self.topic => (CloseCode::TAKEN_BACK, "this room is not open to you any more"),
            Taken::Topic(_) => return,
        };
        let mut stands = self.stands.lock();
        if let Stands::Joined { outbound, membership, .. } = std::mem::replace(&mut *stands, Stands::Ended(code, reason)) {
            // The membership first: what comes after that is none of its own.
            drop(membership);
            outbound.cut(None, code, reason);
        }
    }
}

#[async_trait]
impl Consumer for Plain {
    async fn connect(scope: Scope) -> Result<Self, Refuse> {
        let Some(group) = &scope.group else {
            let reason = "this address carries many topics: ask for the sub-protocol confab.v1, or connect to /room/{group}/";
            return Err(Refuse { status: StatusCode::BAD_REQUEST, reason });
        };
        let open = Arc::new(Open { topic: Topic::Room(group.clone()), stands: Mutex::new(Stands::Allowed) });
        // From before it is asked for.
        let lease = scope.leases.grant(&scope.who, &open);
        let access = scope.rooms.enter(scope.asker(), group).await?;
        let allowance = Allowance::new(&scope.limits, scope.payer, &scope.rates, &scope.quotas);
        Ok(Self { scope, access, allowance, random: random::bits_128(), open, _lease: lease })
    }

    fn longest_message(&self) -> usize {
        self.scope.limits.message_bytes
    }

    async fn open(&mut self, socket: &Arc<Socket>) -> Flow {
        let outbound = Outbound::WebSocket(Arc::clone(socket));
        match self.scope.hub.join(self.access.feed(), &outbound, (Form::Plain, false)).await {
            Ok(membership) => {
                let mut stands = self.open.stands.lock();
                if let Stands::Ended(code, reason) = *stands {
                    return Flow::close(code, reason);
                }
                let reachable = self.scope.hub.register(&outbound, Form::Plain);
                *stands = Stands::Joined { outbound, membership, _reachable: reachable };
                Flow::Continue
            }
            Err(Unavailable(cause)) => {
                let group = &self.access.room().group;
                error!(%group, %cause, "a connection could not join its group");
                Flow::close(CloseCode::TRY_AGAIN, "the group cannot be joined now")
            }
        }
    }

    async fn turn(&self) -> Option<Turn<Household>> {
        self.allowance.turn().await
    }

    async fn receive(&mut self, message: Message, turn: Option<Turn<Household>>) -> Flow {
        drop(turn);
        // There is no answer that could tell a plain client to slow down; what it says after this waits instead.
        // What was owed before it has held the connection up already.
        let _ = self.allowance.receive(message.length());
        let pause = self.allowance.charge(message.length());
        let line = match &*self.open.stands.lock() {
            Stands::Joined { membership, .. } => {
                self.allowance.charge_copies(message.length(), membership.members());
                Some(membership.line())
            }
            Stands::Allowed | Stands::Ended(..) => None,
        };
        if let Some(line) = line {
            line.has_room().await;
        }
        if let Stands::Ended(code, reason) = *self.open.stands.lock() {
            return Flow::close(code, reason);
        }
        let posted = match message {
            Message::Text(text) if text == EXIT => {
                self.hand_out();
                return Flow::close(CloseCode::NORMAL, "");
            }
            Message::Text(text) => {
                let key = self.next_key();
                match Text::exactly(text) {
                    Ok(text) => self.access.post(key, text).await.map(|_| ()),
                    Err(blank) => self.access.pass_on(&blank).await,
                }
            }
            Message::Binary(bytes) => self.access.post_binary(bytes).await,
            Message::Ping(_) | Message::Pong(_) | Message::Close(..) => Ok(()),
        };
        match posted {
            Ok(()) => Flow::after(pause),
            Err(PostError::TooLong(longest)) => {
                Flow::close(CloseCode::TOO_BIG, format!("a message is at most {longest} bytes"))
            }
            // There is no answer that could say so to a plain client.
            Err(PostError::Denied(denied)) => Flow::close(CloseCode::TAKEN_BACK, denied.to_string()),
            Err(PostError::Unavailable) => Flow::close(CloseCode::TRY_AGAIN, "the message cannot be taken now; send it again"),
        }
    }

    fn charge(&mut self, bytes: usize) -> Flow {
        Flow::after(self.allowance.charge_frames(bytes))
    }

    fn hand_out(&self) {
        if let Stands::Joined { membership, .. } = &*self.open.stands.lock() {
            membership.hand_out();
        }
    }

    fn owed(&self) -> Duration {
        self.allowance.owed()
    }

    async fn disconnect(self, _code: CloseCode) {}
}

impl Plain {
    fn next_key(&mut self) -> Key {
        self.random = self.random.wrapping_add(1);
        Key::fresh(Timestamp::now(), self.random)
    }
}
