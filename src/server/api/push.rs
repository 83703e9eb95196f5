//! Pushing from outside: a program with a token sends to a group, or to one channel.
//!
//! A request goes through the token, the address and the permission before its body is read. The whole body is checked
//! before anything of it is done: either an item is wrong, and nothing happens, or all are sent in their order. Texts become
//! messages of the room like anybody's; events go to the members through the channel layer.

use std::sync::Arc;

use axum::{
    Json, RequestExt as _,
    body::Bytes,
    extract::{
        DefaultBodyLimit, Path, Request, State,
        rejection::{BytesRejection, PathRejection},
    },
    http::{HeaderMap, StatusCode, header},
};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::error;
use utoipa::ToSchema;

use super::{Caller, described::ToProgram};
use crate::{
    server::{
        accounts::{Asker, Kind, Program},
        hub::is_nodes_own,
        layers::{Channel, Event, LayerError},
        limits::Limits,
        problem::Problem,
        random::fresh_key,
        rooms::{Access, PostError, Room, foreign_event},
        services::{Named, Services},
        settings::RoomEvents,
    },
    wire::{Key, Offset, Person, Text},
};

/// How many items a batch has at most.
const BATCH: usize = 1_000;
/// How long a body may be at least, in bytes; it may be longer where one message may.
const BODY_BYTES: usize = 4 << 20;
/// How many texts are on their way to the store at a time: they share a commit.
const ABREAST: usize = 30;
/// The header that has the key of a single text.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// How long a body may be, in bytes.
pub(super) fn body_bytes(limits: &Limits) -> usize {
    limits.json_bytes().max(BODY_BYTES)
}

/// Bounds the body of a request.
pub(super) fn body_limit(limits: &Limits) -> DefaultBodyLimit {
    DefaultBodyLimit::max(body_bytes(limits))
}

/// One thing to send.
enum Item {
    /// A message of the room.
    Text { key: Key, text: Text },
    /// Anything else.
    Event(Event),
}

/// What became of an item.
#[derive(Serialize, ToSchema)]
struct Done {
    /// Null where the room keeps none.
    #[schema(required)]
    offset: Option<Offset>,
}

/// What became of all of them, in their order.
#[derive(Serialize, ToSchema)]
pub(super) struct Sent {
    results: Vec<Done>,
}

/// Says something in a room, or sends events to a group's members
#[utoipa::path(
    post,
    path = "/groups/{group}/send",
    operation_id = "sendToGroup",
    params(Named, ("Idempotency-Key" = Option<Key>, Header, description = "The key of a single text")),
    request_body(
        description = "At most {largest} bytes",
        content((written::Items = "application/json"), (String = "text/plain")),
    ),
    responses((status = 200, description = "Done", body = Sent), ToProgram),
)]
pub(super) async fn to_group(
    State(services): State<Arc<Services>>,
    Caller(program): Caller,
    Named(group): Named,
    request: Request,
) -> Result<Json<Sent>, Problem> {
    let group = group.map_err(Problem::NoName)?;
    if !program.is_for(&group) {
        return Err(Problem::OtherGroup { group, allowed: program.groups().to_vec() });
    }
    let asker = Asker::new(&program.person, Kind::Program);
    let access = services.rooms.enter(asker, &group).await?;
    access.may_post().await.map_err(|error| match error {
        PostError::Denied(denied) => denied.into(),
        PostError::TooLong(_) | PostError::Unavailable => Problem::Unavailable,
    })?;
    let key = idempotency_key(request.headers())?;
    let items = match read_body(request, &services.limits).await? {
        Body::Text(text) => vec![Item::text(&text, key, &services.limits)?],
        Body::Json(json) => {
            Items { program: &program.person, room: access.room(), limits: &services.limits }.read(json, key)?
        }
    };
    allowed(&program, &items)?;
    spend(&program, items.len(), &services.limits)?;
    Ok(Json(send_all(&access, &items).await?))
}

/// An event was handed over; whether somebody was there to read it is not known.
#[derive(Serialize, ToSchema)]
pub(super) struct HandedOver {}

/// Sends an event to one connection, at most once
#[utoipa::path(
    post,
    path = "/channels/{channel}/send",
    operation_id = "sendToChannel",
    params((
        "channel" = String, Path,
        description = "The name that the connection's welcome says",
        max_length = 99,
        pattern = "^[A-Za-z0-9_.-]+(![A-Za-z0-9_.-]*)?$",
    )),
    request_body = written::Event,
    responses((status = 200, description = "Done", body = HandedOver), ToProgram),
)]
pub(super) async fn to_channel(
    State(services): State<Arc<Services>>,
    Caller(program): Caller,
    channel: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<HandedOver>, Problem> {
    let channel: Channel = channel.map_err(|_| Problem::NotAscii)?.0.parse().map_err(Problem::NoName)?;
    if !program.may_send_to_channels() {
        return Err(Problem::NoChannels);
    }
    if is_nodes_own(&channel) {
        return Err(Problem::OwnChannel);
    }
    let Body::Json(json) = read_body(request, &services.limits).await? else {
        return Err(Problem::OneEvent);
    };
    let event = event(json, &program.person, &services.limits, None)?;
    spend(&program, 1, &services.limits)?;
    services.layer.send(&channel, event).await.map_err(|cause| match cause {
        LayerError::ChannelFull { .. } => Problem::FullChannel(cause.to_string()),
        cause => {
            error!(%channel, %cause, "an event could not be handed to the channel layer");
            Problem::NoLayer
        }
    })?;
    Ok(Json(HandedOver {}))
}

/// A body by its type.
enum Body {
    Text(String),
    Json(Value),
}

async fn read_body(request: Request, limits: &Limits) -> Result<Body, Problem> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let json = match kind.as_str() {
        "application/json" => true,
        "text/plain" => false,
        _ => return Err(Problem::UnknownType),
    };
    let bytes = request.extract::<Bytes, _>().await.map_err(|rejection: BytesRejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Problem::LongBody(body_bytes(limits))
        } else {
            Problem::Unreadable(rejection.body_text())
        }
    })?;
    // Some programs begin what they write with a mark of the order of bytes, which UTF-8 does not need.
    let bytes = bytes.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(&bytes);
    if json {
        serde_json::from_slice(bytes).map(Body::Json).map_err(Problem::NotJson)
    } else {
        let text = str::from_utf8(bytes).map_err(|_| Problem::NotUtf8)?;
        Ok(Body::Text(text.to_owned()))
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<Key>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = value.to_str().unwrap_or_default().parse();
    key.map(Some).map_err(Problem::WrongKey)
}

/// What has a say in how items are read: who sends them, where to, and how long they may be.
struct Items<'a> {
    program: &'a Person,
    room: &'a Room,
    limits: &'a Limits,
}

impl Items<'_> {
    /// One object, or a list of them.
    fn read(&self, json: Value, key: Option<Key>) -> Result<Vec<Item>, Problem> {
        let Value::Array(list) = json else { return Ok(vec![self.item(json, key)?]) };
        if key.is_some() {
            return Err(Problem::KeyOfList);
        }
        if list.len() > BATCH {
            return Err(Problem::LongList { most: BATCH, found: list.len() });
        }
        let read = |(at, json)| self.item(json, None).map_err(|problem| Problem::Item(at, Box::new(problem)));
        list.into_iter().enumerate().map(read).collect()
    }

    /// An object with a `type` is an event, any other a text; `key` is the header's.
    fn item(&self, json: Value, key: Option<Key>) -> Result<Item, Problem> {
        let Some(object) = json.as_object() else {
            return Err(Problem::NoItem);
        };
        if object.contains_key("type") {
            return match key {
                None => event(json, self.program, self.limits, Some(&self.room.events)).map(Item::Event),
                Some(_) => Err(Problem::KeyOfEvent),
            };
        }
        let Said { text, key: own } = serde_json::from_value(json).map_err(|error| Problem::WrongItem(error.to_string()))?;
        match (&key, &own) {
            (Some(header), Some(own)) if header != own => Err(Problem::TwoKeys),
            _ => Item::text(&text, own.or(key), self.limits),
        }
    }
}

/// A text as a program writes it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Said {
    /// At most {longest} bytes of UTF-8
    #[schema(min_length = 1)]
    text: String,
    #[schema(nullable = false)]
    key: Option<Key>,
}

/// What else may stand in a body is described here, and read by [`Items`], which can say of which item it complains.
mod written {
    #![expect(dead_code, reason = "nothing is read as these types")]

    use std::collections::BTreeMap;

    use serde_json::Value;
    use utoipa::ToSchema;

    use super::Said;

    /// An event as a program writes it: whatever it likes.
    #[derive(ToSchema)]
    pub struct Event {
        /// Not one that begins with `confab.`, as no field does
        r#type: String,
        #[serde(flatten)]
        fields: BTreeMap<String, Value>,
    }

    /// One thing to send.
    #[derive(ToSchema)]
    #[serde(untagged)]
    pub enum Item {
        Text(Said),
        Event(Event),
    }

    #[derive(ToSchema)]
    #[schema(max_items = 1000)]
    pub struct List(Vec<Item>);

    /// One thing to send, or a list of them.
    #[derive(ToSchema)]
    #[serde(untagged)]
    pub enum Items {
        One(Item),
        Several(List),
    }
}

impl Item {
    /// A text; without a key it gets one.
    fn text(text: &str, key: Option<Key>, limits: &Limits) -> Result<Self, Problem> {
        let text = Text::written(text).map_err(|blank| Problem::WrongItem(blank.to_string()))?;
        if text.as_str().len() > limits.message_bytes {
            return Err(Problem::LongText(limits.message_bytes));
        }
        Ok(Self::Text { key: key.unwrap_or_else(fresh_key), text })
    }
}

/// An event as it is, checked.
fn event(json: Value, program: &Person, limits: &Limits, events: Option<&RoomEvents>) -> Result<Event, Problem> {
    let most = limits.json_bytes();
    if json.to_string().len() > most {
        return Err(Problem::LongEvent(most));
    }
    foreign_event(json, program, events).map_err(|reason| Problem::WrongItem(reason.to_string()))
}

/// Whether its token lets the program send all of these.
fn allowed(program: &Program, items: &[Item]) -> Result<(), Problem> {
    let lacks = |item: &Item| match item {
        Item::Text { .. } => (!program.may.post).then_some("post"),
        Item::Event(_) => (!program.may.push).then_some("push"),
    };
    items.iter().find_map(lacks).map_or(Ok(()), |right| Err(Problem::TokenLacks(right)))
}

/// Counts the items against the program's rate.
fn spend(program: &Program, items: usize, limits: &Limits) -> Result<(), Problem> {
    let spent = program.spend(u32::try_from(items).unwrap_or(u32::MAX));
    spent.map_err(|wait| Problem::Pushes(limits.messages_per_second, wait))
}

/// Sends everything in order, and stops where something fails.
async fn send_all(access: &Access<Room>, items: &[Item]) -> Result<Sent, Problem> {
    let mut results = Vec::with_capacity(items.len());
    let texts = |one: &Item, next: &Item| matches!((one, next), (Item::Text { .. }, Item::Text { .. }));
    for run in items.chunk_by(texts).flat_map(|run| run.chunks(ABREAST)) {
        // They enter the store's queue when they are first polled, which is in their order.
        let ended = join_all(run.iter().map(|item| send(access, item))).await;
        let failed = ended.iter().any(Result::is_err);
        results.extend(ended.into_iter().filter_map(Result::ok).map(|offset| Done { offset }));
        if failed {
            return Err(Problem::HalfDone { done: results.len(), all: items.len() });
        }
    }
    Ok(Sent { results })
}

async fn send(access: &Access<Room>, item: &Item) -> Result<Option<Offset>, PostError> {
    match item {
        Item::Text { key, text } => Ok(access.post(key.clone(), text.clone()).await?.offset),
        Item::Event(event) => access.relay(event.clone()).await.map(|()| None),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicU64, Ordering},
        time::Duration,
    };

    use async_trait::async_trait;
    use axum::response::IntoResponse as _;
    use tokio::sync::mpsc;

    use super::*;
    use crate::{
        server::{
            hub::Hub,
            layers::{ChannelLayer, MemoryLayer, MemoryOptions},
            rooms::{Registry, Rooms, Stores, read_direct},
            settings::Settings,
            store::{
                Appended, Bounds, ChangeError, Extent, Listed, Log, Missed, NewChange, NewMessage, Page, Slice, StoreError,
                Within,
            },
            telemetry::{Appends, FanOut},
        },
        wire::{Code, Group, Position},
    };

    /// A disk with room for so many messages.
    struct Small(u64, AtomicU64);

    #[async_trait]
    impl Log for Small {
        async fn append(&self, _: NewMessage) -> Result<Appended, StoreError> {
            let count = self.1.fetch_add(1, Ordering::Relaxed) + 1;
            if count > self.0 {
                return Err(StoreError::Unavailable("full".into()));
            }
            let position = Position { epoch: "e".parse().unwrap(), offset: Offset(count) };
            Ok(Appended { position, fresh: true })
        }

        async fn change(&self, _: NewChange) -> Result<Appended, ChangeError> {
            Err(StoreError::Unavailable("not asked".into()).into())
        }

        async fn entries(&self, _: &Group, _: Offset, _: usize, _: usize) -> Result<Missed, StoreError> {
            Err(StoreError::Unavailable("not asked".into()))
        }

        async fn read(&self, _: &Group, _: Slice, _: usize, _: usize) -> Result<Page, StoreError> {
            Err(StoreError::Unavailable("not asked".into()))
        }

        async fn groups(&self, _: Option<&Group>, _: usize) -> Result<Vec<Extent>, StoreError> {
            Ok(Vec::new())
        }

        async fn forget(&self, _: &Group, _: Bounds) -> Result<bool, StoreError> {
            Ok(false)
        }

        async fn list(&self, _: &Within, _: Option<u64>, _: usize) -> Result<Listed, StoreError> {
            Ok(Listed::default())
        }

        async fn close(&self) {}
    }

    #[tokio::test]
    async fn a_batch_that_the_store_cannot_hold_says_how_much_of_it_was_done() {
        let layer = MemoryLayer::new(MemoryOptions {
            capacity: 1,
            channel_capacity: Vec::new(),
            expiry: Duration::from_secs(1),
            group_expiry: Duration::from_secs(1),
        });
        let store: Arc<dyn Log> = Arc::new(Small(37, AtomicU64::new(0)));
        let commits = || mpsc::unbounded_channel().1;
        let layer: Arc<dyn ChannelLayer> = Arc::new(layer.unwrap());
        let hub = Hub::start(Arc::clone(&layer), read_direct, Duration::from_secs(1), FanOut::default()).unwrap();
        let rooms = Rooms::start(
            Settings::default().rooms,
            Stores {
                durable: (Arc::clone(&store), commits()),
                search: None,
                volatile: (store, commits()),
                registry: Registry::none(),
                profiles: Arc::default(),
            },
            &layer,
            &hub,
            10,
            &Appends::default(),
        );
        let person = Person::new("t1", "Cron");
        let asker = Asker::new(&person, Kind::Program);
        let access = rooms.enter(asker, &"a".parse().unwrap()).await.ok().unwrap();
        let text = || Text::written("x").unwrap();
        let texts = |count| -> Vec<Item> { (0..count).map(|_| Item::Text { key: fresh_key(), text: text() }).collect() };
        let offsets: Vec<_> = send_all(&access, &texts(2)).await.ok().unwrap().results.iter().map(|done| done.offset).collect();
        assert_eq!(offsets, [Some(Offset(1)), Some(Offset(2))]);
        let Err(problem) = send_all(&access, &texts(100)).await else { panic!("37 is less than 102") };
        assert_eq!((problem.status(), problem.code()), (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable));
        assert!(problem.to_string().starts_with("35 of 100 items were done"), "{problem}");
        assert_eq!(problem.into_response().headers()[header::RETRY_AFTER], "1");
    }
}
