//! What a request has to say whom it asks for what, before anything is looked up (RFC 9112 section 3.2): a target that is a path of
//! this server, and one `Host`.

use axum::{
    extract::Request,
    http::{
        HeaderValue, Method, StatusCode, Uri, Version, header,
        uri::{Authority, PathAndQuery, Scheme},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};

/// Answers 400 to what is no request for a path of a server. What goes on has a path that begins with `/` and the host that it is
/// for in `Host`, however its target was written.
pub(in crate::server) async fn well_formed(mut request: Request, next: Next) -> Response {
    match check(&mut request) {
        Ok(Asked::Path) => next.run(request).await,
        Ok(Asked::Server) => StatusCode::NO_CONTENT.into_response(),
        Err(reason) => (StatusCode::BAD_REQUEST, format!("{reason}\n")).into_response(),
    }
}

/// What is asked for.
enum Asked {
    Path,
    /// `OPTIONS *` is about the server as a whole: that it answers is the answer.
    Server,
}

const NO_TARGET: &str = "the target of a request is a path, such as /room/lobby/, or the whole address with http:// in front";
const NO_HOST: &str = "a request of HTTP/1.1 has one header Host: the name or IP address in the address, perhaps with a port";

fn check(request: &mut Request) -> Result<Asked, &'static str> {
    if request.method() == Method::CONNECT {
        return Err("this server is no proxy: it connects to nobody");
    }
    let mut hosts = request.headers().get_all(header::HOST).into_iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version() < Version::HTTP_11 => {}
        (Some(host), None) if is_host(host) => {}
        _ => return Err(NO_HOST),
    }
    let uri = request.uri();
    let Some(authority) = uri.authority() else {
        return match uri.path() {
            path if path.starts_with('/') => Ok(Asked::Path),
            "*" if request.method() == Method::OPTIONS => Ok(Asked::Server),
            _ => Err(NO_TARGET),
        };
    };
    // The target has the whole address: it is for the host in there, whatever `Host` says.
    let known = uri.scheme().is_some_and(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS);
    let host = HeaderValue::from_str(authority.as_str()).map_err(|_| NO_TARGET)?;
    if !known || !is_host(&host) {
        return Err(NO_TARGET);
    }
    let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    request.headers_mut().insert(header::HOST, host);
    Ok(Asked::Path)
}

/// Whether it is the name or the IP address of a host, perhaps with a port.
fn is_host(value: &HeaderValue) -> bool {
    let Some(authority) = value.to_str().ok().and_then(|text| text.parse::<Authority>().ok()) else { return false };
    let host = authority.host();
    // What is before the host, if anything, is somebody's name and password.
    let port = authority.as_str().strip_prefix(host);
    let good_port = port.is_some_and(|port| port.strip_prefix(':').map_or(port.is_empty(), is_port));
    !host.is_empty() && good_port
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && (text.is_empty() || text.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for good in
            ["confab.example", "localhost:3000", "127.0.0.1", "[::1]:3000", "[2001:db8::1]", "a:", "under_score", "a.", "a,b"]
        {
            assert!(is_host(&HeaderValue::from_static(good)), "{good}");
        }
        for bad in [
            "", " ", "a b", "a, b", "a:b", "a:70000", "a:1:2", "user@a", "http://a", "a/b", "a?b", "[::1", "::1", "a\"b", ":80",
        ] {
            assert!(!is_host(&HeaderValue::from_static(bad)), "{bad}");
        }
        assert!(!is_host(&HeaderValue::from_bytes(b"caf\xC3\xA9").expect("a header may have it")));
    }
}
