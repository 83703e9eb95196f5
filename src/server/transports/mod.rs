//! Consumers: what a connection does, in the terms of Django Channels.
//!
//! [`serve`] takes one connection through its life: [`connect`](Consumer::connect) decides on the request alone and may refuse with
//! an HTTP status; after the handshake [`open`](Consumer::open) joins groups and says what is said without being asked; then each
//! message goes to [`receive`](Consumer::receive), one after the other; [`disconnect`](Consumer::disconnect) is last, however it ended.
//!
//! Events of the groups do not pass through the consumers: a thousand members of a group would do the same work a thousand
//! times. [`Hub`] encodes an event once for each [`Form`](super::hub::Form) that its members read, deflates it once, and writes the same bytes to
//! all.

mod plain;
mod too_many;
pub mod websocket;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::http::StatusCode;
use hyper::upgrade::OnUpgrade;
use tracing::debug;

use self::websocket::{CloseCode, Connection, ConnectionLimits, Counters, Deflate, Heard, Message, Socket};
pub use self::{plain::Plain, too_many::TooMany};
use super::{
    accounts::Account,
    bucket::Buckets,
    hub::Hub,
    limits::Limits,
    presence::Presence,
    quota::{Payer, Quotas},
    rooms::{Refusal, Rooms},
    turns::Turn,
    visitors::Household,
};
use crate::wire::{Group, Person};

/// What a consumer knows of the request that it may accept (the scope of Django Channels).
#[derive(Clone)]
pub struct Scope {
    pub person: Person,
    /// Whose bounds hold beside the connection's own.
    pub payer: Payer,
    /// What each account says, this one too.
    pub accounts: Arc<Buckets<Account>>,
    /// What each account and each address has carried.
    pub quotas: Arc<Quotas>,
    /// The group in the address, if it names one.
    pub group: Option<Group>,
    pub rooms: Arc<Rooms>,
    pub hub: Arc<Hub>,
    pub presence: Arc<Presence>,
    pub limits: Limits,
}

/// Refused before the handshake is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refuse {
    pub status: StatusCode,
    pub reason: &'static str,
}

impl From<Refusal> for Refuse {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound => Self { status: StatusCode::NOT_FOUND, reason: "there is no such room" },
            Refusal::Forbidden => Self { status: StatusCode::FORBIDDEN, reason: "this room is not open to guests" },
        }
    }
}

/// Ends the connection with a closing handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    pub code: CloseCode,
    pub reason: String,
}

impl Close {
    pub fn new(code: CloseCode, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }
}

/// How the connection goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flow {
    Continue,
    /// Nothing more is read from the client for so long; what is sent to it goes out meanwhile.
    Hold(Duration),
    Close(Close),
}

impl Flow {
    /// Goes on after a pause, if there is to be one.
    pub(super) fn after(pause: Duration) -> Self {
        if pause.is_zero() { Self::Continue } else { Self::Hold(pause) }
    }

    pub(super) fn close(code: CloseCode, reason: impl Into<String>) -> Self {
        Self::Close(Close::new(code, reason))
    }
}

/// What a connection does.
#[async_trait]
pub trait Consumer: Send + Sized + 'static {
    /// Decides on the request, before the handshake is answered.
    ///
    /// # Errors
    /// The HTTP answer instead of 101.
    fn connect(scope: Scope) -> Result<Self, Refuse>;

    /// The longest message that its clients may send, in bytes.
    fn longest_message(&self) -> usize;

    /// The connection is there: joins groups and says what is said unasked.
    async fn open(&mut self, socket: &Arc<Socket>) -> Flow;

    /// Waits until something that takes long may be done for this connection: see [`Quotas::turn`].
    async fn turn(&self) -> Option<Turn<Household>>;

    /// A text or binary message from the client; `turn` ends when it is dropped, which is as soon as the message is read.
    async fn receive(&mut self, message: Message, turn: Option<Turn<Household>>) -> Flow;

    /// Frames have come that completed no message, and cost so many bytes.
    fn charge(&mut self, bytes: usize) -> Flow;

    /// The client says nothing more, and is about to be told goodbye: what it has said is said to it before that.
    fn hand_out(&self);

    /// How much longer nothing is to be read from the client, after it was held for a while.
    fn owed(&self) -> Duration {
        Duration::ZERO
    }

    /// The connection has ended; memberships end by themselves when the consumer is dropped.
    async fn disconnect(self, code: CloseCode);
}

/// After a message or an answer of so many bytes the others have their turn: to handle one takes about as long as a hundred short ones.
pub(super) const LONG: usize = 16 * 1024;

/// Takes a connection through its life; `deflate` was agreed on in its handshake, `counters` counts it.
pub async fn serve<C: Consumer>(
    mut consumer: Box<C>,
    upgrade: OnUpgrade,
    deflate: Option<Deflate>,
    limits: Limits,
    counters: &Arc<Counters>,
) {
    let bounds = ConnectionLimits {
        message_bytes: consumer.longest_message(),
        backlog_bytes: limits.backlog_bytes,
        ping: Duration::from_secs(limits.ping_s),
    };
    let mut connection = match Box::pin(Connection::accept(upgrade, deflate, bounds, counters)).await {
        Ok(connection) => connection,
        Err(cause) => {
            debug!(%cause, "a client left during its handshake");
            return consumer.disconnect(CloseCode::ABNORMAL).await;
        }
    };
    let socket = Arc::clone(connection.socket());
    let mut flow = connection.while_flushing(consumer.open(&socket)).await;
    loop {
        match std::mem::replace(&mut flow, Flow::Continue) {
            Flow::Continue => {}
            Flow::Hold(mut pause) => {
                // Others of the same address may have taken meanwhile what there was.
                while !pause.is_zero() && !socket.is_closing() {
                    connection.hold(pause).await;
                    pause = consumer.owed();
                }
            }
            Flow::Close(Close { code, reason }) => socket.close(code, &reason),
        }
        let Some(heard) = connection.next().await else { break };
        let (message, turn) = match heard {
            Heard::Message(message) if message.length() < LONG => (message, None),
            Heard::Message(message) => (message, connection.while_flushing(consumer.turn()).await),
            Heard::Deflated(message) => {
                let turn = connection.while_flushing(consumer.turn()).await;
                let Some(message) = connection.inflate(message) else {
                    consumer.hand_out();
                    continue;
                };
                (message, turn)
            }
            Heard::Frames(bytes) => {
                flow = consumer.charge(bytes);
                continue;
            }
            Heard::Last => {
                consumer.hand_out();
                continue;
            }
        };
        let is_long = message.length() >= LONG;
        flow = connection.while_flushing(consumer.receive(message, turn)).await;
        if is_long {
            tokio::task::yield_now().await;
        }
    }
    consumer.disconnect(connection.close_code()).await;
    Box::pin(connection.finish()).await;
}
