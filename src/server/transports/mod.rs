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

use std::{io, pin::Pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use tracing::debug;

pub use self::{plain::Plain, too_many::TooMany};
use super::{
    hub::Outbound,
    scope::{Close, Flow, LONG, Refuse, Scope},
    session::Session,
    turns::Turn,
    visitors::Subnet,
    websocket::{CloseCode, Connection, Heard, Message, Socket},
};

/// What a connection does.
#[async_trait]
pub trait Consumer: Send + Sized + 'static {
    /// Decides on the request, before the handshake is answered.
    ///
    /// # Errors
    /// The HTTP answer instead of 101.
    async fn connect(scope: Scope) -> Result<Self, Refuse>;

    /// The longest message that its clients may send, in bytes.
    fn longest_message(&self) -> usize;

    /// The connection is there: joins groups and says what is said unasked.
    async fn open(&mut self, socket: &Arc<Socket>) -> Flow;

    /// Waits until something that takes long may be done for this connection: see [`Quotas::turn`].
    async fn turn(&self) -> Option<Turn<Subnet>>;

    /// A text or binary message from the client; `turn` ends when it is dropped, which is as soon as the message is read.
    async fn receive(&mut self, message: Message, turn: Option<Turn<Subnet>>) -> Flow;

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

/// Speaks `confab.v1`, in text messages.
#[async_trait]
impl Consumer for Session {
    async fn connect(scope: Scope) -> Result<Self, Refuse> {
        Ok(Self::new(scope).await?)
    }

    fn longest_message(&self) -> usize {
        self.longest_message()
    }

    async fn open(&mut self, socket: &Arc<Socket>) -> Flow {
        self.open(Outbound::WebSocket(Arc::clone(socket))).await
    }

    async fn turn(&self) -> Option<Turn<Subnet>> {
        self.turn().await
    }

    async fn receive(&mut self, message: Message, turn: Option<Turn<Subnet>>) -> Flow {
        match message {
            Message::Text(text) => self.receive(text, turn).await,
            _ => Flow::close(CloseCode::UNSUPPORTED, "confab.v1 is spoken in text messages"),
        }
    }

    fn charge(&mut self, bytes: usize) -> Flow {
        self.charge(bytes)
    }

    fn hand_out(&self) {
        self.hand_out();
    }

    fn owed(&self) -> Duration {
        self.owed()
    }

    async fn disconnect(self, _code: CloseCode) {}
}

/// Takes a connection through its life, once it is `accepted`. That is boxed and gone afterwards: what it is made of would stay in the
/// task's memory.
pub async fn serve<C: Consumer>(mut consumer: Box<C>, accepted: Pin<Box<impl Future<Output = io::Result<Connection>>>>) {
    let mut connection = match accepted.await {
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
