//! The pages of rooms that somebody owns: to make one, its settings, and the invitation by which one comes in. All of them are forms that
//! need no script; `GET` shows, `POST` acts, and takes what comes from a page of this server's own alone.

mod form;
mod invitation;
mod people;
mod view;

use std::{collections::HashSet, sync::Arc};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect, Response},
};

pub(super) use self::form::{role_name, status as status_of};
pub(super) use self::view::span;
use self::{
    form::{Mistake, Typed, sign_in, status, to_room},
    view::{News, form_of_room, page_of_nobodys, page_of_settings},
};
pub(in crate::server) use self::{
    invitation::{invitation, join},
    people::{open_direct, person},
};
use super::{address, form::Sent, plain::Instead};
use crate::{
    locales::rooms as say,
    server::{
        manage::{self, NewBan},
        problem::Problem,
        rooms::{Code, Denied, NotDone, Role, RoomKind, Terms, Title, What},
        services::{Named, Services},
        visitors::Subnet,
        who::Who,
    },
    wire::{Group, InvalidName, Person, Timestamp},
};

const MINUTE: i64 = 60_000;
/// So many addresses of one guest are kept out at once.
const MOST_ADDRESSES: usize = 8;

/// `GET /rooms/new`: the form that makes a room.
pub(in crate::server) async fn new_room(who: Who) -> Response {
    if who.signed_in().is_none() {
        return sign_in("/rooms/new");
    }
    form_of_room(&who, None)
}

/// `POST /rooms/new`: makes it.
pub(in crate::server) async fn make_room(State(services): State<Arc<Services>>, who: Who, Sent(sent): Sent<Typed>) -> Response {
    if who.signed_in().is_none() {
        return sign_in("/rooms/new");
    }
    let made = async {
        let wrong = |text: &str| Err::<Group, _>((StatusCode::UNPROCESSABLE_ENTITY, text.to_owned()));
        let Ok(group) = sent.group.trim().parse::<Group>() else {
            return wrong(say::name_rule());
        };
        let title = if sent.title.trim().is_empty() { group.as_str() } else { &sent.title };
        let (title, kind): (Title, RoomKind) = match (title.parse(), sent.kind.parse()) {
            (Ok(title), Ok(kind)) => (title, kind),
            (Err(InvalidName(_)), _) => return wrong(say::title_rule()),
            (_, Err(InvalidName(_))) => return wrong(say::kind_rule()),
        };
        let made = services.rooms.make(who.asker(), &group, &title, kind).await;
        made.map(|()| group).map_err(|not_done| (status(&not_done), not_done.to_string()))
    };
    match made.await {
        Ok(group) => to_room(&group).into_response(),
        Err((status, text)) => {
            let mut response = form_of_room(&who, Some(&Mistake { act: "make".to_owned(), text, sent }));
            *response.status_mut() = status;
            response
        }
    }
}

/// `GET /room/{group}/settings`: what the room is, and for who may change it the forms that do.
pub(in crate::server) async fn settings(
    State(services): State<Arc<Services>>,
    who: Who,
    Named(group): Named,
) -> Result<Response, Instead> {
    let group = group.map_err(|_| Problem::NoRoom)?;
    shown(&services, &who, &group, None, StatusCode::OK).await
}

async fn shown(
    services: &Services,
    who: &Who,
    group: &Group,
    news: Option<News>,
    status: StatusCode,
) -> Result<Response, Instead> {
    match services.rooms.about(who.asker(), group).await {
        Ok(about) => {
            let present = services.presence.members(group).people;
            let switches = services.manage.switches();
            let bans = switches.bans.living(Some(group), Timestamp::now());
            Ok(page_of_settings(status, who, &about, (&present, &bans), news.as_ref()))
        }
        Err(NotDone::Denied(Denied::NotThere)) if services.rooms.may_take_over(who.asker(), group) => {
            Ok(page_of_nobodys(who, group))
        }
        Err(NotDone::Denied(denied)) => Err(denied.into()),
        Err(_) => Err(Problem::Unavailable.into()),
    }
}

/// `POST /room/{group}/settings`: does what a form of it asks for.
pub(in crate::server) async fn change_settings(
    State(services): State<Arc<Services>>,
    who: Who,
    Named(group): Named,
    headers: HeaderMap,
    Sent(sent): Sent<Typed>,
) -> Result<Response, Instead> {
    let group = group.map_err(|_| Problem::NoRoom)?;
    match carry_out(&services, &who, &group, &sent).await {
        Ok(Outcome::Done) => Ok(Redirect::to(&format!("/room/{group}/settings")).into_response()),
        Ok(Outcome::Gone) => Ok(Redirect::to("/").into_response()),
        Ok(Outcome::Invited(code)) => {
            let link = address(&headers, &format!("/invite/{}", code.as_str()));
            shown(&services, &who, &group, Some(News::Invited(link)), StatusCode::OK).await
        }
        Err(NotDone::Denied(denied @ (Denied::NotThere | Denied::Guests))) => Err(denied.into()),
        Err(not_done) => {
            let status = status(&not_done);
            let mistake = Mistake { act: sent.act.clone(), text: not_done.to_string(), sent };
            shown(&services, &who, &group, Some(News::Mistake(Box::new(mistake))), status).await
        }
    }
}

enum Outcome {
    Done,
    /// The room is not there for them any more.
    Gone,
    Invited(Code),
}

async fn carry_out(services: &Services, who: &Who, group: &Group, sent: &Typed) -> Result<Outcome, NotDone> {
    let (rooms, asker) = (&services.rooms, who.asker());
    let wrong = |rule: &'static str| move |_: InvalidName| NotDone::Wrong(rule);
    let role = || sent.role.parse::<Role>().map_err(wrong(say::role_rule()));
    let minutes = || sent.minutes.parse::<u32>().map_err(|_| NotDone::Wrong(say::minutes_rule()));
    let after = |minutes: u32| Timestamp::from_millis(Timestamp::now().as_millis() + i64::from(minutes) * MINUTE);
    let what = match sent.act.as_str() {
        "take_over" => {
            rooms.take_over(asker, group).await?;
            return Ok(Outcome::Done);
        }
        "invite" => {
            let uses = sent.uses.parse::<u32>().map_err(|_| NotDone::Wrong(say::uses_rule()))?;
            let expires = Some(minutes()?).filter(|minutes| *minutes > 0).map(after);
            let terms = Terms { role: role()?, expires, uses: Some(uses).filter(|uses| *uses > 0) };
            return rooms.invite(asker, group, terms).await.map(Outcome::Invited);
        }
        "change" => What::Change {
            title: sent.title.parse().map_err(wrong(say::title_rule()))?,
            topic: sent.topic.parse().map_err(wrong(say::topic_rule()))?,
            kind: sent.kind.parse().map_err(wrong(say::kind_rule()))?,
            posting: sent.posting.parse().map_err(wrong(say::posting_rule()))?,
        },
        "archive" => What::Archive(true),
        "reopen" => What::Archive(false),
        "revoke" => What::Revoke(sent.invitation.clone()),
        "role" => What::Give(subject(services, who, group, sent).await?, role()?),
        "mute" => What::Mute(subject(services, who, group, sent).await?, Some(after(minutes()?))),
        "unmute" => What::Mute(subject(services, who, group, sent).await?, None),
        "remove" => What::Remove(subject(services, who, group, sent).await?),
        "ban" => What::Ban(subject(services, who, group, sent).await?),
        "unban" => What::Unban(subject(services, who, group, sent).await?),
        "ban_address" => {
            ban_with_address(services, who, group, sent, minutes()?).await?;
            return Ok(Outcome::Done);
        }
        "lift_ban" => {
            rooms.manages(asker, group).await?;
            services.manage.lift_ban(who.person(), &sent.ban, Some(group)).await?;
            return Ok(Outcome::Done);
        }
        "leave" => What::Leave,
        "delete" if sent.sure.trim() == group.as_str() => What::Delete,
        "delete" => return Err(NotDone::Wrong(say::write_name_to_delete())),
        _ => return Err(NotDone::Wrong(say::nothing_to_do())),
    };
    let is_gone = matches!(what, What::Leave | What::Delete);
    rooms.act(asker, group, what).await?;
    Ok(if is_gone { Outcome::Gone } else { Outcome::Done })
}

/// Bans a guest who is there, and for a time all guests who come from where they are.
async fn ban_with_address(services: &Services, who: &Who, group: &Group, sent: &Typed, minutes: u32) -> Result<(), NotDone> {
    services.rooms.manages(who.asker(), group).await?;
    let guest = subject(services, who, group, sent).await?;
    if guest.handle.is_some() {
        return Err(NotDone::Wrong(say::banned_by_account()));
    }
    // Whoever bans somebody does not learn from where they come.
    let seen = services.nodes.ask(Some(&guest.id)).await;
    let addresses =
        seen.answers.iter().flat_map(|answer| &answer.open).filter_map(|shown| shown.address.as_ref()?.parse().ok());
    let addresses: HashSet<Subnet> = addresses.take(MOST_ADDRESSES).collect();
    if addresses.is_empty() {
        return Err(NotDone::Wrong(say::address_unknown()));
    }
    services.rooms.act(who.asker(), group, What::Ban(guest.clone())).await?;
    for address in addresses {
        let ban = NewBan { address, room: Some(group), with_accounts: false, minutes, note: &guest.name };
        match services.manage.ban(who.person(), ban).await {
            Ok(()) => {}
            Err(manage::NotDone::Wrong(_)) => {
                return Err(NotDone::Wrong(say::ban_bounded()));
            }
            Err(manage::NotDone::Unavailable(cause)) => return Err(cause.into()),
        }
    }
    Ok(())
}

/// Whom a form is about, by what they are called here.
async fn subject(services: &Services, who: &Who, group: &Group, sent: &Typed) -> Result<Person, NotDone> {
    let is_them = |person: &&Person| person.id == sent.person;
    let present = services.presence.members(group).people;
    if let Some(person) = present.iter().find(is_them) {
        return Ok(person.clone());
    }
    services.rooms.somebody(who.asker(), group, &sent.person).await
}
