//! Programs: identity from a bearer token (RFC 6750), and what the settings let each do.

use std::{sync::Arc, time::Duration};

use axum::http::{HeaderMap, header};
use parking_lot::Mutex;

use super::{guest::digest, jwt::Refused};
use crate::{
    server::{
        bucket::Bucket,
        settings::{Pattern, PushToken, TokenRule},
    },
    wire::{Group, Person},
};

/// A program that may push.
pub struct Program {
    pub person: Person,
    token: PushToken,
    groups: Vec<Pattern>,
    channels: bool,
    bucket: Mutex<Bucket>,
}

impl Program {
    fn new(TokenRule { name, token, groups, channels }: TokenRule, per_second: u32) -> Self {
        // From the name alone: a message sent again with its key is the same one, also when the token has been changed.
        let id = format!("t{:016x}", digest(name.as_str()));
        let person = Person { id, name: name.to_string(), handle: None };
        Self { person, token, groups, channels, bucket: Mutex::new(Bucket::new(per_second)) }
    }

    /// Whether it may send to a group.
    pub fn may_send_to(&self, group: &Group) -> bool {
        self.groups.iter().any(|pattern| pattern.matches(group.as_str()))
    }

    /// The patterns of the groups that it may send to.
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

/// All programs that may push.
pub struct Programs(Vec<Arc<Program>>);

impl Programs {
    /// Those of the settings, each with its own count of messages a second; 0 for no bound.
    pub fn new(rules: Vec<TokenRule>, messages_per_second: u32) -> Self {
        Self(rules.into_iter().map(|rule| Arc::new(Program::new(rule, messages_per_second))).collect())
    }

    /// The program that sent a request. Takes the same time whatever the token.
    ///
    /// # Errors
    /// It is none of them.
    pub fn of(&self, headers: &HeaderMap) -> Result<Arc<Program>, Unknown> {
        let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or(Unknown::NoToken)?;
        let (scheme, token) = value.split_once(' ').ok_or(Unknown::NoToken)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Unknown::NoToken);
        }
        let presented = PushToken::digest(token.trim());
        // To the end, wherever it is found.
        let found = self.0.iter().fold(None, |found, program| if program.token.is(&presented) { Some(program) } else { found });
        found.cloned().ok_or(Unknown::WrongToken)
    }
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

    fn of(authorization: &'static str) -> Result<String, Unknown> {
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(authorization))]);
        programs().of(&headers).map(|program| program.person.name.clone())
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
        let [one, two] = &programs.0[..] else { panic!("two programs") };
        assert!(one.may_send_to(&"team-a".parse().unwrap()) && !one.may_send_to(&"lobby".parse().unwrap()));
        assert_ne!(one.person.id, two.person.id);
        assert!(one.spend(5).is_ok() && one.spend(1).is_err() && two.spend(1).is_ok());
    }
}
