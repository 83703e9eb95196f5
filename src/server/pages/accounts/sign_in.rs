//! Signing in by a name and a password or by another site's token, and signing out.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse as _, Redirect, Response},
};
use tracing::debug;

use super::{Typed, admit, busy, later, name_field, password_field};
use crate::server::{
    accounts::{Account, Handle, LONGEST_IN_COOKIE, NotChecked, NotTaken, Password, SignedIn, SignedInBy, Token},
    pages,
    pages::{
        form::{Sent, alert, button, form, hidden},
        html::{Html, html},
        own_path,
        plain::{Instead, page},
        render::with_cookies,
    },
    percent::percent_encode,
    problem::Problem,
    services::Services,
    settings::SignUp,
    visitors::{Subnet, Visitor},
    who::Who,
};

const TITLE: &str = "Sign in";
/// What is said whatever was wrong, so that nobody learns which names there are.
const WRONG: &str = "The name or the password is wrong";
/// What is said to whose session has ended while they had a page open.
const OVER: &str = "You were signed out on this device: here, from another one, or since the password is another one now.";
/// The same where another site's people are ours.
const OVER_ON_THE_SITE: &str = "You were signed out on this device: on the site that this server belongs to, here, from another device, or \
    since the password is another one now.";

/// `GET /login`
pub(super) async fn show(State(services): State<Arc<Services>>, who: Who, uri: Uri) -> Response {
    let asked = Typed::asked(&uri);
    if who.signed_in().is_some() {
        return Redirect::to(own_path(&asked.next)).into_response();
    }
    // A page leads here whose connection was closed.
    let over = if services.elsewhere.signs_in_at("").is_some() { OVER_ON_THE_SITE } else { OVER };
    let news = (!asked.over.is_empty()).then(|| html!("<p role=\"status\">{}</p>", over));
    shown(&services, &who, StatusCode::OK, &asked, news)
}

/// `POST /login`
pub(super) async fn act(
    State(services): State<Arc<Services>>,
    Extension(visitor): Extension<Visitor>,
    who: Who,
    headers: HeaderMap,
    Sent(typed): Sent<Typed>,
) -> Result<Response, Instead> {
    let address = visitor.subnet();
    let form = |status, wrong: &str| shown(&services, &who, status, &typed, Some(alert(wrong)));
    let wrong = || Ok(form(StatusCode::UNPROCESSABLE_ENTITY, WRONG));
    let password = match Password::shown(typed.password.clone()) {
        Ok(password) => password,
        Err(error) => return Ok(form(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string())),
    };
    let handle = typed.name.parse::<Handle>().ok();
    let folded = handle.as_ref().map(Handle::folded).unwrap_or_default();
    let found = match &handle {
        Some(handle) => services.accounts.records.by_handle(handle).await?,
        None => None,
    };
    let found = found.filter(|account| !account.is_deactivated);
    let hash = found.as_ref().and_then(|account| account.password.as_deref());
    let checked = match services.attempts.check(&services.passwords, &folded, address, (password, hash)).await {
        Ok(checked) => checked,
        Err(NotChecked::TooMany(wait)) => {
            services.metrics.sign_ins_refused.inc();
            let minutes = wait.as_secs() / 60 + 1;
            let text = format!("There were too many attempts to sign in. Try again in {minutes} min");
            return Ok(later(form(StatusCode::TOO_MANY_REQUESTS, &text), wait));
        }
        Err(NotChecked::Busy(cause)) => return Err(busy(TITLE, &who)(cause)),
    };
    let Some(account) = found.filter(|_| checked.is_right) else {
        services.metrics.sign_ins_refused.inc();
        return wrong();
    };
    if checked.is_outdated {
        hash_anew(&services, &account, address, typed.password.clone()).await;
    }
    Ok(admit(&services, &who, &account.id, own_path(&typed.next), &headers).await?)
}

/// `POST /login/token`: another site signs somebody in by its token, and leads on to `next`.
pub(super) async fn by_token(
    State(services): State<Arc<Services>>,
    who: Who,
    headers: HeaderMap,
    Sent(Typed { token, next, .. }): Sent<Typed>,
) -> Result<Response, Instead> {
    let not = |status, why: &str| Instead::from(page(status, "You are not signed in", &who, &alert(why)));
    services.elsewhere.by_token(&token).await.map_err(|why| match why {
        NotTaken::Refused(why) => not(StatusCode::UNPROCESSABLE_ENTITY, &format!("The other site's token is not taken: {why}")),
        NotTaken::Deactivated => not(StatusCode::FORBIDDEN, "This account was deactivated"),
        NotTaken::NotNow => Problem::Unavailable.into(),
    })?;
    if token.len() > LONGEST_IN_COOKIE {
        let why = format!("The token of the other site is too long: a browser keeps at most {LONGEST_IN_COOKIE} bytes of it");
        return Err(not(StatusCode::UNPROCESSABLE_ENTITY, &why));
    }
    // Who was signed in by a session of ours is somebody else from now on.
    if let Who::Account(signed_in) = &who
        && signed_in.elsewhere.is_none()
    {
        services.accounts.end(&signed_in.person.id, &signed_in.session).await?;
    }
    let response = with_cookies(Redirect::to(own_path(&next)).into_response(), &Token::forgotten());
    Ok(with_cookies(response, &[services.elsewhere.cookie(&headers, &token)]))
}

/// Hashes a right password anew that was hashed at another cost. Where that cannot be now, it is done the next time.
async fn hash_anew(services: &Services, account: &Account, address: Subnet, typed: String) {
    if let Ok(password) = Password::shown(typed)
        && let Ok(turn) = services.passwords.turn(address).await
        && let Ok(hash) = services.passwords.hash(turn, password).await
        && let Err(cause) = services.accounts.records.set_password(&account.id, &hash).await
    {
        debug!(%cause, "a password could not be hashed anew");
    }
}

fn shown(services: &Services, who: &Who, status: StatusCode, typed: &Typed, news: Option<Html>) -> Response {
    let fields =
        html!("{}{}{}", name_field(&typed.name, "", None), password_field("Password", None), hidden("next", &typed.next),);
    let sign_up = match services.manage.switches().sign_up {
        SignUp::Open => html!("<p>New here? <a href=\"/signup?next={}\">Sign up</a></p>", percent_encode(&typed.next)),
        SignUp::Invite => html!("<p>New here? An invitation lets you sign up: a link that somebody gives you.</p>"),
        SignUp::Closed => Html::default(),
    };
    let forgotten = "Forgotten? An administrator can give you a link with which you choose another password.";
    let elsewhere = services.elsewhere.signs_in_at(own_path(&typed.next)).map(|address| {
        html!("<p><a class=\"button\" href=\"{}\">Sign in on the site that this server belongs to</a></p>", address)
    });
    let form = form("/login", fields, button(TITLE));
    let main = html!("{}{}{}{}<p class=\"hint\">{}</p>", news, elsewhere, form, sign_up, forgotten);
    page(status, TITLE, who, &main)
}

/// Who is signed in elsewhere is so until that site says otherwise; what they could do on their page here would outlast it.
pub(super) fn signed_in_elsewhere(who: &Who, signed_in: &SignedIn, status: StatusCode, by: SignedInBy) -> Response {
    let how = match by {
        SignedInBy::Project => html!(
            "<p>You are signed in by the site that this server belongs to. Your name and your password are changed there; and when you \
             sign out there, you are signed out here.</p>"
        ),
        SignedInBy::Token => html!(
            "<p>You are signed in by another site, until it says otherwise. Your name and your password are changed there.</p>{}",
            form("/logout", Html::default(), button("Sign out here"))
        ),
    };
    let main = html!("<p>You are mentioned as <strong>@<bdi>{}</bdi></strong>.</p>{}", signed_in.handle.as_str(), how);
    page(status, "Your account", who, &main)
}

/// `GET /logout`
pub(super) async fn show_out(who: Who) -> Response {
    if let Who::Account(signed_in) = &who
        && let Some(by) = signed_in.elsewhere
    {
        return signed_in_elsewhere(&who, signed_in, StatusCode::OK, by);
    }
    page(StatusCode::OK, "Sign out", &who, &form_out())
}

/// Signs out, here or everywhere.
pub(super) fn form_out() -> Html {
    let everywhere = "<button type=\"submit\" class=\"quiet\" name=\"everywhere\" value=\"yes\">Sign out everywhere</button>";
    let buttons = html!("{} {}", button("Sign out here"), Html::made(everywhere.to_owned()));
    form("/logout", Html::default(), buttons)
}

/// `POST /logout`: signs out here, or with `everywhere` on all devices.
pub(super) async fn out(
    State(services): State<Arc<Services>>,
    who: Who,
    Sent(typed): Sent<Typed>,
) -> Result<Response, Instead> {
    if let Who::Account(signed_in) = &who {
        if signed_in.elsewhere == Some(SignedInBy::Project) {
            return Ok(signed_in_elsewhere(&who, signed_in, StatusCode::FORBIDDEN, SignedInBy::Project));
        }
        if !typed.everywhere.is_empty() {
            services.accounts.end_all(&signed_in.person.id, None).await?;
        }
    }
    Ok(pages::sign_out(&services, &who, &typed.next).await?)
}
