//! How long a room's page takes while ten thousand sockets are kept busy, beside the same page on an idle server.
//!
//! A room with 50 messages in the store is fetched over a connection that stays open, one fetch after the other, each checked for
//! all of its messages; beside it `/healthz`, which does nothing. Then the same again while ten thousand plain members of another
//! room get ten messages a second, which is 100,000 deliveries. The members are a process of their own at a lower priority. They are
//! on the same cores all the same, so a second server is the control: it shows the same page, has no members, and loses only what
//! the machine loses.
//!
//! The case `anew` is what a page costs that nobody has asked for since the room changed: a message is posted and the page fetched, beside
//! a message that is posted and `/healthz` fetched. What the server's processor time differs by is the page.

#![cfg(feature = "ssr")]

use std::{
    env,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Instant,
};

use common::{
    Server,
    hall::{Talk, keep_talking},
    median, quantile, selected,
};
use support::within;

mod common;
#[path = "../tests/support/mod.rs"]
mod support;

const RUNS: usize = 3;
const FETCHES: usize = 300;
const MESSAGES: usize = 50;
const MEMBERS: usize = 10_000;
const PER_SECOND: u32 = 10;
/// Pages that are rendered anew in a run of [`anew`]: the processor's time is counted in hundredths of a second.
const CHANGES: usize = 1_000;
const ROOMS: &str = r#"[{"match": "pages", "history": "store"}, {"match": "*", "history": "none"}]"#;

/// A server whose room `pages` has messages.
async fn server(client: &reqwest::Client) -> Server {
    let server = Server::confab(&[("ROOMS", ROOMS)]).await;
    for n in 0..MESSAGES {
        let form = [("key", format!("message-{n}")), ("text", message(n))];
        let answer = client.post(page(&server)).form(&form).send().await.expect("an answer");
        assert_eq!(answer.status(), 303);
    }
    server
}

fn message(n: usize) -> String {
    common::text::said(0, n as u32, 100)
}

fn page(server: &Server) -> String {
    format!("http://127.0.0.1:{}/room/pages/", server.port())
}

/// How long it takes to have all of an answer, in milliseconds.
async fn fetch(client: &reqwest::Client, address: &str) -> (f64, String) {
    let began = Instant::now();
    let answer = client.get(address).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let body = answer.text().await.expect("a whole answer");
    (began.elapsed().as_secs_f64() * 1e3, body)
}

/// Times of the page, of `/healthz` and of the page on the control.
type Times = [Vec<f64>; 3];

async fn fetches(client: &reqwest::Client, server: &Server, control: &Server) -> Times {
    let health = format!("http://127.0.0.1:{}/healthz", server.port());
    let mut times = Times::default();
    for _ in 0..FETCHES {
        for (times, address) in times.iter_mut().zip([page(server), health.clone(), page(control)]) {
            let (time, body) = fetch(client, &address).await;
            times.push(time);
            if address != health {
                let missing = (0..MESSAGES).find(|n| !body.contains(&format!("0 {n} ")));
                assert_eq!(missing, None, "all messages");
            }
        }
    }
    times
}

/// The members, in a process of their own; killed when dropped.
struct Members {
    child: Child,
    /// Closed to end them.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Members {
    /// They are all there and being talked to when this returns.
    fn start(port: u16) -> Self {
        let mut command = Command::new("nice");
        command.arg("--adjustment=10").arg(env::current_exe().expect("this program")).args(["--members", &port.to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("nice");
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().expect("a pipe")));
        let mut members = Self { child, input, output };
        assert_eq!(members.line(), "ready");
        members
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a pipe");
        line.trim().to_owned()
    }

    /// Ends them; returns the deliveries that they got in a second.
    fn end(mut self) -> f64 {
        self.input.take();
        self.line().parse().expect("they have seen nothing wrong")
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        // They may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What [`Members`] runs.
async fn be_members(port: u16) {
    let say = |line: String| {
        println!("{line}");
        io::stdout().flush().expect("a pipe");
    };
    let closed = tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new()).expect("a pipe"));
    let stop = async {
        closed.await.expect("read");
    };
    let talk = Talk { members: MEMBERS, ..Talk::ONE };
    let rate = keep_talking(port, talk, PER_SECOND, || say("ready".to_owned()), stop).await;
    say(rate.to_string());
}

async fn measure() {
    let redirects = reqwest::redirect::Policy::none();
    let client = reqwest::Client::builder().redirect(redirects).no_proxy().build().expect("a client");
    let (mut idle, mut busy, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let (server, control) = (server(&client).await, server(&client).await);
        // The first fetches bring the page into memory.
        fetches(&client, &server, &control).await;
        idle.push(fetches(&client, &server, &control).await);
        let port = server.port();
        let members = within("members", tokio::task::spawn_blocking(move || Members::start(port))).await.expect("members");
        busy.push(fetches(&client, &server, &control).await);
        rates.push(members.end());
    }
    println!("pages, busy: {:.0} deliveries/s", median(rates));
    for (n, name) in ["room page", "/healthz", "room page of the control"].iter().enumerate() {
        let part = |part, runs: &[Times]| median(runs.iter().map(|times| quantile(part, times[n].iter().copied())));
        let [idle50, idle99, busy50, busy99] = [part(0.5, &idle), part(0.99, &idle), part(0.5, &busy), part(0.99, &busy)];
        println!(
            "  {name:<25} idle p50 {idle50:>6.2} ms, p99 {idle99:>6.2} ms; busy p50 {busy50:>6.2} ms, p99 {busy99:>6.2} ms = {:.1} x",
            busy99 / idle99
        );
    }
}

/// The server's processor time for a page that is rendered since the room changed, in milliseconds.
async fn anew() {
    let redirects = reqwest::redirect::Policy::none();
    let client = reqwest::Client::builder().redirect(redirects).no_proxy().build().expect("a client");
    let mut costs = Vec::new();
    for run in 0..RUNS {
        let server = server(&client).await;
        let health = format!("http://127.0.0.1:{}/healthz", server.port());
        let mut spent = [0.0; 2];
        for (case, address) in [page(&server), health].iter().enumerate() {
            let before = server.cpu();
            for n in 0..CHANGES {
                let text = format!("changed {case} {n}");
                let form = [("key", format!("anew-{run}-{case}-{n}")), ("text", text.clone())];
                let answer = client.post(page(&server)).form(&form).send().await.expect("an answer");
                assert_eq!(answer.status(), 303);
                let (_, body) = fetch(&client, address).await;
                assert_eq!(body.contains(&text), case == 0, "the page has what was said last");
            }
            spent[case] = (server.cpu() - before) * 1e3 / CHANGES as f64;
        }
        costs.push(spent[0] - spent[1]);
    }
    println!("pages, anew: {:.2} ms of the processor for a page of {MESSAGES} messages", median(costs));
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let arguments: Vec<_> = env::args().collect();
    if let [_, flag, port] = &arguments[..]
        && flag == "--members"
    {
        return runtime.block_on(be_members(port.parse().expect("a port")));
    }
    if selected("pages") {
        runtime.block_on(measure());
    }
    if selected("anew") {
        runtime.block_on(anew());
    }
}
