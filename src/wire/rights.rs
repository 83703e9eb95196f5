//! What the reader may do in a room.

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// What somebody may do in a room beside reading it, and if that is not everything, why.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rights {
    /// They may say something.
    pub post: bool,
    /// They may react to messages, and edit their own.
    pub react: bool,
    /// They may delete what others have said.
    #[serde(default)]
    pub moderate: bool,
    /// Why they may not, and what would help; for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Until when that holds, where it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Rights {
    /// Whether they are those of everybody in a room that is nobody's: then nothing is said of them.
    pub fn are_usual(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Rights {
    fn default() -> Self {
        Self { post: true, react: true, moderate: false, message: None, until: None }
    }
}
