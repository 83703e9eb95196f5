//! What a node's members hear of without the channel layer: what the layer refused, and what a store says that other nodes write to.
//!
//! The publishers and the look-out put it on one queue, [`Strandings`], whose reader hands it to the groups on this node.

use tokio::sync::mpsc;

use crate::{
    server::layers::{Event, GroupName},
    wire::{Group, Position},
};

/// How many events may wait for the members of this node when the layer refused them; the publishers wait beyond it.
const MOST_STRANDED: usize = 1_024;

/// What the members of a group on this node would not hear of by the channel layer.
#[derive(Debug)]
pub struct Stranded {
    pub group: GroupName,
    pub what: News,
}

/// What is new in a group.
#[derive(Debug)]
pub enum News {
    /// An event that stands for something committed and that the layer refused. It may be out of order, and the layer may have
    /// carried it after all before it gave up.
    Event(Event),
    /// The room's stream has come to here, whoever has written it. Most of the time the members know.
    Head(Position),
    /// Of rooms of the list: the entries that made their newest messages what they are, whoever has written them.
    Heads(Vec<(Group, Position)>),
}

/// Where it arrives. It ends when the stores are closed.
pub type Strandings = mpsc::Receiver<Stranded>;

/// The queue, which is bounded.
pub(super) fn queue() -> (mpsc::Sender<Stranded>, Strandings) {
    mpsc::channel(MOST_STRANDED)
}
