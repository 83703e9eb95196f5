//! The cookies that a request shows.
//!
//! Ports do not part cookies, so a request shows those of every program on the same host, well formed or not. They are read as
//! bytes and pair by pair: whatever cannot be read is passed over and takes nothing along.

use axum::http::{HeaderMap, HeaderValue, header};
use cookie::Cookie;

/// In the order of the request.
pub fn cookies(headers: &HeaderMap) -> impl Iterator<Item = Cookie<'_>> {
    let lines = headers.get_all(header::COOKIE).into_iter().map(HeaderValue::as_bytes);
    let pairs = lines.flat_map(|line| line.split(|byte| *byte == b';'));
    pairs.filter_map(|pair| Cookie::parse(str::from_utf8(pair).ok()?).ok())
}
