//! The wire forms: how an event of a group looks to the members that read it.

use std::{cell::OnceCell, sync::Arc, time::Instant};

use crate::{
    server::{
        layers,
        rooms::{PlainMessage, Read, read_event},
        settings::RoomEvents,
        store::{Entry, What},
        transports::websocket::{Deflate, Frame, SharedFrame},
    },
    wire::{Change, Epoch, Event, Group, Position, Push, RoomSummary, ServerFrame, Topic},
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

/// An event of a topic, encoded when the first member asks for its form and shared by all others that read it.
pub(super) struct Broadcast {
    /// When it came to its group.
    pub(super) arrived: Instant,
    pub(super) position: Option<Position>,
    /// Of a room of the list: see [`Read`].
    latest_since: Option<Position>,
    plain: Option<PlainMessage>,
    push: Push,
    plain_frame: OnceCell<Option<SharedFrame>>,
    v1_frame: OnceCell<SharedFrame>,
}

impl Broadcast {
    /// `events` says how a room's events are read; none elsewhere.
    pub(super) fn new(topic: &Topic, event: &Arc<layers::Event>, events: Option<&RoomEvents>, arrived: Instant) -> Self {
        let Read { position, latest_since, plain, event } = read_event(event, events);
        Self { arrived, latest_since, ..Self::of(topic, position, plain, event) }
    }

    /// An entry as the store has it, with the same frames as the event that the layer had for it, as long as nothing was done to it
    /// since.
    pub(super) fn stored(topic: &Topic, epoch: &Epoch, Entry { offset, what }: Entry) -> Self {
        let plain = match &what {
            What::Message(message) if !message.content.deleted => Some(PlainMessage::Text(message.content.text.clone())),
            What::Message(_) | What::Change(_) => None,
        };
        Self::of(topic, Some(Position { epoch: epoch.clone(), offset }), plain, what.into())
    }

    /// A room of the list as it stands.
    pub(super) fn room(topic: &Topic, room: RoomSummary) -> Self {
        Self::of(topic, None, None, Event::Room(room))
    }

    /// Something that is not kept and that the server says by itself; plain clients are not told.
    pub(super) fn passing(topic: &Topic, event: Event) -> Self {
        Self::of(topic, None, None, event)
    }

    fn of(topic: &Topic, position: Option<Position>, plain: Option<PlainMessage>, event: Event) -> Self {
        let offset = position.as_ref().map(|position| position.offset);
        let push = Push { topic: topic.clone(), offset, event };
        let (arrived, latest_since) = (Instant::now(), None);
        Self { arrived, position, latest_since, plain, push, plain_frame: OnceCell::new(), v1_frame: OnceCell::new() }
    }

    /// The same as something that has no place in this node's stream.
    pub(super) fn without_position(mut self) -> Self {
        self.position = None;
        self.push.offset = None;
        self.v1_frame = OnceCell::new();
        self
    }

    /// Of which room in the list of rooms it tells, and which entry made the room's latest message what it says.
    pub(super) fn listed(&self) -> Option<(&Group, &Position)> {
        if let Event::Room(room) = &self.push.event { Some((&room.group, self.latest_since.as_ref()?)) } else { None }
    }

    /// About how much memory it takes, in bytes; what has a position is a message or a change.
    pub(super) fn weight(&self) -> usize {
        const REST: usize = 512;
        match &self.plain {
            Some(PlainMessage::Text(text)) => 2 * text.len() + REST,
            Some(PlainMessage::Binary(bytes)) => bytes.len() + REST,
            None => match &self.push.event {
                Event::Change(Change::Edit { text, .. }) => text.len() + REST,
                _ => REST,
            },
        }
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
            Form::V1 => self.v1_frame.get_or_init(|| SharedFrame::new(v1(&ServerFrame::Push(self.push.clone())))),
        };
        Some(frame.fitted(deflate))
    }
}

/// A message of `confab.v1`.
pub(in crate::server) fn v1(message: &ServerFrame) -> Frame {
    // never: the types of the wire have string keys and no fallible serializers
    Frame::text(&serde_json::to_string(message).expect("the wire is JSON")) // never: see above
}
