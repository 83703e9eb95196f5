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
use crate::server::{
    accounts::Token,
    manage::{Change, Listed},
    pages::{
        address,
        form::{Sent, alert, card},
        html::{Html, html},
        plain::Instead,
    },
    percent::percent_encode,
    problem::Problem,
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
    let columns = ["Handle", "Name", "Is", "Signs in by", "Created", "Last used"];
    let none = if find.is_empty() { "There is nobody." } else { "Nobody is called so." };
    let table = table("People", &columns, people.iter().map(row).collect(), none);
    let main = html!(
        "{}<p><a href=\"/manage/invitations/\">Invite somebody to the server</a></p>{}{}{}",
        search("Handle, name or id", &find),
        table,
        more,
        file("people")
    );
    Ok(sheet(StatusCode::OK, "People", &who, TAB, &main))
}

/// What somebody is here.
fn standing(person: &Listed) -> &'static str {
    match (person.deactivated, person.is_administrator) {
        (Some(_), _) => "deactivated",
        (None, true) => "administrator",
        (None, false) => "member",
    }
}

/// How somebody signs in.
pub(super) fn sign_in_of(person: &Listed) -> &str {
    match (&person.origin, person.has_password) {
        (Some(origin), _) => origin,
        (None, true) => "password",
        (None, false) => "nothing yet",
    }
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
            let news =
                once("With this link they choose another password, once and within a day. It is shown this once:", &link);
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
            "nobody else administers this server: make somebody else an administrator first"
        }
        _ => "it is so already",
    };
    shown(&services, &who, StatusCode::CONFLICT, &person, alert(why)).await
}

/// What is said of a form that asks for nothing that there is.
pub(super) fn nothing() -> Html {
    alert("this form does nothing that there is")
}

async fn shown(services: &Services, who: &Who, status: StatusCode, person: &Listed, news: Html) -> Result<Response, Instead> {
    let (devices, rooms) = (services.accounts.devices(&person.id).await?, services.people.rooms(&person.id).await?);
    let has_second_factor = services.accounts.second_factors.is_on(&person.id).await?;
    let about = facts(&[
        ("Handle", text(&format!("@{}", person.handle))),
        ("Id", html!("<code>{}</code>", person.id)),
        ("Is", html!("{}", standing(person))),
        ("Signs in by", html!("{}", sign_in_of(person))),
        ("Second factor", html!("{}", if has_second_factor { "yes" } else { "no" })),
        ("Created", time(person.created)),
        ("Last used", optional(person.used)),
    ]);
    let is_there = person.deactivated.is_none();
    let mut acts = Vec::new();
    if is_there {
        acts.push(one("Sign out everywhere", &[("act", "sign_out")]));
        if person.origin.is_none() {
            acts.push(one("Make a link for another password", &[("act", "reset")]));
        }
        if has_second_factor {
            acts.push(one("Remove their second factor", &[("act", "second_factor")]));
        }
        acts.push(if person.is_administrator {
            one("Take the rights of an administrator", &[("act", "no_administrator")])
        } else {
            one("Make an administrator", &[("act", "administrator")])
        });
        acts.push(one("Deactivate", &[("act", "deactivate")]));
    } else {
        acts.push(one("Let in again", &[("act", "reactivate")]));
    }
    let devices = devices.iter().map(|device| {
        let at = |at| time(crate::wire::Timestamp::from_millis(at));
        vec![text(&device.device), at(device.created_at), at(device.used_at)]
    });
    let devices = table("Devices", &["Device", "Signed in", "Last used"], devices.collect(), "Signed in nowhere.");
    let rooms = rooms.iter().map(|room| {
        let title = if room.title.is_empty() { &room.group } else { &room.title };
        vec![link(&format!("/manage/rooms/{}", room.group), title), html!("{}", room.role.replace('_', " "))]
    });
    let rooms = table("Rooms", &["Room", "Role"], rooms.collect(), "A member of no room that is not direct.");
    let main = html!(
        "{}{}<p><a href=\"/people/{}\">As others see them</a> · <a href=\"/manage/connections/?of={}\">Connections</a> · \
         <a href=\"/manage/log/?of={}\">Log</a></p><div class=\"manage-acts\">{}</div>{}{}",
        news,
        about,
        person.id,
        person.id,
        person.id,
        acts,
        card("Devices", devices),
        card("Rooms", rooms)
    );
    Ok(sheet(status, &person.name, who, TAB, &main))
}
