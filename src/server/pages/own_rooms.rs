//! The rooms of who is signed in: those of which they are a member, and those that are open to people with accounts alone. They stand above the
//! list that is the same for all, and are HTML that the server alone makes: a page that is open asks for it again when it hears that
//! something in it is another thing.

use std::{collections::HashMap, fmt::Write as _, sync::Arc};

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{Html, IntoResponse as _, Response},
};

use crate::{
    app::{clock, mark, words},
    locales::rooms as say,
    server::{
        problem::Problem,
        quota::Weight,
        rooms::{OwnRoom, OwnRooms, RoomKind, UNREAD_COUNTED},
        services::Services,
        store::StoreError,
        who::Who,
    },
    wire::{Group, Person, Stored, beginning},
};

/// `GET /rooms/own`: the rooms of who is signed in, as a part of a page.
pub(in crate::server) async fn own_rooms(State(services): State<Arc<Services>>, who: Who) -> Result<Response, Problem> {
    if who.signed_in().is_none() {
        return Err(Problem::NotAllowed(say::only_accounts_have_rooms().to_owned()));
    }
    let (html, looked_at) = html(&services, &who, 0).await?;
    let mut response = Html(html).into_response();
    Weight::of_names(looked_at).put_on(&mut response);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The same for the page of all rooms; and how many names were looked at for that.
pub(super) async fn html(services: &Services, who: &Who, after: u32) -> Result<(String, usize), StoreError> {
    let OwnRooms { member, more, open, looked_at } = services.rooms.own_rooms(who.asker(), after).await?;
    let unread = services.rooms.unread(who.person()).await?;
    let mut html = format!("<h2>{}</h2>", say::yours());
    if member.is_empty() {
        html = html + "<p>" + say::member_of_none() + "</p>";
    }
    list(&mut html, &member, services, (who.person(), &unread));
    if let Some(more) = more {
        let _ = write!(html, "<p><a href=\"/?own={more}\">{}</a></p>", say::more_of_yours()); // a text takes whatever is written
    }
    html = html + "<p><a class=\"button\" href=\"/rooms/new\">" + say::make_room() + "</a></p>";
    if !open.is_empty() {
        html = html + "<h2>" + say::for_people_with_account() + "</h2>";
        list(&mut html, &open, services, (who.person(), &unread));
    }
    Ok((html, looked_at))
}

fn list(html: &mut String, rooms: &[OwnRoom], services: &Services, (you, unread): (&Person, &HashMap<Group, u32>)) {
    if rooms.is_empty() {
        return;
    }
    *html += "<ul class=\"rooms\">";
    for OwnRoom { group, title, kind, latest } in rooms {
        let members = services.presence.members(group);
        let others: Vec<_> =
            members.people.iter().filter(|person| person.id != you.id).map(|person| words(&person.name)).collect();
        let here = match (kind, members.count) {
            // Of a direct one it is said who.
            (Some(RoomKind::Direct), _) if !others.is_empty() => say::names_here(others.join(", ")),
            (Some(RoomKind::Direct), _) | (_, 0) => String::new(),
            (_, count) => say::count_here(count),
        };
        let kind = kind.map_or("", kind_in_words);
        let said = latest.as_ref().map(said).unwrap_or_default();
        // Into a text whatever there is can be written.
        let _ = write!(
            html,
            "<li data-room=\"{group}\"{}><a href=\"/room/{group}/\"><span class=\"name\">{}</span>{said}\
             <span class=\"there\">{}{kind}{here}</span></a></li>",
            if unread.contains_key(group) { " class=\"unread\"" } else { "" },
            words(title),
            unread.get(group).map(|count| new(*count)).unwrap_or_default(),
        );
    }
    *html += "</ul>";
}

/// How many messages are unread.
fn new(count: u32) -> String {
    let shown = if count >= UNREAD_COUNTED { format!("{}+", UNREAD_COUNTED - 1) } else { count.to_string() };
    format!("<span class=\"unread-count\">{shown}<span class=\"visually-hidden\">{}</span></span>", say::unread())
}

fn said(Stored { message, .. }: &Stored) -> String {
    let said = if message.content.deleted {
        format!("<i>{}</i>", say::message_deleted())
    } else {
        format!("<bdi>{}</bdi>", words(&beginning(&message.content.text)))
    };
    let (author, mark) = (words(&message.from.name), mark(&message.from));
    let clock = clock(message.at, |_| 0, true).html();
    let says = say::says(format_args!("<bdi class=\"author\">{author}</bdi>{mark}"), said);
    format!("<span class=\"latest\">{says}</span>{clock}")
}

pub(super) fn kind_in_words(kind: RoomKind) -> &'static str {
    match kind {
        RoomKind::Open => say::open(),
        RoomKind::Closed => say::closed(),
        RoomKind::Direct => say::direct(),
    }
}
