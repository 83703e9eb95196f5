//! What the forms of rooms send, and what is said where that is wrong.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use leptos::prelude::*;
use serde::Deserialize;

use crate::{
    locales::rooms as say,
    server::{
        pages::form::sentence,
        percent::percent_encode,
        rooms::{Denied, NotDone, Role},
    },
    wire::Group,
};

/// What a form of these pages sends; each has what it needs of it.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::server) struct Typed {
    pub(super) act: String,
    pub(super) group: String,
    pub(super) title: String,
    pub(super) topic: String,
    pub(super) kind: String,
    pub(super) posting: String,
    pub(super) person: String,
    pub(super) role: String,
    pub(super) minutes: String,
    pub(super) uses: String,
    pub(super) invitation: String,
    pub(super) ban: String,
    pub(super) sure: String,
    pub(super) with: String,
}

/// What was wrong with a form, and which it was.
pub(super) struct Mistake {
    pub(super) act: String,
    pub(super) text: String,
    pub(super) sent: Typed,
}

impl Mistake {
    /// Of a form that does `act`.
    pub(super) fn of<'m>(mistake: Option<&'m Self>, act: &str) -> Option<&'m Self> {
        mistake.filter(|mistake| mistake.act == act)
    }
}

/// Why a form was not carried out, as a status.
pub(in crate::server::pages) fn status(not_done: &NotDone) -> StatusCode {
    match not_done {
        NotDone::Denied(Denied::NotThere) => StatusCode::NOT_FOUND,
        NotDone::Denied(_) | NotDone::OnlyAdministrators | NotDone::NoAccount => StatusCode::FORBIDDEN,
        NotDone::Taken => StatusCode::CONFLICT,
        NotDone::MadeTooOften(_) | NotDone::DoneTooOften(_) => StatusCode::TOO_MANY_REQUESTS,
        NotDone::NotGood => StatusCode::GONE,
        NotDone::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

/// Where whoever is not signed in does that, and comes back.
pub(super) fn sign_in(next: &str) -> Response {
    Redirect::to(&format!("/login?next={}", percent_encode(next))).into_response()
}

pub(super) fn to_room(group: &Group) -> Redirect {
    Redirect::to(&format!("/room/{group}/"))
}

/// A line about what was wrong, which the field is described by.
pub(super) fn complaint(mistake: Option<&Mistake>) -> Option<impl IntoView + use<>> {
    mistake.map(|mistake| {
        let text = sentence(&mistake.text);
        view! { <p id=format!("{}-mistake", mistake.act) class="mistake" role="alert">{text}</p> }
    })
}

pub(in crate::server::pages) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Owner => say::owner(),
        Role::Moderator => say::moderator(),
        Role::Member => say::member(),
        Role::ReadOnly => say::reads_only(),
    }
}
