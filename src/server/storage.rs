//! From the settings of the store to the store.

use std::{error::Error, path::Path, sync::Arc};

use super::{
    settings::{Durability, StoreSettings, StoreUrl},
    store::{self, Commits, Log, PostgresStore, Records, Search, SqliteStore},
};

/// An open store.
pub(super) struct Opened {
    pub(super) log: Arc<dyn Log>,
    pub(super) search: Arc<dyn Search>,
    pub(super) records: Arc<dyn Records>,
    pub(super) commits: Commits,
}

impl Opened {
    fn new<S: Log + Search + Records + 'static>((store, commits): (S, Commits)) -> Self {
        let store = Arc::new(store);
        Self { log: Arc::clone(&store) as _, search: Arc::clone(&store) as _, records: store, commits }
    }
}

/// Opens the store that the settings name; the embedded one in the folder `data`.
///
/// # Errors
/// It cannot be used, and why.
pub(super) async fn open(settings: &StoreSettings, data: &Path) -> Result<Opened, Box<dyn Error + Send + Sync>> {
    match &settings.url {
        StoreUrl::Sqlite => {
            let folder = data.to_owned();
            let durability = match settings.durability {
                Durability::Power => store::Durability::Power,
                Durability::Process => store::Durability::Process,
            };
            Ok(Opened::new(tokio::task::spawn_blocking(move || SqliteStore::open(&folder, durability)).await??))
        }
        StoreUrl::Postgres(url) => {
            let opening = PostgresStore::open(url, settings.durability == Durability::Power);
            Ok(Opened::new(opening.await.map_err(|cause| format!("the database {url} cannot be used: {cause}"))?))
        }
    }
}
