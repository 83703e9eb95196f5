//! The second factor: asked for at signing in, and set up on a page of one's own.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Redirect, Response},
};

use super::{Typed, begin, links::qr, now, owner, password_field, too_often};
use crate::locales::{accounts as say, pages as said};
use crate::server::{
    accounts::{Account, Purpose, SecondFactor, SignedIn, Token},
    audit::Act,
    pages::{
        form::{Field, Sent, alert, button, card, choice, form, hidden, sentence},
        html::{Html, html},
        own_path,
        plain::{Instead, page},
        render::with_cookies,
    },
    services::Services,
    visitors::Visitor,
    who::{SECOND_FACTOR, Who},
};

// At signing in.

/// The page that asks whoever has shown their password for a code; `pending` says that they have.
pub(super) fn asked(who: &Who, status: StatusCode, pending: &str, next: &str, error: Option<String>) -> Response {
    let hidden = html!("{}{}", hidden("pending", pending), hidden("next", next));
    let fields = html!("{}{}", hidden, code_field(say::code_hint(), error));
    page(status, say::second_factor(), who, &form("/login/code", fields, button(say::sign_in())))
}

pub(super) fn code_field(hint: &'static str, error: Option<String>) -> Html {
    let more = " inputmode=\"text\" autocapitalize=\"none\" spellcheck=\"false\" maxlength=\"40\"";
    Field { name: "code", label: say::code(), autocomplete: "one-time-code", hint, error, more, ..Field::default() }.html()
}

/// `POST /login/code`: signs in whoever has shown their password, and a code.
pub(super) async fn sign_in(
    State(services): State<Arc<Services>>,
    Extension(visitor): Extension<Visitor>,
    who: Who,
    headers: HeaderMap,
    Sent(typed): Sent<Typed>,
) -> Result<Response, Instead> {
    let records = &services.accounts.records;
    let again = || {
        let text = alert(say::took_too_long());
        let way = html!("<p><a class=\"button\" href=\"/login\">{}</a></p>", say::sign_in_again());
        Instead::from(page(StatusCode::UNPROCESSABLE_ENTITY, say::second_factor(), &who, &html!("{}{}", text, way)))
    };
    let pending = Token::read(&typed.pending).ok_or_else(again)?;
    let id = records.link(&pending, Purpose::Code, now()).await?.flatten().ok_or_else(again)?;
    let account = services.accounts.find(&id).await?.filter(|account| !account.is_deactivated).ok_or_else(again)?;
    if !is_right(&services, &who, &account, visitor, &typed.code).await? {
        let (status, error) = (StatusCode::UNPROCESSABLE_ENTITY, Some(say::wrong_code().to_owned()));
        return Ok(asked(&who, status, &typed.pending, &typed.next, error));
    }
    records.spend(&pending, Purpose::Code, now()).await?.ok_or_else(again)?;
    Ok(begin(&services, &who, &id, own_path(&typed.next), &headers).await?)
}

/// Whether a code is right; wrong ones are counted, with the address and with the account.
pub(super) async fn is_right(
    services: &Services,
    who: &Who,
    account: &Account,
    visitor: Visitor,
    code: &str,
) -> Result<bool, Instead> {
    let address = visitor.subnet();
    services
        .attempts
        .begin_code(&account.id, address)
        .map_err(|wait| too_often(say::second_factor(), who, say::too_many_codes(), wait))?;
    let taken = services.accounts.second_factors.take(&account.id, code, now()).await;
    if !matches!(taken, Ok(false)) {
        services.attempts.give_back_code(&account.id, address);
    }
    Ok(taken?)
}

// On one's own page.

/// What was wrong with what was typed.
#[derive(Default)]
struct Wrong {
    password: Option<String>,
    code: Option<String>,
}

/// `GET /account/second-factor`
pub(super) async fn show(State(services): State<Arc<Services>>, who: Who, headers: HeaderMap) -> Result<Response, Instead> {
    let signed_in = owner::owner(&who, StatusCode::OK)?;
    shown(&services, &who, signed_in, StatusCode::OK, Wrong::default(), &headers).await
}

/// `POST /account/second-factor`: sets it up, switches it on and off, or gives other codes on paper.
pub(super) async fn act(
    State(services): State<Arc<Services>>,
    Extension(visitor): Extension<Visitor>,
    who: Who,
    headers: HeaderMap,
    Sent(typed): Sent<Typed>,
) -> Result<Response, Instead> {
    let signed_in = owner::owner(&who, StatusCode::FORBIDDEN)?;
    let id = signed_in.person.id.as_str();
    let factors = &services.accounts.second_factors;
    let account = owner::account(&services, id).await?;
    let wrong = async |wrong| shown(&services, &who, signed_in, StatusCode::UNPROCESSABLE_ENTITY, wrong, &headers).await;
    if typed.r#do != "confirm"
        && let Err(error) = owner::is_theirs(&services, &who, &account, visitor, &typed.password).await?
    {
        return wrong(Wrong { password: Some(error), code: None }).await;
    }
    let wrong_code = || Wrong { password: None, code: Some(say::wrong_code().to_owned()) };
    match typed.r#do.as_str() {
        "prepare" => {
            factors.prepare(id).await?;
            Ok(Redirect::to(SECOND_FACTOR).into_response())
        }
        "confirm" => {
            let (address, now) = (visitor.subnet(), now());
            services
                .attempts
                .begin_code(id, address)
                .map_err(|wait| too_often(say::second_factor(), &who, say::too_many_codes(), wait))?;
            let confirmed = factors.confirm(id, &typed.code, now).await;
            if !matches!(confirmed, Ok(None)) {
                services.attempts.give_back_code(id, address);
            }
            let Some(codes) = confirmed? else { return wrong(wrong_code()).await };
            owner::record(&services, &who, signed_in, Act::SecondFactorAdded).await;
            switched(&services, &who, signed_in, &headers, on_paper(&codes)).await
        }
        "renew" | "off" if !is_right(&services, &who, &account, visitor, &typed.code).await? => wrong(wrong_code()).await,
        "renew" => {
            let codes = factors.renew(id).await?;
            owner::record(&services, &who, signed_in, Act::RecoveryCodesMade).await;
            Ok(page(StatusCode::OK, say::second_factor(), &who, &on_paper(&codes)))
        }
        "off" if signed_in.is_administrator && services.accounts.administrators_need_second_factor() => {
            let text = alert(say::factor_required());
            Ok(page(StatusCode::FORBIDDEN, say::second_factor(), &who, &text))
        }
        "off" => {
            factors.switch_off(id).await?;
            owner::record(&services, &who, signed_in, Act::SecondFactorRemoved).await;
            let text = html!(
                "<p role=\"status\">{}</p><p><a href=\"/account/\">{}</a></p>",
                say::password_alone_now(),
                say::your_account()
            );
            switched(&services, &who, signed_in, &headers, text).await
        }
        _ => {
            let text = alert(said::nothing_to_do());
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, said::not_understood(), &who, &text))
        }
    }
}

/// All other sessions end: they were begun by something else. This one has another token from now on.
async fn switched(
    services: &Services,
    who: &Who,
    signed_in: &SignedIn,
    headers: &HeaderMap,
    main: Html,
) -> Result<Response, Instead> {
    services.accounts.end_all(&signed_in.person.id, Some(&signed_in.session)).await?;
    let token = services.accounts.rotate(signed_in).await?;
    Ok(with_cookies(page(StatusCode::OK, say::second_factor(), who, &main), &[token.cookie(headers)]))
}

/// The codes on paper, which are shown this once.
fn on_paper(codes: &[String]) -> Html {
    let codes: Html = codes.iter().map(|code| html!("<li><code>{}</code></li>", code)).collect();
    html!(
        "<p role=\"status\">{}</p><ol class=\"codes\">{}</ol><p><a class=\"button\" href=\"/account/\">{}</a></p>",
        say::factor_is_on(),
        codes,
        say::have_them()
    )
}

async fn shown(
    services: &Services,
    who: &Who,
    signed_in: &SignedIn,
    status: StatusCode,
    wrong: Wrong,
    headers: &HeaderMap,
) -> Result<Response, Instead> {
    let factor = services.accounts.second_factors.find(&signed_in.person.id).await?;
    let is_required = signed_in.is_administrator && services.accounts.administrators_need_second_factor();
    let required = is_required.then(|| html!("<p>{}</p>", sentence(say::factor_required())));
    let content = match &factor {
        None => off(wrong),
        Some(SecondFactor { since: None, secret, .. }) => {
            let host = headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or("Confab");
            let address = secret.address(signed_in.handle.as_str(), host);
            prepared(&address, &secret.typed(), wrong)
        }
        Some(SecondFactor { since: Some(_), left, .. }) => on(*left, is_required, wrong),
    };
    let back = html!("<p><a href=\"/account/\">{}</a></p>", say::your_account());
    Ok(page(status, say::second_factor(), who, &html!("{}{}{}", required, content, back)))
}

/// A form of this page that does something.
fn does(act: &str, fields: Html, button: Html) -> Html {
    form(SECOND_FACTOR, html!("{}{}", hidden("do", act), fields), button)
}

fn off(wrong: Wrong) -> Html {
    html!(
        "<p>{}</p>{}",
        say::factor_text(),
        does("prepare", password_field(say::your_password(), wrong.password), button(say::set_it_up()))
    )
}

fn prepared(address: &str, typed: &str, wrong: Wrong) -> Html {
    html!(
        "<p>{read}</p>{code}<p class=\"entry\"><label for=\"key\">{label}</label><input id=\"key\" readonly value=\"{key}\"></p>{form}",
        read = say::read_key(),
        code = qr(address, say::key_as_qr()),
        label = say::key(),
        key = typed,
        form = does("confirm", code_field(say::of_app(), wrong.code), button(say::switch_on())),
    )
}

fn on(left: u64, is_required: bool, wrong: Wrong) -> Html {
    let fields = |wrong: Wrong| {
        html!("{}{}", password_field(say::your_password(), wrong.password), code_field(say::of_app_or_paper(), wrong.code))
    };
    let off = (!is_required).then(|| choice("off", "danger", say::switch_off()));
    let buttons = html!("{} {}", choice("renew", "quiet", say::other_codes()), off);
    let content = html!("<p>{}</p>{}", say::codes_left(left), form(SECOND_FACTOR, fields(wrong), buttons));
    card(say::factor_on_card(), content)
}
