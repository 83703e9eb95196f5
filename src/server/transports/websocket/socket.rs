//! The sending side of a connection, shared by all who have something to say to it.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use tokio::{net::TcpStream, sync::Notify};

use super::{
    counters::{Counted, Counters},
    deflate::Deflate,
    frame::{CloseCode, Frame},
};

/// How many pieces one `writev` takes; more are written by the next.
const SLICES: usize = 64;

/// What a queued piece takes beside its bytes.
const ENTRY: usize = 64;

/// The longest message that is deflated for one connection alone, in bytes: that takes two milliseconds.
const LONGEST_DEFLATED_ALONE: usize = 32 * 1024;

/// Tells the connections of this process apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(pub u64);

impl SocketId {
    fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// One connection's way out.
pub struct Socket {
    id: SocketId,
    pub(super) stream: TcpStream,
    deflate: Option<Deflate>,
    outbound: Mutex<Outbound>,
    /// Wakes the connection's task: there is something to flush, or the connection shall end.
    pub(super) wake: Notify,
    /// How many bytes may wait; 0 for no bound.
    backlog: usize,
    pub(super) counted: Counted,
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

struct Outbound {
    /// What the socket has not taken yet; the front one may be partly written.
    queue: VecDeque<Bytes>,
    bytes: usize,
    /// So many of the bytes were sent into an empty queue: however large one answer is, its reader is not slow for it.
    grace: usize,
    /// How many bytes the socket has taken.
    sent: u64,
    /// The front of the queue has begun to go out: it must be finished whatever happens, or the stream is garbage.
    front_begun: bool,
    phase: Phase,
}

impl Socket {
    pub(in crate::server) fn new(
        stream: TcpStream,
        deflate: Option<Deflate>,
        backlog: usize,
        counters: &Arc<Counters>,
    ) -> Self {
        let outbound = Outbound { queue: VecDeque::new(), bytes: 0, grace: 0, sent: 0, front_begun: false, phase: Phase::Open };
        let id = SocketId::fresh();
        Self { id, stream, deflate, outbound: Mutex::new(outbound), wake: Notify::new(), backlog, counted: counters.enter(id) }
    }

    pub fn id(&self) -> SocketId {
        self.id
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
        let mut outbound = self.outbound.lock();
        if outbound.phase != Phase::Open {
            return;
        }
        if outbound.queue.is_empty() {
            outbound.write_through(&self.stream, frames);
            // Of the first frame, which is the answer where one goes out with what followed on it.
            outbound.grace = frames.first().map_or(0, |frame| outbound.bytes.min(frame.bytes().len()));
        } else {
            outbound.push(frames, 0);
        }
        if self.backlog > 0 && outbound.weight() - outbound.grace > self.backlog {
            let reason = format!("more than {} bytes are waiting to be read", self.backlog);
            outbound.abandon();
            self.counted.slow_close();
            outbound.close(&self.stream, CloseCode::SLOW_READER, &reason);
        }
        self.count(&outbound);
        if !outbound.queue.is_empty() || outbound.phase != Phase::Open {
            self.wake.notify_one();
        }
    }

    /// Begins the closing handshake: what was sent before still goes out.
    pub fn close(&self, code: CloseCode, reason: &str) {
        if self.close_once(code, reason) && code == CloseCode::SLOW_READER {
            self.counted.slow_close();
        }
    }

    /// Completes the closing handshake that the client began with this code, or that this side did: then it does nothing.
    pub(super) fn answer_close(&self, code: CloseCode) {
        self.close_once(code, "");
    }

    fn close_once(&self, code: CloseCode, reason: &str) -> bool {
        let mut outbound = self.outbound.lock();
        let open = outbound.phase == Phase::Open;
        if open {
            outbound.close(&self.stream, code, reason);
            self.count(&outbound);
            self.wake.notify_one();
        }
        open
    }

    fn count(&self, outbound: &Outbound) {
        self.counted.outbound(outbound.sent, outbound.bytes);
    }

    /// Writes what the socket will take.
    pub(super) fn flush(&self) {
        let mut outbound = self.outbound.lock();
        outbound.write(&self.stream);
        self.count(&outbound);
    }

    /// Something waits for the socket to become writable.
    pub(super) fn wants_write(&self) -> bool {
        let outbound = self.outbound.lock();
        !outbound.queue.is_empty() && outbound.phase != Phase::Broken
    }

    /// A close frame is on its way or gone.
    pub(in crate::server) fn is_closing(&self) -> bool {
        self.outbound.lock().phase != Phase::Open
    }

    pub(super) fn is_broken(&self) -> bool {
        self.outbound.lock().phase == Phase::Broken
    }
}

impl Outbound {
    /// What the queue takes in memory, roughly: many short frames take more than their bytes.
    fn weight(&self) -> usize {
        self.bytes + self.queue.len() * ENTRY
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
            self.queue.push_back(bytes.slice(taken..));
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
        match stream.try_write(frame.bytes()) {
            Ok(written) => {
                self.sent += written as u64;
                self.push(frames, written);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.push(frames, 0),
            // The reading side meets the same error and ends the connection.
            Err(_) => self.phase = Phase::Broken,
        }
    }

    fn write(&mut self, stream: &TcpStream) {
        while !self.queue.is_empty() && self.phase != Phase::Broken {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut count = 0;
            for (slice, bytes) in slices.iter_mut().zip(&self.queue) {
                *slice = IoSlice::new(bytes);
                count += 1;
            }
            match stream.try_write_vectored(&slices[..count]) {
                Ok(written) => self.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    // The reading side meets the same error and ends the connection.
                    self.phase = Phase::Broken;
                    self.queue = VecDeque::new();
                    (self.bytes, self.grace) = (0, 0);
                }
            }
        }
        // An idle connection holds no queue.
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes -= written;
        self.sent += written as u64;
        self.grace = self.grace.saturating_sub(written);
        while let Some(front) = self.queue.front_mut() {
            if written < front.len() {
                front.advance(written);
                self.front_begun |= written > 0;
                return;
            }
            written -= front.len();
            self.queue.pop_front();
            self.front_begun = false;
        }
    }

    /// Gives up what has not begun to go out.
    fn abandon(&mut self) {
        self.queue.truncate(usize::from(self.front_begun));
        self.bytes = self.queue.iter().map(Bytes::len).sum();
        self.grace = self.bytes;
    }

    fn close(&mut self, stream: &TcpStream, code: CloseCode, reason: &str) {
        let frame = Frame::close(code, reason);
        self.bytes += frame.bytes().len();
        self.queue.push_back(frame.bytes().clone());
        self.phase = Phase::Closing;
        self.write(stream);
    }
}
