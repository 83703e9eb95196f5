//! The page of an invitation: `GET` shows what one would join, and `POST` joins.

use std::sync::Arc;

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use leptos::prelude::*;

use super::form::{role_name, sign_in, to_room};
use crate::locales::rooms as say;
use crate::server::{
    pages::{
        html::{html, within},
        sheet::{Back, sheet},
    },
    percent::percent_encode,
    rooms::{Code, Invited, NotDone, Record},
    services::Services,
    who::Who,
};

/// `GET /invite/{code}`: what one would join, who invites, and how many are there. It spends nothing.
pub(in crate::server) async fn invitation(
    State(services): State<Arc<Services>>,
    who: Who,
    code: Result<Path<String>, PathRejection>,
) -> Response {
    let code = code.ok().and_then(|Path(code)| code.parse::<Code>().ok());
    let invited = match &code {
        Some(code) => services.rooms.invited(code).await,
        None => Ok(None),
    };
    let (Some(code), Ok(Some(invited))) = (code, &invited) else {
        return not_good(&who, invited.is_err());
    };
    let is_member =
        who.signed_in().is_some() && services.rooms.is_member(who.person(), &invited.room.group).await.unwrap_or_default();
    page_of_invitation(invited, &code, &who, is_member)
}

/// `POST /invite/{code}`: comes in.
pub(in crate::server) async fn join(
    State(services): State<Arc<Services>>,
    who: Who,
    code: Result<Path<String>, PathRejection>,
) -> Response {
    let Some(code) = code.ok().and_then(|Path(code)| code.parse::<Code>().ok()) else { return not_good(&who, false) };
    match services.rooms.join(who.asker(), &code).await {
        Ok(group) => to_room(&group).into_response(),
        Err(NotDone::NoAccount) => sign_in(&format!("/invite/{}", code.as_str())),
        Err(not_done) => not_good(&who, matches!(not_done, NotDone::Unavailable)),
    }
}

fn not_good(who: &Who, is_away: bool) -> Response {
    let (status, title, text) = if is_away {
        (StatusCode::SERVICE_UNAVAILABLE, say::not_now(), say::invitation_unavailable())
    } else {
        (StatusCode::NOT_FOUND, say::invitation_bad(), say::invitation_bad_text())
    };
    sheet(status, title, who, Back("/".to_owned(), say::rooms()), || view! { <p>{text}</p> })
}

fn page_of_invitation(Invited { room, invitation, members }: &Invited, code: &Code, who: &Who, is_member: bool) -> Response {
    let Record { group, title, topic, .. } = room;
    let invites = within([html!("<bdi>{}</bdi>", invitation.by.name)], |[name]| say::invites_you(name, say::members(*members)));
    let next = percent_encode(&format!("/invite/{}", code.as_str()));
    sheet(StatusCode::OK, title, who, Back("/".to_owned(), say::rooms()), || {
        let way = if is_member {
            view! { <p>{say::in_it_already()} " " <a class="button" href=format!("/room/{group}/")>{say::go_to_room()}</a></p> }
                .into_any()
        } else if who.signed_in().is_some() {
            view! { <form method="post"><button type="submit">{say::join()}</button></form> }.into_any()
        } else {
            view! {
                <p>{say::need_account()}</p>
                <p class="field">
                    <a class="button" href=format!("/login?next={next}")>
                        {say::sign_in()}
                    </a>
                    <a class="button" href=format!("/signup?invite={}&next={next}", code.as_str())>
                        {say::sign_up()}
                    </a>
                </p>
            }
            .into_any()
        };
        view! {
            {(!topic.is_empty()).then(|| view! { <p><bdi>{topic.clone()}</bdi></p> })}
            <p inner_html=invites.as_str().to_owned()></p>
            <p>{say::you_would_be(role_name(invitation.terms.role).to_lowercase())}</p>
            {way}
        }
    })
}
