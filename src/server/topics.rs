//! Every kind of topic, and the noun that it belongs to.

use std::sync::Arc;

use super::{
    accounts::Asker,
    noun::{Act, Make, Noun, Opened},
    personal::Personal,
    problem::Problem,
    rooms::Rooms,
};
use crate::wire::{CommandError, Other, Topic};

/// The nouns that have a folder of their own, a line each.
pub const NOUNS: &[Make] = &[];

/// The command by which a session is told who asks, before anything else; it is of no topic.
pub const AUTHORIZE: &str = "authorize";

/// The nouns of this server.
pub struct Topics {
    pub rooms: Arc<Rooms>,
    pub personal: Arc<Personal>,
    pub others: Vec<Arc<dyn Noun>>,
}

impl Topics {
    /// Opens a topic for somebody.
    ///
    /// # Errors
    /// There is no such topic, or it is not for them.
    pub async fn open(&self, topic: &Topic, asker: Asker<'_>) -> Result<Arc<dyn Opened>, CommandError> {
        match topic {
            Topic::Room(group) => self.rooms.open(asker, group).await,
            Topic::Lobby => Ok(self.rooms.lobby()),
            Topic::Me => Ok(self.personal.open(asker.person)),
            Topic::Other(topic) => match self.others.iter().find(|noun| noun.kind() == topic.kind()) {
                Some(noun) => noun.open(topic, asker).await,
                None => Err(Problem::NoKind(self.kinds()).into()),
            },
        }
    }

    /// Reads a command that a noun has.
    ///
    /// # Errors
    /// No noun has it, or it is not as it has to be.
    pub fn read(&self, command: &Other<'_>) -> Result<Act, CommandError> {
        if let Some(noun) = self.others.iter().find(|noun| noun.commands().contains(&&*command.name)) {
            return noun.read(command);
        }
        let of_nouns = self.others.iter().flat_map(|noun| noun.commands()).copied();
        Err(command.unknown(of_nouns.chain([AUTHORIZE])))
    }

    /// All kinds of topics, in words.
    fn kinds(&self) -> String {
        let others = self.others.iter().map(|noun| format!("{}/{{name}}", noun.kind()));
        let mut all: Vec<_> = ["room/{group}", "lobby", "me"].map(str::to_owned).into_iter().chain(others).collect();
        let last = all.pop().unwrap_or_default();
        format!("{} or {last}", all.join(", "))
    }
}
