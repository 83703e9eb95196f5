//! People of other sites, who have an account here by being somebody there: those of a Django project by its cookie, others by signed
//! tokens.
//!
//! ```text
//!   a request ──► Authorization: Bearer ─► Sites ─┐
//!             ──► a session of ours ─► Accounts   ├──► (origin, subject) ──► the account, made when it is new
//!             ──► confab_token ─────► Sites ──────┤                               │
//!             ──► sessionid ────────► Django ─────┘                               ▼
//!                                                             what is open by it is in Leases, under a name of its own
//!   every CHECK: Django is asked for all that is open by one question, tokens are looked at ──► Leases::end_session
//! ```
//!
//! What a site says holds at each request. What it takes back later ends what is open by it, within a few seconds. Each node asks for
//! itself.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use axum::http::{HeaderMap, HeaderValue, header};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::{
    Account, Accounts, CreateError, Guest, Handle, NewAccount, SignedIn, SignedInBy, Unknown, Who,
    cookies::{Cookies, forgotten, of_django},
    django::{Django, Trouble, User},
    jwt::{Refused, Sites, Visitor, now},
};
use crate::{
    server::{
        counts::keep_greater_half,
        layers::redis::Host,
        lease::Leases,
        random,
        settings::{CookieName, DjangoSettings, LoginUrl},
        store::StoreError,
        telemetry::Fault,
        turns::Turns,
        visitors::Subnet,
    },
    wire::{Group, Person, PersonName},
};

/// How long what is known of an account holds without a question.
const FRESH: Duration = Duration::from_secs(1);
/// How often is looked whether what is open is still so.
const CHECK: Duration = Duration::from_secs(1);
/// Every so many times a project is asked, too.
const OF_DJANGO: u32 = 2;
/// What nobody has shown for so long and nobody holds open is forgotten.
const IDLE: Duration = Duration::from_mins(1);
/// How many accounts are known at a time.
const KNOWN: usize = 10_000;
/// How many cookies and tokens are known at a time that nobody holds anything open by.
const OPEN: usize = 10_000;
/// So many requests of an address wait until the project is asked.
const WAITING: usize = 64;
/// Whose people those of the project are.
const DJANGO: &str = "django";
/// Holds a token that a form has brought.
const TOKEN: &str = "confab_token";
/// The longest token that a browser keeps in a cookie, with the cookie's name and what else stands there.
pub const LONGEST_IN_COOKIE: usize = 3_800;

/// See the [module](self).
pub struct Elsewhere {
    accounts: Arc<Accounts>,
    leases: Arc<Leases>,
    project: Option<Project>,
    sites: Sites,
    /// By who vouches for them and what that site calls them.
    known: Mutex<HashMap<(String, String), Known>>,
    open: Mutex<Table>,
    /// The project could not be asked.
    away: Fault,
    /// Cookies by which nobody is signed in to the project, and when that was asked.
    nobodys: Mutex<HashMap<Shown, Instant>>,
    /// Of those who ask the project.
    turns: Turns<Subnet>,
}

/// A Django project whose people are known here.
pub struct Project {
    /// The cookie of its sessions.
    cookie: CookieName,
    /// Where they sign in.
    login: Option<LoginUrl>,
    people: Django,
}

impl Project {
    /// That of the settings; none where they name none. `cache` is the Redis that they name.
    ///
    /// # Errors
    /// As [`Django::start`].
    pub async fn start(settings: &DjangoSettings, cache: Option<Host>) -> Result<Option<Self>, Trouble> {
        let people = Django::start(settings, cache).await?;
        Ok(people.map(|people| Self { cookie: settings.cookie_name.clone(), login: settings.login_url.clone(), people }))
    }
}

/// An account, and when it was asked for.
type Known = (Instant, Arc<Account>);

/// A cookie or a token, as its digest.
type Shown = [u8; 32];

struct Table {
    shown: HashMap<Shown, Open>,
    /// With so many, those that nobody holds open go before one more comes.
    room: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self { shown: HashMap::new(), room: OPEN }
    }
}

/// What somebody has shown lately, or has something open by.
#[derive(Clone)]
struct Open {
    /// What it is called here. It opens nothing.
    session: Arc<str>,
    account: String,
    seen: Instant,
    until: Until,
}

/// How long it is good for.
#[derive(Clone)]
enum Until {
    /// As long as the project says that this cookie is this user.
    Django { cookie: String, user: String },
    /// In seconds since 1970.
    Time(u64),
}

/// Why somebody is not taken for who they say they are.
#[derive(Debug)]
pub enum NotTaken {
    /// The token is not believed.
    Refused(Refused),
    /// The account was deactivated here.
    Deactivated,
    /// It cannot be said now.
    NotNow,
}

impl Elsewhere {
    pub fn start(accounts: &Arc<Accounts>, leases: &Arc<Leases>, project: Option<Project>, sites: Sites) -> Arc<Self> {
        let is_needed = project.is_some() || !sites.is_empty();
        let (accounts, leases) = (Arc::clone(accounts), Arc::clone(leases));
        let (known, open, away, nobodys) = Default::default();
        let turns = Turns::new(WAITING);
        let elsewhere = Arc::new(Self { accounts, leases, project, sites, known, open, away, nobodys, turns });
        if is_needed {
            tokio::spawn(keep(Arc::downgrade(&elsewhere)));
        }
        elsewhere
    }

    /// Where people of a project sign in, and come back from to a path of this server.
    pub fn signs_in_at(&self, next: &str) -> Option<String> {
        self.project.as_ref()?.login.as_ref().map(|login| login.with_next(next))
    }

    /// Whom a request from an address is from: of this server or of another site.
    ///
    /// # Errors
    /// It shows a token that is not believed, or it cannot be said now.
    pub async fn who(&self, headers: &HeaderMap, address: Option<Subnet>) -> Result<Who, Unknown> {
        if let Some(token) = self.bearer(headers) {
            match self.by_token(token).await {
                // A program's token, perhaps, which means nothing here.
                Err(NotTaken::Refused(Refused::Malformed)) => {}
                taken => return taken.map_err(Unknown::from),
            }
        }
        let who = self.accounts.who(headers).await?;
        let Who::Guest(guest) = &who else { return Ok(who) };
        let tokens =
            if self.sites.is_empty() { Vec::new() } else { Cookies::of(headers).own(TOKEN, |text| Some(text.to_owned())) };
        let mut are_over = !tokens.is_empty();
        for token in &tokens {
            match self.by_token(token).await {
                Ok(who) => return Ok(who),
                Err(NotTaken::NotNow) => return Err(Unknown::NotNow),
                Err(NotTaken::Refused(Refused::Over) | NotTaken::Deactivated) => {}
                // Another Confab on this host may believe it.
                Err(NotTaken::Refused(_)) => are_over = false,
            }
        }
        if let Some(who) = self.of_django(headers, address).await? {
            return Ok(who);
        }
        if are_over {
            return Ok(Who::Guest(Arc::new(Guest::clone(guest).with_cookies(forgotten(TOKEN)))));
        }
        Ok(who)
    }

    /// The token in the header, where tokens of other sites are believed.
    fn bearer<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        let value = headers.get(header::AUTHORIZATION).filter(|_| !self.sites.is_empty())?;
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }

    /// Who has this token of another site.
    ///
    /// # Errors
    /// See [`NotTaken`].
    pub async fn by_token(&self, token: &str) -> Result<Who, NotTaken> {
        let Visitor { origin, subject, name, handle, rooms, ends_at } = self.sites.visitor(token).map_err(NotTaken::Refused)?;
        let wished = [handle.as_deref(), name.as_ref().map(PersonName::as_str), Some(&subject)];
        let account = self.account(&origin, &subject, name.as_ref(), wished.into_iter().flatten()).await?;
        Ok(self.take(&account, token, Until::Time(ends_at), rooms))
    }

    /// The cookie that keeps a token, of somebody who was found by it.
    pub fn cookie(&self, headers: &HeaderMap, token: &str) -> HeaderValue {
        Cookies::of(headers).given.set(TOKEN, token)
    }

    /// Ends what is open by such a session.
    pub async fn end(&self, signed_in: &SignedIn) {
        self.open.lock().shown.retain(|_, open| open.session != signed_in.session);
        self.leases.end_session(&signed_in.person.id, &signed_in.session).await;
    }

    /// What has a browser forget such a cookie.
    pub fn forgotten() -> [HeaderValue; 2] {
        forgotten(TOKEN)
    }

    /// Who is signed in to the project; none where nobody is.
    async fn of_django(&self, headers: &HeaderMap, address: Option<Subnet>) -> Result<Option<Who>, NotTaken> {
        let Some(Project { cookie, people: django, .. }) = &self.project else { return Ok(None) };
        let Some(cookie) = of_django(headers, cookie.as_str()) else { return Ok(None) };
        let shown: Shown = Sha256::digest(&cookie).into();
        if self.nobodys.lock().get(&shown).is_some_and(|asked| asked.elapsed() < FRESH) {
            return Ok(None);
        }
        let user = {
            // There are few connections to the project, and one address asks by one of them at a time.
            let _turn = match address {
                Some(address) => Some(self.turns.turn(address).await.map_err(|_| NotTaken::NotNow)?),
                None => None,
            };
            django.user(&cookie).await.map_err(|trouble| self.trouble(&trouble))?
        };
        self.note(false);
        let Some(User { id, username, name }) = user else {
            let mut nobodys = self.nobodys.lock();
            if nobodys.len() >= KNOWN {
                keep_greater_half(&mut nobodys, |asked| *asked);
            }
            nobodys.insert(shown, Instant::now());
            return Ok(None);
        };
        match self.account(DJANGO, &id, Some(&name), [username.as_str(), name.as_str()]).await {
            Ok(account) => {
                let until = Until::Django { cookie: cookie.clone(), user: id };
                Ok(Some(self.take(&account, &cookie, until, Vec::new())))
            }
            Err(NotTaken::Deactivated) => Ok(None),
            Err(other) => Err(other),
        }
    }

    fn trouble(&self, trouble: &Trouble) -> NotTaken {
        if self.away.is_news(true) {
            warn!(cause = %trouble, "whoever is signed in to the Django project is not let in, and stays where they are");
        }
        NotTaken::NotNow
    }

    fn note(&self, is_away: bool) {
        if self.away.is_news(is_away) {
            info!("the Django project can be asked again");
        }
    }

    /// The account of somebody of another site, called as they are there. It is made when they come for the first time.
    async fn account<'w>(
        &self,
        origin: &str,
        subject: &str,
        name: Option<&PersonName>,
        wished: impl IntoIterator<Item = &'w str>,
    ) -> Result<Arc<Account>, NotTaken> {
        let key = (origin.to_owned(), subject.to_owned());
        let known = self.known.lock().get(&key).cloned();
        let is_good = |(asked, account): &Known| {
            let is_named = name.is_none_or(|name| name.as_str() == account.name);
            asked.elapsed() < FRESH && is_named && !self.leases.is_over(&account.id)
        };
        let account = if let Some((_, account)) = known.filter(is_good) {
            account
        } else {
            let asked = Instant::now();
            let account = self.find_or_make(origin, subject, name, wished).await.map_err(|cause| {
                debug!(%cause, "the account of somebody of another site could not be looked up");
                NotTaken::NotNow
            })?;
            let account = Arc::new(account);
            let mut known = self.known.lock();
            if known.len() >= KNOWN {
                // They are asked for again.
                keep_greater_half(&mut known, |(asked, _)| *asked);
            }
            known.insert(key, (asked, Arc::clone(&account)));
            account
        };
        if account.is_deactivated { Err(NotTaken::Deactivated) } else { Ok(account) }
    }

    async fn find_or_make<'w>(
        &self,
        origin: &str,
        subject: &str,
        name: Option<&PersonName>,
        wished: impl IntoIterator<Item = &'w str>,
    ) -> Result<Account, StoreError> {
        let records = &self.accounts.records;
        let mut handles = handles(wished);
        loop {
            if let Some(mut account) = records.by_subject(origin, subject).await? {
                if let Some(name) = name.filter(|name| name.as_str() != account.name) {
                    self.accounts.rename(&account.id, name).await?;
                    account.name = name.to_string();
                }
                return Ok(account);
            }
            // Never without one: they go on with numbers.
            let Some(handle) = handles.next() else { return Err(StoreError::damage("no handle is left")) };
            let shown = name.cloned().or_else(|| handle.as_str().parse().ok());
            let Some(shown) = shown else { continue };
            let id = Accounts::fresh_id();
            let new = NewAccount {
                id,
                handle,
                name: shown,
                is_administrator: false,
                password: None,
                subject: Some((origin.to_owned(), subject.to_owned())),
            };
            match self.accounts.create(&new).await {
                // Whoever has come at the same time has made it, or somebody has the handle.
                Ok(()) | Err(CreateError::Taken | CreateError::Exists | CreateError::NotInvited) => {}
                Err(CreateError::Store(cause)) => return Err(cause),
            }
        }
    }

    /// Notes what was shown, and gives whose it is.
    fn take(&self, account: &Account, shown: &str, until: Until, rooms: Vec<(Group, String)>) -> Who {
        let mut open = self.open.lock();
        if open.shown.len() >= open.room {
            // What is held open has to be ended when it is over. Whatever else it is, is called otherwise the next time, which nobody sees.
            open.shown.retain(|_, entry| self.leases.holds(&entry.account, &entry.session));
            open.room = OPEN.max(2 * open.shown.len());
        }
        let fresh = || Open {
            session: random::hex_128().into(),
            account: account.id.clone(),
            seen: Instant::now(),
            until: until.clone(),
        };
        let entry = open.shown.entry(Sha256::digest(shown).into()).or_insert_with(fresh);
        if entry.account != account.id || self.leases.is_over(&entry.session) {
            *entry = fresh();
        }
        entry.seen = Instant::now();
        let person =
            Person { handle: Some(account.handle.to_string()), ..Person::new(account.id.clone(), account.name.clone()) };
        Who::Account(Arc::new(SignedIn {
            person,
            handle: account.handle.clone(),
            session: Arc::clone(&entry.session),
            is_administrator: account.is_administrator,
            // That is for the other site to ask for.
            lacks_second_factor: false,
            elsewhere: Some(match entry.until {
                Until::Django { .. } => SignedInBy::Project,
                Until::Time(_) => SignedInBy::Token,
            }),
            rooms: rooms.into(),
            language: account.language,
        }))
    }

    /// Ends what is open and over, and forgets what nobody shows.
    async fn check(&self, ask_django: bool) {
        let open: Vec<(Shown, Open)> = {
            let open = &mut self.open.lock().shown;
            open.retain(|_, entry| entry.seen.elapsed() < IDLE || self.leases.holds(&entry.account, &entry.session));
            open.iter().map(|(shown, entry)| (*shown, entry.clone())).collect()
        };
        let now = now();
        let (mut over, mut of_project) = (Vec::new(), Vec::new());
        for (shown, entry) in &open {
            match &entry.until {
                Until::Time(end) if *end <= now => over.push((shown, entry)),
                Until::Time(_) => {}
                Until::Django { cookie, user } => of_project.push((shown, entry, cookie.as_str(), user)),
            }
        }
        if let Some(Project { people: django, .. }) = self.project.as_ref().filter(|_| ask_django && !of_project.is_empty()) {
            let cookies: Vec<&str> = of_project.iter().map(|(_, _, cookie, _)| *cookie).collect();
            match django.users(&cookies).await {
                Ok(users) => {
                    self.note(false);
                    let of = of_project.into_iter().zip(users);
                    let gone = of.filter(|((_, _, _, user), now)| now.as_ref().is_none_or(|now| now.id != **user));
                    over.extend(gone.map(|((shown, entry, ..), _)| (shown, entry)));
                }
                Err(trouble) => {
                    self.trouble(&trouble);
                }
            }
        }
        for (shown, entry) in over {
            self.open.lock().shown.remove(shown);
            self.leases.end_session(&entry.account, &entry.session).await;
        }
    }
}

async fn keep(elsewhere: Weak<Elsewhere>) {
    for turn in (0..OF_DJANGO).cycle() {
        tokio::time::sleep(CHECK).await;
        let Some(elsewhere) = elsewhere.upgrade() else { return };
        elsewhere.check(turn == 0).await;
    }
}

/// What an account may be mentioned by: what is wished, as far as it can be, and the first of it with numbers.
fn handles<'w>(wished: impl IntoIterator<Item = &'w str>) -> impl Iterator<Item = Handle> {
    const LONGEST: usize = 24;
    let can_be = |wish: &str| {
        let kept: String = wish.chars().map(|sign| if sign == '@' || sign == '+' { '_' } else { sign }).collect();
        let kept: String = kept.chars().filter(|sign| sign.is_alphanumeric() || "_-. ".contains(*sign)).take(LONGEST).collect();
        kept.trim_start_matches(|sign: char| !sign.is_alphanumeric()).parse::<Handle>().ok()
    };
    let good: Vec<Handle> = wished.into_iter().filter_map(|wish| wish.parse().ok().or_else(|| can_be(wish))).collect();
    let first = good.first().map_or_else(|| "user".to_owned(), |handle| handle.as_str().chars().take(LONGEST).collect());
    // As many as are there; from then on such as nobody has.
    let numbered = (2..100).map(|number| number.to_string()).chain(std::iter::repeat_with(random::hex_128));
    let numbered = numbered.filter_map(move |number| format!("{first}-{}", number.get(..6).unwrap_or(&number)).parse().ok());
    good.into_iter().chain(numbered)
}

impl From<NotTaken> for Unknown {
    fn from(not_taken: NotTaken) -> Self {
        match not_taken {
            NotTaken::Refused(refused) => Self::Refused(refused),
            NotTaken::Deactivated => Self::Deactivated,
            NotTaken::NotNow => Self::NotNow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{
        layers::{ChannelLayer, MemoryLayer, MemoryOptions},
        lease::{About, Closed, Holder, Taken},
        presence::{Presence, Times},
        settings::AccountSettings,
        store::{Durability, Records, SqliteStore},
    };

    struct Holds;

    impl Holder for Holds {
        fn take_back(&self, _: &Taken) {}

        fn about(&self) -> About {
            About { kind: "test", name: "Ann".to_owned(), since: 0, address: None, topics: 1 }
        }

        fn close(&self, _: Closed) {}
    }

    async fn elsewhere(folder: &tempfile::TempDir) -> Arc<Elsewhere> {
        let layer: Arc<dyn ChannelLayer> = Arc::new(MemoryLayer::new(MemoryOptions::default()).unwrap());
        let presence = Presence::start(Arc::clone(&layer), Times::default(), Arc::default(), |_| "node!p0".parse().unwrap());
        let leases = Leases::start(layer, &presence, Duration::from_hours(1), |_| "node!l0".parse().unwrap()).await;
        let (store, _) = SqliteStore::open(folder.path(), Durability::Process).unwrap();
        let records: Arc<dyn Records> = Arc::new(store);
        let settings = AccountSettings::default();
        let accounts = Accounts::start(records, &leases, &Arc::default(), &settings, false).await.unwrap();
        Elsewhere::start(&accounts, &leases, None, Sites::new(&[]))
    }

    #[tokio::test]
    async fn what_was_shown_is_bounded_and_what_is_held_open_by_it_stays() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = elsewhere(&folder).await;
        let handle: Handle = "ann".parse().unwrap();
        let (id, name) = ("a1".to_owned(), "Ann".to_owned());
        let account =
            Account { id, handle, name, is_administrator: false, password: None, is_deactivated: false, language: None };
        let shows = |token: &str| {
            let who = elsewhere.take(&account, token, Until::Time(u64::MAX), Vec::new());
            Arc::clone(who.session().expect("signed in"))
        };
        let held = shows("held");
        let lease = elsewhere.leases.grant("a1", Some(&held), &Arc::new(Holds));
        for n in 0..3 * OPEN {
            shows(&n.to_string());
            assert!(elsewhere.open.lock().shown.len() <= OPEN);
        }
        assert_eq!(shows("held"), held, "it is what it was called before");
        drop(lease);
        for n in 0..2 * OPEN {
            shows(&format!("again {n}"));
        }
        assert_ne!(shows("held"), held);
    }
}
