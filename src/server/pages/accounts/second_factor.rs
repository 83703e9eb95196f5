//! The second factor: asked for at signing in, and set up on a page of one's own.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Redirect, Response},
};

use super::{Typed, begin, links::qr, now, owner, password_field, too_often};
use crate::server::{
    accounts::{Account, Purpose, SecondFactor, SignedIn, Token},
    audit::Act,
    pages::{
        form::{Field, Sent, alert, button, card, choice, form, hidden},
        html::{Html, html},
        own_path,
        plain::{Instead, page},
        render::with_cookies,
    },
    services::Services,
    visitors::Visitor,
    who::{SECOND_FACTOR, Who},
};

const TITLE: &str = "Second factor";
pub(super) const WRONG: &str = "This code is wrong, or was used already. The app shows another one every half minute";
const TOO_MANY: &str = "There were too many wrong codes. Try again later";

// At signing in.

/// The page that asks whoever has shown their password for a code; `pending` says that they have.
pub(super) fn asked(who: &Who, status: StatusCode, pending: &str, next: &str, error: Option<String>) -> Response {
    let hidden = html!("{}{}", hidden("pending", pending), hidden("next", next));
    let hint = "Of your authenticator app; or one of the codes that you have on paper.";
    let fields = html!("{}{}", hidden, code_field(hint, error));
    page(status, TITLE, who, &form("/login/code", fields, button("Sign in")))
}

pub(super) fn code_field(hint: &'static str, error: Option<String>) -> Html {
    let more = " inputmode=\"text\" autocapitalize=\"none\" spellcheck=\"false\" maxlength=\"40\"";
    Field { name: "code", label: "Code", autocomplete: "one-time-code", hint, error, more, ..Field::default() }.html()
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
        let text = alert("It took too long to sign in, or somebody did so at the same time");
        let way = html!("<p><a class=\"button\" href=\"/login\">Sign in again</a></p>");
        Instead::from(page(StatusCode::UNPROCESSABLE_ENTITY, TITLE, &who, &html!("{}{}", text, way)))
    };
    let pending = Token::read(&typed.pending).ok_or_else(again)?;
    let id = records.link(&pending, Purpose::Code, now()).await?.flatten().ok_or_else(again)?;
    let account = services.accounts.find(&id).await?.filter(|account| !account.is_deactivated).ok_or_else(again)?;
    if !is_right(&services, &who, &account, visitor, &typed.code).await? {
        let (status, error) = (StatusCode::UNPROCESSABLE_ENTITY, Some(WRONG.to_owned()));
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
    services.attempts.begin_code(&account.id, address).map_err(|wait| too_often(TITLE, who, TOO_MANY, wait))?;
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
    let wrong_code = || Wrong { password: None, code: Some(WRONG.to_owned()) };
    match typed.r#do.as_str() {
        "prepare" => {
            factors.prepare(id).await?;
            Ok(Redirect::to(SECOND_FACTOR).into_response())
        }
        "confirm" => {
            let (address, now) = (visitor.subnet(), now());
            services.attempts.begin_code(id, address).map_err(|wait| too_often(TITLE, &who, TOO_MANY, wait))?;
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
            Ok(page(StatusCode::OK, TITLE, &who, &on_paper(&codes)))
        }
        "off" if signed_in.is_administrator && services.accounts.administrators_need_second_factor() => {
            let text = alert("This server requires a second factor of its administrators");
            Ok(page(StatusCode::FORBIDDEN, TITLE, &who, &text))
        }
        "off" => {
            factors.switch_off(id).await?;
            owner::record(&services, &who, signed_in, Act::SecondFactorRemoved).await;
            let text = html!(
                "<p role=\"status\">Your password alone signs you in from now on.</p><p><a href=\"/account/\">Your account</a></p>"
            );
            switched(&services, &who, signed_in, &headers, text).await
        }
        _ => {
            let text = alert("There is no such thing to do on this page");
            Ok(page(StatusCode::UNPROCESSABLE_ENTITY, "That was not understood", &who, &text))
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
    Ok(with_cookies(page(StatusCode::OK, TITLE, who, &main), &[token.cookie(headers)]))
}

/// The codes on paper, which are shown this once.
fn on_paper(codes: &[String]) -> Html {
    let codes: Html = codes.iter().map(|code| html!("<li><code>{}</code></li>", code)).collect();
    html!(
        "<p role=\"status\">The second factor is on. When your app is lost, each of these codes signs you in once. Print them or write them \
         down now: nobody can show them again.</p><ol class=\"codes\">{}</ol>\
         <p><a class=\"button\" href=\"/account/\">I have them</a></p>",
        codes
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
    let required = is_required.then(|| html!("<p>This server requires a second factor of its administrators.</p>"));
    let content = match &factor {
        None => off(wrong),
        Some(SecondFactor { since: None, secret, .. }) => {
            let host = headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or("Confab");
            let address = secret.address(signed_in.handle.as_str(), host);
            prepared(&address, &secret.typed(), wrong)
        }
        Some(SecondFactor { since: Some(_), left, .. }) => on(*left, is_required, wrong),
    };
    let back = html!("<p><a href=\"/account/\">Your account</a></p>");
    Ok(page(status, TITLE, who, &html!("{}{}{}", required, content, back)))
}

/// A form of this page that does something.
fn does(act: &str, fields: Html, button: Html) -> Html {
    form(SECOND_FACTOR, html!("{}{}", hidden("do", act), fields), button)
}

fn off(wrong: Wrong) -> Html {
    html!(
        "<p>With a second factor your password alone signs nobody in: it takes a code that an app on your phone shows, too.</p>{}",
        does("prepare", password_field("Your password", wrong.password), button("Set it up"))
    )
}

fn prepared(address: &str, typed: &str, wrong: Wrong) -> Html {
    html!(
        "<p>Have your authenticator app read this code, or type the key into it. Then type the six digits that it shows.</p>{code}\
         <p class=\"entry\"><label for=\"key\">Key</label><input id=\"key\" readonly value=\"{key}\"></p>{form}",
        code = qr(address, "The key as a QR code"),
        key = typed,
        form = does("confirm", code_field("Of the app.", wrong.code), button("Switch it on")),
    )
}

fn on(left: u64, is_required: bool, wrong: Wrong) -> Html {
    let fields = |wrong: Wrong| {
        html!("{}{}", password_field("Your password", wrong.password), code_field("Of the app, or on paper.", wrong.code))
    };
    let off = (!is_required).then(|| choice("off", "danger", "Switch it off"));
    let buttons = html!("{} {}", choice("renew", "quiet", "Other codes on paper"), off);
    let content = html!("<p>{} codes on paper are left.</p>{}", left, form(SECOND_FACTOR, fields(wrong), buttons));
    card("The second factor is on", content)
}
