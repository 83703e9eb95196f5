//! The server as a whole: an announcement to all, the read-only mode, and who may sign up.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};

use super::{
    Typed, back,
    parts::{act as one, sheet, text, time},
    people::nothing,
    wrong,
};
use crate::locales::manage as say;
use crate::server::{
    manage::{LONGEST, Switch},
    pages::{
        form::{Field, Sent, button, card, form, hidden},
        html::{Html, html, within},
        plain::Instead,
    },
    services::Services,
    settings::SignUp,
    who::Who,
};

const TAB: &str = "/manage/server/";

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
    let hint = say::announcement_hint(LONGEST);
    let words = Field {
        name: "text",
        label: say::announced(),
        autocomplete: "off",
        value: &typed.text,
        hint: &hint,
        error: mistake,
        ..Field::default()
    };
    let minutes = if typed.minutes.is_empty() { "60" } else { &typed.minutes };
    let shown_for = [
        ("15", say::minutes_15()),
        ("60", say::an_hour()),
        ("240", say::hours_4()),
        ("1440", say::a_day()),
        ("10080", say::a_week()),
        ("43200", say::days_30()),
    ];
    let lasts = Field { name: "minutes", label: say::for_how_long(), value: minutes, ..Field::default() }.choice(&shown_for);
    let announce = form("", html!("{}{}{}", hidden("act", "announce"), words.html(), lasts), button(say::announce()));
    let now = announced.announcement.map(|announcement| {
        html!(
            "<p>{}</p>{}",
            within([time(announcement.until), text(&announcement.text)], |[until, text]| say::now_until(until, text)),
            one(say::take_back(), &[("act", "end")])
        )
    });
    let read_only = if switches.read_only {
        html!("<p>{}</p>{}", say::is_read_only(), one(say::let_write(), &[("act", "writable")]))
    } else {
        html!("<p>{}</p>{}", say::is_writable(), one(say::make_read_only(), &[("act", "read_only")]))
    };
    let sign_up = switches.sign_up.to_string();
    let sign_up = Field { name: "sign_up", label: say::who_may_sign_up(), value: &sign_up, ..Field::default() };
    let who_may = [("invite", say::sign_up_invite()), ("open", say::sign_up_open()), ("closed", say::sign_up_closed())];
    let sign_up = form("", html!("{}{}", hidden("act", "sign_up"), sign_up.choice(&who_may)), button(say::save()));
    let main = html!(
        "{}{}{}{}",
        news,
        card(say::announcement(), html!("{}{}", now, announce)),
        card(say::read_only_mode(), read_only),
        card(say::signing_up(), sign_up)
    );
    sheet(status, say::server(), who, TAB, &main)
}
