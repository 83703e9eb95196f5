//! Administration: pages below `/manage/`, for those who administer the server alone. Everybody else is told that there is no such page. All of
//! them are forms and tables that need no script; `GET` shows, `POST` acts, and takes what comes from a page of this server's own alone.
//!
//! | | |
//! |---|---|
//! | `people` | find, deactivate, reset, make administrator, sign out everywhere |
//! | `rooms` | all rooms: owners, archive, delete, how much is in them |
//! | `invitations` | to the server, and those to rooms |
//! | `tokens` | of programs: made, shown once, revoked |
//! | `nodes` | how busy each node is, and the connections of each; closes one |
//! | `bans` | addresses that are kept out |
//! | `server` | announcement, read-only mode, who may sign up |
//! | `log` | who did what |
//! | `csv` | people, rooms, log and tokens as files |

mod bans;
mod csv;
mod invitations;
mod log;
mod nodes;
mod parts;
mod people;
mod rooms;
mod server;
mod tokens;

use std::sync::Arc;

use axum::{
    extract::{Query, Request},
    http::Uri,
    middleware::{self, Next},
    response::{IntoResponse as _, Redirect, Response},
    routing::{MethodRouter, get},
};
use serde::Deserialize;

use super::plain::{Instead, refused};
use crate::server::{
    accounts::Kind,
    manage::NotDone,
    problem::Problem,
    services::Services,
    who::{Asks, Route, Who},
};

const GET: &[&str] = &["GET"];
const BOTH: &[&str] = &["GET", "POST"];

/// The addresses of administration.
pub(in crate::server) const ROUTES: [Route; 12] = [
    route("/manage/", GET, || guarded(get(nodes::overview))),
    route("/manage/people/", GET, || guarded(get(people::list))),
    route("/manage/people/{account}", BOTH, || guarded(get(people::show).post(people::act))),
    route("/manage/rooms/", GET, || guarded(get(rooms::list))),
    route("/manage/rooms/{group}", BOTH, || guarded(get(rooms::show).post(rooms::act))),
    route("/manage/invitations/", BOTH, || guarded(get(invitations::show).post(invitations::act))),
    route("/manage/tokens/", BOTH, || guarded(get(tokens::show).post(tokens::act))),
    route("/manage/connections/", BOTH, || guarded(get(nodes::connections).post(nodes::close))),
    route("/manage/bans/", BOTH, || guarded(get(bans::show).post(bans::act))),
    route("/manage/server/", BOTH, || guarded(get(server::show).post(server::act))),
    route("/manage/log/", GET, || guarded(get(log::show))),
    route("/manage/export/{list}", GET, || guarded(get(csv::export))),
];

const fn route(path: &'static str, methods: &'static [&'static str], handlers: fn() -> MethodRouter<Arc<Services>>) -> Route {
    Route { path, methods, asks: Asks::Person, handlers }
}

/// For those who administer the server alone.
fn guarded(handlers: MethodRouter<Arc<Services>>) -> MethodRouter<Arc<Services>> {
    handlers.route_layer(middleware::from_fn(only_administrators))
}

async fn only_administrators(who: Result<Who, Problem>, request: Request, next: Next) -> Response {
    match who {
        Ok(who) if who.asker().kind == Kind::Administrator => next.run(request).await,
        Err(problem @ Problem::Unavailable) => refused(problem),
        _ => refused(Problem::NoAddress),
    }
}

/// How many lines of a list are on a page.
const PART: usize = 100;

/// What the forms of these pages send, and what their addresses say after `?`; each has what it needs of it.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Typed {
    act: String,
    /// What is looked for in a list, and where the list goes on.
    find: String,
    after: String,
    before: String,
    /// Whose it is that is shown.
    of: String,
    refresh: String,
    name: String,
    rooms: String,
    read: String,
    post: String,
    push: String,
    id: String,
    note: String,
    uses: String,
    days: String,
    digest: String,
    room: String,
    owner: String,
    sure: String,
    node: String,
    number: String,
    text: String,
    minutes: String,
    sign_up: String,
    address: String,
    accounts: String,
}

impl Typed {
    /// What an address says after `?`.
    fn asked(uri: &Uri) -> Self {
        Query::try_from_uri(uri).map(|Query(asked)| asked).unwrap_or_default()
    }
}

/// Leads back to a page, where what was done is seen.
fn back(to: &str) -> Response {
    Redirect::to(to).into_response()
}

/// What was wrong with what was typed; the page on what cannot be now where it was nothing of that.
fn wrong(not_done: NotDone) -> Result<String, Instead> {
    match not_done {
        NotDone::Wrong(text) => Ok(text),
        NotDone::Unavailable(cause) => Err(cause.into()),
    }
}
