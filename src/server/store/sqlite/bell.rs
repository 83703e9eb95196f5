//! How the writer tells those who follow it that there is something new, without waiting for them.

use std::sync::mpsc::SyncSender;

/// Tells a thread that there is something to do.
#[derive(Clone, Debug)]
pub(super) struct Bell(pub(super) SyncSender<()>);

impl Bell {
    pub(super) fn ring(&self) {
        // One ring that is not yet heard will do.
        let _ = self.0.try_send(());
    }
}
