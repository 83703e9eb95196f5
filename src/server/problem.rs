//! What a server says when it does not do something. A [`Problem`] is what is the case, with what belongs to it; which words, code and
//! status that has is said here alone, for commands, the API, handshakes and whatever else is not a page. Pages have
//! [words of their own](super::pages) for those that people meet.
//!
//! A cause that is nobody's business outside goes to the log where it becomes a problem, once.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use thiserror::Error;
use tracing::debug;
use utoipa::ToSchema;

use super::{
    accounts::{Unknown, jwt},
    limits::{BODIES, EXPORTS, SEARCH_AGAIN, SEARCHES},
    settings::Pattern,
    store::{Refused, StoreError},
};
use crate::{
    locales::problems as say,
    wire::{Code, CommandError, Group, InvalidName, Timestamp, Topic},
};

/// When to try again what cannot be done now.
const LATER: Duration = Duration::from_secs(1);
/// When to ask again where too many exports are on their way.
const EXPORT_AGAIN: Duration = Duration::from_secs(10);

/// Why something was not done. What stands in a variant is part of its words, or says when to come again.
#[derive(Debug, Error)]
pub enum Problem {
    // Who asks, and from where.
    #[error("a token is needed: Authorization: Bearer TOKEN")]
    NoToken,
    #[error("the server knows no such token; the setting tokens and the page /manage/tokens/ have those that it knows")]
    WrongToken,
    #[error("{0}")]
    NotBelieved(jwt::Refused),
    #[error("{}", say::deactivated())]
    Deactivated,
    #[error("{}", say::kept_out(.0))]
    KeptOut(Timestamp),
    #[error("{}", say::needs_second_factor())]
    NoSecondFactor,
    #[error("this server does not go by the name that was asked for; {}", lets_in(.0))]
    NotOurName(String),
    #[error("pages of this origin may not connect; the setting server.allowed_origins names those that may")]
    ForeignSocket,
    #[error("{}", say::foreign_form())]
    ForeignForm,

    // What is asked for.
    #[error("{}", say::no_address())]
    NoAddress,
    #[error("{}", say::no_room())]
    NoRoom,
    #[error("{}", say::closed_room())]
    ClosedRoom,
    #[error("{0}")]
    NotAllowed(String),
    #[error("nothing goes by this name: {0}")]
    NoSocket(InvalidName),
    #[error("this address is a WebSocket; the page of a room is /room/{{group}}/")]
    OnlySocket,
    #[error("this connection cannot become a WebSocket")]
    NoUpgrade,
    #[error("{0}")]
    NoName(InvalidName),
    #[error("a channel's name is ASCII")]
    NotAscii,
    #[error("this channel is no connection's; send to the group by its name")]
    OwnChannel,

    // What is asked for in a session.
    #[error("{}", say::no_topic(.0))]
    NoTopic(Group),
    #[error("{}", say::closed_topic(.0))]
    ClosedTopic(Group),
    #[error("a token is shown before anything else: in the first command, on a connection whose address names no topic")]
    LateToken,
    #[error("{}", say::not_joined(.0))]
    NotJoined(Topic),
    #[error("nothing can be sent to {0}")]
    NothingSent(Topic),
    #[error("nothing can be written in {0}")]
    NothingWritten(Topic),
    #[error("it is not kept up to where {0} was read; only of rooms with history, and for people with accounts")]
    NothingRead(Topic),
    #[error("a topic is {0}")]
    NoKind(String),
    #[error("{0}")]
    TakenBack(String),
    #[error("{0}")]
    Unchangeable(Refused),
    #[error("{}", say::topics(.0))]
    Topics(usize),
    #[error("{}", say::topics_of_address(.0))]
    TopicsOfAddress(usize),

    // How it is asked for.
    #[error("{0}")]
    Unreadable(String),
    #[error("at most one of before, after and around")]
    SeveralParts,
    #[error("before: {0}")]
    Before(InvalidName),
    #[error("limit is 1 to {0}")]
    Limit(usize),
    #[error("an export needs HTTP/1.1: in HTTP/1.0 the end of a file looks like a lost connection")]
    OldHttp,
    #[error("the body is not JSON: {0}")]
    NotJson(serde_json::Error),
    #[error("the body is not UTF-8")]
    NotUtf8,
    #[error("the body's Content-Type has to be application/json or text/plain")]
    UnknownType,
    #[error("a channel takes one event, as application/json")]
    OneEvent,
    #[error("a body is at most {0} bytes")]
    LongBody(usize),

    // What is pushed.
    #[error("this token may not send to {group}; it may send to {}", listed(.allowed))]
    OtherGroup { group: Group, allowed: Vec<Pattern> },
    #[error(
        "this token may not send to single channels; the setting channels = true of a token lets it, and one made at /manage/tokens/ that may push to all rooms"
    )]
    NoChannels,
    #[error("this token may not {0}; an administrator can make one that may at /manage/tokens/")]
    TokenLacks(&'static str),
    #[error("this token may not read {group}; it is for {}", listed(.allowed))]
    OtherRoom { group: Group, allowed: Vec<Pattern> },
    #[error("a list has at most {most} items, not {found}")]
    LongList { most: usize, found: usize },
    #[error("item {0}: {1}")]
    Item(usize, Box<Self>),
    #[error("an item is an object with a `text` or a `type`")]
    NoItem,
    #[error("{0}")]
    WrongItem(String),
    #[error("Idempotency-Key: {0}")]
    WrongKey(InvalidName),
    #[error("Idempotency-Key is for a single text; in a list each has its own `key`")]
    KeyOfList,
    #[error("Idempotency-Key is for a text; an event has no key")]
    KeyOfEvent,
    #[error("`key` and Idempotency-Key are not the same; one is enough")]
    TwoKeys,
    #[error("{}", say::long_text(.0))]
    LongText(usize),
    #[error("an event is at most {0} bytes of JSON")]
    LongEvent(usize),

    // How much is asked for.
    #[error("{}", say::far_too_many())]
    FarTooMany,
    #[error("{}", say::requests(.0))]
    Requests(u32, Duration),
    #[error("{}", say::bytes(.0))]
    Bytes(u32, Duration),
    #[error("{}", say::commands(.0))]
    Commands(u32, Duration),
    #[error("{}", say::bytes_of_connection(.0))]
    BytesOfConnection(u32, Duration),
    #[error("{}", say::commands_of_account(.0))]
    CommandsOfAccount(u32, Duration),
    #[error("{}", say::bytes_of_account(.0))]
    BytesOfAccount(u32, Duration),
    #[error("at most {0} messages a second for one token")]
    Pushes(u32, Duration),
    #[error("{}", say::exports(EXPORTS))]
    Exports,
    #[error("{}", say::bodies(BODIES))]
    Bodies,
    #[error("{}", say::searches(SEARCHES))]
    Searches,
    #[error("{0}")]
    FullChannel(String),

    // What cannot be done now.
    #[error("{}", say::read_only())]
    ReadOnly,
    #[error("{}", say::unavailable())]
    Unavailable,
    #[error("{}", say::not_taken())]
    NotTaken,
    #[error("{}", say::not_changed())]
    NotChanged,
    #[error("the channel layer cannot be reached; nothing was sent")]
    NoLayer,
    #[error("{done} of {all} items were done, the others were not; a text that is sent again with its key is not doubled")]
    HalfDone { done: usize, all: usize },
}

impl Problem {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Item(_, problem) => problem.status(),
            Self::NotOurName(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::OnlySocket => StatusCode::UPGRADE_REQUIRED,
            Self::UnknownType | Self::OneEvent => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NoItem | Self::WrongItem(_) | Self::WrongKey(_) | Self::KeyOfList | Self::KeyOfEvent | Self::TwoKeys => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            other => status_of(other.code()),
        }
    }

    pub(super) fn code(&self) -> Code {
        match self {
            Self::Item(_, problem) => problem.code(),
            Self::NoToken | Self::WrongToken | Self::NotBelieved(_) => Code::Unauthorized,
            Self::NotOurName(_)
            | Self::ForeignSocket
            | Self::ForeignForm
            | Self::Deactivated
            | Self::KeptOut(_)
            | Self::NoSecondFactor
            | Self::ClosedRoom
            | Self::NotAllowed(_)
            | Self::ClosedTopic(_)
            | Self::TakenBack(_)
            | Self::Unchangeable(Refused::NotYours)
            | Self::OtherGroup { .. }
            | Self::OtherRoom { .. }
            | Self::TokenLacks(_)
            | Self::NoChannels => Code::Forbidden,
            Self::NoAddress
            | Self::NoRoom
            | Self::NoTopic(_)
            | Self::NoSocket(_)
            | Self::NoName(_)
            | Self::NotAscii
            | Self::OwnChannel
            | Self::Unchangeable(Refused::NotFound) => Code::NotFound,
            Self::ReadOnly => Code::ReadOnly,
            Self::NotJoined(_) => Code::NotJoined,
            Self::LongBody(_)
            | Self::LongList { .. }
            | Self::LongText(_)
            | Self::LongEvent(_)
            | Self::Topics(_)
            | Self::TopicsOfAddress(_)
            | Self::Unchangeable(Refused::TooManyKinds | Refused::TooManyOfOne) => Code::TooLarge,
            Self::FarTooMany
            | Self::Requests(..)
            | Self::Bytes(..)
            | Self::Commands(..)
            | Self::BytesOfConnection(..)
            | Self::CommandsOfAccount(..)
            | Self::BytesOfAccount(..)
            | Self::Pushes(..)
            | Self::Exports
            | Self::Bodies
            | Self::Searches
            | Self::FullChannel(_) => Code::RateLimited,
            Self::Unavailable | Self::NotTaken | Self::NotChanged | Self::NoLayer | Self::HalfDone { .. } => Code::Unavailable,
            // Whatever else is wrong with a request.
            _ => Code::BadRequest,
        }
    }

    /// A plain text, where neither a page nor JSON was asked for.
    pub(super) fn text(&self) -> Response {
        let mut response = (self.status(), format!("{self}\n")).into_response();
        self.add_headers(&mut response);
        response
    }

    /// What belongs to an answer of this status, whatever its form.
    pub(super) fn add_headers(&self, response: &mut Response) {
        let headers = response.headers_mut();
        if let Some(ms) = self.error().retry_after_ms {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000)));
        }
        match self.status() {
            StatusCode::UNAUTHORIZED => _ = headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            StatusCode::UPGRADE_REQUIRED => _ = headers.insert(header::UPGRADE, HeaderValue::from_static("websocket")),
            _ => {}
        }
    }

    /// As it goes out.
    fn error(&self) -> CommandError {
        let message = self.to_string();
        let later = |wait: Duration| u64::try_from(wait.as_millis()).ok();
        match self {
            Self::Requests(_, wait)
            | Self::Bytes(_, wait)
            | Self::Commands(_, wait)
            | Self::BytesOfConnection(_, wait)
            | Self::CommandsOfAccount(_, wait)
            | Self::BytesOfAccount(_, wait)
            | Self::Pushes(_, wait) => CommandError::rate_limited(message, *wait),
            Self::Exports => CommandError::rate_limited(message, EXPORT_AGAIN),
            Self::Bodies => CommandError::rate_limited(message, LATER),
            Self::Searches => CommandError::rate_limited(message, SEARCH_AGAIN),
            _ if matches!(self, Self::FullChannel(_)) || self.code() == Code::Unavailable => {
                CommandError { code: self.code(), message, retry_after_ms: later(LATER) }
            }
            _ => CommandError::new(self.code(), message),
        }
    }
}

/// What HTTP calls it.
pub(super) fn status_of(code: Code) -> StatusCode {
    match code {
        Code::Unauthorized => StatusCode::UNAUTHORIZED,
        Code::Forbidden => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable | Code::ReadOnly => StatusCode::SERVICE_UNAVAILABLE,
        Code::NotJoined | Code::BadRequest | Code::UnknownCommand | Code::Unknown => StatusCode::BAD_REQUEST,
    }
}

/// What the API answers instead of what was asked for.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(super) struct ErrorBody {
    #[schema(inline)]
    error: CommandError,
}

/// JSON, as the API answers.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(ErrorBody { error: self.error() })).into_response();
        self.add_headers(&mut response);
        response
    }
}

/// As a session answers.
impl From<Problem> for CommandError {
    fn from(problem: Problem) -> Self {
        problem.error()
    }
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        Problem::from(error).into()
    }
}

impl From<Unknown> for Problem {
    fn from(unknown: Unknown) -> Self {
        match unknown {
            Unknown::NoToken => Self::NoToken,
            Unknown::WrongToken => Self::WrongToken,
            Unknown::Refused(refused) => Self::NotBelieved(refused),
            Unknown::Deactivated => Self::Deactivated,
            Unknown::NotNow => Self::Unavailable,
        }
    }
}

impl From<StoreError> for Problem {
    fn from(StoreError::Unavailable(cause): StoreError) -> Self {
        // The store says in the log when that begins and ends.
        debug!(%cause, "the store could not be read");
        Self::Unavailable
    }
}

/// What to set so that a name is let in.
pub(super) fn lets_in(name: &str) -> String {
    say::lets_in(name)
}

fn listed(patterns: &[Pattern]) -> String {
    let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
    if patterns.is_empty() { "no group".to_owned() } else { patterns.join(", ") }
}
