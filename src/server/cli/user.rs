//! `confab user`: accounts, in the store of the settings. A server may be running on it.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    process::ExitCode,
    sync::Arc,
};

use clap::Subcommand;

use super::{Outcome, with_settings};
use crate::{
    server::{
        accounts::{AccountRecords, Accounts, CreateError, Handle, NewAccount, Purpose},
        audit::{Act, AuditLog, By, Deed},
        settings::{Settings, StoreUrl},
        storage,
        store::{Beside, OpenError, Records, SqliteStore, StoreError},
    },
    wire::{PersonName, Timestamp},
};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Make an account, and print the link with which its owner chooses a password
    Add {
        /// What the person is called, signs in with and is mentioned by
        name: String,
        /// Let them administer the server
        #[arg(long)]
        admin: bool,
        #[command(flatten)]
        flags: super::Flags,
    },
    /// Print a link with which somebody chooses another password, once and within a day
    Reset {
        /// What the person signs in with
        name: String,
        /// Switch off their second factor, too: the app and the codes on paper are lost
        #[arg(long)]
        second_factor: bool,
        #[command(flatten)]
        flags: super::Flags,
    },
    /// List the accounts
    List(super::Flags),
}

pub(super) fn run(command: Command) -> Outcome<ExitCode> {
    match command {
        Command::Add { name, admin, flags } => with_records(flags, async move |records, address| {
            let records = AccountRecords::new(records);
            let handle: Handle = name.parse()?;
            let called: PersonName = name.parse()?;
            let (id, is_administrator) = (Accounts::fresh_id(), admin);
            let new = NewAccount { id, handle, name: called, is_administrator, password: None, subject: None };
            match records.create_by(&new, By::CommandLine, now()).await {
                Ok(()) => tell_link(&records, &new.id, new.handle.as_str(), &address).await,
                Err(CreateError::Taken | CreateError::Exists | CreateError::NotInvited) => {
                    Err(format!("somebody is called {}, or something that looks like it", new.handle).into())
                }
                Err(CreateError::Store(cause)) => Err(cause.into()),
            }
        }),
        Command::Reset { name, second_factor, flags } => with_records(flags, async move |records, address| {
            let log = AuditLog::new(Arc::clone(&records));
            let records = AccountRecords::new(records);
            let handle: Handle = name.parse()?;
            match records.by_handle(&handle).await? {
                Some(account) => {
                    let note = async |act| {
                        log.record(&Deed::new(By::CommandLine, act).to(&account.id, account.handle.as_str())).await;
                    };
                    if second_factor && records.second_factors().switch_off(&account.id).await? {
                        note(Act::SecondFactorRemoved).await;
                    }
                    let told = tell_link(&records, &account.id, account.handle.as_str(), &address).await?;
                    note(Act::ResetLinkMade).await;
                    Ok(told)
                }
                None => Err(format!("nobody is called {handle}; confab user list names those who are there").into()),
            }
        }),
        Command::List(flags) => with_records(flags, async |records, _| {
            let records = AccountRecords::new(records);
            let mut lines = String::new();
            for account in records.all().await? {
                let what = match (account.is_administrator, account.is_deactivated) {
                    (_, true) => "deactivated",
                    (true, false) => "administrator",
                    (false, false) => "member",
                };
                let _ = writeln!(lines, "{}\t{what}\t{}", account.handle, account.name);
            }
            Ok(lines)
        }),
    }
}

/// Runs it with the tables, and prints what it gives. The address is the one that the server has by the settings.
pub(super) fn with_records(
    flags: super::Flags,
    command: impl AsyncFnOnce(Arc<dyn Records>, String) -> Outcome<String>,
) -> Outcome<ExitCode> {
    with_settings(flags, |loaded, _| {
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
            let address = format!("http://{}", loaded.settings.server.listen);
            let text = if let Some(records) = beside(&loaded.settings)? {
                command(records, address).await?
            } else {
                let storage::Opened { log, records, .. } =
                    storage::open(&loaded.settings.store, &loaded.settings.server.data).await?;
                let text = command(records, address).await;
                log.close().await;
                text?
            };
            Ok(io::stdout().write_all(text.as_bytes())?)
        })
    })
}

/// The tables of a database that a server on this machine has for itself; none where it can be opened as a server does.
fn beside(settings: &Settings) -> Outcome<Option<Arc<dyn Records>>> {
    if settings.store.url != StoreUrl::Sqlite {
        return Ok(None);
    }
    let folder = &settings.server.data;
    match SqliteStore::is_free(folder) {
        Ok(()) => Ok(None),
        Err(OpenError::InUse { .. }) => Ok(Some(Arc::new(Beside::open(folder)?))),
        Err(cause) => Err(cause.into()),
    }
}

async fn tell_link(records: &AccountRecords, id: &str, handle: &str, address: &str) -> Outcome<String> {
    let token = records.make_link(Purpose::Reset, Some(id), now()).await.map_err(|cause: StoreError| cause.to_string())?;
    Ok(format!("{handle} chooses a password here, once and within a day:\n{address}/reset/{}\n", token.reveal()))
}

fn now() -> i64 {
    Timestamp::now().as_millis()
}
