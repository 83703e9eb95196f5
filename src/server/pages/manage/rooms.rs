//! Rooms: all of them but direct ones, of which there is the number; an owner for those that have none, archive and delete.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};

use super::{
    PART, Typed, back,
    parts::{act as one, bytes, facts, file, link, next, search, sheet, table, text, time},
    people::nothing,
};
use crate::{
    locales::{manage as say, rooms as said},
    server::{
        accounts::Handle,
        pages::{
            form::{Field, Sent, alert, button, card, danger, form, hidden},
            html::html,
            owned::status_of,
            plain::Instead,
        },
        percent::percent_encode,
        problem::Problem,
        rooms::{NotDone, Overview, Owned, RoomKind, Size, What},
        services::{Named, Services},
        who::Who,
    },
    wire::{Group, Person},
};

const TAB: &str = "/manage/rooms/";

/// `GET /manage/rooms/`: the rooms, or those that are looked for.
pub(super) async fn list(State(services): State<Arc<Services>>, who: Who, uri: Uri) -> Result<Response, Instead> {
    let Typed { find, after, .. } = Typed::asked(&uri);
    let rooms = services.rooms.overview(find.trim(), after.parse::<Group>().ok().as_ref(), PART).await?;
    let more = rooms.last().filter(|_| rooms.len() == PART);
    let more = more.map(|last| next(&format!("{TAB}?find={}&after={}", percent_encode(&find), last.group)));
    let row = |Overview { group, owned }: &Overview| {
        let name = link(&format!("{TAB}{group}"), group.as_str());
        match owned {
            Some(owned) => {
                let owner = owned.owner.as_ref().map(|owner| link(&format!("/manage/people/{}", owner.id), &owner.name));
                vec![
                    name,
                    text(&owned.title),
                    html!("{}", kind(owned)),
                    owner.unwrap_or_else(|| html!("{}", say::nobody())),
                    html!("{}", owned.members),
                    time(owned.made),
                ]
            }
            None => {
                vec![name, html!(""), html!("{}", say::is_open()), html!("{}", say::nobody()), html!(""), html!("")]
            }
        }
    };
    let columns = [say::room(), say::title(), say::is(), say::owner(), say::members(), say::made()];
    let none = if find.trim().is_empty() { say::no_rooms() } else { say::no_room_called_so() };
    let (owned, direct) = services.rooms.counts();
    let main = html!(
        "{}<p>{}</p>{}{}{}",
        search(say::part_of_name(), &find),
        say::counted(owned, direct),
        table(say::rooms(), &columns, rooms.iter().map(row).collect(), none),
        more,
        file("rooms")
    );
    Ok(sheet(StatusCode::OK, say::rooms(), &who, TAB, &main))
}

fn kind(owned: &Owned) -> &'static str {
    match (owned.kind, owned.is_archived) {
        (RoomKind::Open, false) => say::is_open(),
        (RoomKind::Open, true) => say::is_open_archived(),
        (_, false) => say::is_closed(),
        (_, true) => say::is_closed_archived(),
    }
}

/// `GET /manage/rooms/{group}`
pub(super) async fn show(State(services): State<Arc<Services>>, who: Who, Named(group): Named) -> Result<Response, Instead> {
    let group = group.map_err(|_| Problem::NoAddress)?;
    shown(&services, &who, StatusCode::OK, &group, &Typed::default(), None).await
}

/// `POST /manage/rooms/{group}`: gives it an owner, archives or deletes it.
pub(super) async fn act(
    State(services): State<Arc<Services>>,
    who: Who,
    Named(group): Named,
    Sent(typed): Sent<Typed>,
) -> Result<Response, Instead> {
    let group = group.map_err(|_| Problem::NoAddress)?;
    let Some(room) = services.rooms.overview_of(&group).await? else { return Err(Problem::NoAddress.into()) };
    match carry_out(&services, &who, &room, &typed).await {
        Ok(true) => Ok(back(TAB)),
        Ok(false) => Ok(back(&format!("{TAB}{group}"))),
        Err(not_done) => shown(&services, &who, status_of(&not_done), &group, &typed, Some(not_done.to_string())).await,
    }
}

/// Says whether the room is gone by it.
async fn carry_out(services: &Services, who: &Who, room: &Overview, typed: &Typed) -> Result<bool, NotDone> {
    let (rooms, asker, group) = (&services.rooms, who.asker(), &room.group);
    let what = match &*typed.act {
        "owner" => {
            let handle: Handle = typed.owner.parse().map_err(|_| NotDone::Wrong(said::write_handle()))?;
            let account = services.accounts.records.by_handle(&handle).await?.filter(|account| !account.is_deactivated);
            let account = account.ok_or(NotDone::Wrong(said::nobody_of_handle()))?;
            let owner = Person::new(account.id, account.name);
            rooms.give_owner(asker, group, &owner).await?;
            return Ok(false);
        }
        "archive" => What::Archive(true),
        "reopen" => What::Archive(false),
        "delete" if typed.sure.trim() == group.as_str() => What::Delete,
        "delete" => return Err(NotDone::Wrong(said::write_name_to_delete())),
        _ => return Err(NotDone::Wrong(said::nothing_to_do())),
    };
    if room.owned.is_none() {
        // What is done with a room is done with one that is somebody's.
        rooms.take_over(asker, group).await?;
    }
    let is_gone = matches!(what, What::Delete);
    rooms.act(asker, group, what).await?;
    Ok(is_gone)
}

async fn shown(
    services: &Services,
    who: &Who,
    status: StatusCode,
    group: &Group,
    typed: &Typed,
    mistake: Option<String>,
) -> Result<Response, Instead> {
    let room = services.rooms.overview_of(group).await?.ok_or(Problem::NoAddress)?;
    let Size { messages, bytes: size, is_cut } = services.rooms.size(group).await?;
    let size = if is_cut { say::messages_at_least(messages, bytes(size)) } else { say::messages(messages, bytes(size)) };
    let size = html!("{}", size);
    let (owner, about) = match &room.owned {
        Some(owned) => {
            let owner = owned.owner.as_ref().map(|owner| link(&format!("/manage/people/{}", owner.id), &owner.name));
            let about = vec![
                (say::title(), text(&owned.title)),
                (say::is(), html!("{}", kind(owned))),
                (say::owner(), owner.clone().unwrap_or_else(|| html!("{}", say::nobody()))),
                (say::members(), html!("{}", owned.members)),
                (say::made(), time(owned.made)),
                (say::in_the_store(), size),
            ];
            (owner, about)
        }
        None => (
            None,
            vec![
                (say::is(), html!("{}", say::is_open())),
                (say::owner(), html!("{}", say::nobody())),
                (say::in_the_store(), size),
            ],
        ),
    };
    let of = |act: &str| mistake.clone().filter(|_| typed.act == act);
    let loose = mistake.clone().filter(|_| !["owner", "delete"].contains(&&*typed.act));
    let give = owner.is_none().then(|| {
        let field = Field {
            name: "owner",
            label: say::handle_of_owner(),
            autocomplete: "off",
            value: &typed.owner,
            error: of("owner"),
            ..Field::default()
        };
        card(say::give_owner(), form("", html!("{}{}", hidden("act", "owner"), field.html()), button(say::give_it())))
    });
    let is_archived = room.owned.as_ref().is_some_and(|owned| owned.is_archived);
    let archive =
        if is_archived { one(say::reopen(), &[("act", "reopen")]) } else { one(say::archive(), &[("act", "archive")]) };
    let sure = Field {
        name: "sure",
        label: say::delete_text(),
        autocomplete: "off",
        value: &typed.sure,
        error: of("delete"),
        ..Field::default()
    };
    let delete = form("", html!("{}{}", hidden("act", "delete"), sure.html()), danger(say::delete_the_room()));
    let news = loose.map(|text| if typed.act.is_empty() { nothing() } else { alert(&text) });
    let main = html!(
        "{}{}<p><a href=\"/room/{}/\">{}</a> · <a href=\"/room/{}/settings\">{}</a> · \
         <a href=\"/manage/log/?of={}\">{}</a></p>{}<div class=\"manage-acts\">{}</div>{}",
        news,
        facts(&about),
        group.as_str(),
        say::the_room(),
        group.as_str(),
        say::its_settings(),
        group.as_str(),
        say::log(),
        give,
        archive,
        card(say::delete(), delete)
    );
    Ok(sheet(status, group.as_str(), who, TAB, &main))
}
