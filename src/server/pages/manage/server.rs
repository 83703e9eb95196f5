//! The server as a whole: an announcement to all, the read-only mode, and who may sign up.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};

use super::{
    Typed, back,
    parts::{act as one, sheet, time},
    people::nothing,
    wrong,
};
use crate::server::{
    manage::{LONGEST, Switch},
    pages::{
        form::{Field, Sent, button, card, form, hidden},
        html::{Html, html},
        plain::Instead,
    },
    services::Services,
    settings::SignUp,
    who::Who,
};

const TAB: &str = "/manage/server/";
const SHOWN_FOR: [(&str, &str); 6] =
    [("15", "15 minutes"), ("60", "an hour"), ("240", "4 hours"), ("1440", "a day"), ("10080", "a week"), ("43200", "30 days")];
const SIGN_UP: [(&str, &str); 3] = [
    ("invite", "whoever has an invitation, to the server or to a room"),
    ("open", "everybody"),
    ("closed", "nobody: administrators make accounts by confab user add"),
];

/// `GET /manage/server/`
pub(super) async fn show(State(services): State<Arc<Services>>, who: Who) -> Response {
    shown(&services, &who, StatusCode::OK, &Typed::default(), None, Html::default())
}

/// `POST /manage/server/`: announces something, or sets a switch.
pub(super) async fn act(
    State(services): State<Arc<Services>>,
    who: Who,
    Sent(typed): Sent<Typed>,
) -> Result<Response, Instead> {
    let (manage, by) = (&services.manage, who.person());
    match &*typed.act {
        "announce" => {
            let minutes = typed.minutes.parse().unwrap_or(0);
            if let Err(not_done) = manage.announce(by, &typed.text, minutes).await {
                let text = wrong(not_done)?;
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                return Ok(shown(&services, &who, status, &typed, Some(text), Html::default()));
            }
        }
        "end" => manage.end_announcement(by).await?,
        "read_only" => manage.switch(by, Switch::ReadOnly(true)).await?,
        "writable" => manage.switch(by, Switch::ReadOnly(false)).await?,
        "sign_up" if let Ok(sign_up) = typed.sign_up.parse::<SignUp>() => manage.switch(by, Switch::SignUp(sign_up)).await?,
        _ => return Ok(shown(&services, &who, StatusCode::UNPROCESSABLE_ENTITY, &Typed::default(), None, nothing())),
    }
    Ok(back(TAB))
}

fn shown(services: &Services, who: &Who, status: StatusCode, typed: &Typed, mistake: Option<String>, news: Html) -> Response {
    let switches = services.manage.switches();
    let announced = switches.announced();
    let hint =
        format!("At most {LONGEST} characters. It is shown at the head of every page, and takes the place of the one before.");
    let words = Field {
        name: "text",
        label: "What is announced",
        autocomplete: "off",
        value: &typed.text,
        hint: &hint,
        error: mistake,
        ..Field::default()
    };
    let minutes = if typed.minutes.is_empty() { "60" } else { &typed.minutes };
    let lasts = Field { name: "minutes", label: "For how long", value: minutes, ..Field::default() }.choice(&SHOWN_FOR);
    let announce = form("", html!("{}{}{}", hidden("act", "announce"), words.html(), lasts), button("Announce it"));
    let now = announced.announcement.map(|announcement| {
        html!(
            "<p>Now, until {}: <bdi>{}</bdi></p>{}",
            time(announcement.until),
            announcement.text,
            one("Take it back", &[("act", "end")])
        )
    });
    let read_only = if switches.read_only {
        html!(
            "<p>The server is read-only: what was said can be read, and nothing can be said or changed but on these pages.</p>{}",
            one("Let everybody write again", &[("act", "writable")])
        )
    } else {
        html!(
            "<p>Everybody writes as they may. Read-only, nothing can be said or changed until it is switched back, here; that holds on all \
             nodes and after a restart.</p>{}",
            one("Make the server read-only", &[("act", "read_only")])
        )
    };
    let sign_up = switches.sign_up.to_string();
    let sign_up = Field { name: "sign_up", label: "Who may make an account", value: &sign_up, ..Field::default() };
    let sign_up = form("", html!("{}{}", hidden("act", "sign_up"), sign_up.choice(&SIGN_UP)), button("Save"));
    let main = html!(
        "{}{}{}{}",
        news,
        card("Announcement", html!("{}{}", now, announce)),
        card("Read-only mode", read_only),
        card("Signing up", sign_up)
    );
    sheet(status, "Server", who, TAB, &main)
}
