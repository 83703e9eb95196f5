//! Addresses from which guests are kept out for a time: by administrators of the whole server, by moderators of their room. Every node has those
//! that hold in memory, and a row goes when its time is over, so that no address is kept for longer.
//!
//! A ban is of whoever shares what [bounds an address](Subnet): one address of IPv4, a network of 64 bits of IPv6. What is done by somebody
//! on the server's own machine has none, nor has what comes through a proxy there that is not trusted.

use std::{collections::HashMap, sync::Arc};

use super::{Manage, NotDone, Switches};
use crate::{
    locales::manage as say,
    server::{
        audit::{Act, By, Deed},
        random,
        store::{Records, Row, Statement, StoreError, Value},
        visitors::Subnet,
    },
    wire::{Group, Person, Timestamp},
};

/// How many there are at most, with those of all rooms,
const MOST: usize = 5_000;
/// and of one room.
const MOST_OF_ROOM: usize = 200;
/// For how long one holds at most, in minutes.
pub const LONGEST_BAN: u32 = 30 * 24 * 60;
/// The longest note, in characters.
const LONGEST_NOTE: usize = 100;
/// For how long one holds, as forms offer it, in minutes.
pub const BANS_LAST: [u32; 5] = [60, 360, 1_440, 10_080, 43_200];

const MAKE: &str = "INSERT INTO address_bans (id, address, room, accounts, ends_at, made_at, by_id, by_name, note)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
/// One that is made takes the place of the one before.
const DROP_SAME: &str = "DELETE FROM address_bans WHERE address = $1 AND (room = $2 OR $2 IS NULL AND room IS NULL)";
const LIFT: &str = "DELETE FROM address_bans WHERE id = $1";
const ALL: &str = "SELECT id, address, room, accounts, ends_at, by_name, note FROM address_bans ORDER BY made_at DESC, id";
const DROP_OVER: &str = "DELETE FROM address_bans WHERE ends_at <= $1";

/// An address from which guests are kept out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    pub id: String,
    pub address: Subnet,
    /// None of the whole server.
    pub room: Option<Group>,
    /// People with accounts are kept out, too.
    pub with_accounts: bool,
    pub ends: Timestamp,
    pub by_name: String,
    /// Whom it is against, or why it was made.
    pub note: String,
}

/// One that is to be.
#[derive(Clone, Copy, Debug)]
pub struct NewBan<'b> {
    pub address: Subnet,
    pub room: Option<&'b Group>,
    pub with_accounts: bool,
    pub minutes: u32,
    pub note: &'b str,
}

/// All of them, as a node knows them; some may be over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bans {
    by_address: HashMap<Subnet, Vec<Ban>>,
    count: usize,
}

impl Bans {
    fn of(all: Vec<Ban>) -> Self {
        let count = all.len();
        let mut by_address: HashMap<_, Vec<_>> = HashMap::new();
        for ban in all {
            by_address.entry(ban.address).or_default().push(ban);
        }
        Self { by_address, count }
    }

    /// What keeps somebody at this address out of the whole server, or of a room.
    pub fn find(&self, address: Option<Subnet>, room: Option<&Group>, now: Timestamp) -> Option<&Ban> {
        if self.count == 0 {
            return None;
        }
        let bans = self.by_address.get(&address?)?;
        bans.iter().find(|ban| ban.room.as_ref() == room && ban.ends > now)
    }

    /// The rooms from which guests at this address are kept out.
    pub fn rooms(&self, address: Option<Subnet>, now: Timestamp) -> impl Iterator<Item = &Group> {
        let bans = address.and_then(|address| self.by_address.get(&address));
        bans.into_iter().flatten().filter(move |ban| ban.ends > now).filter_map(|ban| ban.room.as_ref())
    }

    /// Those that hold, of a room or of all; those that end first are first.
    pub fn living(&self, room: Option<&Group>, now: Timestamp) -> Vec<&Ban> {
        let is_meant = |ban: &&Ban| ban.ends > now && room.is_none_or(|room| ban.room.as_ref() == Some(room));
        let mut living: Vec<_> = self.all().filter(is_meant).collect();
        living.sort_by(|one, other| (one.ends, &one.id).cmp(&(other.ends, &other.id)));
        living
    }

    /// Those that the others do not have.
    pub(super) fn more_than<'b>(&'b self, others: &'b Self) -> impl Iterator<Item = &'b Ban> {
        self.all().filter(|ban| !others.all().any(|other| other == *ban))
    }

    pub(super) fn have_ended(&self, now: Timestamp) -> bool {
        self.all().any(|ban| ban.ends <= now)
    }

    fn all(&self) -> impl Iterator<Item = &Ban> {
        self.by_address.values().flatten()
    }
}

impl Manage {
    /// Keeps guests at an address out from now on; what is open to them ends on all nodes.
    ///
    /// # Errors
    /// It is not as it has to be, or cannot be written now.
    pub async fn ban(&self, by: &Person, new: NewBan<'_>) -> Result<(), NotDone> {
        let NewBan { address, room, with_accounts, minutes, note } = new;
        let wrong = |text: String| Err(NotDone::Wrong(text));
        if !(1..=LONGEST_BAN).contains(&minutes) {
            return wrong(say::ban_minutes(LONGEST_BAN));
        }
        let note = note.trim();
        if note.chars().count() > LONGEST_NOTE || note.chars().any(char::is_control) {
            return wrong(say::note_rule(LONGEST_NOTE));
        }
        let now = Timestamp::now();
        let switches = self.switches();
        let bans = &switches.bans;
        if bans.find(Some(address), room, now).is_none() {
            if room.is_some() && bans.living(room, now).len() >= MOST_OF_ROOM {
                return wrong(say::too_many_of_room(MOST_OF_ROOM));
            }
            if bans.count >= MOST {
                return wrong(say::too_many_bans(MOST));
            }
        }
        let (id, made) = (random::hex_128(), now.as_millis());
        let (address, ends) = (address.to_string(), made + i64::from(minutes) * 60_000);
        let room_value = || Value::from(room.map(Group::as_str));
        let values: [Value; 9] = [
            id.as_str().into(),
            address.as_str().into(),
            room_value(),
            with_accounts.into(),
            ends.into(),
            made.into(),
            by.id.as_str().into(),
            by.name.as_str().into(),
            note.into(),
        ];
        // The log is kept for longer than an address may be, so it does not have it.
        let of = room.map_or_else(String::new, |room| format!(", of the room {room}"));
        let detail = format!("until {}{of}", Timestamp::from_millis(ends));
        let deed = Deed::new(By::Person(by), Act::AddressBanned).to(&id, note).detail(detail).at(made);
        let same = Statement::new(DROP_SAME, [address.as_str().into(), room_value()]);
        self.write(vec![same, Statement::new(MAKE, values), deed.statement()]).await?;
        Ok(())
    }

    /// Lets guests at an address in again. Says whether they were kept out, of this room where one is named.
    ///
    /// # Errors
    /// It cannot be written now.
    pub async fn lift_ban(&self, by: &Person, id: &str, room: Option<&Group>) -> Result<bool, StoreError> {
        let switches = self.switches();
        let mut all = switches.bans.all();
        let Some(ban) = all.find(|ban| ban.id == id && (room.is_none() || ban.room.as_ref() == room)) else { return Ok(false) };
        let deed = Deed::new(By::Person(by), Act::AddressUnbanned).to(id, &ban.note);
        Ok(self.write(vec![Statement::new(LIFT, [id.into()]), deed.statement()]).await? == 1)
    }

    /// Forgets the addresses whose time is over.
    pub(super) async fn forget_bans(&self) -> Result<(), StoreError> {
        let now = Timestamp::now();
        if !self.switches().bans.have_ended(now) {
            return Ok(());
        }
        self.records.write_one(Statement::new(DROP_OVER, [now.as_millis().into()])).await?;
        self.switches.send_modify(|switches| {
            let living = switches.bans.all().filter(|ban| ban.ends > now).cloned().collect();
            *switches = Arc::new(Switches { bans: Bans::of(living), ..Switches::clone(switches) });
        });
        Ok(())
    }
}

/// All that there are, those that are over, too.
pub(super) async fn read(records: &dyn Records) -> Result<Bans, StoreError> {
    let damaged = || StoreError::damage("an address that is kept out is none");
    let ban = |row: &Row| {
        let (address, room): (String, Option<String>) = (row.get(1)?, row.get(2)?);
        Ok::<_, StoreError>(Ban {
            id: row.get(0)?,
            address: address.parse().map_err(|_| damaged())?,
            room: room.map(|room| room.parse::<Group>().map_err(|_| damaged())).transpose()?,
            with_accounts: row.get(3)?,
            ends: Timestamp::from_millis(row.get(4)?),
            by_name: row.get(5)?,
            note: row.get(6)?,
        })
    };
    Ok(Bans::of(records.query(ALL, &[]).await?.iter().map(ban).collect::<Result<_, _>>()?))
}
