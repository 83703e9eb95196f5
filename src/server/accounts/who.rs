//! Whom a request or a connection is from.

use std::sync::Arc;

use axum::http::HeaderValue;

use super::{Asker, Guest, Handle, Kind, Program, RateKey};
use crate::{
    locales::{Language, here},
    server::visitors::Subnet,
    wire::{self, Group, Person, PersonName},
};

/// Whom a request comes from, and whoever has a connection. Cheap to clone.
#[derive(Clone)]
pub enum Who {
    /// Somebody with a secret in a cookie, or somebody new.
    Guest(Arc<Guest>),
    /// Somebody who is signed in.
    Account(Arc<SignedIn>),
    /// A program with a token of the settings.
    Program(Arc<Program>),
}

/// Somebody with an account, by one of their sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// As others see them.
    pub person: Person,
    pub handle: Handle,
    /// What the session is called. It opens nothing.
    pub session: Arc<str>,
    pub is_administrator: bool,
    /// They have to set up a second factor before anything else.
    pub lacks_second_factor: bool,
    /// None where it is a session of ours.
    pub elsewhere: Option<SignedInBy>,
    /// The rooms that their token of another site gives them, as long as it is good.
    pub rooms: Arc<[(Group, String)]>,
    /// The one that they have chosen.
    pub language: Option<Language>,
}

/// By what somebody is signed in who is so elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedInBy {
    /// The project's cookie.
    Project,
    /// A token.
    Token,
}

impl Who {
    /// As others see them.
    pub fn person(&self) -> &Person {
        match self {
            Self::Guest(guest) => &guest.person,
            Self::Account(signed_in) => &signed_in.person,
            Self::Program(program) => &program.person,
        }
    }

    /// As they are told when they connect: with how they are known, and in which language they are spoken to.
    pub fn you(&self) -> Person {
        let kind = match self {
            Self::Guest(_) => wire::Kind::Guest,
            Self::Account(_) => wire::Kind::Account,
            Self::Program(_) => wire::Kind::Program,
        };
        Person { kind: Some(kind), language: Some(here()), ..self.person().clone() }
    }

    /// What matters of it to the rules of what may be opened.
    pub fn asker(&self) -> Asker<'_> {
        let kind = match self {
            Self::Guest(_) => Kind::Guest,
            Self::Account(signed_in) if signed_in.is_administrator => Kind::Administrator,
            Self::Account(_) => Kind::Account,
            Self::Program(_) => Kind::Program,
        };
        let granted = self.signed_in().map_or(&[][..], |signed_in| &signed_in.rooms);
        let address = if let Self::Guest(guest) = self { guest.address } else { None };
        Asker { granted, address, ..Asker::new(self.person(), kind) }
    }

    /// The same, who asks from here: of guests that matters.
    #[must_use]
    pub fn at(mut self, address: Option<Subnet>) -> Self {
        if let Self::Guest(guest) = &mut self {
            Arc::make_mut(guest).address = address;
        }
        self
    }

    /// Who has an account.
    pub fn signed_in(&self) -> Option<&Arc<SignedIn>> {
        match self {
            Self::Account(signed_in) => Some(signed_in),
            Self::Guest(_) | Self::Program(_) => None,
        }
    }

    /// The session by which they are signed in.
    pub fn session(&self) -> Option<&Arc<str>> {
        if let Self::Account(signed_in) = self { Some(&signed_in.session) } else { None }
    }

    /// By what they are known, as far as it is no secret: with it what is open to them ends. Of an account that is the session.
    pub fn known_by(&self) -> &str {
        match self {
            Self::Account(signed_in) => &signed_in.session,
            Self::Guest(_) | Self::Program(_) => &self.person().id,
        }
    }

    /// Who this is when something is counted. None for somebody who has shown no secret, and can be nobody else, and for a program,
    /// which has a rate of its own.
    pub fn rate_key(&self) -> Option<RateKey> {
        match self {
            Self::Guest(guest) => (!guest.is_new).then_some(guest.rate_key),
            Self::Account(signed_in) => Some(RateKey::of(&signed_in.person)),
            Self::Program(_) => None,
        }
    }

    /// The cookie that gives a guest another name. An account has its name in its row, and a program from the settings.
    pub fn renamed(&self, name: &PersonName) -> Option<HeaderValue> {
        match self {
            Self::Guest(guest) => Some(guest.renamed(name)),
            Self::Account(_) | Self::Program(_) => None,
        }
    }

    /// A guest who is called so.
    #[cfg(test)]
    pub fn guest(id: &str, name: &str) -> Self {
        let mut guest = Guest::of(&axum::http::HeaderMap::new());
        guest.person = Person::new(id, name);
        guest.is_new = false;
        Self::Guest(Arc::new(guest))
    }

    /// The same, for as long as a connection lives, whose answer gives the browser nothing to keep.
    #[must_use]
    pub fn connected(&self) -> Self {
        match self {
            Self::Guest(guest) if !guest.cookies.is_empty() => Self::Guest(Arc::new(guest.without_cookies())),
            _ => self.clone(),
        }
    }

    /// What an answer gives the browser to keep.
    pub fn cookies(&self) -> &[HeaderValue] {
        match self {
            Self::Guest(guest) => &guest.cookies,
            Self::Account(_) | Self::Program(_) => &[],
        }
    }
}
