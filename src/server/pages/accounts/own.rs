//! One's own page: what one is called, the password, and the devices.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse as _, Redirect, Response},
};

use super::{
    Typed, Wrong, changed_too_often, chosen, handle as called, hashed, leave, links::device_link, new_password_field, now,
    owner, password_field, sign_in, username,
};
use crate::{
    locales::{accounts as say, pages as said},
    server::{
        accounts::{Account, Device, Handle, HandleError, Purpose, SecondFactor, SignedIn},
        audit::{Act, By, Deed},
        pages,
        pages::{
            form::{Field, Sent, alert, button, card, danger, form, hidden, news, quiet, rows},
            html::{Html, html, within},
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
    wire::{LONGEST_NAME, PersonName},
};

const HERE: &str = "/account/";

/// `GET /account/`
pub(super) async fn show(State(services): State<Arc<Services>>, who: Who, uri: Uri) -> Result<Response, Instead> {
    let signed_in = owner::owner(&who, StatusCode::OK)?;
    shown(&services, &who, signed_in, StatusCode::OK, &Typed::asked(&uri), Wrong::default()).await
}

/// What was done by the form before, if anything was.
fn done(asked: &Typed) -> Option<Html> {
    if !asked.weak.is_empty() {
        return Some(alert(say::weak_now()));
    }
    (!asked.done.is_empty()).then(|| news(say::changed_now()))
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
            let text = alert(said::nothing_to_do());
            return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, said::not_understood(), &who, &text));
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
            let name = name.err().map(|_| said::name_of_person(LONGEST_NAME));
            let handle = handle.err().map(|error| error.to_string());
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
    let chosen = match chosen(services, say::your_account(), (who, visitor.subnet()), &typed.new_password, &names).await? {
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
    let hash = hashed(services, say::your_account(), who, visitor.subnet(), chosen.password).await?;
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
        let last = say::last_administrator().to_owned();
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
        done(typed),
        card(say::name_card(), names(&account, typed, &wrong)),
        card(say::password(), password(&account, wrong.password)),
        card(say::second_factor(), second_factor(services, id).await?),
        card(say::devices(), list(&devices, signed_in)),
        card(say::sign_out(), sign_in::form_out()),
        card(say::your_data(), data()),
        card(say::deactivate(), deactivation(signed_in, wrong.deactivation)),
    );
    Ok(page(status, say::your_account(), who, &main))
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
        label: say::others_call_you(),
        autocomplete: "nickname",
        value: if is_wrong { &typed.name } else { &account.name },
        error: wrong.name.clone(),
        more: " maxlength=\"40\"",
        ..Field::default()
    };
    let handle = Field {
        name: "handle",
        label: say::your_handle(),
        autocomplete: "username",
        value: handle,
        hint: say::handle_hint(),
        error: wrong.handle.clone(),
        more: " maxlength=\"64\" autocapitalize=\"none\" spellcheck=\"false\"",
        ..Field::default()
    };
    html!(
        "<p>{}</p>{}",
        within([called(&account.handle)], |[handle]| say::you_sign_in_as(handle)),
        does("name", html!("{}{}", name.html(), handle.html()), button(say::save()))
    )
}

fn password(account: &Account, error: Option<String>) -> Html {
    let current = account.password.is_some().then(|| password_field(say::password_now(), None));
    let fields = html!(
        "{}{}<p class=\"hint\">{}</p>",
        current,
        new_password_field("new_password", say::new_password(), error, None),
        say::others_signed_out()
    );
    does("password", fields, button(say::change_password()))
}

async fn second_factor(services: &Services, id: &str) -> Result<Html, StoreError> {
    let text = match services.accounts.second_factors.find(id).await? {
        Some(SecondFactor { since: Some(_), left, .. }) => say::factor_on(left),
        _ => say::factor_off().to_owned(),
    };
    Ok(html!("<p>{} <a href=\"{}\">{}</a></p>", text, SECOND_FACTOR, say::change_that()))
}

fn data() -> Html {
    html!(
        "<p><a href=\"{}\">{}</a>{}</p><p><a href=\"{}\">{}</a></p>",
        leave::DATA,
        say::fetch_all(),
        say::as_json_lines(),
        leave::HERE,
        say::delete_account(),
    )
}

fn deactivation(signed_in: &SignedIn, error: Option<String>) -> Html {
    let name = username(signed_in.handle.as_str());
    let (id, label, autocomplete) = ("deactivate-password", say::your_password(), "current-password");
    let password = Field { name: "password", id, label, kind: "password", autocomplete, error, ..Field::default() };
    let fields = html!("<p>{}</p>{}{}", say::deactivation_text(), name, password.html());
    does("deactivate", fields, danger(say::deactivate_account()))
}

fn list(devices: &[Device], signed_in: &SignedIn) -> Html {
    let now = now();
    let row = |device: &Device| {
        let end = if *device.session == *signed_in.session {
            html!("<strong>{}</strong>", say::this_device())
        } else {
            does("revoke", hidden("session", &device.session), quiet(say::sign_it_out()))
        };
        html!(
            "<span><bdi>{}</bdi> <span class=\"hint\">{}</span></span>{}",
            device.device,
            say::device_used(ago(now - device.used_at), ago(now - device.created_at)),
            end
        )
    };
    let others = (devices.len() > 1).then(|| does("revoke_others", Html::default(), quiet(say::sign_out_others())));
    let another = does("device", Html::default(), quiet(say::sign_in_other_device()));
    html!("{}{}{}", rows(devices.iter().map(row)), others, another)
}

/// How long ago something was.
fn ago(millis: i64) -> String {
    const MINUTE: u64 = 60_000;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match u64::try_from(millis).unwrap_or(0) {
        millis @ DAY.. => say::days_ago(millis / DAY),
        millis @ HOUR.. => say::hours_ago(millis / HOUR),
        millis @ MINUTE.. => say::minutes_ago(millis / MINUTE),
        _ => say::just_now().to_owned(),
    }
}
