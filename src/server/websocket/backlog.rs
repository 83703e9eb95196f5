//! What waits for the readers of one address, on all of its connections together: each by itself is bounded already, but a stranger may
//! have many.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// So many times what may wait on one connection may wait on all of an address.
pub(super) const TIMES: usize = 32;

/// What waits on all connections of an address, in bytes.
#[derive(Default)]
pub struct Backlog(AtomicUsize);

/// One connection's part in it, which ends when it is dropped. None in particular has a backlog where nobody is behind the address.
#[derive(Default)]
pub(super) struct Part {
    backlog: Option<Arc<Backlog>>,
    bytes: usize,
}

impl Part {
    pub(super) fn of(backlog: Option<Arc<Backlog>>) -> Self {
        Self { backlog, bytes: 0 }
    }

    /// So many bytes wait on this connection now; says how many on all of its address. Nearly always it is nothing, as before, and
    /// nothing that others share is touched.
    pub(super) fn becomes(&mut self, bytes: usize) -> usize {
        let (Some(backlog), true) = (&self.backlog, self.bytes != bytes) else { return 0 };
        let before = std::mem::replace(&mut self.bytes, bytes);
        if bytes > before {
            backlog.0.fetch_add(bytes - before, Relaxed) + (bytes - before)
        } else {
            backlog.0.fetch_sub(before - bytes, Relaxed) - (before - bytes)
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.becomes(0);
    }
}
