//! Who may do what in a room: the one place that says it. Pages, every transport, the API, search and lists ask here.

use thiserror::Error;

use super::record::{Brief, Posting, Role, RoomKind, Standing};
use crate::{
    locales::rooms as say,
    server::accounts::{Asker, Kind},
    wire::{Group, Rights, Timestamp},
};

/// What somebody does in a room or with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Reads what is said, and is told of it.
    Read,
    Post,
    React,
    Edit,
    /// Takes back what they have said.
    Delete,
    DeleteOthers,
    /// Makes and revokes invitations.
    Invite,
    /// Removes, mutes and bans those whom they may manage, and gives them roles.
    Manage,
    /// Title, topic, kind, who may post, archive.
    Change,
    /// Deletes the room, hands it over, makes moderators.
    Own,
    Leave,
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Denied {
    /// There is no such room, or none that they may know of.
    #[error("{}", say::not_there())]
    NotThere,
    #[error("{}", say::not_for_guests())]
    Guests,
    #[error("{}", say::is_archived())]
    Archived,
    #[error("{}", say::server_read_only())]
    Server,
    #[error("{}", say::you_are_muted(.0))]
    Muted(Timestamp),
    #[error("{}", say::may_read())]
    ReadOnly,
    #[error("{}", say::only_members())]
    Members,
    #[error("{}", say::only_moderators())]
    Moderators,
    #[error("{}", say::only_owner())]
    Owner,
    #[error("{}", say::hand_over())]
    Owns,
}

impl Denied {
    /// What somebody is told who may not write, in whole sentences: why, and what would help.
    fn told(self, kind: Kind) -> &'static str {
        match self {
            Self::Archived => say::told_archived(),
            Self::Muted(_) => say::told_muted(),
            Self::ReadOnly => say::told_read_only(),
            Self::Members if kind == Kind::Guest => say::told_guest(),
            Self::Members => say::told_no_member(),
            Self::Moderators => say::told_moderators(),
            Self::Server => say::told_server(),
            Self::NotThere | Self::Guests | Self::Owner | Self::Owns => say::told_may_not(),
        }
    }
}

/// What somebody may do beside reading.
pub fn rights(seen: &Seen, now: Timestamp) -> Rights {
    let post = may(seen, Act::Post, now);
    let until = if let Err(Denied::Muted(until)) = post { Some(until) } else { None };
    Rights {
        post: post.is_ok(),
        react: may(seen, Act::React, now).is_ok(),
        moderate: may(seen, Act::DeleteOthers, now).is_ok(),
        message: post.err().map(|denied| denied.told(seen.kind).to_owned()),
        until,
    }
}

/// What another site has made somebody in a room. Nobody owns a room by it.
pub fn granted(asker: Asker<'_>, group: &Group) -> Option<Role> {
    asker.granted(group)?.parse().ok().filter(|role| *role != Role::Owner)
}

/// A room as one person sees it.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// The whole server is read-only.
    pub read_only: bool,
    /// What the rule of the settings says of guests.
    pub guests: bool,
    /// None where the room is nobody's.
    pub brief: Option<Brief>,
    pub standing: Standing,
    pub kind: Kind,
}

/// Whether somebody may do something now.
///
/// # Errors
/// Why not.
pub fn may(seen: &Seen, act: Act, now: Timestamp) -> Result<(), Denied> {
    let Seen { read_only, guests, brief, standing, kind } = *seen;
    let Some(brief) = brief else {
        return match act {
            _ if kind == Kind::Guest && !guests => Err(Denied::Guests),
            _ if read_only && act != Act::Read => Err(Denied::Server),
            Act::Read | Act::Post | Act::React | Act::Edit | Act::Delete => Ok(()),
            // Whose it is only an administrator says.
            Act::Own if kind == Kind::Administrator => Ok(()),
            _ => Err(Denied::NotThere),
        };
    };
    reads(seen, brief, act)?;
    if read_only && act != Act::Read {
        return Err(Denied::Server);
    }
    let role = standing.role;
    let administers = kind == Kind::Administrator && brief.kind != RoomKind::Direct;
    let moderates = administers || matches!(role, Some(Role::Owner | Role::Moderator));
    let owns = administers || role == Some(Role::Owner);
    match act {
        Act::Post | Act::React | Act::Edit => writes(brief, standing, kind, act, now),
        Act::Read | Act::Delete => Ok(()),
        // There is nothing that one of its people could decide for the others.
        _ if brief.kind == RoomKind::Direct => Err(Denied::NotThere),
        Act::DeleteOthers | Act::Invite | Act::Manage if !moderates => Err(Denied::Moderators),
        Act::Change | Act::Own if !owns => Err(Denied::Owner),
        Act::Leave if role == Some(Role::Owner) => Err(Denied::Owns),
        Act::Leave if role.is_none() => Err(Denied::NotThere),
        _ => Ok(()),
    }
}

/// Whether the room is there for them. An administrator manages a closed room without reading it.
fn reads(Seen { guests, standing, kind, .. }: &Seen, brief: Brief, act: Act) -> Result<(), Denied> {
    let is_member = standing.role.is_some();
    let manages = matches!(act, Act::Invite | Act::Manage | Act::Change | Act::Own);
    match (brief.kind, kind) {
        _ if brief.is_deleted || standing.is_banned => Err(Denied::NotThere),
        (RoomKind::Open, Kind::Guest) if !*guests && !is_member => Err(Denied::Guests),
        // The settings give a program the rooms that it may write in.
        (RoomKind::Open, _) | (RoomKind::Closed, Kind::Program) => Ok(()),
        (RoomKind::Closed, Kind::Administrator) if manages => Ok(()),
        (RoomKind::Closed | RoomKind::Direct, _) if is_member => Ok(()),
        _ => Err(Denied::NotThere),
    }
}

fn writes(brief: Brief, standing: Standing, kind: Kind, act: Act, now: Timestamp) -> Result<(), Denied> {
    let Standing { role, muted, .. } = standing;
    let is_moderator = matches!(role, Some(Role::Owner | Role::Moderator));
    let posting = if act == Act::Post && kind != Kind::Program { brief.posting } else { Posting::Everybody };
    match (posting, role) {
        _ if brief.is_archived => Err(Denied::Archived),
        (_, Some(Role::ReadOnly)) => Err(Denied::ReadOnly),
        _ if let Some(until) = muted.filter(|until| *until > now) => Err(Denied::Muted(until)),
        (Posting::Members, None) => Err(Denied::Members),
        (Posting::Moderators, _) if !is_moderator => Err(Denied::Moderators),
        _ => Ok(()),
    }
}

/// Whether somebody who may [manage](Act::Manage) may do it to who has this role, or none, and give them the other one.
///
/// # Errors
/// Why not.
pub fn may_manage(by: &Seen, now: Timestamp, has: Option<Role>, gives: Option<Role>) -> Result<(), Denied> {
    may(by, Act::Manage, now)?;
    let is_high = |role: Option<Role>| matches!(role, Some(Role::Owner | Role::Moderator));
    match has {
        // A room has one, until that one hands it over.
        Some(Role::Owner) => Err(Denied::Owner),
        _ if is_high(has) || is_high(gives) => may(by, Act::Own, now),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTS: [Act; 11] = [
        Act::Read,
        Act::Post,
        Act::React,
        Act::Edit,
        Act::Delete,
        Act::DeleteOthers,
        Act::Invite,
        Act::Manage,
        Act::Change,
        Act::Own,
        Act::Leave,
    ];

    fn now() -> Timestamp {
        Timestamp::from_millis(1_000)
    }

    /// Everybody there is, in the order of the rows.
    fn people() -> [(&'static str, Kind, Standing); 10] {
        let of = |role| Standing { role: Some(role), ..Standing::default() };
        let member = of(Role::Member);
        [
            ("guest", Kind::Guest, Standing::default()),
            ("stranger", Kind::Account, Standing::default()),
            ("banned", Kind::Account, Standing { is_banned: true, ..member }),
            ("muted", Kind::Account, Standing { muted: Some(Timestamp::from_millis(1_001)), ..member }),
            ("read-only", Kind::Account, of(Role::ReadOnly)),
            ("member", Kind::Account, Standing { muted: Some(now()), ..member }),
            ("moderator", Kind::Account, of(Role::Moderator)),
            ("owner", Kind::Account, of(Role::Owner)),
            ("administrator", Kind::Administrator, Standing::default()),
            ("program", Kind::Program, Standing::default()),
        ]
    }

    const OPEN: Brief =
        Brief { kind: RoomKind::Open, posting: Posting::Everybody, is_archived: false, is_deleted: false, changed: 1 };

    /// A letter for each act, in the order of [`ACTS`]: what comes of it.
    fn letters(guests: bool, brief: Option<Brief>, kind: Kind, standing: Standing) -> String {
        let seen = Seen { read_only: false, guests, brief, standing, kind };
        let letter = |act: &Act| match may(&seen, *act, now()) {
            Ok(()) => 'y',
            Err(Denied::NotThere) => '-',
            Err(Denied::Guests) => 'g',
            Err(Denied::Archived) => 'a',
            Err(Denied::Muted(_)) => 'm',
            Err(Denied::ReadOnly) => 'r',
            Err(Denied::Members) => 'M',
            Err(Denied::Moderators) => 'D',
            Err(Denied::Owner) => 'O',
            Err(Denied::Owns) => 'o',
            Err(Denied::Server) => 's',
        };
        ACTS.iter().map(letter).collect()
    }

    fn table(guests: bool, brief: Option<Brief>, expected: [&str; 10]) {
        for ((name, kind, standing), expected) in people().into_iter().zip(expected) {
            assert_eq!(letters(guests, brief, kind, standing), expected, "{name} in {brief:?}, guests: {guests}");
        }
    }

    #[test]
    fn everybody_may_do_what_the_tables_say() {
        let (some, none) = ("yyyyy------", "ggggggggggg");
        // Nobody's rooms know no roles.
        table(true, None, [some, some, some, some, some, some, some, some, "yyyyy----y-", some]);
        table(false, None, [none, some, some, some, some, some, some, some, "yyyyy----y-", some]);
        let open = [
            "yyyyyDDDOO-",
            "yyyyyDDDOO-",
            "-----------",
            "ymmmyDDDOOy",
            "yrrryDDDOOy",
            "yyyyyDDDOOy",
            "yyyyyyyyOOy",
            "yyyyyyyyyyo",
            "yyyyyyyyyy-",
            "yyyyyDDDOO-",
        ];
        table(true, Some(OPEN), open);
        table(false, Some(OPEN), [&["ggggggggggg"], &open[1..]].concat().try_into().unwrap());
        let closed = Brief { kind: RoomKind::Closed, ..OPEN };
        let mut expected = open;
        expected[0] = "-----------";
        expected[1] = "-----------";
        expected[8] = "------yyyy-";
        table(true, Some(closed), expected);
        let direct = Brief { kind: RoomKind::Direct, ..OPEN };
        let (member, out) = ("yyyyy------", "-----------");
        table(true, Some(direct), [out, out, out, "ymmmy------", "yrrry------", member, member, member, out, out]);
        table(true, Some(Brief { is_deleted: true, ..OPEN }), [out; 10]);
    }

    #[test]
    fn who_may_post_is_a_setting_and_nobody_writes_where_it_is_archived() {
        let all = |brief: Brief| people().map(|(_, kind, standing)| letters(true, Some(brief), kind, standing)[..5].to_owned());
        let members = all(Brief { posting: Posting::Members, ..OPEN });
        let expected = ["yMyyy", "yMyyy", "-----", "ymmmy", "yrrry", "yyyyy", "yyyyy", "yyyyy", "yMyyy", "yyyyy"];
        assert_eq!(members, expected);
        let moderators = all(Brief { posting: Posting::Moderators, ..OPEN });
        let expected = ["yDyyy", "yDyyy", "-----", "ymmmy", "yrrry", "yDyyy", "yyyyy", "yyyyy", "yDyyy", "yyyyy"];
        assert_eq!(moderators, expected);
        for letters in all(Brief { is_archived: true, ..OPEN }) {
            assert!(letters == "yaaay" || letters == "-----", "{letters}");
        }
    }

    #[test]
    fn where_the_server_is_read_only_everybody_reads_as_before_and_nobody_does_anything() {
        for brief in [None, Some(OPEN), Some(Brief { kind: RoomKind::Closed, ..OPEN })] {
            for (name, kind, standing) in people() {
                let seen = Seen { read_only: false, guests: true, brief, standing, kind };
                for act in ACTS {
                    let (before, after) = (may(&seen, act, now()), may(&Seen { read_only: true, ..seen }, act, now()));
                    let expected = match (act, before) {
                        (Act::Read, before) => after == before,
                        (_, Ok(())) => after == Err(Denied::Server),
                        _ => after.is_err(),
                    };
                    assert!(expected, "{name} in {brief:?}, {act:?}: {before:?}, then {after:?}");
                }
            }
        }
    }

    #[test]
    fn nobody_manages_who_stands_as_high() {
        let roles = [None, Some(Role::ReadOnly), Some(Role::Member), Some(Role::Moderator), Some(Role::Owner)];
        for (name, kind, standing) in people() {
            let by = Seen { read_only: false, guests: true, brief: Some(OPEN), standing, kind };
            for has in roles {
                for gives in roles {
                    let expected = match name {
                        "moderator" => roles[..3].contains(&has) && roles[..3].contains(&gives),
                        "owner" | "administrator" => has != Some(Role::Owner),
                        _ => false,
                    };
                    assert_eq!(may_manage(&by, now(), has, gives).is_ok(), expected, "{name}: {has:?} to {gives:?}");
                }
            }
        }
    }
}
