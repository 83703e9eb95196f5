//! The opening handshake (RFC 6455 section 4.2): what a request must have, and the answer to it.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use sha1::{Digest, Sha1};

use super::deflate::Deflate;

/// Appended to the client's key before it is hashed (RFC 6455 section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// True when the client asks for a WebSocket, rightly or not: such a request never gets a page.
pub fn is_upgrade(headers: &HeaderMap) -> bool {
    has_token(headers, header::UPGRADE, "websocket")
}

/// A header that is a comma-separated list, and may occur several times, has the token in it, whatever its case.
fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    list(headers, name).any(|item| item.eq_ignore_ascii_case(token))
}

fn list(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim)
}

/// A good request for a `WebSocket`.
#[derive(Debug)]
pub struct Handshake {
    accept: HeaderValue,
    protocols: Vec<String>,
    deflate: Option<(Deflate, HeaderValue)>,
}

/// Why a request for a WebSocket is not a good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Not RFC 6455's version: answered with the one that is spoken here (section 4.4).
    Version,
    /// Something that every handshake has is missing or malformed.
    Malformed(&'static str),
}

impl Refused {
    /// 426 with the version that is spoken, or 400 with what is missing.
    pub fn into_response(self) -> Response<Body> {
        let (status, text) = match self {
            Self::Version => (StatusCode::UPGRADE_REQUIRED, "this server speaks WebSocket version 13 (RFC 6455)"),
            Self::Malformed(text) => (StatusCode::BAD_REQUEST, text),
        };
        let mut response = Response::new(Body::from(format!("{text}\n")));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if self == Self::Version {
            headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        }
        response
    }
}

impl Handshake {
    /// Checks a request that [`is_upgrade`]. Agrees to permessage-deflate if it offers that and `deflate` allows it.
    ///
    /// # Errors
    /// What a client has to mend.
    pub fn read<B>(request: &Request<B>, deflate: bool) -> Result<Self, Refused> {
        let headers = request.headers();
        if request.version() < Version::HTTP_11 || request.method() != Method::GET {
            return Err(Refused::Malformed("a WebSocket handshake is a GET of HTTP/1.1 or later"));
        }
        if !has_token(headers, header::CONNECTION, "upgrade") {
            return Err(Refused::Malformed("a WebSocket handshake has the header Connection: Upgrade"));
        }
        if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
            return Err(Refused::Version);
        }
        let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).into_iter();
        let (Some(key), None) = (keys.next(), keys.next()) else {
            return Err(Refused::Malformed("a WebSocket handshake has one header Sec-WebSocket-Key"));
        };
        if BASE64.decode(key).map(|nonce| nonce.len()) != Ok(16) {
            return Err(Refused::Malformed("Sec-WebSocket-Key is 16 bytes in base64"));
        }
        let protocols = list(headers, header::SEC_WEBSOCKET_PROTOCOL).map(str::to_owned).collect();
        let deflate = if deflate { Deflate::agree(headers) } else { None };
        Ok(Self { accept: accept_value(key.as_bytes()), protocols, deflate })
    }

    /// The first of the sub-protocols on offer, in the order of the client's preference, that is spoken here.
    pub fn choose(&self, is_spoken: impl Fn(&str) -> bool) -> Option<&str> {
        self.protocols.iter().map(String::as_str).find(|offered| is_spoken(offered))
    }

    /// What was agreed on about deflated messages.
    pub fn deflate(&self) -> Option<Deflate> {
        self.deflate.as_ref().map(|(deflate, _)| *deflate)
    }

    /// The answer 101, with the sub-protocol that was chosen from those on offer.
    pub fn response(self, protocol: Option<&str>) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept);
        // What was on offer came in a header.
        if let Some(protocol) = protocol.and_then(|protocol| HeaderValue::from_str(protocol).ok()) {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        if let Some((_, extension)) = self.deflate {
            headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, extension);
        }
        response
    }
}

/// What proves to the client that its handshake was understood.
fn accept_value(key: &[u8]) -> HeaderValue {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    HeaderValue::from_str(&BASE64.encode(digest)).expect("base64 is ASCII") // never: see the alphabet of base64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)]) -> Request<()> {
        let mut builder = Request::get("/room/a/");
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(()).expect("a request")
    }

    const GOOD: [(&str, &str); 4] = [
        ("upgrade", "websocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    #[test]
    fn accepts_with_the_value_of_the_rfc() {
        let response = Handshake::read(&request(&GOOD), true).expect("a good handshake").response(None);
        assert_eq!(response.status(), 101);
        assert_eq!(response.headers()[header::SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn sub_protocols_may_come_in_one_header_or_in_several() {
        let mut headers = GOOD.to_vec();
        headers.extend([("sec-websocket-protocol", "a, b"), ("sec-websocket-protocol", "confab.v1")]);
        let handshake = Handshake::read(&request(&headers), true).expect("a good handshake");
        assert!(
            ["a", "b", "confab.v1"].into_iter().all(|wanted| handshake.choose(|offered| offered == wanted) == Some(wanted))
        );
        assert_eq!(handshake.choose(|offered| offered != "a"), Some("b"));
        assert_eq!(handshake.choose(|offered| offered == "confab"), None);
    }

    #[test]
    fn names_what_is_missing() {
        for (without, refused) in [
            ("sec-websocket-version", StatusCode::UPGRADE_REQUIRED),
            ("sec-websocket-key", StatusCode::BAD_REQUEST),
            ("connection", StatusCode::BAD_REQUEST),
        ] {
            let rest: Vec<_> = GOOD.into_iter().filter(|(name, _)| *name != without).collect();
            let response = Handshake::read(&request(&rest), true).expect_err(without).into_response();
            assert_eq!(response.status(), refused, "{without}");
        }
        let mut short = GOOD;
        short[3].1 = "c2hvcnQ=";
        assert!(matches!(Handshake::read(&request(&short), true), Err(Refused::Malformed(_))));
    }
}
