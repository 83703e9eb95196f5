//! What is done with rooms that somebody owns. Who may is said by [`rights`](super::rights); what is lost by it is taken back before this
//! is through: on this node at once, and on the others as soon as the layer has told them.

use std::time::Duration;

use thiserror::Error;
use tracing::{debug, error, info};

use super::{
    invitation::{Code, Invitation, Invited, Terms},
    record::{Brief, Member, Posting, Record, Role, RoomKind, Standing, Title, Topic},
    records::{Logged, MOST_BANNED, MOST_DIRECT, MOST_INVITATIONS, MOST_OWNED, MOST_USED, NewRoom, Note, of_room},
    registry::{Concerns, MADE, Registry},
    rights::{Act, Denied, Seen, granted, may, may_manage},
};
use crate::{
    locales::rooms as say,
    server::{
        accounts::{Asker, Kind},
        lease::{Taken, Why},
        rooms::{Rooms, rules::rule},
        settings::Makes,
        store::{Bounds, Statement, StoreError},
        visitors::Subnet,
    },
    wire::{self, Group, Offset, Person, Timestamp, beginning},
};

const CHANGE: &str = "UPDATE room_records SET title = $2, topic = $3, kind = $4, posting = $5 WHERE room = $1";
const ARCHIVE: &str = "UPDATE room_records SET archived = CAST($2 AS bigint) WHERE room = $1";
const DELETE: &str =
    "UPDATE room_records SET deleted = CAST($2 AS bigint), title = '', topic = '', people = NULL WHERE room = $1";
const NO_INVITATIONS: &str = "DELETE FROM room_invitations WHERE room = $1";
/// Whose it was is known for good: the names that somebody uses are counted.
const NO_MEMBERS: &str = "DELETE FROM room_members WHERE room = $1 AND role <> 'owner'";
const NO_LOG: &str = "DELETE FROM room_log WHERE room = $1";
const NO_READS: &str = "DELETE FROM room_reads WHERE room = $1";
const NO_BANS: &str = "DELETE FROM room_bans WHERE room = $1";
const GIVE: &str = "UPDATE room_members SET role = $3, muted = CASE WHEN $3 IN ('owner', 'moderator') THEN NULL ELSE muted END
    WHERE room = $1 AND person = $2";
const STEP_DOWN: &str = "UPDATE room_members SET role = 'moderator' WHERE room = $1 AND role = 'owner'";
/// Makes somebody the owner of a room that has none.
const GIVE_OWNER: &str = "INSERT INTO room_members (room, person, name, role, joined)
    SELECT room, $2, $3, 'owner', CAST($4 AS bigint) FROM room_records WHERE room = $1
    ON CONFLICT (room, person) DO UPDATE SET role = 'owner', muted = NULL";
const MUTE: &str = "UPDATE room_members SET muted = CAST($3 AS bigint) WHERE room = $1 AND person = $2";
const REMOVE: &str = "DELETE FROM room_members WHERE room = $1 AND person = $2";
const BAN: &str = "INSERT INTO room_bans (room, person, name, at) SELECT $1, $2, $3, CAST($4 AS bigint)
    WHERE (SELECT count(*) FROM room_bans WHERE room = $1) < $5 ON CONFLICT DO NOTHING";
const UNBAN: &str = "DELETE FROM room_bans WHERE room = $1 AND person = $2";

/// What somebody does with a room that somebody owns.
#[derive(Clone, Debug)]
pub enum What {
    Change {
        title: Title,
        topic: Topic,
        kind: RoomKind,
        posting: Posting,
    },
    Archive(bool),
    /// Gives a member a role.
    Give(Person, Role),
    /// Mutes a member until then, or lets them speak again.
    Mute(Person, Option<Timestamp>),
    Remove(Person),
    Ban(Person),
    Unban(Person),
    /// Revokes an invitation.
    Revoke(String),
    Delete,
    Leave,
}

/// Why something was not done.
#[derive(Debug, Error)]
pub enum NotDone {
    #[error("{0}")]
    Denied(#[from] Denied),
    #[error("{}", say::no_member())]
    NoMember,
    #[error("{}", say::taken())]
    Taken,
    #[error("{}", say::no_rule())]
    NoRule,
    #[error("{}", say::only_administrators())]
    OnlyAdministrators,
    #[error("{}", say::no_account())]
    NoAccount,
    #[error("{}", say::too_many_rooms(MOST_OWNED))]
    TooManyRooms,
    #[error("{}", say::too_many_names(MOST_USED))]
    TooManyNames,
    #[error("{}", say::too_many_direct(MOST_DIRECT))]
    TooManyDirect,
    #[error("{}", say::made_too_often(MADE.0, minutes(*.0)))]
    MadeTooOften(Duration),
    #[error("{}", say::done_too_often(minutes(*.0)))]
    DoneTooOften(Duration),
    #[error("{}", say::too_many_invitations(MOST_INVITATIONS))]
    TooManyInvitations,
    #[error("{}", say::crowd(DIRECT.start(), DIRECT.end()))]
    Crowd,
    #[error("{}", say::not_good())]
    NotGood,
    #[error("{}", say::not_direct())]
    Direct,
    #[error("{0}")]
    Wrong(&'static str),
    #[error("{}", say::try_again())]
    Unavailable,
}

fn minutes(wait: Duration) -> u64 {
    wait.as_secs() / 60 + 1
}

impl From<StoreError> for NotDone {
    fn from(StoreError::Unavailable(cause): StoreError) -> Self {
        debug!(%cause, "a room could not be looked up or changed");
        Self::Unavailable
    }
}

/// So many of somebody's rooms are shown at a time.
const OWN: usize = 50;

/// How many people a direct room has.
pub const DIRECT: std::ops::RangeInclusive<usize> = 2..=8;

/// A room as its settings show it to somebody.
#[derive(Clone, Debug)]
pub struct About {
    pub record: Record,
    pub role: Option<Role>,
    /// What they may do: the rest of what is here is for who manages the room, but for the people of a direct one.
    pub manages: bool,
    pub changes: bool,
    pub owns: bool,
    pub count: u64,
    pub members: Vec<Member>,
    pub banned: Vec<Person>,
    pub invitations: Vec<Invitation>,
    pub log: Vec<Logged>,
}

impl Rooms {
    /// How a room looks to somebody.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(in crate::server::rooms) async fn stands(
        &self,
        person: &Person,
        (kind, address): (Kind, Option<Subnet>),
        granted: Option<Role>,
        group: &Group,
        guests: bool,
    ) -> Result<Seen, StoreError> {
        let brief = self.registry.brief(group);
        let standing = match (brief, kind) {
            // A program is in no room.
            (None, _) | (_, Kind::Program) => Standing::default(),
            (_, Kind::Guest) if self.registry.keeps_out(address, group) => Standing { is_banned: true, ..Standing::default() },
            _ => self.registry.standing(group, &person.id).await?.or(granted),
        };
        Ok(Seen { read_only: self.registry.is_read_only(), guests, brief, standing, kind })
    }

    pub(in crate::server::rooms) async fn seen(&self, asker: Asker<'_>, group: &Group) -> Result<Seen, NotDone> {
        let rule = rule(&self.rules, group).ok_or(Denied::NotThere)?;
        Ok(self.stands(asker.person, (asker.kind, asker.address), granted(asker, group), group, rule.guests).await?)
    }

    /// Notes that a message was deleted by somebody who moderates.
    pub(in crate::server::rooms) async fn note_deletion(&self, group: &Group, by: &Person, author: &Person) {
        let note = Note { by, act: "deleted a message", to: Some(author), detail: String::new() };
        match self.registry.commit(group, Vec::new(), &note).await {
            Ok(Some(brief)) => self.tell(group, brief, false, &Concerns::default()).await,
            Ok(None) => {}
            Err(cause) => error!(%group, %cause, "that somebody has deleted another's message could not be noted"),
        }
    }

    /// Makes a room, which is owned by who makes it.
    ///
    /// # Errors
    /// Why not.
    pub async fn make(&self, asker: Asker<'_>, group: &Group, title: &Title, kind: RoomKind) -> Result<(), NotDone> {
        let rule = rule(&self.rules, group).ok_or(NotDone::NoRule)?;
        self.can_change()?;
        match (rule.make, asker.kind) {
            _ if kind == RoomKind::Direct => return Err(NotDone::Direct),
            (_, Kind::Guest | Kind::Program) => return Err(NotDone::NoAccount),
            (Makes::Nobody, _) => return Err(NotDone::NoRule),
            (Makes::Administrators, Kind::Account) => return Err(NotDone::OnlyAdministrators),
            _ => {}
        }
        // What was said in a room that was nobody's is everybody's.
        if self.is_used(group, rule.history).await? {
            return Err(NotDone::Taken);
        }
        let members = vec![(asker.person, Role::Owner)];
        self.begin(asker, NewRoom { group, kind, title: title.as_str(), topic: "", people: None, members, by: None }).await
    }

    /// Makes somebody who administers the server the owner of a room that is nobody's; it stays open.
    ///
    /// # Errors
    /// Why not.
    pub async fn take_over(&self, asker: Asker<'_>, group: &Group) -> Result<(), NotDone> {
        let seen = self.seen(asker, group).await?;
        if seen.brief.is_some() {
            return Err(NotDone::Taken);
        }
        may(&seen, Act::Own, Timestamp::now())?;
        let members = vec![(asker.person, Role::Owner)];
        let (kind, title) = (RoomKind::Open, group.as_str());
        self.begin(asker, NewRoom { group, kind, title, topic: "", people: None, members, by: None }).await
    }

    /// Whether anything can be done on this server at all.
    fn can_change(&self) -> Result<(), Denied> {
        if self.registry.is_read_only() { Err(Denied::Server) } else { Ok(()) }
    }

    pub(in crate::server::rooms) async fn begin(&self, asker: Asker<'_>, room: NewRoom<'_>) -> Result<(), NotDone> {
        let (group, kind) = (room.group.clone(), room.kind);
        self.may_make(asker)?;
        let people = room.members.iter().map(|(person, _)| person.id.clone()).collect();
        let Some(brief) = self.registry.make(room).await? else {
            if self.registry.record(&group).await?.is_some() {
                return Err(NotDone::Taken);
            }
            let owned = self.registry.owned(&asker.person.id).await?;
            return Err(if owned >= MOST_OWNED { NotDone::TooManyRooms } else { NotDone::TooManyNames });
        };
        // Whoever was in it while it was nobody's may have to go.
        self.tell(&group, brief, kind != RoomKind::Open, &Concerns { all: true, people, is_loss: false }).await;
        Ok(())
    }

    /// Whether somebody may make one more room now; counts it. Whoever administers the server may as often as they like.
    fn may_make(&self, asker: Asker<'_>) -> Result<(), NotDone> {
        if asker.kind == Kind::Administrator {
            return Ok(());
        }
        self.registry.made.take(asker.person.id.clone()).map_err(NotDone::MadeTooOften)
    }

    /// Whether anything was said in a room that the settings have kept.
    async fn is_used(&self, group: &Group, history: crate::server::settings::History) -> Result<bool, StoreError> {
        match self.store(history) {
            Some(store) => Ok(store.store.entries(group, Offset(u64::MAX), 0, 0).await?.head.offset > Offset::START),
            None => Ok(false),
        }
    }

    /// The direct room of these people, who asks among them; it is made where there is none yet.
    ///
    /// # Errors
    /// Why not.
    pub async fn direct(&self, asker: Asker<'_>, others: &[Person]) -> Result<Group, NotDone> {
        if !matches!(asker.kind, Kind::Account | Kind::Administrator) {
            return Err(NotDone::NoAccount);
        }
        let mut people: Vec<_> = [asker.person].into_iter().chain(others).collect();
        people.sort_unstable_by_key(|person| person.id.as_str());
        people.dedup_by_key(|person| person.id.as_str());
        if !DIRECT.contains(&people.len()) {
            return Err(NotDone::Crowd);
        }
        let key = people.iter().map(|person| person.id.as_str()).collect::<Vec<_>>().join(" ");
        if let Some(group) = self.registry.direct(&key).await? {
            return Ok(group);
        }
        self.can_change()?;
        // Nobody can have been in it before, since nobody can guess its name.
        let group: Group = format!("direct-{}", crate::server::random::hex_128()).parse().map_err(|_| NotDone::NoRule)?;
        rule(&self.rules, &group).ok_or(NotDone::NoRule)?;
        // Who makes it stands in the log.
        let first = people.iter().position(|person| person.id == asker.person.id).unwrap_or_default();
        people.swap(0, first);
        let ids: Vec<String> = people.iter().map(|person| person.id.clone()).collect();
        let members = people.into_iter().map(|person| (person, Role::Member)).collect();
        let people = Some(key.clone());
        let room = NewRoom { group: &group, kind: RoomKind::Direct, title: "", topic: "", people, members, by: None };
        self.may_make(asker)?;
        match self.registry.make(room).await? {
            Some(brief) => {
                self.tell(&group, brief, false, &Concerns::of(ids)).await;
                Ok(group)
            }
            // Another of them was first.
            None => self.registry.direct(&key).await?.ok_or(NotDone::TooManyDirect),
        }
    }

    /// What the settings of a room show to somebody.
    ///
    /// # Errors
    /// There is no such room for them.
    pub async fn about(&self, asker: Asker<'_>, group: &Group) -> Result<About, NotDone> {
        // What they may do otherwise is shown where the server is read-only, too; what is sent is answered with why not.
        let (seen, now) = (Seen { read_only: false, ..self.seen(asker, group).await? }, Timestamp::now());
        let brief = seen.brief.ok_or(Denied::NotThere)?;
        let allowed = |act| may(&seen, act, now).is_ok();
        let (manages, is_direct) = (allowed(Act::Manage), brief.kind == RoomKind::Direct);
        if !manages {
            may(&seen, Act::Read, now)?;
        }
        let registry = &self.registry;
        let record = registry.record(group).await?.ok_or(Denied::NotThere)?;
        let mut about = About {
            record,
            role: seen.standing.role,
            manages,
            changes: allowed(Act::Change),
            owns: allowed(Act::Own),
            count: registry.count(group).await?,
            members: if manages || is_direct { registry.members(group).await? } else { Vec::new() },
            banned: Vec::new(),
            invitations: Vec::new(),
            log: Vec::new(),
        };
        if manages {
            about.banned = registry.banned(group).await?;
            about.invitations = registry.invitations(group).await?;
            about.log = registry.log(group).await?;
        }
        self.profiles.complete(about.members.iter_mut().map(|member| &mut member.person).chain(&mut about.banned));
        Ok(about)
    }

    /// Who somebody is, of those whom a room knows: a member, or who is kept out. Only for who manages it.
    ///
    /// # Errors
    /// It knows nobody of this id, or the asker may not ask.
    pub async fn somebody(&self, asker: Asker<'_>, group: &Group, id: &str) -> Result<Person, NotDone> {
        self.manages(asker, group).await?;
        self.registry.somebody(group, id).await?.ok_or(NotDone::NoMember)
    }

    /// Whether somebody may manage who is in a room.
    ///
    /// # Errors
    /// They may not.
    pub async fn manages(&self, asker: Asker<'_>, group: &Group) -> Result<(), NotDone> {
        Ok(may(&self.seen(asker, group).await?, Act::Manage, Timestamp::now())?)
    }

    /// Whether somebody may take over a room that is nobody's.
    pub fn may_take_over(&self, asker: Asker<'_>, group: &Group) -> bool {
        let is_there = rule(&self.rules, group).is_some() && self.registry.brief(group).is_none();
        is_there && asker.kind == Kind::Administrator
    }

    /// Whether somebody may do something more with rooms now; counts it. What is done is looked at on all nodes, for everybody there.
    fn may_do(&self, asker: Asker<'_>) -> Result<(), NotDone> {
        self.registry.done.take(asker.person.id.clone()).map_err(NotDone::DoneTooOften)
    }

    /// Does something with a room.
    ///
    /// # Errors
    /// Why not.
    pub async fn act(&self, asker: Asker<'_>, group: &Group, what: What) -> Result<(), NotDone> {
        let (seen, now) = (self.seen(asker, group).await?, Timestamp::now());
        let Some(before) = seen.brief else { return Err(Denied::NotThere.into()) };
        self.may_do(asker)?;
        let of = |sql, person: &Person| of_room(sql, group, [person.id.as_str().into()]);
        let manage = async |person: &Person, gives: Option<Role>| {
            let has = self.registry.standing(group, &person.id).await?.role;
            may_manage(&seen, now, has, gives)?;
            Ok::<_, NotDone>(has)
        };
        let (statements, act, to, detail): (Vec<Statement>, _, _, _) = match &what {
            What::Change { title, topic, kind, posting } => {
                may(&seen, Act::Change, now)?;
                if *kind == RoomKind::Direct {
                    return Err(NotDone::Direct);
                }
                let values = [title.as_str().into(), topic.as_str().into(), (*kind).into(), (*posting).into()];
                (vec![of_room(CHANGE, group, values)], "changed", None, format!("{kind}, {posting} may post"))
            }
            What::Archive(archive) => {
                may(&seen, Act::Change, now)?;
                let at = archive.then(|| now.as_millis());
                let act = if *archive { "archived" } else { "opened again" };
                (vec![of_room(ARCHIVE, group, [at.into()])], act, None, String::new())
            }
            What::Give(person, Role::Owner) => {
                may(&seen, Act::Own, now)?;
                manage(person, Some(Role::Owner)).await?.ok_or(NotDone::NoMember)?;
                let give = of_room(GIVE, group, [person.id.as_str().into(), Role::Owner.into()]);
                (vec![of_room(STEP_DOWN, group, []), give], "handed over", Some(person), String::new())
            }
            What::Give(person, role) => {
                manage(person, Some(*role)).await?.ok_or(NotDone::NoMember)?;
                let give = of_room(GIVE, group, [person.id.as_str().into(), (*role).into()]);
                (vec![give], "role", Some(person), role.to_string())
            }
            What::Mute(person, until) => {
                let has = manage(person, None).await?.ok_or(NotDone::NoMember)?;
                // Who moderates is not muted, but made a member first.
                if has == Role::Moderator && until.is_some() {
                    return Err(Denied::Moderators.into());
                }
                let mute = of_room(MUTE, group, [person.id.as_str().into(), until.map(Timestamp::as_millis).into()]);
                let (act, detail) = until.map_or(("unmuted", String::new()), |until| ("muted", format!("until {until}")));
                (vec![mute], act, Some(person), detail)
            }
            What::Remove(person) => {
                manage(person, None).await?.ok_or(NotDone::NoMember)?;
                (vec![of(REMOVE, person)], "removed", Some(person), String::new())
            }
            What::Ban(person) => {
                manage(person, None).await?;
                if person.id == asker.person.id {
                    return Err(Denied::NotThere.into());
                }
                let values =
                    [person.id.as_str().into(), person.name.as_str().into(), now.as_millis().into(), MOST_BANNED.into()];
                (vec![of(REMOVE, person), of_room(BAN, group, values)], "banned", Some(person), String::new())
            }
            What::Unban(person) => {
                may(&seen, Act::Manage, now)?;
                (vec![of(UNBAN, person)], "unbanned", Some(person), String::new())
            }
            What::Revoke(digest) => {
                may(&seen, Act::Invite, now)?;
                (vec![Registry::revocation(group, digest)], "revoked an invitation", None, String::new())
            }
            What::Delete => {
                may(&seen, Act::Own, now)?;
                let delete = of_room(DELETE, group, [now.as_millis().into()]);
                let rest = [NO_INVITATIONS, NO_MEMBERS, NO_BANS, NO_READS, NO_LOG].map(|sql| of_room(sql, group, []));
                ([delete].into_iter().chain(rest).collect(), "deleted", None, String::new())
            }
            What::Leave => {
                may(&seen, Act::Leave, now)?;
                (vec![of(REMOVE, asker.person)], "left", None, String::new())
            }
        };
        let concerns = self.concerns(asker, group, &what).await?;
        let note = Note { by: asker.person, act, to, detail };
        let after = self.registry.commit(group, statements, &note).await?.ok_or(Denied::NotThere)?;
        self.take_effect(asker, group, &what, (before, after), &concerns).await;
        // What somebody was about to do, who might until now, is done before this is through: nothing comes after it.
        self.registry.settled().await;
        Ok(())
    }

    /// Whom something concerns that is about to be done.
    async fn concerns(&self, asker: Asker<'_>, group: &Group, what: &What) -> Result<Concerns, StoreError> {
        let is_open = self.registry.is_open(group);
        Ok(match what {
            What::Give(person, Role::Owner) => {
                Concerns::of(self.registry.owners(group).await?.into_iter().chain([person.id.clone()]))
            }
            What::Give(person, _) | What::Mute(person, _) | What::Unban(person) => Concerns::of([person.id.clone()]),
            What::Remove(person) | What::Ban(person) => Concerns { is_loss: true, ..Concerns::of([person.id.clone()]) },
            What::Leave => Concerns { is_loss: !is_open, ..Concerns::of([asker.person.id.clone()]) },
            What::Change { .. } | What::Archive(_) | What::Delete => {
                Concerns { all: true, ..Concerns::of(self.registry.member_ids(group).await?) }
            }
            What::Revoke(_) => Concerns::default(),
        })
    }

    /// What was lost by something that was done ends.
    async fn take_effect(
        &self,
        asker: Asker<'_>,
        group: &Group,
        what: &What,
        (before, after): (Brief, Brief),
        concerns: &Concerns,
    ) {
        let narrows = after.is_deleted || (before.kind == RoomKind::Open && after.kind != RoomKind::Open);
        self.tell(group, after, narrows, concerns).await;
        let loses = match what {
            What::Remove(person) => Some((person, Why::Removed)),
            What::Ban(person) => Some((person, Why::Banned)),
            What::Leave if after.kind != RoomKind::Open => Some((asker.person, Why::Left)),
            _ => None,
        };
        if let (Some((person, why)), Ok(base)) = (loses, self.registry.base()) {
            base.leases.take_back(&person.id, Taken::Topic(wire::Topic::Room(group.clone()), why)).await;
        }
        if after.is_deleted {
            self.forget(group).await;
        }
    }

    /// Makes somebody the owner of a room that had one and has none now.
    pub(in crate::server::rooms) async fn give_owner_of_owned(
        &self,
        asker: Asker<'_>,
        group: &Group,
        owner: &Person,
    ) -> Result<(), NotDone> {
        if self.registry.members(group).await?.iter().any(|member| member.role == Role::Owner) {
            return Err(NotDone::Wrong(say::somebody_owns()));
        }
        let values = [owner.id.as_str().into(), owner.name.as_str().into(), Timestamp::now().as_millis().into()];
        let note = Note { by: asker.person, act: "handed over", to: Some(owner), detail: String::new() };
        let give = of_room(GIVE_OWNER, group, values);
        let brief = self.registry.commit(group, vec![give], &note).await?.ok_or(Denied::NotThere)?;
        self.tell(group, brief, false, &Concerns::of([owner.id.clone()])).await;
        Ok(())
    }

    /// Has all nodes know of a change, this one first; with `narrows` some may lose the room.
    pub(super) async fn tell(&self, group: &Group, brief: Brief, narrows: bool, concerns: &Concerns) {
        if narrows {
            self.registry.revise(group).await;
        }
        self.registry.stir(group, concerns);
        self.registry.announce(group, brief, narrows, concerns).await;
    }

    /// What was said in a room goes for good.
    async fn forget(&self, group: &Group) {
        let nothing = Bounds { messages: Some(0), since: None, changes: Some(0) };
        for store in [&self.durable, &self.volatile] {
            match store.store.forget(group, nothing).await {
                Ok(_) => info!(%group, "a room was deleted, and what was said in it"),
                // The next round of what is kept tries again.
                Err(cause) => debug!(%group, %cause, "what was said in a deleted room could not be dropped yet"),
            }
        }
    }

    /// Makes an invitation.
    ///
    /// # Errors
    /// Why not.
    pub async fn invite(&self, asker: Asker<'_>, group: &Group, terms: Terms) -> Result<Code, NotDone> {
        let (seen, now) = (self.seen(asker, group).await?, Timestamp::now());
        may(&seen, Act::Invite, now)?;
        may_manage(&seen, now, None, Some(terms.role))?;
        self.may_do(asker)?;
        let code = Code::fresh();
        let until = terms.expires.map_or_else(|| "for ever".to_owned(), |at| format!("until {at}"));
        let uses = terms.uses.map_or_else(|| "any number of people".to_owned(), |uses| format!("{uses} people"));
        let detail = format!("{}, {uses}, {until}", terms.role);
        let note = Note { by: asker.person, act: "invited", to: None, detail };
        let statements = Registry::invitation(&code, group, terms, asker.person);
        let brief = self.registry.commit(group, statements, &note).await?.ok_or(Denied::NotThere)?;
        self.tell(group, brief, false, &Concerns::default()).await;
        match self.registry.invited(&code).await? {
            Some(_) => Ok(code),
            None => Err(NotDone::TooManyInvitations),
        }
    }

    /// What an invitation leads to; none where it cannot be used. Nothing is spent by that.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn invited(&self, code: &Code) -> Result<Option<Invited>, NotDone> {
        let invited = self.registry.invited(code).await?;
        Ok(invited.filter(|invited| rule(&self.rules, &invited.room.group).is_some()))
    }

    /// Whether somebody is in a room already.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn is_member(&self, person: &Person, group: &Group) -> Result<bool, NotDone> {
        Ok(self.registry.standing(group, &person.id).await?.role.is_some())
    }

    /// Comes in by an invitation; gives the room. Who is in it already spends nothing.
    ///
    /// # Errors
    /// It is not good, or not for them.
    pub async fn join(&self, asker: Asker<'_>, code: &Code) -> Result<Group, NotDone> {
        if !matches!(asker.kind, Kind::Account | Kind::Administrator) {
            return Err(NotDone::NoAccount);
        }
        let Some(Invited { room, .. }) = self.invited(code).await? else {
            return Err(NotDone::NotGood);
        };
        if self.is_member(asker.person, &room.group).await? {
            return Ok(room.group);
        }
        match self.registry.use_invitation(code, &room.group, asker.person).await? {
            Some(brief) => {
                let concerns = Concerns::of([asker.person.id.clone()]);
                self.tell(&room.group, brief, false, &concerns).await;
            }
            // By another of their pages, perhaps, which is not through yet.
            None if self.registry.standing_now(&room.group, &asker.person.id).await?.role.is_some() => {}
            None => return Err(NotDone::NotGood),
        }
        Ok(room.group)
    }

    /// A part of the rooms of which somebody is a member, after so many others, and after how many there are more, if there are; a direct one
    /// is called by its others.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn own(&self, person: &Person, after: u32) -> Result<(Vec<Record>, Option<u32>), StoreError> {
        let mut own = self.registry.own(&person.id, OWN + 1, after).await?;
        let more = (own.len() > OWN).then(|| after.saturating_add(u32::try_from(OWN).unwrap_or(u32::MAX)));
        own.truncate(OWN);
        let mut direct = own.iter().filter(|record| record.brief.kind == RoomKind::Direct).map(|record| &record.group);
        if let Some(first) = direct.next() {
            let last = direct.next_back().unwrap_or(first);
            let mut others = self.registry.others(&person.id, (first, last)).await?;
            for record in &mut own {
                if let Some(others) = others.remove(&record.group) {
                    record.title = beginning(&others.join(", "));
                }
            }
        }
        // What no rule matches is not there.
        own.retain(|record| rule(&self.rules, &record.group).is_some());
        Ok((own, more))
    }
}
