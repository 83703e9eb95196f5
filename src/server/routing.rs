//! Protocol routing: which path is which page, and where the same path with an upgrade request is a WebSocket. The one place
//! that names everything (Django's `ProtocolTypeRouter` and `URLRouter` in one).
//!
//! | path | as a page | with an upgrade |
//! |---|---|---|
//! | `/` | the rooms | |
//! | `/room/{group}/` | the room; `POST` says something | the group |
//! | `/room/{group}/settings` | what the room is, and who is in it; `POST` changes it | |
//! | `/rooms/new` | makes a room | |
//! | `/rooms/own` | the reader's own rooms, as a part of a page | |
//! | `/invite/{code}` | what one is invited to; `POST` joins | |
//! | `/people/{account}` | who that is; `POST` to `direct` below it opens the room with them | |
//! | `/manage/` | administration, for administrators alone |
//! | `/banner` | what stands at the head of the page that asks |
//! | `/dismiss` | `POST` dismisses an announcement |
//! | `/language` | `POST` chooses the language of the pages |
//! | `/signup`, `/login`, `/logout`, `/account/` | accounts | |
//! | `/setup/{token}`, `/reset/{token}`, `/device/{token}` | who somebody is, said once | |
//! | `/search/` | what was searched for | |
//! | `/ws/{group}/`, `/chat/{group}/` | | the group |
//! | `/ws/{kind}/{name}/` | | the topic `{kind}/{name}` |
//! | `/ws/` | | no topic: `confab.v1` joins what it wants |
//! | `/healthz`, `/readyz`, `/metrics` | for operators | |
//!
//! The consumer follows from the sub-protocol: `confab.v1` where the client offers it, plain otherwise.

use std::{hash::Hash, num::NonZeroU32, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::Body,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use hyper::{body::Body as _, upgrade::OnUpgrade};
use tower::ServiceBuilder;
use tower_http::timeout::TimeoutLayer;

use super::{
    api, assets, banner,
    http::{Alive, Peer, well_formed},
    language,
    limits::Limits,
    operators, pages,
    problem::Problem,
    quota::{Payer, Weight},
    scope::Refuse,
    services::{Connections, Entry, Named, NamedTopic, Place, Services},
    session::Session,
    settings::HostName,
    telemetry::Refused,
    transports::{self, Consumer, Plain, TooMany},
    visitors::Visitor,
    websocket::{Backlog, Connection, ConnectionLimits, Counters, Handshake, is_upgrade},
    who::{Asks, KeptOut, Route, Who, mount},
};
use crate::{
    locales::{self, problems as say},
    wire::{Announced, Group, InvalidName, SUBPROTOCOL, Topic},
};

/// How long a request may take until it is answered, its body included; not how long the answer may take to send.
const REQUEST: Duration = Duration::from_secs(30);

/// Whose requests are counted.
const COUNTED: [Route; 23] = [
    Route { path: "/", methods: &["GET"], asks: Asks::Person, handlers: || get(pages::lobby) },
    Route { path: "/banner", methods: &["GET"], asks: Asks::Nobody, handlers: || get(pages::banner) },
    Route { path: "/dismiss", methods: &["POST"], asks: Asks::Nobody, handlers: || post(pages::dismiss) },
    Route { path: "/language", methods: &["POST"], asks: Asks::Person, handlers: || post(pages::choose_language) },
    Route { path: "/me", methods: &["POST"], asks: Asks::Person, handlers: || post(pages::me) },
    Route { path: "/room/", methods: &["GET"], asks: Asks::Person, handlers: || get(pages::go_to_room) },
    Route { path: "/room/{group}", methods: &["GET"], asks: Asks::Person, handlers: || get(room_or_slash) },
    Route {
        path: "/room/{group}/",
        methods: &["GET", "POST"],
        asks: Asks::Person,
        handlers: || get(room).post(pages::post_message),
    },
    Route {
        path: "/room/{group}/settings",
        methods: &["GET", "POST"],
        asks: Asks::Person,
        handlers: || get(pages::settings).post(pages::change_settings),
    },
    Route {
        path: "/rooms/new",
        methods: &["GET", "POST"],
        asks: Asks::Person,
        handlers: || get(pages::new_room).post(pages::make_room),
    },
    Route { path: "/rooms/own", methods: &["GET"], asks: Asks::Person, handlers: || get(pages::own_rooms) },
    Route {
        path: "/invite/{code}",
        methods: &["GET", "POST"],
        asks: Asks::Person,
        handlers: || get(pages::invitation).post(pages::join),
    },
    Route { path: "/people/{account}", methods: &["GET"], asks: Asks::Person, handlers: || get(pages::person) },
    Route { path: "/people/{account}/direct", methods: &["POST"], asks: Asks::Person, handlers: || post(pages::open_direct) },
    Route { path: "/search/", methods: &["GET"], asks: Asks::Person, handlers: || get(pages::search) },
    Route { path: "/ws", methods: &["GET"], asks: Asks::Person, handlers: || get(socket_alone) },
    Route { path: "/ws/", methods: &["GET"], asks: Asks::Person, handlers: || get(socket_alone) },
    Route { path: "/ws/{group}", methods: &["GET"], asks: Asks::Person, handlers: || get(socket) },
    Route { path: "/ws/{group}/", methods: &["GET"], asks: Asks::Person, handlers: || get(socket) },
    Route { path: "/ws/{kind}/{name}", methods: &["GET"], asks: Asks::Person, handlers: || get(socket_of_topic) },
    Route { path: "/ws/{kind}/{name}/", methods: &["GET"], asks: Asks::Person, handlers: || get(socket_of_topic) },
    Route { path: "/chat/{group}", methods: &["GET"], asks: Asks::Person, handlers: || get(socket) },
    Route { path: "/chat/{group}/", methods: &["GET"], asks: Asks::Person, handlers: || get(socket) },
];

/// What operators and their machines ask, as often as they like. The files of the site are free too.
const FREE: [Route; 3] = [
    Route { path: "/healthz", methods: &["GET"], asks: Asks::Nobody, handlers: || get(operators::healthy) },
    Route { path: "/readyz", methods: &["GET"], asks: Asks::Nobody, handlers: || get(operators::ready) },
    Route { path: "/metrics", methods: &["GET"], asks: Asks::Nobody, handlers: || get(metrics) },
];

/// What the addresses begin with whose forms the server's own pages alone may send, whatever the settings allow to others.
const OWN: [&str; 13] = [
    "/signup",
    "/login",
    "/logout",
    "/account/",
    "/setup/",
    "/reset/",
    "/device/",
    "/rooms/",
    "/invite/",
    "/people/",
    "/manage/",
    "/dismiss",
    "/language",
];

/// What the addresses begin with by which something is sent where the server is read-only, too: who administers it has to come in, and what
/// is sent to a room its own rules answer.
const WRITABLE: [&str; 11] = [
    "/login",
    "/logout",
    "/reset/",
    "/device/",
    "/setup/",
    "/account/second-factor",
    "/manage/",
    "/dismiss",
    "/language",
    "/room/",
    "/rooms/new",
];

/// All addresses but the files of the site, each with its whole path.
pub fn routes() -> impl Iterator<Item = (String, &'static Route)> {
    let own = COUNTED
        .iter()
        .chain(&pages::accounts::ROUTES)
        .chain(&pages::manage::ROUTES)
        .chain(&FREE)
        .map(|route| (route.path.to_owned(), route));
    own.chain(api::ROUTES.iter().map(|route| (format!("{API}{}", route.path), route)))
}

/// What all addresses of the API begin with.
const API: &str = "/api/v1";

/// All addresses.
pub fn router(services: Arc<Services>) -> Router {
    // A form writes a byte in three at most.
    let form_bytes = services.limits.message_bytes.saturating_mul(3).saturating_add(4096);
    let free = mount(Router::new(), &FREE, &services).merge(assets::router());
    // Put in front of the routes one by one, each would box all that is behind it once more, and copy that for every request.
    let counted = ServiceBuilder::new()
        .layer(middleware::from_fn_with_state(Arc::clone(&services), not_too_many))
        .layer(middleware::from_fn_with_state(Arc::clone(&services), not_read_only))
        .layer(middleware::from_fn_with_state(Arc::clone(&services), with_banner))
        .layer(middleware::map_response(told_on_a_page));
    let every = ServiceBuilder::new()
        .layer(middleware::from_fn_with_state(Arc::clone(&services), operators::timed))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, REQUEST))
        .layer(DefaultBodyLimit::max(form_bytes))
        .layer(middleware::map_response(secured))
        // Whatever looks at the path or the host comes after this.
        .layer(middleware::from_fn(well_formed))
        .layer(middleware::from_fn(in_language))
        .layer(middleware::from_fn_with_state(Arc::clone(&services), own_names_only))
        .layer(middleware::from_fn_with_state(Arc::clone(&services), own_pages_only));
    mount(Router::new(), COUNTED.iter().chain(&pages::accounts::ROUTES).chain(&pages::manage::ROUTES), &services)
        .nest(API, api::router(&services))
        .fallback(pages::not_found)
        .layer(counted)
        .merge(free)
        .layer(every)
        .with_state(services)
}

/// `GET /metrics`: the numbers, where there are any.
async fn metrics(services: State<Arc<Services>>, Extension(peer): Extension<Peer>, request: Request) -> Response {
    match operators::metrics(&services, peer, request.headers()).await {
        Some(numbers) => numbers,
        None => pages::not_found().await,
    }
}

/// `GET /room/{group}/`: a page, or the group's WebSocket.
async fn room(services: State<Arc<Services>>, who: Who, group: Named, request: Request) -> Response {
    if is_upgrade(request.headers()) {
        socket(services, who, group, request).await
    } else {
        pages::room(services, who, group, request).await
    }
}

/// The same without the slash: programs are not sent about, browsers are.
async fn room_or_slash(services: State<Arc<Services>>, who: Who, group: Named, request: Request) -> Response {
    if is_upgrade(request.headers()) {
        return socket(services, who, group, request).await;
    }
    match group.0 {
        Ok(group) => with_slash(&group, request.uri().query()),
        Err(_) => pages::not_found().await,
    }
}

/// Leads to the page of a room, with whatever was asked of it.
fn with_slash(group: &Group, query: Option<&str>) -> Response {
    let page = format!("/room/{group}/");
    // What no header may have, no browser sends.
    let whole = query.map(|query| format!("{page}?{query}")).filter(|whole| HeaderValue::from_str(whole).is_ok());
    Redirect::permanent(&whole.unwrap_or(page)).into_response()
}

/// A WebSocket of a group.
async fn socket(State(services): State<Arc<Services>>, who: Who, Named(group): Named, request: Request) -> Response {
    upgrade_named(&services, &who, group.map(Topic::Room), request).await
}

/// A WebSocket of the topic that an address names.
async fn upgrade_named(services: &Arc<Services>, who: &Who, topic: Result<Topic, InvalidName>, request: Request) -> Response {
    match topic {
        Ok(topic) => upgrade(services, who, Some(topic), request).await,
        Err(reason) => {
            if is_upgrade(request.headers()) {
                services.metrics.refuse(Refused::NotFound);
            }
            Problem::NoSocket(reason).text()
        }
    }
}

/// A WebSocket of a topic of any kind.
async fn socket_of_topic(State(services): State<Arc<Services>>, who: Who, path: NamedTopic, request: Request) -> Response {
    upgrade_named(&services, &who, path.0, request).await
}

/// A WebSocket of no topic.
async fn socket_alone(State(services): State<Arc<Services>>, who: Who, request: Request) -> Response {
    upgrade(&services, &who, None, request).await
}

/// Answers the handshake and leaves the connection to its consumer.
async fn upgrade(services: &Arc<Services>, who: &Who, topic: Option<Topic>, mut request: Request) -> Response {
    if !is_upgrade(request.headers()) {
        return Problem::OnlySocket.text();
    }
    let handshake = match Handshake::read(&request, services.deflate) {
        Ok(handshake) => handshake,
        Err(refused) => {
            services.metrics.refuse(Refused::Malformed);
            return refused.into_response();
        }
    };
    if !services.origins.allow(request.headers()) {
        services.metrics.refuse(Refused::Origin);
        return Problem::ForeignSocket.text();
    }
    let extensions = request.extensions_mut();
    let (Some(upgrade), Some(visitor), Some(alive)) =
        (extensions.remove::<OnUpgrade>(), extensions.get::<Visitor>().copied(), extensions.remove::<Alive>())
    else {
        services.metrics.refuse(Refused::Malformed);
        return Problem::NoUpgrade.text();
    };
    // A browser drops a connection none of whose sub-protocols was taken up.
    let of_room = |offered: &str| matches!(&topic, Some(Topic::Room(group)) if services.rooms.speaks(group, offered));
    let protocol = handshake.choose(|offered| offered == SUBPROTOCOL).or_else(|| handshake.choose(of_room)).map(str::to_owned);
    let is_v1 = protocol.as_deref() == Some(SUBPROTOCOL);
    let account = who.rate_key();
    let scope = services.scope(who, Payer { account, address: visitor.paying() }, topic);
    let of_account = || account.map(|account| place(&services.by_account, account, say::account_has)).transpose();
    let places = place(&services.by_subnet, visitor.subnet(), say::address_has);
    let kept = match places.and_then(|of_address| Ok((alive.clone(), of_address, of_account()?))) {
        Ok(kept) => kept,
        Err(told) => {
            services.metrics.refuse(Refused::TooMany);
            return match told {
                Some((reason, place)) => accept(services, reason, protocol, handshake, upgrade, None, (alive, place)),
                None => Problem::FarTooMany.text(),
            };
        }
    };
    // As everywhere, what comes from the server's own machine has no bound as one address.
    let backlog = visitor.paying().map(|_| Arc::clone(&kept.1.backlog));
    let accepted = if is_v1 {
        Session::connect(scope).await.map(|consumer| accept(services, consumer, protocol, handshake, upgrade, backlog, kept))
    } else {
        Plain::connect(scope).await.map(|consumer| accept(services, consumer, protocol, handshake, upgrade, backlog, kept))
    };
    accepted.unwrap_or_else(|Refuse { status, reason }| {
        services.metrics.refuse(match status {
            StatusCode::NOT_FOUND => Refused::NotFound,
            StatusCode::FORBIDDEN => Refused::Forbidden,
            _ => Refused::NoGroup,
        });
        (status, format!("{reason}\n")).into_response()
    })
}

/// What a client is told that is one too many, with the place that telling it takes; none where there is not even that.
type Told = Option<(TooMany, Box<dyn Send>)>;

/// A place for one more connection; otherwise what its client is told.
fn place<K: Copy + Eq + Hash + Send + 'static>(
    connections: &Connections<K>,
    key: K,
    says: fn(NonZeroU32) -> String,
) -> Result<Place<K>, Told> {
    match connections.enter(key) {
        Entry::In(place) => Ok(place),
        Entry::TooMany(place, most) => Err(Some((TooMany { reason: says(most) }, Box::new(place)))),
        Entry::FarTooMany => Err(None),
    }
}

/// Answers 101; `kept` lives as long as the connection.
fn accept<C: Consumer>(
    services: &Services,
    consumer: C,
    protocol: Option<String>,
    handshake: Handshake,
    upgrade: OnUpgrade,
    backlog: Option<Arc<Backlog>>,
    kept: impl Send + 'static,
) -> Response {
    let (limits, counters): (&Limits, Arc<Counters>) = (&services.limits, Arc::clone(&services.metrics.sockets));
    let bounds = ConnectionLimits {
        message_bytes: consumer.longest_message(),
        backlog_bytes: limits.backlog_bytes,
        ping: Duration::from_secs(limits.ping_s),
    };
    // A future holds what it is made with several times over, each connection for as long as it lives.
    let accepted = Box::pin(Connection::accept(upgrade, handshake.deflate(), bounds, backlog, counters));
    let consumer = Box::new(consumer);
    // It is told what goes wrong in the language that it was asked for in.
    tokio::spawn(locales::around(locales::here(), async move {
        transports::serve(consumer, accepted).await;
        drop(kept);
    }));
    handshake.response(protocol.as_deref())
}

/// Finds out which address a request comes from, and answers no more of them than there may be.
async fn not_too_many(State(services): State<Arc<Services>>, request: Request, next: Next) -> Response {
    counted(&services, request, |request| next.run(request)).await
}

/// Answers a request if its address has not asked for too much, in number and in bytes, and charges it the request and the answer.
async fn counted<A: Future<Output = Response>>(
    services: &Services,
    mut request: Request,
    answer: impl FnOnce(Request) -> A,
) -> Response {
    let Some(Peer(peer)) = request.extensions().get().copied() else { return answer(request).await };
    let visitor = services.proxies.visitor(peer.ip(), request.headers());
    request.extensions_mut().insert(visitor);
    let Some(address) = visitor.paying() else { return answer(request).await };
    if let Err(wait) = services.requests.take(address) {
        return refuse(services, &request, Refused::TooSoon, Problem::Requests(services.requests.per_second(), wait));
    }
    // Whose request it is, is not known here.
    let payer = Payer { account: None, address: Some(address) };
    if let Some(owed) = services.quotas.owed(payer) {
        return refuse(services, &request, Refused::TooSoon, Problem::Bytes(services.quotas.of_address(), owed.wait()));
    }
    let mut place = None;
    if !request.body().is_end_stream() {
        let Entry::In(of_address) = services.bodies.enter(address) else {
            return refuse(services, &request, Refused::TooMany, Problem::Bodies);
        };
        place = Some(of_address);
        request = request.map(|body| services.quotas.metered(body, payer));
    }
    let response = answer(request).await;
    // The body was read, or will not be.
    drop(place);
    let weight = response.extensions().get().map(|Weight(bytes)| *bytes);
    let length = || response.body().size_hint().exact().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    let Some(bytes) = weight.max(length()) else {
        return response.map(|body| services.quotas.metered(body, payer));
    };
    services.quotas.charge(payer, bytes);
    response
}

/// Refuses what no handler sees, in the asker's own terms and at less cost than what was asked for.
fn refuse(services: &Services, request: &Request, reason: Refused, problem: Problem) -> Response {
    if is_upgrade(request.headers()) {
        services.metrics.refuse(reason);
        return problem.text();
    }
    if request.uri().path().starts_with("/api/") {
        return problem.into_response();
    }
    pages::bare(&problem, request.headers()).unwrap_or_else(|| problem.text())
}

/// Whoever asks for this server asks for it by one of its names, or through a proxy that is trusted to know what it passes on.
async fn own_names_only(State(services): State<Arc<Services>>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get().map(|Peer(peer)| peer.ip().to_canonical());
    // That the process answers is no secret, and its supervisor may ask by any name.
    if request.uri().path() == "/healthz" || peer.is_some_and(|peer| services.proxies.trust(peer)) {
        return next.run(request).await;
    }
    match services.hosts.know(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(name) => {
            let problem = Problem::NotOurName(name.as_ref().map_or("NAME", HostName::as_str).to_owned());
            counted(&services, request, async |request| refuse(&services, &request, Refused::Host, problem)).await
        }
    }
}

/// Whatever changes something comes from an own page or from no page at all.
async fn own_pages_only(State(services): State<Arc<Services>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_strict = OWN.iter().any(|own| path.starts_with(own)) || path.ends_with("/settings");
    let origins = if path == pages::accounts::TOKEN {
        &services.named_origins
    } else if is_strict {
        &services.own_origin
    } else {
        &services.origins
    };
    if request.method().is_safe() || origins.allow(request.headers()) {
        return next.run(request).await;
    }
    counted(&services, request, async |_| Problem::ForeignForm.text()).await
}

/// Nothing is changed while the server is read-only, but by who administers it.
async fn not_read_only(State(services): State<Arc<Services>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_safe = request.method().is_safe() || path == "/me" || WRITABLE.iter().any(|own| path.starts_with(own));
    if is_safe || !services.manage.switches().read_only {
        return next.run(request).await;
    }
    if path.starts_with("/api/") {
        return Problem::ReadOnly.into_response();
    }
    pages::plain::refused(Problem::ReadOnly)
}

/// Whoever is kept out and has asked for a page is told so on one.
async fn told_on_a_page(response: Response) -> Response {
    match response.extensions().get() {
        Some(KeptOut(until)) => pages::plain::kept_out(*until),
        None => response,
    }
}

/// Has the page that is made know what stands at its head: mostly nothing.
async fn with_banner(State(services): State<Arc<Services>>, request: Request, next: Next) -> Response {
    let announced = services.manage.switches().announced();
    if announced == Announced::default() || !request.method().is_safe() && request.uri().path().starts_with("/api/") {
        return next.run(request).await;
    }
    let banner = banner::of(&announced, request.headers(), language::page().as_str());
    banner::around(banner, next.run(request)).await
}

/// Answers in the language that is asked for.
async fn in_language(request: Request, next: Next) -> Response {
    language::of_request(request, |request| next.run(request)).await
}

/// What every answer says to the browser, and to caches on the way; a page adds its content security policy. Only what says so
/// itself may be kept: an old answer of the API would hide new messages, and an answer without an upgrade the WebSocket.
async fn secured(mut response: Response) -> Response<Body> {
    const HEADERS: [(HeaderName, &str); 5] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        for (name, value) in HEADERS {
            response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, num::NonZeroU32};

    use axum::http::Method;
    use tower::ServiceExt as _;

    use super::*;
    use crate::server::{
        layers::{MemoryLayer, MemoryOptions},
        settings::Settings,
        start,
    };

    #[tokio::test]
    async fn what_is_refused_before_it_is_looked_at_counts_as_a_request_of_its_address() {
        let data = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.server.data = data.path().to_owned();
        settings.limits.requests_per_second = NonZeroU32::new(1);
        let layer = Arc::new(MemoryLayer::new(MemoryOptions::default()).unwrap());
        let (services, _) = start(layer, &[], &settings).await.unwrap();
        let app = router(services);
        let asked = async |method: Method, path: &str, host: &'static str, peer: &str| {
            let peer = Peer(SocketAddr::new(peer.parse().unwrap(), 4711));
            let request = Request::builder().method(method).uri(path).header(header::HOST, host);
            let request = request.header(header::ORIGIN, "https://evil.example").extension(peer).body(Body::empty()).unwrap();
            app.clone().oneshot(request).await.unwrap().status().as_u16()
        };
        for (peer, method, host, refused) in
            [("192.0.2.1", Method::GET, "evil.example", 421), ("192.0.2.2", Method::POST, "localhost", 403)]
        {
            let mut statuses = Vec::new();
            while statuses.len() < 1_000 && statuses.last() != Some(&429) {
                statuses.push(asked(method.clone(), "/me", host, peer).await);
            }
            assert_eq!((statuses.first(), statuses.last()), (Some(&refused), Some(&429)), "{host}");
            assert_eq!(asked(Method::GET, "/", "localhost", peer).await, 429, "{host}: what else it asks has the same bound");
        }
    }
}
