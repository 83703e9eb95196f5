//! Passwords: what may be one, and argon2id away from the threads that serve.
//!
//! Two are hashed at a time, in memory that is kept for all that come after: 38 MiB, however many there are. Each address has one hashed or
//! in line at a time, so an address that sends many waits for itself and for one of each other's.
//!
//! How soon a password would be guessed is estimated where it is chosen (zxcvbn). That is a hint: only what is guessed within a thousand tries
//! is refused, since that many can be tried in spite of all bounds.

use std::{fmt, sync::Arc};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::{Output, ParamsString, PasswordHash, Salt, SaltString},
};
use parking_lot::Mutex;
use prometheus::IntCounter;
use thiserror::Error;
use tokio::sync::Semaphore;
use zxcvbn::{
    Score,
    feedback::{Feedback, Warning},
    zxcvbn,
};

use crate::{
    locales::{self, accounts as say},
    server::{
        random,
        turns::{Turn, Turns},
        visitors::Subnet,
    },
};

/// How long a password is, in bytes. What is longer is not hashed.
const SHORTEST: usize = 8;
const LONGEST: usize = 1_024;
/// Memory in KiB, rounds and lanes, as OWASP has them.
const COST: (u32, u32, u32) = (19_456, 2, 1);
/// How many are hashed at a time,
const AT_ONCE: usize = 2;
/// how many addresses wait for it: some seconds,
const WAITING: usize = 512;
/// and how many passwords wait at one address for their turn.
const OF_ADDRESS: usize = 32;
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
    #[error("{}", say::password_short(SHORTEST))]
    Short,
    #[error("{}", say::password_long(LONGEST))]
    Long,
    #[error("{}", say::password_common(.0))]
    Common(String),
}

/// Too many passwords are being looked at:
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// of one address,
    Address,
    /// of all together.
    All,
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    pub is_right: bool,
    /// It was hashed at another cost than they are now.
    pub is_outdated: bool,
}

/// See the [module](self).
pub struct Passwords {
    of_address: Turns<Subnet>,
    turns: Arc<Semaphore>,
    places: Arc<Semaphore>,
    /// How many were hashed, or held beside a hash.
    hashed: IntCounter,
    /// What is not in use of the memory that they are hashed in.
    memory: Arc<Mutex<Vec<Vec<Block>>>>,
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
        Self {
            of_address: Turns::new(OF_ADDRESS),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            places: Arc::new(Semaphore::new(AT_ONCE + WAITING)),
            memory: Arc::default(),
            hashed,
            dummy: dummy.into(),
        }
    }

    /// A password that somebody of these names chooses.
    ///
    /// # Errors
    /// Too many wait already; or it is out of bounds, or others would guess it at once.
    pub(in crate::server) async fn choose(
        &self,
        turn: Turn<Subnet>,
        text: String,
        names: &[&str],
    ) -> Result<Result<ChosenPassword, InvalidPassword>, Busy> {
        match text.len() {
            ..SHORTEST => return Ok(Err(InvalidPassword::Short)),
            SHORTEST..=LONGEST => {}
            _ => return Ok(Err(InvalidPassword::Long)),
        }
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.in_turn(turn, move |_| {
            let names: Vec<&str> = names.iter().map(String::as_str).chain(["confab"]).collect();
            let estimate = zxcvbn(&text, &names);
            let advice = || {
                let warning = estimate.feedback().and_then(Feedback::warning).map(in_words);
                warning.map_or_else(|| say::few_words().to_owned(), say::warned)
            };
            match estimate.score() {
                Score::Zero => Err(InvalidPassword::Common(advice())),
                Score::One | Score::Two => {
                    let advice = Some(say::guessed_soon(advice()));
                    Ok(ChosenPassword { password: Password(text), advice })
                }
                _ => Ok(ChosenPassword { password: Password(text), advice: None }),
            }
        })
        .await
    }

    /// Waits until it is an address's turn to have a password hashed.
    ///
    /// # Errors
    /// Too many of it wait already.
    pub(in crate::server) async fn turn(&self, address: Subnet) -> Result<Turn<Subnet>, Busy> {
        self.of_address.turn(address).await.map_err(|_| Busy::Address)
    }

    /// The hash of a password, as a PHC string.
    ///
    /// # Errors
    /// Too many wait already.
    pub(in crate::server) async fn hash(&self, turn: Turn<Subnet>, password: Password) -> Result<String, Busy> {
        let hashed = self.hashed.clone();
        let hash = self.in_turn(turn, move |memory| {
            hashed.inc();
            let (kib, rounds, lanes) = COST;
            let params = Params::new(kib, rounds, lanes, None).ok()?;
            let salt = SaltString::encode_b64(&random::bits_128().to_ne_bytes()).ok()?;
            let mut hash = PasswordHash {
                algorithm: Algorithm::Argon2id.ident(),
                version: Some(Version::V0x13.into()),
                params: ParamsString::try_from(&params).ok()?,
                salt: Some(salt.as_salt()),
                hash: None,
            };
            hash.hash = Some(output(memory, &password, &hash, Params::DEFAULT_OUTPUT_LEN)?);
            Some(hash.to_string())
        });
        hash.await?.ok_or(Busy::All)
    }

    /// Whether a password is the one of a hash. Without a hash it is wrong, and takes as long to be.
    ///
    /// # Errors
    /// Too many wait already.
    pub(super) async fn check(&self, turn: Turn<Subnet>, password: Password, hash: Option<&str>) -> Result<Checked, Busy> {
        let (is_there, hash) = (hash.is_some(), hash.unwrap_or(&self.dummy).to_owned());
        let hashed = self.hashed.clone();
        self.in_turn(turn, move |memory| {
            hashed.inc();
            let parsed = PasswordHash::new(&hash).ok();
            let is_right = parsed.as_ref().is_some_and(|hash| {
                let kept = hash.hash;
                // They are compared in constant time.
                kept.is_some_and(|kept| output(memory, &password, hash, kept.len()).is_some_and(|shown| shown == kept))
            });
            let is_outdated = parsed
                .as_ref()
                .and_then(|hash| Params::try_from(hash).ok())
                .is_none_or(|params| (params.m_cost(), params.t_cost(), params.p_cost()) != COST);
            Checked { is_right: is_right && is_there, is_outdated }
        })
        .await
    }

    /// Does something when there is memory for it.
    async fn in_turn<T: Send + 'static>(
        &self,
        turn: Turn<Subnet>,
        work: impl FnOnce(&mut Vec<Block>) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Busy::All)?;
        // Nobody closes it.
        let permit = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| Busy::All)?;
        let (memory, language) = (Arc::clone(&self.memory), locales::here());
        // Whoever does not wait any longer leaves it to be done: its place and turns go with it.
        let done = tokio::task::spawn_blocking(move || {
            let mut blocks = memory.lock().pop().unwrap_or_default();
            let done = locales::within(language, || work(&mut blocks));
            memory.lock().push(blocks);
            drop((permit, place, turn));
            done
        });
        done.await.map_err(|_| Busy::All)
    }
}

/// Why others would guess a password.
fn in_words(warning: Warning) -> &'static str {
    match warning {
        Warning::StraightRowsOfKeysAreEasyToGuess => say::rows_of_keys(),
        Warning::ShortKeyboardPatternsAreEasyToGuess => say::keyboard_patterns(),
        Warning::RepeatsLikeAaaAreEasyToGuess => say::repeated_signs(),
        Warning::RepeatsLikeAbcAbcAreOnlySlightlyHarderToGuess => say::repeated_words(),
        Warning::ThisIsATop10Password => say::top_10(),
        Warning::ThisIsATop100Password => say::top_100(),
        Warning::ThisIsACommonPassword => say::common(),
        Warning::ThisIsSimilarToACommonlyUsedPassword => say::like_a_common_one(),
        Warning::SequencesLikeAbcAreEasyToGuess => say::sequences(),
        Warning::RecentYearsAreEasyToGuess => say::recent_years(),
        Warning::AWordByItselfIsEasyToGuess => say::one_word(),
        Warning::DatesAreOftenEasyToGuess => say::dates(),
        Warning::NamesAndSurnamesByThemselvesAreEasyToGuess => say::one_name(),
        Warning::CommonNamesAndSurnamesAreEasyToGuess => say::common_names(),
    }
}

/// What a password is hashed to by the algorithm, the cost and the salt of a hash.
fn output(memory: &mut Vec<Block>, password: &Password, like: &PasswordHash<'_>, length: usize) -> Option<Output> {
    let params = Params::try_from(like).ok()?;
    let version = like.version.map_or(Ok(Version::default()), Version::try_from).ok()?;
    let mut salt = [0; Salt::MAX_LENGTH];
    let salt = like.salt?.decode_b64(&mut salt).ok()?;
    let most = usize::try_from(COST.0).ok()?;
    memory.resize_with(params.block_count().max(most), Block::default);
    let argon2 = Argon2::new(Algorithm::try_from(like.algorithm).ok()?, version, params);
    let password = password.0.as_bytes();
    let hashed =
        Output::init_with(length, |out| Ok(argon2.hash_password_into_with_memory(password, salt, out, &mut *memory)?));
    // What somebody has hashed at a higher cost elsewhere is not kept in memory for that.
    memory.truncate(most);
    memory.shrink_to(most);
    hashed.ok()
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use argon2::password_hash::PasswordHasher as _;

    use super::*;
    use crate::server::visitors::Visitor;

    fn address(n: u16) -> Subnet {
        let [high, low] = n.to_be_bytes();
        Visitor::direct([10, 0, high, low].into()).subnet()
    }

    async fn hash(passwords: &Passwords, text: &str) -> String {
        let turn = passwords.turn(address(1)).await.unwrap();
        passwords.hash(turn, shown(text)).await.unwrap()
    }

    async fn check(passwords: &Passwords, from: Subnet, text: &str, hash: Option<&str>) -> Result<Checked, Busy> {
        let turn = passwords.turn(from).await?;
        passwords.check(turn, shown(text), hash).await
    }

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
            let turn = passwords.turn(address(1)).await.unwrap();
            let chosen = passwords.choose(turn, text.to_owned(), &["Ann Smith", "ann_smith"]).await.unwrap();
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
        let hash = hash(&passwords, "secret words").await;
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, self::hash(&passwords, "secret words").await, "each has its salt");
        let check = async |text: &str, hash: Option<&str>| check(&passwords, address(1), text, hash).await;
        let right = Checked { is_right: true, is_outdated: false };
        assert_eq!(check("secret words", Some(&hash)).await, Ok(right));
        for (text, hash) in [("secret word", Some(hash.as_str())), ("secret words", None)] {
            assert_eq!(check(text, hash).await, Ok(Checked { is_right: false, is_outdated: false }));
        }
        let parsed = PasswordHash::new(&passwords.dummy).unwrap();
        assert_eq!(Params::try_from(&parsed).unwrap().m_cost(), COST.0, "what is checked in vain is checked at the same cost");
        let outdated = Checked { is_right: true, is_outdated: true };
        for (kib, lanes) in [(8, 1), (COST.0 * 2, 1), (64, 4)] {
            let other = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(kib, 1, lanes, None).unwrap());
            let other = other.hash_password(b"secret words", &SaltString::encode_b64(&[7; 16]).unwrap()).unwrap().to_string();
            assert_eq!(check("secret words", Some(&other)).await, Ok(outdated), "at another cost");
        }
        assert_eq!(check("secret words", Some("no hash")).await, Ok(Checked { is_right: false, is_outdated: true }));
    }

    /// Has passwords of these addresses looked at while none is hashed; those who may wait are, once they may be.
    async fn at_once(passwords: &Passwords, addresses: impl Iterator<Item = u16>) -> Vec<Result<Checked, Busy>> {
        let held = passwords.turns.acquire_many(AT_ONCE.try_into().unwrap()).await.unwrap();
        let (mut refused, mut waiting) = (Vec::new(), Vec::new());
        for n in addresses {
            // Each gets as far as it can.
            let checking = check(passwords, address(n), "secret words", Some("no hash"));
            let mut checking = Box::pin(tokio::task::unconstrained(checking));
            match futures_util::poll!(checking.as_mut()) {
                Poll::Ready(checked) => refused.push(checked),
                Poll::Pending => waiting.push(checking),
            }
        }
        drop(held);
        futures_util::future::join_all(waiting).await.into_iter().chain(refused).collect()
    }

    #[tokio::test]
    async fn those_who_wait_are_bounded_and_so_is_the_memory() {
        let passwords = passwords();
        let is_done = |checked: &&Result<Checked, Busy>| checked.is_ok();
        let of_one = at_once(&passwords, std::iter::repeat_n(1, 100)).await;
        assert_eq!(of_one.iter().filter(is_done).count(), OF_ADDRESS);
        assert!(of_one.iter().filter_map(|checked| checked.err()).all(|busy| busy == Busy::Address));
        let of_all = at_once(&passwords, 0..1_000).await;
        assert_eq!(of_all.iter().filter(is_done).count(), AT_ONCE + WAITING);
        assert!(of_all.iter().filter_map(|checked| checked.err()).all(|busy| busy == Busy::All));
        let hashed = (0..20).map(|n| check(&passwords, address(n), "secret words", None));
        assert!(futures_util::future::join_all(hashed).await.iter().all(Result::is_ok));
        let memory = passwords.memory.lock();
        let most = usize::try_from(COST.0).unwrap();
        assert!(memory.len() <= AT_ONCE && memory.iter().all(|blocks| blocks.len() <= most && blocks.capacity() <= most));
    }
}
