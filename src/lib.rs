//! Confab: a real-time group server and its web application.

pub mod wire;
