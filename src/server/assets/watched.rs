//! The files of a site that is being worked on (`cargo xtask dev`): read anew for each request, from the folder that cargo-leptos builds
//! it in. Only a server that was built without optimisation, and is run by cargo-leptos, has it.
//!
//! At `/pkg/dev/state` is what tells a page (`app/reload.js`) that the server or one of these files is another one now.

use std::{
    env, fs, io,
    path::{Path as FilePath, PathBuf},
    process,
    time::SystemTime,
};

use axum::{
    Router,
    extract::Path,
    http::{
        StatusCode, Uri,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use tracing::warn;

use super::{PKG, content_type};

/// Where the site is.
pub(super) fn folder() -> Option<PathBuf> {
    env::var_os("LEPTOS_WATCH")?;
    env::var_os("LEPTOS_SITE_ROOT").map(PathBuf::from)
}

pub(super) fn router<S: Clone + Send + Sync + 'static>(folder: PathBuf) -> Router<S> {
    let mut public = Vec::new();
    if let Err(cause) = find_public(&folder, "", &mut public) {
        warn!(%cause, "the public files of the site cannot be read");
    }
    let of_root = folder.clone();
    let at_root = move |uri: Uri| {
        let folder = of_root.clone();
        async move { read(&folder, uri.path().trim_start_matches('/')) }
    };
    let in_pkg = move |Path((build, path)): Path<(String, String)>| {
        let folder = folder.clone();
        async move {
            if (build.as_str(), path.as_str()) == ("dev", "state") {
                return ([(CACHE_CONTROL, "no-store")], state(&folder)).into_response();
            }
            read(&folder, &format!("pkg/{path}"))
        }
    };
    let router = Router::new().route(PKG, get(in_pkg));
    public.iter().fold(router, |router, path| router.route(path, get(at_root.clone())))
}

/// The addresses of the files below a folder that are not in `pkg`.
fn find_public(folder: &FilePath, address: &str, found: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let address = format!("{address}/{}", entry.file_name().to_string_lossy());
        if !entry.file_type()?.is_dir() {
            found.push(address);
        } else if address != "/pkg" {
            find_public(&entry.path(), &address, found)?;
        }
    }
    Ok(())
}

fn read(folder: &FilePath, path: &str) -> Response {
    // Where the address leads out of the folder it names nothing.
    if path.split('/').any(|part| part == "..") {
        return StatusCode::NOT_FOUND.into_response();
    }
    match fs::read(folder.join(path)) {
        Ok(bytes) => ([(CONTENT_TYPE, content_type(path)), (CACHE_CONTROL, "no-store")], bytes).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Which server it is, and when what its pages load was last written.
fn state(folder: &FilePath) -> String {
    let written = |file: &str| fs::metadata(folder.join("pkg").join(file)).and_then(|data| data.modified());
    let times = ["confab.wasm", "confab.js", "confab.css"].map(|file| written(file).unwrap_or(SystemTime::UNIX_EPOCH));
    format!("{} {times:?}", process::id())
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn files_are_read_as_they_are_now_and_the_state_changes_with_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let pkg = folder.path().join("pkg");
        fs::create_dir(&pkg).expect("a folder");
        let ask = async |address: &str| {
            let request = Request::builder().uri(address).body(Body::empty()).expect("a request");
            let answer = router::<()>(folder.path().to_owned()).oneshot(request).await.expect("an answer");
            let (status, kept) = (answer.status(), answer.headers().get(CACHE_CONTROL).cloned());
            let body = answer.into_body().collect().await.expect("a body").to_bytes();
            (status, kept, String::from_utf8_lossy(&body).into_owned())
        };
        let before = ask("/pkg/dev/state").await;
        assert_eq!(ask("/pkg/b1/confab.css").await.0, StatusCode::NOT_FOUND);
        fs::write(pkg.join("confab.css"), "a{}").expect("written");
        let (status, kept, text) = ask("/pkg/b1/confab.css").await;
        assert_eq!((status, text.as_str()), (StatusCode::OK, "a{}"));
        assert_eq!(kept.expect("it says so"), "no-store");
        let after = ask("/pkg/dev/state").await;
        assert_eq!((before.0, after.0), (StatusCode::OK, StatusCode::OK));
        assert_ne!(before.2, after.2);
        assert_eq!(ask("/pkg/b1/..%2F..%2Fetc/passwd").await.0, StatusCode::NOT_FOUND);
    }
}
