//! A client's end of a WebSocket, without a library's cost: the handshake, and the frames as they come.

use serde_json::Value as Json;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::within;

/// What a client asks for in the handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    Plain,
    /// Plain, with permessage-deflate.
    Deflate,
    /// `confab.v1`, in a room with history or without.
    V1 {
        history: bool,
    },
}

impl Form {
    fn headers(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Deflate => {
                "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"
            }
            Self::V1 { .. } => "Sec-WebSocket-Protocol: confab.v1\r\n",
        }
    }
}

/// An open WebSocket at `/room/bench/`.
pub struct Connection {
    pub stream: TcpStream,
    pub inbox: Inbox,
    /// What `confab.v1` says first.
    pub welcome: Option<Json>,
}

impl Connection {
    /// Opens it, with the answer to the handshake checked; none when the server cannot be reached.
    pub async fn open(port: u16, form: Form) -> Option<Self> {
        Self::on(TcpStream::connect(("127.0.0.1", port)).await.ok()?, form).await
    }

    /// The same over a TCP connection that is there already.
    pub async fn on(mut stream: TcpStream, form: Form) -> Option<Self> {
        stream.set_nodelay(true).ok()?;
        let port = stream.peer_addr().ok()?.port();
        let request = format!(
            "GET /room/bench/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{}\r\n",
            form.headers()
        );
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut inbox = Inbox::default();
        let head = inbox.head(&mut stream).await?;
        assert!(head.starts_with("HTTP/1.1 101") && head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        assert_eq!(head.to_ascii_lowercase().contains("permessage-deflate"), form == Form::Deflate, "{head}");
        let mut connection = Self { stream, inbox, welcome: None };
        if matches!(form, Form::V1 { .. }) {
            let welcome = connection.next().await;
            assert_eq!(welcome["welcome"]["joined"]["topic"], "room/bench", "{welcome}");
            connection.welcome = Some(welcome);
        }
        Some(connection)
    }

    /// What the server answers to a command of `confab.v1` with the number `id`, as it came; what is pushed before is passed over.
    pub async fn ask(&mut self, id: u32, command: &str) -> Vec<u8> {
        self.stream.write_all(&text_frame(command)).await.expect("a server that listens");
        let begin = format!(r#"{{"id":{id},"#);
        loop {
            while let Some(frame) = self.inbox.frame() {
                if frame.payload.starts_with(begin.as_bytes()) {
                    return frame.payload.to_vec();
                }
            }
            assert!(within("an answer", self.inbox.read(&mut self.stream)).await, "it is open");
        }
    }

    /// The next message, of JSON.
    pub async fn next(&mut self) -> Json {
        loop {
            if let Some(frame) = self.inbox.frame() {
                return serde_json::from_slice(frame.payload).expect("JSON");
            }
            assert!(within("a message", self.inbox.read(&mut self.stream)).await, "it is open");
        }
    }
}

/// Opens connections, several at a time.
pub async fn open_all(port: u16, form: Form, count: usize) -> Vec<Connection> {
    const CONNECTORS: usize = 64;
    let mut connectors = Vec::new();
    for connector in 0..CONNECTORS {
        connectors.push(tokio::spawn(async move {
            let mut connections = Vec::new();
            for _ in (connector..count).step_by(CONNECTORS) {
                connections.push(Connection::open(port, form).await.expect("a connection"));
            }
            connections
        }));
    }
    let mut connections = Vec::with_capacity(count);
    for connector in connectors {
        connections.extend(connector.await.expect("all are open"));
    }
    connections
}

/// What has come and was not looked at yet.
#[derive(Default)]
pub struct Inbox {
    held: Vec<u8>,
    /// How much of it was looked at.
    taken: usize,
}

/// A frame of a server.
pub struct Frame<'a> {
    /// All its bytes.
    pub whole: &'a [u8],
    /// The first: the opcode, and whether it is the last of its message and deflated.
    pub first: u8,
    pub payload: &'a [u8],
}

impl Inbox {
    /// Reads what is there, or waits; false at the end.
    pub async fn read(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> bool {
        self.held.drain(..self.taken);
        self.taken = 0;
        matches!(stream.read_buf(&mut self.held).await, Ok(1..))
    }

    /// Room for what comes in one read.
    pub fn reserve(&mut self, bytes: usize) {
        self.held.reserve(bytes);
    }

    /// The answer to the handshake; none when the connection ends before.
    pub async fn head(&mut self, stream: &mut TcpStream) -> Option<String> {
        const END: &[u8] = b"\r\n\r\n";
        loop {
            if let Some(end) = self.held.windows(END.len()).position(|bytes| bytes == END) {
                self.taken = end + END.len();
                return Some(String::from_utf8_lossy(&self.held[..end]).into_owned());
            }
            if !self.read(stream).await {
                return None;
            }
        }
    }

    /// The next whole frame.
    pub fn frame(&mut self) -> Option<Frame<'_>> {
        let rest = &self.held[self.taken..];
        let [first, length, ..] = *rest else { return None };
        let (head, length) = match length {
            126 => (4, usize::from(u16::from_be_bytes(*rest[2..].first_chunk()?))),
            127 => (10, u64::from_be_bytes(*rest[2..].first_chunk()?) as usize),
            short => (2, usize::from(short)),
        };
        let whole = rest.get(..head + length)?;
        self.taken += whole.len();
        Some(Frame { whole, first, payload: &whole[head..] })
    }
}

/// A client's text message, masked with zeros.
pub fn text_frame(text: &str) -> Vec<u8> {
    let mut frame = match text.len() {
        length @ 0..126 => vec![0x81, 0x80 | length as u8],
        length => [vec![0x81, 0xFE], u16::try_from(length).expect("a short text").to_be_bytes().to_vec()].concat(),
    };
    frame.extend([0; 4]);
    frame.extend(text.bytes());
    frame
}
