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
//! Who has an account is in memory, and how they are seen ([`Profiles`]). The other nodes hear of a guest who has one now by [`Leases`], and where
//! they share the store they read every [`HEARD`] who has come or is seen otherwise.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::http::{HeaderMap, HeaderValue};
use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::debug;

use super::{
    Account, AccountRecords, CreateError, Device, Guest, Handle, NewAccount, SecondFactors, SignedIn, Token, TokenDigest,
    Unknown, Who,
    records::{Found, HandleError, Seen},
};
use crate::{
    locales::Language,
    server::{
        counts::keep_greater_half,
        lease::{Leases, Taken},
        profiles::{Profile, Profiles},
        random,
        settings::AccountSettings,
        steady_clock::SteadyClock,
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
/// How often is read who has become an account on other nodes, or is seen otherwise,
const HEARD: Duration = Duration::from_secs(1);
/// and every how many times what has ended is deleted,
const TURNS: u32 = 60;
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
    profiles: Arc<Profiles>,
}

/// What is known of a session. Held while the store is asked.
struct Session {
    answer: tokio::sync::Mutex<Option<Answer>>,
    /// It is somebody's, or was.
    is_theirs: AtomicBool,
    shown: Mutex<Instant>,
}

struct Answer {
    asked: Instant,
    signed_in: Option<Arc<SignedIn>>,
    /// Somebody was signed in by it before.
    was_theirs: bool,
}

/// What becomes of a token that a request shows.
enum Shown {
    SignedIn(Arc<SignedIn>),
    /// Somebody was signed in by it.
    Over,
    /// It is nobody's here.
    Unknown,
}

impl Default for Session {
    fn default() -> Self {
        let (answer, is_theirs) = Default::default();
        Self { answer, is_theirs, shown: Mutex::new(Instant::now()) }
    }
}

impl Accounts {
    /// Reads who has an account. The store `is_shared` with other nodes or not.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn start(
        records: Arc<dyn Records>,
        leases: &Arc<Leases>,
        profiles: &Arc<Profiles>,
        settings: &AccountSettings,
        is_shared: bool,
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
            profiles: Arc::clone(profiles),
        });
        let newest = accounts.hear(0).await?;
        tokio::spawn(keep(Arc::downgrade(&accounts), newest, is_shared));
        Ok(accounts)
    }

    /// Whom a request is from.
    ///
    /// # Errors
    /// The store cannot say it now.
    pub async fn who(&self, headers: &HeaderMap) -> Result<Who, Unknown> {
        let tokens = Token::of_sessions(headers);
        let mut are_over = !tokens.is_empty();
        for token in &tokens {
            match self.signed_in(token).await {
                Ok(Shown::SignedIn(signed_in)) => return Ok(Who::Account(signed_in)),
                Ok(Shown::Over) => {}
                // Another Confab on this host may have given it.
                Ok(Shown::Unknown) => are_over = false,
                Err(cause) => {
                    debug!(%cause, "a session could not be looked up");
                    return Err(Unknown::NotNow);
                }
            }
        }
        Ok(self.guest(headers, are_over.then(Token::forgotten).into_iter().flatten()))
    }

    /// A guest by their secret, as far as it is worth anything.
    pub fn guest(&self, headers: &HeaderMap, cookies: impl IntoIterator<Item = HeaderValue>) -> Who {
        let guest = Guest::of(headers);
        let is_over = !guest.is_new && (self.has_claimed(&guest.person) || self.leases.is_over(&guest.person.id));
        let guest = if is_over { Guest::anew(headers) } else { guest };
        Who::Guest(Arc::new(guest.with_cookies(cookies)))
    }

    fn has_claimed(&self, guest: &Person) -> bool {
        self.profiles.has(&guest.id)
    }

    /// Who is signed in by this token.
    async fn signed_in(&self, token: &Token) -> Result<Shown, StoreError> {
        let digest = token.digest();
        let session = self.session(digest);
        let mut answer = session.answer.lock().await;
        if answer.as_ref().is_none_or(|answer| answer.asked.elapsed() >= FRESH) {
            let (asked, now) = (Instant::now(), now());
            match self.records.find(digest, now).await {
                Ok(found) => {
                    let signed_in = found.map(|found| Arc::new(self.note(found, now)));
                    let was_theirs = answer.as_ref().is_some_and(|before| before.was_theirs) || signed_in.is_some();
                    session.is_theirs.fetch_or(was_theirs, Relaxed);
                    *answer = Some(Answer { asked, signed_in, was_theirs });
                }
                // Whoever was known stays known; nobody is let in anew.
                Err(cause) => match &*answer {
                    Some(Answer { signed_in: Some(_), .. }) => debug!(%cause, "a session could not be looked up again"),
                    _ => return Err(cause),
                },
            }
        }
        let Some(Answer { signed_in, was_theirs, .. }) = &*answer else { return Ok(Shown::Unknown) };
        Ok(match signed_in.as_ref().filter(|signed_in| !self.leases.is_over(&signed_in.session)) {
            Some(signed_in) => Shown::SignedIn(Arc::clone(signed_in)),
            None if *was_theirs => Shown::Over,
            None => Shown::Unknown,
        })
    }

    /// What is known of a session, for all who ask for it at a time.
    fn session(&self, digest: TokenDigest) -> Arc<Session> {
        let mut sessions = self.sessions.lock();
        if let Some(session) = sessions.get(&digest) {
            *session.shown.lock() = Instant::now();
            return Arc::clone(session);
        }
        if sessions.len() >= KNOWN {
            // Nobody's go first, which cost nothing to make up; then those that were shown longest ago. They are asked for again.
            keep_greater_half(&mut sessions, |session| (session.is_theirs.load(Relaxed), *session.shown.lock()));
        }
        let session = Arc::new(Session::default());
        sessions.insert(digest, Arc::clone(&session));
        session
    }

    /// Who that is; that the session was used is written now and then.
    fn note(&self, found: Found, now: i64) -> SignedIn {
        let Found { session, used_at, account, handle, name, is_administrator, has_second_factor, changed_at, language } =
            found;
        if now - used_at >= NOTED {
            let (records, session, end) = (self.records.clone(), session.clone(), now + self.lifetime);
            tokio::spawn(async move {
                // It is tried again at the next question; the store says in the log when its trouble begins and ends.
                if let Err(cause) = records.used(&session, now, end).await {
                    debug!(%cause, "the use of a session could not be noted");
                }
            });
        }
        self.profiles.note(&account, profile(&name, &handle, changed_at));
        let mut person = Person::new(account, name);
        self.profiles.complete([&mut person]);
        let lacks_second_factor = is_administrator && self.second_factor_for_administrators && !has_second_factor;
        let (session, rooms, elsewhere) = (session.into(), Arc::default(), None);
        SignedIn { person, handle, session, is_administrator, lacks_second_factor, elsewhere, rooms, language }
    }

    /// Makes an account. What a guest has open ends, who becomes one; whoever shows the guest's secret from now on is somebody new.
    ///
    /// # Errors
    /// See [`CreateError`].
    pub async fn create(&self, new: &NewAccount) -> Result<(), CreateError> {
        let now = now();
        self.records.create(new, now).await?;
        self.is_claimed(new, now).await;
        Ok(())
    }

    /// The same by an invitation to the server, which is used by that.
    ///
    /// # Errors
    /// See [`CreateError`].
    pub async fn create_invited(&self, new: &NewAccount, invitation: &Token) -> Result<(), CreateError> {
        let now = now();
        self.records.create_invited(new, invitation, now).await?;
        self.is_claimed(new, now).await;
        Ok(())
    }

    /// Whoever it is has an account now; whoever was a guest is one no more.
    async fn is_claimed(&self, new: &NewAccount, now: i64) {
        self.profiles.note(&new.id, profile(new.name.as_str(), &new.handle, now));
        if new.id.starts_with('g') {
            self.leases.take_back(&new.id, Taken::Everything).await;
        }
    }

    /// A fresh id, of somebody who was nobody here before.
    pub fn fresh_id() -> String {
        format!("a{:016x}", random::bits_128() as u64)
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
        self.records.rename(id, name, now()).await?;
        self.is_seen_anew(id).await
    }

    /// Gives an account another handle.
    ///
    /// # Errors
    /// See [`HandleError`].
    pub async fn take_handle(&self, signed_in: &SignedIn, handle: &Handle) -> Result<(), HandleError> {
        let id = signed_in.person.id.as_str();
        self.records.take_handle(id, &signed_in.handle, handle, now()).await?;
        Ok(self.is_seen_anew(id).await?)
    }

    /// What others see of an account was changed: it is read, and shown on this node from now on.
    ///
    /// # Errors
    /// It cannot be read now; it is later.
    pub async fn is_seen_anew(&self, id: &str) -> Result<(), StoreError> {
        // The next question of each of their sessions finds it.
        self.forget(id);
        if let Some(seen) = self.records.seen(id).await? {
            self.show(seen);
        }
        Ok(())
    }

    fn show(&self, Seen { account, handle, name, changed_at, is_gone }: Seen) {
        if is_gone {
            self.profiles.forget(&account);
        } else {
            self.profiles.note(&account, profile(&name, &handle, changed_at));
        }
    }

    /// Keeps the language that somebody has chosen for all of their browsers.
    ///
    /// # Errors
    /// It cannot be written now.
    pub async fn choose_language(&self, id: &str, language: Language) -> Result<(), StoreError> {
        self.records.set_language(id, language).await?;
        self.forget(id);
        Ok(())
    }

    /// What is known of an account's sessions is asked anew.
    fn forget(&self, account: &str) {
        let is_theirs = |session: &Session| {
            session.answer.try_lock().is_ok_and(|answer| {
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

    /// Deletes the sessions and links that have certainly come to their end; the clock says this now. Until it is certain they open nothing,
    /// as long as the clock says so.
    async fn forget_ended(&self, clock: &mut SteadyClock, said: Timestamp) -> Result<(), StoreError> {
        let newest = if clock.is_new() { self.records.last_used().await? } else { None };
        match clock.read(said, newest.map(Timestamp::from_millis)) {
            Some(certain) => self.records.forget_ended(certain.as_millis()).await,
            None => Ok(()),
        }
    }

    /// Reads who is seen otherwise since, as whoever has become an account is; gives when the last was changed.
    async fn hear(&self, since: i64) -> Result<i64, StoreError> {
        let mut newest = since;
        for seen in self.records.since(since).await? {
            newest = newest.max(seen.changed_at);
            self.show(seen);
        }
        Ok(newest)
    }
}

/// Reads again and again who has become an account on other nodes, or is seen otherwise, and deletes the sessions that have come to their end.
async fn keep(accounts: Weak<Accounts>, mut newest: i64, is_shared: bool) {
    let mut clock = SteadyClock::default();
    for turn in (1..=TURNS).cycle() {
        tokio::time::sleep(HEARD).await;
        let Some(accounts) = accounts.upgrade() else { return };
        let is_over = turn == TURNS;
        if !is_shared && !is_over {
            continue;
        }
        match accounts.hear(newest.saturating_sub(CLOCKS).max(0)).await {
            Ok(now) => newest = now,
            Err(cause) => debug!(%cause, "it could not be read who is seen otherwise now"),
        }
        if is_over && let Err(cause) = accounts.forget_ended(&mut clock, Timestamp::now()).await {
            debug!(%cause, "sessions that have ended could not be deleted");
        }
    }
}

fn profile(name: &str, handle: &Handle, changed: i64) -> Profile {
    Profile { name: name.into(), handle: handle.as_str().into(), changed }
}

fn now() -> i64 {
    Timestamp::now().as_millis()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use async_trait::async_trait;
    use axum::http::header;

    use super::*;
    use crate::server::{
        accounts::Purpose,
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
        let presence = Presence::start(Arc::clone(&layer), Times::default(), Arc::default(), |_| "node!p0".parse().unwrap());
        let leases = Leases::start(layer, &presence, Duration::from_hours(1), |_| "node!l0".parse().unwrap()).await;
        let records: Arc<dyn Records> = Arc::clone(store) as _;
        let settings = AccountSettings::default();
        let accounts = Accounts::start(records, &leases, &Arc::default(), &settings, false).await.expect("accounts");
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
    async fn a_clock_that_is_far_ahead_for_a_while_deletes_no_session_and_no_link() {
        const YEAR: i64 = 365 * 24 * 60 * 60_000;
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let Node { accounts, .. } = node(&store).await;
        accounts.create(&new("a1", "ann")).await.unwrap();
        let token = accounts.begin("a1", "a test").await.unwrap();
        let link = accounts.records.make_link(Purpose::Reset, Some("a1"), now()).await.unwrap();
        tokio::time::pause();
        let (mut clock, mut time) = (SteadyClock::default(), Timestamp::now().as_millis());
        let mut read = async |times: u32, minutes: u32, ahead: i64| {
            for _ in 0..times {
                accounts.forget_ended(&mut clock, Timestamp::from_millis(time + ahead)).await.unwrap();
                tokio::time::advance(Duration::from_mins(minutes.into())).await;
                time += i64::from(minutes) * 60_000;
            }
        };
        // After a start, and later.
        read(30, 1, YEAR).await;
        read(120, 1, 0).await;
        read(30, 1, YEAR).await;
        read(400, 1, 0).await;
        let (digest, begun) = (token.digest(), now());
        assert!(accounts.records.find(digest, begun).await.unwrap().is_some(), "the session is there");
        assert!(accounts.records.link(&link, Purpose::Reset, begun).await.unwrap().is_some(), "so is the link");
        // What is really over goes.
        let days = u32::try_from(accounts.lifetime / (24 * 60 * 60_000)).unwrap();
        read(24 * (days + 1), 60, 0).await;
        assert!(accounts.records.find(digest, begun).await.unwrap().is_none(), "it has lasted for so many days");
        assert!(accounts.records.link(&link, Purpose::Reset, begun).await.unwrap().is_none());
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
    async fn what_is_known_is_bounded_and_tokens_that_are_made_up_take_nobodys_place() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let Node { accounts, store, .. } = node(&store).await;
        accounts.create(&new("a1", "ann")).await.unwrap();
        let ann = shown(&accounts.begin("a1", "one").await.unwrap());
        accounts.who(&ann).await.unwrap();
        store.is_away.store(true, Relaxed);
        for _ in 0..3 * KNOWN {
            accounts.session(Token::fresh().digest());
        }
        assert!(accounts.sessions.lock().len() <= KNOWN);
        tokio::time::pause();
        tokio::time::advance(FRESH).await;
        assert_eq!(accounts.who(&ann).await.unwrap().person().id, "a1", "she is known still, though the store is away");
    }
}
