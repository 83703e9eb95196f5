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
use crate::locales::manage as say;
use crate::server::{
    accounts::{Program, TokenRights},
    manage::{NewToken, TokenRow},
    pages::{
        form::{Field, Sent, button, card, form, hidden},
        html::{Html, html, within},
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
                    let news = once(say::token_once(), &token);
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
        label: say::token_name(),
        autocomplete: "off",
        value: &typed.name,
        error: mistake,
        ..Field::default()
    };
    let rooms = Field {
        name: "rooms",
        label: say::token_rooms(),
        autocomplete: "off",
        value: &typed.rooms,
        hint: say::token_rooms_hint(),
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
        tick("read", say::read(), say::read_hint(), &typed.read),
        tick("post", say::post(), say::post_hint(), &typed.post),
        tick("push", say::push(), say::push_hint(), &typed.push)
    );
    let from = typed.after.parse::<i64>().unwrap_or(0).max(0);
    let many = i64::try_from(PART).unwrap_or(i64::MAX);
    let tokens = services.manage.tokens(many, from).await?;
    let more = (tokens.len() == PART).then(|| next(&format!("{TAB}?after={}", from + many)));
    let row = |token: &TokenRow| {
        let state = match token.revoked {
            Some(at) => within([time(at)], |[at]| say::revoked_at(at)),
            None => one(say::revoke(), &[("act", "revoke"), ("id", &token.id)]),
        };
        vec![
            text(&token.name),
            html!("{}", in_words(token.may)),
            html!("<code>{}</code>", token.rooms),
            within([time(token.made), text(&token.by_name)], |[at, by]| say::made_at_by(at, by)),
            optional(token.used),
            state,
        ]
    };
    let columns = [say::name(), say::may(), say::rooms(), say::made(), say::last_used(), ""];
    let made = table(say::tokens(), &columns, tokens.iter().map(row).collect(), say::no_token());
    let of_settings = |program: &Program| {
        let rooms = program.groups().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        vec![text(&program.person.name), html!("{}", in_words(program.may)), html!("<code>{}</code>", rooms)]
    };
    let rows: Vec<_> = services.programs.of_settings().map(of_settings).collect();
    let of_settings = (!rows.is_empty()).then(|| {
        let columns = [say::name(), say::may(), say::rooms()];
        card(say::tokens_of_settings(), table(say::tokens_of_settings(), &columns, rows, ""))
    });
    let main = html!(
        "{}{}{}{}{}{}",
        news,
        card(say::make_token_for_program(), form("", fields, button(say::make_token()))),
        card(say::tokens(), made),
        more,
        file("tokens"),
        of_settings
    );
    Ok(sheet(status, say::tokens(), who, TAB, &main))
}

/// What a token may do.
fn in_words(may: TokenRights) -> String {
    let all = [(may.read, say::may_read()), (may.post, say::may_post()), (may.push, say::may_push())];
    all.iter().filter(|(may, _)| *may).map(|(_, word)| *word).collect::<Vec<_>>().join(say::and())
}
