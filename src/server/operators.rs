//! What operators and their machines ask: `/healthz`, `/readyz` and `/metrics`.
//!
//! The first two tell nothing about anybody and are for everybody. The numbers tell how many people talk and how much, so they
//! are by default for this machine alone.

use std::{net::IpAddr, sync::Arc, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

use tracing::debug;

use super::{
    http::Peer,
    hub::Census,
    presence::Headcount,
    services::Services,
    settings::MetricsFor,
    telemetry::{Present, TEXT_FORMAT},
};

/// `GET /healthz`: the process answers.
pub(super) async fn healthy() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: everything is there once the server accepts connections; the store and the layer's backend may go away and
/// come back.
pub(super) async fn ready(State(services): State<Arc<Services>>) -> Response {
    let store = services.rooms.trouble().await.map(str::to_owned);
    let layer = services.layer.trouble().map(|trouble| format!("the channel layer is in trouble: {trouble}"));
    let troubles: Vec<_> = store.into_iter().chain(layer).collect();
    if troubles.is_empty() {
        return "ready\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, troubles.join("\n") + "\n").into_response()
}

/// The numbers, to those whom `server.metrics` names; none where it names nobody.
pub(super) async fn metrics(services: &Services, Peer(peer): Peer, headers: &HeaderMap) -> Option<Response> {
    match services.metrics_for {
        MetricsFor::Everyone => {}
        MetricsFor::Loopback if is_local(peer.ip(), headers) => {}
        MetricsFor::Loopback => {
            let reason = "the numbers are for programs on the server's own machine; the setting server.metrics changes that\n";
            return Some((StatusCode::FORBIDDEN, reason).into_response());
        }
        MetricsFor::Nobody => return None,
    }
    let Census { groups, members } = services.hub.census();
    let Headcount { people, nodes } = services.presence.headcount();
    let accounts = match services.people.counts().await {
        Ok(counts) => Some((counts.accounts, counts.sessions)),
        // The numbers say of the store itself how it is.
        Err(cause) => {
            debug!(%cause, "how many accounts there are could not be read");
            None
        }
    };
    let text = services.metrics.text(Present {
        accounts,
        rooms_owned: services.rooms.counts().0,
        tokens: services.programs.made() + services.programs.of_settings().count(),
        read_only: services.manage.switches().read_only,
        groups,
        members,
        people,
        nodes,
        layer_available: services.layer.trouble().is_none(),
        store_writable: services.rooms.can_store(),
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(TEXT_FORMAT)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Some((headers, text).into_response())
}

/// A program on this machine asks, for itself: a proxy passes on the host that it was asked for, or says whom it speaks for. The
/// host matters for a browser too, which a foreign page may have led here under a name of its own.
fn is_local(peer: IpAddr, headers: &HeaderMap) -> bool {
    let forwarded = headers
        .keys()
        .any(|name| matches!(name.as_str(), "forwarded" | "via" | "x-real-ip") || name.as_str().starts_with("x-forwarded-"));
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    peer.to_canonical().is_loopback() && !forwarded && host.is_some_and(|host| is_this_machine(host.host()))
}

fn is_this_machine(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Counts every request with the time until its answer began.
pub(super) async fn timed(State(services): State<Arc<Services>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    services.metrics.answered(route.as_ref().map(MatchedPath::as_str), response.status(), begun.elapsed());
    response
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    #[test]
    fn local_is_who_asks_on_this_machine_by_a_name_of_it_and_for_itself() {
        let here = IpAddr::from([127, 0, 0, 1]);
        for (host, local) in [
            ("127.0.0.1:3000", true),
            ("127.8.9.1", true),
            ("[::1]:3000", true),
            ("localhost", true),
            ("LocalHost:3000", true),
            ("chat.example", false),
            ("10.0.0.1:3000", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example:3000", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]);
            assert_eq!(is_local(here, &headers), local, "{host}");
            for name in ["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-real-ip", "via"] {
                headers.insert(HeaderName::from_static(name), HeaderValue::from_static("x"));
                assert!(!is_local(here, &headers), "{host} {name}");
                headers.remove(name);
            }
        }
        assert!(!is_local(here, &HeaderMap::new()));
        let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static("localhost:3000"))]);
        for (peer, local) in [("::1", true), ("::ffff:127.0.0.1", true), ("10.0.0.1", false), ("::ffff:10.0.0.1", false)] {
            assert_eq!(is_local(peer.parse().unwrap(), &headers), local, "{peer}");
        }
    }
}
