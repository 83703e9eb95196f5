//! The ways out to those who are connected: what the hub and sessions send goes through one of these. An enum, so that the fan-out calls
//! what it knows.

use std::sync::Arc;

#[cfg(test)]
use super::mailbox::Mailbox;
use crate::server::websocket::{CloseCode, ConnectionId, Deflate, Frame, Socket, Tap};

/// One connection's way out.
#[derive(Clone)]
pub enum Outbound {
    WebSocket(Arc<Socket>),
    /// Keeps what is sent.
    #[cfg(test)]
    Mailbox(Arc<Mailbox>),
}

/// Calls the same of whichever way it is.
macro_rules! each {
    ($outbound:expr, $way:ident => $call:expr) => {
        match $outbound {
            Outbound::WebSocket($way) => $call,
            #[cfg(test)]
            Outbound::Mailbox($way) => $call,
        }
    };
}

impl Outbound {
    pub fn id(&self) -> ConnectionId {
        each!(self, way => way.id())
    }

    /// Where one may listen to the connection.
    pub fn tap(&self) -> &Tap {
        each!(self, way => way.tap())
    }

    /// How it takes deflated messages, if that was agreed on.
    pub fn deflate(&self) -> Option<Deflate> {
        each!(self, way => way.deflate())
    }

    /// Makes a message for this connection alone ready to be sent.
    pub fn fitted(&self, message: Frame) -> Frame {
        each!(self, way => way.fitted(message))
    }

    /// Whether such a message for this connection alone is deflated.
    pub fn deflates(&self, message: &Frame) -> bool {
        each!(self, way => way.deflates(message))
    }

    /// Sends frames, in this order and with nothing between. Does not wait; once the connection is closing they are dropped.
    pub fn send(&self, frames: &[Frame]) {
        each!(self, way => way.send(frames));
    }

    /// Ends the connection at once: what waits is given up, and `last` is said before goodbye.
    pub fn cut(&self, last: Option<Frame>, code: CloseCode, reason: &str) {
        each!(self, way => way.cut(last, code, reason));
    }

    /// Says that something was taken from the reader. What waits may be of it: where anything does, all is given up, and the client comes
    /// back for the rest.
    pub fn retract(&self, word: Frame) {
        each!(self, way => way.retract(word));
    }

    /// Ends the connection: what was sent before still goes out.
    pub fn close(&self, code: CloseCode, reason: &str) {
        each!(self, way => way.close(code, reason));
    }
}
