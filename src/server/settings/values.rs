//! Values on their way in: whatever the source, a tree in which every value knows its key and its place.

use std::{fmt::Display, ops::RangeInclusive, sync::Arc};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    mistakes::{Mistake, Mistakes, Place, nearest, printable},
    secrets::masked,
};

/// What a list of texts is like.
pub(super) const TEXTS: &str = r#"a list of texts, like ["...", "..."]"#;

/// How much of a wrong value is shown.
const LONGEST_SHOWN: usize = 80;

pub(super) enum Raw {
    Text(String),
    Whole(i128),
    Truth(bool),
    List(Vec<Node>),
    /// In the order of the source.
    Table(Vec<(String, Node)>),
    /// What no setting is, under its name.
    Other(&'static str),
}

impl Raw {
    fn name(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Whole(_) => "a number",
            Self::Truth(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(name) => name,
        }
    }
}

pub(super) struct Node {
    /// `limits.message_bytes`, `rooms[0].match`; empty at the root.
    pub(super) path: String,
    pub(super) place: Place,
    pub(super) raw: Raw,
}

impl Node {
    /// The tree of a TOML document. `name` is the file's, for messages.
    ///
    /// # Errors
    /// The first place that is not TOML: what follows it may be meant otherwise than it reads.
    pub(super) fn from_toml(name: &Arc<str>, text: &str) -> Result<Self, Mistakes> {
        let file = TomlFile { name, text };
        let (document, errors) = DeTable::parse_recoverable(text);
        let start = |error: &toml::de::Error| error.span().map_or(0, |span| span.start);
        if let Some(first) = errors.iter().min_by_key(|error| start(error)) {
            let says = format!("this is not TOML: {}", printable(first.message()));
            return Err(Mistake { place: file.line(start(first)), says }.into());
        }
        Ok(Node { path: String::new(), place: file.line(0), raw: file.table("", document.get_ref()) })
    }

    /// The tree of a JSON value, all of it from one place.
    pub(super) fn from_json(path: String, place: &Place, json: serde_json::Value) -> Self {
        use serde_json::Value;
        let raw = match json {
            Value::Null => Raw::Other("null"),
            Value::Bool(truth) => Raw::Truth(truth),
            Value::Number(number) => number.as_i128().map_or(Raw::Other("a fraction"), Raw::Whole),
            Value::String(text) => Raw::Text(text),
            Value::Array(items) => {
                let item = |(at, item)| Self::from_json(element(&path, at), place, item);
                Raw::List(items.into_iter().enumerate().map(item).collect())
            }
            Value::Object(fields) => {
                let field = |(name, value): (String, Value)| {
                    let path = child(&path, &name);
                    (name, Self::from_json(path, place, value))
                };
                Raw::Table(fields.into_iter().map(field).collect())
            }
        };
        Self { path, place: place.clone(), raw }
    }

    /// A mistake at this value.
    pub(super) fn mistake(&self, says: impl Display) -> Mistakes {
        Mistake { place: self.place.clone(), says: format!("{} {says}", self.path) }.into()
    }

    /// The mistake that the value is no `needed`. Does not show the value: it may be a secret where none is expected.
    pub(super) fn must_be(&self, needed: &str) -> Mistakes {
        self.mistake(format_args!("must be {needed}, not {}", self.raw.name()))
    }

    /// The mistake that there is no such setting in `section` (empty: the root), which has `names`; `known` are all paths that may
    /// have been meant.
    pub(super) fn unknown<'a>(&self, section: &str, names: &[&str], known: impl Iterator<Item = &'a str>) -> Mistakes {
        let section = if section.is_empty() { "the file" } else { section };
        match nearest(&self.path, known) {
            Some(meant) => self.mistake(format_args!("is not a setting; did you mean {meant}?")),
            None => self.mistake(format_args!("is not a setting; {section} has {}", names.join(", "))),
        }
    }

    /// A text that `parse` accepts.
    pub(super) fn parsed<T, E: Display>(&self, parse: impl FnOnce(&str) -> Result<T, E>) -> Result<T, Mistakes> {
        let Raw::Text(text) = &self.raw else { return Err(self.must_be("a text in quotes")) };
        parse(text).map_err(|needed| self.mistake(format_args!("cannot be {}: {needed}", shown(text))))
    }

    /// A secret that `parse` accepts: the mistake does not show it.
    pub(super) fn secret<T, E: Display>(&self, parse: impl FnOnce(&str) -> Result<T, E>) -> Result<T, Mistakes> {
        let Raw::Text(text) = &self.raw else { return Err(self.must_be("a text in quotes")) };
        parse(text).map_err(|needed| self.mistake(format_args!("cannot be what it is: {needed}")))
    }

    /// A whole number in a range.
    pub(super) fn whole<T: TryFrom<u64>>(&self, range: RangeInclusive<u64>) -> Result<T, Mistakes> {
        self.number(range, "")
    }

    /// A whole number up to `most`, of which 0 means that there is no limit.
    pub(super) fn limit<T: TryFrom<u64>>(&self, most: u64) -> Result<T, Mistakes> {
        self.number(0..=most, " (no limit)")
    }

    /// `first` is what the start of the range means.
    fn number<T: TryFrom<u64>>(&self, range: RangeInclusive<u64>, first: &str) -> Result<T, Mistakes> {
        let found = match &self.raw {
            Raw::Whole(number) => {
                let fits = u64::try_from(*number).ok().filter(|number| range.contains(number));
                match fits.and_then(|number| T::try_from(number).ok()) {
                    Some(good) => return Ok(good),
                    None => number.to_string(),
                }
            }
            Raw::Text(text) => shown(text),
            other => other.name().to_owned(),
        };
        let (least, most) = (range.start(), range.end());
        Err(self.mistake(format_args!("cannot be {found}: a whole number from {least}{first} to {most} is needed")))
    }

    pub(super) fn truth(&self) -> Result<bool, Mistakes> {
        if let Raw::Truth(truth) = self.raw { Ok(truth) } else { Err(self.must_be("true or false")) }
    }

    /// The fields of a table.
    pub(super) fn fields(&self, needed: &str) -> Result<&[(String, Node)], Mistakes> {
        if let Raw::Table(fields) = &self.raw { Ok(fields) } else { Err(self.must_be(needed)) }
    }

    /// What was read of a list, if it is something.
    pub(super) fn at_least_one<T>(&self, list: Vec<T>) -> Result<Vec<T>, Mistakes> {
        if list.is_empty() { Err(self.mistake("cannot be empty: at least one is needed")) } else { Ok(list) }
    }

    /// A list, each element read by `read`, with the mistakes of all elements.
    pub(super) fn list<T>(&self, needed: &str, read: impl Fn(&Node) -> Result<T, Mistakes>) -> Result<Vec<T>, Mistakes> {
        let Raw::List(items) = &self.raw else { return Err(self.must_be(needed)) };
        let mut mistakes = Mistakes::default();
        let good = items.iter().filter_map(|item| mistakes.keep(read(item))).collect();
        mistakes.or(good)
    }
}

/// A text as it stands in a message: in quotes, without passwords, not too long.
fn shown(text: &str) -> String {
    let text = printable(&masked(text));
    match text.char_indices().nth(LONGEST_SHOWN) {
        Some((end, _)) => format!("\"{}...\"", &text[..end]),
        None => format!("\"{text}\""),
    }
}

/// The path of a table's field.
pub(super) fn child(parent: &str, name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let name = if bare { name.to_owned() } else { format!("{name:?}") };
    if parent.is_empty() { name } else { format!("{parent}.{name}") }
}

/// The path of a list's element, from 0.
fn element(parent: &str, at: usize) -> String {
    format!("{parent}[{at}]")
}

struct TomlFile<'a> {
    name: &'a Arc<str>,
    text: &'a str,
}

impl TomlFile<'_> {
    /// The line of a byte.
    fn line(&self, offset: usize) -> Place {
        Place::in_file(self.name, self.text.as_bytes(), offset)
    }

    fn table(&self, path: &str, table: &DeTable<'_>) -> Raw {
        let mut entries: Vec<_> = table.iter().collect();
        // The parser sorts by name; the order of the file is that of the messages and of channel_capacity.
        entries.sort_by_key(|(key, _)| key.span().start);
        let field = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
            let name: &str = AsRef::<str>::as_ref(key.get_ref());
            (name.to_owned(), self.node(child(path, name), key.span().start, value.get_ref()))
        };
        Raw::Table(entries.into_iter().map(field).collect())
    }

    fn node(&self, path: String, offset: usize, value: &DeValue<'_>) -> Node {
        let raw = match value {
            DeValue::String(text) => Raw::Text(text.to_string()),
            DeValue::Integer(number) => {
                // A number that is too large for i128 is too large for every setting as well.
                Raw::Whole(i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX))
            }
            DeValue::Float(_) => Raw::Other("a fraction"),
            DeValue::Boolean(truth) => Raw::Truth(*truth),
            DeValue::Datetime(_) => Raw::Other("a date"),
            DeValue::Array(items) => {
                let item = |(at, item): (usize, &Spanned<_>)| self.node(element(&path, at), item.span().start, item.get_ref());
                Raw::List(items.iter().enumerate().map(item).collect())
            }
            DeValue::Table(table) => self.table(&path, table),
        };
        Node { path, place: self.line(offset), raw }
    }
}
