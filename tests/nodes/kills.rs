//! `kill -9`, again and again, of what two nodes stand on, in the midst of what fifty clients send: of the database, and of Redis,
//! which is also emptied while it lives.
//! A round is a kill, a new start, and the wait until everybody has heard from everywhere what is said after it, over what was killed.
//!
//! The database seldom dies in the moment between a commit and the answer to it. In rounds that are drawn by lot its connection ends
//! just then before it is killed: what a node does not know to be committed must be acknowledged all the same, and not be there twice.

use confab::server::settings::Backend;
use proptest::prelude::*;

use crate::{
    cluster::{host, node_on, ready},
    crowd::Crowd,
    faults::receiving,
    model::drawn,
    support::{postgres::Postgres, redis::Redis, relay::PostgresRelay},
    within,
};

const ROUNDS: usize = 50;
/// Of Redis half as many with each of the two backends.
const ROUNDS_OF_EACH: usize = ROUNDS / 2;
/// Speakers of each of the two homes.
const SPEAKERS: usize = 25;

/// What comes before the database is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    /// A commit's answer is lost, and it is killed before anybody can ask again.
    ALostAnswer,
    /// A commit's answer is lost, and all go on.
    ALostAnswerAndMore,
}

fn before() -> impl Strategy<Value = Before> {
    prop_oneof![6 => Just(Before::Nothing), 1 => Just(Before::ALostAnswer), 1 => Just(Before::ALostAnswerAndMore)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_killed_fifty_times_while_fifty_clients_send_loses_nothing() {
    let redis = Redis::start().await;
    let mut postgres = Postgres::start().await;
    let relay = PostgresRelay::before(&postgres).await;
    let database = relay.url(&postgres.database().await);
    let node = || node_on(Backend::RedisPubSub, host(&redis), &database);
    let (a, b) = (node().await, node().await);
    let crowd = Crowd::of(SPEAKERS, [a.address, b.address]).await;
    let rounds = drawn(0, prop::collection::vec(before(), ROUNDS));
    for before in &rounds {
        if *before != Before::Nothing {
            relay.loses_an_answer().await;
        }
        if *before == Before::ALostAnswerAndMore {
            crowd.goes_on().await;
        }
        postgres.restart().await;
        // Nothing is said without a commit.
        crowd.goes_on().await;
    }
    let lost = rounds.iter().filter(|before| **before != Before::Nothing).count();
    assert!(lost > 0 && relay.losses() == lost as u64, "{} of {lost} answers were lost", relay.losses());
    ready(&a).await;
    ready(&b).await;
    crowd.audit((&a, &b)).await;
}

on_each_backend! {
    a_redis_that_is_killed_again_and_again_while_fifty_clients_send_loses_nothing,
    a_redis_that_is_emptied_again_and_again_while_fifty_clients_send_loses_nothing,
}

async fn a_redis_that_is_killed_again_and_again_while_fifty_clients_send_loses_nothing(backend: Backend) {
    let mut redis = Redis::start().await;
    let postgres = Postgres::shared().await;
    let database = postgres.database().await;
    let (a, b) = (node_on(backend, host(&redis), &database).await, node_on(backend, host(&redis), &database).await);
    let crowd = Crowd::of(SPEAKERS, [a.address, b.address]).await;
    for _ in 0..ROUNDS_OF_EACH {
        redis.restart().await;
        // What is said is heard by way of the database too: the next kill finds both nodes on Redis again.
        let both_receive = async { while receiving(&redis, backend).await.len() < 2 {} };
        within("both nodes, to receive", both_receive).await;
        crowd.goes_on().await;
    }
    ready(&a).await;
    ready(&b).await;
    // The database was well all the time.
    crowd.assert_never_refused();
    crowd.audit((&a, &b)).await;
}

async fn a_redis_that_is_emptied_again_and_again_while_fifty_clients_send_loses_nothing(backend: Backend) {
    let (redis, postgres) = (Redis::start().await, Postgres::shared().await);
    let database = postgres.database().await;
    let (a, b) = (node_on(backend, host(&redis), &database).await, node_on(backend, host(&redis), &database).await);
    let crowd = Crowd::of(SPEAKERS, [a.address, b.address]).await;
    for _ in 0..ROUNDS_OF_EACH {
        redis.cli::<()>(&["FLUSHALL"]).await;
        crowd.goes_on().await;
    }
    ready(&a).await;
    ready(&b).await;
    crowd.assert_never_refused();
    crowd.audit((&a, &b)).await;
}
