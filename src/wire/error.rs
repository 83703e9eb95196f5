//! Why a command was refused.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// The kinds of refusal that a program may want to tell apart. Codes are only ever added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The text is not a JSON object with a number `id` and one command.
    BadRequest,
    /// There is no such command.
    UnknownCommand,
    /// The request needs a token that the server knows (HTTP API only).
    Unauthorized,
    /// The person may not do this.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The topic has to be joined first.
    NotJoined,
    /// The text or the number of things is over a bound, which the message names.
    TooLarge,
    /// Too many commands in too short a time; `retry_after_ms` says when there is room again.
    RateLimited,
    /// The server cannot do it now; the same command may go through later.
    Unavailable,
    /// The server is read-only: nothing can be said or changed until its administrators say otherwise.
    ReadOnly,
    /// Any code that this version does not know.
    #[serde(other)]
    Unknown,
}

/// The answer to a command that was not carried out. The connection stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
pub struct CommandError {
    /// The kind of refusal. Kinds are only ever added.
    #[cfg_attr(feature = "ssr", schema(value_type = String))]
    pub code: Code,
    /// What is wrong and what would be right, for people.
    pub message: String,
    /// When the same command may go through, in milliseconds from now.
    #[cfg_attr(feature = "ssr", schema(required))]
    pub retry_after_ms: Option<u64>,
}

impl CommandError {
    /// A refusal that a repetition does not change.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after_ms: None }
    }

    /// A refusal because of a rate: the same may go through after `wait`.
    pub fn rate_limited(message: impl Into<String>, wait: Duration) -> Self {
        // A client that waits for whole milliseconds must not come too soon.
        let retry_after_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        Self { code: Code::RateLimited, message: message.into(), retry_after_ms: Some(retry_after_ms) }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CommandError {}
