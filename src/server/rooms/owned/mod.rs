//! Rooms that somebody owns.
//!
//! ```text
//!   rights      who may do what: one function of what a room is, how somebody stands in it and how they are known
//!   registry    what every node knows of such rooms, and how somebody stands in one; who loses what by a change
//!   records     the tables, and what is written there
//!   acts        what is done with them
//!   invitation  the codes by which people come in
//!   departure   what becomes of the rooms of somebody who goes for good
//! ```
//!
//! A room without a record is nobody's, and as the rules of the settings say; of it the registry knows without asking that there is none.

mod acts;
mod departure;
mod invitation;
mod record;
mod records;
mod registry;
mod rights;

pub(super) use self::records::NewRoom;
pub use self::{
    acts::{About, DIRECT, NotDone, What},
    departure::FORMER,
    invitation::{Code, Invitation, Invited, Terms},
    record::{Brief, Member, Posting, Record, Role, RoomKind, Standing, Title, Topic},
    records::Logged,
    registry::Registry,
    rights::{Act, Denied, Seen, granted, may, rights},
};
