//! `confab move`: everything from the store of the settings to another one.

use std::{
    io,
    path::PathBuf,
    process::ExitCode,
    str::FromStr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::{select, time};

use super::{
    Outcome, complain, stop_signal, with_settings,
    words::{counted, tell},
};
use crate::server::{
    settings::{Settings, StoreUrl},
    store::{Carried, Place, Progress, transfer},
};

/// How often it says how far it is.
const EVERY: Duration = Duration::from_secs(2);

#[derive(clap::Args)]
pub(super) struct Flags {
    /// Where to: `postgres://USER:PASSWORD@HOST/DATABASE` or `sqlite:FOLDER`; - reads it from standard input, for others on the machine can
    /// see flags
    #[arg(long, value_name = "URL")]
    to: To,
    /// Read this file of settings instead of Leptos.toml in the working folder
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder with the data, where that is the store
    #[arg(long, value_name = "FOLDER")]
    data: Option<String>,
}

#[derive(Clone)]
enum To {
    Stdin,
    Place(Place),
}

impl FromStr for To {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "-" { Ok(Self::Stdin) } else { place(text).map(Self::Place) }
    }
}

fn place(text: &str) -> Result<Place, String> {
    if let Some(folder) = text.strip_prefix("sqlite:").filter(|folder| !folder.is_empty()) {
        return Ok(Place::Folder(folder.into()));
    }
    match text.parse() {
        Ok(StoreUrl::Postgres(url)) => Ok(Place::Postgres(url)),
        Ok(StoreUrl::Sqlite) => Err("a folder is missing: sqlite:FOLDER".to_owned()),
        Err(wrong) => Err(wrong.replace("\"sqlite\"", "sqlite:FOLDER")),
    }
}

/// Carries it, and says where it is then.
pub(super) fn run(flags: Flags) -> Outcome<ExitCode> {
    let Flags { to, config, data } = flags;
    let to = match to {
        To::Place(place) => place,
        To::Stdin => {
            let mut line = String::new();
            io::stdin().read_line(&mut line)?;
            place(line.trim())?
        }
    };
    with_settings(super::Flags { config, listen: None, data }, |loaded, _| {
        let Settings { server, store, .. } = loaded.settings;
        let from = match store.url {
            StoreUrl::Sqlite => Place::Folder(server.data),
            StoreUrl::Postgres(url) => Place::Postgres(url),
        };
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(carry(&from, &to))
    })
}

async fn carry(from: &Place, to: &Place) -> Outcome<()> {
    let stop = stop_signal()?;
    let progress = Arc::new(Progress::default());
    let carrying = transfer(from, to, &progress);
    tokio::pin!(carrying, stop);
    let mut ticks = time::interval(EVERY);
    loop {
        select! {
            carried = &mut carrying => {
                let Carried { rooms, messages, accounts, rows } = carried.map_err(|cause| format!("nothing was moved: {cause}"))?;
                let what = [counted(rooms, "room"), counted(messages, "message"), counted(accounts, "account")].join(", ");
                tell(&format!("{} has {what}, {} in all, as they are in {}", shown(to), counted(rows, "row"), shown(from)));
                tell(&format!("start the server with it: {}; what was there before is left as it is", setting(to)));
                return Ok(());
            }
            () = &mut stop => return Err("stopped before the end: nothing was moved".into()),
            _ = ticks.tick() => {
                let (done, total) = (progress.done.load(Relaxed), progress.total.load(Relaxed));
                if total > 0 {
                    complain(format_args!("{done} of {total} rows"));
                }
            }
        }
    }
}

fn shown(place: &Place) -> String {
    match place {
        Place::Folder(folder) => folder.display().to_string(),
        Place::Postgres(url) => url.to_string(),
    }
}

/// What the settings have to say then.
fn setting(place: &Place) -> String {
    match place {
        Place::Folder(folder) => format!("store.url = \"sqlite\" and server.data = \"{}\"", folder.display()),
        Place::Postgres(url) => format!("store.url is the address of {url}"),
    }
}
