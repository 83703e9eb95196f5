//! Where somebody may listen to what goes in and out of a connection. While nobody does, that costs the look at one flag.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;

use super::frame::Frame;

/// Who listens. It is called by whoever sends or reads, and must not block.
pub trait Listener: Send + Sync {
    /// The client has said this.
    fn heard(&self, text: &str);

    /// This goes out to the client, in this order.
    fn said(&self, frame: &Frame);
}

/// See the module.
#[derive(Default)]
pub struct Tap {
    is_open: AtomicBool,
    listener: Mutex<Option<Arc<dyn Listener>>>,
}

impl Tap {
    /// From now on this one listens, in the place of any other.
    pub fn open(&self, listener: Arc<dyn Listener>) {
        *self.listener.lock() = Some(listener);
        self.is_open.store(true, Ordering::Release);
    }

    /// Nobody listens any more.
    pub fn close(&self) {
        self.is_open.store(false, Ordering::Release);
        *self.listener.lock() = None;
    }

    pub(in crate::server) fn heard(&self, text: &str) {
        if self.is_open.load(Ordering::Relaxed) {
            self.tell(|listener| listener.heard(text));
        }
    }

    pub(in crate::server) fn said(&self, frames: &[Frame]) {
        if self.is_open.load(Ordering::Relaxed) {
            self.tell(|listener| frames.iter().for_each(|frame| listener.said(frame)));
        }
    }

    #[cold]
    fn tell(&self, what: impl FnOnce(&dyn Listener)) {
        if let Some(listener) = &*self.listener.lock() {
            what(&**listener);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread, time::Duration};

    use super::*;

    /// Notes what it hears.
    struct Notes(mpsc::Sender<String>);

    impl Listener for Notes {
        fn heard(&self, text: &str) {
            self.0.send(format!("in {text}")).unwrap();
        }

        fn said(&self, frame: &Frame) {
            self.0.send(format!("out {}", frame.bytes().len())).unwrap();
        }
    }

    #[test]
    fn what_nobody_listens_to_takes_no_lock() {
        let (tap, (done, is_done)) = (Arc::new(Tap::default()), mpsc::channel());
        let held = tap.listener.lock();
        let other = Arc::clone(&tap);
        thread::spawn(move || {
            other.heard("a");
            other.said(&[Frame::text("b")]);
            done.send(()).unwrap();
        });
        is_done.recv_timeout(Duration::from_mins(1)).expect("it waits for nothing");
        drop(held);
    }

    #[test]
    fn who_listens_hears_both_ways_until_it_stops() {
        let (notes, noted) = mpsc::channel();
        let tap = Tap::default();
        tap.open(Arc::new(Notes(notes)));
        tap.heard("hello");
        tap.said(&[Frame::text("a"), Frame::text("bc")]);
        tap.close();
        tap.heard("unheard");
        assert_eq!(noted.iter().collect::<Vec<_>>(), ["in hello", "out 3", "out 4"]);
    }
}
