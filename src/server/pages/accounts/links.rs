//! Links that say once who somebody is. Looking at one spends nothing, its form does; of several who send it at once one is answered.

use std::{fmt::Write as _, sync::Arc};

use axum::{
    Extension,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use qrcodegen::{QrCode, QrCodeEcc};
use tracing::info;

use super::{
    Typed, Wrong, admit, begin, chosen, handle as called, hashed, new_password_field, now, owner,
    sign_up::{Chosen, NotMade, fields, is_free, make},
    username,
};
use crate::locales::accounts as say;
use crate::server::{
    accounts::{Account, Purpose, Token},
    audit::{Act, By, Deed},
    pages::{
        address,
        form::{Sent, button, form},
        html::{Html, html, within},
        plain::{Instead, page},
    },
    problem::Problem,
    services::Services,
    visitors::Visitor,
    who::Who,
};

/// The last part of an address.
type Named = Result<Path<String>, PathRejection>;

/// A link that is good now.
struct Link {
    token: Token,
    purpose: Purpose,
    /// Whom it is for; nobody is there yet where a server is set up.
    account: Option<String>,
}

impl Link {
    /// The link of an address; where it is none, there is no such address.
    async fn read(services: &Services, purpose: Purpose, named: Named) -> Result<Self, Instead> {
        let token = named.ok().and_then(|Path(text)| Token::read(&text)).ok_or(Problem::NoAddress)?;
        let account = services.accounts.records.link(&token, purpose, now()).await?.ok_or(Problem::NoAddress)?;
        Ok(Self { token, purpose, account })
    }

    /// The account that it is for.
    async fn account(&self, services: &Services) -> Result<Account, Instead> {
        let id = self.account.as_deref().ok_or(Problem::NoAddress)?;
        owner::account(services, id).await
    }

    /// Spends it; where somebody else was faster, there is no such address.
    async fn spend(&self, services: &Services) -> Result<(), Instead> {
        let spent = services.accounts.records.spend(&self.token, self.purpose, now()).await?;
        spent.map(|_| ()).ok_or_else(|| Problem::NoAddress.into())
    }
}

/// `GET /setup/{token}`
pub(super) async fn show_set_up(State(services): State<Arc<Services>>, who: Who, named: Named) -> Result<Response, Instead> {
    Link::read(&services, Purpose::SetUp, named).await?;
    Ok(set_up_page(&who, StatusCode::OK, &Typed::default(), Wrong::default()))
}

/// `POST /setup/{token}`: makes the account of the first administrator.
pub(super) async fn set_up(
    State(services): State<Arc<Services>>,
    Extension(visitor): Extension<Visitor>,
    who: Who,
    headers: HeaderMap,
    named: Named,
    Sent(typed): Sent<Typed>,
) -> Result<Response, Instead> {
    let link = Link::read(&services, Purpose::SetUp, named).await?;
    let made = async {
        let chosen = Chosen::read(&services, (&who, visitor.subnet()), &typed).await?;
        // A name that somebody has does not spend the link.
        is_free(&services, &chosen.handle).await?;
        link.spend(&services).await.map_err(NotMade::Instead)?;
        make(&services, (&who, visitor.subnet()), chosen, true, None).await
    };
    let form = |wrong| set_up_page(&who, StatusCode::UNPROCESSABLE_ENTITY, &typed, wrong);
    let person = made.await.map_err(|not_made| not_made.answer(form))?;
    info!(person = person.id, "the first administrator has an account");
    Ok(begin(&services, &who, &person.id, "/account/", &headers).await?)
}

fn set_up_page(who: &Who, status: StatusCode, typed: &Typed, wrong: Wrong) -> Response {
    let title = say::set_up();
    let main = html!("<p>{}</p>{}", say::set_up_text(), form("", fields(typed, wrong), button(title)));
    page(status, title, who, &main)
}

/// `GET /reset/{token}`
pub(super) async fn show_reset(State(services): State<Arc<Services>>, who: Who, named: Named) -> Result<Response, Instead> {
    let account = Link::read(&services, Purpose::Reset, named).await?.account(&services).await?;
    Ok(reset_page(&who, StatusCode::OK, &account, None))
}

/// `POST /reset/{token}`: takes another password, signs out everywhere and in here.
pub(super) async fn reset(
    State(services): State<Arc<Services>>,
    Extension(visitor): Extension<Visitor>,
    who: Who,
    headers: HeaderMap,
    named: Named,
    Sent(typed): Sent<Typed>,
) -> Result<Response, Instead> {
    let link = Link::read(&services, Purpose::Reset, named).await?;
    let account = link.account(&services).await?;
    let names = [account.handle.as_str(), account.name.as_str()];
    let chosen = match chosen(&services, say::choose_password(), (&who, visitor.subnet()), &typed.password, &names).await? {
        Ok(chosen) => chosen,
        Err(error) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return Ok(reset_page(&who, status, &account, Some(error.to_string())));
        }
    };
    let to = owner::after_change(chosen.advice.as_deref());
    let hash = hashed(&services, say::choose_password(), &who, visitor.subnet(), chosen.password).await?;
    link.spend(&services).await?;
    services.accounts.records.set_password(&account.id, &hash).await?;
    services.accounts.end_all(&account.id, None).await?;
    let deed = Deed::new(By::Server, Act::PasswordReset).to(&account.id, account.handle.as_str());
    services.audit.record(&deed).await;
    Ok(admit(&services, &who, &account.id, to, &headers).await?)
}

fn reset_page(who: &Who, status: StatusCode, account: &Account, error: Option<String>) -> Response {
    let name = username(account.handle.as_str());
    let fields = html!("{}{}", name, new_password_field("password", say::new_password(), error, None));
    let main = html!(
        "<p>{}</p>{}",
        within([called(&account.handle)], |[handle]| say::password_of(handle)),
        form("", fields, button(say::save()))
    );
    page(status, say::choose_password(), who, &main)
}

/// `GET /device/{token}`
pub(super) async fn show_device(State(services): State<Arc<Services>>, who: Who, named: Named) -> Result<Response, Instead> {
    let account = Link::read(&services, Purpose::Device, named).await?.account(&services).await?;
    let main = html!(
        "<p>{}</p>{}",
        within([called(&account.handle)], |[handle]| say::sign_in_as(handle)),
        form("", Html::default(), button(say::sign_in_here()))
    );
    Ok(page(StatusCode::OK, say::sign_in_this_device(), &who, &main))
}

/// `POST /device/{token}`: signs this device in.
pub(super) async fn device(
    State(services): State<Arc<Services>>,
    who: Who,
    headers: HeaderMap,
    named: Named,
) -> Result<Response, Instead> {
    let link = Link::read(&services, Purpose::Device, named).await?;
    let account = link.account(&services).await?;
    link.spend(&services).await?;
    Ok(begin(&services, &who, &account.id, "/", &headers).await?)
}

/// The link by which another device is signed in, as text and to be read by its camera.
pub(super) fn device_link(who: &Who, token: &Token, headers: &HeaderMap) -> Response {
    let link = address(headers, &format!("/device/{}", token.reveal()));
    let main = html!(
        "<p>{open}</p>{code}<p class=\"entry\"><label for=\"link\">{label}</label><input id=\"link\" readonly value=\"{link}\"></p>\
         <p class=\"hint\">{secret}</p><p><a href=\"/account/\">{back}</a></p>",
        open = say::open_link(),
        code = qr(&link, say::link_as_qr()),
        label = say::link(),
        link = link,
        secret = say::link_is_secret(),
        back = say::back_to_account(),
    );
    page(StatusCode::OK, say::sign_in_other_device(), who, &main)
}

/// A QR code as a picture; nothing where the text is too long for one.
pub(super) fn qr(text: &str, label: &str) -> Html {
    let Ok(code) = QrCode::encode_text(text, QrCodeEcc::Medium) else { return Html::default() };
    let mut path = String::new();
    for y in 0..code.size() {
        for x in (0..code.size()).filter(|x| code.get_module(*x, y)) {
            let _ = write!(path, "M{},{}h1v1h-1z", x + 4, y + 4); // a text takes whatever is written
        }
    }
    html!(
        "<svg class=\"qr\" role=\"img\" aria-label=\"{label}\" viewBox=\"0 0 {size} {size}\" width=\"256\" height=\"256\">\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/><path d=\"{path}\" fill=\"#000\"/></svg>",
        label = label,
        size = code.size() + 8,
        path = path,
    )
}
