//! The folder of a store: made for its owner alone, and used by one server at a time.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use super::error::OpenError;

/// The name of the database in its folder.
pub(super) const DATABASE: &str = "confab.db";
/// The file that the server which uses a folder keeps locked.
pub(super) const LOCK: &str = "confab.lock";

/// A folder that this process has for itself until it is dropped; the operating system gives it back when the process ends,
/// however it does.
#[derive(Debug)]
pub(super) struct FolderLock(File);

impl FolderLock {
    /// Takes `folder`, which is made when missing.
    pub(super) fn take(folder: &Path) -> Result<Self, OpenError> {
        let in_folder = |cause| OpenError::Folder { folder: folder.to_owned(), cause };
        make_private(folder).map_err(in_folder)?;
        let path = folder.join(LOCK);
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(path).map_err(in_folder)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { folder: folder.to_owned() }),
            Err(TryLockError::Error(cause)) => Err(in_folder(cause)),
        }
    }
}

impl Drop for FolderLock {
    /// Closing the file would not do: a process that another thread is just starting has a copy of it, and with it the lock,
    /// until it has turned into its program.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the data folder stays locked until this process ends");
        }
    }
}

/// Makes the folder and those above it as needed, for their owner alone, and sees to it that a power cut does not undo it.
fn make_private(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_private(parent)?;
    fs::DirBuilder::new().mode(0o700).create(folder)?;
    File::open(parent)?.sync_all()
}
