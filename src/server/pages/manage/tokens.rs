//! Tokens of programs: made, shown once, narrowed, revoked.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};

use super::{
    PART, Typed, back,
    parts::{act as one, file, next, once, optional, sheet, table, text, time},
    people::nothing,
    wrong,
};
use crate::server::{
    accounts::{Program, TokenRights},
    manage::{NewToken, TokenRow, does},
    pages::{
        form::{Field, Sent, button, card, form, hidden},
        html::{Html, html},
        plain::Instead,
    },
    services::Services,
    who::Who,
};

const TAB: &str = "/manage/tokens/";

/// `GET /manage/tokens/`
pub(super) async fn show(State(services): State<Arc<Services>>, who: Who, uri: Uri) -> Result<Response, Instead> {
    let asked = Typed::asked(&uri);
    let typed = Typed { post: "yes".to_owned(), after: asked.after, ..Typed::default() };
    shown(&services, &who, StatusCode::OK, &typed, None, Html::default()).await
}

/// `POST /manage/tokens/`: makes one, or revokes one.
pub(super) async fn act(
    State(services): State<Arc<Services>>,
    who: Who,
    Sent(typed): Sent<Typed>,
) -> Result<Response, Instead> {
    match &*typed.act {
        "make" => {
            let is = |text: &str| !text.is_empty();
            let may = TokenRights { read: is(&typed.read), post: is(&typed.post), push: is(&typed.push) };
            let new = NewToken { name: &typed.name, rooms: &typed.rooms, may };
            match services.manage.make_token(who.person(), &new).await {
                Ok(token) => {
                    let news = once("The token, for Authorization: Bearer TOKEN. It is shown this once:", &token);
                    let typed = Typed { post: "yes".to_owned(), ..Typed::default() };
                    shown(&services, &who, StatusCode::OK, &typed, None, news).await
                }
                Err(not_done) => {
                    let text = wrong(not_done)?;
                    shown(&services, &who, StatusCode::UNPROCESSABLE_ENTITY, &typed, Some(text), Html::default()).await
                }
            }
        }
        "revoke" => {
            services.manage.revoke_token(who.person(), &typed.id).await?;
            Ok(back(TAB))
        }
        _ => shown(&services, &who, StatusCode::UNPROCESSABLE_ENTITY, &Typed::default(), None, nothing()).await,
    }
}

async fn shown(
    services: &Services,
    who: &Who,
    status: StatusCode,
    typed: &Typed,
    mistake: Option<String>,
    news: Html,
) -> Result<Response, Instead> {
    let name = Field {
        name: "name",
        label: "Name, as people see it",
        autocomplete: "off",
        value: &typed.name,
        error: mistake,
        ..Field::default()
    };
    let rooms = Field {
        name: "rooms",
        label: "Rooms that it is for",
        autocomplete: "off",
        value: &typed.rooms,
        hint: "Names with spaces between them, * for any letters and ? for any one; empty for all rooms.",
        is_optional: true,
        ..Field::default()
    };
    let tick =
        |name, label, hint, value: &str| Field { name, label, hint, value: "yes", ..Field::default() }.tick(!value.is_empty());
    let fields = html!(
        "{}{}{}{}{}{}",
        hidden("act", "make"),
        name.html(),
        rooms.html(),
        tick("read", "Read", "messages, files and searches of these rooms over the API", &typed.read),
        tick("post", "Post", "messages into these rooms", &typed.post),
        tick("push", "Push", "events to who is in them; for all rooms also to single connections", &typed.push)
    );
    let from = typed.after.parse::<i64>().unwrap_or(0).max(0);
    let many = i64::try_from(PART).unwrap_or(i64::MAX);
    let tokens = services.manage.tokens(many, from).await?;
    let more = (tokens.len() == PART).then(|| next(&format!("{TAB}?after={}", from + many)));
    let row = |token: &TokenRow| {
        let state = match token.revoked {
            Some(at) => html!("revoked {}", time(at)),
            None => one("Revoke", &[("act", "revoke"), ("id", &token.id)]),
        };
        vec![
            text(&token.name),
            html!("{}", does(token.may)),
            html!("<code>{}</code>", token.rooms),
            html!("{} by {}", time(token.made), text(&token.by_name)),
            optional(token.used),
            state,
        ]
    };
    let columns = ["Name", "May", "Rooms", "Made", "Last used", ""];
    let made = table("Tokens", &columns, tokens.iter().map(row).collect(), "No token was made here yet.");
    let of_settings = |program: &Program| {
        let rooms = program.groups().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        vec![text(&program.person.name), html!("{}", does(program.may)), html!("<code>{}</code>", rooms)]
    };
    let rows: Vec<_> = services.programs.of_settings().map(of_settings).collect();
    let of_settings = (!rows.is_empty())
        .then(|| card("Tokens of the settings", table("Tokens of the settings", &["Name", "May", "Rooms"], rows, "")));
    let main = html!(
        "{}{}{}{}{}{}",
        news,
        card("Make a token for a program", form("", fields, button("Make the token"))),
        card("Tokens", made),
        more,
        file("tokens"),
        of_settings
    );
    Ok(sheet(status, "Tokens", who, TAB, &main))
}
