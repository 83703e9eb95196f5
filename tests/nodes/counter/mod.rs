//! Counters that people press, and from which they can keep each other away: a noun with all that one has.

use std::sync::Arc;

use async_trait::async_trait;
use confab::{
    server::{
        accounts::Asker,
        hub::{Entry, Feed, Missed, Place, Policy, Unavailable},
        layers::Event,
        lease::Taken,
        noun::{Act, Noun, Opened, Parts},
        store::Statement,
    },
    wire::{self, Code, CommandError, OfNoun, Offset, Other, Position, Topic},
};
use serde::Deserialize;
use serde_json::json;

/// What was pressed, in the row of nobody, and who is kept away.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS presses (name TEXT, person TEXT, value BIGINT, PRIMARY KEY (name, person))";
const PRESS: &str = "INSERT INTO presses (name, person, value) VALUES ($1, '', 1)
    ON CONFLICT (name, person) DO UPDATE SET value = presses.value + 1 RETURNING value";
const BAR: &str = "INSERT INTO presses (name, person) VALUES ($1, $2) ON CONFLICT DO NOTHING";

struct Counters(Parts);

/// A counter that is open to somebody.
#[derive(Clone)]
struct Counter {
    parts: Parts,
    topic: Topic,
}

/// `press`; and `bar`, which keeps somebody away.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    topic: Topic,
    person: Option<String>,
}

pub fn make(parts: &Parts) -> Arc<dyn Noun> {
    Arc::new(Counters(parts.clone()))
}

#[async_trait]
impl Noun for Counters {
    fn kind(&self) -> &'static str {
        "counter"
    }

    fn commands(&self) -> &'static [&'static str] {
        &["press", "bar"]
    }

    fn read(&self, command: &Other<'_>) -> Result<Act, CommandError> {
        let Command { topic, person } = command.read()?;
        Ok(Act::new(topic, 16, person.filter(|_| command.name == "bar")))
    }

    async fn open(&self, topic: &OfNoun, asker: Asker<'_>) -> Result<Arc<dyn Opened>, CommandError> {
        self.0.records.write_one(Statement::new(TABLE, [])).await?;
        let sql = "SELECT value FROM presses WHERE name = $1 AND person = $2";
        if !self.0.records.query(sql, &[topic.to_string().into(), asker.person.id.as_str().into()]).await?.is_empty() {
            return Err(CommandError::new(Code::Forbidden, "this counter is not open to you"));
        }
        Ok(Arc::new(Counter { parts: self.0.clone(), topic: Topic::Other(topic.clone()) }))
    }
}

#[async_trait]
impl Opened for Counter {
    fn feed(&self) -> Arc<dyn Feed> {
        Arc::new(self.clone())
    }

    async fn act(&self, act: Act) -> Result<Option<Offset>, CommandError> {
        let Self { parts, topic } = self;
        if let Some(person) = act.what::<Option<String>>()? {
            parts.records.write_one(Statement::new(BAR, [topic.to_string().into(), person.as_str().into()])).await?;
            parts.leases.take_back(&person, Taken::Topic(topic.clone())).await;
            return Ok(None);
        }
        let written = parts.records.write_one(Statement::new(PRESS, [topic.to_string().into()])).await?;
        let value: i64 = written.rows.first().map_or(Ok(0), |row| row.get(0))?;
        parts.tell(topic, Event::new("test.count").with("value", value)).await;
        Ok(Some(Offset(value.cast_unsigned())))
    }
}

#[async_trait]
impl Feed for Counter {
    fn topic(&self) -> &Topic {
        &self.topic
    }

    fn policy(&self) -> Policy {
        Policy::Latest
    }

    fn read(&self, event: &Event) -> Option<Entry> {
        let value = event.get_u64("value")?;
        let shown = json!({"type": "count", "value": value}).as_object().cloned()?;
        let place = Place::Newest(self.topic.to_string().into(), at(value));
        Some(Entry { place, ..Entry::passing(wire::Event::Other(shown)) })
    }

    async fn after(&self, _: Option<Offset>) -> Result<Missed, Unavailable> {
        let sql = "SELECT value FROM presses WHERE name = $1 AND person = ''";
        let rows = self.parts.records.query(sql, &[self.topic.to_string().into()]).await?;
        let value = rows.first().map_or(Ok(0), |row| row.get::<i64>(0))?;
        let entry = self.read(&Event::new("test.count").with("value", value));
        Ok(Missed { head: at(value.cast_unsigned()), entries: entry.into_iter().collect() })
    }
}

/// The version of a counter is its value.
fn at(value: u64) -> Position {
    Position { epoch: "presses".parse().expect("letters"), offset: Offset(value) }
}
