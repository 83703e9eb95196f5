//! The accounts of this server and their sessions: who a request is from.
//!
//! ```text
//!   a request ──► its session's cookie? ── none ──► a guest: no question to the store
//!                      │
//!                      ▼
//!               what was found within FRESH ── nothing ──► one question, for all who ask meanwhile
//!                      │
//!                      ▼
//!               Leases: is it over? ── yes ──► a guest
//! ```
//!
//! So a session that ends is over at once on this node, on the others as soon as the layer has told them, and after [`FRESH`] also where
//! the layer has not. Where the store cannot be read, whoever was known stays known until it can.
//!
//! A guest who gets an account keeps their id, and the guest's secret is worth nothing any more: it makes whoever shows it somebody new.
//! The ids of all such are in memory, as numbers. The other nodes hear of a new one by [`Leases`], and read every [`HEARD`] what they may
//! have missed.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Weak},
    time::Duration,
};

use axum::http::{HeaderMap, HeaderValue};
use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;
use tracing::debug;

use super::{
    Account, AccountRecords, CreateError, Device, Guest, NewAccount, RateKey, SecondFactors, SignedIn, Token, TokenDigest,
    Unknown, Who, records::Found,
};
use crate::{
    server::{
        lease::{Leases, Taken},
        random,
        settings::AccountSettings,
        store::{Records, StoreError},
    },
    wire::{Person, PersonName, Timestamp},
};

/// How long what is known of a session holds without a question.
const FRESH: Duration = Duration::from_secs(1);
/// How often it is noted that a session is used, in milliseconds.
const NOTED: i64 = 60 * 60 * 1_000;
/// How many sessions are known at a time.
const KNOWN: usize = 10_000;
/// A session that nobody has shown for so long makes room for another one.
const IDLE: Duration = Duration::from_mins(1);
/// How often is read who has become an account on other nodes,
const HEARD: Duration = Duration::from_mins(1);
/// and by how much their clocks may differ, in milliseconds.
const CLOCKS: i64 = 10 * 60 * 1_000;

/// See the [module](self).
pub struct Accounts {
    pub records: AccountRecords,
    pub second_factors: SecondFactors,
    /// Administrators have to have one.
    second_factor_for_administrators: bool,
    leases: Arc<Leases>,
    /// How long a session lasts that nobody uses, in milliseconds.
    lifetime: i64,
    sessions: Mutex<HashMap<TokenDigest, Arc<Session>>>,
    /// The guests who have an account now.
    claimed: RwLock<HashSet<RateKey>>,
}

/// What is known of a session. Held while the store is asked.
struct Session(tokio::sync::Mutex<Option<Answer>>, Mutex<Instant>);

struct Answer {
    asked: Instant,
    signed_in: Option<Arc<SignedIn>>,
}

impl Accounts {
    /// Reads which guests have become accounts.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn start(
        records: Arc<dyn Records>,
        leases: &Arc<Leases>,
        settings: &AccountSettings,
    ) -> Result<Arc<Self>, StoreError> {
        let AccountSettings { session: lifetime, second_factor_for_administrators, .. } = *settings;
        let records = AccountRecords::new(records);
        let accounts = Arc::new(Self {
            second_factors: records.second_factors(),
            records,
            second_factor_for_administrators,
            leases: Arc::clone(leases),
            lifetime: i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX / 2),
            sessions: Mutex::default(),
            claimed: RwLock::default(),
        });
        let newest = accounts.hear(0).await?;
        tokio::spawn(keep(Arc::downgrade(&accounts), newest));
        Ok(accounts)
    }

    /// Whom a request is from.
    ///
    /// # Errors
    /// The store cannot say it now.
    pub async fn who(&self, headers: &HeaderMap) -> Result<Who, Unknown> {
        let Some(token) = Token::of_session(headers) else {
            return Ok(self.guest(headers, []));
        };
        match self.signed_in(&token).await {
            Ok(Some(signed_in)) => Ok(Who::Account(signed_in)),
            Ok(None) => Ok(self.guest(headers, Token::forgotten())),
            Err(cause) => {
                debug!(%cause, "a session could not be looked up");
                Err(Unknown::NotNow)
            }
        }
    }

    /// A guest by their secret, as far as it is worth anything.
    pub fn guest(&self, headers: &HeaderMap, cookies: impl IntoIterator<Item = HeaderValue>) -> Who {
        let guest = Guest::of(headers);
        let is_over = !guest.is_new && (self.has_claimed(&guest.person) || self.leases.is_over(&guest.person.id));
        let guest = if is_over { Guest::anew(headers) } else { guest };
        Who::Guest(Arc::new(guest.with_cookies(cookies)))
    }

    fn has_claimed(&self, guest: &Person) -> bool {
        self.claimed.read().contains(&RateKey::of(guest))
    }

    /// Who is signed in by this token.
    async fn signed_in(&self, token: &Token) -> Result<Option<Arc<SignedIn>>, StoreError> {
        let digest = token.digest();
        let session = self.session(digest);
        let mut answer = session.0.lock().await;
        if answer.as_ref().is_none_or(|answer| answer.asked.elapsed() >= FRESH) {
            let (asked, now) = (Instant::now(), now());
            match self.records.find(digest, now).await {
                Ok(found) => {
                    let signed_in = found.map(|found| Arc::new(self.note(found, now)));
                    *answer = Some(Answer { asked, signed_in });
                }
                // Whoever was known stays known; nobody is let in anew.
                Err(cause) => match &*answer {
                    Some(Answer { signed_in: Some(_), .. }) => debug!(%cause, "a session could not be looked up again"),
                    _ => return Err(cause),
                },
            }
        }
        let signed_in = answer.as_ref().and_then(|answer| answer.signed_in.clone());
        Ok(signed_in.filter(|signed_in| !self.leases.is_over(&signed_in.session)))
    }

    /// What is known of a session, for all who ask for it at a time.
    fn session(&self, digest: TokenDigest) -> Arc<Session> {
        let mut sessions = self.sessions.lock();
        if let Some(session) = sessions.get(&digest) {
            *session.1.lock() = Instant::now();
            return Arc::clone(session);
        }
        if sessions.len() >= KNOWN {
            sessions.retain(|_, session| Arc::strong_count(session) > 1 || session.1.lock().elapsed() < IDLE);
        }
        if sessions.len() >= KNOWN {
            // They are asked for again.
            sessions.clear();
        }
        let session = Arc::new(Session(tokio::sync::Mutex::default(), Mutex::new(Instant::now())));
        sessions.insert(digest, Arc::clone(&session));
        session
    }

    /// Who that is; that the session was used is written now and then.
    fn note(&self, found: Found, now: i64) -> SignedIn {
        let Found { session, used_at, account, handle, name, is_administrator, has_second_factor } = found;
        if now - used_at >= NOTED {
            let (records, session, end) = (self.records.clone(), session.clone(), now + self.lifetime);
            tokio::spawn(async move {
                // It is tried again at the next question; the store says in the log when its trouble begins and ends.
                if let Err(cause) = records.used(&session, now, end).await {
                    debug!(%cause, "the use of a session could not be noted");
                }
            });
        }
        let person = Person { id: account, name, handle: None };
        let lacks_second_factor = is_administrator && self.second_factor_for_administrators && !has_second_factor;
        SignedIn { person, handle, session: session.into(), is_administrator, lacks_second_factor }
    }

    /// Makes an account. What a guest has open ends, who becomes one; whoever shows the guest's secret from now on is somebody new.
    ///
    /// # Errors
    /// See [`CreateError`].
    pub async fn create(&self, new: &NewAccount) -> Result<(), CreateError> {
        self.records.create(new, now()).await?;
        if new.id.starts_with('g') {
            self.claim(&new.id);
            self.leases.take_back(&new.id, Taken::Everything).await;
        }
        Ok(())
    }

    /// A fresh id, of somebody who was nobody here before.
    pub fn fresh_id() -> String {
        format!("a{:016x}", random::bits_128() as u64)
    }

    fn claim(&self, id: &str) {
        let person = Person { id: id.to_owned(), name: String::new(), handle: None };
        self.claimed.write().insert(RateKey::of(&person));
    }

    /// Begins a session of an account. The token is for the browser alone.
    ///
    /// # Errors
    /// It cannot be written now.
    pub async fn begin(&self, account: &str, device: &str) -> Result<Token, StoreError> {
        let (token, session, now) = (Token::fresh(), random::hex_128(), now());
        let ended = self.records.begin((&session, token.digest()), account, device, (now, now + self.lifetime)).await?;
        self.close(account, ended).await;
        Ok(token)
    }

    /// Gives a session another token: the one before is of no use any more, after what is on its way.
    ///
    /// # Errors
    /// It cannot be written now.
    pub async fn rotate(&self, signed_in: &SignedIn) -> Result<Token, StoreError> {
        let token = Token::fresh();
        self.records.rotate(&signed_in.session, token.digest(), now()).await?;
        // What was changed of the account holds with the next request.
        self.forget(&signed_in.person.id);
        Ok(token)
    }

    /// The sessions of an account, the one that was used last first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn devices(&self, account: &str) -> Result<Vec<Device>, StoreError> {
        self.records.devices(account, now()).await
    }

    /// Ends a session of an account, and what is open by it, on all nodes. Says whether there was one.
    ///
    /// # Errors
    /// It cannot be written now.
    pub async fn end(&self, account: &str, session: &str) -> Result<bool, StoreError> {
        let ended = self.records.end(account, session).await?;
        let is_there = !ended.is_empty();
        self.close(account, ended).await;
        Ok(is_there)
    }

    /// Ends all sessions of an account but this one, if one is named.
    ///
    /// # Errors
    /// It cannot be written now.
    pub async fn end_all(&self, account: &str, but: Option<&str>) -> Result<(), StoreError> {
        let ended = self.records.end_all(account, but.unwrap_or_default()).await?;
        self.close(account, ended).await;
        Ok(())
    }

    async fn close(&self, account: &str, sessions: Vec<String>) {
        for session in sessions {
            self.leases.end_session(account, &session).await;
        }
    }

    /// Whether administrators have to have a second factor.
    pub fn administrators_need_second_factor(&self) -> bool {
        self.second_factor_for_administrators
    }

    /// Gives an account another name.
    ///
    /// # Errors
    /// It cannot be written now.
    pub async fn rename(&self, id: &str, name: &PersonName) -> Result<(), StoreError> {
        self.records.rename(id, name).await?;
        // The next question of each of their sessions finds it.
        self.forget(id);
        Ok(())
    }

    /// What is known of an account's sessions is asked anew.
    fn forget(&self, account: &str) {
        let is_theirs = |session: &Session| {
            session.0.try_lock().is_ok_and(|answer| {
                answer.as_ref().and_then(|answer| answer.signed_in.as_ref()).is_some_and(|who| who.person.id == account)
            })
        };
        self.sessions.lock().retain(|_, session| !is_theirs(session));
    }

    /// An account by its id.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn find(&self, id: &str) -> Result<Option<Account>, StoreError> {
        self.records.by_id(id).await
    }

    /// Reads who has become an account since; gives when the last did.
    async fn hear(&self, since: i64) -> Result<i64, StoreError> {
        let mut newest = since;
        for (id, at) in self.records.guests(since).await? {
            self.claim(&id);
            newest = newest.max(at);
        }
        Ok(newest)
    }
}

/// Reads again and again who has become an account on other nodes, and deletes the sessions that have come to their end.
async fn keep(accounts: Weak<Accounts>, mut newest: i64) {
    loop {
        tokio::time::sleep(HEARD).await;
        let Some(accounts) = accounts.upgrade() else { return };
        match accounts.hear(newest.saturating_sub(CLOCKS).max(0)).await {
            Ok(now) => newest = now,
            Err(cause) => debug!(%cause, "it could not be read who has an account now"),
        }
        if let Err(cause) = accounts.records.forget_ended(now()).await {
            debug!(%cause, "sessions that have ended could not be deleted");
        }
    }
}

fn now() -> i64 {
    Timestamp::now().as_millis()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

    use async_trait::async_trait;
    use axum::http::header;

    use super::*;
    use crate::server::{
        layers::{ChannelLayer, MemoryLayer, MemoryOptions},
        presence::{Presence, Times},
        store::{Durability, Results, Row, SqliteStore, Statement, Value},
    };

    const ANN: &str = "confab_guest=0123456789abcdef0123456789abcdef";

    /// A store that counts what it is asked, and that can be away.
    struct Counting {
        store: SqliteStore,
        asked: AtomicUsize,
        is_away: AtomicBool,
    }

    #[async_trait]
    impl Records for Counting {
        async fn query(&self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
            self.asked.fetch_add(1, Relaxed);
            if self.is_away.load(Relaxed) {
                return Err(StoreError::damage("away"));
            }
            self.store.query(sql, values).await
        }

        async fn write(&self, statements: Vec<Statement>) -> Result<Results, StoreError> {
            self.store.write(statements).await
        }
    }

    struct Node {
        accounts: Arc<Accounts>,
        leases: Arc<Leases>,
        store: Arc<Counting>,
    }

    fn store(folder: &tempfile::TempDir) -> Arc<Counting> {
        let (store, _) = SqliteStore::open(folder.path(), Durability::Process).expect("a store");
        Arc::new(Counting { store, asked: AtomicUsize::new(0), is_away: AtomicBool::new(false) })
    }

    async fn node(store: &Arc<Counting>) -> Node {
        let layer: Arc<dyn ChannelLayer> = Arc::new(MemoryLayer::new(MemoryOptions::default()).unwrap());
        let presence = Presence::start(Arc::clone(&layer), Times::default(), |_| "node!p0".parse().unwrap());
        let leases = Leases::start(layer, &presence, Duration::from_hours(1), |_| "node!l0".parse().unwrap()).await;
        let records: Arc<dyn Records> = Arc::clone(store) as _;
        let accounts = Accounts::start(records, &leases, &AccountSettings::default()).await.expect("accounts");
        store.asked.store(0, Relaxed);
        Node { accounts, leases, store: Arc::clone(store) }
    }

    fn new(id: &str, handle: &str) -> NewAccount {
        let (handle, name) = (handle.parse().unwrap(), handle.parse().unwrap());
        NewAccount { id: id.to_owned(), handle, name, is_administrator: false, password: None, subject: None }
    }

    fn with_cookie(cookie: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, cookie.parse().unwrap())])
    }

    fn shown(token: &Token) -> HeaderMap {
        with_cookie(&format!("confab_session={}", token.reveal()))
    }

    #[tokio::test]
    async fn a_guest_costs_no_question_and_a_session_one_a_second_at_most() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let Node { accounts, .. } = node(&store).await;
        for _ in 0..10 {
            assert!(matches!(accounts.who(&with_cookie(ANN)).await.unwrap(), Who::Guest(_)));
            assert!(matches!(accounts.who(&HeaderMap::new()).await.unwrap(), Who::Guest(_)));
        }
        assert_eq!(store.asked.load(Relaxed), 0);
        accounts.create(&new("a1", "ann")).await.unwrap();
        let token = accounts.begin("a1", "a test").await.unwrap();
        let headers = shown(&token);
        tokio::time::pause();
        let began = store.asked.load(Relaxed);
        let all = futures_util::future::join_all((0..50).map(|_| accounts.who(&headers))).await;
        assert!(all.iter().all(|who| who.as_ref().is_ok_and(|who| who.person().id == "a1")));
        assert_eq!(store.asked.load(Relaxed) - began, 1);
        tokio::time::advance(FRESH).await;
        accounts.who(&headers).await.unwrap();
        assert_eq!(store.asked.load(Relaxed) - began, 2);
    }

    #[tokio::test]
    async fn a_session_that_ends_is_over_at_once_and_the_others_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let Node { accounts, leases, .. } = node(&store).await;
        accounts.create(&new("a1", "ann")).await.unwrap();
        let (phone, desk) = (accounts.begin("a1", "phone").await.unwrap(), accounts.begin("a1", "desk").await.unwrap());
        let Who::Account(signed_in) = accounts.who(&shown(&phone)).await.unwrap() else { panic!("signed in") };
        assert!(!accounts.end("a2", &signed_in.session).await.unwrap(), "it is not theirs");
        assert!(!leases.is_over(&signed_in.session));
        assert!(accounts.end("a1", &signed_in.session).await.unwrap());
        let Who::Guest(guest) = accounts.who(&shown(&phone)).await.unwrap() else { panic!("signed out") };
        let forgotten = |cookie: &HeaderValue| cookie.to_str().unwrap().starts_with("confab_session=;");
        assert!(guest.cookies.iter().any(forgotten));
        assert_eq!(accounts.who(&shown(&desk)).await.unwrap().person().id, "a1");
        accounts.end_all("a1", None).await.unwrap();
        assert!(matches!(accounts.who(&shown(&desk)).await.unwrap(), Who::Guest(_)));
    }

    #[tokio::test]
    async fn another_token_is_known_at_once_and_the_one_before_for_what_is_on_its_way() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let Node { accounts, .. } = node(&store).await;
        accounts.create(&new("a1", "ann")).await.unwrap();
        let before = accounts.begin("a1", "a test").await.unwrap();
        let Who::Account(signed_in) = accounts.who(&shown(&before)).await.unwrap() else { panic!("signed in") };
        let after = accounts.rotate(&signed_in).await.unwrap();
        for token in [&before, &after] {
            let Who::Account(same) = accounts.who(&shown(token)).await.unwrap() else { panic!("signed in") };
            assert_eq!(same.session, signed_in.session);
        }
        let later = now() + 61_000;
        assert!(accounts.records.find(before.digest(), later).await.unwrap().is_none());
        assert!(accounts.records.find(after.digest(), later).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_guest_who_gets_an_account_is_no_guest_any_more_on_this_node_and_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let first = node(&store).await;
        let guest = first.accounts.who(&with_cookie(ANN)).await.unwrap();
        let id = guest.person().id.clone();
        first.accounts.create(&new(&id, "ann")).await.unwrap();
        let token = first.accounts.begin(&id, "a test").await.unwrap();
        let second = node(&store).await;
        for Node { accounts, .. } in [&first, &second] {
            let Who::Guest(anew) = accounts.who(&with_cookie(ANN)).await.unwrap() else { panic!("a guest") };
            assert!(anew.is_new && anew.person.id != id);
            let who = accounts.who(&shown(&token)).await.unwrap();
            assert_eq!((who.person().id.as_str(), who.rate_key()), (id.as_str(), guest.rate_key()));
            assert_eq!(who.you().handle.as_deref(), Some("ann"));
        }
        let again = first.accounts.create(&new(&id, "other")).await;
        assert!(matches!(again, Err(CreateError::Exists)));
        let alike = first.accounts.create(&new("a2", "ANN")).await;
        assert!(matches!(alike, Err(CreateError::Taken)));
    }

    #[tokio::test]
    async fn while_the_store_is_away_whoever_was_known_stays_and_nobody_is_let_in() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let Node { accounts, store, .. } = node(&store).await;
        accounts.create(&new("a1", "ann")).await.unwrap();
        let (known, unknown) = (accounts.begin("a1", "one").await.unwrap(), accounts.begin("a1", "other").await.unwrap());
        accounts.who(&shown(&known)).await.unwrap();
        store.is_away.store(true, Relaxed);
        tokio::time::pause();
        tokio::time::advance(FRESH).await;
        assert_eq!(accounts.who(&shown(&known)).await.unwrap().person().id, "a1");
        assert!(matches!(accounts.who(&shown(&unknown)).await, Err(Unknown::NotNow)));
        store.is_away.store(false, Relaxed);
        assert_eq!(accounts.who(&shown(&unknown)).await.unwrap().person().id, "a1");
    }

    #[tokio::test]
    async fn what_is_known_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let Node { accounts, .. } = node(&store(&folder)).await;
        for _ in 0..2 * KNOWN {
            accounts.session(Token::fresh().digest());
        }
        assert!(accounts.sessions.lock().len() <= KNOWN);
    }
}
