//! Addresses from which guests are kept out for a time: of the whole server, by administrators, and of rooms, by their moderators. They are
//! forgotten when their time is over.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};

use super::{
    Typed, back,
    parts::{act as one, link, sheet, table, text, time},
    people::nothing,
    wrong,
};
use crate::{
    locales::manage as say,
    server::{
        manage::{BANS_LAST, Ban, NewBan, NotDone},
        pages::{
            form::{Field, Sent, button, card, form, hidden},
            html::{Html, html},
            owned::span,
            plain::Instead,
        },
        services::Services,
        who::Who,
    },
    wire::Timestamp,
};

/// Where they are.
pub(super) const TAB: &str = "/manage/bans/";

/// `GET /manage/bans/`; with `?address=ADDRESS&note=NOTE` these stand in the form.
pub(super) async fn show(State(services): State<Arc<Services>>, who: Who, uri: Uri) -> Response {
    shown(&services, &who, StatusCode::OK, &Typed::asked(&uri), None, Html::default())
}

/// `POST /manage/bans/`: keeps guests at an address out, or lets them in again.
pub(super) async fn act(
    State(services): State<Arc<Services>>,
    who: Who,
    Sent(typed): Sent<Typed>,
) -> Result<Response, Instead> {
    let by = who.person();
    let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
    match &*typed.act {
        "ban" => {
            let made = async {
                let address = typed.address.parse().map_err(|error| NotDone::Wrong(format!("{error}")))?;
                let (minutes, with_accounts) = (typed.minutes.parse().unwrap_or(0), !typed.accounts.is_empty());
                services.manage.ban(by, NewBan { address, room: None, with_accounts, minutes, note: &typed.note }).await
            };
            match made.await {
                Ok(()) => Ok(back(TAB)),
                Err(not_done) => {
                    let text = wrong(not_done)?;
                    Ok(shown(&services, &who, unprocessable, &typed, Some(text), Html::default()))
                }
            }
        }
        "lift" => {
            services.manage.lift_ban(by, &typed.id, None).await?;
            Ok(back(TAB))
        }
        _ => Ok(shown(&services, &who, unprocessable, &Typed::default(), None, nothing())),
    }
}

fn shown(services: &Services, who: &Who, status: StatusCode, typed: &Typed, mistake: Option<String>, news: Html) -> Response {
    let address = Field {
        name: "address",
        label: say::address(),
        autocomplete: "off",
        value: &typed.address,
        hint: say::address_hint(),
        error: mistake,
        more: " maxlength=\"50\" autocapitalize=\"none\" spellcheck=\"false\"",
        ..Field::default()
    };
    let minutes = if typed.minutes.is_empty() { "1440" } else { &typed.minutes };
    let lasts = BANS_LAST.map(|minutes| (minutes.to_string(), span(minutes)));
    let lasts = Field { name: "minutes", label: say::ban_lasts(), value: minutes, ..Field::default() }.choice(&lasts);
    let note = Field {
        name: "note",
        label: say::ban_note(),
        autocomplete: "off",
        value: &typed.note,
        hint: say::ban_note_hint(),
        is_optional: true,
        ..Field::default()
    };
    let accounts = Field {
        name: "accounts",
        label: say::ban_accounts(),
        value: "yes",
        hint: say::ban_accounts_hint(),
        ..Field::default()
    };
    let accounts = accounts.tick(!typed.accounts.is_empty());
    let fields = html!("{}{}{}{}{}", hidden("act", "ban"), address.html(), lasts, note.html(), accounts);
    let about = html!("<p>{}</p>", say::about_bans());
    let (switches, now) = (services.manage.switches(), Timestamp::now());
    let row = |ban: &&Ban| {
        let whom = if ban.with_accounts { say::guests_and_accounts() } else { say::guests() };
        let room = ban.room.as_ref().map(|room| link(&format!("/manage/rooms/{room}"), room.as_str()));
        vec![
            html!("{}", ban.address.to_string()),
            html!("{}", whom),
            room.unwrap_or_else(|| html!("{}", say::whole_server())),
            text(&ban.note),
            time(ban.ends),
            text(&ban.by_name),
            one(say::let_in_again(), &[("act", "lift"), ("id", &ban.id)]),
        ]
    };
    let living = switches.bans.living(None, now);
    let columns = [say::address(), say::keeps_out(), say::ban_of(), say::ban_why(), say::until(), say::ban_by(), ""];
    let living = table(say::addresses_kept_out(), &columns, living.iter().map(row).collect(), say::no_address());
    let main = html!(
        "{}{}{}{}",
        news,
        about,
        card(say::keep_out_address(), form("", fields, button(say::keep_it_out()))),
        card(say::kept_out(), living)
    );
    sheet(status, say::bans(), who, TAB, &main)
}
