//! What a connection begins with, and how it goes on after each thing that it has heard.

use std::{sync::Arc, time::Duration};

use axum::http::StatusCode;

use super::{
    accounts::{Asker, Elsewhere, RateKey, Who},
    bucket::Buckets,
    hub::Hub,
    lease::{About, Closed, Leases},
    limits::Limits,
    manage::Manage,
    presence::Presence,
    problem::status_of,
    quota::{Payer, Quotas},
    topics::Topics,
    visitors::Subnet,
    websocket::CloseCode,
};
use crate::{
    locales::{self, Language},
    wire::{CommandError, Timestamp, Topic},
};

/// After a message or an answer of so many bytes the others have their turn: to handle one takes about as long as a hundred short ones.
pub(super) const LONG: usize = 16 * 1024;

/// What is known of the request that a connection was opened with (the scope of Django Channels).
#[derive(Clone)]
pub struct Scope {
    pub who: Who,
    /// Whose bounds hold beside the connection's own.
    pub payer: Payer,
    /// What each account says, this one too.
    pub rates: Arc<Buckets<RateKey>>,
    /// What each account and each address has carried.
    pub quotas: Arc<Quotas>,
    /// The topic in the address, if it names one.
    pub topic: Option<Topic>,
    pub topics: Arc<Topics>,
    pub hub: Arc<Hub>,
    pub presence: Arc<Presence>,
    pub leases: Arc<Leases>,
    /// Who believes tokens of other sites.
    pub elsewhere: Arc<Elsewhere>,
    pub manage: Arc<Manage>,
    pub limits: Limits,
}

impl Scope {
    /// Who asks for what is opened on the connection.
    pub fn asker(&self) -> Asker<'_> {
        self.who.asker()
    }
}

/// With which code and reason a connection is closed, from which nothing was taken back.
pub(super) fn goodbye(why: Closed) -> (CloseCode, &'static str) {
    let code = match why {
        Closed::ByHand => CloseCode::CLOSED,
        Closed::KeptOut => CloseCode::TAKEN_BACK,
    };
    (code, why.said())
}

/// Whose a connection is, as those who administer the server see it.
pub(super) struct Whose {
    name: Box<str>,
    /// In which they are told what others have done.
    language: Language,
    since: i64,
    address: Option<Subnet>,
}

impl Whose {
    pub(super) fn of(scope: &Scope) -> Self {
        let name = scope.who.person().name.as_str().into();
        Self { name, language: locales::here(), since: Timestamp::now().as_millis(), address: scope.payer.address }
    }

    /// Says something to them, whoever has done it and wherever.
    pub(super) fn told<T>(&self, say: impl FnOnce() -> T) -> T {
        locales::within(self.language, say)
    }

    pub(super) fn about(&self, kind: &'static str, topics: usize) -> About {
        About { kind, name: self.name.to_string(), since: self.since, address: self.address, topics }
    }
}

/// Refused before the handshake is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refuse {
    pub status: StatusCode,
    pub reason: String,
}

impl From<CommandError> for Refuse {
    fn from(CommandError { code, message: reason, .. }: CommandError) -> Self {
        Self { status: status_of(code), reason }
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
