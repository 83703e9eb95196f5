//! The layer of a single process: the suite, and what is true of it beyond the suite.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock, mpsc},
    thread,
    time::Duration,
};

use confab::server::layers::{Channel, ChannelLayer, DEFAULT_PREFIX, Event, GroupName, MemoryLayer, MemoryOptions, Sink};
use futures_util::{FutureExt, poll};
use parking_lot::Mutex;

use crate::conformance::{Backend, Limits};

struct Memory(Arc<MemoryLayer>);

impl Backend for Memory {
    async fn start(limits: Limits) -> Self {
        let Limits { capacity, channel_capacity, expiry, group_expiry } = limits;
        Self(layer(MemoryOptions { capacity, channel_capacity, expiry, group_expiry }))
    }

    fn layer(&self) -> Arc<dyn ChannelLayer> {
        Arc::clone(&self.0) as Arc<dyn ChannelLayer>
    }

    async fn pass_time(&self, time: Duration) {
        tokio::time::advance(time).await;
    }
}

conformance!(Memory, start_paused = true);

fn layer(options: MemoryOptions) -> Arc<MemoryLayer> {
    Arc::new(MemoryLayer::new(options).expect("random numbers"))
}

fn group() -> GroupName {
    "test-group".parse().expect("a group's name")
}

fn numbered(sender: i64, n: i64) -> Event {
    Event::new("test.message").with("sender", sender).with("n", n)
}

fn number(event: &Event) -> (i64, i64) {
    (event.get_i64("sender").expect("a sender"), event.get_i64("n").expect("a number"))
}

#[tokio::test]
async fn readers_are_served_in_the_order_in_which_they_came() {
    let layer = layer(MemoryOptions::default());
    let channel: Channel = "jobs".parse().expect("a channel's name");
    let mut readers: Vec<_> = (0..4).map(|_| layer.receive(&channel)).collect();
    for reader in &mut readers {
        assert!(poll!(reader).is_pending());
    }
    for n in 0..2 {
        layer.send(&channel, numbered(0, n)).await.expect("room");
    }
    let late = layer.receive(&channel);
    assert!(late.now_or_never().is_none(), "whoever comes later does not overtake those who were woken");
    let received = readers.into_iter().map(|reader| reader.now_or_never().map(|event| number(&event.expect("a message")).1));
    assert_eq!(received.collect::<Vec<_>>(), [Some(0), Some(1), None, None]);
}

/// A sink that does not return from a delivery before somebody else has changed the group, sent to it and read.
struct Slow {
    layer: OnceLock<Arc<MemoryLayer>>,
    done: Mutex<Vec<bool>>,
}

impl Sink for Slow {
    fn deliver(&self, local: &str, _: &Arc<Event>) {
        if local != "slow" {
            return;
        }
        let layer = Arc::clone(self.layer.get().expect("the layer"));
        let (done, finished) = mpsc::channel();
        thread::spawn(move || {
            let channel = layer.new_channel(DEFAULT_PREFIX).expect("a channel");
            let everything = async {
                layer.group_add(&group(), &channel).await?;
                layer.send(&channel, numbered(1, 1)).await?;
                layer.receive(&channel).await?;
                layer.group_discard(&group(), &channel).await?;
                layer.attach(Arc::new(Slow { layer: OnceLock::new(), done: Mutex::default() }))
            };
            let completed = matches!(everything.now_or_never(), Some(Ok(_)));
            let _ = done.send(completed);
        });
        self.done.lock().push(finished.recv_timeout(Duration::from_secs(20)) == Ok(true));
    }
}

#[tokio::test]
async fn a_delivery_holds_up_nobody() {
    let layer = layer(MemoryOptions::default());
    let slow = Arc::new(Slow { layer: OnceLock::new(), done: Mutex::default() });
    assert!(slow.layer.set(Arc::clone(&layer)).is_ok());
    let member =
        layer.attach(Arc::clone(&slow) as Arc<dyn Sink>).and_then(|name| Ok(name.with_local("slow")?)).expect("a sink");
    layer.group_add(&group(), &member).await.expect("a member");
    layer.group_send(&group(), numbered(0, 0)).await.expect("a delivery");
    layer.send(&member, numbered(0, 1)).await.expect("a delivery");
    assert_eq!(*slow.done.lock(), [true, true]);
}

/// A sink that keeps what it gets.
#[derive(Default)]
struct Outlet(Mutex<Vec<(i64, i64)>>);

impl Sink for Outlet {
    fn deliver(&self, _: &str, event: &Arc<Event>) {
        self.0.lock().push(number(event));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_sender_among_many_keeps_its_order() {
    let (layer, outlet) = (layer(MemoryOptions::default()), Arc::new(Outlet::default()));
    let name = layer.attach(Arc::clone(&outlet) as Arc<dyn Sink>).expect("a sink");
    layer.group_add(&group(), &name).await.expect("a member");
    let senders = (0..4).map(|sender| {
        let layer = Arc::clone(&layer);
        tokio::spawn(async move {
            for n in 0..1000 {
                layer.group_send(&group(), numbered(sender, n)).await.expect("a delivery");
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.expect("a sender");
    }
    let delivered = outlet.0.lock();
    assert_eq!(delivered.len(), 4000);
    for sender in 0..4 {
        assert!(delivered.iter().filter(|(from, _)| *from == sender).map(|(_, n)| *n).eq(0..1000), "sender {sender}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_senders_and_readers_that_give_up_lose_and_double_nothing() {
    const EACH: i64 = 200;
    let layer = layer(MemoryOptions { capacity: usize::MAX, ..MemoryOptions::default() });
    let channel = layer.new_channel(DEFAULT_PREFIX).expect("a channel");
    let (received, mut count) = tokio::sync::mpsc::unbounded_channel();
    let readers: Vec<_> = (0..4)
        .map(|reader| {
            let (layer, channel, received) = (Arc::clone(&layer), channel.clone(), received.clone());
            tokio::spawn(async move {
                loop {
                    tokio::select! {
                        biased;
                        event = layer.receive(&channel) => {
                            let event = event.expect("a message");
                            received.send((reader, number(&event))).expect("the test listens");
                        }
                        () = tokio::task::yield_now() => {}
                    }
                }
            })
        })
        .collect();
    for sender in 0..4 {
        let (layer, channel) = (Arc::clone(&layer), channel.clone());
        tokio::spawn(async move {
            for n in 0..EACH {
                layer.send(&channel, numbered(sender, n)).await.expect("room");
                tokio::task::yield_now().await;
            }
        });
    }
    let mut all = Vec::new();
    while all.len() < 4 * usize::try_from(EACH).expect("a small number") {
        let next = tokio::time::timeout(Duration::from_secs(20), count.recv()).await;
        all.push(next.unwrap_or_else(|_| panic!("only {} came", all.len())).expect("a reader"));
    }
    for reader in readers {
        reader.abort();
        assert!(reader.await.is_err_and(|error| error.is_cancelled()));
    }
    assert!(count.try_recv().is_err() && layer.receive(&channel).now_or_never().is_none(), "nothing is doubled");
    let distinct: BTreeSet<_> = all.iter().map(|(_, number)| *number).collect();
    assert_eq!(distinct.len(), all.len());
    for (reader, sender) in (0..4).flat_map(|reader| (0..4).map(move |sender| (reader, sender))) {
        let numbers = all.iter().filter(|(by, (from, _))| (*by, *from) == (reader, sender)).map(|(_, (_, n))| n);
        assert!(numbers.is_sorted(), "reader {reader}, sender {sender}");
    }
}
