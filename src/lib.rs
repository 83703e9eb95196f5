//! Confab: a real-time group server and its web application.

#[cfg(feature = "ssr")]
pub mod server;
pub mod wire;
