//! Counters that people press, and from which they can keep each other away: a noun with all that one has.

use std::sync::Arc;

use async_trait::async_trait;
use confab::{
    server::noun::{
        Act, Asker, Entry, Event, Feed, Missed, Noun, Opened, Parts, PlainMessage, Policy, Statement, Taken, Unavailable, Why,
    },
    wire::{self, Code, CommandError, Key, OfNoun, Offset, Other, Position, Topic},
};

/// What was pressed, in the row of nobody, and who is kept away.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS presses (name TEXT, person TEXT, value BIGINT, PRIMARY KEY (name, person))";
const PRESS: &str = "INSERT INTO presses (name, person, value) VALUES ($1, '', 1)
    ON CONFLICT (name, person) DO UPDATE SET value = presses.value + 1 RETURNING value";
const VALUE: &str = "SELECT value FROM presses WHERE name = $1 AND person = $2";
const BAR: &str = "INSERT INTO presses (name, person) VALUES ($1, $2) ON CONFLICT DO NOTHING";

struct Counters(Parts);

#[derive(Clone)]
struct Counter(Parts, Topic);

/// `press`; and `bar`, which keeps somebody away, or has everybody (`*`) go.
#[derive(serde::Deserialize)]
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
        if !self.0.records.query(VALUE, &[topic.to_string().into(), asker.person.id.as_str().into()]).await?.is_empty() {
            return Err(CommandError::new(Code::Forbidden, "this counter is not open to you"));
        }
        Ok(Arc::new(Counter(self.0.clone(), Topic::Other(topic.clone()))))
    }
}

#[async_trait]
impl Opened for Counter {
    fn feed(&self) -> Arc<dyn Feed> {
        Arc::new(self.clone())
    }

    async fn act(&self, act: Act) -> Result<Option<Offset>, CommandError> {
        let Some(person) = act.what::<Option<String>>()? else { return press(self).await.map(Some) };
        self.0.records.write_one(Statement::new(BAR, [self.1.to_string().into(), person.as_str().into()])).await?;
        match &*person {
            "*" => self.0.leases.take_from_all(self.1.clone()).await,
            person => self.0.leases.take_back(person, Taken::Topic(self.1.clone(), Why::Unsaid)).await,
        }
        Ok(None)
    }

    fn is_plain(&self) -> bool {
        true
    }

    async fn take(&self, _said: PlainMessage, _key: Key) -> Result<(), CommandError> {
        press(self).await.map(drop)
    }
}

async fn press(Counter(parts, topic): &Counter) -> Result<Offset, CommandError> {
    let written = parts.records.write_one(Statement::new(PRESS, [topic.to_string().into()])).await?;
    let value: i64 = written.rows.first().map_or(Ok(0), |row| row.get(0))?;
    parts.tell(topic, Event::new("test.count").with("value", value)).await;
    Ok(Offset(value.cast_unsigned()))
}

#[async_trait]
impl Feed for Counter {
    fn topic(&self) -> &Topic {
        &self.1
    }

    fn policy(&self) -> Policy {
        Policy::Latest
    }

    fn read(&self, event: &Event) -> Option<Entry> {
        let value = event.get_u64("value")?;
        let shown = serde_json::json!({"type": "count", "value": value}).as_object().cloned()?;
        let plain = Some(PlainMessage::Text(value.to_string()));
        Some(Entry { plain, ..Entry::newest(self.1.to_string(), at(value), wire::Event::Other(shown)) })
    }

    async fn after(&self, _: Option<Offset>) -> Result<Missed, Unavailable> {
        let rows = self.0.records.query(VALUE, &[self.1.to_string().into(), "".into()]).await?;
        let value = rows.first().map_or(Ok(0), |row| row.get::<i64>(0))?;
        let entry = self.read(&Event::new("test.count").with("value", value));
        Ok(Missed { head: at(value.cast_unsigned()), entries: entry.into_iter().collect() })
    }
}

fn at(value: u64) -> Position {
    Position { epoch: "presses".parse().expect("letters"), offset: Offset(value) }
}
