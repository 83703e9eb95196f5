//! Events in msgpack, as Python's `msgpack` packs and unpacks them with its defaults.
//!
//! Written: text as `str`, bytes as `bin`, integers as short as they go, floats always in 64 bits. Read: whatever of msgpack has a
//! meaning in the channel layer, keys that are bytes included; extensions and integers beyond 64 signed bits have none.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use rmp::{Marker, encode};
use thiserror::Error;

use crate::server::layers::Value;

/// How deep lists and maps may be in each other.
const DEEPEST: usize = 128;

/// Why bytes are no value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Malformed {
    /// The bytes end in the middle of a value.
    #[error("the msgpack ends in the middle of a value")]
    Short,
    /// There are so many bytes behind the value.
    #[error("{0} bytes follow the msgpack")]
    Rest(usize),
    /// Lists and maps in each other, deeper than a bound.
    #[error("lists and maps are more than {DEEPEST} deep")]
    Deep,
    /// Text, or a key, that is not UTF-8.
    #[error("text in the msgpack is not UTF-8")]
    NotUtf8,
    /// A key that is neither text nor bytes.
    #[error("a key in the msgpack is no text")]
    Key,
    /// An integer above the largest signed one of 64 bits.
    #[error("{0} is no signed 64-bit integer")]
    Large(u64),
    /// A type that events do not have.
    #[error("the msgpack has an extension type")]
    Type,
}

pub(super) fn write_map_len(out: &mut Vec<u8>, length: usize) {
    infallible(encode::write_map_len(out, length as u32));
}

pub(super) fn write_array_len(out: &mut Vec<u8>, length: usize) {
    infallible(encode::write_array_len(out, length as u32));
}

pub(super) fn write_str(out: &mut Vec<u8>, text: &str) {
    infallible(encode::write_str(out, text));
}

pub(super) fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Nil => infallible(encode::write_nil(out)),
        Value::Bool(value) => infallible(encode::write_bool(out, *value)),
        Value::Int(value) => infallible(encode::write_sint(out, *value)),
        Value::Float(value) => infallible(encode::write_f64(out, *value)),
        Value::Str(text) => write_str(out, text),
        Value::Bytes(bytes) => infallible(encode::write_bin(out, bytes)),
        Value::List(values) => {
            write_array_len(out, values.len());
            for value in values {
                write(out, value);
            }
        }
        Value::Map(values) => {
            write_map_len(out, values.len());
            for (key, value) in values {
                write_str(out, key);
                write(out, value);
            }
        }
    }
}

fn infallible<T, E: fmt::Debug>(written: Result<T, E>) {
    written.expect("memory takes all bytes"); // never: writing into a Vec does not fail
}

/// The one value that the bytes are.
pub(super) fn read(bytes: &[u8]) -> Result<Value, Malformed> {
    let mut reader = Reader { rest: bytes };
    let value = reader.value(0)?;
    if reader.rest.is_empty() { Ok(value) } else { Err(Malformed::Rest(reader.rest.len())) }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed::Short)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<usize, Malformed> {
        Ok(u8::from_be_bytes(self.number()?).into())
    }

    fn u16(&mut self) -> Result<usize, Malformed> {
        Ok(u16::from_be_bytes(self.number()?).into())
    }

    fn u32(&mut self) -> Result<usize, Malformed> {
        Ok(u32::from_be_bytes(self.number()?) as usize)
    }

    fn value(&mut self, depth: usize) -> Result<Value, Malformed> {
        if depth > DEEPEST {
            return Err(Malformed::Deep);
        }
        let [marker] = self.number()?;
        Ok(match Marker::from_u8(marker) {
            Marker::Null => Value::Nil,
            Marker::True => Value::Bool(true),
            Marker::False => Value::Bool(false),
            Marker::FixPos(value) => Value::Int(value.into()),
            Marker::FixNeg(value) => Value::Int(value.into()),
            Marker::U8 => Value::Int(u8::from_be_bytes(self.number()?).into()),
            Marker::U16 => Value::Int(u16::from_be_bytes(self.number()?).into()),
            Marker::U32 => Value::Int(u32::from_be_bytes(self.number()?).into()),
            Marker::U64 => {
                let number = u64::from_be_bytes(self.number()?);
                Value::Int(i64::try_from(number).map_err(|_| Malformed::Large(number))?)
            }
            Marker::I8 => Value::Int(i8::from_be_bytes(self.number()?).into()),
            Marker::I16 => Value::Int(i16::from_be_bytes(self.number()?).into()),
            Marker::I32 => Value::Int(i32::from_be_bytes(self.number()?).into()),
            Marker::I64 => Value::Int(i64::from_be_bytes(self.number()?)),
            Marker::F32 => Value::Float(f32::from_be_bytes(self.number()?).into()),
            Marker::F64 => Value::Float(f64::from_be_bytes(self.number()?)),
            Marker::Bin8 => self.u8().and_then(|length| self.bytes(length))?,
            Marker::Bin16 => self.u16().and_then(|length| self.bytes(length))?,
            Marker::Bin32 => self.u32().and_then(|length| self.bytes(length))?,
            Marker::FixArray(length) => self.list(length.into(), depth)?,
            Marker::Array16 => self.u16().and_then(|length| self.list(length, depth))?,
            Marker::Array32 => self.u32().and_then(|length| self.list(length, depth))?,
            Marker::FixMap(length) => self.map(length.into(), depth)?,
            Marker::Map16 => self.u16().and_then(|length| self.map(length, depth))?,
            Marker::Map32 => self.u32().and_then(|length| self.map(length, depth))?,
            marker => match self.text_length(marker)? {
                Some(length) => Value::Str(self.text(length)?),
                None => return Err(Malformed::Type),
            },
        })
    }

    /// The length of a text with this marker; none if it marks something else.
    fn text_length(&mut self, marker: Marker) -> Result<Option<usize>, Malformed> {
        Ok(Some(match marker {
            Marker::FixStr(length) => length.into(),
            Marker::Str8 => self.u8()?,
            Marker::Str16 => self.u16()?,
            Marker::Str32 => self.u32()?,
            _ => return Ok(None),
        }))
    }

    fn text(&mut self, length: usize) -> Result<String, Malformed> {
        let bytes = self.take(length)?;
        str::from_utf8(bytes).map(str::to_owned).map_err(|_| Malformed::NotUtf8)
    }

    fn bytes(&mut self, length: usize) -> Result<Value, Malformed> {
        Ok(Value::Bytes(Bytes::copy_from_slice(self.take(length)?)))
    }

    fn list(&mut self, length: usize, depth: usize) -> Result<Value, Malformed> {
        // Every value has at least a byte: a length that promises more is not believed.
        let mut values = Vec::with_capacity(length.min(self.rest.len()));
        for _ in 0..length {
            values.push(self.value(depth + 1)?);
        }
        Ok(Value::List(values))
    }

    fn map(&mut self, length: usize, depth: usize) -> Result<Value, Malformed> {
        let mut values = BTreeMap::new();
        for _ in 0..length {
            let key = self.key()?;
            values.insert(key, self.value(depth + 1)?);
        }
        Ok(Value::Map(values))
    }

    fn key(&mut self) -> Result<String, Malformed> {
        let [marker] = self.number()?;
        let length = match Marker::from_u8(marker) {
            Marker::Bin8 => self.u8()?,
            Marker::Bin16 => self.u16()?,
            Marker::Bin32 => self.u32()?,
            marker => self.text_length(marker)?.ok_or(Malformed::Key)?,
        };
        self.text(length)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
    }

    #[test]
    fn what_is_malformed_is_refused_with_the_reason() {
        for (bytes, reason) in [
            ("", Malformed::Short),
            ("a5616263", Malformed::Short),
            ("ddffffffff", Malformed::Short),
            ("dfffffffffa161", Malformed::Short),
            ("c6ffffffff00", Malformed::Short),
            ("c0c0", Malformed::Rest(1)),
            ("a2c328", Malformed::NotUtf8),
            ("8101c0", Malformed::Key),
            ("cfffffffffffffffff", Malformed::Large(u64::MAX)),
            ("d40100", Malformed::Type),
            ("c1", Malformed::Type),
        ] {
            assert_eq!(read(&hex(bytes)), Err(reason), "{bytes}");
        }
        let mut deep = vec![0x91; DEEPEST + 2];
        deep.push(0xc0);
        assert_eq!(read(&deep), Err(Malformed::Deep));
        assert!(read(&deep[2..]).is_ok());
    }

    #[test]
    fn keys_may_be_bytes_and_floats_short() {
        let map = read(&hex("82c40161ca3fc00000a16201")).unwrap();
        assert_eq!(map, Value::Map([("a".to_owned(), 1.5.into()), ("b".to_owned(), 1.into())].into()));
    }

    /// Any value.
    pub(in crate::server::layers::redis) fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Nil),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            (-200_i64..300).prop_map(Value::Int),
            any::<f64>().prop_filter("equal to itself", |float| !float.is_nan()).prop_map(Value::Float),
            ".{0,40}".prop_map(Value::Str),
            proptest::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| Value::Bytes(bytes.into())),
        ];
        leaf.prop_recursive(4, 64, 20, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..20).prop_map(Value::List),
                proptest::collection::btree_map(".{0,8}", inner, 0..20).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in value()) {
            let mut bytes = Vec::new();
            write(&mut bytes, &value);
            prop_assert_eq!(read(&bytes), Ok(value));
        }

        #[test]
        fn no_bytes_are_a_danger(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            // Whether they are something or nothing: there is an answer.
            let _ = read(&bytes);
        }
    }
}
