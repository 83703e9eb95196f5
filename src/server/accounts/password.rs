//! Passwords: what may be one, and argon2id away from the threads that serve, two at a time. So a flood of sign-ins costs two cores and
//! about 40 MiB, and a bounded number waits.
//!
//! How soon a password would be guessed is estimated where it is chosen (zxcvbn). That is a hint: only what is guessed within a thousand tries
//! is refused, since that many can be tried in spite of all bounds.

use std::{fmt, sync::Arc};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString},
};
use prometheus::IntCounter;
use thiserror::Error;
use tokio::sync::Semaphore;
use zxcvbn::{Score, feedback::Feedback, zxcvbn};

use crate::server::random;

/// How long a password is, in bytes. What is longer is not hashed.
const SHORTEST: usize = 8;
const LONGEST: usize = 1_024;
/// Memory in KiB, rounds and lanes, as OWASP has them.
const COST: (u32, u32, u32) = (19_456, 2, 1);
/// How many are hashed at a time,
const TURNS: usize = 2;
/// and how many wait for it: about a second.
const WAITING: usize = 64;
/// Something that was typed as a password. It prints as nothing.
pub struct Password(String);

/// A password that may be taken.
pub struct ChosenPassword {
    pub password: Password,
    /// What is said of one that would be guessed soon; none of a good one.
    pub advice: Option<String>,
}

/// Why a text is no password, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidPassword {
    #[error("A password has at least {SHORTEST} bytes; a few words are good")]
    Short,
    #[error("A password has at most {LONGEST} bytes")]
    Long,
    #[error("This password is among the first that others would try; {0}")]
    Common(String),
}

/// Too many passwords are being looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    pub is_right: bool,
    /// It was hashed at another cost than they are now.
    pub is_outdated: bool,
}

/// See the [module](self).
pub struct Passwords {
    turns: Arc<Semaphore>,
    places: Arc<Semaphore>,
    /// How many were hashed, or held beside a hash.
    hashed: IntCounter,
    /// Of a password that nobody has.
    dummy: Arc<str>,
}

impl Password {
    /// One that is shown. Whether it is long enough is no question then.
    ///
    /// # Errors
    /// It is longer than any.
    pub fn shown(text: String) -> Result<Self, InvalidPassword> {
        if text.len() > LONGEST { Err(InvalidPassword::Long) } else { Ok(Self(text)) }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

impl Passwords {
    /// `hashed` counts them.
    pub fn new(hashed: IntCounter) -> Self {
        // The hash of whatever this is takes as long as that of any other.
        let salt = "YWJjZGVmZ2hpamtsbW5vcA";
        let dummy = format!("$argon2id$v=19$m={},t={},p={}${salt}${}", COST.0, COST.1, COST.2, "A".repeat(43));
        let (turns, places) = (Semaphore::new(TURNS), Semaphore::new(TURNS + WAITING));
        Self { turns: Arc::new(turns), places: Arc::new(places), hashed, dummy: dummy.into() }
    }

    /// A password that somebody of these names chooses.
    ///
    /// # Errors
    /// Too many wait already; or it is out of bounds, or others would guess it at once.
    pub async fn choose(&self, text: String, names: &[&str]) -> Result<Result<ChosenPassword, InvalidPassword>, Busy> {
        match text.len() {
            ..SHORTEST => return Ok(Err(InvalidPassword::Short)),
            SHORTEST..=LONGEST => {}
            _ => return Ok(Err(InvalidPassword::Long)),
        }
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.in_turn(move || {
            let names: Vec<&str> = names.iter().map(String::as_str).chain(["confab"]).collect();
            let estimate = zxcvbn(&text, &names);
            let advice = || {
                let words = "a few words that have nothing to do with each other are better";
                let warning = estimate.feedback().and_then(Feedback::warning);
                warning.map_or_else(|| words.to_owned(), |warning| format!("{} {words}", lower(&warning.to_string())))
            };
            match estimate.score() {
                Score::Zero => Err(InvalidPassword::Common(advice())),
                Score::One | Score::Two => {
                    let advice = Some(format!("Others would guess this password soon: {}", advice()));
                    Ok(ChosenPassword { password: Password(text), advice })
                }
                _ => Ok(ChosenPassword { password: Password(text), advice: None }),
            }
        })
        .await
    }

    /// The hash of a password, as a PHC string.
    ///
    /// # Errors
    /// Too many wait already.
    pub async fn hash(&self, password: Password) -> Result<String, Busy> {
        let hashed = self.hashed.clone();
        self.in_turn(move || {
            hashed.inc();
            let salt = SaltString::encode_b64(&random::bits_128().to_ne_bytes()).ok()?;
            Some(hasher()?.hash_password(password.0.as_bytes(), &salt).ok()?.to_string())
        })
        .await?
        .ok_or(Busy)
    }

    /// Whether a password is the one of a hash. Without a hash it is wrong, and takes as long to be.
    ///
    /// # Errors
    /// Too many wait already.
    pub async fn check(&self, password: Password, hash: Option<&str>) -> Result<Checked, Busy> {
        let (is_there, hash) = (hash.is_some(), hash.unwrap_or(&self.dummy).to_owned());
        let hashed = self.hashed.clone();
        self.in_turn(move || {
            hashed.inc();
            let parsed = PasswordHash::new(&hash).ok();
            let is_right = parsed.as_ref().is_some_and(|hash| {
                // The cost is the one of the hash.
                Argon2::default().verify_password(password.0.as_bytes(), hash).is_ok()
            });
            let is_outdated = parsed
                .as_ref()
                .and_then(|hash| Params::try_from(hash).ok())
                .is_none_or(|params| (params.m_cost(), params.t_cost(), params.p_cost()) != COST);
            Checked { is_right: is_right && is_there, is_outdated }
        })
        .await
    }

    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Busy)?;
        // Nobody closes it.
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| Busy)?;
        // Whoever does not wait any longer leaves it to be done: its place and turn go with it.
        let done = tokio::task::spawn_blocking(move || (work(), place, turn)).await;
        done.map(|(done, ..)| done).map_err(|_| Busy)
    }
}

/// With a small letter, as after a colon, and a semicolon for its full stop.
fn lower(sentence: &str) -> String {
    let mut signs = sentence.trim_end_matches('.').chars();
    let first = signs.next().map(|first| first.to_lowercase().to_string()).unwrap_or_default();
    format!("{first}{};", signs.as_str())
}

fn hasher() -> Option<Argon2<'static>> {
    let (memory, rounds, lanes) = COST;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(memory, rounds, lanes, None).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passwords() -> Passwords {
        Passwords::new(IntCounter::new("hashed", "passwords").unwrap())
    }

    fn shown(text: &str) -> Password {
        Password::shown(text.to_owned()).unwrap()
    }

    #[tokio::test]
    async fn what_may_be_a_password() {
        let passwords = passwords();
        let chosen = async |text: &str| {
            let chosen = passwords.choose(text.to_owned(), &["Ann Smith", "ann_smith"]).await.unwrap();
            chosen.map(|chosen| chosen.advice)
        };
        for good in ["correct horse battery", "王小明王小红坐在树上", "Xk9#vTq2!pLw8"] {
            assert_eq!(chosen(good).await, Ok(None), "{good}");
        }
        // A hint, and no bar.
        for soon in ["horse2019", "qwertyuiop[]"] {
            let advice = chosen(soon).await.unwrap();
            assert!(advice.is_some_and(|advice| advice.contains("guess this password soon")), "{soon}");
        }
        assert_eq!(chosen("short").await, Err(InvalidPassword::Short));
        assert_eq!(chosen(&"x".repeat(1_025)).await, Err(InvalidPassword::Long));
        for common in [
            "password",
            "PassWord",
            "passw0rd",
            "12345678",
            "123456789",
            "1234567890",
            "qwertyui",
            "qwertyuiop",
            "11111111",
            "00000000",
            "iloveyou",
            "sunshine",
            "princess",
            "football",
            "baseball",
            "superman",
            "trustno1",
            "changeme",
            "starwars",
            "computer",
            "ann smith",
        ] {
            assert!(matches!(chosen(common).await, Err(InvalidPassword::Common(_))), "{common}");
        }
        assert_eq!(passwords.hashed.get(), 0, "nothing of it needs a hash");
        assert_eq!(Password::shown("x".repeat(1_025)).err(), Some(InvalidPassword::Long));
        assert_eq!(format!("{:?}", shown("secret words")), "Password(..)");
    }

    #[tokio::test]
    async fn a_password_is_known_by_its_hash_and_a_name_that_is_not_there_costs_as_much() {
        let passwords = passwords();
        let hash = passwords.hash(shown("secret words")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, passwords.hash(shown("secret words")).await.unwrap(), "each has its salt");
        let right = Checked { is_right: true, is_outdated: false };
        assert_eq!(passwords.check(shown("secret words"), Some(&hash)).await, Ok(right));
        for (text, hash) in [("secret word", Some(hash.as_str())), ("secret words", None)] {
            assert_eq!(passwords.check(shown(text), hash).await, Ok(Checked { is_right: false, is_outdated: false }));
        }
        let parsed = PasswordHash::new(&passwords.dummy).unwrap();
        assert_eq!(Params::try_from(&parsed).unwrap().m_cost(), COST.0, "what is checked in vain is checked at the same cost");
        let cheap = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
        let cheap = cheap.hash_password(b"secret words", &SaltString::encode_b64(&[7; 16]).unwrap()).unwrap().to_string();
        let outdated = Checked { is_right: true, is_outdated: true };
        assert_eq!(passwords.check(shown("secret words"), Some(&cheap)).await, Ok(outdated));
    }

    #[tokio::test]
    async fn those_who_wait_are_bounded() {
        let passwords = passwords();
        let all = (0..200).map(|_| passwords.check(shown("secret words"), Some("no hash")));
        let all = futures_util::future::join_all(all).await;
        assert_eq!(all.iter().filter(|checked| checked.is_ok()).count(), TURNS + WAITING);
    }
}
