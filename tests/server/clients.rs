//! Clients: [`Plain`] and [`V1`] on an independent implementation of RFC 6455, [`Raw`] on bytes.

use std::{collections::VecDeque, net::SocketAddr};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _, http::HeaderValue, protocol::CloseFrame},
};

use crate::within;

/// A client without a sub-protocol.
pub struct Plain {
    socket: WebSocketStream<TcpStream>,
}

impl Plain {
    pub async fn connect(address: SocketAddr, path: &str) -> Self {
        Self::with(address, path, &[]).await
    }

    /// With further headers in the handshake.
    pub async fn with(address: SocketAddr, path: &str, headers: &[(&'static str, &str)]) -> Self {
        Self::try_with(address, path, headers).await.expect("a handshake")
    }

    /// The same, where it may be refused.
    pub async fn try_with(address: SocketAddr, path: &str, headers: &[(&'static str, &str)]) -> Result<Self, Error> {
        Ok(Self { socket: connect(address, path, headers).await? })
    }

    pub async fn send(&mut self, message: Message) {
        within("room to send", self.socket.send(message)).await.expect("an open connection");
    }

    pub async fn say(&mut self, text: &str) {
        self.send(Message::text(text)).await;
    }

    /// The next message, control frames included.
    pub async fn next(&mut self) -> Message {
        self.try_next().await.expect("an open connection")
    }

    /// The same, where the server may go away.
    pub async fn try_next(&mut self) -> Result<Message, Error> {
        within("a message", self.socket.next()).await.unwrap_or(Err(Error::ConnectionClosed))
    }

    /// The next message, which has to be text; the server may have asked whether we are alive.
    pub async fn text(&mut self) -> String {
        loop {
            match self.next().await {
                Message::Text(text) => return text.to_string(),
                Message::Ping(_) => {}
                other => panic!("not text: {other:?}"),
            }
        }
    }

    /// The close frame, which has to be next, and then the end of the connection.
    pub async fn closed(&mut self) -> (u16, String) {
        closed(&mut self.socket, |_| false).await
    }
}

/// A client of `confab.v1`.
pub struct V1 {
    socket: WebSocketStream<TcpStream>,
    pub welcome: Value,
    /// How the server knows the client.
    pub kind: Value,
    /// In which it speaks to the client.
    pub language: Value,
    last_id: u64,
    /// What came while an answer was waited for.
    pushes: VecDeque<Value>,
    /// Who came and went meanwhile: it comes some time later than what it is about, so it is asked for by itself.
    changes: VecDeque<Value>,
}

impl V1 {
    pub async fn connect(address: SocketAddr, path: &str) -> Self {
        Self::with(address, path, &[]).await
    }

    /// With further headers in the handshake.
    pub async fn with(address: SocketAddr, path: &str, headers: &[(&'static str, &str)]) -> Self {
        Self::try_with(address, path, headers).await.expect("a welcome")
    }

    /// The same, where the server may be gone.
    pub async fn try_with(address: SocketAddr, path: &str, headers: &[(&'static str, &str)]) -> Result<Self, Error> {
        let mut all = vec![("sec-websocket-protocol", "confab.v1")];
        all.extend(headers);
        let socket = connect(address, path, &all).await?;
        let (pushes, changes) = Default::default();
        let mut v1 =
            Self { socket, welcome: Value::Null, kind: Value::Null, language: Value::Null, last_id: 0, pushes, changes };
        let mut first = v1.frame().await?;
        // It is said to oneself alone: the rest is the person whom others see, too.
        let mut own = |name| first["welcome"]["you"].as_object_mut().and_then(|you| you.remove(name)).unwrap_or_default();
        (v1.kind, v1.language) = (own("kind"), own("language"));
        v1.welcome = first["welcome"].clone();
        assert!(v1.welcome.is_object(), "not a welcome: {first}");
        Ok(v1)
    }

    /// The position that the welcome gave for the address' topic.
    pub fn position(&self) -> Value {
        json!({"epoch": self.welcome["joined"]["epoch"], "offset": self.welcome["joined"]["offset"]})
    }

    /// The next frame that does not say who has come or gone.
    async fn frame(&mut self) -> Result<Value, Error> {
        loop {
            let frame = self.any_frame().await?;
            if !is_change(&frame) {
                return Ok(frame);
            }
            self.changes.push_back(frame);
        }
    }

    async fn any_frame(&mut self) -> Result<Value, Error> {
        loop {
            return match within("a message", self.socket.next()).await {
                Some(Ok(Message::Text(text))) => Ok(serde_json::from_str(&text).expect("JSON")),
                // The server asks whether we are alive; the socket answers by itself.
                Some(Ok(Message::Ping(_))) => continue,
                Some(Ok(Message::Close(frame))) => Err(Error::Io(std::io::Error::other(format!("closed: {frame:?}")))),
                Some(Ok(other)) => panic!("not text: {other:?}"),
                Some(Err(error)) => Err(error),
                None => Err(Error::ConnectionClosed),
            };
        }
    }

    /// Sends text as it is.
    pub async fn say(&mut self, text: &str) {
        self.send(Message::text(text)).await;
    }

    pub async fn send(&mut self, message: Message) {
        within("room to send", self.socket.send(message)).await.expect("an open connection");
    }

    /// Sends a command and gives its whole answer; what is pushed meanwhile is kept for [`Self::push`].
    pub async fn ask(&mut self, command: Value) -> Value {
        self.try_ask(command).await.expect("an open connection")
    }

    /// The same, where the server may go away.
    pub async fn try_ask(&mut self, mut command: Value) -> Result<Value, Error> {
        self.last_id += 1;
        command["id"] = self.last_id.into();
        within("room to send", self.socket.send(Message::text(command.to_string()))).await?;
        self.answer(json!(self.last_id)).await
    }

    /// The next answer, which has to be to `id`.
    pub async fn answer(&mut self, id: Value) -> Result<Value, Error> {
        loop {
            let frame = self.frame().await?;
            if frame.get("topic").is_some() {
                self.pushes.push_back(frame);
                continue;
            }
            assert_eq!(frame["id"], id, "an answer to something else: {frame}");
            return Ok(frame);
        }
    }

    /// Sends a command that is carried out.
    pub async fn ok(&mut self, command: Value) -> Value {
        let answer = self.ask(command).await;
        assert!(answer.get("ok").is_some() && answer.get("error").is_none(), "{answer}");
        answer["ok"].clone()
    }

    /// Sends a command that is refused.
    pub async fn error(&mut self, command: Value) -> Value {
        let answer = self.ask(command).await;
        assert!(answer.get("ok").is_none() && answer.get("error").is_some(), "{answer}");
        answer["error"].clone()
    }

    pub async fn join(&mut self, topic: &str, since: Option<&Value>) -> Value {
        let mut join = json!({"topic": topic});
        if let Some(since) = since {
            join["since"] = since.clone();
        }
        self.ok(json!({"join": join})).await
    }

    /// Says something and gives its offset.
    pub async fn post(&mut self, topic: &str, key: &str, text: &str) -> Value {
        self.ok(json!({"send": {"topic": topic, "key": key, "text": text}})).await["offset"].clone()
    }

    /// The next push.
    pub async fn push(&mut self) -> Value {
        self.try_push().await.expect("an open connection")
    }

    /// The same, where the server may go away. Nothing is lost when it is dropped.
    pub async fn try_push(&mut self) -> Result<Value, Error> {
        if let Some(push) = self.pushes.pop_front() {
            return Ok(push);
        }
        let frame = self.frame().await?;
        assert!(frame.get("topic").is_some(), "not a push: {frame}");
        Ok(frame)
    }

    /// The next event that says who has come or gone.
    pub async fn change(&mut self) -> Value {
        if let Some(change) = self.changes.pop_front() {
            return change;
        }
        loop {
            let frame = self.any_frame().await.expect("an open connection");
            if is_change(&frame) {
                return frame;
            }
            assert!(frame.get("topic").is_some(), "not a push: {frame}");
            self.pushes.push_back(frame);
        }
    }

    /// Waits until so many people are in the room, as the pushes say; gives the last of them.
    pub async fn sees(&mut self, topic: &str, count: u64) -> Value {
        loop {
            let change = self.change().await;
            if change["topic"] == topic && change["event"]["count"] == count {
                return change["event"].clone();
            }
        }
    }

    /// The pushes that came before the answer to a ping, which is sent now: on one connection nothing overtakes.
    pub async fn pushes_so_far(&mut self) -> Vec<Value> {
        assert_eq!(self.ok(json!({"ping": {}})).await, json!({}));
        self.pushes.drain(..).collect()
    }

    /// What came so far of who has come and gone.
    #[allow(dead_code, reason = "tests of several nodes ask for it")]
    pub fn changes_so_far(&mut self) -> Vec<Value> {
        self.changes.drain(..).collect()
    }

    /// The close frame, which has to be next, and then the end of the connection.
    pub async fn closed(&mut self) -> (u16, String) {
        // Who came and went may still be told.
        closed(&mut self.socket, |text| serde_json::from_str(text).is_ok_and(|frame| is_change(&frame))).await
    }
}

/// Whether a frame says who has come or gone.
fn is_change(frame: &Value) -> bool {
    frame["event"]["type"] == "presence"
}

/// A connection after its handshake, with further headers in it, where the server may be gone.
pub async fn connect(
    address: SocketAddr,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Result<WebSocketStream<TcpStream>, Error> {
    let mut request = format!("ws://{address}{path}").into_client_request()?;
    for (name, value) in headers {
        request.headers_mut().append(*name, HeaderValue::from_str(value)?);
    }
    let stream = within("a connection", TcpStream::connect(address)).await?;
    stream.set_nodelay(true)?;
    let (socket, _) = within("a handshake", client_async(request, stream)).await?;
    Ok(socket)
}

async fn closed(socket: &mut WebSocketStream<TcpStream>, before: impl Fn(&str) -> bool) -> (u16, String) {
    let frame = loop {
        match within("a close frame", socket.next()).await {
            Some(Ok(Message::Close(Some(CloseFrame { code, reason })))) => break (code.into(), reason.to_string()),
            Some(Ok(Message::Ping(_))) => {}
            Some(Ok(Message::Text(text))) if before(&text) => {}
            other => panic!("not a close frame: {other:?}"),
        }
    };
    // The client answers it while it reads on.
    let end = within("the end of the connection", socket.next()).await;
    assert!(matches!(end, None | Some(Err(_))), "{end:?}");
    frame
}

/// A TCP connection.
pub struct Raw {
    pub stream: TcpStream,
    /// What was read and not yet looked at.
    buffer: Vec<u8>,
}

/// The head of an answer.
#[derive(Debug)]
pub struct Head {
    pub status: u16,
    text: String,
}

impl Head {
    /// A header's value; none where it is missing.
    pub fn get(&self, name: &str) -> Option<&str> {
        let lines = self.text.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// What a good handshake has beside its first line, with the key of RFC 6455 section 1.3.
pub const UPGRADE: [(&str, &str); 5] = [
    ("Host", "confab.example"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

/// A request with these headers.
pub fn request(first_line: &str, headers: &[(&str, &str)]) -> String {
    let lines: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{first_line}\r\n{}\r\n", lines.concat())
}

/// A masked frame, its first byte as given.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
    let mut bytes = header(first, 0x80, payload.len());
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// A frame as only a server may send it.
pub fn unmasked_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(first, 0, payload.len());
    bytes.extend(payload);
    bytes
}

fn header(first: u8, masked: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![first];
    match u16::try_from(length) {
        Ok(short @ 0..126) => bytes.push(masked | u8::try_from(short).expect("below 126")),
        Ok(medium) => {
            bytes.push(masked | 0x7E);
            bytes.extend(medium.to_be_bytes());
        }
        Err(_) => {
            bytes.push(masked | 0x7F);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes
}

impl Raw {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::on(within("a connection", TcpStream::connect(address)).await.expect("a connection"))
    }

    /// For which the system reads ahead as little as may be.
    pub async fn slow(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(16 * 1024).expect("a TCP option");
        Self::on(within("a connection", socket.connect(address)).await.expect("a connection"))
    }

    pub fn on(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// A plain client after its handshake.
    pub async fn upgraded(address: SocketAddr, path: &str) -> Self {
        let mut raw = Self::connect(address).await;
        raw.send(request(&format!("GET {path} HTTP/1.1"), &UPGRADE).as_bytes()).await;
        assert_eq!(raw.head().await.status, 101);
        raw
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        within("room to send", self.stream.write_all(bytes)).await.expect("an open connection");
    }

    /// Sends what the server may refuse before it has read all of it.
    pub async fn send_in_vain(&mut self, bytes: &[u8]) {
        // The answer can be read even where the connection has been reset meanwhile.
        let _ = self.try_send(bytes).await;
    }

    /// Whether the connection still took all of it.
    pub async fn try_send(&mut self, bytes: &[u8]) -> bool {
        within("room to send", self.stream.write_all(bytes)).await.is_ok()
    }

    /// Reads some more; false at the end.
    async fn read(&mut self) -> bool {
        let read = within("bytes", self.stream.read_buf(&mut self.buffer)).await;
        read.is_ok_and(|length| length > 0)
    }

    /// The head of an answer.
    pub async fn head(&mut self) -> Head {
        let head = self.try_head().await;
        head.unwrap_or_else(|| panic!("the connection ended: {:?}", String::from_utf8_lossy(&self.buffer)))
    }

    /// The same; none where the connection ends before.
    pub async fn try_head(&mut self) -> Option<Head> {
        let end = loop {
            match self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                Some(end) => break end,
                None if self.read().await => {}
                None => return None,
            }
        };
        let text = String::from_utf8(self.buffer.drain(..end + 4).collect()).expect("a head in ASCII");
        let status = text.get(9..12).and_then(|digits| digits.parse().ok());
        Some(Head { status: status.unwrap_or_else(|| panic!("no status in {text}")), text })
    }

    /// All that comes until the connection ends, or an answer in chunks does.
    pub async fn rest(&mut self) -> Vec<u8> {
        while !self.buffer.ends_with(b"\r\n0\r\n\r\n") && self.read().await {}
        std::mem::take(&mut self.buffer)
    }

    /// The next frame, its first byte and payload; none when the connection has ended.
    pub async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((first, start, length)) = self.next_frame()
                && self.buffer.len() >= start + length
            {
                let payload = self.buffer[start..start + length].to_vec();
                self.buffer.drain(..start + length);
                return Some((first, payload));
            }
            if !self.read().await {
                return None;
            }
        }
    }

    /// First byte, start of the payload and its length, once that much is there.
    fn next_frame(&self) -> Option<(u8, usize, usize)> {
        let [first, second, rest @ ..] = &self.buffer[..] else { return None };
        assert!(second & 0x80 == 0, "a server's frames are not masked");
        Some(match second {
            126 => (*first, 4, usize::from(u16::from_be_bytes(*rest.first_chunk()?))),
            127 => (*first, 10, usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).expect("an address")),
            short => (*first, 2, usize::from(*short)),
        })
    }

    /// The next frame, which has to be a close frame: its code and reason.
    pub async fn closed(&mut self) -> (u16, String) {
        let (first, payload) = self.frame().await.expect("a close frame");
        assert_eq!(first, 0x88, "not a close frame: {payload:?}");
        let (code, reason) = payload.split_first_chunk().expect("a code");
        (u16::from_be_bytes(*code), String::from_utf8(reason.to_vec()).expect("text"))
    }
}
