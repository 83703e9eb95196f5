//! The files of the site, which the server carries in itself: `build.rs` makes the table from `target/site`.
//!
//! What a page loads, WebAssembly, JavaScript and styles, is asked for as `/pkg/{BUILD}/...`. [`BUILD`] changes with any of
//! these files, so that browsers keep them for good and never mix two builds. The other files, from `public/`, are at the
//! root under their own names and are asked for again after a while. Every file is there compressed, too; nothing is
//! compressed or copied while the server runs.

#[cfg(debug_assertions)]
mod watched;

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    extract::Path,
    http::{
        HeaderMap, HeaderValue, Response, StatusCode,
        header::{
            ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
            X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::IntoResponse,
    routing::get,
};

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The build of the site: a hash of all files under `pkg/`, or `dev` in a server without a site.
pub const BUILD: &str = BUILD_OF_SITE;

/// Version and build, as `confab --version` says them: `0.1.0 (build 1cdb04202d5880e5)`.
pub const VERSION: &str = VERSION_AND_BUILD;

/// For how long a browser uses a file from `public/` without asking.
const PUBLIC_MAX_AGE: Duration = Duration::from_hours(1);

/// A file of the site.
#[derive(Debug)]
struct File {
    /// Where it is in the site, with `/` between folders and none in front. The table is sorted by it.
    path: &'static str,
    /// A hash of its content.
    hash: &'static str,
    bytes: &'static [u8],
    br: Option<&'static [u8]>,
    gz: Option<&'static [u8]>,
}

/// How the bytes of an answer are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Identity,
    Gzip,
    Brotli,
}

/// The routes of the site's files: `/pkg/{build}/{*path}`, and one for each file from `public/`.
///
/// Files under another build than [`BUILD`] are answered with what this server has, uncached: while servers are replaced
/// one by one, a page from a new one may ask an old one, and the other way round.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    #[cfg(debug_assertions)]
    if let Some(folder) = watched::folder() {
        return watched::router(folder);
    }
    router_of(FILES, BUILD)
}

fn router_of<S: Clone + Send + Sync + 'static>(files: &'static [File], current: &'static str) -> Router<S> {
    let pkg = move |Path((build, path)): Path<(String, String)>, headers: HeaderMap| async move {
        let kept = if build == current { "public, max-age=31536000, immutable" } else { "no-store" };
        match find(files, &format!("pkg/{path}")) {
            Some(file) => answer(file, &headers, HeaderValue::from_static(kept)),
            None => StatusCode::NOT_FOUND.into_response(),
        }
    };
    let mut router = Router::new().route(PKG, get(pkg));
    for file in public(files) {
        let public = move |headers: HeaderMap| async move {
            let kept = format!("public, max-age={}", PUBLIC_MAX_AGE.as_secs());
            let kept = HeaderValue::try_from(kept).unwrap_or(HeaderValue::from_static("no-cache"));
            answer(file, &headers, kept)
        };
        router = router.route(&format!("/{}", file.path), get(public));
    }
    router
}

/// Where the files of pages are.
const PKG: &str = "/pkg/{build}/{*path}";

/// Those at the root.
fn public(files: &'static [File]) -> impl Iterator<Item = &'static File> {
    files.iter().filter(|file| !file.path.starts_with("pkg/"))
}

/// The addresses of the site's files, parameters in braces.
pub fn paths() -> impl Iterator<Item = String> {
    std::iter::once(PKG.to_owned()).chain(public(FILES).map(|file| format!("/{}", file.path)))
}

fn find(files: &'static [File], path: &str) -> Option<&'static File> {
    files.binary_search_by(|file| file.path.cmp(path)).ok().map(|found| &files[found])
}

fn answer(file: &'static File, asked: &HeaderMap, kept: HeaderValue) -> Response<Body> {
    let (coding, bytes) = choose(file, asked);
    // Each packing is a representation of its own and must not be taken for another.
    let (suffix, name) = match coding {
        Coding::Identity => ("", None),
        Coding::Gzip => ("-gz", Some("gzip")),
        Coding::Brotli => ("-br", Some("br")),
    };
    let etag = format!("\"{}{suffix}\"", file.hash);
    let known = is_known(&etag, asked);

    let mut response = Response::new(if known { Body::empty() } else { Body::from(bytes) });
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, kept);
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(etag) = HeaderValue::try_from(etag) {
        headers.insert(ETAG, etag);
    }
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(file.path)));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    if let Some(name) = name {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    response
}

/// The smallest packing that the browser takes. Sizes of a page's files differ far more than its preferences matter, so of a
/// weight only zero counts: it forbids.
fn choose(file: &'static File, asked: &HeaderMap) -> (Coding, &'static [u8]) {
    match (file.br, file.gz) {
        (Some(br), _) if accepts(asked, "br") => (Coding::Brotli, br),
        (_, Some(gz)) if accepts(asked, "gzip") => (Coding::Gzip, gz),
        _ => (Coding::Identity, file.bytes),
    }
}

/// Whether `Accept-Encoding` (RFC 9110, 12.5.3) allows a coding, by its name or else by `*`.
pub(super) fn accepts(asked: &HeaderMap, coding: &str) -> bool {
    let mut by_name = None;
    let mut by_star = None;
    for item in list(asked, &ACCEPT_ENCODING) {
        let (name, weight) = item.split_once(';').unwrap_or((item, ""));
        let weight = weight.trim().trim_start_matches(['q', 'Q']).trim_start_matches('=');
        let allowed = weight.is_empty() || weight.parse().is_ok_and(|weight: f32| weight > 0.0);
        match name.trim() {
            "*" => by_star = Some(allowed),
            name if name.eq_ignore_ascii_case(coding) => by_name = Some(allowed),
            _ => {}
        }
    }
    by_name.or(by_star).unwrap_or(false)
}

/// Whether the browser has this very representation already. Compared weakly, as RFC 9110, 13.1.2, has it: a proxy may have marked
/// the tag with `W/`.
fn is_known(etag: &str, asked: &HeaderMap) -> bool {
    list(asked, &IF_NONE_MATCH).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// The items of a header that is a list, which may be sent in several lines.
fn list<'a>(headers: &'a HeaderMap, name: &axum::http::HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')).map(str::trim)
}

/// The media type by the ending of the name.
fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "wasm" => "application/wasm",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "txt" => "text/plain; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "mp3" => "audio/mpeg",
        "ogg" => "audio/ogg",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{Method, Request};
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    static SITE: &[File] = &[
        File { path: "favicon.svg", hash: "f0", bytes: b"<svg/>", br: None, gz: Some(b"svg-gz") },
        File { path: "icons/small.png", hash: "f1", bytes: b"png", br: None, gz: None },
        File { path: "pkg/confab.css", hash: "c0", bytes: b"a{}", br: None, gz: None },
        File { path: "pkg/confab.wasm", hash: "w0", bytes: b"plain wasm", br: Some(b"br"), gz: Some(b"gz!") },
    ];

    /// Status, headers and body of the answer to a request for `path`.
    async fn ask(method: Method, path: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, Vec<u8>) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).expect("a request");
        let response = router_of::<()>(SITE, "b1").oneshot(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        (parts.status, parts.headers, body.collect().await.expect("a body").to_bytes().to_vec())
    }

    #[tokio::test]
    async fn a_file_of_this_build_is_kept_for_good() {
        let (status, headers, body) = ask(Method::GET, "/pkg/b1/confab.wasm", &[]).await;
        assert_eq!((status, body.as_slice()), (StatusCode::OK, b"plain wasm".as_slice()));
        assert_eq!(headers[CACHE_CONTROL], "public, max-age=31536000, immutable");
        assert_eq!(headers[CONTENT_TYPE], "application/wasm");
        assert_eq!(headers[CONTENT_LENGTH], "10");
        assert_eq!(headers[VARY], "accept-encoding");
        assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert!(!headers.contains_key(CONTENT_ENCODING));
    }

    #[tokio::test]
    async fn a_file_of_another_build_is_answered_but_not_kept() {
        let (status, headers, body) = ask(Method::GET, "/pkg/b0/confab.css", &[]).await;
        assert_eq!((status, body.as_slice()), (StatusCode::OK, b"a{}".as_slice()));
        assert_eq!(headers[CACHE_CONTROL], "no-store");
    }

    #[tokio::test]
    async fn what_is_not_in_the_table_is_not_found() {
        for path in ["/pkg/b1/no.js", "/pkg/b1/../favicon.svg", "/pkg/b1/..%2Ffavicon.svg", "/pkg/confab.css", "/no.svg"] {
            assert_eq!(ask(Method::GET, path, &[]).await.0, StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[tokio::test]
    async fn public_files_are_at_the_root() {
        let (status, headers, body) = ask(Method::GET, "/icons/small.png", &[]).await;
        assert_eq!((status, body.as_slice()), (StatusCode::OK, b"png".as_slice()));
        assert_eq!(headers[CACHE_CONTROL], "public, max-age=3600");
        assert_eq!(headers[CONTENT_TYPE], "image/png");
    }

    #[tokio::test]
    async fn the_packing_is_named_and_has_a_tag_of_its_own() {
        let (_, headers, body) = ask(Method::GET, "/pkg/b1/confab.wasm", &[("accept-encoding", "gzip, deflate, br")]).await;
        assert_eq!(body, b"br");
        assert_eq!(headers[CONTENT_ENCODING], "br");
        assert_eq!(headers[ETAG], "\"w0-br\"");
        assert_eq!(headers[CONTENT_LENGTH], "2");
        let (_, headers, _) = ask(Method::GET, "/pkg/b1/confab.wasm", &[]).await;
        assert_eq!(headers[ETAG], "\"w0\"");
    }

    #[tokio::test]
    async fn what_the_browser_has_is_not_sent_again() {
        for known in ["\"f0\"", "W/\"f0\"", "\"x\", \"f0\"", "*"] {
            let (status, headers, body) = ask(Method::GET, "/favicon.svg", &[("if-none-match", known)]).await;
            assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0), "{known}");
            assert_eq!(headers[ETAG], "\"f0\"");
            assert_eq!(headers[VARY], "accept-encoding");
            assert!(!headers.contains_key(CONTENT_LENGTH) || headers[CONTENT_LENGTH] == "0");
        }
        for other in ["\"f1\"", "f0", "\"f0-gz\""] {
            assert_eq!(ask(Method::GET, "/favicon.svg", &[("if-none-match", other)]).await.0, StatusCode::OK, "{other}");
        }
        let both = [("if-none-match", "\"f0\""), ("accept-encoding", "gzip")];
        assert_eq!(ask(Method::GET, "/favicon.svg", &both).await.2, b"svg-gz", "another packing is another representation");
    }

    #[tokio::test]
    async fn head_tells_the_length_without_the_bytes() {
        let (status, headers, body) = ask(Method::HEAD, "/pkg/b1/confab.wasm", &[("accept-encoding", "gzip")]).await;
        assert_eq!((status, body.len()), (StatusCode::OK, 0));
        assert_eq!(headers[CONTENT_LENGTH], "3");
        assert_eq!(headers[CONTENT_ENCODING], "gzip");
    }

    #[tokio::test]
    async fn a_file_is_not_posted_to() {
        assert_eq!(ask(Method::POST, "/favicon.svg", &[]).await.0, StatusCode::METHOD_NOT_ALLOWED);
    }

    #[test]
    fn the_packing_follows_accept_encoding() {
        let wasm = &SITE[3];
        for (asked, expected) in [
            ("br", Coding::Brotli),
            ("gzip;q=1.0, br;q=0.1", Coding::Brotli),
            ("gzip, br;q=0", Coding::Gzip),
            ("GZIP", Coding::Gzip),
            ("*", Coding::Brotli),
            ("*;q=0, gzip", Coding::Gzip),
            ("br; q=0.000, *", Coding::Gzip),
            ("br;q=x, gzip;q", Coding::Gzip),
            ("identity", Coding::Identity),
            ("brotli, x-gzip", Coding::Identity),
            ("", Coding::Identity),
            ("*;q=0", Coding::Identity),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(asked));
            assert_eq!(choose(wasm, &headers).0, expected, "{asked:?}");
        }
        let mut lines = HeaderMap::new();
        lines.append(ACCEPT_ENCODING, HeaderValue::from_static("deflate"));
        lines.append(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(choose(wasm, &lines).0, Coding::Gzip);
    }

    #[test]
    fn files_are_found_by_their_whole_path() {
        for file in SITE {
            assert_eq!(find(SITE, file.path).map(|found| found.hash), Some(file.hash));
        }
        for other in ["", "pkg", "pkg/", "confab.css", "favicon.svg.gz"] {
            assert!(find(SITE, other).is_none(), "{other}");
        }
    }

    #[test]
    fn the_table_of_this_build_is_sorted() {
        assert!(FILES.is_sorted_by_key(|file| file.path));
        assert_eq!(BUILD == "dev", FILES.iter().all(|file| !file.path.starts_with("pkg/")));
    }
}
