//! `confab backup` and `confab restore`: the embedded store of the settings to a file, and back.
//!
//! Neither asks the server. A backup reads the database beside it; putting one back takes the folder's lock, which a running
//! server holds.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use super::{
    Outcome, WRONG_USE, complain, with_settings,
    words::{counted, tell},
};
use crate::server::{
    settings::{Settings, StoreUrl},
    store::{self, Holdings},
};

#[derive(clap::Args)]
pub(super) struct Flags {
    /// The file with the copy
    file: PathBuf,
    /// Read this file of settings instead of Leptos.toml in the working folder
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder with the data
    #[arg(long, value_name = "FOLDER")]
    data: Option<String>,
}

/// Copies the store to the file, which must not be there yet.
pub(super) fn backup(flags: Flags) -> Outcome<ExitCode> {
    with_folder(flags, "pg_dump --schema=confab makes a copy of it", |file, folder| {
        let held = store::backup(folder, file)?;
        tell(&format!("{} has {}", file.display(), words(held)));
        Ok(())
    })
}

/// Puts the file into the folder, which must have no store.
pub(super) fn restore(flags: Flags) -> Outcome<ExitCode> {
    with_folder(flags, "psql or pg_restore puts back what pg_dump has written", |file, folder| {
        let held = store::restore(file, folder)?;
        tell(&format!("{} has {}, under new epochs", folder.display(), words(held)));
        Ok(())
    })
}

/// Finds the data folder. `instead` says what does it where the store is none of ours to copy.
fn with_folder(flags: Flags, instead: &str, command: impl FnOnce(&Path, &Path) -> Outcome<()>) -> Outcome<ExitCode> {
    let Flags { file, config, data } = flags;
    if file == Path::new("-") {
        complain(
            "confab: a copy is a file, not a stream: it is written under another name, checked, and only then renamed; \
             give the name of a file (./- for one that is called so)",
        );
        return Ok(ExitCode::from(WRONG_USE));
    }
    with_settings(super::Flags { config, listen: None, data }, |loaded, _| {
        let Settings { server, store, .. } = loaded.settings;
        match store.url {
            StoreUrl::Sqlite => command(&file, &server.data),
            StoreUrl::Postgres(url) => Err(format!("the store is {url}: {instead}").into()),
        }
    })
}

fn words(Holdings { rooms, messages, bytes }: Holdings) -> String {
    format!("{} with {}, {bytes} bytes", counted(rooms, "room"), counted(messages, "message"))
}
