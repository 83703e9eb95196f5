//! The pages: gathers what a page shows, and has it [rendered](render). Forms come back here.
//!
//! The newest page of a room and that of the list of rooms are rendered once for all who read them and filled in for each
//! ([`room_pages`](super::room_pages)). A page that is not
//! alike for all is rendered for its reader: of the past, with something that went wrong, or where the reader is named on it.

pub(super) mod accounts;
pub(super) mod form;
pub(super) mod html;
pub(super) mod manage;
mod own_rooms;
mod owned;
pub(super) mod plain;
mod render;
mod sheet;

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
use serde::Deserialize;
use tracing::error;

pub(super) use self::own_rooms::own_rooms;
pub(super) use self::owned::{change_settings, invitation, join, make_room, new_room, open_direct, person, settings};
use self::{
    form::{Sent, sentence},
    plain::{Instead, not_for_guests, notice, refused},
    render::{filled, render, takes_gzip, template, with_cookies, with_identity},
};
use super::{
    accounts::{Elsewhere, Guest, Kind, Token, is_over_tls},
    lease::Taken,
    limits::SEARCH_AGAIN,
    problem::{Problem, lets_in},
    quota::Weight,
    room_pages::{Shared, StandIn, Stands},
    rooms::{Access, Fit, NEWEST, Place, PostError, Posted, Reader, Record, Refusal, Room},
    search::{LONGEST_QUERY, Query as SearchQuery},
    services::{Named, Services},
    store::{Slice, StoreError},
    visitors::Visitor,
    who::Who,
};
use crate::{
    app::{Alike, LobbyPage, Outcome, OwnedRoom, Page, RoomPage, SearchPage, rendered_bytes},
    locales::{Language, here, pages as say, room as room_words, still},
    wire::{
        Event, Group, InvalidName, Key, LONGEST_NAME, Members, Offset, Person, PersonName, Position, Renamed, Rights, RoomList,
        Stretch, Text,
    },
};

/// How many messages a page of the past shows.
const PAST: usize = 50;
/// How many bytes of a page messages take, a single longer one apart. Earlier ones are a page further.
const FIT: Fit = Fit { bytes: 512 << 10, weigh: rendered_bytes };
/// How many messages a search shows.
const FOUND: usize = 50;

/// `GET /`: the rooms.
///
/// With `?group=PART` those with this in their names, with `&before=NEXT` a further part.
pub(super) async fn lobby(State(services): State<Arc<Services>>, who: Who, request: Request) -> Response {
    let Query(GoTo { group, before, .. }) = Query::try_from_uri(request.uri()).unwrap_or_default();
    let (name, place) = (group.trim(), before.parse::<Place>().ok());
    if !name.is_empty() || place.is_some() || who.asker().kind != Kind::Guest {
        return lobby_with(&services, &who, name, place, Entered::Nothing, request).await;
    }
    // As all see it. The list is read for each, which takes a fraction of what it takes to render it.
    let everybody = Reader::guest();
    let list = async || services.rooms.list(&everybody, "", Place::default()).await.map(|(list, _)| list);
    let render = Box::pin(async {
        let (made, of) = (Instant::now(), list().await?);
        let stand_in = StandIn::new(false);
        let template = template(lobby_page(&stand_in.you, of.clone()), &stand_in, &[], &[]).await;
        Ok::<_, StoreError>(template.map(|template| Shared { of, members: Members::default(), made, template }))
    });
    match services.room_pages.list(list(), render).await {
        Ok(Some(shared)) => with_cookies(filled(&shared.template, &who.person().clone(), takes_gzip(&request)), who.cookies()),
        Ok(None) => lobby_with(&services, &who, "", None, Entered::Nothing, request).await,
        Err(cause) => refused(cause),
    }
}

/// The newest rooms.
fn lobby_page(you: &Person, list: RoomList) -> Page {
    Page::Lobby(LobbyPage { you: you.clone(), list, name: String::new(), first: true, mistake: None, alike: None, own: None })
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
            let mistake = still::room_name_rule().to_owned();
            (StatusCode::UNPROCESSABLE_ENTITY, Some((mistake, entered)), None)
        }
        Entered::Alike(entered, there) => (StatusCode::OK, None, Some(Alike { entered, there })),
    };
    let asked = request.uri().clone();
    let list = async {
        let Query(GoTo { own: after, .. }) = Query::try_from_uri(&asked).unwrap_or_default();
        let after = after.parse().unwrap_or_default();
        let own = if who.signed_in().is_some() { Some(own_rooms::html(services, who, after).await?) } else { None };
        let (own, own_names) = own.unzip();
        // What is one's own stands above; the list that is followed is the same for all.
        let is_everybodys = name.is_empty() && place.is_none();
        let reader = if is_everybodys { Reader::guest() } else { services.rooms.reader(who.asker()).await? };
        let (list, names) = services.rooms.list(&reader, name, place.unwrap_or_default()).await?;
        Ok::<_, StoreError>(((list, names + own_names.unwrap_or_default()), own))
    };
    match list.await {
        Ok(((list, looked_at), own)) => {
            let (name, first) = (name.to_owned(), place.is_none());
            let page = Page::Lobby(LobbyPage { you: who.person().clone(), list, name, first, mistake, alike, own });
            let mut response = with_identity(render(status, page, request).await, who);
            Weight::of_names(looked_at).put_on(&mut response);
            response
        }
        Err(cause) => refused(cause),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct GoTo {
    group: String,
    before: String,
    /// After so many of one's own rooms.
    own: String,
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
    let there = services.rooms.alike(&services.rooms.reader(who.asker()).await.ok()?, entered).await.ok()??;
    // Of a room that was last used long ago, or whose members have come and gone without a word, the list says nothing.
    let access = enter(services, who, Ok(entered.clone())).await.ok()?;
    let is_used = !access.part(Slice::Latest, 1, None).await.ok()?.messages.is_empty();
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
        name => match enter(&services, &who, name.parse()).await {
            Ok(access) => Some(access),
            Err(refusal) => return refused(refusal),
        },
    };
    let group = access.as_ref().map(|access| access.room().group.clone());
    let (status, outcome) = outcome(&services, visitor, (&who, access), &q).await;
    // Of an HTTP request there always is one.
    let here = request.uri().path_and_query().map_or("/search/", |here| here.as_str()).to_owned();
    let page = SearchPage { you: who.person().clone(), group, text: q, longest: LONGEST_QUERY, outcome, here };
    let mut response = render(status, Page::Search(page), request).await;
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, SEARCH_AGAIN.as_secs().into());
    }
    with_cookies(response, who.cookies())
}

async fn outcome(
    services: &Services,
    visitor: Visitor,
    (who, access): (&Who, Option<Access<Room>>),
    text: &str,
) -> (StatusCode, Outcome) {
    if access.as_ref().is_some_and(|access| !access.is_searched()) {
        return (StatusCode::OK, Outcome::NotKept);
    }
    let Ok(query) = SearchQuery::parse(text) else { return (StatusCode::UNPROCESSABLE_ENTITY, Outcome::TooLong) };
    if text.trim().is_empty() {
        return (StatusCode::OK, Outcome::Nothing);
    }
    let rooms = Arc::clone(&services.rooms);
    let Ok(reader) = rooms.reader(who.asker()).await else { return (Problem::Unavailable.status(), Outcome::Unavailable) };
    let search = async move {
        match access {
            Some(access) => access.search(&query, FOUND).await,
            None => rooms.search(&reader, &query, FOUND).await,
        }
    };
    let Ok(found) = services.searches.run(visitor.subnet(), search).await else {
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
    let access = match enter(&services, &who, group).await {
        Ok(access) => access,
        Err(Refusal::Forbidden) => return not_for_guests(request.uri().path()),
        Err(refusal) => return refused(refusal),
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
            Err(cause) => return refused(cause),
        }
    }
    let (slice, most) = past.map_or((Slice::Latest, NEWEST), |slice| (slice, PAST));
    let shown = access.page(slice, most, Some(FIT)).await;
    match shown {
        Ok(stretch) => {
            let members = services.presence.members(&access.room().group);
            let reader = (who.person().clone(), super::random::fresh_key());
            let about = async { Ok::<_, StoreError>((owned(&access, who).await?, access.rights().await?)) };
            let about = match about.await {
                Ok(about) => about,
                Err(cause) => return refused(cause),
            };
            let page = room_page(services, &access, about, reader, (stretch, members), mistake);
            with_identity(render(status, page, request).await, who)
        }
        Err(cause) => refused(cause),
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
    let (members, reader) = (services.presence.members(group), who.person().clone());
    let has_account = reader.handle.is_some();
    // Each of the people of a direct room knows it by the others.
    if access.is_direct() {
        return Ok(None);
    }
    // Who is named would have it rendered for all first, and then once more.
    if members.people.iter().any(|person| person.id == reader.id) {
        return Ok(None);
    }
    let profiles = services.profiles.version();
    let may = access.rights().await?;
    // Nobody else has it.
    if may.until.is_some() {
        return Ok(None);
    }
    // Mostly it is not polled, and would make the future of every request as large as it is.
    let render = Box::pin(async {
        let made = Instant::now();
        let stretch = access.part(Slice::Latest, NEWEST, Some(FIT)).await?;
        let owned = access.record().await?.map(|record| shown(record, None));
        let about = (owned, may.clone());
        let made = (members.clone(), profiles, made);
        Ok::<_, StoreError>(render_for_all(services, (access, about), has_account, stretch, made).await)
    });
    let now = async { Ok((access.head().await?, profiles)) };
    let shared = services.room_pages.get((group.clone(), has_account, may.clone()), &members, now, render).await?;
    let shared = shared.filter(|shared| shared.template.is_for(&reader, who.rate_key().is_none()));
    Ok(shared.map(|shared| filled(&shared.template, &reader, gzip)))
}

async fn render_for_all(
    services: &Services,
    (access, about): (&Access<Room>, (Option<OwnedRoom>, Rights)),
    has_account: bool,
    stretch: Stretch,
    (members, profiles, made): (Members, u64, Instant),
) -> Option<Shared<Stands>> {
    let of = (Position { epoch: stretch.epoch.clone(), offset: stretch.offset }, profiles);
    let stand_in = StandIn::new(has_account);
    let reader = (stand_in.you.clone(), stand_in.form_key.clone());
    let page = room_page(services, access, about, reader, (stretch.clone(), members.clone()), None);
    let template = template(page, &stand_in, &stretch.messages, &members.people).await?;
    Some(Shared { of, members, made, template })
}

fn room_page(
    services: &Services,
    access: &Access<Room>,
    (owned, may): (Option<OwnedRoom>, Rights),
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
        owned,
        may,
    })
}

/// What a page shows of a room that somebody owns; none where it is nobody's.
async fn owned(access: &Access<Room>, who: &Who) -> Result<Option<OwnedRoom>, StoreError> {
    let Some(record) = access.record().await? else { return Ok(None) };
    let others = if access.is_direct() { Some(access.others(who.person()).await?) } else { None };
    Ok(Some(shown(record, others)))
}

/// As the page has it; a direct room is called by its others.
fn shown(record: Record, others: Option<String>) -> OwnedRoom {
    OwnedRoom { title: others.unwrap_or(record.title), topic: record.topic }
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
    let access = match enter(&services, &who, group).await {
        Ok(access) => access,
        Err(refusal) => return refused(refusal),
    };
    let (page, request) = split(request);
    let Said { key, text } = match Form::<Said>::from_request(request, &()).await {
        Ok(Form(said)) => said,
        Err(rejection) => {
            return notice(rejection.status(), say::not_understood(), &say::form_unreadable(rejection.body_text()));
        }
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
            let mistake = still::said_already().to_owned();
            let status = StatusCode::SERVICE_UNAVAILABLE;
            room_with(&services, &who, access, None, Some((mistake, text)), status, page).await
        }
        Ok(_) if is_another.is_ok_and(|is_another| is_another) => {
            let mistake = still::said_something_else();
            let status = StatusCode::CONFLICT;
            room_with(&services, &who, access, None, Some((mistake.to_owned(), text)), status, page).await
        }
        Ok(_) => with_cookies(Redirect::to(&back).into_response(), who.cookies()),
        Err(PostError::TooLong(longest)) => {
            let mistake = room_words::too_long(text.len(), longest);
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            room_with(&services, &who, access, None, Some((mistake, text)), status, page).await
        }
        Err(PostError::Denied(denied)) => {
            let status = Problem::from(denied).status();
            room_with(&services, &who, access, None, Some((sentence(&denied.to_string()), text)), status, page).await
        }
        Err(PostError::Unavailable) => {
            let mistake = still::not_taken().to_owned();
            let status = StatusCode::SERVICE_UNAVAILABLE;
            room_with(&services, &who, access, None, Some((mistake, text)), status, page).await
        }
    }
}

/// Counts a message against whoever says it: their account, or, where no secret was shown, their address.
fn charge(services: &Services, who: &Who, request: &Request) -> Result<(), Duration> {
    match (who.rate_key(), request.extensions().get::<Visitor>()) {
        (Some(account), _) => services.rates.take(account),
        (None, Some(visitor)) => services.strangers.take(visitor.subnet()),
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
    let (most, seconds) = (services.rates.per_second(), wait.as_secs() + 1);
    let mistake = if who.rate_key().is_none() {
        still::too_fast_from_address(most, seconds)
    } else {
        still::too_fast_from_you(most, seconds)
    };
    let status = StatusCode::TOO_MANY_REQUESTS;
    let mut response = room_with(services, who, access, None, Some((mistake, text)), status, request).await;
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// A whole address at the name by which a page was asked for; without a name the path alone.
fn address(headers: &HeaderMap, path: &str) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let scheme = if is_over_tls(headers) { "https" } else { "http" };
    host.map_or_else(|| path.to_owned(), |host| format!("{scheme}://{host}{path}"))
}

/// A request to render a page from, and the same with the body.
fn split(request: Request) -> (Request, Request) {
    let (parts, body) = request.into_parts();
    (Request::from_parts(parts.clone(), axum::body::Body::empty()), Request::from_parts(parts, body))
}

/// `GET /banner`: what stands at the head of the page that asks, as a piece of HTML.
pub(super) async fn banner() -> Html<String> {
    Html(super::banner::html().to_string())
}

#[derive(Deserialize)]
pub(super) struct Dismiss {
    announcement: String,
    #[serde(default)]
    next: String,
}

/// `POST /dismiss`: shows an announcement no more to this browser, and leads back.
pub(super) async fn dismiss(Sent(Dismiss { announcement, next }): Sent<Dismiss>) -> Response {
    let response = Redirect::to(own_path(&next)).into_response();
    with_cookies(response, super::banner::dismissed(&announcement).as_slice())
}

#[derive(Deserialize)]
pub(super) struct Chosen {
    language: String,
    #[serde(default)]
    next: String,
}

/// `POST /language`: has this browser keep a language, and all others of somebody's account, and leads back.
pub(super) async fn choose_language(
    State(services): State<Arc<Services>>,
    who: Who,
    Sent(Chosen { language, next }): Sent<Chosen>,
) -> Result<Response, Instead> {
    let Some(chosen) = Language::of_tag(&language) else {
        let text = sentence(say::unknown_language());
        return Ok(notice(StatusCode::UNPROCESSABLE_ENTITY, say::not_understood(), &text));
    };
    if let Some(signed_in) = who.signed_in() {
        if services.manage.switches().read_only {
            return Err(Problem::ReadOnly.into());
        }
        services.accounts.choose_language(&signed_in.person.id, chosen).await?;
    }
    Ok(with_cookies(Redirect::to(own_path(&next)).into_response(), &[super::language::keep(chosen)]))
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
pub(super) async fn me(State(services): State<Arc<Services>>, who: Who, Sent(me): Sent<Me>) -> Result<Response, Instead> {
    let Me { name, forget, next } = me;
    if !forget.is_empty() {
        return Ok(sign_out(&services, &who, &next).await?);
    }
    let wrong = |title, text: &str| notice(StatusCode::UNPROCESSABLE_ENTITY, title, text);
    let Some(name) = name else { return Ok(wrong(say::not_understood(), say::name_or_forget())) };
    let Ok(name) = name.parse::<PersonName>() else {
        return Ok(wrong(say::name_not_taken(), &say::name_of_person(LONGEST_NAME)));
    };
    if services.manage.switches().read_only {
        return Err(Problem::ReadOnly.into());
    }
    // Nobody else can be who has shown no secret, so there is nobody to be told.
    if who.rate_key().is_some() && who.person().name != name.as_str() {
        if who.signed_in().is_some()
            && let Err(wait) = services.attempts.change_profile(&who.person().id)
        {
            return Err(accounts::changed_too_often(&who, wait));
        }
        rename(&services, &who, &name).await?;
    }
    let response = with_cookies(Redirect::to(own_path(&next)).into_response(), who.cookies());
    Ok(with_cookies(response, who.renamed(&name).as_slice()))
}

/// Gives somebody another name, and tells their pages and those who see them.
async fn rename(services: &Services, who: &Who, name: &PersonName) -> Result<(), StoreError> {
    let called = Person { name: name.as_str().to_owned(), ..who.person().clone() };
    match who {
        Who::Account(signed_in) => services.accounts.rename(&signed_in.person.id, name).await?,
        _ => services.rooms.renamed(&called).await,
    }
    tell_who_you_are(services, called).await;
    Ok(())
}

/// Has all pages of somebody know how they are seen now.
async fn tell_who_you_are(services: &Services, mut you: Person) {
    services.profiles.complete([&mut you]);
    let event = Event::Renamed(Renamed { name: you.name.clone(), handle: you.handle.clone() });
    services.personal.tell(&you, event).await;
}

/// The browser forgets who somebody is, and so do all nodes: what is open to them ends, and their secret is worth nothing. Of an account it is
/// this session that ends.
async fn sign_out(services: &Services, who: &Who, next: &str) -> Result<Response, StoreError> {
    const STORAGE: (&str, HeaderValue) = ("clear-site-data", HeaderValue::from_static("\"storage\""));
    match who {
        Who::Account(signed_in) if signed_in.elsewhere.is_some() => {
            services.elsewhere.end(signed_in).await;
        }
        Who::Account(signed_in) => _ = services.accounts.end(&signed_in.person.id, &signed_in.session).await?,
        // Nobody else can be who has shown no secret: there is nothing to end.
        _ if who.rate_key().is_some() => services.leases.take_back(&who.person().id, Taken::Everything).await,
        _ => {}
    }
    let response = with_cookies(Redirect::to(own_path(next)).into_response(), &Token::forgotten());
    let response = with_cookies(response, &Elsewhere::forgotten());
    let mut response = with_cookies(response, &Guest::forgotten());
    // Drafts, and what waits to be sent.
    response.headers_mut().insert(STORAGE.0, STORAGE.1);
    Ok(response)
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
            let text = say::not_our_name_text(remedy);
            (say::not_our_name(), text)
        }
        Problem::Requests(..) | Problem::Bytes(..) => (say::too_many_requests(), say::too_many_requests_text(problem)),
        _ => return None,
    };
    let page = format!(
        "<!DOCTYPE html><html lang=\"{}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title></head><body><main><h1>{title}</h1><p>{text}</p></main></body></html>",
        here().tag()
    );
    let headers = [(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    let mut response = (problem.status(), headers, Html(page)).into_response();
    problem.add_headers(&mut response);
    Some(response)
}

/// Any other address.
pub(super) async fn not_found() -> Response {
    refused(Problem::NoAddress)
}

async fn enter(services: &Services, who: &Who, group: Result<Group, InvalidName>) -> Result<Access<Room>, Refusal> {
    services.rooms.enter(who.asker(), &group.map_err(|_| Refusal::NotFound)?).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_paths_are_led_to() {
        assert_eq!(own_path("/room/a/"), "/room/a/");
        for elsewhere in ["", "//evil.example/", "/\\evil.example", "https://evil.example/", "room", "/a\nb", "/\u{e9}"] {
            assert_eq!(own_path(elsewhere), "/", "{elsewhere:?}");
        }
    }
}
