//! What a search has found.

use serde::{Deserialize, Serialize};

use super::{Group, Offset, Person, Timestamp};

/// A message that was found, without its whole text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
pub struct Hit {
    pub group: Group,
    /// Where it stands in the room's stream.
    pub offset: Offset,
    /// Unique over all rooms.
    pub id: String,
    pub from: Person,
    pub at: Timestamp,
    /// The text around the first of what was looked for, cut in pieces. Put together they read as they stand in the message, with
    /// `…` where it goes on.
    pub snippet: Vec<Segment>,
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
pub struct Segment {
    pub text: String,
    /// It is something that was looked for.
    #[serde(rename = "match")]
    pub matches: bool,
}
