//! Signing in by a name and a password or by another site's token, and signing out.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse as _, Redirect, Response},
};
use tracing::debug;

use super::{Typed, admit, busy, handle as called, later, name_field, password_field};
use crate::locales::accounts as say;
use crate::server::{
    accounts::{Account, Handle, LONGEST_IN_COOKIE, NotChecked, NotTaken, Password, SignedIn, SignedInBy, Token},
    pages,
    pages::{
        form::{Sent, alert, button, form, hidden},
        html::{Html, html, within},
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

/// `GET /login`
pub(super) async fn show(State(services): State<Arc<Services>>, who: Who, uri: Uri) -> Response {
    let asked = Typed::asked(&uri);
    if who.signed_in().is_some() {
        return Redirect::to(own_path(&asked.next)).into_response();
    }
    // A page leads here whose connection was closed.
    let over = if services.elsewhere.signs_in_at("").is_some() { say::over_on_the_site() } else { say::over() };
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
    // Whatever was wrong, so that nobody learns which names there are.
    let wrong = || Ok(form(StatusCode::UNPROCESSABLE_ENTITY, say::wrong()));
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
            return Ok(later(form(StatusCode::TOO_MANY_REQUESTS, &say::too_many_sign_ins(minutes)), wait));
        }
        Err(NotChecked::Busy(cause)) => return Err(busy(say::sign_in(), &who)(cause)),
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
    let not = |status, why: &str| Instead::from(page(status, say::not_signed_in(), &who, &alert(why)));
    services.elsewhere.by_token(&token).await.map_err(|why| match why {
        NotTaken::Refused(why) => not(StatusCode::UNPROCESSABLE_ENTITY, &say::token_refused(why)),
        NotTaken::Deactivated => not(StatusCode::FORBIDDEN, say::deactivated()),
        NotTaken::NotNow => Problem::Unavailable.into(),
    })?;
    if token.len() > LONGEST_IN_COOKIE {
        return Err(not(StatusCode::UNPROCESSABLE_ENTITY, &say::token_too_long(LONGEST_IN_COOKIE)));
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
        html!("{}{}{}", name_field(&typed.name, "", None), password_field(say::password(), None), hidden("next", &typed.next),);
    let sign_up = match services.manage.switches().sign_up {
        SignUp::Open => {
            html!("<p>{} <a href=\"/signup?next={}\">{}</a></p>", say::new_here(), percent_encode(&typed.next), say::sign_up())
        }
        SignUp::Invite => html!("<p>{}</p>", say::new_here_by_invitation()),
        SignUp::Closed => Html::default(),
    };
    let elsewhere = services
        .elsewhere
        .signs_in_at(own_path(&typed.next))
        .map(|address| html!("<p><a class=\"button\" href=\"{}\">{}</a></p>", address, say::sign_in_on_the_site()));
    let form = form("/login", fields, button(say::sign_in()));
    let main = html!("{}{}{}{}<p class=\"hint\">{}</p>", news, elsewhere, form, sign_up, say::forgotten());
    page(status, say::sign_in(), who, &main)
}

/// Who is signed in elsewhere is so until that site says otherwise; what they could do on their page here would outlast it.
pub(super) fn signed_in_elsewhere(who: &Who, signed_in: &SignedIn, status: StatusCode, by: SignedInBy) -> Response {
    let how = match by {
        SignedInBy::Project => html!("<p>{}</p>", say::signed_in_by_project()),
        SignedInBy::Token => {
            html!("<p>{}</p>{}", say::signed_in_by_token(), form("/logout", Html::default(), button(say::sign_out_here())))
        }
    };
    let mentioned = within([called(&signed_in.handle)], |[handle]| say::mentioned_as(handle));
    page(status, say::your_account(), who, &html!("<p>{}</p>{}", mentioned, how))
}

/// `GET /logout`
pub(super) async fn show_out(who: Who) -> Response {
    if let Who::Account(signed_in) = &who
        && let Some(by) = signed_in.elsewhere
    {
        return signed_in_elsewhere(&who, signed_in, StatusCode::OK, by);
    }
    page(StatusCode::OK, say::sign_out(), &who, &form_out())
}

/// Signs out, here or everywhere.
pub(super) fn form_out() -> Html {
    let everywhere = html!(
        "<button type=\"submit\" class=\"quiet\" name=\"everywhere\" value=\"yes\">{}</button>",
        say::sign_out_everywhere()
    );
    let buttons = html!("{} {}", button(say::sign_out_here()), everywhere);
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
