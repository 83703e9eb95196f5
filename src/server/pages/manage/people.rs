//! People: found by handle, name or id; and what can be done to each.

use std::sync::Arc;

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};

use super::{
    PART, Typed, back,
    parts::{act as one, facts, file, link, next, once, optional, search, sheet, table, text, time},
};
use crate::locales::manage as say;
use crate::server::{
    accounts::Token,
    manage::{Change, Listed},
    pages::{
        address,
        form::{Sent, alert, card},
        html::{Html, html},
        owned::role_name,
        plain::Instead,
    },
    percent::percent_encode,
    problem::Problem,
    rooms::Role,
    services::Services,
    who::Who,
};

const TAB: &str = "/manage/people/";

/// `GET /manage/people/`: the people, or those that are looked for.
pub(super) async fn list(State(services): State<Arc<Services>>, who: Who, uri: Uri) -> Result<Response, Instead> {
    let Typed { find, after, .. } = Typed::asked(&uri);
    let people = services.people.list(&find, &after, i64::try_from(PART).unwrap_or(i64::MAX)).await?;
    let more = people.last().filter(|_| people.len() == PART);
    let more = more.map(|last| next(&format!("{TAB}?find={}&after={}", percent_encode(&find), percent_encode(&last.place))));
    let row = |person: &Listed| {
        vec![
            link(&format!("{TAB}{}", person.id), &format!("@{}", person.handle)),
            text(&person.name),
            html!("{}", standing(person)),
            html!("{}", sign_in_of(person)),
            time(person.created),
            optional(person.used),
        ]
    };
    let columns = [say::handle(), say::name(), say::is(), say::signs_in_by(), say::created(), say::last_used()];
    let none = if find.is_empty() { say::there_is_nobody() } else { say::nobody_called_so() };
    let table = table(say::people(), &columns, people.iter().map(row).collect(), none);
    let main = html!(
        "{}<p><a href=\"/manage/invitations/\">{}</a></p>{}{}{}",
        search(say::handle_name_id(), &find),
        say::invite_to_server(),
        table,
        more,
        file("people")
    );
    Ok(sheet(StatusCode::OK, say::people(), &who, TAB, &main))
}

/// What somebody is here.
fn standing(person: &Listed) -> &'static str {
    match (person.deactivated, person.is_administrator) {
        (Some(_), _) => say::is_deactivated(),
        (None, true) => say::is_administrator(),
        (None, false) => say::is_member(),
    }
}

/// How somebody signs in.
fn sign_in_of(person: &Listed) -> &str {
    match (&person.origin, person.has_password) {
        (Some(origin), _) => origin,
        (None, true) => say::by_password(),
        (None, false) => say::by_nothing(),
    }
}

/// What somebody is in a room, by the word that the store has.
pub(super) fn role_in_words(role: &str) -> String {
    role.parse::<Role>().map_or_else(|_| role.to_owned(), |role| role_name(role).to_lowercase())
}

/// Somebody, by the id in an address.
async fn find(services: &Services, id: Result<Path<String>, PathRejection>) -> Result<Listed, Instead> {
    let id = id.map(|Path(id)| id).unwrap_or_default();
    Ok(services.people.find(&id).await?.ok_or(Problem::NoAddress)?)
}

/// `GET /manage/people/{account}`
pub(super) async fn show(
    State(services): State<Arc<Services>>,
    who: Who,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Instead> {
    let person = find(&services, id).await?;
    shown(&services, &who, StatusCode::OK, &person, Html::default()).await
}

/// `POST /manage/people/{account}`: does something to them.
pub(super) async fn act(
    State(services): State<Arc<Services>>,
    who: Who,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    Sent(typed): Sent<Typed>,
) -> Result<Response, Instead> {
    let person = find(&services, id).await?;
    let by = who.person();
    let change = match &*typed.act {
        "deactivate" => Change::Deactivate,
        "reactivate" => Change::Reactivate,
        "administrator" => Change::MakeAdministrator,
        "no_administrator" => Change::UnmakeAdministrator,
        "sign_out" => Change::SignOut,
        "second_factor" => Change::RemoveSecondFactor,
        "reset" => {
            let token: Token = services.people.reset_link(by, &person).await?;
            let link = address(&headers, &format!("/reset/{}", token.reveal()));
            let news = once(say::reset_once(), &link);
            return shown(&services, &who, StatusCode::OK, &person, news).await;
        }
        _ => return shown(&services, &who, StatusCode::UNPROCESSABLE_ENTITY, &person, nothing()).await,
    };
    if services.people.change(by, &person, change).await? {
        return Ok(back(&format!("{TAB}{}", person.id)));
    }
    let person = services.people.find(&person.id).await?.ok_or(Problem::NoAddress)?;
    let why = match change {
        Change::Deactivate | Change::UnmakeAdministrator if person.is_administrator && person.deactivated.is_none() => {
            say::last_administrator()
        }
        _ => say::so_already(),
    };
    shown(&services, &who, StatusCode::CONFLICT, &person, alert(why)).await
}

/// What is said of a form that asks for nothing that there is.
pub(super) fn nothing() -> Html {
    alert(say::nothing_to_do())
}

async fn shown(services: &Services, who: &Who, status: StatusCode, person: &Listed, news: Html) -> Result<Response, Instead> {
    let (devices, rooms) = (services.accounts.devices(&person.id).await?, services.people.rooms(&person.id).await?);
    let has_second_factor = services.accounts.second_factors.is_on(&person.id).await?;
    let about = facts(&[
        (say::handle(), text(&format!("@{}", person.handle))),
        (say::id(), html!("<code>{}</code>", person.id)),
        (say::is(), html!("{}", standing(person))),
        (say::signs_in_by(), html!("{}", sign_in_of(person))),
        (say::second_factor(), html!("{}", if has_second_factor { say::yes() } else { say::no() })),
        (say::created(), time(person.created)),
        (say::last_used(), optional(person.used)),
    ]);
    let is_there = person.deactivated.is_none();
    let mut acts = Vec::new();
    if is_there {
        acts.push(one(say::sign_out_everywhere(), &[("act", "sign_out")]));
        if person.origin.is_none() {
            acts.push(one(say::make_reset_link(), &[("act", "reset")]));
        }
        if has_second_factor {
            acts.push(one(say::remove_second_factor(), &[("act", "second_factor")]));
        }
        acts.push(if person.is_administrator {
            one(say::take_rights(), &[("act", "no_administrator")])
        } else {
            one(say::make_administrator(), &[("act", "administrator")])
        });
        acts.push(one(say::deactivate(), &[("act", "deactivate")]));
    } else {
        acts.push(one(say::let_in_again(), &[("act", "reactivate")]));
    }
    let devices = devices.iter().map(|device| {
        let at = |at| time(crate::wire::Timestamp::from_millis(at));
        vec![text(&device.device), at(device.created_at), at(device.used_at)]
    });
    let devices = table(
        say::devices(),
        &[say::device(), say::signed_in(), say::last_used()],
        devices.collect(),
        say::signed_in_nowhere(),
    );
    let rooms = rooms.iter().map(|room| {
        let title = if room.title.is_empty() { &room.group } else { &room.title };
        vec![link(&format!("/manage/rooms/{}", room.group), title), html!("{}", role_in_words(&room.role))]
    });
    let rooms = table(say::rooms(), &[say::room(), say::role()], rooms.collect(), say::member_of_none());
    let main = html!(
        "{}{}<p><a href=\"/people/{}\">{}</a> · <a href=\"/manage/connections/?of={}\">{}</a> · \
         <a href=\"/manage/log/?of={}\">{}</a></p><div class=\"manage-acts\">{}</div>{}{}",
        news,
        about,
        person.id,
        say::as_others_see(),
        person.id,
        say::connections(),
        person.id,
        say::log(),
        acts,
        card(say::devices(), devices),
        card(say::rooms(), rooms)
    );
    Ok(sheet(status, &person.name, who, TAB, &main))
}
