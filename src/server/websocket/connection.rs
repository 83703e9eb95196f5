//! The reading side of a connection: one task owns it, from the handshake to the end.

use std::{
    convert::Infallible,
    future::{Future, pending, poll_fn},
    io,
    mem::take,
    pin::Pin,
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    task::yield_now,
    time::{Instant, Sleep, sleep_until},
};

use super::{
    backlog::Backlog,
    counters::Counters,
    deflate::Deflate,
    frame::{CloseCode, Decoded, Decoder, DeflatedMessage, Frame, Message, Violation},
    socket::{READ, Socket},
};
use crate::server::stream::Stream;

/// The bounds of a connection.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// The longest message from the client, in bytes.
    pub message_bytes: usize,
    /// How much may wait for a slow reader, in bytes; 0 for no bound.
    pub backlog_bytes: usize,
    /// A client that has been silent for this long is pinged, and one from which nothing comes for as long again is gone.
    pub ping: Duration,
}

/// How long the closing handshake may take before the connection is cut.
const CLOSING: Duration = Duration::from_secs(5);

/// So much is read and thrown away of a client that has broken the protocol, in bytes: what was under way when it did.
const DRAINED: usize = 1 << 20;

/// So much of what frames cost that complete no message is told at a time, in bytes: a ping now and then is not worth a word.
const OVERHEAD: usize = 4 * 1024;

/// What [`Connection::next`] tells.
#[derive(Debug)]
pub enum Heard {
    /// A text or binary message.
    Message(Message),
    /// One that is to be [inflated](Connection::inflate) first.
    Deflated(DeflatedMessage),
    /// Frames have come that completed no message: pings, pongs, and parts of a message. They cost so many bytes.
    Frames(usize),
    /// Nothing more comes: the client closes, or has broken the protocol. It is answered when [`Connection::next`] is called again, so
    /// what it has said before can still be said to it.
    Last,
}

/// How the client ends the connection.
enum Ending {
    Closed(CloseCode),
    Broken(Violation),
}

/// A WebSocket that was accepted.
pub struct Connection {
    socket: Arc<Socket>,
    decoder: Decoder,
    ping: Duration,
    /// When something last came from the client.
    heard: Instant,
    /// A ping is out since this moment, and nothing has come after it.
    pinged: Option<Instant>,
    /// The timer runs for the closing handshake.
    closing: bool,
    timer: Pin<Box<Sleep>>,
    /// As much was read as is at a time: others have their turn before more is.
    read_full: bool,
    /// The client has ended it and has no answer to that yet.
    ending: Option<Ending>,
    /// How the connection ended, once it has.
    ended: Option<CloseCode>,
}

impl Connection {
    /// Takes the TCP connection over from HTTP once the answer 101 is out, in which `deflate` was agreed on, and counts it from
    /// then on. `backlog` is that of its address.
    ///
    /// # Errors
    /// The client went away before that.
    pub async fn accept(
        upgrade: OnUpgrade,
        deflate: Option<Deflate>,
        limits: ConnectionLimits,
        backlog: Option<Arc<Backlog>>,
        counters: Arc<Counters>,
    ) -> io::Result<Self> {
        let upgraded = upgrade.await.map_err(io::Error::other)?;
        let parts = upgraded
            .downcast::<TokioIo<Stream>>()
            .map_err(|_| io::Error::other("the upgraded connection is not a plain TCP connection"))?;
        let mut connection = Self::new(parts.io.into_inner().into_inner(), deflate, limits, backlog, &counters);
        // A client may have sent frames in the same packet as its handshake.
        connection.decoder.feed(&parts.read_buf);
        connection.socket.counted.bytes_in(parts.read_buf.len());
        Ok(connection)
    }

    fn new(
        stream: TcpStream,
        deflate: Option<Deflate>,
        limits: ConnectionLimits,
        backlog: Option<Arc<Backlog>>,
        counters: &Arc<Counters>,
    ) -> Self {
        let decoder = Decoder::new(limits.message_bytes, deflate.is_some());
        let socket = Socket::new(stream, deflate, limits.backlog_bytes, backlog, counters);
        let now = Instant::now();
        Self {
            socket: Arc::new(socket),
            decoder,
            ping: limits.ping,
            heard: now,
            pinged: None,
            closing: false,
            read_full: false,
            timer: Box::pin(sleep_until(now + limits.ping)),
            ending: None,
            ended: None,
        }
    }

    /// The sending side.
    pub fn socket(&self) -> &Arc<Socket> {
        &self.socket
    }

    /// How the connection ended: the peer's close code, or 1006 where it broke. Meaningful once [`Self::next`] gave none.
    pub fn close_code(&self) -> CloseCode {
        self.ended.unwrap_or(CloseCode::ABNORMAL)
    }

    /// The next that is heard of the client; none when the connection has ended. Pings, pongs and the closing handshake are
    /// dealt with here. Cancelling it loses nothing.
    pub async fn next(&mut self) -> Option<Heard> {
        loop {
            if self.ended.is_some() {
                return None;
            }
            if self.decoder.overhead() >= OVERHEAD {
                return Some(Heard::Frames(self.decoder.take_overhead()));
            }
            match self.ending.take() {
                // Echoes the code, or completes the handshake that this side began: then `answer_close` does nothing.
                Some(Ending::Closed(code)) => {
                    self.socket.answer_close(code);
                    self.ended = Some(code);
                    continue;
                }
                Some(Ending::Broken(violation)) => {
                    Box::pin(self.breach(&violation)).await;
                    continue;
                }
                None => {}
            }
            // A client that always has something more would keep the thread from everybody else.
            tokio::task::coop::consume_budget().await;
            match self.decoder.decode() {
                Ok(Some(Decoded::Message(Message::Ping(payload)))) => self.socket.send(&[Frame::pong(&payload)]),
                Ok(Some(Decoded::Message(Message::Pong(_)))) => {}
                Ok(Some(Decoded::Message(Message::Close(code, _)))) => return Some(self.last(Ending::Closed(code))),
                // RFC 6455 section 5.5.1: after our close frame went out, data is of no use to anybody.
                Ok(Some(_)) if self.socket.is_closing() => {}
                Ok(Some(Decoded::Message(message))) => {
                    self.socket.counted.message_in();
                    return Some(Heard::Message(message));
                }
                Ok(Some(Decoded::Deflated(message))) => return Some(Heard::Deflated(message)),
                Ok(None) => self.wait().await,
                Err(violation) => return Some(self.last(Ending::Broken(violation))),
            }
        }
    }

    /// The message itself; none where it breaks the protocol, and then nothing more comes, as after [`Heard::Last`].
    pub fn inflate(&mut self, message: DeflatedMessage) -> Option<Message> {
        match message.inflate() {
            Ok(message) => {
                self.socket.counted.message_in();
                Some(message)
            }
            Err(violation) => {
                self.ending = Some(Ending::Broken(violation));
                None
            }
        }
    }

    fn last(&mut self, ending: Ending) -> Heard {
        self.ending = Some(ending);
        Heard::Last
    }

    /// Runs a consumer's work, meanwhile writing out what the socket did not take at once.
    pub async fn while_flushing<T>(&self, work: impl Future<Output = T>) -> T {
        let flushing = async {
            while poll_fn(|context| self.socket.poll_flush(context)).await.is_ok() {}
            // The reading side meets the same error.
            pending::<Infallible>().await
        };
        tokio::select! {
            biased;
            result = work => result,
            never = flushing => match never {},
        }
    }

    /// Reads nothing for so long, unless the connection closes; what is to be sent goes out meanwhile.
    pub async fn hold(&self, pause: Duration) {
        let end = Instant::now() + pause;
        let next = || end.min(Instant::now() + self.ping);
        // Few connections are ever held: their timer is no part of the others.
        let mut timer = Box::pin(sleep_until(next()));
        while !self.socket.is_closing() {
            let flushed_or_time = poll_fn(|context| match self.socket.poll_flush(context) {
                Poll::Ready(flushed) => Poll::Ready(flushed.map(|()| false)),
                Poll::Pending if self.socket.is_closing() => Poll::Ready(Ok(false)),
                Poll::Pending => timer.as_mut().poll(context).map(|()| Ok(true)),
            });
            match flushed_or_time.await {
                Ok(false) => {}
                Ok(true) => {
                    if Instant::now() >= end {
                        return;
                    }
                    // Nobody hears the answer now, but where nobody is left it cannot be sent for long.
                    self.socket.send(&[Frame::ping(&[])]);
                    timer.as_mut().reset(next());
                }
                // The reading side meets the same error.
                Err(_) => return,
            }
        }
    }

    /// Waits for something to read, write or do.
    async fn wait(&mut self) {
        if self.socket.is_broken() {
            self.ended = Some(CloseCode::ABNORMAL);
            return;
        }
        if self.socket.is_closing() && !self.closing {
            self.closing = true;
            self.timer.as_mut().reset(Instant::now() + CLOSING);
        }
        // A message of 390 kB that has come would be read and kept at one stretch, and those of 190 connections before anybody else is heard.
        if take(&mut self.read_full) {
            yield_now().await;
        }
        // A future for each of these would be as large as all else of an idle connection; and whatever part of the server had the stream
        // before waits for it no more.
        let (readable, time) = poll_fn(|context| {
            let Self { socket, timer, closing, .. } = self;
            let time = timer.as_mut().poll(context).is_ready();
            let flushed = socket.poll_flush(context);
            let readable = socket.stream.poll_read_ready(context);
            let news = socket.is_broken() || (socket.is_closing() && !*closing);
            if !time && !news && flushed.is_pending() && readable.is_pending() {
                return Poll::Pending;
            }
            let readable = if let Poll::Ready(Err(error)) = flushed { Poll::Ready(Err(error)) } else { readable };
            Poll::Ready((readable, time))
        })
        .await;
        match readable {
            Poll::Ready(Ok(())) => self.read(),
            Poll::Ready(Err(_)) => self.ended = Some(CloseCode::ABNORMAL),
            Poll::Pending => {}
        }
        if time && self.ended.is_none() {
            self.tick();
        }
    }

    fn read(&mut self) {
        let Self { socket, decoder, .. } = self;
        match socket.read(|bytes| decoder.feed(bytes)) {
            Ok(0) => self.ended = Some(CloseCode::ABNORMAL),
            Ok(length) => {
                self.heard = Instant::now();
                self.pinged = None;
                self.read_full = length == READ;
                self.socket.counted.bytes_in(length);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.ended = Some(CloseCode::ABNORMAL),
        }
    }

    /// The timer went off: the closing handshake took too long, or the client seems to be silent.
    fn tick(&mut self) {
        if self.closing {
            self.ended = Some(CloseCode::ABNORMAL);
            return;
        }
        // While a consumer was at work nobody listened: what has come meanwhile counts.
        self.read();
        let now = Instant::now();
        let next = match self.pinged {
            Some(pinged) if now >= pinged + self.ping => {
                self.ended = Some(CloseCode::ABNORMAL);
                return;
            }
            Some(pinged) => pinged + self.ping,
            None if now >= self.heard + self.ping => {
                self.socket.send(&[Frame::ping(&[])]);
                self.pinged = Some(now);
                now + self.ping
            }
            None => self.heard + self.ping,
        };
        self.timer.as_mut().reset(next);
    }

    /// The client broke the protocol: says so and ends. What the client has still under way is read and thrown away for a
    /// moment, since closing a TCP connection with unread data resets it and the client would never see the reason.
    async fn breach(&mut self, violation: &Violation) {
        self.socket.close(violation.code, &violation.reason);
        self.ended = Some(violation.code);
        let drained = async {
            self.flushed().await;
            // A failure means that the connection is gone already, which the reads below meet.
            let _ = socket2::SockRef::from(&self.socket.stream).shutdown(std::net::Shutdown::Write);
            let mut drained = 0;
            while drained < DRAINED {
                if self.socket.stream.readable().await.is_err() {
                    return;
                }
                match self.socket.read(|_| ()) {
                    Ok(0) => return,
                    Ok(length) => drained += length,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        };
        // However long the client goes on, the connection is cut after this.
        let _ = tokio::time::timeout(CLOSING, drained).await;
    }

    async fn flushed(&self) {
        let flushed = poll_fn(|context| {
            while self.socket.wants_write() {
                if ready!(self.socket.poll_flush(context)).is_err() {
                    break;
                }
            }
            Poll::Ready(())
        });
        flushed.await;
    }

    /// Lets what is queued go out, the close frame last, before the connection is dropped.
    pub async fn finish(self) {
        // A reader that takes nothing for this long is not waited for.
        let _ = tokio::time::timeout(CLOSING, self.flushed()).await;
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Wake, Waker};

    use tokio::{io::AsyncWriteExt as _, net::TcpListener};

    use super::*;

    /// Is woken for something that it waits for no more.
    struct Before;

    impl Wake for Before {
        fn wake(self: Arc<Self>) {}
    }

    #[tokio::test]
    async fn who_had_the_stream_before_is_let_go() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        assert!(stream.try_read(&mut [0]).is_err(), "nothing has come");
        let before = Arc::new(Before);
        let waker = Waker::from(Arc::clone(&before));
        assert!(stream.poll_read_ready(&mut Context::from_waker(&waker)).is_pending());
        drop(waker);
        assert_eq!(Arc::strong_count(&before), 2, "the stream would wake it");
        let limits = ConnectionLimits { message_bytes: 1_000, backlog_bytes: 0, ping: Duration::from_secs(25) };
        let mut connection = Connection::new(stream, None, limits, None, &Arc::default());
        assert!(futures_util::poll!(Box::pin(connection.next())).is_pending());
        assert_eq!(Arc::strong_count(&before), 1);
    }

    #[tokio::test]
    async fn a_long_message_is_read_bit_by_bit_and_others_have_their_turn_between() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        // A frame of more than comes, unmasked in effect.
        let begun = [&[0x81, 0xFF, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0][..], &vec![b'x'; 5 * READ]].concat();
        client.write_all(&begun).await.unwrap();
        let limits = ConnectionLimits { message_bytes: 2 << 20, backlog_bytes: 0, ping: Duration::from_secs(25) };
        let counters = Arc::<Counters>::default();
        let mut connection = Connection::new(stream, None, limits, None, &counters);
        let read = || counters.traffic().bytes_in as usize;
        let mut turns = 0;
        while read() < begun.len() {
            connection.socket.stream.readable().await.unwrap();
            let before = read();
            assert!(futures_util::poll!(Box::pin(connection.next())).is_pending());
            assert!(read() - before <= READ, "{} bytes at a stretch", read() - before);
            turns += 1;
        }
        assert!(turns > 5, "{turns}");
    }
}
