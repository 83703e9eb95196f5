//! The pages: gathers what a page shows, and has Leptos render it. Forms come back here.
//!
//! The newest page of a room is rendered once for all who read it and filled in for each
//! ([`room_pages`](super::room_pages)). A page that is not
//! alike for all is rendered for its reader: of the past, with something that went wrong, or where the reader is named on it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Extension, Form,
    extract::{FromRequest, Query, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use leptos::{config::LeptosOptions, nonce::use_nonce, prelude::expect_context};
use leptos_axum::ResponseOptions;
use serde::Deserialize;
use tracing::error;

use super::{
    accounts::Guest,
    assets::{BUILD, VERSION, accepts},
    gzip::gzip,
    lease::Taken,
    limits::SEARCH_AGAIN,
    problem::{Problem, lets_in},
    quota::Weight,
    room_pages::{Shared, StandIn, Template},
    rooms::{Access, NEWEST, Place, PostError, Posted, Refusal, Room},
    search::{LONGEST_QUERY, Query as SearchQuery},
    services::{Named, Services},
    store::{Slice, StoreError},
    visitors::Visitor,
    who::Who,
};
use crate::{
    app::{Alike, LobbyPage, NoticePage, Outcome, Page, RoomPage, SearchPage, rendered_bytes, shell},
    wire::{
        Event, Group, InvalidName, InvalidPersonName, Key, Members, Offset, Person, PersonName, Position, Renamed, Stretch,
        Text,
    },
};

/// How many messages a page of the past shows.
const PAST: usize = 50;
/// How many bytes of a page messages take, a single longer one apart. Earlier ones are a page further.
const PAGE_BYTES: usize = 512 << 10;
/// How many messages a search shows.
const FOUND: usize = 50;

/// `GET /`: the rooms.
///
/// With `?group=PART` those with this in their names, with `&before=NEXT` a further part.
pub(super) async fn lobby(State(services): State<Arc<Services>>, who: Who, request: Request) -> Response {
    let Query(GoTo { group, before }) = Query::try_from_uri(request.uri()).unwrap_or_default();
    let (name, place) = (group.trim(), before.parse::<Place>().ok());
    lobby_with(&services, &who, name, place, Entered::Nothing, request).await
}

/// What came of a name that was entered to go there.
enum Entered {
    Nothing,
    /// No room can have it.
    Mistake(String),
    /// There is another room that differs in the case of the letters alone.
    Alike(Group, Group),
}

async fn lobby_with(
    services: &Services,
    who: &Who,
    name: &str,
    place: Option<Place>,
    entered: Entered,
    request: Request,
) -> Response {
    let (status, mistake, alike) = match entered {
        Entered::Nothing => (StatusCode::OK, None, None),
        Entered::Mistake(entered) => {
            let mistake = "The name of a room is 1 to 64 of the letters A to Z, digits, _ and -".to_owned();
            (StatusCode::UNPROCESSABLE_ENTITY, Some((mistake, entered)), None)
        }
        Entered::Alike(entered, there) => (StatusCode::OK, None, Some(Alike { entered, there })),
    };
    match services.rooms.list(name, place.unwrap_or_default()).await {
        Ok(list) => {
            let (name, first) = (name.to_owned(), place.is_none());
            let page = Page::Lobby(LobbyPage { you: who.person().clone(), list, name, first, mistake, alike });
            with_cookies(render(status, page, request).await, who.cookies())
        }
        Err(cause) => refused(cause, request).await,
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct GoTo {
    group: String,
    before: String,
}

/// `GET /room/?group=NAME`: leads to the room of that name; where that would be a new one whose name differs from another's in case
/// alone, it is asked first which is meant.
pub(super) async fn go_to_room(
    State(services): State<Arc<Services>>,
    who: Who,
    Query(GoTo { group, .. }): Query<GoTo>,
    request: Request,
) -> Response {
    let Ok(entered) = group.trim().parse::<Group>() else {
        return lobby_with(&services, &who, "", None, Entered::Mistake(group), request).await;
    };
    match alike(&services, &who, &entered).await {
        Some(there) => lobby_with(&services, &who, "", None, Entered::Alike(entered, there), request).await,
        None => Redirect::to(&format!("/room/{entered}/")).into_response(),
    }
}

/// See [`go_to_room`]. Where the store cannot say it, the room's own page will say why.
async fn alike(services: &Services, who: &Who, entered: &Group) -> Option<Group> {
    let there = services.rooms.alike(entered).await.ok()??;
    // Of a room that was last used long ago, or whose members have come and gone without a word, the list says nothing.
    let access = enter(services, who, Ok(entered.clone())).ok()?;
    let is_used = !access.page(Slice::Latest, 1).await.ok()?.messages.is_empty();
    (!is_used).then_some(there)
}

#[derive(Default, Deserialize)]
struct SearchFor {
    #[serde(default)]
    q: String,
    #[serde(default)]
    room: String,
}

/// `GET /search/?q=TEXT&room=NAME`: what was found in the room, or in all rooms where none is named.
pub(super) async fn search(
    State(services): State<Arc<Services>>,
    Extension(visitor): Extension<Visitor>,
    who: Who,
    request: Request,
) -> Response {
    let Query(SearchFor { q, room }) = Query::try_from_uri(request.uri()).unwrap_or_default();
    let access = match room.trim() {
        "" => None,
        name => match enter(&services, &who, name.parse()) {
            Ok(access) => Some(access),
            Err(refusal) => return refused(refusal, request).await,
        },
    };
    let group = access.as_ref().map(|access| access.room().group.clone());
    let (status, outcome) = outcome(&services, visitor, access, &q).await;
    // Of an HTTP request there always is one.
    let here = request.uri().path_and_query().map_or("/search/", |here| here.as_str()).to_owned();
    let page = SearchPage { you: who.person().clone(), group, text: q, longest: LONGEST_QUERY, outcome, here };
    let mut response = render(status, Page::Search(page), request).await;
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, SEARCH_AGAIN.as_secs().into());
    }
    with_cookies(response, who.cookies())
}

async fn outcome(services: &Services, visitor: Visitor, access: Option<Access<Room>>, text: &str) -> (StatusCode, Outcome) {
    if access.as_ref().is_some_and(|access| !access.is_searched()) {
        return (StatusCode::OK, Outcome::NotKept);
    }
    let Ok(query) = SearchQuery::parse(text) else { return (StatusCode::UNPROCESSABLE_ENTITY, Outcome::TooLong) };
    if text.trim().is_empty() {
        return (StatusCode::OK, Outcome::Nothing);
    }
    let rooms = Arc::clone(&services.rooms);
    let search = async move {
        match access {
            Some(access) => access.search(&query, FOUND).await,
            None => rooms.search(&query, FOUND).await,
        }
    };
    let Ok(found) = services.searches.run(visitor.household(), search).await else {
        return (Problem::Searches.status(), Outcome::Unavailable);
    };
    match found.unwrap_or_else(|panicked| Err(StoreError::Unavailable(panicked.into()))) {
        Ok(found) => (StatusCode::OK, Outcome::Found { hits: found.hits, complete: found.complete }),
        Err(StoreError::Unavailable(cause)) => {
            error!(%cause, "the store could not be searched");
            (Problem::Unavailable.status(), Outcome::Unavailable)
        }
    }
}

#[derive(Deserialize)]
struct Part {
    before: Option<u64>,
    after: Option<u64>,
    around: Option<u64>,
}

impl Part {
    /// The first that is given, if one is.
    fn slice(&self) -> Option<Slice> {
        let before = self.before.map(Offset).map(Slice::Before);
        before.or(self.after.map(Offset).map(Slice::After)).or(self.around.map(Offset).map(Slice::Around))
    }
}

/// `GET /room/{group}/`: the newest messages; or a part of the past with `?before=OFFSET`, `?after=OFFSET` or
/// `?around=OFFSET`.
pub(super) async fn room(State(services): State<Arc<Services>>, who: Who, Named(group): Named, request: Request) -> Response {
    let access = match enter(&services, &who, group) {
        Ok(access) => access,
        Err(refusal) => return refused(refusal, request).await,
    };
    let past = Query::<Part>::try_from_uri(request.uri()).ok().and_then(|Query(part)| part.slice());
    room_with(&services, &who, access, past, None, StatusCode::OK, request).await
}

async fn room_with(
    services: &Services,
    who: &Who,
    access: Access<Room>,
    past: Option<Slice>,
    mistake: Option<(String, String)>,
    status: StatusCode,
    request: Request,
) -> Response {
    if past.is_none() && mistake.is_none() {
        match shared_page(services, who, &access, takes_gzip(&request)).await {
            Ok(Some(response)) => return with_cookies(response, who.cookies()),
            Ok(None) => {}
            Err(cause) => return refused(cause, request).await,
        }
    }
    let (slice, most) = past.map_or((Slice::Latest, NEWEST), |slice| (slice, PAST));
    let shown = access.page_of(slice, most, PAGE_BYTES, rendered_bytes).await;
    match shown {
        Ok(stretch) => {
            let members = services.presence.members(&access.room().group);
            let reader = (who.person().clone(), super::random::fresh_key());
            let page = room_page(services, &access, reader, (stretch, members), mistake);
            with_cookies(render(status, page, request).await, who.cookies())
        }
        Err(cause) => refused(cause, request).await,
    }
}

/// The newest page of a room as all see it, filled in for this reader; none where it says more of this reader than what is filled in.
async fn shared_page(
    services: &Services,
    who: &Who,
    access: &Access<Room>,
    gzip: bool,
) -> Result<Option<Response>, StoreError> {
    let group = &access.room().group;
    let (members, reader) = (services.presence.members(group), who.person());
    // Who is named would have it rendered for all first, and then once more.
    if members.people.iter().any(|person| person.id == reader.id) {
        return Ok(None);
    }
    let render = async {
        let made = Instant::now();
        let stretch = access.part_of(Slice::Latest, NEWEST, PAGE_BYTES, rendered_bytes).await?;
        Ok::<_, StoreError>(render_for_all(services, access, stretch, (members.clone(), made)).await)
    };
    let shared = services.room_pages.get(group, &members, access.head(), render).await?;
    let Some(shared) = shared.filter(|shared| shared.template.is_for(reader, who.account().is_none())) else { return Ok(None) };
    let (nonce, form_key) = (super::random::hex_128(), super::random::fresh_key());
    let mut response = if gzip {
        in_gzip(Html(shared.template.fill_gzip(reader, &form_key, &nonce)).into_response())
    } else {
        Html(shared.template.fill(reader, &form_key, &nonce)).into_response()
    };
    if let Some(policy) = policy(&nonce) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    set_caching(response.headers_mut());
    Ok(Some(response))
}

/// None where the page is not as a template needs it; the log has that then.
async fn render_for_all(
    services: &Services,
    access: &Access<Room>,
    stretch: Stretch,
    (members, made): (Members, Instant),
) -> Option<Shared> {
    let head = Position { epoch: stretch.epoch.clone(), offset: stretch.offset };
    let stand_in = StandIn::new();
    let reader = (stand_in.you.clone(), stand_in.form_key.clone());
    let page = room_page(services, access, reader, (stretch.clone(), members.clone()), None);
    let (parts, body) = render(StatusCode::OK, page, Request::default()).await.into_parts();
    let nonce = nonce_of(parts.headers.get(header::CONTENT_SECURITY_POLICY)?)?;
    let html = String::from_utf8(axum::body::to_bytes(body, usize::MAX).await.ok()?.into()).ok()?;
    let template = Template::of(html, nonce, &stand_in, &stretch, &members);
    if template.is_none() {
        error!(group = %access.room().group, "a page does not look as it should, and is rendered for each of its readers");
    }
    Some(Shared { head, members, made, template: template? })
}

fn room_page(
    services: &Services,
    access: &Access<Room>,
    (you, form_key): (Person, Key),
    (stretch, members): (Stretch, Members),
    mistake: Option<(String, String)>,
) -> Page {
    Page::Room(RoomPage {
        group: access.room().group.clone(),
        you,
        stretch,
        members,
        form_key,
        longest: services.limits.message_bytes,
        mistake,
    })
}

#[derive(Deserialize)]
struct Said {
    key: Key,
    text: String,
}

/// `POST /room/{group}/`: says something without a script, and leads back to the room.
pub(super) async fn post_message(
    State(services): State<Arc<Services>>,
    who: Who,
    Named(group): Named,
    request: Request,
) -> Response {
    let access = match enter(&services, &who, group) {
        Ok(access) => access,
        Err(refusal) => return refused(refusal, request).await,
    };
    let (page, request) = split(request);
    let Said { key, text } = match Form::<Said>::from_request(request, &()).await {
        Ok(Form(said)) => said,
        Err(rejection) => return notice(rejection.status(), "That was not understood", &rejection.body_text(), page).await,
    };
    let back = format!("/room/{}/", access.room().group);
    let Ok(text) = Text::written(&text) else { return Redirect::to(&back).into_response() };
    if let Err(wait) = charge(&services, &who, &page) {
        return too_fast(&services, &who, access, text.into_string(), wait, page).await;
    }
    let posted = access.post(key, text.clone()).await;
    let text = text.into_string();
    // A form that is sent twice is one message. With another text it is not the same form any more, though its key says so.
    let is_another = match &posted {
        Ok(Posted { offset: Some(offset), fresh: false }) => access.says(*offset, &text).await.map(|same| !same),
        _ => Ok(false),
    };
    match posted {
        Ok(_) if is_another.is_err() => {
            let mistake = "It cannot be told now whether this was said already. Look, and try again in a moment.".to_owned();
            let status = StatusCode::SERVICE_UNAVAILABLE;
            room_with(&services, &who, access, None, Some((mistake, text)), status, page).await
        }
        Ok(_) if is_another.is_ok_and(|is_another| is_another) => {
            let mistake = "This form has said something already, and now something else. Send it once more to say this too.";
            let status = StatusCode::CONFLICT;
            room_with(&services, &who, access, None, Some((mistake.to_owned(), text)), status, page).await
        }
        Ok(_) => with_cookies(Redirect::to(&back).into_response(), who.cookies()),
        Err(PostError::TooLong(longest)) => {
            let mistake = format!("This is {} bytes long; a message is at most {longest}.", text.len());
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            room_with(&services, &who, access, None, Some((mistake, text)), status, page).await
        }
        Err(PostError::Unavailable) => {
            let mistake = "The message cannot be taken now. Try again in a moment.".to_owned();
            let status = StatusCode::SERVICE_UNAVAILABLE;
            room_with(&services, &who, access, None, Some((mistake, text)), status, page).await
        }
    }
}

/// Counts a message against whoever says it: their account, or, where no secret was shown, their address.
fn charge(services: &Services, who: &Who, request: &Request) -> Result<(), Duration> {
    match (who.account(), request.extensions().get::<Visitor>()) {
        (Some(account), _) => services.accounts.take(account),
        (None, Some(visitor)) => services.strangers.take(visitor.household()),
        (None, None) => Ok(()),
    }
}

/// The room with what was not said yet, since its author has said too much already.
async fn too_fast(
    services: &Services,
    who: &Who,
    access: Access<Room>,
    text: String,
    wait: Duration,
    request: Request,
) -> Response {
    let (most, seconds) = (services.accounts.per_second(), wait.as_secs() + 1);
    let whom = if who.account().is_none() { "all who come from your address without a cookie" } else { "you" };
    let mistake = format!("At most {most} messages a second are taken from {whom}. Send it again in {seconds} s.");
    let status = StatusCode::TOO_MANY_REQUESTS;
    let mut response = room_with(services, who, access, None, Some((mistake, text)), status, request).await;
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// A request to render a page from, and the same with the body.
fn split(request: Request) -> (Request, Request) {
    let (parts, body) = request.into_parts();
    (Request::from_parts(parts.clone(), axum::body::Body::empty()), Request::from_parts(parts, body))
}

#[derive(Deserialize)]
pub(super) struct Me {
    name: Option<String>,
    /// With anything in it the browser forgets who this is.
    #[serde(default)]
    forget: String,
    #[serde(default)]
    next: String,
}

/// `POST /me`: takes another name, or gives up who one is, and leads back to where it was asked for.
pub(super) async fn me(State(services): State<Arc<Services>>, who: Who, request: Request) -> Response {
    let (page, request) = split(request);
    let Me { name, forget, next } = match Form::<Me>::from_request(request, &()).await {
        Ok(Form(me)) => me,
        Err(rejection) => return notice(rejection.status(), "That was not understood", &rejection.body_text(), page).await,
    };
    if !forget.is_empty() {
        return sign_out(&services, &who, &next).await;
    }
    let Some(name) = name else {
        let needed = "A name is needed, or forget.";
        return notice(StatusCode::UNPROCESSABLE_ENTITY, "That was not understood", needed, page).await;
    };
    match name.parse::<PersonName>() {
        Ok(name) => {
            // Nobody else can be who has shown no secret, so there is nobody to be told.
            if who.account().is_some() && who.person().name != name.as_str() {
                let called = Person { name: name.as_str().to_owned(), ..who.person().clone() };
                services.rooms.renamed(&called).await;
                let renamed = Renamed { name: called.name };
                services.personal.tell(who.person(), Event::Renamed(renamed)).await;
            }
            let response = with_cookies(Redirect::to(own_path(&next)).into_response(), who.cookies());
            with_cookies(response, who.renamed(&name).as_slice())
        }
        Err(InvalidPersonName) => {
            notice(StatusCode::UNPROCESSABLE_ENTITY, "This name cannot be taken", &format!("{InvalidPersonName}."), page).await
        }
    }
}

/// The browser forgets who somebody is, and so do all nodes: what is open to them ends, and their secret is worth nothing.
async fn sign_out(services: &Services, who: &Who, next: &str) -> Response {
    const STORAGE: (&str, HeaderValue) = ("clear-site-data", HeaderValue::from_static("\"storage\""));
    // Nobody else can be who has shown no secret: there is nothing to end.
    if who.account().is_some() {
        services.leases.take_back(&who.person().id, Taken::Everything).await;
    }
    let mut response = with_cookies(Redirect::to(own_path(next)).into_response(), &Guest::forgotten());
    // Drafts, and what waits to be sent.
    response.headers_mut().insert(STORAGE.0, STORAGE.1);
    response
}

/// A path of this server; never the address of another one, which `//host` and `/\host` are to a browser.
fn own_path(next: &str) -> &str {
    let good = next.starts_with('/') && !next.starts_with("//") && next.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    if good { next } else { "/" }
}

/// A page on what no page is rendered for, since it has to cost less than the one that was asked for; none where no page is wanted, or
/// people do not meet it.
pub(super) fn bare(problem: &Problem, asked: &HeaderMap) -> Option<Response> {
    const POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; base-uri 'none'; frame-ancestors 'none'");
    // A name is letters, digits and a few signs that mean nothing in HTML; so are the words.
    let (title, text) = match problem {
        Problem::NotOurName(name) => {
            let accepted = asked.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
            if !accepted.contains("text/html") {
                return None;
            }
            let remedy = lets_in(name);
            let text = format!("It does not go by the name that was asked for. If it should: {remedy}.");
            ("This is not the server of that name", text)
        }
        Problem::Requests(..) | Problem::Bytes(..) => {
            ("Too many requests", format!("This server answers {problem}. Try again in a moment."))
        }
        _ => return None,
    };
    let page = format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title></head><body><main><h1>{title}</h1><p>{text}</p></main></body></html>"
    );
    let headers = [(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    let mut response = (problem.status(), headers, Html(page)).into_response();
    problem.add_headers(&mut response);
    Some(response)
}

/// Any other address.
pub(super) async fn not_found(_: State<Arc<Services>>, request: Request) -> Response {
    refused(Problem::NoAddress, request).await
}

fn enter(services: &Services, who: &Who, group: Result<Group, InvalidName>) -> Result<Access<Room>, Refusal> {
    services.rooms.enter(who.person(), &group.map_err(|_| Refusal::NotFound)?)
}

/// A page on why there is no other.
async fn refused(problem: impl Into<Problem>, request: Request) -> Response {
    let problem = problem.into();
    let (title, text) = match problem {
        Problem::ClosedRoom => ("Not for guests", "This room is not open to guests."),
        Problem::Unavailable => ("Something is wrong here", "The messages cannot be read now. Try again in a moment."),
        // Whatever is not there.
        _ => {
            ("Nothing is here", "There is no such page. The name of a room is 1 to 64 of the letters A to Z, digits, _ and -.")
        }
    };
    notice(problem.status(), title, text, request).await
}

async fn notice(status: StatusCode, title: &str, text: &str, request: Request) -> Response {
    render(status, Page::Notice(NoticePage { title: title.to_owned(), text: text.to_owned() }), request).await
}

fn with_cookies(mut response: Response, cookies: &[HeaderValue]) -> Response {
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie.clone());
    }
    response
}

/// Renders a page whole: all its data is there, so there is nothing to stream.
async fn render(status: StatusCode, page: Page, request: Request) -> Response {
    let gzip = takes_gzip(&request);
    let options = LeptosOptions::builder().output_name("confab").site_pkg_dir(format!("pkg/{BUILD}")).build();
    let document = move || shell(page.clone(), VERSION, options.clone());
    let mut response = leptos_axum::render_app_async_with_context(add_policy, document)(request).await;
    if response.status().is_success() {
        *response.status_mut() = status;
    }
    set_caching(response.headers_mut());
    if gzip { compressed(response).await } else { response }
}

/// Whether a page may go out in gzip: it has no secret, so its length says nothing that what is on it does not.
fn takes_gzip(request: &Request) -> bool {
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
    headers.append(header::VARY, HeaderValue::from_static("accept-encoding, cookie, upgrade"));
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
    use crate::wire::{Content, Message, Person, Reaction, Stored, Timestamp};

    fn person(id: &str, name: &str) -> Person {
        Person { id: id.to_owned(), name: name.to_owned() }
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
        Page::Room(RoomPage { group, you, stretch, members, form_key, longest: 65_536, mistake: None })
    }

    /// The page as it is rendered, and its nonce.
    async fn rendered(page: Page) -> (String, String) {
        let (parts, body) = render(StatusCode::OK, page, Request::default()).await.into_parts();
        let policy = &parts.headers[header::CONTENT_SECURITY_POLICY];
        let html = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
        let html = String::from_utf8(html.into()).expect("UTF-8");
        (html, nonce_of(policy).expect("a nonce").to_owned())
    }

    #[tokio::test]
    async fn what_is_filled_in_is_the_page_that_is_rendered_for_each_of_two_hundred_readers() {
        // Another test may have done so.
        let _ = any_spawner::Executor::init_tokio();
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let mut name = || {
            let name = r#"[a-z<>&"'\\ 王é👍]{1,40}"#.new_tree(&mut runner).expect("a name").current();
            if name.trim().is_empty() { "Ann".to_owned() } else { name }
        };
        let people: Vec<_> = (0..200).map(|n| person(&format!("g{n:x}"), &name())).collect();
        let shown = room(&people);
        let stand_in = StandIn::new();
        let (html, nonce) = rendered(page_of(stand_in.you.clone(), stand_in.form_key.clone(), shown.clone())).await;
        let template = Template::of(html, &nonce, &stand_in, &shown.0, &shown.1).expect("a page");
        let mut filled = 0;
        for (n, reader) in people.iter().enumerate() {
            // Who has put a reaction, and who is there, is named where they read "you".
            assert_eq!(template.is_for(reader, false), !(20..25).contains(&n), "{n}");
            if !template.is_for(reader, false) {
                continue;
            }
            let key = crate::server::random::fresh_key();
            let (html, nonce) = rendered(page_of(reader.clone(), key.clone(), shown.clone())).await;
            let ours = template.fill(reader, &key, &nonce);
            if let Some(at) = ours.bytes().zip(html.bytes()).position(|(ours, theirs)| ours != theirs) {
                let around = |page: &str| {
                    String::from_utf8_lossy(&page.as_bytes()[at.saturating_sub(120)..(at + 60).min(page.len())]).into_owned()
                };
                panic!("{reader:?} at {at}:\n{}\n{}", around(&ours), around(&html));
            }
            assert_eq!(ours.len(), html.len());
            let mut inflated = String::new();
            let gzip = template.fill_gzip(reader, &key, &nonce);
            flate2::read::GzDecoder::new(&*gzip).read_to_string(&mut inflated).expect("gzip");
            assert!(inflated == html, "{reader:?} in gzip");
            assert!(gzip.len() * 3 < html.len(), "{} of {}", gzip.len(), html.len());
            filled += 1;
        }
        assert_eq!(filled, 195);
        assert!(template.is_for(&people[20], true), "who is new has put nothing");
    }

    #[test]
    fn a_policy_says_its_nonce() {
        assert_eq!(nonce_of(&policy("abc").expect("a header")), Some("abc"));
    }

    #[test]
    fn only_own_paths_are_led_to() {
        assert_eq!(own_path("/room/a/"), "/room/a/");
        for elsewhere in ["", "//evil.example/", "/\\evil.example", "https://evil.example/", "room", "/a\nb", "/\u{e9}"] {
            assert_eq!(own_path(elsewhere), "/", "{elsewhere:?}");
        }
    }
}
