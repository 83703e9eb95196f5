//! From the settings of the store to the store.

use std::{path::Path, sync::Arc};

use super::{
    Error,
    settings::{Durability, StoreSettings, StoreUrl},
    store::{self, Commits, PostgresStore, SqliteStore, Store},
};

/// Opens the store that the settings name; the embedded one in the folder `data`.
///
/// # Errors
/// It cannot be used, and why.
pub(super) async fn open(settings: &StoreSettings, data: &Path) -> Result<(Arc<dyn Store>, Commits), Error> {
    match &settings.url {
        StoreUrl::Sqlite => {
            let folder = data.to_owned();
            let durability = match settings.durability {
                Durability::Power => store::Durability::Power,
                Durability::Process => store::Durability::Process,
            };
            let (store, commits) = tokio::task::spawn_blocking(move || SqliteStore::open(&folder, durability)).await??;
            Ok((Arc::new(store), commits))
        }
        StoreUrl::Postgres(url) => {
            let opening = PostgresStore::open(url, settings.durability == Durability::Power);
            let (store, commits) = opening.await.map_err(|cause| format!("the database {url} cannot be used: {cause}"))?;
            Ok((Arc::new(store), commits))
        }
    }
}
