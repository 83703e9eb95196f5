//! One's own page: what one is called, the password, and the devices.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse as _, Redirect, Response},
};

use super::{
    Typed, Wrong, changed_too_often, chosen, hashed, leave, links::device_link, new_password_field, now, owner, password_field,
    sign_in, username,
};
use crate::{
    server::{
        accounts::{Account, Device, Handle, HandleError, Purpose, SecondFactor, SignedIn},
        audit::{Act, By, Deed},
        pages,
        pages::{
            form::{Field, Sent, alert, button, card, danger, form, hidden, news, quiet, rows},
            html::{Html, html},
            plain::{Instead, page},
            rename,
            render::with_cookies,
            tell_who_you_are,
        },
        services::Services,
        store::StoreError,
        visitors::Visitor,
        who::{SECOND_FACTOR, Who},
    },
    wire::PersonName,
};

pub(super) const TITLE: &str = "Your account";
const HERE: &str = "/account/";
/// What another handle means.
const HANDLE: &str = "When you take another one, the one before is nobody else's for 30 days, and yours again when you take it back. You can take \
                      another one three times in that time.";
const WEAK: &str =
    "Your password was changed, and others would guess it soon. A few words that have nothing to do with each other are better";

/// `GET /account/`
pub(super) async fn show(State(services): State<Arc<Services>>, who: Who, uri: Uri) -> Result<Response, Instead> {
    let signed_in = owner::owner(&who, StatusCode::OK)?;
    shown(&services, &who, signed_in, StatusCode::OK, &Typed::asked(&uri), Wrong::default()).await
}

/// What was done by the form before, if anything was.
fn said(asked: &Typed) -> Option<Html> {
    if !asked.weak.is_empty() {
        return Some(alert(WEAK));
    }
    (!asked.done.is_empty()).then(|| news("Your password was changed"))
}

/// `POST /account/`: takes another name or password, ends other sessions, or makes a link for another device.
pub(super) async fn act(
    State(services): State<Arc<Services>>,
    Extension(visitor): Extension<Visitor>,
    who: Who,
    headers: HeaderMap,
    Sent(typed): Sent<Typed>,
) -> Result<Response, Instead> {
    let signed_in = owner::owner(&who, StatusCode::FORBIDDEN)?;
    let id = signed_in.person.id.as_str();
    match typed.r#do.as_str() {
        "name" => return change_names(&services, &who, signed_in, &typed).await,
        "password" => return change_password(&services, &who, signed_in, visitor, typed, &headers).await,
        // Another's session is none of theirs: then there is nothing to end.
        "revoke" => _ = services.accounts.end(id, &typed.session).await?,
        "revoke_others" => services.accounts.end_all(id, Some(&signed_in.session)).await?,
        "deactivate" => return deactivate(&services, &who, signed_in, visitor, &typed).await,
        "device" => {
            let token = services.accounts.records.make_link(Purpose::Device, Some(id), now()).await?;
            return Ok(device_link(&who, &token, &headers));
        }
        _ => {
            let text = alert("There is no such thing to do on this page");
            return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, "That was not understood", &who, &text));
        }
    }
    Ok(Redirect::to(HERE).into_response())
}

/// Another name, another handle, or both.
async fn change_names(services: &Services, who: &Who, signed_in: &SignedIn, typed: &Typed) -> Result<Response, Instead> {
    let name = typed.name.parse::<PersonName>();
    let handle = typed.handle.as_deref().map(str::parse::<Handle>).transpose();
    let (name, handle) = match (name, handle) {
        (Ok(name), Ok(handle)) => (name, handle.filter(|handle| *handle != signed_in.handle)),
        (name, handle) => {
            let (name, handle) = (name.err().map(|error| error.to_string()), handle.err().map(|error| error.to_string()));
            return mistaken(services, who, signed_in, typed, Wrong { name, handle, ..Wrong::default() }).await;
        }
    };
    let is_renamed = name.as_str() != signed_in.person.name;
    if !is_renamed && handle.is_none() {
        return Ok(Redirect::to(HERE).into_response());
    }
    services.attempts.change_profile(&signed_in.person.id).map_err(|wait| changed_too_often(who, wait))?;
    if let Some(handle) = &handle {
        match services.accounts.take_handle(signed_in, handle).await {
            Ok(()) => {}
            Err(HandleError::Store(cause)) => return Err(cause.into()),
            Err(refused) => {
                let wrong = Wrong { handle: Some(refused.to_string()), ..Wrong::default() };
                return mistaken(services, who, signed_in, typed, wrong).await;
            }
        }
        let deed = Deed::new(By::Person(who.person()), Act::HandleChanged).to(&signed_in.person.id, handle.as_str());
        services.audit.record(&deed.detail(format!("before: {}", signed_in.handle))).await;
    }
    if is_renamed {
        rename(services, who, &name).await?;
    } else {
        tell_who_you_are(services, who.person().clone()).await;
    }
    Ok(Redirect::to(HERE).into_response())
}

/// All other sessions end, and this one has another token from now on.
async fn change_password(
    services: &Services,
    who: &Who,
    signed_in: &SignedIn,
    visitor: Visitor,
    typed: Typed,
    headers: &HeaderMap,
) -> Result<Response, Instead> {
    let id = signed_in.person.id.as_str();
    let account = owner::account(services, id).await?;
    let names = [signed_in.handle.as_str(), account.name.as_str()];
    let chosen = match chosen(services, TITLE, (who, visitor.subnet()), &typed.new_password, &names).await? {
        Ok(chosen) => chosen,
        Err(error) => return mistaken(services, who, signed_in, &typed, Wrong::password(error)).await,
    };
    // Whoever came from another site has none yet.
    if account.password.is_some()
        && let Err(wrong) = owner::is_theirs(services, who, &account, visitor, &typed.password).await?
    {
        return mistaken(services, who, signed_in, &typed, Wrong::password(wrong)).await;
    }
    let to = owner::after_change(chosen.advice.as_deref());
    let hash = hashed(services, TITLE, who, visitor.subnet(), chosen.password).await?;
    services.accounts.records.set_password(id, &hash).await?;
    services.accounts.end_all(id, Some(&signed_in.session)).await?;
    let token = services.accounts.rotate(signed_in).await?;
    owner::record(services, who, signed_in, Act::PasswordChanged).await;
    Ok(with_cookies(Redirect::to(to).into_response(), &[token.cookie(headers)]))
}

/// Nobody comes in by the account any more until an administrator lets them.
async fn deactivate(
    services: &Services,
    who: &Who,
    signed_in: &SignedIn,
    visitor: Visitor,
    typed: &Typed,
) -> Result<Response, Instead> {
    let id = signed_in.person.id.as_str();
    let wrong = |wrong: String| Wrong { deactivation: Some(wrong), ..Wrong::default() };
    if let Err(error) = owner::confirmed(services, who, signed_in, visitor, &typed.password).await? {
        return mistaken(services, who, signed_in, typed, wrong(error)).await;
    }
    if !services.accounts.records.deactivate(id, now()).await? {
        let last = owner::LAST.to_owned();
        return mistaken(services, who, signed_in, typed, wrong(last)).await;
    }
    services.accounts.end_all(id, None).await?;
    owner::record(services, who, signed_in, Act::AccountDeactivated).await;
    Ok(pages::sign_out(services, who, "/").await?)
}

/// The page with what was typed, and what is wrong with it.
async fn mistaken(
    services: &Services,
    who: &Who,
    signed_in: &SignedIn,
    typed: &Typed,
    wrong: Wrong,
) -> Result<Response, Instead> {
    shown(services, who, signed_in, StatusCode::UNPROCESSABLE_ENTITY, typed, wrong).await
}

async fn shown(
    services: &Services,
    who: &Who,
    signed_in: &SignedIn,
    status: StatusCode,
    typed: &Typed,
    wrong: Wrong,
) -> Result<Response, Instead> {
    let id = signed_in.person.id.as_str();
    let account = owner::account(services, id).await?;
    let devices = services.accounts.devices(id).await?;
    let main = html!(
        "{}{}{}{}{}{}{}{}",
        said(typed),
        card("Name", names(&account, typed, &wrong)),
        card("Password", password(&account, wrong.password)),
        card("Second factor", second_factor(services, id).await?),
        card("Devices", list(&devices, signed_in)),
        card("Sign out", sign_in::form_out()),
        card("Your data", data()),
        card("Deactivate", deactivation(signed_in, wrong.deactivation)),
    );
    Ok(page(status, TITLE, who, &main))
}

/// A form of this page that does something.
fn does(act: &str, fields: Html, button: Html) -> Html {
    form(HERE, html!("{}{}", hidden("do", act), fields), button)
}

fn names(account: &Account, typed: &Typed, wrong: &Wrong) -> Html {
    let is_wrong = wrong.name.is_some() || wrong.handle.is_some();
    let handle = typed.handle.as_deref().filter(|_| is_wrong).unwrap_or(account.handle.as_str());
    let name = Field {
        name: "name",
        label: "What others call you",
        autocomplete: "nickname",
        value: if is_wrong { &typed.name } else { &account.name },
        error: wrong.name.clone(),
        more: " maxlength=\"40\"",
        ..Field::default()
    };
    let handle = Field {
        name: "handle",
        label: "Your handle",
        autocomplete: "username",
        value: handle,
        hint: HANDLE,
        error: wrong.handle.clone(),
        more: " maxlength=\"64\" autocapitalize=\"none\" spellcheck=\"false\"",
        ..Field::default()
    };
    html!(
        "<p>You sign in and are mentioned as <strong>@<bdi>{}</bdi></strong>.</p>{}",
        account.handle.as_str(),
        does("name", html!("{}{}", name.html(), handle.html()), button("Save"))
    )
}

fn password(account: &Account, error: Option<String>) -> Html {
    let current = account.password.is_some().then(|| password_field("Password now", None));
    let fields = html!(
        "{}{}<p class=\"hint\">All other devices are signed out.</p>",
        current,
        new_password_field("new_password", "New password", error, None)
    );
    does("password", fields, button("Change the password"))
}

async fn second_factor(services: &Services, id: &str) -> Result<Html, StoreError> {
    let text = match services.accounts.second_factors.find(id).await? {
        Some(SecondFactor { since: Some(_), left, .. }) => format!("It is on. {left} codes on paper are left."),
        _ => "It is off: your password alone signs you in.".to_owned(),
    };
    Ok(html!("<p>{} <a href=\"{}\">Change that</a></p>", text, SECOND_FACTOR))
}

fn data() -> Html {
    html!(
        "<p><a href=\"{}\">Fetch all that is kept of you</a>, as a file of JSON lines.</p><p><a href=\"{}\">Delete your account</a></p>",
        leave::DATA,
        leave::HERE,
    )
}

fn deactivation(signed_in: &SignedIn, error: Option<String>) -> Html {
    let what = "You are signed out everywhere, and nobody signs in by this account until an administrator lets you. What you wrote stays, \
                and your name with it.";
    let name = username(signed_in.handle.as_str());
    let (id, label, autocomplete) = ("deactivate-password", "Your password", "current-password");
    let password = Field { name: "password", id, label, kind: "password", autocomplete, error, ..Field::default() };
    let fields = html!("<p>{}</p>{}{}", what, name, password.html());
    does("deactivate", fields, danger("Deactivate the account"))
}

fn list(devices: &[Device], signed_in: &SignedIn) -> Html {
    let now = now();
    let row = |device: &Device| {
        let end = if *device.session == *signed_in.session {
            html!("<strong>This device</strong>")
        } else {
            does("revoke", hidden("session", &device.session), quiet("Sign it out"))
        };
        html!(
            "<span><bdi>{}</bdi> <span class=\"hint\">used {}, signed in {}</span></span>{}",
            device.device,
            ago(now - device.used_at),
            ago(now - device.created_at),
            end
        )
    };
    let others = (devices.len() > 1).then(|| does("revoke_others", Html::default(), quiet("Sign out all others")));
    let another = does("device", Html::default(), quiet("Sign in on another device"));
    html!("{}{}{}", rows(devices.iter().map(row)), others, another)
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
