//! What a delivery costs the servers when two nodes share a Redis, beside one node with the memory backend and as many members.
//!
//! Two thousand plain clients in all are in one room; a client says 64 bytes, and when everybody has the message (`one`), or with
//! eight on their way (`burst`), the next. The cost is the user and system time of the server processes, divided by the
//! deliveries; how busy the machine is otherwise hardly counts.

#![cfg(feature = "ssr")]

use common::{
    Server,
    hall::{Talk, cost},
    median, selected,
};
use support::redis::Redis;

mod common;
#[path = "../tests/support/mod.rs"]
mod support;

const RUNS: usize = 5;

#[tokio::main]
async fn main() {
    let redis = Redis::start().await;
    for (mode, on_the_way) in [("one", 1), ("burst", 8)].into_iter().filter(|(mode, _)| selected(mode)) {
        let talk = Talk { members: 2_000, on_the_way, messages: 300, ..Talk::ONE };
        let mut costs = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..RUNS {
            for (costs, backend) in costs.iter_mut().zip(["memory", "channels_redis.core", "channels_redis.pubsub"]) {
                let hosts = format!("[\"{}\"]", redis.url());
                let settings = [("CHANNEL_LAYERS__DEFAULT__BACKEND", backend), ("CHANNEL_LAYERS__DEFAULT__HOSTS", &hosts)];
                let mut nodes = vec![Server::confab(&settings).await];
                if backend != "memory" {
                    nodes.push(Server::confab(&settings).await);
                }
                costs.push(cost(&nodes, talk).await);
            }
        }
        let rates = costs.each_ref().map(|costs| median(costs.iter().map(|cost| cost.rate)));
        let [memory, core, pubsub] = costs.map(|costs| median(costs.iter().map(|cost| cost.cpu)));
        println!(
            "{mode:<6} memory {memory:>6.2} us, core {core:>6.2} us ({:.2} x), pubsub {pubsub:>6.2} us ({:.2} x); deliveries/s {rates:.0?}",
            core / memory,
            pubsub / memory
        );
    }
}
