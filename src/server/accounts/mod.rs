//! Who somebody is. Today everybody is a guest: a random secret in a cookie makes a person the same one on every page, tab
//! and socket of a browser, and a name in a second cookie is what the others see. The server keeps nothing of it but what those who
//! have put reactions are called (`store/log/names.rs`). A program
//! that pushes over the HTTP API is known by its token, which the settings have.

mod asker;
mod cookies;
mod guest;
mod program;

pub use asker::{Asker, Kind};
pub use guest::{Account, Guest};
pub use program::{Program, Programs, Unknown};
