//! How what a live page waits for is doing.

/// How a live page's connection is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// The page is as the server rendered it; nothing is known.
    Rendered,
    Connecting,
    Connected,
    /// Closed, and for how long: by the reader, who may open it again, or by the server with a reason that will not pass.
    Closed {
        reason: Option<String>,
    },
}

/// Reading more of what a page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loading {
    Idle,
    Busy,
    Failed,
}
