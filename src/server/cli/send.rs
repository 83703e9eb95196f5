//! `confab send`: says something in a room of a running server, through its HTTP API.
//!
//! With `--lines`, standard input is read on a thread of its own. What has gathered there while the server was busy goes out
//! as one batch, so a file is sent quickly, and a line that comes alone is sent at once.

use std::{
    io::{self, BufRead as _, Read as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, Uri, header, uri::Scheme},
};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpStream, sync::mpsc};

use super::{Outcome, WRONG_USE, complain};
use crate::{
    server::{
        random::fresh_key,
        settings::{Mistakes, TOKEN_VARIABLE},
    },
    wire::{Group, Key, is_blank},
};

/// How many lines go into one request at most, and how many bytes before no more are added.
const MOST_LINES: usize = 1_000;
const ENOUGH_BYTES: usize = 128 * 1024;
/// How long to wait when the server says that it is too much, but not for how long.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
pub(super) struct Flags {
    /// The room
    group: Group,
    /// What to say; - reads it from standard input
    text: String,
    /// The address of the server; the one that the settings say if it is left out
    #[arg(long)]
    url: Option<Uri>,
    /// The token; better in the variable `CONFAB_TOKEN`, for others on the machine can see flags
    #[arg(long)]
    token: Option<String>,
    /// The key of the message: sent again with the same key, it is the same message
    #[arg(long, conflicts_with = "lines")]
    key: Option<Key>,
    /// Each line of standard input is a message; those in which nothing is seen are left out
    #[arg(long)]
    lines: bool,
    /// Read the server's address from this file of settings instead of Leptos.toml in the working folder
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    config: Option<PathBuf>,
}

/// Sends, and ends with 2 where the flags are wrong.
pub(super) fn run(flags: Flags) -> Outcome<ExitCode> {
    if flags.lines && flags.text != "-" {
        return Ok(wrong("--lines reads standard input: write - in the place of the text"));
    }
    let variable = || std::env::var(TOKEN_VARIABLE).ok();
    let Some(token) = flags.token.or_else(variable).filter(|token| !token.is_empty()) else {
        return Ok(wrong(&format!(
            "a token is needed: the variable {TOKEN_VARIABLE} or --token has it; the setting tokens of the server has those that it knows"
        )));
    };
    let url = match flags.url.map_or_else(|| own_address(flags.config), Ok) {
        Ok(url) => url,
        Err(mistakes) => return Ok(wrong(&mistakes.to_string())),
    };
    let target = match Target::new(&url, &flags.group, token) {
        Ok(target) => target,
        Err(reason) => return Ok(wrong(&reason)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = Connection::open(target).await?;
        if flags.lines {
            return send_lines(&mut connection).await;
        }
        let text = if flags.text == "-" { all_of_stdin()? } else { flags.text };
        connection.send(&json!({"text": text, "key": flags.key.unwrap_or_else(fresh_key)})).await
    })?;
    Ok(ExitCode::SUCCESS)
}

fn wrong(reason: &str) -> ExitCode {
    complain(format_args!("confab: {reason}"));
    ExitCode::from(WRONG_USE)
}

/// Where the server of the settings is to be reached from this machine.
fn own_address(config: Option<PathBuf>) -> Result<Uri, Mistakes> {
    let flags = super::Flags { config, listen: None, data: None };
    let (loaded, _) = flags.load(std::env::vars_os().collect())?;
    let mut address = loaded.settings.server.listen;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Ok(format!("http://{address}").parse().expect("an address and a port")) // never: that is what a URI has there
}

/// Standard input without the line feed at its end.
fn all_of_stdin() -> io::Result<String> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    Ok(without_mark(&text).trim_end_matches(['\r', '\n']).to_owned())
}

/// What some programs write into a file before its text is none of the text: the mark of the order of bytes.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{FEFF}').unwrap_or(text)
}

async fn send_lines(connection: &mut Connection) -> Outcome<()> {
    let (sender, mut lines) = mpsc::channel(MOST_LINES);
    std::thread::spawn(move || {
        for (number, line) in io::stdin().lock().lines().enumerate() {
            let line = if number == 0 { line.map(|line| without_mark(&line).to_owned()) } else { line };
            let failed = line.is_err();
            // Nobody takes lines any more when sending has failed.
            if sender.blocking_send(line).is_err() || failed {
                return;
            }
        }
    });
    while let Some(line) = lines.recv().await {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut next = Some(line);
        while let Some(line) = next {
            let line = line?;
            bytes += line.len();
            if !is_blank(&line) {
                batch.push(json!({"text": line, "key": fresh_key()}));
            }
            next = if batch.len() < MOST_LINES && bytes < ENOUGH_BYTES { lines.try_recv().ok() } else { None };
        }
        if !batch.is_empty() {
            connection.send(&Value::Array(batch)).await?;
        }
    }
    Ok(())
}

/// Where requests go.
struct Target {
    /// Host and port, for the connection and for `Host`.
    authority: String,
    port: u16,
    host: String,
    path: String,
    token: String,
}

impl Target {
    fn new(url: &Uri, group: &Group, token: String) -> Result<Self, String> {
        if url.scheme() == Some(&Scheme::HTTPS) {
            return Err("https is not spoken here: give the server's own address, or send with curl".to_owned());
        }
        let (Some(authority), true) = (url.authority(), url.scheme() == Some(&Scheme::HTTP)) else {
            return Err(format!("{url} is not an address like http://127.0.0.1:3000"));
        };
        Ok(Self {
            authority: authority.to_string(),
            port: authority.port_u16().unwrap_or(80),
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            path: format!("{}/api/v1/groups/{group}/send", url.path().trim_end_matches('/')),
            token,
        })
    }
}

/// A connection to the server, for one request after the other.
struct Connection {
    target: Target,
    requests: SendRequest<Body>,
}

impl Connection {
    async fn open(target: Target) -> Outcome<Self> {
        let requests = connect(&target).await?;
        Ok(Self { target, requests })
    }

    /// Sends a text or a list of them. What the server has too much of for now is sent again when it says.
    async fn send(&mut self, body: &Value) -> Outcome<()> {
        loop {
            // The server may have closed a connection that was idle.
            if self.requests.ready().await.is_err() {
                self.requests = connect(&self.target).await?;
            }
            let request = Request::builder()
                .method(Method::POST)
                .uri(&self.target.path)
                .header(header::HOST, &self.target.authority)
                .header(header::AUTHORIZATION, format!("Bearer {}", self.target.token))
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(body.to_string()))
                .map_err(|_| "the token has letters that no token has")?;
            let broken = |cause: hyper::Error| format!("the connection broke, and the message may have arrived: {cause}");
            let response = self.requests.send_request(request).await.map_err(broken)?;
            let status = response.status();
            let pause = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            let answer = response.into_body().collect().await.map_err(broken)?.to_bytes();
            match status {
                StatusCode::OK => return Ok(()),
                StatusCode::TOO_MANY_REQUESTS => tokio::time::sleep(pause.map_or(PAUSE, Duration::from_secs)).await,
                _ => return Err(refused(status, &answer).into()),
            }
        }
    }
}

async fn connect(target: &Target) -> Outcome<SendRequest<Body>> {
    let unreachable = |cause: io::Error| format!("http://{} cannot be reached: {cause}", target.authority);
    let stream = TcpStream::connect((target.host.as_str(), target.port)).await.map_err(unreachable)?;
    stream.set_nodelay(true)?;
    let (requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Its errors come out where a request is sent.
    tokio::spawn(connection);
    Ok(requests)
}

/// What the server says is wrong.
fn refused(status: StatusCode, answer: &[u8]) -> String {
    let json: Value = serde_json::from_slice(answer).unwrap_or_default();
    match json["error"]["message"].as_str() {
        Some(message) => format!("the server refused ({}): {message}", status.as_u16()),
        None => format!("the server refused ({status}); is this the address of a Confab?"),
    }
}
