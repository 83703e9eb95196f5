//! From a page to an answer: rendered by Leptos, or filled into what was rendered for all before; in gzip where the browser takes it; with the
//! policy and the headers that pages have.

use std::sync::Arc;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use leptos::{config::LeptosOptions, nonce::use_nonce, prelude::expect_context};
use leptos_axum::ResponseOptions;
use tracing::error;

use crate::{
    app::{Page, shell},
    server::{
        assets::{BUILD, VERSION, accepts},
        banner,
        gzip::gzip,
        quota::Weight,
        random,
        room_pages::{Filling, StandIn, Template},
        who::Who,
    },
    wire::{Person, Stored},
};

pub(super) fn with_cookies(mut response: Response, cookies: &[HeaderValue]) -> Response {
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie.clone());
    }
    response
}

/// Gives who reads a page the cookies by which they are the same one the next time. An error makes nobody somebody.
pub(super) fn with_identity(response: Response, who: &Who) -> Response {
    if response.status().is_success() { with_cookies(response, who.cookies()) } else { response }
}

/// Renders a page whole: all its data is there, so there is nothing to stream.
pub(super) async fn render(status: StatusCode, page: Page, request: Request) -> Response {
    let gzip = takes_gzip(&request);
    let options = LeptosOptions::builder().output_name("confab").site_pkg_dir(format!("pkg/{BUILD}")).build();
    // What renders may run elsewhere.
    let banner = banner::html().to_string();
    let document = move || shell(page.clone(), banner.clone(), VERSION, options.clone());
    let mut response = leptos_axum::render_app_async_with_context(add_policy, document)(request).await;
    if response.status().is_success() {
        *response.status_mut() = status;
    }
    set_caching(response.headers_mut());
    if gzip { compressed(response).await } else { response }
}

/// A page that was made for a stand-in, with these messages and these people named on it, as a template; none where it is not as one needs
/// it, which the log has then.
pub(super) async fn template(page: Page, stand_in: &StandIn, messages: &[Stored], people: &[Person]) -> Option<Template> {
    // What is at its head is filled in for each.
    let rendered = banner::around(Arc::default(), render(StatusCode::OK, page, Request::default())).await;
    let (parts, body) = rendered.into_parts();
    let nonce = nonce_of(parts.headers.get(header::CONTENT_SECURITY_POLICY)?)?;
    let html = String::from_utf8(axum::body::to_bytes(body, usize::MAX).await.ok()?.into()).ok()?;
    let template = Template::of(html, nonce, stand_in, messages, people);
    if template.is_none() {
        error!("a page does not look as it should, and is rendered for each of its readers");
    }
    template
}

/// A template, filled in for a reader.
pub(super) fn filled(template: &Template, reader: &Person, gzip: bool) -> Response {
    let (nonce, form_key, banner) = (random::hex_128(), random::fresh_key(), banner::html());
    let own = Filling { reader, form_key: &form_key, nonce: &nonce, banner: &banner };
    let mut response =
        if gzip { in_gzip(Html(template.fill_gzip(own)).into_response()) } else { Html(template.fill(own)).into_response() };
    if let Some(policy) = policy(&nonce) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    set_caching(response.headers_mut());
    response
}

/// Whether a page may go out in gzip: it has no secret, so its length says nothing that what is on it does not.
pub(super) fn takes_gzip(request: &Request) -> bool {
    accepts(request.headers(), "gzip")
}

/// The same page in gzip, unless it is so short that it would not pay, or so long that others would wait for it.
async fn compressed(response: Response) -> Response {
    const WORTH: std::ops::Range<usize> = 1024..128 << 10;
    let (parts, body) = response.into_parts();
    // It is in memory already.
    let Ok(page) = axum::body::to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    if !WORTH.contains(&page.len()) {
        return Response::from_parts(parts, page.into());
    }
    let mut response = in_gzip(Response::from_parts(parts, gzip(&page).into()));
    response.extensions_mut().insert(Weight(page.len()));
    response
}

fn in_gzip(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response
}

/// A page is somebody's and soon out of date; the browser may keep it for the way back and asks before showing it again. Nobody on the
/// way may write into it: its program would not know it again.
fn set_caching(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache, no-transform"));
    headers.append(header::VARY, HeaderValue::from_static("accept-encoding, accept-language, cookie, upgrade"));
}

/// What stands before the nonce in a [`policy`], and what after it.
const NONCE: (&str, &str) = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' 'nonce-",
    "'; style-src 'self'; img-src 'self' data:; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'",
);

/// The content security policy: only this page's own scripts run, and only this server is talked to.
fn policy(nonce: &str) -> Option<HeaderValue> {
    let (before, after) = NONCE;
    HeaderValue::try_from(format!("{before}{nonce}{after}"))
        .inspect_err(|cause| error!(%cause, "the content security policy is not a header"))
        .ok()
}

fn nonce_of(policy: &HeaderValue) -> Option<&str> {
    policy.to_str().ok()?.strip_prefix(NONCE.0)?.strip_suffix(NONCE.1)
}

fn add_policy() {
    if let Some(policy) = use_nonce().and_then(|nonce| policy(&nonce)) {
        expect_context::<ResponseOptions>().insert_header(header::CONTENT_SECURITY_POLICY, policy);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::strategy::{Strategy as _, ValueTree as _};

    use super::*;
    use crate::{
        app::{LobbyPage, RoomPage},
        wire::{Content, Key, Members, Message, Offset, Reaction, RoomList, RoomSummary, Stretch, Timestamp},
    };

    fn person(id: &str, name: &str) -> Person {
        Person::new(id, name)
    }

    fn message(offset: u64, from: Person, text: &str, reactions: Vec<Reaction>) -> Stored {
        let content = Content { reactions, ..Content::new(text) };
        let (id, key) = (format!("e-{offset}"), format!("k{offset}").parse().expect("a key"));
        let at = Timestamp::from_millis(1_800_000_000_000 + offset.cast_signed() * 60_000);
        Stored { offset: Offset(offset), message: Message { id, key, from, content, at } }
    }

    /// Of messages by the first ten of these people, and of some things that look like parts of a page.
    fn room(people: &[Person]) -> (Stretch, Members) {
        let thumb = |from: &[Person]| Reaction {
            emoji: "👍".parse().expect("an emoji"),
            count: from.len() as u64,
            from: from.to_vec(),
        };
        let strange = "<li id=\"message-3\" class=\"message\" popovertarget=\"me\"> data-hue=\"1\"> & \u{1} \\\" </script>";
        let messages = (1..=30_u64).map(|n| {
            let from = people[(n % 10) as usize].clone();
            let reactions = if n % 7 == 0 { vec![thumb(&people[20..23])] } else { Vec::new() };
            message(n, from, if n % 5 == 0 { strange } else { "hello" }, reactions)
        });
        let messages: Vec<_> = messages.collect();
        let stretch = Stretch {
            epoch: "e".parse().expect("an epoch"),
            offset: Offset(30),
            first: Offset(1),
            latest: Offset(30),
            messages,
            mine: crate::wire::Mine::new(),
        };
        (stretch, Members { count: 2, people: people[23..25].to_vec() })
    }

    fn page_of(you: Person, form_key: Key, (stretch, members): (Stretch, Members)) -> Page {
        let group = "lobby".parse().expect("a name");
        Page::Room(RoomPage {
            group,
            you,
            stretch,
            members,
            form_key,
            longest: 65_536,
            mistake: None,
            owned: None,
            may: crate::wire::Rights::default(),
        })
    }

    /// The page as it is rendered, and its nonce.
    async fn rendered(page: Page) -> (String, String) {
        let (parts, body) = render(StatusCode::OK, page, Request::default()).await.into_parts();
        let policy = &parts.headers[header::CONTENT_SECURITY_POLICY];
        let html = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
        let html = String::from_utf8(html.into()).expect("UTF-8");
        (html, nonce_of(policy).expect("a nonce").to_owned())
    }

    /// People with names that are hard to write.
    fn people(count: usize) -> Vec<Person> {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let mut name = || {
            let name = r#"[a-z<>&"'\\ 王é👍]{1,40}"#.new_tree(&mut runner).expect("a name").current();
            if name.trim().is_empty() { "Ann".to_owned() } else { name }
        };
        (0..count).map(|n| person(&format!("g{n:x}"), &name())).collect()
    }

    /// What is filled in is what was rendered, as it is and in gzip.
    fn is_the_same(template: &Template, reader: &Person, key: &Key, (html, nonce): (&str, &str)) {
        let own = Filling { reader, form_key: key, nonce, banner: "" };
        let ours = template.fill(own);
        if let Some(at) = ours.bytes().zip(html.bytes()).position(|(ours, theirs)| ours != theirs) {
            let around = |page: &str| {
                String::from_utf8_lossy(&page.as_bytes()[at.saturating_sub(120)..(at + 60).min(page.len())]).into_owned()
            };
            panic!("{reader:?} at {at}:\n{}\n{}", around(&ours), around(html));
        }
        assert_eq!(ours.len(), html.len());
        let mut inflated = String::new();
        let gzip = template.fill_gzip(own);
        flate2::read::GzDecoder::new(&*gzip).read_to_string(&mut inflated).expect("gzip");
        assert!(inflated == html, "{reader:?} in gzip");
        assert!(gzip.len() * 3 < html.len(), "{} of {}", gzip.len(), html.len());
    }

    #[tokio::test]
    async fn what_is_filled_in_is_the_page_that_is_rendered_for_each_of_two_hundred_readers() {
        // Another test may have done so.
        let _ = any_spawner::Executor::init_tokio();
        for has_account in [false, true] {
            what_is_filled_in_is_rendered(has_account).await;
        }
    }

    async fn what_is_filled_in_is_rendered(has_account: bool) {
        let mut people = people(200);
        let shown = room(&people);
        for person in people.iter_mut().filter(|_| has_account) {
            person.handle = Some(format!("{}\"<&", person.name));
        }
        let stand_in = StandIn::new(has_account);
        let page = page_of(stand_in.you.clone(), stand_in.form_key.clone(), shown.clone());
        let template = template(page, &stand_in, &shown.0.messages, &shown.1.people).await.expect("a page");
        let mut filled = 0;
        for (n, reader) in people.iter().enumerate() {
            // Who has put a reaction, and who is there, is named where they read "you".
            assert_eq!(template.is_for(reader, false), !(20..25).contains(&n), "{n}");
            if !template.is_for(reader, false) {
                continue;
            }
            let key = random::fresh_key();
            let (html, nonce) = rendered(page_of(reader.clone(), key.clone(), shown.clone())).await;
            is_the_same(&template, reader, &key, (&html, &nonce));
            filled += 1;
        }
        assert_eq!(filled, 195);
        assert!(template.is_for(&people[20], true), "who is new has put nothing");
    }

    fn list(people: &[Person]) -> RoomList {
        let latest = |n: u64| message(n, people[(n % 10) as usize].clone(), "<b> & \u{1} popovertarget=\"me\"", Vec::new());
        let room = |n| RoomSummary { group: format!("r{n}").parse().expect("a name"), latest: Some(latest(n)) };
        RoomList { rooms: (1..=30).map(room).collect(), next: Some("7-".to_owned()) }
    }

    #[tokio::test]
    async fn a_list_that_is_filled_in_is_the_one_that_is_rendered_for_each_of_fifty_readers() {
        // Another test may have done so.
        let _ = any_spawner::Executor::init_tokio();
        let people = people(50);
        let lobby = |you: &Person| {
            let (you, list) = (you.clone(), list(&people));
            Page::Lobby(LobbyPage { you, list, name: String::new(), first: true, mistake: None, alike: None, own: None })
        };
        let stand_in = StandIn::new(false);
        let template = template(lobby(&stand_in.you), &stand_in, &[], &[]).await.expect("a page");
        for reader in &people {
            assert!(template.is_for(reader, false));
            let (html, nonce) = rendered(lobby(reader)).await;
            is_the_same(&template, reader, &random::fresh_key(), (&html, &nonce));
        }
    }

    #[tokio::test]
    async fn what_is_announced_stands_at_the_head_of_a_page_that_was_rendered_before() {
        // Another test may have done so.
        let _ = any_spawner::Executor::init_tokio();
        let people = people(50);
        let lobby = |you: &Person| {
            let (you, list) = (you.clone(), list(&people));
            Page::Lobby(LobbyPage { you, list, name: String::new(), first: true, mistake: None, alike: None, own: None })
        };
        let stand_in = StandIn::new(false);
        let template = template(lobby(&stand_in.you), &stand_in, &[], &[]).await.expect("a page");
        let banner: Arc<str> = "<div class=\"banner\"><p>Soon &amp; here</p></div>".into();
        let (html, nonce) = banner::around(Arc::clone(&banner), rendered(lobby(&people[0]))).await;
        let ours =
            template.fill(Filling { reader: &people[0], form_key: &random::fresh_key(), nonce: &nonce, banner: &banner });
        assert!(ours == html && html.contains(&*banner));
    }

    #[test]
    fn a_policy_says_its_nonce() {
        assert_eq!(nonce_of(&policy("abc").expect("a header")), Some("abc"));
    }
}
