//! The forms of accounts: to make one, to sign in and out, to set a server up, to take another password, and one's own page.
//!
//! GET shows, POST acts. All of them take the server's own origin alone (`routing`).

use std::{collections::HashMap, fmt::Write as _, sync::Arc, time::Duration};

use axum::{
    Extension, Form,
    extract::{FromRequest, FromRequestParts as _, Path, Query, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Redirect, Response},
    routing::{get, post},
};
use qrcodegen::{QrCode, QrCodeEcc};
use tracing::{debug, info};

use super::{
    address, own_path,
    plain::{Field, alert, hidden, page},
    refused, rename,
    render::with_cookies,
    split,
};
use crate::{
    app::words,
    server::{
        accounts::{
            Account, Accounts, Asker, Busy, CreateError, Guest, Handle, InvalidPassword, Kind, LONGEST_IN_COOKIE, NewAccount,
            NotTaken, Password, Purpose, SignedIn, SignedInBy, Token,
        },
        percent::percent_encode,
        problem::Problem,
        rooms::Code,
        services::Services,
        settings::SignUp,
        store::StoreError,
        visitors::Visitor,
        who::{Asks, Route, Who},
    },
    wire::{Person, PersonName, Timestamp},
};

/// The addresses of accounts.
pub(in crate::server) const ROUTES: [Route; 8] = [
    Route { path: "/signup", methods: &["GET", "POST"], asks: Asks::Person, handlers: || get(show_sign_up).post(sign_up) },
    Route { path: "/login", methods: &["GET", "POST"], asks: Asks::Person, handlers: || get(show_sign_in).post(sign_in) },
    Route { path: TOKEN, methods: &["POST"], asks: Asks::Person, handlers: || post(sign_in_by_token) },
    Route { path: "/logout", methods: &["GET", "POST"], asks: Asks::Person, handlers: || get(show_sign_out).post(sign_out) },
    Route { path: "/account/", methods: &["GET", "POST"], asks: Asks::Person, handlers: || get(show_account).post(account) },
    Route { path: "/setup/{token}", methods: &["GET", "POST"], asks: Asks::Person, handlers: || get(show_set_up).post(set_up) },
    Route { path: "/reset/{token}", methods: &["GET", "POST"], asks: Asks::Person, handlers: || get(show_reset).post(reset) },
    Route {
        path: "/device/{token}",
        methods: &["GET", "POST"],
        asks: Asks::Person,
        handlers: || get(show_device).post(device),
    },
];

/// Takes a token of another site; pages of the origins that the settings name may send this form, too.
pub(in crate::server) const TOKEN: &str = "/login/token";

/// What a password should be.
const PASSWORD: &str =
    "8 to 1,024 bytes. Four words that have nothing to do with each other are better than one with signs in it.";
/// What a name may be.
const NAME: &str =
    "Others see it and mention you by it: letters and digits of any script, with spaces or any of _ - . between them.";
/// What is said whatever was wrong, so that nobody learns which names there are.
const WRONG: &str = "The name or the password is wrong.";
/// What is said to whose session has ended while they had a page open.
const OVER: &str = "You were signed out on this device: here, from another one, or since the password is another one now.";
/// When to try again what cannot be done now, in seconds.
const LATER: u64 = 1;

/// What was typed.
type Typed = HashMap<String, String>;

/// A form; the page that is shown instead where it cannot be read.
async fn typed(request: Request, who: &Who) -> Result<Typed, Response> {
    match Form::<Typed>::from_request(request, &()).await {
        Ok(Form(typed)) => Ok(typed),
        Err(rejection) => Err(page(rejection.status(), "That was not understood", who, &alert(&rejection.body_text()))),
    }
}

fn field<'t>(typed: &'t Typed, name: &str) -> &'t str {
    typed.get(name).map_or("", String::as_str)
}

/// What the address says after `?`.
fn asked(request: &Request) -> Typed {
    Query::<Typed>::try_from_uri(request.uri()).map(|Query(asked)| asked).unwrap_or_default()
}

fn now() -> i64 {
    Timestamp::now().as_millis()
}

fn later(mut response: Response, wait: Duration) -> Response {
    let seconds = wait.as_secs().max(LATER);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// The server has too much to do to look at a password.
fn busy(title: &str, who: &Who) -> Response {
    let text = alert("Too many people sign in at this moment. Try again in a few seconds.");
    later(page(StatusCode::SERVICE_UNAVAILABLE, title, who, &text), Duration::from_secs(LATER))
}

// A name and a password, which several forms have.

/// What was wrong with a name or a password.
#[derive(Default)]
struct Wrong {
    name: Option<String>,
    password: Option<String>,
}

/// A name and a password that were chosen.
struct Chosen {
    name: PersonName,
    handle: Handle,
    password: Password,
}

impl Chosen {
    fn read(typed: &Typed) -> Result<Self, Wrong> {
        let typed_name = field(typed, "name");
        let handle = typed_name.parse::<Handle>().map_err(|error| error.to_string());
        let name = typed_name.parse::<PersonName>().map_err(|error| error.to_string());
        let password = Password::chosen(field(typed, "password").to_owned(), typed_name).map_err(|error| error.to_string());
        match (name, handle, password) {
            (Ok(name), Ok(handle), Ok(password)) => Ok(Self { name, handle, password }),
            (name, handle, password) => Err(Wrong { name: handle.err().or(name.err()), password: password.err() }),
        }
    }
}

fn name_field(value: &str, hint: &'static str, error: Option<String>) -> String {
    Field { name: "name", label: "Name", autocomplete: "username", value, hint, error, ..Field::default() }.html()
}

fn password_field<'f>(name: &'f str, label: &'f str, is_new: bool, error: Option<String>) -> String {
    let (autocomplete, hint) = if is_new { ("new-password", PASSWORD) } else { ("current-password", "") };
    Field { name, label, kind: "password", autocomplete, hint, error, ..Field::default() }.html()
}

/// Why there is no account of what was chosen.
enum NotMade {
    Wrong(Wrong),
    /// This is answered.
    Instead(Box<Response>),
}

/// Makes an account of what was chosen; gives whoever it is now.
async fn make(
    services: &Services,
    who: &Who,
    Chosen { name, handle, password }: Chosen,
    is_administrator: bool,
) -> Result<Person, NotMade> {
    const TAKEN: &str = "Somebody has this name, or one that looks like it; take another one";
    let taken = || NotMade::Wrong(Wrong { name: Some(TAKEN.to_owned()), password: None });
    let not_now = |cause: StoreError| {
        debug!(%cause, "an account could not be made");
        let text = alert("The account cannot be made now. Try again in a moment.");
        NotMade::Instead(Box::new(page(StatusCode::SERVICE_UNAVAILABLE, "Sign up", who, &text)))
    };
    // Before the work of a hash.
    match services.accounts.records.by_handle(&handle).await {
        Ok(None) => {}
        Ok(Some(_)) => return Err(taken()),
        Err(cause) => return Err(not_now(cause)),
    }
    let Ok(password) = services.passwords.hash(password).await else {
        return Err(NotMade::Instead(Box::new(busy("Sign up", who))));
    };
    // Whoever was a guest keeps what they wrote.
    let id = match who {
        Who::Guest(guest) if !guest.is_new => guest.person.id.clone(),
        _ => Accounts::fresh_id(),
    };
    let password = Some(password);
    let new = NewAccount { id, handle, name, is_administrator, password, subject: None };
    match services.accounts.create(&new).await {
        Ok(()) => Ok(Person { id: new.id, name: new.name.into_string(), handle: Some(new.handle.to_string()) }),
        Err(CreateError::Taken | CreateError::Exists) => Err(taken()),
        Err(CreateError::Store(cause)) => Err(not_now(cause)),
    }
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
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => agent
            .split(['/', ' '])
            .next()
            .filter(|name| !name.is_empty())
            .map_or_else(|| "An unknown browser".to_owned(), |name| name.chars().take(40).collect()),
    }
}

// Signing up.

/// `GET /signup`
async fn show_sign_up(State(services): State<Arc<Services>>, who: Who, request: Request) -> Response {
    let asked = asked(&request);
    sign_up_form(&services, &who, StatusCode::OK, &asked, Wrong::default()).await
}

/// `POST /signup`: makes an account, and signs its owner in.
async fn sign_up(
    State(services): State<Arc<Services>>,
    Extension(visitor): Extension<Visitor>,
    who: Who,
    request: Request,
) -> Response {
    let (request_page, request) = split(request);
    let typed = match typed(request, &who).await {
        Ok(typed) => typed,
        Err(response) => return response,
    };
    let invite = match admitted(&services, &typed).await {
        Ok(Admitted::No) => return sign_up_form(&services, &who, StatusCode::FORBIDDEN, &typed, Wrong::default()).await,
        Ok(Admitted::Yes(invite)) => invite,
        Err(problem) => return refused(problem, request_page).await,
    };
    let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
    let chosen = match Chosen::read(&typed) {
        Ok(chosen) => chosen,
        Err(wrong) => return sign_up_form(&services, &who, unprocessable, &typed, wrong).await,
    };
    if let Err(wait) = services.attempts.sign_up(visitor.household()) {
        let text = alert("Many accounts were made from your address of late. Try again in a few minutes.");
        return later(page(StatusCode::TOO_MANY_REQUESTS, "Sign up", &who, &text), wait);
    }
    let folded = chosen.handle.folded();
    let person = match make(&services, &who, chosen, false).await {
        Ok(person) => person,
        Err(NotMade::Wrong(wrong)) => return sign_up_form(&services, &who, unprocessable, &typed, wrong).await,
        Err(NotMade::Instead(response)) => return *response,
    };
    services.attempts.succeeded(&folded, visitor.household());
    let mut to = own_path(field(&typed, "next")).to_owned();
    if let Some(code) = invite {
        // It was good a moment ago. Where it is not any more, the account is there all the same.
        match services.rooms.join(Asker { person: &person, kind: Kind::Account }, &code).await {
            Ok(group) => to = format!("/room/{group}/"),
            Err(cause) => debug!(%cause, "an invitation was not good any more for a new account"),
        }
    }
    match begin(&services, &who, &person.id, &to, request_page.headers()).await {
        Ok(response) => response,
        Err(cause) => refused(cause, request_page).await,
    }
}

/// Whether somebody may make an account.
enum Admitted {
    No,
    /// By this invitation, if it takes one or one was given.
    Yes(Option<Code>),
}

async fn admitted(services: &Services, typed: &Typed) -> Result<Admitted, Problem> {
    let code = match field(typed, "invite").parse::<Code>() {
        Ok(code) if services.sign_up != SignUp::Closed => {
            let invited = services.rooms.invited(&code).await.map_err(|_| Problem::Unavailable)?;
            invited.map(|_| code)
        }
        _ => None,
    };
    Ok(match (services.sign_up, code) {
        (SignUp::Open, code) => Admitted::Yes(code),
        (SignUp::Invite, Some(code)) => Admitted::Yes(Some(code)),
        (SignUp::Invite, None) | (SignUp::Closed, _) => Admitted::No,
    })
}

async fn sign_up_form(services: &Services, who: &Who, status: StatusCode, typed: &Typed, wrong: Wrong) -> Response {
    if who.signed_in().is_some() {
        let text = "<p>You have an account, and are signed in with it.</p><p><a class=\"button\" href=\"/account/\">Your account</a></p>";
        return page(status, "Sign up", who, text);
    }
    let next = words(&percent_encode(field(typed, "next")));
    let sign_in = format!("<p>You have an account? <a href=\"/login?next={next}\">Sign in</a></p>");
    let may = match admitted(services, typed).await {
        Ok(Admitted::Yes(_)) => true,
        Ok(Admitted::No) => false,
        Err(_) => {
            let text = alert("It cannot be said now whether your invitation is good. Try again in a moment.");
            return page(StatusCode::SERVICE_UNAVAILABLE, "Sign up", who, &text);
        }
    };
    if !may {
        let text = match services.sign_up {
            SignUp::Closed => "Accounts are made by the administrators of this server.",
            _ if field(typed, "invite").is_empty() => {
                "To make an account here takes an invitation: a link that somebody gives you."
            }
            _ => "This invitation is not good any more. Ask whoever gave it to you for another one.",
        };
        return page(status, "Sign up", who, &format!("<p>{text}</p>{sign_in}"));
    }
    let keeps = match who {
        Who::Guest(guest) if !guest.is_new => "<p>What you have written as a guest stays yours.</p>",
        _ => "",
    };
    let main = format!(
        "{keeps}<form method=\"post\" action=\"/signup\">{}{}{}{}<p><button type=\"submit\">Sign up</button></p></form>{sign_in}",
        name_field(field(typed, "name"), NAME, wrong.name),
        password_field("password", "Password", true, wrong.password),
        hidden("next", field(typed, "next")),
        hidden("invite", field(typed, "invite")),
    );
    page(status, "Sign up", who, &main)
}

// Signing in and out.

/// `GET /login`
async fn show_sign_in(State(services): State<Arc<Services>>, who: Who, request: Request) -> Response {
    if who.signed_in().is_some() {
        return Redirect::to(own_path(field(&asked(&request), "next"))).into_response();
    }
    sign_in_form(&services, &who, StatusCode::OK, &asked(&request), None)
}

/// `POST /login`
async fn sign_in(
    State(services): State<Arc<Services>>,
    Extension(visitor): Extension<Visitor>,
    who: Who,
    request: Request,
) -> Response {
    let (request_page, request) = split(request);
    let typed = match typed(request, &who).await {
        Ok(typed) => typed,
        Err(response) => return response,
    };
    let form = |status, wrong| sign_in_form(&services, &who, status, &typed, Some(wrong));
    let (unprocessable, address) = (StatusCode::UNPROCESSABLE_ENTITY, visitor.household());
    let password = match Password::shown(field(&typed, "password").to_owned()) {
        Ok(password) => password,
        Err(error) => return form(unprocessable, format!("{error}.")),
    };
    let handle = field(&typed, "name").parse::<Handle>().ok();
    let folded = handle.as_ref().map(Handle::folded).unwrap_or_default();
    if let Err(wait) = services.attempts.may(&folded, address) {
        let minutes = wait.as_secs() / 60 + 1;
        let wrong = format!("There were too many wrong passwords. Try again in {minutes} min.");
        return later(form(StatusCode::TOO_MANY_REQUESTS, wrong), wait);
    }
    let found = match &handle {
        Some(handle) => services.accounts.records.by_handle(handle).await,
        None => Ok(None),
    };
    let found = match found {
        Ok(found) => found.filter(|account| !account.is_deactivated),
        Err(cause) => return refused(cause, request_page).await,
    };
    match is_right(&services, found.as_ref(), password, field(&typed, "password")).await {
        Ok(true) => {}
        Ok(false) => {
            services.attempts.failed(&folded, address);
            return form(unprocessable, WRONG.to_owned());
        }
        Err(Busy) => return busy("Sign in", &who),
    }
    services.attempts.succeeded(&folded, address);
    let Some(account) = found else { return form(unprocessable, WRONG.to_owned()) };
    let to = own_path(field(&typed, "next"));
    match begin(&services, &who, &account.id, to, request_page.headers()).await {
        Ok(response) => response,
        Err(cause) => refused(cause, request_page).await,
    }
}

/// `POST /login/token`: another site signs somebody in by its token, and leads on to `next`.
async fn sign_in_by_token(State(services): State<Arc<Services>>, who: Who, request: Request) -> Response {
    let (request_page, request) = split(request);
    let typed = match typed(request, &who).await {
        Ok(typed) => typed,
        Err(response) => return response,
    };
    let token = field(&typed, "token");
    let not = |status, why: &str| page(status, "You are not signed in", &who, &alert(why));
    match services.elsewhere.by_token(token).await {
        Ok(_) if token.len() > LONGEST_IN_COOKIE => {
            let why =
                format!("The token of the other site is too long: a browser keeps at most {LONGEST_IN_COOKIE} bytes of it.");
            not(StatusCode::UNPROCESSABLE_ENTITY, &why)
        }
        Ok(_) => {
            // Who was signed in by a session of ours is somebody else from now on.
            if let Who::Account(signed_in) = &who
                && services.elsewhere.signed_in_by(signed_in).is_none()
                && let Err(cause) = services.accounts.end(&signed_in.person.id, &signed_in.session).await
            {
                return refused(cause, request_page).await;
            }
            let response = Redirect::to(own_path(field(&typed, "next"))).into_response();
            let response = with_cookies(response, &Token::forgotten());
            with_cookies(response, &[services.elsewhere.cookie(request_page.headers(), token)])
        }
        Err(NotTaken::Refused(why)) => {
            not(StatusCode::UNPROCESSABLE_ENTITY, &format!("The other site's token is not taken: {why}."))
        }
        Err(NotTaken::Deactivated) => not(StatusCode::FORBIDDEN, "This account was deactivated."),
        Err(NotTaken::NotNow) => refused(Problem::Unavailable, request_page).await,
    }
}

/// Whether a password is an account's; one that was hashed at another cost is hashed anew.
async fn is_right(services: &Services, account: Option<&Account>, password: Password, typed: &str) -> Result<bool, Busy> {
    let hash = account.and_then(|account| account.password.as_deref());
    let checked = services.passwords.check(password, hash).await?;
    if checked.is_right
        && checked.is_outdated
        && let Some(account) = account
        && let Ok(password) = Password::shown(typed.to_owned())
        // Otherwise the next time.
        && let Ok(hash) = services.passwords.hash(password).await
        && let Err(cause) = services.accounts.records.set_password(&account.id, &hash).await
    {
        debug!(%cause, "a password could not be hashed anew");
    }
    Ok(checked.is_right)
}

fn sign_in_form(services: &Services, who: &Who, status: StatusCode, typed: &Typed, wrong: Option<String>) -> Response {
    let wrong = match wrong {
        Some(wrong) => alert(&wrong),
        // A page leads here whose connection was closed.
        None if !field(typed, "over").is_empty() => format!("<p role=\"status\">{OVER}</p>"),
        None => String::new(),
    };
    let next = field(typed, "next");
    let sign_up = match services.sign_up {
        SignUp::Open => format!("<p>New here? <a href=\"/signup?next={}\">Sign up</a></p>", words(&percent_encode(next))),
        SignUp::Invite => "<p>New here? An invitation lets you sign up: a link that somebody gives you.</p>".to_owned(),
        SignUp::Closed => String::new(),
    };
    let main = format!(
        "{wrong}<form method=\"post\" action=\"/login\">{}{}{}<p><button type=\"submit\">Sign in</button></p></form>{sign_up}\
         <p class=\"hint\">Forgotten? An administrator can give you a link with which you choose another password.</p>",
        name_field(field(typed, "name"), "", None),
        password_field("password", "Password", false, None),
        hidden("next", next),
    );
    page(status, "Sign in", who, &main)
}

/// Who is signed in elsewhere is so until that site says otherwise; what they could do on their page here would outlast it.
fn signed_in_elsewhere(who: &Who, signed_in: &SignedIn, status: StatusCode, by: SignedInBy) -> Response {
    let how = match by {
        SignedInBy::Project => "<p>You are signed in by the site that this server belongs to. Your name and your password are changed there; \
                                and when you sign out there, you are signed out here.</p>"
            .to_owned(),
        SignedInBy::Token => "<p>You are signed in by another site, until it says otherwise. Your name and your password are changed there.</p>\
                              <form method=\"post\" action=\"/logout\"><p><button type=\"submit\">Sign out here</button></p></form>"
            .to_owned(),
    };
    let main = format!("<p>You are mentioned as <strong>@<bdi>{}</bdi></strong>.</p>{how}", words(signed_in.handle.as_str()));
    page(status, "Your account", who, &main)
}

/// `GET /logout`
async fn show_sign_out(State(services): State<Arc<Services>>, who: Who) -> Response {
    if let Who::Account(signed_in) = &who
        && let Some(by) = services.elsewhere.signed_in_by(signed_in)
    {
        return signed_in_elsewhere(&who, signed_in, StatusCode::OK, by);
    }
    let main = "<form method=\"post\" action=\"/logout\"><p><button type=\"submit\">Sign out here</button> \
                <button type=\"submit\" name=\"everywhere\" value=\"yes\">Sign out everywhere</button></p></form>";
    page(StatusCode::OK, "Sign out", &who, main)
}

/// `POST /logout`: signs out here, or with `everywhere` on all devices.
async fn sign_out(State(services): State<Arc<Services>>, who: Who, request: Request) -> Response {
    let (request_page, request) = split(request);
    let typed = match typed(request, &who).await {
        Ok(typed) => typed,
        Err(response) => return response,
    };
    if let Who::Account(signed_in) = &who
        && services.elsewhere.signed_in_by(signed_in) == Some(SignedInBy::Project)
    {
        return signed_in_elsewhere(&who, signed_in, StatusCode::FORBIDDEN, SignedInBy::Project);
    }
    if let Who::Account(signed_in) = &who
        && !field(&typed, "everywhere").is_empty()
        && let Err(cause) = services.accounts.end_all(&signed_in.person.id, None).await
    {
        return refused(cause, request_page).await;
    }
    super::sign_out(&services, &who, field(&typed, "next"), request_page).await
}

// One's own page.

/// `GET /account/`
async fn show_account(State(services): State<Arc<Services>>, who: Who, request: Request) -> Response {
    match &who {
        Who::Account(signed_in) if let Some(by) = services.elsewhere.signed_in_by(signed_in) => {
            signed_in_elsewhere(&who, signed_in, StatusCode::OK, by)
        }
        Who::Account(signed_in) => own_page(&services, &who, signed_in, StatusCode::OK, Wrong::default(), "", request).await,
        _ => Redirect::to("/login?next=/account/").into_response(),
    }
}

/// `POST /account/`: takes another name or password, ends other sessions, or makes a link for another device.
async fn account(
    State(services): State<Arc<Services>>,
    Extension(visitor): Extension<Visitor>,
    who: Who,
    request: Request,
) -> Response {
    let Who::Account(signed_in) = &who else { return Redirect::to("/login?next=/account/").into_response() };
    if let Some(by) = services.elsewhere.signed_in_by(signed_in) {
        return signed_in_elsewhere(&who, signed_in, StatusCode::FORBIDDEN, by);
    }
    let (request_page, request) = split(request);
    let typed = match typed(request, &who).await {
        Ok(typed) => typed,
        Err(response) => return response,
    };
    let id = signed_in.person.id.as_str();
    let done = match field(&typed, "do") {
        "name" => match field(&typed, "name").parse::<PersonName>() {
            Ok(name) => rename(&services, &who, &name).await,
            Err(error) => {
                let wrong = Wrong { name: Some(error.to_string()), password: None };
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                return own_page(&services, &who, signed_in, status, wrong, field(&typed, "name"), request_page).await;
            }
        },
        "password" => return change_password(&services, &who, signed_in, visitor, &typed, request_page).await,
        // Another's session is none of theirs: then there is nothing to end.
        "revoke" => services.accounts.end(id, field(&typed, "session")).await.map(|_| ()),
        "revoke_others" => services.accounts.end_all(id, Some(&signed_in.session)).await,
        "device" => match services.accounts.records.make_link(Purpose::Device, Some(id), now()).await {
            Ok(token) => return device_link(&who, &token, request_page.headers()),
            Err(cause) => Err(cause),
        },
        _ => {
            let text = alert("There is no such thing to do on this page.");
            return page(StatusCode::UNPROCESSABLE_ENTITY, "That was not understood", &who, &text);
        }
    };
    match done {
        Ok(()) => Redirect::to("/account/").into_response(),
        Err(cause) => refused(cause, request_page).await,
    }
}

/// All other sessions end, and this one has another token from now on.
async fn change_password(
    services: &Services,
    who: &Who,
    signed_in: &SignedIn,
    visitor: Visitor,
    typed: &Typed,
    request_page: Request,
) -> Response {
    let id = signed_in.person.id.as_str();
    let folded = signed_in.handle.folded();
    let account = match services.accounts.find(id).await {
        Ok(Some(account)) => account,
        Ok(None) => return refused(Problem::NoAddress, request_page).await,
        Err(cause) => return refused(cause, request_page).await,
    };
    let wrong = async |error: String, request_page| {
        let wrong = Wrong { name: None, password: Some(error) };
        own_page(services, who, signed_in, StatusCode::UNPROCESSABLE_ENTITY, wrong, "", request_page).await
    };
    let chosen = Password::chosen(field(typed, "new_password").to_owned(), signed_in.handle.as_str());
    let new = match chosen {
        Ok(new) => new,
        Err(error) => return wrong(error.to_string(), request_page).await,
    };
    if let Err(wait) = services.attempts.may(&folded, visitor.household()) {
        let text = alert("There were too many wrong passwords. Try again in a few minutes.");
        return later(page(StatusCode::TOO_MANY_REQUESTS, "Your account", who, &text), wait);
    }
    // Whoever came from another site has none yet.
    if account.password.is_some() {
        let shown = match Password::shown(field(typed, "password").to_owned()) {
            Ok(shown) => shown,
            Err(error) => return wrong(error.to_string(), request_page).await,
        };
        match services.passwords.check(shown, account.password.as_deref()).await {
            Ok(checked) if checked.is_right => {}
            Ok(_) => {
                services.attempts.failed(&folded, visitor.household());
                return wrong("The password that you have now is another one".to_owned(), request_page).await;
            }
            Err(Busy) => return busy("Your account", who),
        }
    }
    let Ok(hash) = services.passwords.hash(new).await else { return busy("Your account", who) };
    let done = async {
        services.accounts.records.set_password(id, &hash).await?;
        services.accounts.end_all(id, Some(&signed_in.session)).await?;
        services.accounts.rotate(signed_in).await
    };
    match done.await {
        Ok(token) => with_cookies(Redirect::to("/account/").into_response(), &[token.cookie(request_page.headers())]),
        Err(cause) => refused(cause, request_page).await,
    }
}

async fn own_page(
    services: &Services,
    who: &Who,
    signed_in: &SignedIn,
    status: StatusCode,
    wrong: Wrong,
    typed_name: &str,
    request: Request,
) -> Response {
    let (id, now) = (signed_in.person.id.as_str(), now());
    let read = async { Ok::<_, StoreError>((services.accounts.find(id).await?, services.accounts.devices(id).await?)) };
    let (has_password, devices) = match read.await {
        Ok((account, devices)) => (account.is_some_and(|account| account.password.is_some()), devices),
        Err(cause) => return refused(cause, request).await,
    };
    let mut list = String::new();
    for device in &devices {
        let is_this = *device.session == *signed_in.session;
        let end = if is_this {
            "<strong>This device</strong>".to_owned()
        } else {
            format!(
                "<form method=\"post\" action=\"/account/\">{}{}<button type=\"submit\" class=\"quiet\">Sign it out</button></form>",
                hidden("do", "revoke"),
                hidden("session", &device.session)
            )
        };
        let _ = write!(
            list,
            "<li><span><bdi>{}</bdi> <span class=\"hint\">used {}, signed in {}</span></span>{end}</li>",
            words(&device.device),
            ago(now - device.used_at),
            ago(now - device.created_at),
        );
    }
    let others = if devices.len() > 1 {
        format!(
            "<form method=\"post\" action=\"/account/\">{}<p><button type=\"submit\" class=\"quiet\">Sign out all others</button></p></form>",
            hidden("do", "revoke_others")
        )
    } else {
        String::new()
    };
    let name = if wrong.name.is_some() { typed_name } else { &signed_in.person.name };
    let name = Field {
        name: "name",
        label: "What others call you",
        autocomplete: "nickname",
        value: name,
        error: wrong.name,
        ..Field::default()
    };
    let current = if has_password { password_field("password", "Password now", false, None) } else { String::new() };
    let main = format!(
        "<p>You sign in and are mentioned as <strong>@<bdi>{}</bdi></strong>.</p>\
         <form method=\"post\" action=\"/account/\">{}{}<p><button type=\"submit\">Save</button></p></form>\
         <h2>Password</h2><form method=\"post\" action=\"/account/\">{}{current}{}\
         <p class=\"hint\">All other devices are signed out.</p><p><button type=\"submit\">Change the password</button></p></form>\
         <h2>Devices</h2><ul class=\"devices\">{list}</ul>{others}\
         <form method=\"post\" action=\"/account/\">{}<p><button type=\"submit\" class=\"quiet\">Sign in on another device</button></p></form>\
         <h2>Sign out</h2><form method=\"post\" action=\"/logout\"><p><button type=\"submit\">Sign out here</button> \
         <button type=\"submit\" class=\"quiet\" name=\"everywhere\" value=\"yes\">Sign out everywhere</button></p></form>",
        words(signed_in.handle.as_str()),
        hidden("do", "name"),
        name.html(),
        hidden("do", "password"),
        password_field("new_password", "New password", true, wrong.password),
        hidden("do", "device"),
    );
    page(status, "Your account", who, &main)
}

/// How long ago something was.
fn ago(millis: i64) -> String {
    const MINUTE: i64 = 60_000;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    let times = |number: i64, what: &str| format!("{number} {what}{} ago", if number == 1 { "" } else { "s" });
    match millis {
        DAY.. => times(millis / DAY, "day"),
        HOUR.. => times(millis / HOUR, "hour"),
        MINUTE.. => times(millis / MINUTE, "minute"),
        _ => "just now".to_owned(),
    }
}

/// The link by which another device is signed in, as text and to be read by its camera.
fn device_link(who: &Who, token: &Token, headers: &HeaderMap) -> Response {
    let link = address(headers, &format!("/device/{}", token.reveal()));
    let main = format!(
        "<p>Open this link on the other device, or read it with its camera. It is good for four hours and for one device.</p>{}\
         <p class=\"entry\"><label for=\"link\">Link</label><input id=\"link\" readonly value=\"{}\"></p>\
         <p class=\"hint\">Whoever has it can sign in as you: give it to nobody.</p><p><a href=\"/account/\">Back to your account</a></p>",
        qr(&link),
        words(&link)
    );
    page(StatusCode::OK, "Sign in on another device", who, &main)
}

/// A QR code as a picture; nothing where the text is too long for one.
fn qr(text: &str) -> String {
    let Ok(code) = QrCode::encode_text(text, QrCodeEcc::Medium) else { return String::new() };
    let mut path = String::new();
    for y in 0..code.size() {
        for x in (0..code.size()).filter(|x| code.get_module(*x, y)) {
            let _ = write!(path, "M{},{}h1v1h-1z", x + 4, y + 4); // a text takes whatever is written
        }
    }
    let size = code.size() + 8;
    format!(
        "<svg class=\"qr\" role=\"img\" aria-label=\"The link as a QR code\" viewBox=\"0 0 {size} {size}\" width=\"256\" height=\"256\">\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/><path d=\"{path}\" fill=\"#000\"/></svg>"
    )
}

// Links that say once who somebody is.

/// The token in the address; the page that there is no such address where it is none.
async fn link(services: &Services, purpose: Purpose, request: Request) -> Result<(Token, Option<String>, Request), Response> {
    let (mut parts, body) = request.into_parts();
    let token = Path::<String>::from_request_parts(&mut parts, &()).await.ok().and_then(|Path(text)| Token::read(&text));
    let request = Request::from_parts(parts, body);
    let Some(token) = token else { return Err(refused(Problem::NoAddress, split(request).0).await) };
    match services.accounts.records.link(&token, purpose, now()).await {
        Ok(Some(account)) => Ok((token, account, request)),
        Ok(None) => Err(refused(Problem::NoAddress, split(request).0).await),
        Err(cause) => Err(refused(cause, split(request).0).await),
    }
}

/// Spends a link; the page that there is no such address where somebody else was faster.
async fn spend(services: &Services, token: &Token, purpose: Purpose, request: Request) -> Result<Option<String>, Response> {
    match services.accounts.records.spend(token, purpose, now()).await {
        Ok(Some(account)) => Ok(account),
        Ok(None) => Err(refused(Problem::NoAddress, request).await),
        Err(cause) => Err(refused(cause, request).await),
    }
}

/// `GET /setup/{token}`
async fn show_set_up(State(services): State<Arc<Services>>, who: Who, request: Request) -> Response {
    match link(&services, Purpose::SetUp, request).await {
        Ok(_) => set_up_form(&who, StatusCode::OK, "", Wrong::default()),
        Err(response) => response,
    }
}

/// `POST /setup/{token}`: makes the account of the first administrator.
async fn set_up(State(services): State<Arc<Services>>, who: Who, request: Request) -> Response {
    let (token, _, request) = match link(&services, Purpose::SetUp, request).await {
        Ok(found) => found,
        Err(response) => return response,
    };
    let (request_page, request) = split(request);
    let typed = match typed(request, &who).await {
        Ok(typed) => typed,
        Err(response) => return response,
    };
    let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
    let chosen = match Chosen::read(&typed) {
        Ok(chosen) => chosen,
        Err(wrong) => return set_up_form(&who, unprocessable, field(&typed, "name"), wrong),
    };
    match services.accounts.records.by_handle(&chosen.handle).await {
        Ok(None) => {}
        Ok(Some(_)) => {
            let wrong = Wrong { name: Some("Somebody has this name; take another one".to_owned()), password: None };
            return set_up_form(&who, unprocessable, field(&typed, "name"), wrong);
        }
        Err(cause) => return refused(cause, request_page).await,
    }
    let request_page = {
        let (kept, gone) = split(request_page);
        if let Err(response) = spend(&services, &token, Purpose::SetUp, gone).await {
            return response;
        }
        kept
    };
    let person = match make(&services, &who, chosen, true).await {
        Ok(person) => person,
        Err(NotMade::Wrong(wrong)) => return set_up_form(&who, unprocessable, field(&typed, "name"), wrong),
        Err(NotMade::Instead(response)) => return *response,
    };
    info!(person = person.id, "the first administrator has an account");
    match begin(&services, &who, &person.id, "/account/", request_page.headers()).await {
        Ok(response) => response,
        Err(cause) => refused(cause, request_page).await,
    }
}

fn set_up_form(who: &Who, status: StatusCode, name: &str, wrong: Wrong) -> Response {
    let main = format!(
        "<p>This server has no administrator yet. Whoever fills this in becomes it.</p>\
         <form method=\"post\">{}{}<p><button type=\"submit\">Set up this server</button></p></form>",
        name_field(name, NAME, wrong.name),
        password_field("password", "Password", true, wrong.password),
    );
    page(status, "Set up this server", who, &main)
}

/// `GET /reset/{token}`
async fn show_reset(State(services): State<Arc<Services>>, who: Who, request: Request) -> Response {
    match link(&services, Purpose::Reset, request).await {
        Ok((_, Some(account), request)) => reset_form(&services, &who, StatusCode::OK, &account, None, request).await,
        Ok((_, None, request)) => refused(Problem::NoAddress, request).await,
        Err(response) => response,
    }
}

/// `POST /reset/{token}`: takes another password, signs out everywhere and in here.
async fn reset(State(services): State<Arc<Services>>, who: Who, request: Request) -> Response {
    let (token, account, request) = match link(&services, Purpose::Reset, request).await {
        Ok(found) => found,
        Err(response) => return response,
    };
    let (request_page, request) = split(request);
    let typed = match typed(request, &who).await {
        Ok(typed) => typed,
        Err(response) => return response,
    };
    let Some(account) = account else { return refused(Problem::NoAddress, request_page).await };
    let wrong = async |error: InvalidPassword, request_page| {
        let (status, error) = (StatusCode::UNPROCESSABLE_ENTITY, Some(error.to_string()));
        reset_form(&services, &who, status, &account, error, request_page).await
    };
    let new = match Password::chosen(field(&typed, "password").to_owned(), "") {
        Ok(new) => new,
        Err(error) => return wrong(error, request_page).await,
    };
    let Ok(hash) = services.passwords.hash(new).await else { return busy("Choose a password", &who) };
    let (request_page, gone) = split(request_page);
    if let Err(response) = spend(&services, &token, Purpose::Reset, gone).await {
        return response;
    }
    let headers = request_page.headers().clone();
    let done = async {
        services.accounts.records.set_password(&account, &hash).await?;
        services.accounts.end_all(&account, None).await?;
        begin(&services, &who, &account, "/account/", &headers).await
    };
    match done.await {
        Ok(response) => response,
        Err(cause) => refused(cause, request_page).await,
    }
}

async fn reset_form(
    services: &Services,
    who: &Who,
    status: StatusCode,
    account: &str,
    error: Option<String>,
    request: Request,
) -> Response {
    let handle = match services.accounts.find(account).await {
        Ok(Some(account)) => account.handle,
        Ok(None) => return refused(Problem::NoAddress, request).await,
        Err(cause) => return refused(cause, request).await,
    };
    let main = format!(
        "<p>Choose the password of <strong>@<bdi>{}</bdi></strong>. All of their devices are signed out, and this one is signed in.</p>\
         <form method=\"post\">{}{}<p><button type=\"submit\">Save</button></p></form>",
        words(handle.as_str()),
        // So that a browser keeps it under this name.
        format_args!("<input type=\"hidden\" autocomplete=\"username\" value=\"{}\">", words(handle.as_str())),
        password_field("password", "New password", true, error),
    );
    page(status, "Choose a password", who, &main)
}

/// `GET /device/{token}`
async fn show_device(State(services): State<Arc<Services>>, who: Who, request: Request) -> Response {
    let (account, request) = match link(&services, Purpose::Device, request).await {
        Ok((_, Some(account), request)) => (account, request),
        Ok((_, None, request)) => return refused(Problem::NoAddress, request).await,
        Err(response) => return response,
    };
    match services.accounts.find(&account).await {
        Ok(Some(account)) => {
            let main = format!(
                "<p>Sign in on this device as <strong>@<bdi>{}</bdi></strong>?</p>\
                 <form method=\"post\"><p><button type=\"submit\">Sign in here</button></p></form>",
                words(account.handle.as_str())
            );
            page(StatusCode::OK, "Sign in on this device", &who, &main)
        }
        Ok(None) => refused(Problem::NoAddress, request).await,
        Err(cause) => refused(cause, request).await,
    }
}

/// `POST /device/{token}`: signs this device in.
async fn device(State(services): State<Arc<Services>>, who: Who, request: Request) -> Response {
    let (token, _, request) = match link(&services, Purpose::Device, request).await {
        Ok(found) => found,
        Err(response) => return response,
    };
    let (request_page, gone) = split(split(request).0);
    match spend(&services, &token, Purpose::Device, gone).await {
        Ok(Some(account)) => match begin(&services, &who, &account, "/", request_page.headers()).await {
            Ok(response) => response,
            Err(cause) => refused(cause, request_page).await,
        },
        Ok(None) => refused(Problem::NoAddress, request_page).await,
        Err(response) => response,
    }
}
