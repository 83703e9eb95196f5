//! What crosses the network, as types: both sides compile this and nothing here does I/O.
//!
//! A client sends a [`Request`] (a number and a [`Command`], which mostly is an [`Act`] in a topic) and gets exactly one [`Reply`] with the
//! same number. Whatever happens in a [`Topic`] reaches its members as a [`Push`]: an [`Event`] and, where the topic keeps
//! history, the [`Offset`] it has in the topic's stream. Names, positions and times are types of their own; they
//! are checked where they enter (`FromStr`, serde) and trusted afterwards.
//!
//! The protocol in prose, with examples, is `docs/protocol.md`.

mod act;
mod case;
mod change;
mod clusters;
mod command;
mod emoji;
mod error;
mod event;
mod language;
mod names;
mod person;
mod presence;
mod read;
mod rights;
mod search;
mod server;
mod text;
mod time;

pub use act::Act;
pub use case::{lowercase, uppercase};
pub use change::{Change, Content, MOST_KINDS, MOST_KINDS_OF_ONE, Mine, REACTION_SAMPLE, Reaction, beginning};
pub use clusters::{cut, first_cluster};
pub use command::{Asked, Command, Join, Leave, Other, Ping, Read, Request, Typing};
pub use emoji::Emoji;
pub use error::{Code, CommandError};
#[cfg(feature = "ssr")]
pub use event::{Announced, Announcement, UpTo};
pub use event::{BY_PROGRAM, Changed, Event, Left, Message, Renamed, RoomList, RoomSummary, SignedOut, Stored, Stretch};
pub use language::Language;
#[cfg(feature = "ssr")]
pub(crate) use names::checked_text;
pub use names::{Epoch, Group, InvalidName, Key, MessageId, OfNoun, Offset, Position, Topic};
pub use person::{Kind, Person};
pub use presence::{Members, Presence, SAMPLE, TYPING_SHOWN_MS, Typist};
pub use read::{Unreadable, read};
pub use rights::Rights;
pub use search::{Hit, Segment};
pub use server::{Answer, Joined, Outcome, Push, Reply, ServerFrame, State, Welcome};
pub use text::{Blank, InvalidPersonName, LONGEST_NAME, PersonName, Text, is_blank, is_default_ignorable, shown};
pub use time::Timestamp;

/// The sub-protocol that a client asks for to speak this protocol (RFC 6455 section 1.9).
pub const SUBPROTOCOL: &str = "confab.v1";
