//! The members of a group on this node, and what each of them is sent.
//!
//! A member has a gate. While it is brought level the gate is closed and what is handed out waits there; when it opens, what
//! follows on the answer goes out and what the answer contained does not.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use super::{
    broadcast::{Broadcast, Encoding, Form},
    ordered::Handed,
    outbound::Outbound,
};
use crate::{
    server::websocket::{CloseCode, ConnectionId, Frame},
    wire::Position,
};

/// What may wait at a closed gate, in bytes; a member that needs longer is closed and comes back.
const HELD_BYTES: usize = 4 * 1024 * 1024;

/// So much is written at a stretch, in bytes, which takes less than a millisecond.
const SLICE_BYTES: usize = 1024 * 1024;

/// What is handed out together is sent in one piece up to so many bytes; a piece that has begun to go out is not given up.
const ONE_PIECE: usize = 64 * 1024;

#[derive(Default)]
pub(super) struct Members {
    by_connection: HashMap<ConnectionId, Arc<Member>>,
    /// The same, ready to be walked without the lock; made anew by the first publication after a change.
    snapshot: Option<Arc<[Arc<Member>]>>,
}

impl Members {
    pub(super) fn insert(&mut self, member: &Arc<Member>) {
        self.by_connection.insert(member.outbound.id(), Arc::clone(member));
        self.snapshot = None;
    }

    /// Whether nobody is left.
    pub(super) fn remove(&mut self, member: &Member) -> bool {
        self.by_connection.remove(&member.outbound.id());
        self.snapshot = None;
        self.by_connection.is_empty()
    }

    pub(super) fn count(&self) -> usize {
        self.by_connection.len()
    }

    pub(super) fn snapshot(&mut self) -> Arc<[Arc<Member>]> {
        Arc::clone(self.snapshot.get_or_insert_with(|| self.by_connection.values().cloned().collect()))
    }
}

pub(super) struct Member {
    outbound: Outbound,
    encoding: Encoding,
    gate: Mutex<Gate>,
}

struct Gate {
    /// The member has everything up to here from elsewhere; none for a plain client, which is never brought level.
    seen: Option<Position>,
    /// Closed: what waits.
    held: Option<Held>,
    /// It is a member no more, though what is on its way to all may still come to it.
    gone: bool,
}

/// What waits at a closed gate.
#[derive(Default)]
struct Held {
    items: Vec<Item>,
    /// Of their frames.
    bytes: usize,
}

impl Held {
    /// Takes in some more; false where it is more than may wait. Then it is let go.
    fn take(&mut self, items: impl Iterator<Item = Item>) -> bool {
        for item in items {
            self.bytes += item.frame.as_ref().map_or(0, |frame| frame.bytes().len());
            self.items.push(item);
        }
        let fits = self.bytes <= HELD_BYTES;
        if !fits {
            *self = Self::default();
        }
        fits
    }
}

/// What is handed to a member.
struct Item {
    position: Option<Position>,
    /// None: what stands up to `position` was skipped.
    frame: Option<Frame>,
}

/// What an item is to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// New.
    Send,
    /// It has it already.
    Pass,
    /// What it has is no beginning of what comes: the stream was begun anew since it joined, or something is missing. Only a
    /// new join can help.
    Lost,
}

impl Gate {
    fn is_open(&self) -> bool {
        self.held.is_none() && !self.gone
    }

    /// Whether all of it is new to the member.
    fn is_before(&self, span: &Span) -> bool {
        match (span, &self.seen) {
            (Span::Nowhere, _) | (Span::From(_), None) => true,
            (Span::From(first), Some(seen)) => seen.offset < first.offset && seen.epoch == first.epoch,
            (Span::Broken, _) => false,
        }
    }

    fn verdict(&self, position: Option<&Position>, skipped: bool) -> Verdict {
        match self.seen.as_ref().zip(position) {
            Some((seen, position)) if seen.epoch != position.epoch => Verdict::Lost,
            Some((seen, position)) if position.offset <= seen.offset => Verdict::Pass,
            Some(_) if skipped => Verdict::Lost,
            None if skipped => Verdict::Pass,
            _ => Verdict::Send,
        }
    }
}

/// What all members get who take it alike, so many events, of so many bytes.
struct Ready {
    frames: Vec<Frame>,
    events: usize,
    bytes: usize,
}

impl Ready {
    /// What is short goes out in one piece, so that each member costs one plain write.
    fn new(handed: &[Handed], encoding: Encoding) -> Self {
        let mut frames: Vec<Frame> =
            handed.iter().filter_map(Handed::event).filter_map(|event| event.frame(encoding)).collect();
        let (events, bytes) = (frames.len(), frames.iter().map(|frame| frame.bytes().len()).sum());
        if events > 1 && bytes <= ONE_PIECE {
            frames = vec![Frame::in_one_piece(&frames)];
        }
        Self { frames, events, bytes }
    }
}

/// Where what is handed out together stands in its stream.
enum Span {
    Nowhere,
    /// Here and further on, nothing of it skipped.
    From(Position),
    /// Something of it was skipped, or the stream was begun anew within it.
    Broken,
}

impl Span {
    fn of(handed: &[Handed]) -> Self {
        let mut span = Self::Nowhere;
        for handed in handed {
            let Handed::Event(event) = handed else { return Self::Broken };
            span = match (span, event.position()) {
                (span, None) => span,
                (Self::Nowhere, Some(position)) => Self::From(position.clone()),
                (Self::From(first), Some(position)) if first.epoch == position.epoch => {
                    if first.offset <= position.offset {
                        Self::From(first)
                    } else {
                        Self::From(position.clone())
                    }
                }
                (Self::From(_) | Self::Broken, Some(_)) => return Self::Broken,
            };
        }
        span
    }
}

/// What is handed out together, on its way from member to member. It is sent in slices, so that whoever does it can let others
/// go on in between.
pub(super) struct Round {
    handed: Vec<Handed>,
    span: Span,
    /// What it weighs in the group's queue.
    weight: usize,
    members: Arc<[Arc<Member>]>,
    /// So many of them have it.
    reached: usize,
    /// Made ready once for all who take it alike: of a few encodings, most often of one.
    ready: Vec<(Encoding, Ready)>,
}

impl Round {
    pub(super) fn new(handed: Vec<Handed>, weight: usize, members: Arc<[Arc<Member>]>) -> Self {
        let span = Span::of(&handed);
        Self { handed, span, weight, members, reached: 0, ready: Vec::with_capacity(1) }
    }

    /// What it weighs in the group's queue.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// What is handed out.
    pub(super) fn handed(&self) -> &[Handed] {
        &self.handed
    }

    /// Everybody has it.
    pub(super) fn is_done(&self) -> bool {
        self.reached == self.members.len()
    }

    /// Sends to the next members, at most so many, and fewer where it is long. Says how many events went to sockets.
    pub(super) fn go_on(&mut self, most: usize) -> u64 {
        let Self { handed, span, members, reached, ready, .. } = self;
        let (mut events, mut bytes) = (0, 0);
        for member in members[*reached..].iter().take(most) {
            let known = ready.iter().position(|(encoding, _)| *encoding == member.encoding);
            let at = known.unwrap_or_else(|| {
                ready.push((member.encoding, Ready::new(handed, member.encoding)));
                ready.len() - 1
            });
            let ready = &ready[at].1;
            if let Some(sent) = member.hand(handed, span, ready) {
                events += sent;
                bytes += ready.bytes;
            }
            *reached += 1;
            if bytes > SLICE_BYTES {
                break;
            }
        }
        events as u64
    }
}

impl Handed {
    pub(super) fn event(&self) -> Option<&Broadcast> {
        match self {
            Self::Event(broadcast) => Some(broadcast),
            Self::Skipped(_) => None,
        }
    }

    fn position(&self) -> Option<&Position> {
        match self {
            Self::Event(broadcast) => broadcast.position(),
            Self::Skipped(position) => Some(position),
        }
    }

    /// None where it is nothing to those who take it so.
    fn item(&self, encoding: Encoding) -> Option<Item> {
        let frame = match self {
            Self::Event(broadcast) => Some(broadcast.frame(encoding)?),
            Self::Skipped(_) => None,
        };
        Some(Item { position: self.position().cloned(), frame })
    }
}

impl Member {
    /// With its gate closed if `closed`.
    pub(super) fn new(outbound: &Outbound, form: Form, closed: bool) -> Arc<Self> {
        let gate = Mutex::new(Gate { seen: None, held: closed.then(Held::default), gone: false });
        let encoding = Encoding { form, deflate: outbound.deflate() };
        Arc::new(Self { outbound: outbound.clone(), encoding, gate })
    }

    /// Sends to it what is handed out, or lays it at its gate. Says how many events went out, if it is not held or gone.
    fn hand(&self, handed: &[Handed], span: &Span, ready: &Ready) -> Option<usize> {
        let mut gate = self.gate.lock();
        if gate.is_open() && gate.is_before(span) {
            self.outbound.send(&ready.frames);
            return Some(ready.events);
        }
        if gate.gone {
            return None;
        }
        let items = handed.iter().filter_map(|handed| handed.item(self.encoding));
        let Some(held) = &mut gate.held else { return Some(self.send_new(&gate, Vec::new(), items)) };
        if !held.take(items) {
            self.outbound.close(CloseCode::SLOW_READER, "too much happened while catching up");
        }
        None
    }

    /// It gets nothing more, also of what is on its way now.
    pub(super) fn leave(&self) {
        self.gate.lock().gone = true;
    }

    /// See [`super::Membership::hold`].
    pub(super) fn hold(&self) {
        self.gate.lock().held.get_or_insert_default();
    }

    /// See [`super::Membership::release`]. Says how many events went to the socket.
    pub(super) fn release(&self, seen: Option<Position>, answer: impl IntoIterator<Item = Frame>) -> u64 {
        let answer = answer.into_iter().map(|answer| self.outbound.fitted(answer)).collect();
        let mut gate = self.gate.lock();
        if seen.is_some() {
            gate.seen = seen;
        }
        let held = gate.held.take().unwrap_or_default();
        self.send_new(&gate, answer, held.items) as u64
    }

    /// Sends `answer` and those of the items that are new to the member, up to where it is lost. Says how many items it was.
    fn send_new(&self, gate: &Gate, answer: Vec<Frame>, items: impl IntoIterator<Item = Item>) -> usize {
        let mut frames = answer;
        let answers = frames.len();
        let mut lost = false;
        for Item { position, frame } in items {
            match gate.verdict(position.as_ref(), frame.is_none()) {
                Verdict::Send => frames.extend(frame),
                Verdict::Pass => {}
                Verdict::Lost => {
                    lost = true;
                    break;
                }
            }
        }
        if !frames.is_empty() {
            self.outbound.send(&frames);
        }
        if lost {
            self.outbound.close(CloseCode::LOST_POSITION, "what you have is no beginning of what comes next; join again");
        }
        frames.len() - answers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: &str, offset: u64) -> Position {
        Position { epoch: epoch.parse().expect("an epoch"), offset: crate::wire::Offset(offset) }
    }

    #[test]
    fn what_waits_at_a_gate_is_bounded_in_bytes_however_it_comes() {
        let item = |bytes: usize| Item { position: None, frame: Some(Frame::text(&"x".repeat(bytes))) };
        let skipped = || Item { position: Some(at("e", 1)), frame: None };
        for (bytes, at_once) in [(100, 1), (100, 50), (60_000, 1), (60_000, 7)] {
            let (mut held, mut taken) = (Held::default(), 0);
            while held.take((0..at_once).map(|_| item(bytes)).chain([skipped()])) {
                taken += at_once * item(bytes).frame.map_or(0, |frame| frame.bytes().len());
                assert_eq!((held.bytes, taken <= HELD_BYTES), (taken, true), "{bytes} {at_once}");
            }
            assert!(taken + 2 * at_once * bytes > HELD_BYTES, "it was let go when it was full, not before: {taken}");
            assert!(held.items.is_empty() && held.bytes == 0, "nothing of it is kept");
        }
    }

    #[test]
    fn a_member_is_sent_what_it_has_not_and_is_lost_where_something_is_missing() {
        let level = Gate { seen: Some(at("e", 5)), held: None, gone: false };
        let plain = Gate { seen: None, held: None, gone: false };
        for (position, skipped, by_level, by_plain) in [
            (Some(at("e", 5)), false, Verdict::Pass, Verdict::Send),
            (Some(at("e", 6)), false, Verdict::Send, Verdict::Send),
            (Some(at("f", 1)), false, Verdict::Lost, Verdict::Send),
            (Some(at("f", 9)), false, Verdict::Lost, Verdict::Send),
            (None, false, Verdict::Send, Verdict::Send),
            (Some(at("e", 5)), true, Verdict::Pass, Verdict::Pass),
            (Some(at("e", 6)), true, Verdict::Lost, Verdict::Pass),
            (Some(at("f", 1)), true, Verdict::Lost, Verdict::Pass),
        ] {
            assert_eq!(level.verdict(position.as_ref(), skipped), by_level, "{position:?} {skipped}");
            assert_eq!(plain.verdict(position.as_ref(), skipped), by_plain, "{position:?} {skipped}");
        }
    }
}
