//! The log of who did what.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};

use super::{
    PART, Typed,
    parts::{file, link, next, sheet, table, text, time},
};
use crate::locales::{audit, manage as say};
use crate::server::{
    audit::{Place, Recorded},
    pages::{
        html::{Html, html},
        plain::Instead,
    },
    percent::percent_encode,
    services::Services,
    who::Who,
};

const TAB: &str = "/manage/log/";

/// `GET /manage/log/`: the newest lines; with `?of=ID` those by or about somebody or something.
pub(super) async fn show(State(services): State<Arc<Services>>, who: Who, uri: Uri) -> Result<Response, Instead> {
    let asked = Typed::asked(&uri);
    let of = Some(asked.of.trim()).filter(|of| !of.is_empty());
    let lines = services.audit.page(&place(&asked.before), of, PART).await?;
    let more = lines.last().filter(|_| lines.len() == PART).map(|last| {
        let of = percent_encode(of.unwrap_or_default());
        next(&format!("{TAB}?of={of}&before={}-{}", last.at.as_millis(), last.id))
    });
    let row = |line: &Recorded| {
        let by = match &line.by_id {
            Some(id) => link(&format!("/manage/people/{id}"), &line.by_name),
            None => text(nobody_in_words(&line.by_name)),
        };
        let to = line.to.as_ref().map(|to| subject(&line.act, to));
        vec![time(line.at), by, html!("{}", line.says()), html!("{}", to), text(&line.detail)]
    };
    let columns = [say::when(), say::who(), say::did(), say::to(), say::detail()];
    let none = if of.is_some() { say::nothing_known() } else { say::nothing_done() };
    let whose = of.map(|_| html!("<p>{} <a href=\"{}\">{}</a></p>", say::a_part(), TAB, say::all_of_it()));
    let table = table(say::who_did_what(), &columns, lines.iter().map(row).collect(), none);
    Ok(sheet(StatusCode::OK, say::log(), &who, TAB, &html!("{}{}{}{}", whose, table, more, file("log"))))
}

/// What did something that is nobody, by its name in the log.
fn nobody_in_words(name: &str) -> &str {
    match name {
        "the server" => audit::the_server(),
        "the command line" => audit::the_command_line(),
        other => other,
    }
}

/// To whom or what it was done; where there is a page about it, it leads there.
fn subject(act: &str, (id, name): &(String, String)) -> Html {
    let name = if name.is_empty() { id } else { name };
    match act.split_once('.').map_or(act, |(of, _)| of) {
        "account" => link(&format!("/manage/people/{}", percent_encode(id)), name),
        "room" => link(&format!("/manage/rooms/{}", percent_encode(id)), name),
        "connection" => link(&format!("/manage/connections/?of={}", percent_encode(id)), name),
        _ => text(name),
    }
}

/// Where an address says that the log goes on.
fn place(before: &str) -> Place {
    let place = before.rsplit_once('-').and_then(|(at, id)| Some(Place { at: at.parse().ok()?, id: id.to_owned() }));
    place.unwrap_or_else(Place::newest)
}
