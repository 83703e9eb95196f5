//! New entries of streams, messages and changes of messages, in one transaction and in the order in which they came.
//!
//! ```text
//!   messages alone     begin · make rooms · lock rooms ·                append · commit      one round trip
//!   with changes       begin · make rooms · lock rooms · find messages                       a first one:
//!                                  decide what each change makes of its message                what they say now
//!                                                                       append · commit      and a second
//! ```
//!
//! With its room locked a message stays as it was found, and what a change makes of it depends on no offset. So the database gives
//! messages and changes their offsets together, in one statement.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use deadpool_postgres::Object;
use futures_util::try_join;
use sha2::{Digest as _, Sha256};
use tokio_postgres::{Error, Row, Statement, types::ToSql};

use super::{
    error::Failure,
    reader::{column, held, name, offset},
    records,
    text::escape,
};
use crate::{
    server::store::{
        error::StoreError,
        log::{
            Appended, ChangeError, Entry, NewChange, NewMessage, Refused, What,
            change::{Unnamed, kind_of, reaction_of, reactions_to_json},
            queue::{BATCH_MESSAGES, Made},
            reactions,
        },
        records::{Value, Written},
    },
    wire::{Change, Content, Emoji, Epoch, Group, MessageId, Offset, Position, Stored, Timestamp},
};

/// Where another node makes the same room at once, its name and its epoch are both taken.
const MAKE_ROOMS: &str = "INSERT INTO rooms (name, epoch)
    SELECT name, epoch FROM unnest($1::text[], $2::text[]) AS made (name, epoch) ORDER BY name COLLATE \"C\"
    ON CONFLICT DO NOTHING";
/// In one order on all nodes, so that they cannot wait for each other in a ring.
const LOCK_ROOMS: &str = "SELECT FROM rooms WHERE name = ANY ($1::text[]) ORDER BY name FOR UPDATE";
/// Messages that are to be changed, with the room locked, so that nobody else changes them now. The text is left out where nobody needs
/// it.
const FIND_MESSAGES: &str = r#"
    SELECT "offset", key, author_id, author_name, CASE WHEN whole OR "offset" = latest THEN text ELSE '' END, at, edited, deleted,
        reactions, changed, "offset" = latest, number, unnamed
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::boolean[]) WITH ORDINALITY AS given (room, room_epoch, target, whole, number)
    JOIN rooms ON name = room AND epoch = room_epoch
    JOIN messages ON room_id = rooms.id AND "offset" = target"#;
/// Gives those that are new the next offsets of their rooms, in the order of the batch. The statement sees what was committed
/// before the rooms were locked, and nobody adds to them now. An entry with a target is a change; the last one of each message has what
/// becomes of it, and `deleted` where it does. Answers for each entry in that order: the room's epoch, the entry's offset, and
/// whether it is new.
const APPEND: &str = r#"
    WITH batch AS MATERIALIZED (
        SELECT nextval('batches') AS number
    ), given AS (
        SELECT given.*, rooms.id AS room_id, rooms.epoch, rooms.head, old."offset" AS old,
            target IS NOT NULL OR (old."offset" IS NULL
                AND given.number = min(given.number) OVER (PARTITION BY rooms.id, given.digest)) AS fresh
        FROM unnest($1::text[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
                $9::text[], $10::text[], $11::bigint[], $12::boolean[], $13::text[], $14::bytea[]) WITH ORDINALITY
            AS given (room, digest, key, author_id, author_name, text, at, target, kind, emoji, edited, deleted, reactions,
                unnamed, number)
        JOIN rooms ON rooms.name = given.room
        LEFT JOIN LATERAL (
            SELECT "offset" FROM messages WHERE room_id = rooms.id AND messages.digest = given.digest LIMIT 1
        ) AS old ON true
    ), counted AS (
        SELECT given.*, head + count(*) FILTER (WHERE fresh) OVER (PARTITION BY room_id ORDER BY number) AS place FROM given
    ), placed AS MATERIALIZED (
        SELECT counted.*, CASE WHEN target IS NOT NULL THEN place
            ELSE coalesce(old, min(place) FILTER (WHERE fresh) OVER (PARTITION BY room_id, digest)) END AS "offset"
        FROM counted
    ), stored AS (
        INSERT INTO messages (room_id, "offset", digest, key, author_id, author_name, text, at)
        SELECT room_id, "offset", digest, key, author_id, author_name, text, at FROM placed WHERE fresh AND target IS NULL
    ), noted AS (
        INSERT INTO changes (room_id, "offset", target, at, kind, emoji, author_id, author_name)
        SELECT room_id, "offset", target, at, kind, emoji, author_id, author_name FROM placed WHERE target IS NOT NULL
    ), changed AS (
        UPDATE messages SET text = coalesce(new.text, messages.text), edited = new.edited, deleted = new.deleted,
            reactions = new.reactions, unnamed = new.unnamed, changed = new."offset"
        FROM placed AS new
        WHERE new.deleted IS NOT NULL AND messages.room_id = new.room_id AND messages."offset" = new.target
    ), moved AS (
        UPDATE rooms SET head = new.head, latest = coalesce(new.latest, rooms.latest),
            activity = coalesce(batch.number * 1024 + new.number, activity), touched = pg_current_xact_id()::text::bigint
        FROM batch, (
            SELECT room_id, max("offset") AS head, max("offset") FILTER (WHERE target IS NULL) AS latest,
                max(number) FILTER (WHERE target IS NULL) AS number
            FROM placed WHERE fresh GROUP BY room_id
        ) AS new
        WHERE rooms.id = new.room_id
    )
    SELECT epoch, "offset", fresh FROM placed ORDER BY number"#;

/// A batch has a number, and each of it has one within: both statements make one of the two by which rooms sort.
const _: () = assert!(BATCH_MESSAGES < 1024, "the numbers of a batch would run into those of the next");

/// The same for a batch of messages alone, with the first seven of the parameters. Most batches are, and so the database has less to do
/// for them.
const APPEND_MESSAGES: &str = r#"
    WITH batch AS MATERIALIZED (
        SELECT nextval('batches') AS number
    ), given AS (
        SELECT given.*, rooms.id AS room_id, rooms.epoch, rooms.head, old."offset" AS old,
            old."offset" IS NULL AND given.number = min(given.number) OVER (PARTITION BY rooms.id, given.digest) AS fresh
        FROM unnest($1::text[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[]) WITH ORDINALITY
            AS given (room, digest, key, author_id, author_name, text, at, number)
        JOIN rooms ON rooms.name = given.room
        LEFT JOIN LATERAL (
            SELECT "offset" FROM messages WHERE room_id = rooms.id AND messages.digest = given.digest LIMIT 1
        ) AS old ON true
    ), counted AS (
        SELECT given.*, head + count(*) FILTER (WHERE fresh) OVER (PARTITION BY room_id ORDER BY number) AS place FROM given
    ), placed AS MATERIALIZED (
        SELECT counted.*,
            coalesce(old, min(place) FILTER (WHERE fresh) OVER (PARTITION BY room_id, digest)) AS "offset"
        FROM counted
    ), stored AS (
        INSERT INTO messages (room_id, "offset", digest, key, author_id, author_name, text, at)
        SELECT room_id, "offset", digest, key, author_id, author_name, text, at FROM placed WHERE fresh
    ), moved AS (
        UPDATE rooms SET head = new.head, latest = new.head, activity = batch.number * 1024 + new.number,
            touched = pg_current_xact_id()::text::bigint
        FROM batch, (
            SELECT room_id, max("offset") AS head, max(number) AS number FROM placed WHERE fresh GROUP BY room_id
        ) AS new
        WHERE rooms.id = new.room_id
    )
    SELECT epoch, "offset", fresh FROM placed ORDER BY number"#;

/// What is to become an entry of a room's stream.
#[derive(Debug)]
pub(super) enum New {
    Message(NewMessage),
    Change(NewChange),
}

impl New {
    pub(super) fn group(&self) -> &Group {
        match self {
            Self::Message(message) => &message.group,
            Self::Change(change) => &change.group,
        }
    }

    pub(super) fn into_group(self) -> Group {
        match self {
            Self::Message(message) => message.group,
            Self::Change(change) => change.group,
        }
    }
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Outcome {
    Made(Box<Made>),
    /// There is nothing new.
    Settled(Result<Appended, ChangeError>),
}

impl Outcome {
    fn already(position: Position) -> Self {
        Self::Settled(Ok(Appended { position, fresh: false }))
    }

    /// Where it stands.
    fn offset(&self) -> Option<Offset> {
        match self {
            Self::Made(made) => Some(made.entry.offset),
            Self::Settled(settled) => settled.as_ref().ok().map(|appended| appended.position.offset),
        }
    }
}

/// Where something stands.
#[derive(Clone, Copy)]
enum Standing {
    At(Offset),
    /// Where that step's entry will.
    With(usize),
}

/// What is done with one of the batch.
enum Step<'b> {
    /// It gets a place, unless it has one.
    Message(&'b NewMessage),
    Change(Box<Altered<'b>>),
    /// Its message says that already, since a change that stands there.
    Already(Epoch, Standing),
    Settled(ChangeError),
}

/// A change that is made.
struct Altered<'b> {
    new: &'b NewChange,
    change: Change,
    /// The message as it is then, where it is the newest of what the room has without the batch.
    latest: Option<Stored>,
    /// What the message says when the batch is through, where this is its last change.
    becomes: Option<State>,
}

/// What is written of a message's content.
struct State {
    /// None where that has not changed.
    text: Option<String>,
    edited: Option<Timestamp>,
    deleted: bool,
    reactions: Option<String>,
    unnamed: Unnamed,
}

/// A message that is changed.
struct Target<'b> {
    /// As it is after the steps that were decided so far. Its text is there where somebody needs it.
    stored: Stored,
    unnamed: Unnamed,
    /// What those have put to it who put a reaction now or take one away.
    put: HashMap<&'b str, Vec<Emoji>>,
    is_latest: bool,
    changed: Standing,
    has_new_text: bool,
}

impl<'b> Target<'b> {
    /// From a row of [`FIND_MESSAGES`].
    fn read(row: &Row, epoch: &Epoch) -> Result<Self, StoreError> {
        let (stored, unnamed, put) = (held(row, epoch)?, Unnamed::read(row.get(12)), HashMap::new());
        let changed = Standing::At(stored.message.content.changed.unwrap_or(stored.offset));
        Ok(Self { stored, unnamed, put, is_latest: row.get(10), changed, has_new_text: false })
    }

    /// Changes it as step `number` of the batch.
    fn change(&mut self, new: &'b NewChange, number: usize) -> Step<'b> {
        let put = self.put.entry(&new.from.id).or_default();
        put.extend(self.unnamed.put_by(&self.stored.message.content.reactions, &new.from.id).cloned());
        put.sort();
        put.dedup();
        let change = match new.make(&mut self.stored.message, put) {
            Ok(Some(change)) => change,
            Ok(None) => return Step::Already(new.change.id().epoch.clone(), self.changed),
            Err(refused) => return Step::Settled(ChangeError::Refused(refused)),
        };
        self.unnamed.lose(&change);
        match &change {
            Change::React { emoji, on: true, .. } => put.push(emoji.clone()),
            Change::React { emoji, on: false, .. } => put.retain(|put| put != emoji),
            _ => {}
        }
        self.changed = Standing::With(number);
        self.has_new_text |= !matches!(change, Change::React { .. });
        let latest = self.is_latest.then(|| self.stored.clone());
        Step::Change(Box::new(Altered { new, change, latest, becomes: None }))
    }

    /// What is to be written of it.
    fn state(self) -> State {
        let Content { text, edited, deleted, reactions, .. } = self.stored.message.content;
        let reactions = reactions_to_json(&reactions);
        State { text: self.has_new_text.then_some(text), edited, deleted, reactions, unnamed: self.unnamed }
    }
}

/// Appends what is new and gives what became of it, one for each. These may be fewer than were given: what is left then is to be
/// appended after them. `unknown` are rooms that may not be there yet, with their epochs.
///
/// Everything that can be is sent at once. After an error the database ignores what follows and takes the commit for a rollback.
pub(super) async fn append(client: &Object, batch: &[&New], unknown: &[(&Group, Epoch)]) -> Result<Vec<Outcome>, Failure> {
    let opening = Opening::new(client, batch, unknown).await?;
    if batch.iter().any(|new| matches!(new, New::Change(_))) {
        let outcomes = change_and_append(client, batch, &opening).await;
        if outcomes.is_err() {
            client.batch_execute("ROLLBACK").await?;
        }
        return outcomes;
    }
    let appended = client.prepare_cached(APPEND_MESSAGES).await?;
    let steps = decide(batch, Targets::new());
    let columns = Columns::new(&steps);
    let [rooms, digests, keys, author_ids, author_names, texts, times, ..] = columns.parameters();
    let parameters = [rooms, digests, keys, author_ids, author_names, texts, times];
    let ((), rows, ()) = try_join!(opening.send(client), client.query(&appended, &parameters), client.batch_execute("COMMIT"))?;
    outcomes(steps, &rows)
}

/// The same where the messages have to be read first. After an error the transaction is still to be ended.
async fn change_and_append(client: &Object, batch: &[&New], opening: &Opening<'_>) -> Result<Vec<Outcome>, Failure> {
    let found = client.prepare_cached(FIND_MESSAGES).await?;
    let appended = client.prepare_cached(APPEND).await?;
    let wanted = Wanted::of(batch);
    let parameters = wanted.parameters();
    let putters = Putters::of(batch);
    let (prepared, asked) = (client.prepare_cached(reactions::PUT_BY).await?, putters.values());
    let asked: Vec<_> = asked.iter().map(|values| (prepared.clone(), &values[..])).collect();
    let found = async { Ok(client.query(&found, &parameters).await?) };
    let opened = async { Ok(opening.send(client).await?) };
    let ((), rows, put) = try_join!(opened, found, records::run_all(client, &asked))?;
    let steps = decide(batch, putters.give(&put, wanted.targets(&rows)));
    let columns = Columns::new(&steps);
    if columns.rooms.is_empty() {
        client.batch_execute("ROLLBACK").await?;
        return outcomes(steps, &[]);
    }
    let parameters = columns.parameters();
    let made = steps.iter().filter_map(|step| match step {
        Step::Change(altered) => reactions::statement(&altered.new.group, &altered.change),
        _ => None,
    });
    let made: Vec<_> = made.collect();
    let made = records::prepare(client, &made).await?;
    let append = async { Ok(client.query(&appended, &parameters).await?) };
    let commit = async { Ok(client.batch_execute("COMMIT").await?) };
    let (rows, _, ()) = try_join!(append, records::run_all(client, &made), commit)?;
    outcomes(steps, &rows)
}

/// Those who put reactions or take them away, each once for a message.
struct Putters<'b>(Vec<(&'b Group, &'b MessageId, &'b str)>);

impl<'b> Putters<'b> {
    fn of(batch: &[&'b New]) -> Self {
        let mut seen = HashSet::new();
        let putters = batch.iter().filter_map(|new| match new {
            New::Change(NewChange { group, from, change: Change::React { id, .. }, .. }) => {
                Some((group, id, from.id.as_str())).filter(|putter| seen.insert(*putter))
            }
            _ => None,
        });
        Self(putters.collect())
    }

    /// What each is asked for with.
    fn values(&self) -> Vec<Vec<Value>> {
        self.0.iter().map(|(group, id, person)| reactions::by(group, person, id.offset)).collect()
    }

    /// Has the messages know what they have put.
    fn give(&self, answers: &[Written], mut targets: Targets<'b>) -> Targets<'b> {
        for ((group, id, person), Written { rows, .. }) in self.0.iter().zip(answers) {
            if let Some(Ok(target)) = targets.get_mut(&(*group, *id)) {
                let put = rows.iter().filter_map(|row| row.get::<String>(0).ok()?.parse().ok());
                target.put.insert(person, put.collect());
            }
        }
        targets
    }
}

type Parameter<'p> = &'p (dyn ToSql + Sync);

/// The beginning of each transaction.
struct Opening<'b> {
    make: Statement,
    lock: Statement,
    rooms: Vec<&'b str>,
    unknown: Vec<&'b str>,
    epochs: Vec<&'b str>,
}

impl<'b> Opening<'b> {
    async fn new(client: &Object, batch: &[&'b New], unknown: &'b [(&Group, Epoch)]) -> Result<Self, Error> {
        Ok(Self {
            make: client.prepare_cached(MAKE_ROOMS).await?,
            lock: client.prepare_cached(LOCK_ROOMS).await?,
            rooms: batch.iter().map(|new| new.group().as_str()).collect(),
            unknown: unknown.iter().map(|(group, _)| group.as_str()).collect(),
            epochs: unknown.iter().map(|(_, epoch)| epoch.as_str()).collect(),
        })
    }

    /// Its first poll sends all of it.
    async fn send(&self, client: &Object) -> Result<(), Error> {
        let (to_make, to_lock): ([Parameter<'_>; 2], [Parameter<'_>; 1]) = ([&self.unknown, &self.epochs], [&self.rooms]);
        let begun = client.batch_execute("BEGIN");
        try_join!(begun, client.execute(&self.make, &to_make), client.execute(&self.lock, &to_lock))?;
        Ok(())
    }
}

/// The messages that are changed, by their rooms. One that cannot be understood is an error to whoever changes it.
type Targets<'b> = HashMap<(&'b Group, &'b MessageId), Result<Target<'b>, String>>;

/// The messages that have to be read, each once.
#[derive(Default)]
struct Wanted<'b> {
    ids: Vec<(&'b Group, &'b MessageId)>,
    rooms: Vec<&'b str>,
    epochs: Vec<&'b str>,
    offsets: Vec<i64>,
    /// With their texts.
    whole: Vec<bool>,
}

impl<'b> Wanted<'b> {
    fn of(batch: &[&'b New]) -> Self {
        let (mut wanted, mut places) = (Self::default(), HashMap::new());
        for new in batch {
            let New::Change(NewChange { group, change, .. }) = new else { continue };
            let id = change.id();
            let place = *places.entry((group, id)).or_insert_with(|| {
                wanted.ids.push((group, id));
                wanted.rooms.push(group.as_str());
                wanted.epochs.push(id.epoch.as_str());
                wanted.offsets.push(column(id.offset.0));
                wanted.whole.push(false);
                wanted.whole.len() - 1
            });
            wanted.whole[place] |= matches!(change, Change::Edit { .. });
        }
        wanted
    }

    fn parameters(&self) -> [Parameter<'_>; 4] {
        [&self.rooms, &self.epochs, &self.offsets, &self.whole]
    }

    /// What the database has of them.
    fn targets(&self, rows: &[Row]) -> Targets<'b> {
        let target = |row: &Row| {
            let number = usize::try_from(row.get::<_, i64>(11) - 1).ok()?;
            let (group, id) = *self.ids.get(number)?;
            Some(((group, id), Target::read(row, &id.epoch).map_err(|cause| cause.to_string())))
        };
        rows.iter().filter_map(target).collect()
    }
}

/// What is done with each of the batch, up to the first that has to wait for those before it.
fn decide<'b>(batch: &[&'b New], mut targets: Targets<'b>) -> Vec<Step<'b>> {
    let mut steps = Vec::with_capacity(batch.len());
    let mut spoken = HashSet::new();
    for (number, new) in batch.iter().enumerate() {
        steps.push(match new {
            New::Message(message) => {
                spoken.insert(&message.group);
                Step::Message(message)
            }
            New::Change(change) => match targets.get_mut(&(&change.group, change.change.id())) {
                Some(Ok(target)) => target.change(change, number),
                Some(Err(cause)) => Step::Settled(StoreError::unavailable(cause.clone()).into()),
                // It may be about one of these messages.
                None if spoken.contains(&change.group) => break,
                None => Step::Settled(ChangeError::Refused(Refused::NotFound)),
            },
        });
    }
    for target in targets.into_values().flatten() {
        if let Standing::With(number) = target.changed
            && let Some(Step::Change(altered)) = steps.get_mut(number)
        {
            altered.becomes = Some(target.state());
        }
    }
    steps
}

/// The parameters of [`APPEND`]: what gets a place, in order.
#[derive(Default)]
struct Columns<'p> {
    rooms: Vec<&'p str>,
    digests: Vec<Option<Vec<u8>>>,
    keys: Vec<Option<&'p str>>,
    author_ids: Vec<Option<Cow<'p, str>>>,
    author_names: Vec<Option<Cow<'p, str>>>,
    texts: Vec<Option<Cow<'p, str>>>,
    times: Vec<i64>,
    targets: Vec<Option<i64>>,
    kinds: Vec<Option<&'static str>>,
    emoji: Vec<Option<&'p str>>,
    edited: Vec<Option<i64>>,
    deleted: Vec<Option<bool>>,
    reactions: Vec<Option<&'p str>>,
    unnamed: Vec<Option<Vec<u8>>>,
}

impl<'p> Columns<'p> {
    fn new(steps: &'p [Step<'_>]) -> Self {
        let mut columns = Self::default();
        for step in steps {
            match step {
                Step::Message(message) => columns.message(message),
                Step::Change(altered) => columns.change(altered),
                Step::Already(..) | Step::Settled(_) => {}
            }
        }
        columns
    }

    fn message(&mut self, message: &'p NewMessage) {
        self.rooms.push(message.group.as_str());
        self.digests.push(Some(digest(&message.from.id, message.key.as_str())));
        self.keys.push(Some(message.key.as_str()));
        self.author_ids.push(Some(escape(&message.from.id)));
        self.author_names.push(Some(escape(&message.from.name)));
        self.texts.push(Some(escape(&message.text)));
        self.times.push(message.at.as_millis());
        self.targets.push(None);
        self.kinds.push(None);
        self.emoji.push(None);
        self.edited.push(None);
        self.deleted.push(None);
        self.reactions.push(None);
        self.unnamed.push(None);
    }

    fn change(&mut self, Altered { new, change, becomes, .. }: &'p Altered<'_>) {
        let (emoji, from) = reaction_of(change).unzip();
        let state = becomes.as_ref();
        self.rooms.push(new.group.as_str());
        self.digests.push(None);
        self.keys.push(None);
        self.author_ids.push(from.map(|from| escape(&from.id)));
        self.author_names.push(from.map(|from| escape(&from.name)));
        self.texts.push(state.and_then(|state| state.text.as_deref()).map(escape));
        self.times.push(new.at.as_millis());
        self.targets.push(Some(column(new.change.id().offset.0)));
        self.kinds.push(Some(kind_of(change)));
        self.emoji.push(emoji.map(Emoji::as_str));
        self.edited.push(state.and_then(|state| state.edited).map(Timestamp::as_millis));
        self.deleted.push(state.map(|state| state.deleted));
        self.reactions.push(state.and_then(|state| state.reactions.as_deref()));
        self.unnamed.push(state.and_then(|state| state.unnamed.to_bytes()));
    }

    fn parameters(&self) -> [Parameter<'_>; 14] {
        let Self { rooms, digests, keys, author_ids, author_names, texts, times, .. } = self;
        let Self { targets, kinds, emoji, edited, deleted, reactions, unnamed, .. } = self;
        [
            rooms,
            digests,
            keys,
            author_ids,
            author_names,
            texts,
            times,
            targets,
            kinds,
            emoji,
            edited,
            deleted,
            reactions,
            unnamed,
        ]
    }
}

/// What became of each step, from the places of those that have one.
fn outcomes(steps: Vec<Step<'_>>, rows: &[Row]) -> Result<Vec<Outcome>, Failure> {
    // Somebody has taken rooms away that are remembered.
    let lost = || StoreError::unavailable("the database has lost rooms");
    if rows.len() != steps.iter().filter(|step| matches!(step, Step::Message(_) | Step::Change(_))).count() {
        return Err(Failure::Damaged(lost()));
    }
    let mut rows = rows.iter();
    let mut place = || {
        let row = rows.next().ok_or_else(lost)?;
        Ok::<(_, bool), StoreError>((Position { epoch: name(row, 0)?, offset: offset(row, 1)? }, row.get(2)))
    };
    // Rooms in which the newest message is one of the batch.
    let mut spoken = HashSet::new();
    let (mut offsets, mut outcomes) = (Vec::with_capacity(steps.len()), Vec::with_capacity(steps.len()));
    for step in steps {
        let placed = match step {
            Step::Settled(refused) => Err(refused),
            Step::Already(epoch, Standing::At(offset)) => Ok(Outcome::already(Position { epoch, offset })),
            Step::Already(epoch, Standing::With(number)) => {
                let stands: Option<Offset> = offsets.get(number).copied().flatten();
                stands.map(|offset| Outcome::already(Position { epoch, offset })).ok_or_else(|| lost().into())
            }
            Step::Message(message) => place().map_err(ChangeError::from).map(|(position, fresh)| {
                if !fresh {
                    return Outcome::already(position);
                }
                spoken.insert(message.group.clone());
                let entry = message.clone().stored_at(&position).into();
                Outcome::Made(Box::new(Made { epoch: position.epoch, entry, latest: None }))
            }),
            Step::Change(altered) => place().map_err(ChangeError::from).map(|(position, _)| {
                let Altered { new, change, latest, .. } = *altered;
                let entry = Entry { offset: position.offset, what: What::Change(change) };
                let mut latest = latest.filter(|_| !spoken.contains(&new.group));
                if let Some(latest) = &mut latest {
                    latest.message.content.changed = Some(position.offset);
                }
                Outcome::Made(Box::new(Made { epoch: position.epoch, entry, latest }))
            }),
        };
        let outcome = placed.unwrap_or_else(|cause| Outcome::Settled(Err(cause)));
        offsets.push(outcome.offset());
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// What makes a message the same one within its room.
pub(super) fn digest(author: &str, key: &str) -> Vec<u8> {
    let length = (author.len() as u64).to_le_bytes();
    Sha256::new().chain_update(length).chain_update(author).chain_update(key).finalize().to_vec()
}
