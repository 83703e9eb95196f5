//! A way to a server that is slower than others, so that what two servers bring comes in an order that no sender chose.
//!
//! Bytes go on in their order, each piece a fixed time after it came. A test that takes several servers for one fails here every time, not
//! once in a hundred runs on a busy machine.

use std::time::Duration;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{Instant, sleep_until},
};

/// The port in front of the server on `port` whose answers come `lag` later. It ends with the runtime.
pub(crate) async fn behind_lag(port: u16, lag: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let front = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(("127.0.0.1", port)).await.expect("the server");
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            tokio::spawn(pass_on(from_client, to_server, Duration::ZERO));
            tokio::spawn(pass_on(from_server, to_client, lag));
        }
    });
    front
}

/// Ends when either side does.
async fn pass_on(mut from: impl AsyncRead + Unpin + Send + 'static, mut to: impl AsyncWrite + Unpin, lag: Duration) {
    let (pieces, mut due) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        let mut piece = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut piece).await {
            if pieces.send((Instant::now() + lag, piece[..length].to_vec())).is_err() {
                break;
            }
        }
    });
    while let Some((at, piece)) = due.recv().await {
        sleep_until(at).await;
        if to.write_all(&piece).await.is_err() {
            break;
        }
    }
}
