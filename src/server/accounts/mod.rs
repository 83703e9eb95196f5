//! Who somebody is.
//!
//! A guest is a random secret in a cookie, which makes a person the same one on every page, tab and socket of a browser, and a name in a
//! second cookie; the server keeps nothing of it but what those who have put reactions are called (`store/log/names.rs`). Whoever has an
//! account is known by a session, a token in a cookie of which the server keeps the digest. A program that pushes over the HTTP API is known by
//! its token, which the settings have. `elsewhere` knows those who have an account by being somebody on another site: of a `django` project by its
//! cookie, of others by a signed token (`jwt`).
//!
//! Passwords are hashed by `password` and counted by `attempts` where they are wrong. Whoever likes has a `second_factor` beside, the codes of an
//! authenticator app (`totp`).
//!
//! `who` says which of them somebody is, `directory` finds it out and is the only one that makes accounts and begins and ends sessions, on
//! the tables of `records`.

mod asker;
mod attempts;
mod cookies;
mod directory;
pub mod django;
mod elsewhere;
mod foreign;
mod guest;
mod handle;
pub mod jwt;
mod password;
mod program;
mod records;
mod second_factor;
mod token;
mod totp;
mod who;

pub use asker::{Asker, Kind};
pub use attempts::Attempts;
pub(in crate::server) use attempts::NotChecked;
pub use cookies::is_over_tls;
pub use directory::Accounts;
pub use elsewhere::{Elsewhere, LONGEST_IN_COOKIE, NotTaken, Project};
pub use guest::{Guest, RateKey};
pub use handle::{Handle, InvalidHandle};
pub use password::{Busy, ChosenPassword, InvalidPassword, Password, Passwords};
pub use program::{MadeToken, Program, Programs, TokenRights, Unknown};
pub use records::{Account, AccountRecords, CreateError, Device, HandleError, NewAccount, Purpose};
pub use second_factor::{SecondFactor, SecondFactors};
pub use token::{Token, TokenDigest};
pub use who::{SignedIn, SignedInBy, Who};
