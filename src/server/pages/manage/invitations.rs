//! Invitations: to the server, by which somebody may make an account; and those to rooms, which can be revoked here.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};

use super::{
    Typed, back,
    parts::{act as one, link, once, sheet, table, text, time},
    people::nothing,
    wrong,
};
use crate::{
    locales::manage as say,
    server::{
        audit::{Act, By, Deed},
        manage::{MOST_DAYS, MOST_USES, NewInvitation},
        pages::{
            address,
            form::{Field, Sent, alert, button, card, form, hidden},
            html::{Html, html},
            owned::role_name,
            plain::Instead,
        },
        rooms::{NotDone, StandingInvitation, What},
        services::Services,
        settings::SignUp,
        who::Who,
    },
    wire::Group,
};

const TAB: &str = "/manage/invitations/";
/// How many invitations to rooms are shown.
const SHOWN: i64 = 500;

/// `GET /manage/invitations/`
pub(super) async fn show(State(services): State<Arc<Services>>, who: Who) -> Result<Response, Instead> {
    shown(&services, &who, StatusCode::OK, &Typed::default(), None, Html::default()).await
}

/// `POST /manage/invitations/`: makes one, or revokes one.
pub(super) async fn act(
    State(services): State<Arc<Services>>,
    who: Who,
    headers: HeaderMap,
    Sent(typed): Sent<Typed>,
) -> Result<Response, Instead> {
    let by = By::Person(who.person());
    match &*typed.act {
        "invite" => {
            let number = |text: &str| text.trim().parse::<u32>().unwrap_or(0);
            let new = NewInvitation { note: &typed.note, uses: number(&typed.uses), days: number(&typed.days) };
            match services.invitations.make(by, new).await {
                Ok(token) => {
                    let link = address(&headers, &format!("/signup?invite={}", token.reveal()));
                    let news = once(say::invite_once(), &link);
                    shown(&services, &who, StatusCode::OK, &Typed::default(), None, news).await
                }
                Err(not_done) => {
                    let text = wrong(not_done)?;
                    shown(&services, &who, StatusCode::UNPROCESSABLE_ENTITY, &typed, Some(text), Html::default()).await
                }
            }
        }
        "revoke" => {
            services.invitations.revoke(by, &typed.digest).await?;
            Ok(back(TAB))
        }
        "revoke_of_room" => match revoke_of_room(&services, &who, &typed).await {
            Ok(()) => Ok(back(TAB)),
            Err(not_done) => {
                let news = alert(&not_done.to_string());
                shown(&services, &who, StatusCode::CONFLICT, &Typed::default(), None, news).await
            }
        },
        _ => shown(&services, &who, StatusCode::UNPROCESSABLE_ENTITY, &Typed::default(), None, nothing()).await,
    }
}

async fn revoke_of_room(services: &Services, who: &Who, typed: &Typed) -> Result<(), NotDone> {
    let group: Group = typed.room.parse().map_err(|_| NotDone::Wrong(say::no_such_room()))?;
    services.rooms.act(who.asker(), &group, What::Revoke(typed.digest.clone())).await?;
    let deed = Deed::new(By::Person(who.person()), Act::RoomInvitationRevoked).to(group.as_str(), group.as_str());
    services.audit.record(&deed).await;
    Ok(())
}

async fn shown(
    services: &Services,
    who: &Who,
    status: StatusCode,
    typed: &Typed,
    mistake: Option<String>,
    news: Html,
) -> Result<Response, Instead> {
    let or = |text: &str, usual: &str| if text.is_empty() { usual.to_owned() } else { text.to_owned() };
    let (uses, days) = (or(&typed.uses, "1"), or(&typed.days, "7"));
    let note = Field {
        name: "note",
        label: say::invitation_note(),
        autocomplete: "off",
        value: &typed.note,
        is_optional: true,
        error: mistake.clone(),
        ..Field::default()
    };
    let number = |name, label, value| Field { name, label, kind: "number", autocomplete: "off", value, ..Field::default() };
    let hint = say::range(MOST_USES);
    let uses = Field { hint: &hint, more: " min=\"1\" max=\"1000\"", ..number("uses", say::for_how_many(), &uses) };
    let hint = say::range(MOST_DAYS);
    let days = Field { hint: &hint, more: " min=\"1\" max=\"365\"", ..number("days", say::for_how_many_days(), &days) };
    let fields = html!("{}{}{}{}", hidden("act", "invite"), note.html(), uses.html(), days.html());
    let sign_up = match services.manage.switches().sign_up {
        SignUp::Open => say::everybody_may(),
        SignUp::Invite => say::invited_may(),
        SignUp::Closed => say::nobody_may(),
    };
    let living = services.invitations.living().await?;
    let living = living.iter().map(|invitation| {
        vec![
            text(&invitation.note),
            html!("{}", invitation.uses),
            time(invitation.ends),
            text(&invitation.by_name),
            one(say::revoke(), &[("act", "revoke"), ("digest", &invitation.digest)]),
        ]
    });
    let columns = [say::for_what(), say::how_many(), say::until(), say::made_by(), ""];
    let living = table(say::invitations_to_server(), &columns, living.collect(), say::none_usable());
    let of_rooms = services.rooms.standing_invitations(SHOWN).await?;
    let of_room = |invitation: &StandingInvitation| {
        let StandingInvitation { digest, group, role, expires, uses, by_name } = invitation;
        vec![
            link(&format!("/manage/rooms/{group}"), group.as_str()),
            html!("{}", role_name(*role).to_lowercase()),
            uses.map_or_else(|| html!("{}", say::any_number()), |uses| html!("{}", uses)),
            expires.map_or_else(|| html!("{}", say::for_ever()), time),
            text(by_name),
            one(say::revoke(), &[("act", "revoke_of_room"), ("room", group.as_str()), ("digest", digest)]),
        ]
    };
    let columns = [say::room(), say::role(), say::how_many(), say::until(), say::made_by(), ""];
    let rows = of_rooms.iter().map(of_room).collect();
    let of_rooms = table(say::invitations_to_rooms(), &columns, rows, say::none_usable());
    let main = html!(
        "{}<p>{}</p>{}{}{}",
        news,
        sign_up,
        card(say::invite_to_server(), form("", fields, button(say::make_invitation()))),
        card(say::invitations_to_server(), living),
        card(say::invitations_to_rooms(), of_rooms)
    );
    Ok(sheet(status, say::invitations(), who, TAB, &main))
}
