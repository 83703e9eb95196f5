//! An event as bytes: serialized, then encrypted.

/// How an event becomes bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Serializer {
    #[default]
    Msgpack,
    Json,
}
