//! The forms of accounts. GET shows, POST acts, and all of them take the server's own origin alone (`routing`).
//!
//! | | |
//! |---|---|
//! | `sign_up` | makes an account |
//! | `sign_in` | in and out, and by another site's token |
//! | `links` | who somebody is, said once: a server is set up, a password chosen anew, another device signed in |
//! | `own` | one's own page: name, password, devices |
//! | `owner` | who may do something to an account: by their session and their password |
//! | `leave` | the file with one's data, and the end of an account |
//! | `second_factor` | the codes of an app, at signing in and on a page of one's own |

mod leave;
mod links;
mod own;
mod owner;
mod second_factor;
mod sign_in;
mod sign_up;

use std::time::Duration;

use axum::{
    extract::Query,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse as _, Redirect, Response},
    routing::{get, post},
};
use serde::Deserialize;

use super::{
    form::{Field, alert},
    html::{Html, html},
    plain::{Instead, page},
    render::with_cookies,
};
use crate::{
    locales::accounts as say,
    server::{
        accounts::{Busy, ChosenPassword, Guest, Handle, InvalidPassword, Password, Purpose},
        services::Services,
        store::StoreError,
        visitors::Subnet,
        who::{Asks, Route, SECOND_FACTOR, Who},
    },
    wire::Timestamp,
};

/// The addresses of accounts.
pub(in crate::server) const ROUTES: [Route; 12] = [
    Route {
        path: "/signup",
        methods: &["GET", "POST"],
        asks: Asks::Person,
        handlers: || get(sign_up::show).post(sign_up::act),
    },
    Route { path: "/login", methods: &["GET", "POST"], asks: Asks::Person, handlers: || get(sign_in::show).post(sign_in::act) },
    Route { path: "/login/code", methods: &["POST"], asks: Asks::Person, handlers: || post(second_factor::sign_in) },
    Route { path: TOKEN, methods: &["POST"], asks: Asks::Person, handlers: || post(sign_in::by_token) },
    Route {
        path: "/logout",
        methods: &["GET", "POST"],
        asks: Asks::Person,
        handlers: || get(sign_in::show_out).post(sign_in::out),
    },
    Route { path: "/account/", methods: &["GET", "POST"], asks: Asks::Person, handlers: || get(own::show).post(own::act) },
    Route { path: leave::HERE, methods: &["GET", "POST"], asks: Asks::Person, handlers: || get(leave::show).post(leave::act) },
    Route { path: leave::DATA, methods: &["GET"], asks: Asks::Person, handlers: || get(leave::data) },
    Route {
        path: SECOND_FACTOR,
        methods: &["GET", "POST"],
        asks: Asks::Person,
        handlers: || get(second_factor::show).post(second_factor::act),
    },
    Route {
        path: "/setup/{token}",
        methods: &["GET", "POST"],
        asks: Asks::Person,
        handlers: || get(links::show_set_up).post(links::set_up),
    },
    Route {
        path: "/reset/{token}",
        methods: &["GET", "POST"],
        asks: Asks::Person,
        handlers: || get(links::show_reset).post(links::reset),
    },
    Route {
        path: "/device/{token}",
        methods: &["GET", "POST"],
        asks: Asks::Person,
        handlers: || get(links::show_device).post(links::device),
    },
];

/// Takes a token of another site; pages of the origins that the settings name may send this form, too.
pub(in crate::server) const TOKEN: &str = "/login/token";

/// When to try again what cannot be done now, in seconds.
const LATER: u64 = 1;

/// What the forms of accounts send, and what their addresses say after `?`; each has what it needs of it.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Typed {
    name: String,
    /// Left as it is where there is none.
    handle: Option<String>,
    password: String,
    new_password: String,
    /// Where it leads to then.
    next: String,
    invite: String,
    /// The session of this page has ended.
    over: String,
    /// The password that was chosen would be guessed soon.
    weak: String,
    /// The account was changed as it was asked for.
    done: String,
    everywhere: String,
    /// Of another site.
    token: String,
    /// Which form of one's own page.
    r#do: String,
    session: String,
    /// Of an authenticator app, or on paper.
    code: String,
    /// Says that the password was right.
    pending: String,
    /// What becomes of what one has written.
    said: String,
}

impl Typed {
    /// What an address says after `?`.
    fn asked(uri: &Uri) -> Self {
        Query::try_from_uri(uri).map(|Query(asked)| asked).unwrap_or_default()
    }
}

/// What was wrong with a name or a password.
#[derive(Default)]
struct Wrong {
    name: Option<String>,
    handle: Option<String>,
    password: Option<String>,
    /// What is said of a password that can be taken.
    advice: Option<String>,
    /// With the password by which one deactivates the account.
    deactivation: Option<String>,
}

impl Wrong {
    fn name(error: impl ToString) -> Self {
        Self { name: Some(error.to_string()), ..Self::default() }
    }

    fn password(error: impl ToString) -> Self {
        Self { password: Some(error.to_string()), ..Self::default() }
    }
}

fn name_field(value: &str, hint: &'static str, error: Option<String>) -> Html {
    Field { name: "name", label: say::name(), autocomplete: "username", value, hint, error, ..Field::default() }.html()
}

/// By what somebody is mentioned.
fn handle(handle: &Handle) -> Html {
    html!("<strong>@<bdi>{}</bdi></strong>", handle.as_str())
}

/// For a password that somebody has.
fn password_field(label: &str, error: Option<String>) -> Html {
    Field { name: "password", label, kind: "password", autocomplete: "current-password", error, ..Field::default() }.html()
}

/// Whose password is asked for, so that a browser keeps and offers it under this name.
fn username(handle: &str) -> Html {
    html!("<input type=\"hidden\" autocomplete=\"username\" value=\"{}\">", handle)
}

/// For one that is chosen.
fn new_password_field(name: &str, label: &str, error: Option<String>, advice: Option<&str>) -> Html {
    let (kind, autocomplete, hint) = ("password", "new-password", advice.unwrap_or_else(|| say::password_hint()));
    Field { name, label, kind, autocomplete, hint, error, ..Field::default() }.html()
}

fn now() -> i64 {
    Timestamp::now().as_millis()
}

/// An answer that says when to come again.
fn later(mut response: Response, wait: Duration) -> Response {
    let seconds = wait.as_secs().max(LATER);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// What is said instead where something was done too often.
fn too_often(title: &str, who: &Who, text: &str, wait: Duration) -> Instead {
    later(page(StatusCode::TOO_MANY_REQUESTS, title, who, &alert(text)), wait).into()
}

/// Somebody has changed too often how others see them.
pub(super) fn changed_too_often(who: &Who, wait: Duration) -> Instead {
    let minutes = wait.as_secs().div_ceil(60);
    too_often(say::your_account(), who, &say::changed_too_often(minutes), wait)
}

/// The server has too much to do to look at a password.
fn busy(title: &str, who: &Who) -> impl FnOnce(Busy) -> Instead {
    move |busy| {
        let status = match busy {
            Busy::Address => StatusCode::TOO_MANY_REQUESTS,
            Busy::All => StatusCode::SERVICE_UNAVAILABLE,
        };
        let text = alert(say::busy());
        later(page(status, title, who, &text), Duration::from_secs(LATER)).into()
    }
}

/// A password that somebody of these names chooses, when it is their address's turn.
async fn chosen(
    services: &Services,
    title: &str,
    (who, address): (&Who, Subnet),
    text: &str,
    names: &[&str],
) -> Result<Result<ChosenPassword, InvalidPassword>, Instead> {
    let passwords = &services.passwords;
    let chosen = async { passwords.choose(passwords.turn(address).await?, text.to_owned(), names).await };
    chosen.await.map_err(busy(title, who))
}

/// The hash of a password that somebody has chosen, when it is their address's turn.
async fn hashed(services: &Services, title: &str, who: &Who, address: Subnet, password: Password) -> Result<String, Instead> {
    let hash = async { services.passwords.hash(services.passwords.turn(address).await?, password).await };
    hash.await.map_err(busy(title, who))
}

/// Lets somebody in who has shown that they are this account: asks for their second factor, or begins a session.
async fn admit(services: &Services, who: &Who, account: &str, to: &str, headers: &HeaderMap) -> Result<Response, StoreError> {
    if services.accounts.second_factors.is_on(account).await? {
        let pending = services.accounts.records.make_link(Purpose::Code, Some(account), now()).await?;
        return Ok(second_factor::asked(who, StatusCode::OK, pending.reveal(), to, None));
    }
    begin(services, who, account, to, headers).await
}

/// Begins a session on this browser, which ends the one that it had, and leads to where it was asked for.
async fn begin(services: &Services, who: &Who, account: &str, to: &str, headers: &HeaderMap) -> Result<Response, StoreError> {
    let token = services.accounts.begin(account, &described(headers)).await?;
    if let Who::Account(before) = who {
        services.accounts.end(&before.person.id, &before.session).await?;
    }
    let mut response = Redirect::to(to).into_response();
    if who.person().id == account {
        // The guest's secret is worth nothing any more.
        response = with_cookies(response, &Guest::forgotten());
    }
    Ok(with_cookies(response, &[token.cookie(headers)]))
}

/// The browser and the system, as far as the browser says it.
fn described(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    // Each also says that it is those after it.
    let first = |names: &[(&str, &'static str)]| names.iter().find(|(sign, _)| agent.contains(sign)).map(|(_, name)| *name);
    let browser =
        first(&[("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari")]);
    let system = first(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => say::on_system(browser, system),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => agent
            .split(['/', ' '])
            .next()
            .filter(|name| !name.is_empty())
            .map_or_else(|| say::unknown_browser().to_owned(), |name| name.chars().take(40).collect()),
    }
}
