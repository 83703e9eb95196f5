//! Programs: identity from a bearer token (RFC 6750), and what each may do. Some stand in the settings, others are made by administrators
//! while the server runs; both are told apart by their tokens alone, of which digests are held.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::http::{HeaderMap, header};
use parking_lot::{Mutex, RwLock};

use super::{guest::digest, jwt::Refused, token::OF_PROGRAM};
use crate::{
    server::{
        bucket::Bucket,
        settings::{Pattern, PushToken, TokenRule},
    },
    wire::{Group, Person, Timestamp},
};

/// A program with a token.
pub struct Program {
    pub person: Person,
    groups: Vec<Pattern>,
    pub may: TokenRights,
    channels: bool,
    bucket: Mutex<Bucket>,
    /// When it was used last, in milliseconds since 1970; 0 for never.
    used: AtomicI64,
}

/// What a token lets a program do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenRights {
    /// It reads rooms over the API,
    pub read: bool,
    /// says something in them,
    pub post: bool,
    /// and sends events to their members.
    pub push: bool,
}

/// A token that was made by an administrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeToken {
    pub person: Person,
    /// SHA-256 of it.
    pub digest: [u8; 32],
    pub rooms: Vec<Pattern>,
    pub may: TokenRights,
}

impl Program {
    /// One of the settings.
    fn set(TokenRule { name, groups, channels, .. }: TokenRule, per_second: u32) -> Self {
        // From the name alone: a message sent again with its key is the same one, also when the token has been changed.
        let id = format!("t{:016x}", digest(name.as_str()));
        let person = Person::new(id, name.to_string());
        let may = TokenRights { read: false, post: true, push: true };
        let (bucket, used) = (Mutex::new(Bucket::new(per_second)), AtomicI64::new(0));
        Self { person, groups, may, channels, bucket, used }
    }

    fn made(MadeToken { person, rooms, may, .. }: MadeToken, per_second: u32) -> Self {
        // A channel is of no room: whoever is narrowed to some reaches none.
        let channels = may.push && rooms.iter().any(Pattern::matches_everything);
        let (bucket, used) = (Mutex::new(Bucket::new(per_second)), AtomicI64::new(0));
        Self { person, groups: rooms, may, channels, bucket, used }
    }

    /// Whether a group is one of its own.
    pub fn is_for(&self, group: &Group) -> bool {
        self.groups.iter().any(|pattern| pattern.matches(group.as_str()))
    }

    /// The patterns of its groups.
    pub fn groups(&self) -> &[Pattern] {
        &self.groups
    }

    /// Whether it may send to single channels.
    pub fn may_send_to_channels(&self) -> bool {
        self.channels
    }

    /// Counts messages against the program's rate.
    ///
    /// # Errors
    /// It has sent too many; how long until the next may go.
    pub fn spend(&self, messages: u32) -> Result<(), Duration> {
        self.bucket.lock().take_many(messages)
    }
}

/// Why it is not known who a request is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// It has no bearer token.
    NoToken,
    /// No program has that token.
    WrongToken,
    /// Another site's token is not believed.
    Refused(Refused),
    /// Whose token it is has an account that was deactivated.
    Deactivated,
    /// Whose session it is cannot be said now.
    NotNow,
}

/// All programs.
pub struct Programs {
    of_settings: Vec<(PushToken, Arc<Program>)>,
    /// By the digests of their tokens.
    made: RwLock<HashMap<[u8; 32], Arc<Program>>>,
    per_second: u32,
}

impl Programs {
    /// Those of the settings, each with its own count of messages a second; 0 for no bound.
    pub fn new(rules: Vec<TokenRule>, messages_per_second: u32) -> Self {
        let program = |rule: TokenRule| (rule.token.clone(), Arc::new(Program::set(rule, messages_per_second)));
        Self { of_settings: rules.into_iter().map(program).collect(), made: RwLock::default(), per_second: messages_per_second }
    }

    /// These are those that were made. Gives the ids of those that are none any more.
    pub fn set_made(&self, tokens: Vec<MadeToken>) -> Vec<String> {
        let mut made = self.made.write();
        let mut before = std::mem::take(&mut *made);
        for token in tokens {
            let digest = token.digest;
            // What one is for never changes; how much it has said goes on.
            let program = before.remove(&digest).unwrap_or_else(|| Arc::new(Program::made(token, self.per_second)));
            made.insert(digest, program);
        }
        before.into_values().map(|program| program.person.id.clone()).collect()
    }

    /// How many were made.
    pub fn made(&self) -> usize {
        self.made.read().len()
    }

    /// Whether the settings have one of this name.
    pub fn is_of_settings(&self, name: &str) -> bool {
        self.of_settings.iter().any(|(_, program)| program.person.name == name)
    }

    /// The names of those of the settings, with the patterns of their groups.
    pub fn of_settings(&self) -> impl Iterator<Item = &Program> {
        self.of_settings.iter().map(|(_, program)| &**program)
    }

    /// When those that were made were used, of those that were.
    pub fn used(&self) -> Vec<(String, i64)> {
        let made = self.made.read();
        let used = made.values().map(|program| (program.person.id.clone(), program.used.load(Relaxed)));
        used.filter(|(_, at)| *at > 0).collect()
    }

    /// The program that sent a request. Takes the same time whichever token of the settings it is; of the others the digest is looked up.
    ///
    /// # Errors
    /// It is none of them.
    pub fn of(&self, headers: &HeaderMap) -> Result<Arc<Program>, Unknown> {
        let token = bearer(headers).ok_or(Unknown::NoToken)?;
        let presented = PushToken::digest(token);
        // To the end, wherever it is found.
        let found = self
            .of_settings
            .iter()
            .fold(None, |found, (token, program)| if token.is(&presented) { Some(program) } else { found });
        let found = found.cloned().or_else(|| self.made.read().get(&presented).cloned()).ok_or(Unknown::WrongToken)?;
        found.used.store(Timestamp::now().as_millis(), Relaxed);
        Ok(found)
    }

    /// The program that reads, if it is one: what the settings have read nothing, and whatever else is shown is somebody else's matter.
    ///
    /// # Errors
    /// It shows a token as they are made here, and there is none such.
    pub fn reader(&self, headers: &HeaderMap) -> Result<Option<Arc<Program>>, Unknown> {
        if !bearer(headers).is_some_and(|token| token.starts_with(OF_PROGRAM)) {
            return Ok(None);
        }
        self.of(headers).map(Some)
    }
}

/// The token that a request shows.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok())?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn programs() -> Programs {
        let rule = |name: &str, token: &str| TokenRule {
            name: name.parse().unwrap(),
            token: token.parse().unwrap(),
            groups: vec![Pattern::for_rooms("team-*").unwrap()],
            channels: false,
        };
        Programs::new(vec![rule("one", "0123456789abcdef"), rule("two", "fedcba9876543210")], 1)
    }

    fn shown(authorization: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(authorization).unwrap())])
    }

    fn of(authorization: &str) -> Result<String, Unknown> {
        programs().of(&shown(authorization)).map(|program| program.person.name.clone())
    }

    #[test]
    fn a_program_is_known_by_its_whole_token_alone() {
        assert_eq!(of("Bearer 0123456789abcdef"), Ok("one".to_owned()));
        assert_eq!(of("bearer fedcba9876543210"), Ok("two".to_owned()));
        for wrong in ["Bearer 0123456789abcde", "Bearer 0123456789abcdef0", "Bearer 0123456789ABCDEF", "Bearer "] {
            assert_eq!(of(wrong), Err(Unknown::WrongToken), "{wrong}");
        }
        for none in ["", "Bearer", "0123456789abcdef", "Basic 0123456789abcdef"] {
            assert_eq!(of(none), Err(Unknown::NoToken), "{none}");
        }
        assert_eq!(programs().of(&HeaderMap::new()).err(), Some(Unknown::NoToken));
    }

    #[test]
    fn a_program_has_its_groups_and_its_own_rate() {
        let programs = programs();
        let [one, two] = &programs.of_settings().collect::<Vec<_>>()[..] else { panic!("two programs") };
        assert!(one.is_for(&"team-a".parse().unwrap()) && !one.is_for(&"lobby".parse().unwrap()));
        assert_ne!(one.person.id, two.person.id);
        assert!(one.spend(5).is_ok() && one.spend(1).is_err() && two.spend(1).is_ok());
    }

    #[test]
    fn what_is_made_is_known_until_it_is_revoked() {
        let programs = programs();
        let made = |id: &str, token: &str, rooms: &str, may_push| MadeToken {
            person: Person::new(id, id),
            digest: PushToken::digest(token),
            rooms: vec![Pattern::for_rooms(rooms).unwrap()],
            may: TokenRights { read: true, post: false, push: may_push },
        };
        let (all, some) = (made("t1", "confab_1", "*", true), made("t2", "confab_2", "team-*", true));
        assert!(programs.set_made(vec![all.clone(), some.clone()]).is_empty());
        let known = |token: &str| programs.of(&shown(&format!("Bearer {token}"))).map(|program| program.person.id.clone());
        assert_eq!((known("confab_1"), known("confab_3")), (Ok("t1".to_owned()), Err(Unknown::WrongToken)));
        let channels = |token: &str| programs.of(&shown(&format!("Bearer {token}"))).unwrap().may_send_to_channels();
        assert!(channels("confab_1") && !channels("confab_2"), "a channel is of no room");
        assert_eq!(programs.used().len(), 2);
        assert_eq!(programs.set_made(vec![some]), ["t1"]);
        assert_eq!((known("confab_1"), known("confab_2")), (Err(Unknown::WrongToken), Ok("t2".to_owned())));
        // Who reads shows one that was made, or somebody else finds out who it is.
        let reader = |headers: &HeaderMap| programs.reader(headers).map(|found| found.map(|program| program.person.id.clone()));
        assert_eq!(reader(&shown("Bearer confab_2")), Ok(Some("t2".to_owned())));
        assert_eq!(reader(&shown("Bearer confab_1")), Err(Unknown::WrongToken));
        for other in ["Bearer 0123456789abcdef", "Bearer ey.x.y", "Basic confab_2"] {
            assert_eq!(reader(&shown(other)), Ok(None), "{other}");
        }
        assert!(programs.set_made(vec![all]).contains(&"t2".to_owned()));
    }
}
