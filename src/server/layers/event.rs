//! What travels on a channel: a map with string keys that says by its `type` what it is.
//!
//! The values are those of the channel layer specification, so that an event means the same in every backend and in a Python
//! process: nothing, booleans, signed 64-bit integers, 64-bit floats, text, bytes, lists and maps. Keys are kept in
//! their sorted order: the order says nothing, and two events are equal when they have equal values.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use thiserror::Error;

const TYPE: &str = "type";

/// A value in an [`Event`].
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    Bytes(Bytes),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// About how much memory it takes, in bytes.
    pub fn weight(&self) -> usize {
        /// A value beside its text, and a key's place in a map.
        const REST: usize = 48;
        REST + match self {
            Self::Nil | Self::Bool(_) | Self::Int(_) | Self::Float(_) => 0,
            Self::Str(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::List(values) => values.iter().map(Self::weight).sum(),
            Self::Map(values) => weight(values),
        }
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// The integer, if it is one.
    pub fn as_i64(&self) -> Option<i64> {
        if let Self::Int(value) = self { Some(*value) } else { None }
    }

    /// The integer, if it is one and not below zero.
    pub fn as_u64(&self) -> Option<u64> {
        self.as_i64()?.try_into().ok()
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Str(value) = self { Some(value) } else { None }
    }

    /// The bytes, if it is bytes; text is not.
    pub fn as_bytes(&self) -> Option<&Bytes> {
        if let Self::Bytes(value) = self { Some(value) } else { None }
    }

    /// The map, if it is one.
    pub fn as_map(&self) -> Option<&BTreeMap<String, Value>> {
        if let Self::Map(value) = self { Some(value) } else { None }
    }

    /// As JSON: bytes become their base64 text (standard alphabet, padded); a float that JSON cannot write (infinite, not a number)
    /// becomes `null`.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Nil => serde_json::Value::Null,
            Self::Bool(value) => (*value).into(),
            Self::Int(value) => (*value).into(),
            Self::Float(value) => (*value).into(),
            Self::Str(value) => value.as_str().into(),
            Self::Bytes(value) => BASE64_STANDARD.encode(value).into(),
            Self::List(values) => values.iter().map(Self::to_json).collect(),
            Self::Map(values) => values.iter().map(|(key, value)| (key.as_str(), value.to_json())).collect(),
        }
    }

    /// From JSON. Text stays text, also where it was once bytes.
    ///
    /// # Errors
    /// [`InvalidEvent::Number`] for an integer over the largest signed one of 64 bits.
    pub fn from_json(json: serde_json::Value) -> Result<Self, InvalidEvent> {
        Ok(match json {
            serde_json::Value::Null => Self::Nil,
            serde_json::Value::Bool(value) => Self::Bool(value),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(integer) => Self::Int(integer),
                None if number.is_u64() => return Err(InvalidEvent::Number(number.to_string())),
                None => Self::Float(number.as_f64().ok_or_else(|| InvalidEvent::Number(number.to_string()))?),
            },
            serde_json::Value::String(value) => Self::Str(value),
            serde_json::Value::Array(values) => Self::List(values.into_iter().map(Self::from_json).collect::<Result<_, _>>()?),
            serde_json::Value::Object(values) => Self::Map(map_from_json(values)?),
        })
    }
}

fn map_from_json(values: serde_json::Map<String, serde_json::Value>) -> Result<BTreeMap<String, Value>, InvalidEvent> {
    values.into_iter().map(|(key, value)| Ok((key, Value::from_json(value)?))).collect()
}

fn weight(values: &BTreeMap<String, Value>) -> usize {
    values.iter().map(|(key, value)| key.len() + value.weight()).sum()
}

/// `Value: From<T>` by a variant's name.
macro_rules! value_from {
    ($($from:ty => $variant:ident),* $(,)?) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}

value_from! {
    bool => Bool,
    i32 => Int,
    i64 => Int,
    u32 => Int,
    f64 => Float,
    &str => Str,
    String => Str,
    Bytes => Bytes,
    Vec<Value> => List,
    BTreeMap<String, Value> => Map,
}

impl TryFrom<u64> for Value {
    type Error = InvalidEvent;

    fn try_from(value: u64) -> Result<Self, InvalidEvent> {
        value.try_into().map(Self::Int).map_err(|_| InvalidEvent::Number(value.to_string()))
    }
}

/// Why something cannot be an [`Event`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidEvent {
    /// It is no map at all.
    #[error("an event is an object")]
    NoMap,
    /// There is no `type`, or it is no text.
    #[error("an event has a \"type\" that is a string")]
    NoType,
    /// The number is outside what signed 64-bit integers and 64-bit floats can hold.
    #[error("{0} is not a signed 64-bit integer or a 64-bit float")]
    Number(String),
}

/// A message of the channel layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    kind: String,
    /// All but the `type`.
    fields: BTreeMap<String, Value>,
}

impl Event {
    /// An event of this `type` with nothing else in it.
    pub fn new(kind: impl Into<String>) -> Self {
        Self { kind: kind.into(), fields: BTreeMap::new() }
    }

    /// The same with `value` under `key`, instead of what may have been there. The `type` is set by [`Event::new`] and cannot be
    /// set here: under this key the value is left out.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        let key = key.into();
        if key != TYPE {
            self.fields.insert(key, value.into());
        }
        self
    }

    /// From a whole map, `type` included, as it comes from outside.
    ///
    /// # Errors
    /// [`InvalidEvent::NoType`].
    pub fn from_map(mut map: BTreeMap<String, Value>) -> Result<Self, InvalidEvent> {
        match map.remove(TYPE) {
            Some(Value::Str(kind)) => Ok(Self { kind, fields: map }),
            _ => Err(InvalidEvent::NoType),
        }
    }

    /// The `type`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The value under `key`; the `type` is not among them.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.fields.get(key)
    }

    /// The text under `key`, if there is one.
    pub fn get_str(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    /// The integer under `key`, if there is one.
    pub fn get_i64(&self, key: &str) -> Option<i64> {
        self.get(key)?.as_i64()
    }

    /// The integer under `key`, if there is one and it is not below zero.
    pub fn get_u64(&self, key: &str) -> Option<u64> {
        self.get(key)?.as_u64()
    }

    /// The truth value under `key`, if there is one.
    pub fn get_bool(&self, key: &str) -> Option<bool> {
        self.get(key)?.as_bool()
    }

    /// The bytes under `key`, if there are any.
    pub fn get_bytes(&self, key: &str) -> Option<&Bytes> {
        self.get(key)?.as_bytes()
    }

    /// All but the `type`, by key.
    pub fn fields(&self) -> &BTreeMap<String, Value> {
        &self.fields
    }

    /// About how much memory it takes, in bytes.
    pub fn weight(&self) -> usize {
        self.kind.len() + weight(&self.fields)
    }

    /// As a JSON object, the `type` first; see [`Value::to_json`].
    pub fn to_json(&self) -> serde_json::Value {
        let kind = (TYPE, self.kind.as_str().into());
        std::iter::once(kind).chain(self.fields.iter().map(|(key, value)| (key.as_str(), value.to_json()))).collect()
    }

    /// From a JSON object with a `type` that is a string.
    ///
    /// # Errors
    /// [`InvalidEvent`] says what is missing or out of range.
    pub fn from_json(json: serde_json::Value) -> Result<Self, InvalidEvent> {
        match json {
            serde_json::Value::Object(values) => Self::from_map(map_from_json(values)?),
            _ => Err(InvalidEvent::NoMap),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_there_and_back() {
        let json = json!({
            "type": "chat.message", "nil": null, "yes": true, "least": i64::MIN, "most": i64::MAX, "half": 0.5, "whole": 1.0,
            "text": "Grüße \u{1f980} \u{0}", "list": [1, [], {}], "map": {"type": 1, "": {"deep": [null]}},
        });
        let event = Event::from_json(json.clone()).unwrap();
        assert_eq!(event.kind(), "chat.message");
        assert_eq!(event.get("whole"), Some(&Value::Float(1.0)));
        assert_eq!(event.to_json(), json);
    }

    #[test]
    fn what_is_no_event_is_refused_with_the_reason() {
        for (json, reason) in [
            (json!([1]), "an event is an object"),
            (json!("chat.message"), "an event is an object"),
            (json!({}), "an event has a \"type\" that is a string"),
            (json!({"type": 1}), "an event has a \"type\" that is a string"),
            (
                json!({"type": "a", "n": [{"n": u64::MAX}]}),
                "18446744073709551615 is not a signed 64-bit integer or a 64-bit float",
            ),
        ] {
            assert_eq!(Event::from_json(json.clone()).map_err(|e| e.to_string()), Err(reason.to_owned()), "{json}");
        }
    }

    #[test]
    fn bytes_and_floats_that_json_does_not_know() {
        let event = Event::new("a").with("bytes", Bytes::from_static(&[0, 255, 254])).with("nan", f64::NAN);
        assert_eq!(event.to_json(), json!({"type": "a", "bytes": "AP/+", "nan": null}));
    }

    #[test]
    fn values_are_read_as_what_they_are() {
        let event = Event::new("a").with("text", "x").with("minus", -1).with("one", 1).with("yes", true);
        let event = event.with("bytes", Bytes::from_static(b"x")).with("map", BTreeMap::from([("k".to_owned(), 1.into())]));
        assert_eq!((event.get_str("text"), event.get_str("bytes"), event.get_str("none")), (Some("x"), None, None));
        assert_eq!((event.get_u64("one"), event.get_u64("minus"), event.get_i64("minus")), (Some(1), None, Some(-1)));
        assert_eq!((event.get_i64("text"), event.get_bool("yes"), event.get_bool("one")), (None, Some(true), None));
        assert_eq!((event.get_bytes("bytes"), event.get_bytes("text")), (Some(&Bytes::from_static(b"x")), None));
        assert_eq!(event.get("map").and_then(Value::as_map).and_then(|map| map["k"].as_i64()), Some(1));
        assert_eq!((Value::try_from(7_u64), Value::try_from(1_u64 << 63).is_err()), (Ok(Value::Int(7)), true));
    }

    #[test]
    fn the_type_stays_what_it_is() {
        let event = Event::new("a").with("type", 1).with("x", 1).with("x", 2);
        assert_eq!(event.to_json(), json!({"type": "a", "x": 2}));
        assert_eq!((event.get("type"), event.fields().len()), (None, 1));
    }
}
