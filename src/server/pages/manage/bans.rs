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
    server::{
        manage::{BANS_LAST, Ban, NewBan, NotDone},
        pages::{
            form::{Field, Sent, button, card, form, hidden},
            html::{Html, html},
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
        label: "Address",
        autocomplete: "off",
        value: &typed.address,
        hint: "192.0.2.7 or 2001:db8::7; of IPv6 the whole network of 64 bits is kept out. The list of connections has those of who is there.",
        error: mistake,
        more: " maxlength=\"50\" autocapitalize=\"none\" spellcheck=\"false\"",
        ..Field::default()
    };
    let minutes = if typed.minutes.is_empty() { "1440" } else { &typed.minutes };
    let lasts = Field { name: "minutes", label: "For how long", value: minutes, ..Field::default() }.choice(&BANS_LAST);
    let note = Field {
        name: "note",
        label: "Why, or against whom",
        autocomplete: "off",
        value: &typed.note,
        hint: "It stands in the log, which does not have the address.",
        is_optional: true,
        ..Field::default()
    };
    let accounts = Field {
        name: "accounts",
        label: "People with accounts, too",
        value: "yes",
        hint: "Otherwise they come in as ever. Administrators do in any case.",
        ..Field::default()
    };
    let accounts = accounts.tick(!typed.accounts.is_empty());
    let fields = html!("{}{}{}{}{}", hidden("act", "ban"), address.html(), lasts, note.html(), accounts);
    let about = html!(
        "<p>Guests at such an address see nothing of this server but the form to sign in, and no account is made from there. Many may share \
         one: a household, a school, all customers of a phone company. So keep it short.</p>"
    );
    let (switches, now) = (services.manage.switches(), Timestamp::now());
    let row = |ban: &&Ban| {
        let whom = if ban.with_accounts { "guests and people with accounts" } else { "guests" };
        let room = ban.room.as_ref().map(|room| link(&format!("/manage/rooms/{room}"), room.as_str()));
        vec![
            html!("{}", ban.address.to_string()),
            html!("{}", whom),
            room.unwrap_or_else(|| html!("the whole server")),
            text(&ban.note),
            time(ban.ends),
            text(&ban.by_name),
            one("Let in again", &[("act", "lift"), ("id", &ban.id)]),
        ]
    };
    let living = switches.bans.living(None, now);
    let columns = ["Address", "Keeps out", "Of", "Why", "Until", "By", ""];
    let living = table("Addresses that are kept out", &columns, living.iter().map(row).collect(), "No address is kept out.");
    let main = html!(
        "{}{}{}{}",
        news,
        about,
        card("Keep out an address", form("", fields, button("Keep it out"))),
        card("Kept out", living)
    );
    sheet(status, "Bans", who, TAB, &main)
}
