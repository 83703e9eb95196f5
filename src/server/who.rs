//! Who asks. It is found out once for each request, in front of its handler, and left in the request's extensions; a handler takes it
//! from there as a [`Who`], and never looks at a cookie or a token itself.
//!
//! An administrator who has to have a second factor and has none gets no further than to where it is set up.
//!
//! Which of the two counts is said by the [`Route`], not by the request: a token is looked at only where programs push, or read rooms over
//! the API, so it opens nothing else; and where they push a cookie means nothing.

use std::sync::Arc;

use axum::{
    Router,
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{Method, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse as _, Redirect, Response},
    routing::MethodRouter,
};

pub use super::accounts::Who;
use super::{
    accounts::{Kind, Unknown},
    problem::Problem,
    services::Services,
    visitors::{Subnet, Visitor},
    websocket::is_upgrade,
};
use crate::{locales, wire::Timestamp};

impl<S: Sync> FromRequestParts<S> for Who {
    type Rejection = Problem;

    /// Whoever the request has been found to come from. Nobody is let in by an address that asks for nobody.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(parts.extensions.get::<Result<Self, Unknown>>().cloned().unwrap_or(Err(Unknown::NoToken))?)
    }
}

/// Where one sets up a second factor.
pub(super) const SECOND_FACTOR: &str = "/account/second-factor";

/// Whom a route asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// Everybody is answered alike.
    Nobody,
    /// A person, by their cookies.
    Person,
    /// A program, by its token.
    Program,
    /// A program by its token, where it shows one that was made here; otherwise a person.
    Reader,
}

/// An address with what answers there.
pub struct Route {
    /// As axum writes it, with parameters in braces.
    pub path: &'static str,
    /// Those that are answered; `HEAD` is wherever `GET` is.
    pub methods: &'static [&'static str],
    pub asks: Asks,
    pub(super) handlers: fn() -> MethodRouter<Arc<Services>>,
}

/// Puts routes into a router, each behind what finds out who asks.
pub(super) fn mount<'r>(
    router: Router<Arc<Services>>,
    routes: impl IntoIterator<Item = &'r Route>,
    services: &Arc<Services>,
) -> Router<Arc<Services>> {
    routes.into_iter().fold(router, |router, Route { path, asks, handlers, .. }| {
        let handlers = handlers();
        let known = || middleware::from_fn_with_state((Arc::clone(services), *asks), resolve);
        router.route(path, if *asks == Asks::Nobody { handlers } else { handlers.route_layer(known()) })
    })
}

async fn resolve(State((services, asks)): State<(Arc<Services>, Asks)>, mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    let address = request.extensions().get::<Visitor>().and_then(|visitor| visitor.paying());
    let who = match asks {
        Asks::Nobody => Err(Unknown::NoToken),
        Asks::Person => services.elsewhere.who(headers, address).await,
        Asks::Program => services.programs.of(headers).map(Who::Program),
        Asks::Reader => match services.programs.reader(headers) {
            Ok(Some(program)) => Ok(Who::Program(program)),
            Ok(None) => services.elsewhere.who(headers, address).await,
            Err(unknown) => Err(unknown),
        },
    };
    let who = who.map(|who| who.at(address));
    if let Ok(who) = &who
        && let Some(until) = kept_out(&services, who, address)
        && !is_way_in(&request, who)
    {
        return keep_out(&request, until);
    }
    if let Ok(Who::Account(signed_in)) = &who
        && signed_in.lacks_second_factor
        && let Some(instead) = not_before(&request)
    {
        return instead;
    }
    // What they have chosen holds in all of their browsers.
    let chosen = who.as_ref().ok().and_then(|who| who.signed_in()?.language);
    request.extensions_mut().insert(who);
    match chosen {
        Some(language) => locales::around(language, next.run(request)).await,
        None => next.run(request).await,
    }
}

/// Until when somebody is kept out of the whole server, by the address from which they ask. Whoever administers it never is.
fn kept_out(services: &Services, who: &Who, address: Option<Subnet>) -> Option<Timestamp> {
    let switches = services.manage.switches();
    let ban = switches.bans.find(address, None, Timestamp::now())?;
    let is_meant = match who.asker().kind {
        Kind::Guest => true,
        Kind::Account => ban.with_accounts,
        Kind::Administrator | Kind::Program => false,
    };
    is_meant.then_some(ban.ends)
}

/// Whether by this address somebody becomes somebody else, who may not be kept out.
fn is_way_in(request: &Request, who: &Who) -> bool {
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    match path {
        "/logout" => true,
        "/login" | "/login/code" | "/login/token" | "/setup/{token}" | "/reset/{token}" | "/device/{token}" => {
            who.signed_in().is_none()
        }
        _ => false,
    }
}

/// What somebody is answered who is kept out. Where they have asked for a page, it [says](KeptOut) so.
fn keep_out(request: &Request, until: Timestamp) -> Response {
    let problem = Problem::KeptOut(until);
    if is_upgrade(request.headers()) {
        return problem.text();
    }
    // As it was routed: of the API the beginning of the path is left out.
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let mut response = problem.into_response();
    if !path.starts_with("/api/") {
        response.extensions_mut().insert(KeptOut(until));
    }
    response
}

/// An answer that is to be a page on until when somebody is kept out.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeptOut(pub(super) Timestamp);

/// What an administrator is answered who has to set up a second factor; none where that is done, and where one signs out.
fn not_before(request: &Request) -> Option<Response> {
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let is_page = request.method() == Method::GET && !is_upgrade(request.headers());
    match path {
        SECOND_FACTOR | "/logout" => None,
        _ if path.starts_with("/api/") => Some(Problem::NoSecondFactor.into_response()),
        _ if is_page => Some(Redirect::to(SECOND_FACTOR).into_response()),
        _ => Some(Problem::NoSecondFactor.text()),
    }
}
