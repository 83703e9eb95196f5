//! Presence over a layer in memory, with a clock that the test moves.

use tokio::sync::mpsc;

use super::*;
use crate::server::layers::{MemoryLayer, MemoryOptions};

/// Members of a room; what they are told goes down a channel.
struct Ears(mpsc::UnboundedSender<wire::Event>);

impl Audience for Ears {
    fn tell(self: Arc<Self>, event: wire::Event) {
        // The test may have heard enough.
        let _ = self.0.send(event);
    }
}

/// Hands on what arrives, as long as somebody is there to take it.
struct Inbox(Weak<dyn Sink>);

impl Sink for Inbox {
    fn deliver(&self, local: &str, event: &Arc<Event>) {
        if let Some(sink) = self.0.upgrade() {
            sink.deliver(local, event);
        }
    }
}

/// A node with members in the room `a`.
struct Node {
    presence: Arc<Presence>,
    ears: Arc<dyn Audience>,
    told: mpsc::UnboundedReceiver<wire::Event>,
}

impl Node {
    fn on(layer: &Arc<dyn ChannelLayer>) -> Self {
        let share = |sink| layer.attach(Arc::new(Inbox(sink))).unwrap().with_local("p").unwrap();
        let presence = Presence::start(Arc::clone(layer), Times::default(), Arc::default(), share);
        let (tell, told) = mpsc::unbounded_channel();
        Self { presence, ears: Arc::new(Ears(tell)), told }
    }

    fn enter(&self, id: &str) -> Attendance {
        self.presence.enter(&room(), &person(id), Arc::downgrade(&self.ears))
    }

    async fn next(&mut self) -> wire::Event {
        self.told.recv().await.unwrap()
    }

    /// The next change of who is there.
    async fn change(&mut self) -> wire::Presence {
        match self.next().await {
            wire::Event::Presence(change) => change,
            other => panic!("no change: {other:?}"),
        }
    }
}

fn room() -> Group {
    "a".parse().unwrap()
}

fn person(id: &str) -> Person {
    Person::new(id, id.to_uppercase())
}

fn layer() -> Arc<dyn ChannelLayer> {
    Arc::new(MemoryLayer::new(MemoryOptions::default()).unwrap())
}

fn joined(count: u64, id: &str) -> wire::Presence {
    wire::Presence { count, joined: vec![person(id)], ..wire::Presence::default() }
}

fn left(count: u64, id: &str) -> wire::Presence {
    wire::Presence { count, left: vec![id.to_owned()], ..wire::Presence::default() }
}

#[tokio::test(start_paused = true)]
async fn two_nodes_tell_their_members_who_comes_goes_and_writes() {
    let layer = layer();
    let (mut one, mut other) = (Node::on(&layer), Node::on(&layer));
    let _ann = one.enter("ann");
    assert_eq!(one.change().await, joined(1, "ann"));
    let _bob = other.enter("bob");
    assert_eq!(other.presence.members(&room()).people, [person("ann"), person("bob")]);
    assert_eq!(other.change().await, joined(2, "bob"));
    assert_eq!(one.change().await, joined(2, "bob"));

    let cleo = one.enter("cleo");
    assert_eq!((one.change().await, other.change().await), (joined(3, "cleo"), joined(3, "cleo")));
    for _ in 0..3 {
        one.presence.typing(&room(), &person("cleo"));
    }
    let writing = wire::Event::Typing(Typist { from: person("cleo") });
    assert_eq!((one.next().await, other.next().await), (writing.clone(), writing));

    let began = Instant::now();
    drop(cleo);
    assert_eq!(one.change().await, left(2, "cleo"));
    assert!(began.elapsed() >= Times::default().grace);
    assert_eq!(other.change().await, left(2, "cleo"));
    assert_eq!(one.presence.headcount(), Headcount { people: 2, nodes: 2 });
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_in_time_was_never_away() {
    let mut node = Node::on(&layer());
    let _bob = node.enter("bob");
    assert_eq!(node.change().await, joined(1, "bob"));
    for _ in 0..3 {
        let ann = node.enter("ann");
        tokio::time::sleep(Duration::from_secs(2)).await;
        drop(ann);
        tokio::time::sleep(Duration::from_millis(9_999)).await;
    }
    let _ann = node.enter("ann");
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(node.told.try_recv().unwrap(), wire::Event::Presence(joined(2, "ann")));
    assert!(node.told.try_recv().is_err(), "once, when she came first");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_dies_is_found_out_and_one_that_stops_says_so() {
    let layer = layer();
    for says_so in [true, false] {
        let (mut stays, goes) = (Node::on(&layer), Node::on(&layer));
        let _bob = stays.enter("bob");
        assert_eq!(stays.change().await, joined(1, "bob"));
        let ann = goes.enter("ann");
        assert_eq!(stays.change().await, joined(2, "ann"));
        let began = Instant::now();
        if says_so {
            goes.presence.leave().await;
        }
        // Its tasks end with it; what it has said before is all that the other knows.
        drop((goes, ann));
        assert_eq!(stays.change().await, left(1, "ann"));
        let Times { grace, silence, beat, .. } = Times::default();
        assert!(began.elapsed() >= if says_so { grace } else { silence.saturating_sub(beat) });
        assert!(began.elapsed() <= Duration::from_mins(1));
        stays.presence.leave().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_letter_is_passed_over() {
    let layer = layer();
    let mut node = Node::on(&layer);
    let _ann = node.enter("ann");
    assert_eq!(node.change().await, joined(1, "ann"));
    let group: GroupName = "confab.people".parse().unwrap();
    for event in [
        Event::new("chat.message").with("text", "hello"),
        Event::new("confab.presence").with("v", 1_i64),
        Event::new("confab.presence").with("v", 2_i64).with("node", "a!p").with("what", "bye"),
    ] {
        layer.group_send(&group, event).await.unwrap();
    }
    let _bob = node.enter("bob");
    assert_eq!(node.change().await, joined(2, "bob"));
}
