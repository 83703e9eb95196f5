//! What signing in costs, and what others notice of a flood of wrong passwords.
//!
//! `rate`: how many sign-ins a second, eight at a time. `flood`: a page of a room is loaded every 50 ms, timed from when it was due, on an idle
//! server; and then again while 200 wrong passwords a second come from ever other addresses, for ever other names, so that no budget but
//! the one of the processor bounds them. Each is said to come from its address by a proxy that is trusted. Somebody who knows their password
//! signs in all the while. The flood is not left out: its answers are counted, and the benchmark ends if they are few.

#![cfg(feature = "ssr")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use common::{Server, quantile, quick, selected};
use reqwest::{Client, redirect};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

mod common;
#[path = "../tests/support/mod.rs"]
mod support;

const PASSWORD: &str = "correct horse battery";
const SETTINGS: [(&str, &str); 3] =
    [("ACCOUNTS__SIGN_UP", "open"), ("SERVER__TRUSTED_PROXIES", r#"["127.0.0.1"]"#), ("LIMITS__REQUESTS_PER_SECOND", "0")];
/// Wrong passwords a second.
const FLOOD: u32 = 200;
/// So many accounts sign in from each of eight addresses.
const ACCOUNTS: u32 = 5;
/// How often somebody signs in who knows the password: 20 times in a minute, where an account may 30 times in three.
const OWNER: Duration = Duration::from_secs(3);
/// How often a page is loaded.
const EVERY: Duration = Duration::from_millis(50);

fn client() -> Client {
    Client::builder().no_proxy().redirect(redirect::Policy::none()).build().expect("a client")
}

/// Sends a form as from an address of its own; gives the status.
async fn form(client: &Client, server: u16, path: &str, address: u32, name: &str, password: &str) -> u16 {
    let address = std::net::Ipv4Addr::from(0x0a00_0000 | address);
    let request = client.post(format!("http://127.0.0.1:{server}{path}")).header("x-forwarded-for", address.to_string());
    let answer = request.form(&[("name", name), ("password", password)]).send().await.expect("an answer");
    answer.status().as_u16()
}

async fn server(client: &Client) -> Server {
    let server = Server::confab(&SETTINGS).await;
    assert_eq!(form(client, server.port(), "/signup", 1, "Zoe", PASSWORD).await, 303);
    server
}

async fn rate(client: &Client) {
    let server = server(client).await;
    let (port, most) = (server.port(), if quick() { 40 } else { 400 });
    let next = Arc::new(AtomicU32::new(0));
    // Each from an address of its own, of which one password is looked at at a time; an account signs in 30 times in three minutes at most.
    let called = |lane: u32, time: u32| format!("Somebody {}", 10 * lane + time % ACCOUNTS);
    for lane in 2..10 {
        for account in 0..ACCOUNTS {
            assert_eq!(form(client, port, "/signup", lane, &called(lane, account), PASSWORD).await, 303);
        }
    }
    let before = server.cpu();
    let began = Instant::now();
    let lanes = (2..10).map(|lane| {
        let (client, next) = (client.clone(), Arc::clone(&next));
        tokio::spawn(async move {
            let mut time = 0;
            while next.fetch_add(1, Relaxed) < most {
                assert_eq!(form(&client, port, "/login", lane, &called(lane, time), PASSWORD).await, 303);
                time += 1;
            }
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await.expect("no panic");
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "rate: {:.0} sign-ins a second, {:.1} ms of processor time each",
        f64::from(most) / seconds,
        (server.cpu() - before) * 1e3 / f64::from(most)
    );
}

/// The times of a page that is loaded again and again, in milliseconds.
async fn pages(client: &Client, port: u16, time: Duration) -> Vec<f64> {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut times, end) = (Vec::new(), Instant::now() + time);
    loop {
        let due = ticks.tick().await;
        if due >= end {
            return times;
        }
        let page = client.get(format!("http://127.0.0.1:{port}/room/a/")).header("x-forwarded-for", "10.255.0.1");
        let answer = page.send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.bytes().await.expect("a page");
        times.push(due.elapsed().as_secs_f64() * 1e3);
    }
}

async fn flood(client: &Client) {
    let server = server(client).await;
    let (port, time) = (server.port(), Duration::from_secs(if quick() { 5 } else { 60 }));
    pages(client, port, Duration::from_secs(1)).await;
    let (idle, before) = (pages(client, port, time).await, server.resident());
    // By status: wrong, too many of one, too busy.
    let answers: Arc<[AtomicU64; 3]> = Arc::default();
    let (flooding, counts) = (client.clone(), Arc::clone(&answers));
    let flood = tokio::spawn(async move {
        let mut ticks = interval(Duration::from_secs(1) / FLOOD);
        for n in 2_u32.. {
            ticks.tick().await;
            let (client, counts) = (flooding.clone(), Arc::clone(&counts));
            tokio::spawn(async move {
                match form(&client, port, "/login", n & 0xff_ffff, &format!("somebody {n}"), "wrong password").await {
                    422 => counts[0].fetch_add(1, Relaxed),
                    429 => counts[1].fetch_add(1, Relaxed),
                    503 => counts[2].fetch_add(1, Relaxed),
                    other => panic!("{other}"),
                }
            });
        }
    });
    let owner = async {
        let (mut tries, mut done, end) = (0, 0, Instant::now() + time);
        while Instant::now() < end {
            tries += 1;
            done += u32::from(form(client, port, "/login", 1, "Zoe", PASSWORD).await == 303);
            sleep(OWNER).await;
        }
        (tries, done)
    };
    let (beside, (tries, done)) = tokio::join!(pages(client, port, time), owner);
    flood.abort();
    let peak = server.peak();
    let [wrong, many, busy] = [0, 1, 2].map(|kind| answers[kind].load(Relaxed));
    let least = u64::from(FLOOD) * time.as_secs() / 2;
    assert!(wrong + many + busy >= least, "the flood was none: {wrong} wrong, {many} too many, {busy} too busy");
    assert!(done > 0, "whoever knows their password never came in");
    let p99 = |times: &[f64]| quantile(0.99, times.iter().copied());
    println!("flood: {wrong} wrong, {many} too many of one, {busy} told that the server is busy");
    println!(
        "flood: p99 of a page {:.1} ms idle, {:.1} ms beside it, {:.2} x (aim 1.5)",
        p99(&idle),
        p99(&beside),
        p99(&beside) / p99(&idle)
    );
    println!("flood: at most {:.1} MiB more memory (aim 64)", (peak - before).max(0.0) / f64::from(1 << 20));
    println!("flood: of {tries} sign-ins by who knows the password {done} were done at once");
}

#[tokio::main]
async fn main() {
    common::serve_if_asked();
    let client = client();
    if selected("rate") {
        rate(&client).await;
    }
    if selected("flood") {
        flood(&client).await;
    }
}
