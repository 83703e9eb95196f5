//! The loop that accepts connections, and how it ends: no new ones, a goodbye to those that are there, which may take a while, and
//! a bounded wait until they are gone.
//!
//! [`open`] says how many there may be, and which give way; [`request`] what each request must have.

mod open;
mod request;

use std::{
    convert::Infallible,
    future::Future,
    io,
    net::SocketAddr,
    num::NonZeroU32,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

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

use self::open::{Answer, Open, Place, Shortage};
pub(super) use self::{open::Line, request::well_formed};
use super::{stream::Stream, visitors::Proxies};

/// How long a client may take for the head of a request, which bounds an idle connection too.
const HEAD: Duration = Duration::from_secs(30);
/// How long what was sent may wait for the other side's acknowledgement.
const UNACKNOWLEDGED: Duration = Duration::from_mins(1);
/// How long the last connections may take when the server stops.
const LAST: Duration = Duration::from_secs(8);
/// How long to wait when no connection can be accepted though there is room.
const PAUSE: Duration = Duration::from_millis(100);
/// How often it is told that an address has too many connections.
const TELL: Duration = Duration::from_mins(1);
/// What the head of a request may be, in bytes; hyper answers 431 beyond, but looks only after each read, which may bring as
/// much again.
const HEAD_BYTES: usize = 32 * 1024;

/// Where a request came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// The server stops when all of these are gone; every task that serves a connection holds one, and with it the connection's place.
#[derive(Clone)]
pub(super) struct Alive {
    _count: mpsc::Sender<Infallible>,
    place: Arc<Place>,
}

/// How many connections are accepted.
pub(super) struct Bounds<'a> {
    /// `WebSockets` of one address, by which its TCP connections are bounded.
    pub(super) sockets_of_address: Option<NonZeroU32>,
    /// Those whose connections are of everybody.
    pub(super) proxies: &'a Proxies,
}

/// Serves until `shutdown` resolves; `goodbye` begins once no new connection is taken.
pub(super) async fn serve(
    listener: TcpListener,
    app: Router,
    Bounds { sockets_of_address, proxies }: Bounds<'_>,
    shutdown: impl Future<Output = ()>,
    goodbye: impl Future<Output = ()>,
) {
    let (count, mut gone) = mpsc::channel(1);
    let (stopping, stop) = watch::channel(());
    let open = Open::new(open::most_of_address(sockets_of_address));
    let (mut shortage, mut told) = (Shortage::default(), None);
    let mut shutdown = pin!(shutdown);
    loop {
        let accepting = async {
            let room = if let Some(room) = open.try_room() {
                room
            } else {
                shortage.felt(|| format!("the bound on open files allows {} connections", open.most()));
                open.room().await
            };
            loop {
                tokio::select! {
                    accepted = listener.accept() => return (accepted, room),
                    () = shortage.over() => {}
                }
            }
        };
        let (accepted, room) = tokio::select! {
            () = &mut shutdown => break,
            accepted = accepting => accepted,
        };
        match accepted {
            Ok((stream, peer)) => match open.enter(proxies.counted(peer.ip()), room) {
                Ok(place) => {
                    let alive = Alive { _count: count.clone(), place: Arc::new(place) };
                    prepare(&stream);
                    tokio::spawn(connection(stream, Peer(peer), app.clone(), stop.clone(), alive));
                }
                Err(most) => {
                    if told.is_none_or(|at: Instant| at.elapsed() >= TELL) {
                        told = Some(Instant::now());
                        warn!(address = %peer.ip(), most, "an address has as many TCP connections as it may have; more are turned away");
                    }
                    turn_away(&stream, most);
                }
            },
            Err(cause) if is_the_clients(&cause) => debug!(%cause, "a client left before it was accepted"),
            Err(cause) => {
                shortage.felt(|| cause.to_string());
                open.make_room();
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    // Whoever waits for `stop` sees that the sender is gone.
    drop((stopping, count, app));
    goodbye.await;
    if tokio::time::timeout(LAST, gone.recv()).await.is_err() {
        warn!("some connections did not end in time and were cut");
    }
}

fn is_the_clients(cause: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(cause.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

fn prepare(stream: &TcpStream) {
    // Small answers must not wait for the client's acknowledgement of the one before.
    if let Err(cause) = stream.set_nodelay(true) {
        debug!(%cause, "TCP_NODELAY could not be set");
    }
    // A client that takes nothing of what it asked for does not hold the connection for ever.
    if let Err(cause) = SockRef::from(stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED)) {
        debug!(%cause, "TCP_USER_TIMEOUT could not be set");
    }
}

/// Says that the address has too many connections, without a look at what it asks for. Nobody waits until that is read.
fn turn_away(stream: &TcpStream, most: u32) {
    let reason = format!("one address has at most {most} TCP connections at a time\n");
    let answer = format!(
        "HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nRetry-After: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n{reason}",
        reason.len(),
        HEAD.as_secs()
    );
    // The buffer of a new connection is empty. Who is gone already needs no answer.
    let _ = SockRef::from(stream).send(answer.as_bytes());
}

async fn connection(stream: TcpStream, peer: Peer, app: Router, mut stop: watch::Receiver<()>, alive: Alive) {
    let speaking = alive.place.speak_http();
    let service = service_fn(|request: Request<Incoming>| {
        let under_way = speaking.request();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        // An upgraded connection outlives this task; the server waits for it as well.
        request.extensions_mut().insert(alive.clone());
        request.extensions_mut().insert(speaking.line());
        let answered = app.clone().oneshot(request);
        async move {
            let response = answered.await?;
            Ok::<_, Infallible>(response.map(|body| Answer { body, _under_way: under_way }))
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_BYTES);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(Stream::new(stream)), service).with_upgrades());
    let ended = tokio::select! {
        // What is under way may take all that the task may do at a stretch.
        biased;
        () = speaking.gives_way() => return,
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
