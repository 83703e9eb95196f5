//! An entry of a feed on its way to the members, encoded once for each form that they read.

use std::{cell::OnceCell, time::Instant};

use serde::Serialize;

use super::feed::{Entry, FeedKey, Place, PlainMessage};
use crate::{
    server::websocket::{Deflate, Frame, SharedFrame},
    wire::{Position, Push, ServerFrame, Topic},
};

/// What a connection reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// The text alone.
    Plain,
    /// `confab.v1`.
    V1,
}

/// How a connection takes what it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Encoding {
    pub(super) form: Form,
    pub(super) deflate: Option<Deflate>,
}

/// An entry of a topic, encoded when the first member asks for its form and shared by all others that read it.
pub(super) struct Broadcast {
    /// When it came to its group.
    pub(super) arrived: Instant,
    place: Place,
    weight: usize,
    plain: Option<PlainMessage>,
    push: Push,
    plain_frame: OnceCell<Option<SharedFrame>>,
    v1_frame: OnceCell<SharedFrame>,
}

impl Broadcast {
    pub(super) fn new(topic: &Topic, entry: Entry, arrived: Instant) -> Self {
        let weight = entry.weight();
        let Entry { place, plain, event } = entry;
        let offset = if let Place::At(position) = &place { Some(position.offset) } else { None };
        let push = Push { topic: topic.clone(), offset, event };
        Self { arrived, place, weight, plain, push, plain_frame: OnceCell::new(), v1_frame: OnceCell::new() }
    }

    /// Where it stands in the stream, if it does.
    pub(super) fn position(&self) -> Option<&Position> {
        if let Place::At(position) = &self.place { Some(position) } else { None }
    }

    /// The same as something that has no place in this node's stream.
    pub(super) fn without_position(mut self) -> Self {
        if self.position().is_some() {
            self.place = Place::None;
            self.push.offset = None;
            self.v1_frame = OnceCell::new();
        }
        self
    }

    /// Of which key it says what is newest, and since which version.
    pub(super) fn newest(&self) -> Option<(&FeedKey, &Position)> {
        if let Place::Newest(key, version) = &self.place { Some((key, version)) } else { None }
    }

    /// About how much memory it takes, in bytes.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// The frame for those who take it so; none where the event is nothing to them.
    pub(super) fn frame(&self, Encoding { form, deflate }: Encoding) -> Option<Frame> {
        let frame = match form {
            Form::Plain => {
                let encode = || {
                    self.plain.as_ref().map(|message| match message {
                        PlainMessage::Text(text) => SharedFrame::new(Frame::text(text)),
                        PlainMessage::Binary(bytes) => SharedFrame::new(Frame::binary(bytes)),
                    })
                };
                self.plain_frame.get_or_init(encode).as_ref()?
            }
            Form::V1 => self.v1_frame.get_or_init(|| SharedFrame::new(json(&self.push))),
        };
        Some(frame.fitted(deflate))
    }
}

/// A message of `confab.v1`.
pub(in crate::server) fn v1(message: &ServerFrame) -> Frame {
    json(message)
}

fn json(message: &impl Serialize) -> Frame {
    // never: the types of the wire have string keys and no fallible serializers
    Frame::text(&serde_json::to_string(message).expect("the wire is JSON")) // never: see above
}
