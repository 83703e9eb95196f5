//! Who asks for something that not everybody may have: what matters of it to the rules.

use crate::{
    server::visitors::Subnet,
    wire::{Group, Person},
};

/// How somebody is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// By a secret in a cookie, or not at all.
    Guest,
    /// By an account.
    Account,
    /// By an account that administers the server.
    Administrator,
    /// By a program's token.
    Program,
}

/// Somebody who asks.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'p> {
    pub person: &'p Person,
    pub kind: Kind,
    /// The rooms that another site has given them, each with a role as it writes it.
    pub granted: &'p [(Group, String)],
    /// Of a guest, from where they ask.
    pub address: Option<Subnet>,
}

impl<'p> Asker<'p> {
    pub fn guest(person: &'p Person) -> Self {
        Self::new(person, Kind::Guest)
    }

    /// Whom no other site has given anything.
    pub fn new(person: &'p Person, kind: Kind) -> Self {
        Self { person, kind, granted: &[], address: None }
    }

    /// What another site has made them in a room.
    pub fn granted(&self, group: &Group) -> Option<&'p str> {
        self.granted.iter().find(|(granted, _)| granted == group).map(|(_, role)| role.as_str())
    }
}
