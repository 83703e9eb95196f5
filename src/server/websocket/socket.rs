//! The sending side of a connection, shared by all who have something to say to it.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    mem::MaybeUninit,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags, recv, send},
};
use tokio::{io::Interest, net::TcpStream};

use super::{
    backlog::{Backlog, Part, TIMES},
    counters::{Counted, Counters},
    deflate::Deflate,
    frame::{CloseCode, Frame},
    id::ConnectionId,
    tap::Tap,
};

/// How many pieces one `writev` takes; more are written by the next.
const SLICES: usize = 64;

/// How much is read at a time, in bytes.
pub(super) const READ: usize = 16 * 1024;

/// What a queued piece takes beside its bytes.
const ENTRY: usize = 64;

/// The longest message that is deflated for one connection alone, in bytes: that takes two milliseconds.
const LONGEST_DEFLATED_ALONE: usize = 32 * 1024;

/// One connection's way out.
pub struct Socket {
    id: ConnectionId,
    pub(super) stream: TcpStream,
    deflate: Option<Deflate>,
    queue: Mutex<Queue>,
    /// Wakes the connection's task: there is something to flush, or the connection shall end.
    task: AtomicWaker,
    /// How many bytes may wait; 0 for no bound.
    backlog: usize,
    pub(super) counted: Counted,
    tap: Tap,
}

/// How far the closing handshake has come, as seen from the sending side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// A close frame is sent or waits to be; nothing may follow it.
    Closing,
    /// The socket takes nothing more.
    Broken,
}

struct Queue {
    /// What the socket has not taken yet; the front one may be partly written.
    waiting: VecDeque<Bytes>,
    bytes: usize,
    /// So many of the bytes were sent into an empty queue: however large one answer is, its reader is not slow for it.
    grace: usize,
    /// How many bytes the socket has taken.
    sent: u64,
    /// What of it counts on the address.
    part: Part,
    /// The front of the queue has begun to go out: it must be finished whatever happens, or the stream is garbage.
    front_begun: bool,
    phase: Phase,
}

impl Socket {
    pub(in crate::server) fn new(
        stream: TcpStream,
        deflate: Option<Deflate>,
        backlog: usize,
        of_address: Option<Arc<Backlog>>,
        counters: &Arc<Counters>,
    ) -> Self {
        let (waiting, part) = (VecDeque::new(), Part::of(of_address));
        let queue = Queue { waiting, bytes: 0, grace: 0, sent: 0, part, front_begun: false, phase: Phase::Open };
        let id = ConnectionId::fresh();
        Self {
            id,
            stream,
            deflate,
            queue: Mutex::new(queue),
            tap: Tap::default(),
            task: AtomicWaker::new(),
            backlog,
            counted: counters.enter(id),
        }
    }

    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// Where one may listen to it.
    pub fn tap(&self) -> &Tap {
        &self.tap
    }

    /// How it takes deflated messages, if that was agreed on: frames from a [`SharedFrame`](super::SharedFrame) are fitted to
    /// it.
    pub fn deflate(&self) -> Option<Deflate> {
        self.deflate
    }

    /// Makes a message for this connection alone ready to be sent.
    pub fn fitted(&self, message: Frame) -> Frame {
        if self.deflates(&message) { message.fitted(self.deflate) } else { message }
    }

    /// Whether such a message is deflated. A long one is not: that would take longer than all else that is done for it, for one reader.
    pub fn deflates(&self, message: &Frame) -> bool {
        message.bytes().len() <= LONGEST_DEFLATED_ALONE && message.may_be_deflated(self.deflate)
    }

    /// Sends frames, in this order and with nothing between. Does not wait; once the connection is closing they are dropped.
    pub fn send(&self, frames: &[Frame]) {
        let mut queue = self.queue.lock();
        if queue.phase != Phase::Open {
            return;
        }
        self.tap.said(frames);
        if queue.waiting.is_empty() {
            queue.write_through(&self.stream, frames);
            // Of the first frame, which is the answer where one goes out with what followed on it.
            queue.grace = frames.first().map_or(0, |frame| queue.bytes.min(frame.bytes().len()));
        } else {
            queue.push(frames, 0);
        }
        // What is over the connection's own bound is given up before it counts on the address.
        let is_slow = self.backlog > 0 && queue.weight() - queue.grace > self.backlog;
        let of_address = if is_slow { 0 } else { self.count(&mut queue) };
        let slow = if is_slow {
            Some(format!("more than {} bytes are waiting to be read", self.backlog))
        } else if self.backlog > 0 && of_address > TIMES * self.backlog {
            Some(format!("more than {} bytes are waiting to be read on all connections of your address", TIMES * self.backlog))
        } else {
            None
        };
        if let Some(reason) = slow {
            queue.abandon();
            self.counted.slow_close();
            self.end(&mut queue, CloseCode::SLOW_READER, &reason);
            self.count(&mut queue);
        }
        if !queue.waiting.is_empty() || queue.phase != Phase::Open {
            self.task.wake();
        }
    }

    /// Begins the closing handshake: what was sent before still goes out.
    pub fn close(&self, code: CloseCode, reason: &str) {
        if self.close_once(code, reason) && code == CloseCode::SLOW_READER {
            self.counted.slow_close();
        }
    }

    /// Ends the connection at once: what waits is given up, but for a frame that has begun to go out, and `last` is said before goodbye.
    pub fn cut(&self, last: Option<Frame>, code: CloseCode, reason: &str) {
        let mut queue = self.queue.lock();
        match queue.phase {
            Phase::Open => {
                queue.abandon();
                if let Some(last) = last {
                    self.tap.said(std::slice::from_ref(&last));
                    queue.push(&[last], 0);
                }
                self.end(&mut queue, code, reason);
            }
            Phase::Closing => queue.abandon_but_goodbye(),
            Phase::Broken => {}
        }
        self.count(&mut queue);
        self.task.wake();
    }

    /// Says that something was taken from the reader. What waits may be of it: where anything does, all is given up, and the client comes
    /// back for the rest.
    pub fn retract(&self, word: Frame) {
        let mut queue = self.queue.lock();
        match queue.phase {
            Phase::Open if queue.waiting.is_empty() => {
                self.tap.said(std::slice::from_ref(&word));
                queue.write_through(&self.stream, &[word]);
            }
            Phase::Open => {
                queue.abandon();
                self.end(&mut queue, CloseCode::LOST_POSITION, "something was taken back while it waited; join again");
            }
            Phase::Closing => queue.abandon_but_goodbye(),
            Phase::Broken => {}
        }
        self.count(&mut queue);
        self.task.wake();
    }

    /// Completes the closing handshake that the client began with this code, or that this side did: then it does nothing.
    pub(super) fn answer_close(&self, code: CloseCode) {
        self.close_once(code, "");
    }

    fn close_once(&self, code: CloseCode, reason: &str) -> bool {
        let mut queue = self.queue.lock();
        let open = queue.phase == Phase::Open;
        if open {
            self.end(&mut queue, code, reason);
            self.count(&mut queue);
            self.task.wake();
        }
        open
    }

    fn end(&self, queue: &mut Queue, code: CloseCode, reason: &str) {
        let frame = Frame::close(code, reason);
        self.tap.said(std::slice::from_ref(&frame));
        queue.close(&self.stream, &frame);
    }

    /// Says how much waits on all connections of the address, where that has changed.
    fn count(&self, queue: &mut Queue) -> usize {
        self.counted.outbound(queue.sent, queue.bytes);
        let weight = queue.weight();
        queue.part.becomes(weight)
    }

    /// Writes what the socket will take of what waits; pending while nothing waits or it takes nothing. For the connection's task alone,
    /// which is woken for the next try, and when [`Self::is_closing`] or [`Self::is_broken`] become so.
    ///
    /// # Errors
    /// It can never be written to again.
    pub(super) fn poll_flush(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.task.register(context.waker());
        if !self.wants_write() {
            return Poll::Pending;
        }
        ready!(self.stream.poll_write_ready(context))?;
        let mut queue = self.queue.lock();
        queue.write(&self.stream);
        self.count(&mut queue);
        Poll::Ready(Ok(()))
    }

    /// Reads what has come, at most [`READ`] bytes, and hands it to `take`. Says how much it was: nothing at the end.
    pub(super) fn read(&self, take: impl FnOnce(&[u8])) -> io::Result<usize> {
        // Left as it is found: to fill it with zeros takes longer than all else that is done for a short message.
        let mut buffer = [MaybeUninit::uninit(); READ];
        let mut drained = None;
        let read = self.stream.try_io(Interest::READABLE, || {
            let ((bytes, _), length) = recv(&self.stream, &mut buffer[..], RecvFlags::empty())?;
            take(bytes);
            if length == 0 || length == READ {
                return Ok(length);
            }
            // That was all. The runtime is told as a second call would tell it, and wakes the task when there is more.
            drained = Some(length);
            Err(io::ErrorKind::WouldBlock.into())
        });
        drained.map_or(read, Ok)
    }

    /// Something waits for the socket to become writable.
    pub(super) fn wants_write(&self) -> bool {
        let queue = self.queue.lock();
        !queue.waiting.is_empty() && queue.phase != Phase::Broken
    }

    /// A close frame is on its way or gone.
    pub(in crate::server) fn is_closing(&self) -> bool {
        self.queue.lock().phase != Phase::Open
    }

    pub(super) fn is_broken(&self) -> bool {
        self.queue.lock().phase == Phase::Broken
    }
}

impl Queue {
    /// What the queue takes in memory, roughly: many short frames take more than their bytes.
    fn weight(&self) -> usize {
        self.bytes + self.waiting.len() * ENTRY
    }

    /// Queues what follows on the first `taken` bytes, which are gone.
    fn push(&mut self, frames: &[Frame], mut taken: usize) {
        for bytes in frames.iter().map(Frame::bytes) {
            if taken >= bytes.len() {
                taken -= bytes.len();
                continue;
            }
            self.front_begun |= taken > 0;
            self.bytes += bytes.len() - taken;
            self.waiting.push_back(bytes.slice(taken..));
            taken = 0;
        }
    }

    /// Writes with nothing queued before; only what the socket does not take is. Most writes are these, and they go without an
    /// allocation.
    fn write_through(&mut self, stream: &TcpStream, frames: &[Frame]) {
        let [frame] = frames else {
            self.push(frames, 0);
            return self.write(stream);
        };
        // Nearly every socket takes a frame at once, so the runtime is not asked before whether this one would. Of one that does not it
        // hears when the connection's task writes what is queued.
        match send(stream, frame.bytes(), SendFlags::NOSIGNAL) {
            Ok(written) => {
                self.sent += written as u64;
                if written < frame.bytes().len() {
                    self.push(frames, written);
                }
            }
            Err(Errno::WOULDBLOCK) => self.push(frames, 0),
            // The reading side meets the same error and ends the connection.
            Err(_) => self.phase = Phase::Broken,
        }
    }

    fn write(&mut self, stream: &TcpStream) {
        while !self.waiting.is_empty() && self.phase != Phase::Broken {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut count = 0;
            for (slice, bytes) in slices.iter_mut().zip(&self.waiting) {
                *slice = IoSlice::new(bytes);
                count += 1;
            }
            match stream.try_write_vectored(&slices[..count]) {
                Ok(written) => self.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    // The reading side meets the same error and ends the connection.
                    self.phase = Phase::Broken;
                    self.waiting = VecDeque::new();
                    (self.bytes, self.grace) = (0, 0);
                }
            }
        }
        // An idle connection holds no queue.
        if self.waiting.is_empty() {
            self.waiting = VecDeque::new();
        }
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes -= written;
        self.sent += written as u64;
        self.grace = self.grace.saturating_sub(written);
        while let Some(front) = self.waiting.front_mut() {
            if written < front.len() {
                front.advance(written);
                self.front_begun |= written > 0;
                return;
            }
            written -= front.len();
            self.waiting.pop_front();
            self.front_begun = false;
        }
    }

    /// Gives up what has not begun to go out.
    fn abandon(&mut self) {
        self.waiting.truncate(usize::from(self.front_begun));
        self.bytes = self.waiting.iter().map(Bytes::len).sum();
        self.grace = self.bytes;
    }

    /// The same while the connection is closing: the close frame, which is last, still goes out.
    fn abandon_but_goodbye(&mut self) {
        let is_begun = self.front_begun && self.waiting.len() == 1;
        let goodbye = if is_begun { None } else { self.waiting.pop_back() };
        self.abandon();
        self.bytes += goodbye.as_ref().map_or(0, Bytes::len);
        self.waiting.extend(goodbye);
    }

    fn close(&mut self, stream: &TcpStream, frame: &Frame) {
        self.bytes += frame.bytes().len();
        self.waiting.push_back(frame.bytes().clone());
        self.phase = Phase::Closing;
        self.write(stream);
    }
}

#[cfg(test)]
mod tests {
    use socket2::SockRef;
    use tokio::net::TcpListener;

    use super::*;

    const BACKLOG: usize = 100_000;

    /// Connections of one address on which 90,000 to 100,000 bytes wait each, and their clients, who read nothing.
    async fn waiting(count: usize, of_address: &Arc<Backlog>) -> Vec<(Socket, TcpStream)> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut sockets = Vec::new();
        for _ in 0..count {
            let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            SockRef::from(&stream).set_send_buffer_size(4_096).unwrap();
            let socket = Socket::new(stream, None, BACKLOG, Some(Arc::clone(of_address)), &Arc::default());
            let is_full = || socket.is_closing() || socket.queue.lock().weight() > BACKLOG * 9 / 10;
            while !is_full() {
                socket.send(&[Frame::binary(&[0; 5_000])]);
            }
            sockets.push((socket, client));
        }
        sockets
    }

    #[tokio::test]
    async fn what_waits_on_all_connections_of_an_address_is_bounded_too() {
        let address = Arc::new(Backlog::default());
        let mut sockets = waiting(36, &address).await;
        let closing = |sockets: &[(Socket, TcpStream)]| sockets.iter().filter(|(socket, _)| socket.is_closing()).count();
        assert_eq!(closing(&sockets[..32]), 0, "each is within its own bound, and together they are within theirs");
        assert!(closing(&sockets) > 0, "they are more than an address may have waiting");
        assert_eq!(closing(&waiting(1, &Arc::default()).await), 0, "another address's is its own");
        sockets.truncate(20);
        assert_eq!(closing(&waiting(10, &address).await), 0, "there is room again");
        drop(sockets);
        assert_eq!(Part::of(Some(address)).becomes(1), 1, "nothing is left behind");
    }
}
