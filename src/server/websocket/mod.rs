//! Sockets: from an upgrade request to messages in and frames out. Knows bytes, not rooms.
//!
//! ```text
//!   request ── Handshake::read ──► 101 ──► Connection::accept ── owns the reading side, one task a connection
//!                                             │  next(): bytes ► Decoder ► Heard; answers ping and close itself
//!                                             ▼
//!   whoever has something to say ── Socket::send(frames) ──► the TCP socket at once, or its queue when that is full
//! ```
//!
//! A [`Frame`] is encoded once and shared by all who get it. Sending never waits: it writes from the caller's task when nothing
//! is queued, and queues what the socket does not take; the connection's own task is woken to flush that. The queue is
//! bounded in bytes, and a reader that lets it fill up is closed with 4001 (it recovers what it missed when it returns). What goes
//! in and out is counted in the server's [`Counters`].
//!
//! Where permessage-deflate was agreed on ([`Deflate`]), a message goes out deflated: once for all who get it
//! ([`SharedFrame`]).

mod backlog;
mod connection;
mod counters;
mod deflate;
mod frame;
mod handshake;
mod id;
mod socket;
mod tap;

pub use backlog::Backlog;
pub use connection::{Connection, ConnectionLimits, Heard};
pub use counters::{Counters, Traffic};
pub use deflate::Deflate;
pub use frame::{CloseCode, Decoded, Decoder, DeflatedMessage, Frame, Message, SharedFrame, Violation};
pub use handshake::{Handshake, Refused, is_upgrade};
pub use id::ConnectionId;
pub use socket::Socket;
pub use tap::{Listener, Tap};
