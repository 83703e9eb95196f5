//! Plain clients: they are members of the one topic that their address names. What they are sent is what its entries are to them, and what
//! they may say its noun takes. In a room what one says reaches every member verbatim.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::http::StatusCode;
use parking_lot::Mutex;
use tracing::error;

use super::Consumer;
use crate::{
    locales::problems as say,
    server::{
        allowance::Allowance,
        hub::{Form, Membership, Outbound, PlainMessage, Reachable, Unavailable},
        lease::{About, Closed, Holder, Lease, Taken, Why},
        noun::Opened,
        random,
        scope::{Flow, Refuse, Scope, Whose, goodbye},
        turns::Turn,
        visitors::Subnet,
        websocket::{CloseCode, Frame, Message, Socket},
    },
    wire::{Code, CommandError, Key, SUBPROTOCOL, Timestamp, Topic},
};

/// The text with which a plain client asks to be closed.
const EXIT: &str = "exit";

/// A member of one topic.
pub struct Plain {
    scope: Scope,
    opened: Arc<dyn Opened>,
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
    whose: Whose,
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
    Ended(CloseCode, Arc<str>),
}

impl Holder for Open {
    fn take_back(&self, taken: &Taken) {
        let (code, reason) = match taken {
            Taken::Everything => (CloseCode::SIGNED_OUT, self.whose.told(say::signed_out).into()),
            Taken::Topic(topic, Why::Unsaid) if *topic == self.topic => {
                (CloseCode::TAKEN_BACK, self.whose.told(say::taken_back).into())
            }
            Taken::Topic(topic, why) if *topic == self.topic => {
                (CloseCode::TAKEN_BACK, self.whose.told(|| why.said(topic)).into())
            }
            Taken::Topic(..) => return,
        };
        self.end(code, reason);
    }

    fn about(&self) -> About {
        let topics = usize::from(matches!(*self.stands.lock(), Stands::Joined { .. }));
        self.whose.about("plain", topics)
    }

    fn close(&self, why: Closed) {
        let (code, reason) = self.whose.told(|| goodbye(why));
        self.end(code, reason.into());
    }
}

impl Open {
    fn end(&self, code: CloseCode, reason: Arc<str>) {
        let mut stands = self.stands.lock();
        if let Stands::Joined { outbound, membership, .. } =
            std::mem::replace(&mut *stands, Stands::Ended(code, Arc::clone(&reason)))
        {
            // The membership first: what comes after that is none of its own.
            drop(membership);
            outbound.cut(None, code, &reason);
        }
    }
}

#[async_trait]
impl Consumer for Plain {
    async fn connect(scope: Scope) -> Result<Self, Refuse> {
        let only_v1 = |reason: String| Refuse { status: StatusCode::BAD_REQUEST, reason };
        let Some(topic) = scope.topic.clone() else {
            return Err(only_v1(format!(
                "this address carries many topics: ask for the sub-protocol {SUBPROTOCOL}, or connect to /room/{{group}}/"
            )));
        };
        let open = Arc::new(Open { topic: topic.clone(), whose: Whose::of(&scope), stands: Mutex::new(Stands::Allowed) });
        // From before it is asked for.
        let lease = scope.leases.grant(&scope.who.person().id, scope.who.session(), &open);
        let opened = scope.topics.open(&topic, scope.asker()).await?;
        if !opened.is_plain() {
            return Err(only_v1(format!("{topic} has nothing for plain clients: ask for the sub-protocol {SUBPROTOCOL}")));
        }
        let allowance = Allowance::new(&scope.limits, scope.payer, &scope.rates, &scope.quotas);
        Ok(Self { scope, opened, allowance, random: random::bits_128(), open, _lease: lease })
    }

    fn longest_message(&self) -> usize {
        self.scope.limits.message_bytes
    }

    async fn open(&mut self, socket: &Arc<Socket>) -> Flow {
        let outbound = Outbound::WebSocket(Arc::clone(socket));
        match self.join(&outbound).await {
            Ok((membership, begin)) => {
                let mut stands = self.open.stands.lock();
                if let Stands::Ended(code, reason) = &*stands {
                    return Flow::close(*code, &**reason);
                }
                let reachable = self.scope.hub.register(&outbound, Form::Plain);
                membership.release(None, begin);
                *stands = Stands::Joined { outbound, membership, _reachable: reachable };
                Flow::Continue
            }
            Err(Unavailable(cause)) => {
                error!(topic = %self.open.topic, %cause, "a connection could not join its topic");
                Flow::close(CloseCode::TRY_AGAIN, "the group cannot be joined now")
            }
        }
    }

    async fn turn(&self) -> Option<Turn<Subnet>> {
        self.allowance.turn().await
    }

    async fn receive(&mut self, message: Message, turn: Option<Turn<Subnet>>) -> Flow {
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
        if let Stands::Ended(code, reason) = &*self.open.stands.lock() {
            return Flow::close(*code, &**reason);
        }
        let said = match message {
            Message::Text(text) if text == EXIT => {
                self.hand_out();
                return Flow::close(CloseCode::NORMAL, "");
            }
            Message::Text(text) => PlainMessage::Text(text),
            Message::Binary(bytes) => PlainMessage::Binary(bytes.into()),
            Message::Ping(_) | Message::Pong(_) | Message::Close(..) => return Flow::after(pause),
        };
        let key = self.next_key();
        match self.opened.take(said, key).await {
            Ok(()) => Flow::after(pause),
            Err(CommandError { code, message, .. }) => {
                let code = match code {
                    Code::TooLarge => CloseCode::TOO_BIG,
                    Code::Unavailable | Code::ReadOnly => CloseCode::TRY_AGAIN,
                    // They may not, at least now.
                    Code::Forbidden => CloseCode::TAKEN_BACK,
                    _ => CloseCode::UNSUPPORTED,
                };
                Flow::close(code, message)
            }
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
    /// Becomes a member, held until it is sent what it begins with.
    async fn join(&self, outbound: &Outbound) -> Result<(Membership, Vec<Frame>), Unavailable> {
        let membership = self.scope.hub.join(self.opened.feed(), outbound, (Form::Plain, true)).await?;
        let begin = membership.newest().await?;
        Ok((membership, begin))
    }

    fn next_key(&mut self) -> Key {
        self.random = self.random.wrapping_add(1);
        Key::fresh(Timestamp::now(), self.random)
    }
}
