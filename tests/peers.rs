//! Python beside us on one Redis: what either side sends, the other gets.
//!
//! `support` starts real Redis servers, real `channels_redis` layers and a real Django project; `harness` and `python` show that these
//! do what their names say. `matrix` goes through every way in which messages travel, `django` through what a project does, `sessions`
//! reads what signs its people in, and with `signed_in` they are the same people here. `tokens` are of other sites, and `import`
//! takes over what a project has kept of its own chat.

#![cfg(feature = "ssr")]

#[allow(dead_code, reason = "shared with other tests, which use the rest")]
#[path = "server/app.rs"]
mod app;
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
#[path = "server/clients.rs"]
mod clients;
#[path = "peers/django.rs"]
mod django;
#[path = "peers/harness.rs"]
mod harness;
#[path = "peers/import.rs"]
mod import;
#[path = "peers/matrix.rs"]
mod matrix;
#[path = "peers/python.rs"]
mod python;
#[path = "peers/sessions.rs"]
mod sessions;
#[path = "peers/signed_in.rs"]
mod signed_in;
#[path = "support/mod.rs"]
mod support;
#[path = "peers/tokens.rs"]
mod tokens;

use support::within;
