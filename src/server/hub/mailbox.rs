//! A way out that keeps what is sent, for tests.

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::server::websocket::{CloseCode, ConnectionId, Deflate, Frame, Tap};

/// See the module.
pub struct Mailbox {
    id: ConnectionId,
    tap: Tap,
    kept: Mutex<Kept>,
    came: Notify,
}

#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    is_closed: bool,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self { id: ConnectionId::fresh(), tap: Tap::default(), kept: Mutex::default(), came: Notify::new() }
    }
}

impl Mailbox {
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    pub fn tap(&self) -> &Tap {
        &self.tap
    }

    pub fn deflate(&self) -> Option<Deflate> {
        None
    }

    pub fn fitted(&self, message: Frame) -> Frame {
        message
    }

    pub fn deflates(&self, _: &Frame) -> bool {
        false
    }

    pub fn send(&self, frames: &[Frame]) {
        let mut kept = self.kept.lock();
        if !kept.is_closed {
            self.tap.said(frames);
            for frame in frames {
                kept.bytes.extend_from_slice(frame.bytes());
            }
            self.came.notify_one();
        }
    }

    pub fn close(&self, code: CloseCode, reason: &str) {
        self.send(&[Frame::close(code, reason)]);
        self.kept.lock().is_closed = true;
    }

    pub fn cut(&self, last: Option<Frame>, code: CloseCode, reason: &str) {
        self.kept.lock().bytes.clear();
        self.send(last.as_slice());
        self.close(code, reason);
    }

    pub fn retract(&self, word: Frame) {
        if self.kept.lock().bytes.is_empty() {
            self.send(&[word]);
        } else {
            self.cut(None, CloseCode::LOST_POSITION, "something was taken back while it waited; join again");
        }
    }

    /// Waits for something more and takes it.
    pub async fn take(&self) -> Vec<u8> {
        loop {
            let bytes = std::mem::take(&mut self.kept.lock().bytes);
            if !bytes.is_empty() {
                return bytes;
            }
            self.came.notified().await;
        }
    }
}
