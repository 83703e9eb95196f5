//! The loop that accepts connections, and how it ends: no new ones, a goodbye to those that are there, which may take a while, and
//! a bounded wait until they are gone.

use std::{convert::Infallible, future::Future, io, net::SocketAddr, pin::pin, time::Duration};

use axum::{Router, body::Body, http::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
};
use tower::ServiceExt;
use tracing::{debug, warn};

/// How long a client may take for the head of a request, which bounds an idle connection too.
const HEAD: Duration = Duration::from_secs(30);
/// How long what was sent may wait for the other side's acknowledgement.
const UNACKNOWLEDGED: Duration = Duration::from_mins(1);
/// How long the last connections may take when the server stops.
const LAST: Duration = Duration::from_secs(8);
/// How long to wait when no connection can be accepted, for want of file descriptors mostly.
const PAUSE: Duration = Duration::from_millis(100);
/// What the head of a request may be, in bytes; hyper answers 431 beyond, but looks only after each read, which may bring as
/// much again.
const HEAD_BYTES: usize = 64 * 1024;

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// The server stops when all of these are gone; every task that serves a connection holds one.
#[derive(Clone)]
pub(super) struct Alive {
    _count: mpsc::Sender<Infallible>,
}

/// Serves until `shutdown` resolves; `goodbye` begins once no new connection is taken.
pub(super) async fn serve(
    listener: TcpListener,
    app: Router,
    shutdown: impl Future<Output = ()>,
    goodbye: impl Future<Output = ()>,
) {
    let (count, mut gone) = mpsc::channel(1);
    let (stopping, stop) = watch::channel(());
    let alive = Alive { _count: count };
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Small answers must not wait for the client's acknowledgement of the one before.
                if let Err(cause) = stream.set_nodelay(true) {
                    debug!(%cause, "TCP_NODELAY could not be set");
                }
                // A client that takes nothing of what it asked for does not hold the connection for ever.
                if let Err(cause) = SockRef::from(&stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED)) {
                    debug!(%cause, "TCP_USER_TIMEOUT could not be set");
                }
                tokio::spawn(connection(stream, Peer(peer), app.clone(), stop.clone(), alive.clone()));
            }
            Err(cause) if is_the_clients(&cause) => debug!(%cause, "a client left before it was accepted"),
            Err(cause) => {
                warn!(%cause, "no connection can be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    // Whoever waits for `stop` sees that the sender is gone.
    drop((stopping, alive, app));
    goodbye.await;
    if tokio::time::timeout(LAST, gone.recv()).await.is_err() {
        warn!("some connections did not end in time and were cut");
    }
}

fn is_the_clients(cause: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(cause.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn connection(stream: TcpStream, peer: Peer, app: Router, mut stop: watch::Receiver<()>, alive: Alive) {
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        // An upgraded connection outlives this task; the server waits for it as well.
        request.extensions_mut().insert(alive.clone());
        app.clone().oneshot(request)
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_BYTES);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        _ = stop.changed() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(cause) = ended {
        debug!(%cause, peer = %peer.0, "a connection broke");
    }
}
