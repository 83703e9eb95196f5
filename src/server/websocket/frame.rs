//! Frames (RFC 6455 section 5): encoding ours, which are never masked, and decoding a client's, which always are.

use std::cell::OnceCell;

use bytes::{BufMut, Bytes, BytesMut};

use super::deflate::{Deflate, Unreadable, deflate, inflate, longest_deflated};

/// Why a connection ends, as the closing handshake says it (RFC 6455 section 7.4). 4000 to 4499 invite the client to come
/// back, 4500 to 4999 do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseCode(pub u16);

impl CloseCode {
    pub const NORMAL: Self = Self(1000);
    pub const PROTOCOL_ERROR: Self = Self(1002);
    pub const UNSUPPORTED: Self = Self(1003);
    /// Never sent: the peer's close frame had no code.
    pub const NONE: Self = Self(1005);
    /// Never sent: the connection broke without a closing handshake.
    pub const ABNORMAL: Self = Self(1006);
    pub const INVALID_TEXT: Self = Self(1007);
    pub const TOO_BIG: Self = Self(1009);
    /// The server cannot now; the same may go through later (registered with IANA).
    pub const TRY_AGAIN: Self = Self(1013);
    /// The client reads too slowly; what it missed it gets when it returns.
    pub const SLOW_READER: Self = Self(4001);
    /// What the client has of a stream is void; joining anew gives it the present state.
    pub const LOST_POSITION: Self = Self(4002);
    /// The server stops; another or the same one will be there in a moment.
    pub const SHUTTING_DOWN: Self = Self(4003);
    /// The person was signed out, and can be this one no more.
    pub const SIGNED_OUT: Self = Self(4501);
    /// What the connection is for was taken back from the person.
    pub const TAKEN_BACK: Self = Self(4502);
    /// The address has as many connections as it may have.
    pub const TOO_MANY_CONNECTIONS: Self = Self(4503);
    /// Somebody who administers the server has closed it.
    pub const CLOSED: Self = Self(4504);

    /// May stand in a close frame (RFC 6455 section 7.4.2).
    fn may_be_sent(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

/// The opcodes (RFC 6455 section 5.2).
mod opcode {
    pub(super) const CONTINUATION: u8 = 0x0;
    pub(super) const TEXT: u8 = 0x1;
    pub(super) const BINARY: u8 = 0x2;
    pub(super) const CLOSE: u8 = 0x8;
    pub(super) const PING: u8 = 0x9;
    pub(super) const PONG: u8 = 0xA;
}

/// The first frame of a deflated message has this bit (RFC 7692 section 6).
const RSV1: u8 = 0x40;

/// The longest payload of a control frame (RFC 6455 section 5.5).
const CONTROL_PAYLOAD: usize = 125;

/// What a control frame costs beside its bytes, as so many bytes of a message: the answer to a ping is a write to the socket.
const CONTROL_COST: usize = 1024;
/// What a frame costs beside its bytes that does not end its message.
const FRAGMENT_COST: usize = 64;

/// An encoded frame, ready for the wire and cheap to share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame(Bytes);

impl Frame {
    pub fn text(text: &str) -> Self {
        Self::encode(opcode::TEXT, text.as_bytes())
    }

    /// Several frames, one behind the other, as something that is sent like one.
    pub fn in_one_piece(frames: &[Self]) -> Self {
        Self(frames.iter().map(|frame| &*frame.0).collect::<Vec<_>>().concat().into())
    }

    pub fn binary(bytes: &[u8]) -> Self {
        Self::encode(opcode::BINARY, bytes)
    }

    /// `payload` beyond the 125 bytes of a control frame is cut off.
    pub(super) fn ping(payload: &[u8]) -> Self {
        Self::encode(opcode::PING, &payload[..payload.len().min(CONTROL_PAYLOAD)])
    }

    pub(super) fn pong(payload: &[u8]) -> Self {
        Self::encode(opcode::PONG, &payload[..payload.len().min(CONTROL_PAYLOAD)])
    }

    /// A reason that does not fit is cut off at a character.
    pub(in crate::server) fn close(code: CloseCode, reason: &str) -> Self {
        if !code.may_be_sent() {
            return Self::encode(opcode::CLOSE, &[]);
        }
        let mut end = reason.len().min(CONTROL_PAYLOAD - 2);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let mut payload = Vec::with_capacity(2 + end);
        payload.extend_from_slice(&code.0.to_be_bytes());
        payload.extend_from_slice(&reason.as_bytes()[..end]);
        Self::encode(opcode::CLOSE, &payload)
    }

    /// A text or binary message as a connection takes it: deflated where that was agreed on and makes it smaller.
    pub(super) fn fitted(self, deflate: Option<Deflate>) -> Self {
        if self.may_be_deflated(deflate) { self.deflated().unwrap_or(self) } else { self }
    }

    pub(super) fn may_be_deflated(&self, deflate: Option<Deflate>) -> bool {
        deflate.is_some_and(|deflate| deflate.takes(self.payload().len()))
    }

    /// None where it would not get smaller.
    fn deflated(&self) -> Option<Self> {
        deflate(self.payload()).map(|payload| Self::encode(self.0[0] | RSV1, &payload))
    }

    fn payload(&self) -> &[u8] {
        match self.0[1] {
            126 => &self.0[4..],
            127 => &self.0[10..],
            _ => &self.0[2..],
        }
    }

    /// The only frame of a message, `first` being its opcode with what goes with it.
    fn encode(first: u8, payload: &[u8]) -> Self {
        let mut out = BytesMut::with_capacity(payload.len() + 10);
        out.put_u8(0x80 | first);
        match payload.len() {
            short @ 0..=125 => out.put_u8(short as u8),
            medium @ 126..=0xFFFF => {
                out.put_u8(126);
                out.put_u16(medium as u16);
            }
            long => {
                out.put_u8(127);
                out.put_u64(long as u64);
            }
        }
        out.put_slice(payload);
        Self(out.freeze())
    }

    /// The bytes as they go over the wire.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }
}

/// A message for many connections. It is deflated when the first of them takes it so, once for all.
pub struct SharedFrame {
    plain: Frame,
    deflated: OnceCell<Option<Frame>>,
}

impl SharedFrame {
    pub fn new(plain: Frame) -> Self {
        Self { plain, deflated: OnceCell::new() }
    }

    /// As a connection takes it with which this was agreed on.
    pub fn fitted(&self, deflate: Option<Deflate>) -> Frame {
        let deflated = if self.plain.may_be_deflated(deflate) {
            self.deflated.get_or_init(|| self.plain.deflated()).as_ref()
        } else {
            None
        };
        deflated.unwrap_or(&self.plain).clone()
    }
}

/// What a client said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(CloseCode, String),
}

impl Message {
    /// How long the payload is, in bytes.
    pub fn length(&self) -> usize {
        match self {
            Self::Text(text) | Self::Close(_, text) => text.len(),
            Self::Binary(bytes) | Self::Ping(bytes) | Self::Pong(bytes) => bytes.len(),
        }
    }
}

/// What has wholly come.
#[derive(Debug)]
pub enum Decoded {
    Message(Message),
    Deflated(DeflatedMessage),
}

/// A text or binary message as it came, in DEFLATE. It may be a thousand times as long as its bytes.
#[derive(Debug)]
pub struct DeflatedMessage {
    is_binary: bool,
    bytes: Vec<u8>,
    /// The longest message, in bytes.
    longest: usize,
}

impl DeflatedMessage {
    /// The message itself.
    ///
    /// # Errors
    /// It is no DEFLATE, longer than a message may be, or a text that is not UTF-8.
    pub fn inflate(self) -> Result<Message, Violation> {
        let bytes = inflate(self.bytes, self.longest).map_err(|unreadable| match unreadable {
            // RFC 7692 leaves the code to us: the data is not what the message says that it is.
            Unreadable::Invalid => violation(CloseCode::INVALID_TEXT, "a message cannot be inflated"),
            Unreadable::TooBig => too_big(self.longest),
        })?;
        message(self.is_binary, bytes)
    }
}

/// A breach of the protocol; the connection is closed with this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub code: CloseCode,
    pub reason: String,
}

fn violation(code: CloseCode, reason: &str) -> Violation {
    Violation { code, reason: reason.to_owned() }
}

/// Bytes in, messages out. Holds the unfinished part of what has come; nothing while a connection is idle.
pub struct Decoder {
    /// What was read; up to `start` it is decoded.
    buffer: Vec<u8>,
    start: usize,
    /// The message whose last frame has not wholly come.
    message: Option<Unfinished>,
    /// Its frame whose payload has not wholly come.
    frame: Option<Incoming>,
    /// The longest message, in bytes.
    longest: usize,
    /// Messages may be deflated.
    deflate: bool,
    /// What the frames cost that completed no message and were not charged for yet, in bytes.
    overhead: usize,
}

/// The fixed part of a frame.
struct Header {
    last: bool,
    deflated: bool,
    opcode: u8,
    mask: [u8; 4],
    /// Where the payload begins, and how long it is, in bytes.
    start: usize,
    payload: usize,
}

struct Unfinished {
    opcode: u8,
    deflated: bool,
    /// What has come of it.
    bytes: Vec<u8>,
    /// Up to here it is known to be UTF-8.
    checked: usize,
}

struct Incoming {
    last: bool,
    /// As it is for the next byte.
    mask: [u8; 4],
    /// How much of the payload is still to come, in bytes.
    left: usize,
}

impl Decoder {
    /// Messages, all fragments together, are at most `longest` bytes. They may be `deflate`d if that was agreed on.
    pub fn new(longest: usize, deflate: bool) -> Self {
        Self { buffer: Vec::new(), start: 0, message: None, frame: None, longest, deflate, overhead: 0 }
    }

    /// What the frames cost that have completed no message since this was last asked, in bytes: what they are long beside the payload
    /// of the message that they belong to, and for the work [`CONTROL_COST`] or [`FRAGMENT_COST`] each. A message is paid for by
    /// whoever takes it.
    pub fn take_overhead(&mut self) -> usize {
        std::mem::take(&mut self.overhead)
    }

    /// The same without taking it.
    pub fn overhead(&self) -> usize {
        self.overhead
    }

    /// Takes in what was read.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, if there is one.
    ///
    /// # Errors
    /// The client broke the protocol; nothing after that has a meaning. Text that is not UTF-8 is found at the first byte
    /// that shows it.
    pub fn decode(&mut self) -> Result<Option<Decoded>, Violation> {
        loop {
            if let Some(frame) = self.frame.take() {
                if let Some(decoded) = self.payload(frame)? {
                    return Ok(Some(decoded));
                }
                if self.frame.is_some() {
                    return Ok(None);
                }
            }
            let Some(header) = self.header()? else { return Ok(None) };
            let Header { last, deflated, opcode, mask, start, payload: left } = header;
            if is_control(opcode) {
                let payload = self.buffer[self.start..].get(start..start + left).map(<[u8]>::to_vec);
                let Some(mut payload) = payload else { return Ok(None) };
                unmask(&mut payload, mask);
                self.consume(start + left);
                self.overhead += start + left + CONTROL_COST;
                return control(opcode, payload).map(|message| Some(Decoded::Message(message)));
            }
            self.consume(start);
            if !last {
                self.overhead += start + FRAGMENT_COST;
            }
            self.message.get_or_insert_with(|| Unfinished { opcode, deflated, bytes: Vec::new(), checked: 0 });
            self.frame = Some(Incoming { last, mask, left });
        }
    }

    fn header(&self) -> Result<Option<Header>, Violation> {
        let [first, second, rest @ ..] = &self.buffer[self.start..] else { return Ok(None) };
        let refuse = |reason| Err(violation(CloseCode::PROTOCOL_ERROR, reason));
        let (last, deflated, opcode) = (first & 0x80 != 0, first & RSV1 != 0, first & 0x0F);
        let begins = matches!(opcode, opcode::TEXT | opcode::BINARY);
        if first & 0x30 != 0 || (deflated && !self.deflate) {
            return refuse("reserved bits are set and no extension was agreed on that has them");
        }
        if deflated && !begins {
            return refuse("only the first frame of a message says that it is deflated");
        }
        if second & 0x80 == 0 {
            return refuse("frames from a client are masked");
        }
        let control = is_control(opcode);
        match opcode {
            opcode::CONTINUATION if self.message.is_none() => return refuse("a continuation without a beginning"),
            opcode::TEXT | opcode::BINARY if self.message.is_some() => return refuse("a new message inside another"),
            opcode::CONTINUATION | opcode::TEXT | opcode::BINARY => {}
            opcode::CLOSE | opcode::PING | opcode::PONG if last => {}
            opcode::CLOSE | opcode::PING | opcode::PONG => return refuse("a control frame in fragments"),
            _ => return refuse("a reserved opcode"),
        }
        let (length_bytes, payload_len) = match (second & 0x7F, rest) {
            (126 | 127, _) if control => return refuse("a control frame over 125 bytes"),
            (126, rest) => match rest.first_chunk() {
                Some(length) => (2, u64::from(u16::from_be_bytes(*length))),
                None => return Ok(None),
            },
            (127, rest) => match rest.first_chunk() {
                Some(length) => (8, u64::from_be_bytes(*length)),
                None => return Ok(None),
            },
            (short, _) => (0, u64::from(short)),
        };
        if (length_bytes == 2 && payload_len < 126) || (length_bytes == 8 && payload_len <= 0xFFFF) {
            return refuse("a length in more bytes than it needs");
        }
        if payload_len > u64::MAX >> 1 {
            return refuse("a length with its first bit set");
        }
        let payload = usize::try_from(payload_len).unwrap_or(usize::MAX);
        let so_far = self.message.as_ref().map_or(0, |message| message.bytes.len());
        let deflated = self.message.as_ref().map_or(deflated, |message| message.deflated);
        let longest = if deflated { longest_deflated(self.longest) } else { self.longest };
        if !control && so_far.saturating_add(payload) > longest {
            return Err(too_big(self.longest));
        }
        let Some(mask) = rest.get(length_bytes..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
        Ok(Some(Header { last, deflated, opcode, mask: *mask, start: 2 + length_bytes + mask.len(), payload }))
    }

    /// Takes in what has come of a frame's payload; gives the message that it completes. Keeps the frame if there is more to
    /// come.
    fn payload(&mut self, mut frame: Incoming) -> Result<Option<Decoded>, Violation> {
        let Some(mut message) = self.message.take() else { return Ok(None) };
        let here = &self.buffer[self.start..];
        let length = here.len().min(frame.left);
        let from = message.bytes.len();
        message.bytes.extend_from_slice(&here[..length]);
        unmask(&mut message.bytes[from..], frame.mask);
        self.consume(length);
        frame.left -= length;
        if frame.left == 0 && frame.last {
            return message.finish(self.longest).map(Some);
        }
        message.check()?;
        self.message = Some(message);
        if frame.left > 0 {
            frame.mask.rotate_left(length % 4);
            self.frame = Some(frame);
        }
        Ok(None)
    }

    /// So many bytes more are decoded.
    fn consume(&mut self, length: usize) {
        self.start += length;
        if self.start == self.buffer.len() {
            (self.buffer, self.start) = (Vec::new(), 0);
        }
    }
}

impl Unfinished {
    /// Looks whether what has come can still become a text.
    fn check(&mut self) -> Result<(), Violation> {
        if self.opcode != opcode::TEXT || self.deflated {
            return Ok(());
        }
        match std::str::from_utf8(&self.bytes[self.checked..]) {
            Ok(_) => self.checked = self.bytes.len(),
            // A character that has not wholly come.
            Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
            Err(_) => return Err(not_utf8()),
        }
        Ok(())
    }

    fn finish(self, longest: usize) -> Result<Decoded, Violation> {
        let Self { bytes, deflated, opcode, .. } = self;
        let is_binary = opcode == opcode::BINARY;
        if deflated {
            return Ok(Decoded::Deflated(DeflatedMessage { is_binary, bytes, longest }));
        }
        message(is_binary, bytes).map(Decoded::Message)
    }
}

fn message(is_binary: bool, bytes: Vec<u8>) -> Result<Message, Violation> {
    if is_binary {
        return Ok(Message::Binary(bytes));
    }
    String::from_utf8(bytes).map(Message::Text).map_err(|_| not_utf8())
}

fn is_control(opcode: u8) -> bool {
    opcode >= 0x8
}

fn not_utf8() -> Violation {
    violation(CloseCode::INVALID_TEXT, "a text message is UTF-8")
}

fn too_big(longest: usize) -> Violation {
    Violation { code: CloseCode::TOO_BIG, reason: format!("a message is at most {longest} bytes") }
}

fn control(opcode: u8, payload: Vec<u8>) -> Result<Message, Violation> {
    match opcode {
        opcode::PING => Ok(Message::Ping(payload)),
        opcode::PONG => Ok(Message::Pong(payload)),
        _ => close(&payload),
    }
}

fn close(payload: &[u8]) -> Result<Message, Violation> {
    let [high, low, reason @ ..] = payload else {
        return if payload.is_empty() {
            Ok(Message::Close(CloseCode::NONE, String::new()))
        } else {
            Err(violation(CloseCode::PROTOCOL_ERROR, "a close code has two bytes"))
        };
    };
    let code = CloseCode(u16::from_be_bytes([*high, *low]));
    if !code.may_be_sent() {
        return Err(violation(CloseCode::PROTOCOL_ERROR, "a close code that may not be sent"));
    }
    match std::str::from_utf8(reason) {
        Ok(reason) => Ok(Message::Close(code, reason.to_owned())),
        Err(_) => Err(violation(CloseCode::INVALID_TEXT, "a close reason is UTF-8")),
    }
}

/// RFC 6455 section 5.3; eight bytes at a time, the rest singly.
fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut chunks = payload.chunks_exact_mut(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        chunk.copy_from_slice(&(u64::from_ne_bytes(word) ^ wide).to_ne_bytes());
    }
    for (byte, key) in chunks.into_remainder().iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LONGEST: usize = 1 << 20;

    /// A client's frame.
    fn frame(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
        let mut bytes = Frame::encode(first & 0x0F, payload).0.to_vec();
        bytes[0] = first;
        let header = bytes.len() - payload.len();
        bytes[1] |= 0x80;
        unmask(&mut bytes[header..], mask);
        bytes.splice(header..header, mask);
        bytes
    }

    fn whole(decoded: Decoded) -> Result<Message, Violation> {
        match decoded {
            Decoded::Message(message) => Ok(message),
            Decoded::Deflated(message) => message.inflate(),
        }
    }

    fn all(bytes: &[u8]) -> Result<Vec<Message>, Violation> {
        let mut decoder = Decoder::new(LONGEST, false);
        decoder.feed(bytes);
        let mut messages = Vec::new();
        while let Some(decoded) = decoder.decode()? {
            messages.push(whole(decoded)?);
        }
        Ok(messages)
    }

    #[test]
    fn all_three_length_forms() {
        for length in [0, 1, 125, 126, 65_535, 65_536, 100_000] {
            let payload = vec![b'x'; length];
            let expected = Message::Text("x".repeat(length));
            assert_eq!(all(&frame(0x81, &payload, [1, 2, 3, 4])), Ok(vec![expected]), "{length}");
        }
    }

    #[test]
    fn control_frames_between_fragments() {
        let bytes = [
            frame(0x01, b"Hel", [9, 9, 9, 9]),
            frame(0x89, b"?", [0; 4]),
            frame(0x00, b"l", [7, 1, 0, 3]),
            frame(0x80, b"o", [1; 4]),
        ];
        let expected = vec![Message::Ping(b"?".to_vec()), Message::Text("Hello".to_owned())];
        assert_eq!(all(&bytes.concat()), Ok(expected));
    }

    #[test]
    fn breaches_are_closed_with_the_code_of_the_rfc() {
        let m = [1, 2, 3, 4];
        let unmasked = Frame::text("hi").0.to_vec();
        let mut wasteful = vec![0x81, 0x80 | 0x7E, 0, 5];
        wasteful.extend([0; 9]);
        for (what, bytes, code) in [
            ("not masked", unmasked, 1002),
            ("reserved bit", frame(0xC1, b"", m), 1002),
            ("reserved opcode", frame(0x83, b"", m), 1002),
            ("reserved control opcode", frame(0x8B, b"", m), 1002),
            ("continuation of nothing", frame(0x80, b"", m), 1002),
            ("message inside a message", [frame(0x01, b"", m), frame(0x81, b"", m)].concat(), 1002),
            ("ping in fragments", frame(0x09, b"", m), 1002),
            ("long ping", frame(0x89, &[0; 126], m), 1002),
            ("length in too many bytes", wasteful, 1002),
            ("one-byte close", frame(0x88, &[3], m), 1002),
            ("close code 1005", frame(0x88, &1005_u16.to_be_bytes(), m), 1002),
            ("close code 999", frame(0x88, &999_u16.to_be_bytes(), m), 1002),
            ("close reason not UTF-8", frame(0x88, &[3, 232, 0xFF], m), 1007),
            ("text not UTF-8", frame(0x81, &[0xC0, 0x80], m), 1007),
            ("a surrogate", frame(0x81, &[0xED, 0xA0, 0x80], m), 1007),
            ("too long", frame(0x82, &vec![0; LONGEST + 1], m), 1009),
            ("too long in parts", [frame(0x02, &vec![0; LONGEST], m), frame(0x80, b"x", m)].concat(), 1009),
        ] {
            assert_eq!(all(&bytes).expect_err(what).code, CloseCode(code), "{what}");
        }
    }

    #[test]
    fn frames_that_complete_no_message_are_counted_with_their_bytes() {
        let m = [1, 2, 3, 4];
        let mut decoder = Decoder::new(LONGEST, false);
        for (bytes, cost) in [
            (frame(0x81, b"whole", m), 0),
            (frame(0x89, b"ping", m), 10 + CONTROL_COST),
            (frame(0x8A, b"", m), 6 + CONTROL_COST),
            (frame(0x01, b"a beginning", m), 6 + FRAGMENT_COST),
            ([frame(0x00, b"", m), frame(0x00, &[b'x'; 200], m)].concat(), 14 + 2 * FRAGMENT_COST),
            (frame(0x80, b"and the end", m), 0),
        ] {
            decoder.feed(&bytes);
            while decoder.decode().expect("good frames").is_some() {}
            assert_eq!(decoder.overhead(), cost, "{bytes:x?}");
            assert_eq!(decoder.take_overhead(), cost);
        }
        assert_eq!(decoder.take_overhead(), 0);
    }

    #[test]
    fn a_length_over_the_bound_is_refused_before_the_payload_comes() {
        for (length, code) in [(u64::MAX, CloseCode::PROTOCOL_ERROR), (u64::MAX >> 1, CloseCode::TOO_BIG)] {
            let mut head = vec![0x82, 0x80 | 0x7F];
            head.extend(length.to_be_bytes());
            assert_eq!(all(&head).expect_err("refused").code, code);
        }
    }

    #[test]
    fn a_long_close_reason_is_cut_at_a_character() {
        let frame = Frame::close(CloseCode::NORMAL, &"é".repeat(100));
        let reason = std::str::from_utf8(&frame.bytes()[4..]).expect("UTF-8");
        assert_eq!(reason, "é".repeat(61));
    }

    proptest! {
        #[test]
        fn however_the_bytes_are_cut_the_messages_are_the_same(
            texts in prop::collection::vec(".{0,200}", 1..5),
            mask: [u8; 4],
            cuts in prop::collection::vec(1_usize..40, 1..20),
        ) {
            let stream: Vec<u8> = texts.iter().flat_map(|text| frame(0x81, text.as_bytes(), mask)).collect();
            let mut decoder = Decoder::new(LONGEST, false);
            let mut rest = stream.as_slice();
            let mut seen = Vec::new();
            for cut in cuts.into_iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at(cut.min(rest.len()));
                decoder.feed(now);
                rest = later;
                while let Some(decoded) = decoder.decode().expect("good frames") {
                    seen.push(whole(decoded).expect("good messages"));
                }
            }
            let expected: Vec<_> = texts.into_iter().map(Message::Text).collect();
            prop_assert_eq!(seen, expected);
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = all(&bytes);
        }
    }
}
