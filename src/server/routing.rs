//! Protocol routing: which path is which page, and where the same path with an upgrade request is a WebSocket. The one place
//! that names everything (Django's `ProtocolTypeRouter` and `URLRouter` in one).
//!
//! | path | as a page | with an upgrade |
//! |---|---|---|
//! | `/` | the rooms | |
//! | `/room/{group}/` | the room; `POST` says something | the group |
//! | `/ws/{group}/`, `/chat/{group}/` | | the group |
//! | `/ws/` | | no group: `confab.v1` joins what it wants |
//! | `/healthz`, `/readyz`, `/metrics` | for operators | |
//!
//! The consumer follows from the sub-protocol: `confab.v1` where the client offers it, plain otherwise.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use hyper::upgrade::OnUpgrade;
use tower_http::timeout::TimeoutLayer;

use super::{
    accounts::Guest,
    api, assets,
    consumers::{self, Chat, Consumer, Limits, Plain, Refuse, Scope, TooMany},
    gateway::{Counters, Handshake, is_upgrade},
    http::{Alive, Peer},
    operators, pages,
    services::{Named, Services},
    telemetry::Refused,
};
use crate::wire::{Group, SUBPROTOCOL};

/// How long a request may take, its body included.
const REQUEST: Duration = Duration::from_secs(30);

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
        .route("/healthz", get(operators::healthy))
        .route("/readyz", get(operators::ready))
        .route("/metrics", get(operators::metrics))
        .merge(assets::router())
        .fallback(pages::not_found)
        .layer(middleware::from_fn_with_state(Arc::clone(&services), own_pages_only))
        .layer(middleware::map_response(secured))
        .layer(DefaultBodyLimit::max(form_bytes))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, REQUEST))
        .layer(middleware::from_fn_with_state(Arc::clone(&services), operators::timed))
        .with_state(services)
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
        Err(reason) => {
            if is_upgrade(request.headers()) {
                services.metrics.refuse(Refused::NotFound);
            }
            refuse(StatusCode::NOT_FOUND, &format!("there is no such room: {reason}"))
        }
    }
}

/// A WebSocket of no group.
async fn socket_alone(State(services): State<Arc<Services>>, request: Request) -> Response {
    upgrade(&services, None, request)
}

/// Answers the handshake and leaves the connection to its consumer.
fn upgrade(services: &Arc<Services>, group: Option<Group>, mut request: Request) -> Response {
    if !is_upgrade(request.headers()) {
        let mut response =
            refuse(StatusCode::UPGRADE_REQUIRED, "this address is a WebSocket; the page of a room is /room/{group}/");
        response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        return response;
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
        let reason = "pages of this origin may not connect; the setting server.allowed_origins names those that may";
        return refuse(StatusCode::FORBIDDEN, reason);
    }
    let extensions = request.extensions_mut();
    let (Some(upgrade), Some(Peer(peer)), Some(alive)) =
        (extensions.remove::<OnUpgrade>(), extensions.get().copied(), extensions.remove::<Alive>())
    else {
        services.metrics.refuse(Refused::Malformed);
        return refuse(StatusCode::BAD_REQUEST, "this connection cannot become a WebSocket");
    };
    let scope = Scope {
        person: Guest::of(request.headers()).person,
        group,
        rooms: Arc::clone(&services.rooms),
        groups: Arc::clone(&services.groups),
        presence: Arc::clone(&services.presence),
        limits: services.limits,
    };
    // A browser drops a connection whose sub-protocol was not taken up.
    let protocol = handshake.offers(SUBPROTOCOL).then_some(SUBPROTOCOL);
    let Some(place) = services.connections.enter(peer.ip()) else {
        services.metrics.refuse(Refused::TooMany);
        // Telling it takes a connection too, so those are counted as well.
        let Some(place) = services.refused.enter(peer.ip()) else {
            return refuse(StatusCode::TOO_MANY_REQUESTS, "this address has too many connections");
        };
        let refused = TooMany { most: services.connections.most };
        return accept(services, refused, protocol, handshake, upgrade, (alive, place));
    };
    let kept = (alive, place);
    let accepted = if protocol.is_some() {
        Chat::connect(scope).map(|consumer| accept(services, consumer, protocol, handshake, upgrade, kept))
    } else {
        Plain::connect(scope).map(|consumer| accept(services, consumer, protocol, handshake, upgrade, kept))
    };
    accepted.unwrap_or_else(|Refuse { status, reason }| {
        services.metrics.refuse(match status {
            StatusCode::NOT_FOUND => Refused::NotFound,
            StatusCode::FORBIDDEN => Refused::Forbidden,
            _ => Refused::NoGroup,
        });
        refuse(status, reason)
    })
}

/// Answers 101; `kept` lives as long as the connection.
fn accept<C: Consumer>(
    services: &Services,
    consumer: C,
    protocol: Option<&'static str>,
    handshake: Handshake,
    upgrade: OnUpgrade,
    kept: impl Send + 'static,
) -> Response {
    let (limits, counters): (Limits, Arc<Counters>) = (services.limits, Arc::clone(&services.metrics.gateway));
    let deflate = handshake.deflate();
    tokio::spawn(async move {
        consumers::serve(consumer, upgrade, deflate, limits, &counters).await;
        drop(kept);
    });
    handshake.response(protocol)
}

fn refuse(status: StatusCode, reason: &str) -> Response {
    (status, format!("{reason}\n")).into_response()
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
