//! Protocol routing: which path is which page, and where the same path with an upgrade request is a WebSocket. The one place
//! that names everything (Django's `ProtocolTypeRouter` and `URLRouter` in one).
//!
//! | path | as a page | with an upgrade |
//! |---|---|---|
//! | `/` | the rooms | |
//! | `/room/{group}/` | the room; `POST` says something | the group |
//! | `/ws/{group}/`, `/chat/{group}/` | | the group |
//! | `/ws/` | | no group: `confab.v1` joins what it wants |
//!
//! The consumer follows from the sub-protocol: `confab.v1` where the client offers it, plain otherwise.

use std::{collections::HashMap, convert::Infallible, net::IpAddr, ops::ControlFlow, sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, FromRequestParts, Path, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use hyper::upgrade::OnUpgrade;
use parking_lot::Mutex;
use tower_http::timeout::TimeoutLayer;

use super::{
    accounts::{Guest, Programs},
    api, assets,
    consumers::{self, Chat, Close, Consumer, Flow, Groups, Limits, Plain, Refuse, Scope},
    gateway::{CloseCode, Handshake, Message, Socket, is_upgrade},
    http::{Alive, Peer},
    layers::ChannelLayer,
    pages,
    rooms::Rooms,
    settings::{AllowedOrigin, Origin},
};
use crate::wire::{Group, InvalidName, SUBPROTOCOL};

/// How long a request may take, its body included.
const REQUEST: Duration = Duration::from_secs(30);

/// What the handlers work with.
pub struct Services {
    pub rooms: Arc<Rooms>,
    pub groups: Arc<Groups>,
    pub layer: Arc<dyn ChannelLayer>,
    pub programs: Programs,
    pub connections: Connections,
    /// Those that are being told that they are too many.
    pub refused: Connections,
    pub origins: Origins,
    pub limits: Limits,
}

/// All addresses.
pub fn router(services: Arc<Services>) -> Router {
    // A form writes a byte in three at most.
    let form_bytes = services.limits.message_bytes.saturating_mul(3).saturating_add(4096);
    Router::new()
        .route("/", get(pages::lobby))
        .route("/me", post(pages::rename))
        .route("/room/", get(pages::go_to_room))
        .route("/room/{group}", get(room_or_slash))
        .route("/room/{group}/", get(room).post(pages::post_message))
        .route("/ws", get(socket_alone))
        .route("/ws/", get(socket_alone))
        .route("/ws/{group}", get(socket))
        .route("/ws/{group}/", get(socket))
        .route("/chat/{group}", get(socket))
        .route("/chat/{group}/", get(socket))
        .nest("/api/v1", api::router(&services.limits))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .merge(assets::router())
        .fallback(pages::not_found)
        .layer(middleware::from_fn_with_state(Arc::clone(&services), own_pages_only))
        .layer(middleware::map_response(secured))
        .layer(DefaultBodyLimit::max(form_bytes))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, REQUEST))
        .with_state(services)
}

/// The group that an address names, or why it names none. What is not even UTF-8 is such a name too, not a bad request.
pub(super) struct Named(pub(super) Result<Group, InvalidName>);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let name = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(name.map_or_else(|_| "\u{FFFD}".parse(), |Path(name)| name.parse())))
    }
}

/// `GET /room/{group}/`: a page, or the group's WebSocket.
async fn room(services: State<Arc<Services>>, group: Named, request: Request) -> Response {
    if is_upgrade(request.headers()) {
        socket(services, group, request).await
    } else {
        pages::room(services, group, request).await
    }
}

/// The same without the slash: programs are not sent about, browsers are.
async fn room_or_slash(services: State<Arc<Services>>, group: Named, request: Request) -> Response {
    if is_upgrade(request.headers()) {
        return socket(services, group, request).await;
    }
    match group.0 {
        Ok(group) => Redirect::permanent(&format!("/room/{group}/")).into_response(),
        Err(_) => pages::not_found(services, request).await,
    }
}

/// A WebSocket of a group.
async fn socket(State(services): State<Arc<Services>>, Named(group): Named, request: Request) -> Response {
    match group {
        Ok(group) => upgrade(&services, Some(group), request),
        Err(reason) => refuse(StatusCode::NOT_FOUND, &format!("there is no such room: {reason}")),
    }
}

/// A WebSocket of no group.
async fn socket_alone(State(services): State<Arc<Services>>, request: Request) -> Response {
    upgrade(&services, None, request)
}

/// Everything is there once the server accepts connections.
async fn ready(State(services): State<Arc<Services>>) -> Response {
    match services.rooms.check().await {
        Ok(()) => "ready\n".into_response(),
        Err(_) => refuse(StatusCode::SERVICE_UNAVAILABLE, "the store cannot be read"),
    }
}

/// Answers the handshake and leaves the connection to its consumer.
fn upgrade(services: &Arc<Services>, group: Option<Group>, mut request: Request) -> Response {
    if !is_upgrade(request.headers()) {
        let mut response =
            refuse(StatusCode::UPGRADE_REQUIRED, "this address is a WebSocket; the page of a room is /room/{group}/");
        response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        return response;
    }
    let handshake = match Handshake::read(&request) {
        Ok(handshake) => handshake,
        Err(refused) => return refused.into_response(),
    };
    if !services.origins.allow(request.headers()) {
        let reason = "pages of this origin may not connect; the setting server.allowed_origins names those that may";
        return refuse(StatusCode::FORBIDDEN, reason);
    }
    let extensions = request.extensions_mut();
    let (Some(upgrade), Some(Peer(peer)), Some(alive)) =
        (extensions.remove::<OnUpgrade>(), extensions.get().copied(), extensions.remove::<Alive>())
    else {
        return refuse(StatusCode::BAD_REQUEST, "this connection cannot become a WebSocket");
    };
    let scope = Scope {
        person: Guest::of(request.headers()).person,
        group,
        rooms: Arc::clone(&services.rooms),
        groups: Arc::clone(&services.groups),
        limits: services.limits,
    };
    // A browser drops a connection whose sub-protocol was not taken up.
    let protocol = handshake.offers(SUBPROTOCOL).then_some(SUBPROTOCOL);
    let Some(place) = services.connections.enter(peer.ip()) else {
        // Telling it takes a connection too, so those are counted as well.
        let Some(place) = services.refused.enter(peer.ip()) else {
            return refuse(StatusCode::TOO_MANY_REQUESTS, "this address has too many connections");
        };
        let refused = Refused { most: services.connections.most };
        return accept(refused, protocol, handshake, upgrade, (services.limits, (alive, place)));
    };
    let kept = (services.limits, (alive, place));
    let accepted = if protocol.is_some() {
        Chat::connect(scope).map(|consumer| accept(consumer, protocol, handshake, upgrade, kept))
    } else {
        Plain::connect(scope).map(|consumer| accept(consumer, protocol, handshake, upgrade, kept))
    };
    accepted.unwrap_or_else(|Refuse { status, reason }| refuse(status, reason))
}

/// Answers 101; `kept` lives as long as the connection.
fn accept<C: Consumer>(
    consumer: C,
    protocol: Option<&'static str>,
    handshake: Handshake,
    upgrade: OnUpgrade,
    (limits, kept): (Limits, impl Send + 'static),
) -> Response {
    tokio::spawn(async move {
        consumers::serve(consumer, upgrade, limits).await;
        drop(kept);
    });
    handshake.response(protocol)
}

fn refuse(status: StatusCode, reason: &str) -> Response {
    (status, format!("{reason}\n")).into_response()
}

/// Which pages may open a socket or send a form, besides the server's own.
pub struct Origins(Vec<AllowedOrigin>);

impl Origins {
    pub fn new(allowed: Vec<AllowedOrigin>) -> Self {
        Self(allowed)
    }

    /// Programs other than browsers send no `Origin`; what a browser sends, a page cannot forge.
    fn allow(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        let Ok(origin) = origin.to_str() else { return false };
        let own = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        // A proxy may end TLS: the scheme is not compared.
        let same = origin.split_once("://").zip(own).is_some_and(|((_, authority), own)| authority.eq_ignore_ascii_case(own));
        same || self.0.iter().any(|allowed| match allowed {
            AllowedOrigin::Any => true,
            AllowedOrigin::Only(allowed) => origin.parse().is_ok_and(|origin: Origin| origin == *allowed),
        })
    }
}

/// Whatever changes something comes from an own page or from no page at all.
async fn own_pages_only(State(services): State<Arc<Services>>, request: Request, next: Next) -> Response {
    if request.method().is_safe() || services.origins.allow(request.headers()) {
        next.run(request).await
    } else {
        refuse(StatusCode::FORBIDDEN, "a form of another site cannot be sent here")
    }
}

/// What every answer says to the browser; a page adds its content security policy.
async fn secured(mut response: Response) -> Response<Body> {
    const HEADERS: [(HeaderName, &str); 4] = [
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

/// How many `WebSocket`s each address has.
pub struct Connections {
    most: Option<u32>,
    open: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

/// A connection's place among those of its address, given back when dropped.
struct Place {
    address: IpAddr,
    open: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

impl Connections {
    /// At most so many for each address; none for no bound.
    pub fn new(most: Option<u32>) -> Self {
        Self { most, open: Arc::default() }
    }

    fn enter(&self, address: IpAddr) -> Option<Place> {
        let mut open = self.open.lock();
        let count = open.entry(address).or_default();
        if self.most.is_some_and(|most| *count >= most) {
            return None;
        }
        *count += 1;
        Some(Place { address, open: Arc::clone(&self.open) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

/// Tells a client that its address has too many connections; a browser's script sees the reason only after a handshake.
struct Refused {
    most: Option<u32>,
}

#[async_trait]
impl Consumer for Refused {
    fn connect(_scope: Scope) -> Result<Self, Refuse> {
        Ok(Self { most: None })
    }

    fn longest_message(&self) -> usize {
        0
    }

    async fn open(&mut self, _socket: &Arc<Socket>) -> Flow {
        let most = self.most.unwrap_or_default();
        ControlFlow::Break(Close::new(CloseCode::TOO_MANY_CONNECTIONS, format!("an address has at most {most} connections")))
    }

    async fn receive(&mut self, _message: Message) -> Flow {
        ControlFlow::Continue(())
    }

    async fn disconnect(self, _code: CloseCode) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn origins() {
        let own = (header::HOST, "chat.example:3000");
        let none = Origins::new(Vec::new());
        let some = Origins::new(vec!["https://friend.example".parse().expect("an origin")]);
        let any = Origins::new(vec![AllowedOrigin::Any]);
        for (origin, by_none, by_some) in [
            ("http://chat.example:3000", true, true),
            ("https://chat.example:3000", true, true),
            ("http://chat.example", false, false),
            ("https://friend.example", false, true),
            ("http://friend.example", false, false),
            ("null", false, false),
        ] {
            let headers = headers(&[own.clone(), (header::ORIGIN, origin)]);
            assert_eq!(none.allow(&headers), by_none, "{origin}");
            assert_eq!(some.allow(&headers), by_some, "{origin}");
            assert!(any.allow(&headers));
        }
        assert!(none.allow(&headers(&[own])));
    }

    #[test]
    fn an_address_gets_its_places_back() {
        let connections = Connections::new(Some(2));
        let (one, other) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let first = connections.enter(one);
        let second = connections.enter(one);
        assert!(first.is_some() && second.is_some() && connections.enter(one).is_none() && connections.enter(other).is_some());
        drop(first);
        assert!(connections.enter(one).is_some());
        drop(second);
        assert!(connections.open.lock().is_empty());
    }
}
