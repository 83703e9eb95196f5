//! What administrators have in their hands while the server runs: its [switches](Switches), announcements, addresses that are kept out, and
//! tokens for programs. All of it is in plain tables, and every node has it in memory.
//!
//! ```text
//!   Manage::write ──► the tables, with the next number of `manage_changes`
//!        ├──► this node reads them anew ──► Programs, Switches
//!        └──► Leases::announce ──► the same on every other node
//!   once a second where the store is shared: the number alone, and all of it where that is another
//! ```
//!
//! So what was changed holds here when it is written, and on other nodes when the layer has told them, or within a second without it.
//! [`Nodes`] asks the other nodes what is open on them.

mod bans;
mod figures;
mod invitations;
mod nodes;
mod people;
mod tokens;

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use thiserror::Error;
use tokio::sync::watch;
use tracing::{debug, error, info};

pub use self::{
    bans::{BANS_LAST, Ban, Bans, LONGEST_BAN, NewBan},
    figures::{Counted, Figures, host, memory},
    invitations::{Invitation, Invitations, MOST_DAYS, MOST_USES, NewInvitation},
    nodes::{Answer, Nodes, Seen},
    people::{Change, Counts, Listed, People, RoomOf},
    tokens::{NewToken, TokenRow},
};
use super::{
    accounts::Programs,
    audit::{Act, By, Deed},
    layers::Event,
    lease::{Follower, Leases, Taken},
    random,
    settings::SignUp,
    store::{Records, Row, Statement, StoreError, Value},
    telemetry::Fault,
};
use crate::{
    locales::manage as say,
    wire::{Announced, Announcement, Person, Text, Timestamp},
};

/// The type of what nodes tell each other of a change.
const KIND: &str = "confab.managed";
/// How often a store that others write to is asked for changes.
const EVERY: Duration = Duration::from_secs(1);
/// After so many rounds it is noted which tokens were used,
const NOTED: u32 = 60;
/// of each as often as this, in milliseconds.
const HOUR: i64 = 60 * 60 * 1_000;
/// The longest announcement, in characters,
pub const LONGEST: usize = 500;
/// and for how long one is shown at most, in minutes.
pub const LONGEST_SHOWN: u32 = 30 * 24 * 60;

const BEGIN: &str = "UPDATE manage_changes SET changes = changes + 1";
const CHANGES: &str = "SELECT changes FROM manage_changes";
const SWITCHES: &str = "SELECT name, value FROM switches";
const SWITCH: &str =
    "INSERT INTO switches (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
const ANNOUNCEMENT: &str =
    "SELECT id, text, ends_at FROM announcements WHERE ends_at > $1 ORDER BY made_at DESC, id DESC LIMIT 1";
const ANNOUNCE: &str = "INSERT INTO announcements (id, text, made_at, ends_at, by_id, by_name) VALUES ($1, $2, $3, $4, $5, $6)";
const END: &str = "UPDATE announcements SET ends_at = $1 WHERE ends_at > $1";
/// Those that have ended go with the next one that is made.
const DROP_OLD: &str = "DELETE FROM announcements WHERE ends_at <= $1";

/// What is switched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switches {
    /// Nothing can be said or changed but by administrators here.
    pub read_only: bool,
    pub sign_up: SignUp,
    /// What was announced last, unless it was taken back; it may have ended.
    pub announcement: Option<Announcement>,
    /// The addresses from which guests are kept out.
    pub bans: Bans,
}

impl Switches {
    /// What all people see of it now.
    pub fn announced(&self) -> Announced {
        let now = Timestamp::now();
        Announced {
            announcement: self.announcement.clone().filter(|announcement| announcement.until > now),
            read_only: self.read_only,
        }
    }
}

/// A switch, as it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    ReadOnly(bool),
    SignUp(SignUp),
}

/// Why something was not done.
#[derive(Debug, Error)]
pub enum NotDone {
    #[error("{0}")]
    Wrong(String),
    #[error("not now; try again")]
    Unavailable(StoreError),
}

impl From<StoreError> for NotDone {
    fn from(cause: StoreError) -> Self {
        Self::Unavailable(cause)
    }
}

/// See the [module](self).
pub struct Manage {
    records: Arc<dyn Records>,
    leases: Arc<Leases>,
    programs: Arc<Programs>,
    /// As the settings have it.
    sign_up: SignUp,
    switches: watch::Sender<Arc<Switches>>,
    /// There was a change since the start.
    was_switched: AtomicBool,
    /// The number that was read last. Held while it is read.
    level: tokio::sync::Mutex<Option<i64>>,
    /// When the use of which token was noted.
    noted: parking_lot::Mutex<HashMap<String, i64>>,
}

impl Manage {
    /// Reads what is switched, and which tokens there are; and stays level with other nodes, if the store `is_shared` with some.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn start(
        records: Arc<dyn Records>,
        leases: &Arc<Leases>,
        programs: &Arc<Programs>,
        sign_up: SignUp,
        is_shared: bool,
    ) -> Result<Arc<Self>, StoreError> {
        let switches = Switches { read_only: false, sign_up, announcement: None, bans: Bans::default() };
        let manage = Arc::new(Self {
            records,
            leases: Arc::clone(leases),
            programs: Arc::clone(programs),
            sign_up,
            switches: watch::Sender::new(Arc::new(switches)),
            was_switched: AtomicBool::new(false),
            level: tokio::sync::Mutex::default(),
            noted: parking_lot::Mutex::default(),
        });
        manage.look().await?;
        let follower: Weak<dyn Follower> = {
            let weak: Weak<_> = Arc::downgrade(&manage);
            weak
        };
        leases.follow(follower);
        tokio::spawn(keep(Arc::downgrade(&manage), is_shared));
        Ok(manage)
    }

    /// What is switched now.
    pub fn switches(&self) -> Arc<Switches> {
        Arc::clone(&self.switches.borrow())
    }

    /// What somebody is told who opens their own topic: what all people see now, if there is anything to see or was since the start.
    pub fn news(&self) -> Option<Announced> {
        let announced = self.switches().announced();
        (announced != Announced::default() || self.was_switched.load(Relaxed)).then_some(announced)
    }

    /// Who wants to know each change.
    pub fn watch(&self) -> watch::Receiver<Arc<Switches>> {
        self.switches.subscribe()
    }

    /// Sets a switch.
    ///
    /// # Errors
    /// It cannot be written now.
    pub async fn switch(&self, by: &Person, switch: Switch) -> Result<(), StoreError> {
        let (name, value) = match switch {
            Switch::ReadOnly(on) => ("read_only", if on { "on" } else { "off" }.to_owned()),
            Switch::SignUp(sign_up) => ("sign_up", sign_up.to_string()),
        };
        let deed = Deed::new(By::Person(by), Act::Switched).to(name, name).detail(value.as_str());
        self.write(vec![Statement::new(SWITCH, [name.into(), value.as_str().into()]), deed.statement()]).await?;
        Ok(())
    }

    /// Announces something to all for so many minutes; what was announced before ends.
    ///
    /// # Errors
    /// It is no text for that, or cannot be written now.
    pub async fn announce(&self, by: &Person, text: &str, minutes: u32) -> Result<(), NotDone> {
        let wrong = |text: String| Err(NotDone::Wrong(text));
        let Ok(text) = Text::written(text) else { return wrong(say::announce_what().to_owned()) };
        let text = text.into_string();
        let length = text.chars().count();
        if length > LONGEST {
            return wrong(say::announcement_long(LONGEST, length));
        }
        if !(1..=LONGEST_SHOWN).contains(&minutes) {
            return wrong(say::announcement_minutes(LONGEST_SHOWN));
        }
        let (id, now) = (random::hex_128(), Timestamp::now().as_millis());
        let until = now + i64::from(minutes) * 60_000;
        let values: [Value; 6] = [
            id.as_str().into(),
            text.as_str().into(),
            now.into(),
            until.into(),
            by.id.as_str().into(),
            by.name.as_str().into(),
        ];
        let deed = Deed::new(By::Person(by), Act::AnnouncementMade).to(&id, "").detail(text.as_str());
        let end = Statement::new(END, [now.into()]);
        let drop = Statement::new(DROP_OLD, [now.into()]);
        self.write(vec![end, drop, Statement::new(ANNOUNCE, values), deed.statement()]).await?;
        Ok(())
    }

    /// Takes back what is announced, if anything is.
    ///
    /// # Errors
    /// It cannot be written now.
    pub async fn end_announcement(&self, by: &Person) -> Result<(), StoreError> {
        let Some(announcement) = self.switches().announced().announcement else { return Ok(()) };
        let deed = Deed::new(By::Person(by), Act::AnnouncementEnded).to(&announcement.id, "").detail(announcement.text);
        self.write(vec![Statement::new(END, [Timestamp::now().as_millis().into()]), deed.statement()]).await?;
        Ok(())
    }

    /// Writes a change: it holds on this node when this resolves, and the others are told. Says how many rows the first of the
    /// statements has changed.
    async fn write(&self, what: Vec<Statement>) -> Result<u64, StoreError> {
        let statements = [Statement::new(BEGIN, [])].into_iter().chain(what).collect();
        let results = self.records.write(statements).await?;
        let first = results.into_iter().nth(1).transpose()?.unwrap_or_default();
        self.look().await?;
        self.leases.announce(Event::new(KIND)).await;
        Ok(first.changed)
    }

    /// Reads all of it, if there was a change since the last time.
    async fn look(&self) -> Result<(), StoreError> {
        let mut level = self.level.lock().await;
        let rows = self.records.query(CHANGES, &[]).await?;
        let changes: i64 = rows.first().map_or(Ok(0), |row| row.get(0))?;
        if *level == Some(changes) {
            return Ok(());
        }
        // What is changed meanwhile has a higher number, so it is read once more.
        let switches = self.read_switches().await?;
        let made = tokens::read(&*self.records).await?;
        let switches = Arc::new(switches);
        let before = self.switches();
        self.switches.send_if_modified(|known| {
            let is_news = **known != *switches;
            *known = Arc::clone(&switches);
            is_news
        });
        if before.announced() != switches.announced() {
            self.was_switched.store(true, Relaxed);
        }
        for ban in switches.bans.more_than(&before.bans) {
            self.leases.keep_out(ban.address, ban.room.as_ref(), ban.with_accounts);
        }
        // What is open by a token ends with it.
        for id in self.programs.set_made(made) {
            self.leases.take_back(&id, Taken::Everything).await;
        }
        *level = Some(changes);
        Ok(())
    }

    async fn read_switches(&self) -> Result<Switches, StoreError> {
        let bans = bans::read(&*self.records).await?;
        let mut switches = Switches { read_only: false, sign_up: self.sign_up, announcement: None, bans };
        for row in self.records.query(SWITCHES, &[]).await? {
            let (name, value): (String, String) = (row.get(0)?, row.get(1)?);
            match (&*name, &*value) {
                ("read_only", value) => switches.read_only = value == "on",
                ("sign_up", value) => {
                    switches.sign_up =
                        value.parse().map_err(|_| StoreError::damage("sign_up is switched to what there is not"))?;
                }
                // Of a later version.
                _ => debug!(name, "there is a switch that is not known"),
            }
        }
        let rows = self.records.query(ANNOUNCEMENT, &[Timestamp::now().as_millis().into()]).await?;
        let announcement = |row: &Row| {
            Ok::<_, StoreError>(Announcement { id: row.get(0)?, text: row.get(1)?, until: Timestamp::from_millis(row.get(2)?) })
        };
        switches.announcement = rows.first().map(announcement).transpose()?;
        Ok(switches)
    }

    /// An announcement that has ended is none any more.
    fn end_in_time(&self) {
        let now = Timestamp::now();
        self.switches.send_if_modified(|switches| {
            let has_ended = switches.announcement.as_ref().is_some_and(|announcement| announcement.until <= now);
            if has_ended {
                *switches = Arc::new(Switches { announcement: None, ..Switches::clone(switches) });
            }
            has_ended
        });
    }

    /// Notes which tokens were used, of each now and then.
    async fn note_use(&self) -> Result<(), StoreError> {
        let now = Timestamp::now().as_millis();
        let used: Vec<_> = {
            let noted = self.noted.lock();
            let is_due = |id: &String| noted.get(id).is_none_or(|at| now - at >= HOUR);
            self.programs
                .used()
                .into_iter()
                .filter(|(id, at)| is_due(id) && noted.get(id).is_none_or(|noted| at > noted))
                .collect()
        };
        if used.is_empty() {
            return Ok(());
        }
        self.records.write(used.iter().map(|(id, at)| tokens::used(id, *at)).collect()).await?;
        self.noted.lock().extend(used);
        Ok(())
    }
}

impl Follower for Manage {
    fn hear(self: Arc<Self>, event: &Event) {
        if event.kind() == KIND {
            tokio::spawn(async move {
                if let Err(cause) = self.look().await {
                    debug!(%cause, "what another node has switched could not be read yet");
                }
            });
        }
    }
}

async fn keep(manage: Weak<Manage>, is_shared: bool) {
    let away = Fault::default();
    for round in 1_u32.. {
        tokio::time::sleep(EVERY).await;
        let Some(manage) = manage.upgrade() else { return };
        manage.end_in_time();
        if let Err(cause) = manage.forget_bans().await {
            debug!(%cause, "addresses that are kept out no more could not be forgotten yet");
        }
        if round.is_multiple_of(NOTED)
            && let Err(cause) = manage.note_use().await
        {
            debug!(%cause, "which tokens were used could not be noted yet");
        }
        if !is_shared {
            continue;
        }
        let level = manage.look().await;
        if away.is_news(level.is_err()) {
            match &level {
                Ok(()) => info!("the store can be asked again what is switched"),
                Err(cause) => error!(%cause, "the store cannot be asked what is switched and which tokens there are"),
            }
        }
    }
}
