//! Who somebody is. Today everybody is a guest: a random secret in a cookie makes a person the same one on every page, tab
//! and socket of a browser, and a name in a second cookie is what the others see. The server keeps nothing of it.

mod guest;

pub use guest::{Guest, InvalidName, name_cookie};
