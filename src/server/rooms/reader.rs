//! For whom lists and searches are.

use std::{collections::HashMap, sync::Arc};

use super::{
    Rooms,
    owned::{Standing, granted},
};
use crate::{
    server::{
        accounts::{Asker, Kind},
        store::StoreError,
    },
    wire::{Group, Timestamp},
};

/// Whose list it is, and how they stand in rooms that somebody owns.
#[derive(Clone)]
pub struct Reader {
    pub(super) kind: Kind,
    standings: Arc<HashMap<Group, Standing>>,
    pub(super) now: Timestamp,
}

impl Reader {
    /// Everybody who is not signed in.
    pub fn guest() -> Self {
        Self { kind: Kind::Guest, standings: Arc::default(), now: Timestamp::now() }
    }

    pub(super) fn standing(&self, group: &Group) -> Standing {
        self.standings.get(group).copied().unwrap_or_default()
    }
}

impl Rooms {
    /// For whom lists and searches are. Of guests nothing is asked: they are in no room that others are not in, and out of those alone from
    /// which their address is kept.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn reader(&self, asker: Asker<'_>) -> Result<Reader, StoreError> {
        let standings = match asker.kind {
            Kind::Account | Kind::Administrator => {
                let mut standings = self.registry.standings_of(&asker.person.id).await?;
                for (group, _) in asker.granted {
                    let standing = standings.entry(group.clone()).or_default();
                    *standing = standing.or(granted(asker, group));
                }
                Arc::new(standings)
            }
            Kind::Guest => {
                let banned = |group| (group, Standing { is_banned: true, ..Standing::default() });
                Arc::new(self.registry.kept_out_of(asker.address).into_iter().map(banned).collect())
            }
            Kind::Program => Arc::default(),
        };
        Ok(Reader { kind: asker.kind, standings, now: Timestamp::now() })
    }
}
