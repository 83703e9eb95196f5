//! How many group messages of 64 bytes go from one node through a local Redis to one member on another, each second.
//!
//! Every message is checked: it has to arrive once, whole, and in its sender's order. Senders wait for each of their own
//! messages; what makes the rate is how many senders there are. Beside it, in the same run, how fast Python sends the same.

#![cfg(feature = "ssr")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use confab::server::layers::{
    ChannelLayer, Event, GroupName, Sink,
    redis::{Host, RedisCoreLayer, RedisOptions, RedisPubSubLayer},
};
use parking_lot::Mutex;
use support::{
    peer::{Backend, Options, Peer},
    redis::Redis,
};
use tokio::sync::Notify;

#[path = "../tests/support/mod.rs"]
mod support;

const TEXT: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const RUNS: usize = 5;

/// Checks and counts.
struct Checker {
    /// The number that each sender's next message has.
    next: Mutex<Vec<i64>>,
    count: AtomicUsize,
    expected: usize,
    done: Notify,
}

impl Sink for Checker {
    fn deliver(&self, _: &str, event: &Arc<Event>) {
        let (Some(sender), Some(n)) = (event.get_u64("sender"), event.get_i64("n")) else {
            panic!("a strange event: {event:?}")
        };
        assert_eq!(event.get_str("text"), Some(TEXT));
        let mut next = self.next.lock();
        let next = &mut next[usize::try_from(sender).expect("a small number")];
        assert_eq!(*next, n, "in the order of the sender, none lost, none twice");
        *next += 1;
        if self.count.fetch_add(1, Ordering::Relaxed) + 1 == self.expected {
            self.done.notify_one();
        }
    }

    fn gap(&self) {
        panic!("the connection was lost");
    }
}

/// Messages per second.
async fn rate(sending: Arc<dyn ChannelLayer>, receiving: Arc<dyn ChannelLayer>, senders: u32, messages: u32) -> f64 {
    let group: GroupName = "bench".parse().expect("a name");
    let checker = Arc::new(Checker {
        next: Mutex::new(vec![0; senders as usize]),
        count: AtomicUsize::new(0),
        expected: (senders * messages) as usize,
        done: Notify::new(),
    });
    let name = receiving.attach(Arc::clone(&checker) as _).expect("a sink");
    receiving.group_add(&group, &name.with_local("g1").expect("a name")).await.expect("a member");
    let begin = Instant::now();
    for sender in 0..senders {
        let (sending, group) = (Arc::clone(&sending), group.clone());
        tokio::spawn(async move {
            for n in 0..messages {
                let event = Event::new("chat.message").with("text", TEXT).with("sender", sender).with("n", n);
                sending.group_send(&group, event).await.expect("sent");
            }
        });
    }
    tokio::time::timeout(Duration::from_mins(2), checker.done.notified()).await.expect("all messages");
    let rate = f64::from(senders * messages) / begin.elapsed().as_secs_f64();
    receiving.detach(&name).await.expect("detached");
    rate
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// A fresh layer for each call.
type Start<'a> = &'a dyn Fn() -> Arc<dyn ChannelLayer>;

async fn measure(what: &str, start: Start<'_>, python: f64) {
    for senders in [1, 16, 256, 1_024] {
        let mut rates = Vec::new();
        for _ in 0..RUNS {
            rates.push(rate(start(), start(), senders, (200_000 / senders).clamp(200, 5_000)).await);
        }
        let rate = median(rates);
        println!("{what:<7} {senders:>5} senders {rate:>9.0} messages/s  {:>5.1} x Python", rate / python);
    }
}

/// How many group messages a Python process sends each second, one after the other, to a group with one member.
async fn python(backend: Backend, redis: &Redis) -> f64 {
    let options = Options { capacity: Some(1_000_000), ..Options::new(backend, [redis.url()]) };
    let peer = Peer::start(&options).await;
    let member = peer.new_channel().await;
    peer.group_add("python", &member).await;
    let event = Event::new("chat.message").with("text", TEXT);
    let mut rates = Vec::new();
    for _ in 0..RUNS {
        rates.push(2_000.0 / peer.bench_group_send("python", &event, 2_000).await);
    }
    median(rates)
}

#[tokio::main]
async fn main() {
    let redis = Redis::start().await;
    let options = || RedisOptions { hosts: vec![Host::Url(redis.url())], ..RedisOptions::default() };
    for (name, backend) in [("core", Backend::Core), ("pubsub", Backend::PubSub)] {
        let python = python(backend, &redis).await;
        println!("{name:<7} Python        {python:>9.0} messages/s");
        let core = || RedisCoreLayer::start(options()).expect("a layer") as Arc<dyn ChannelLayer>;
        let pubsub = || RedisPubSubLayer::start(options()).expect("a layer") as Arc<dyn ChannelLayer>;
        measure(name, if matches!(backend, Backend::Core) { &core } else { &pubsub }, python).await;
    }
}
