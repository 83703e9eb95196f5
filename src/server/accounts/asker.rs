//! Who asks for something that not everybody may have: what matters of it to the rules.

use crate::wire::Person;

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
}

impl<'p> Asker<'p> {
    pub fn guest(person: &'p Person) -> Self {
        Self { person, kind: Kind::Guest }
    }
}
