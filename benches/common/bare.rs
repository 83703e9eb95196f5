//! The floor: one thread, one epoll, and nothing but the reading of a message and the writing of the ready frame to everybody.
//!
//! It knows one kind of message, a masked text in one frame, checks nothing, and gives up on whoever does not read.

use std::{
    collections::HashMap,
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr},
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

const LISTENER: Token = Token(usize::MAX);

struct Client {
    stream: TcpStream,
    held: Vec<u8>,
    /// The handshake is done.
    open: bool,
}

/// Serves until the process is killed.
pub fn serve(port: u16) {
    let mut poll = Poll::new().expect("epoll");
    let mut listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).expect("a free port");
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE).expect("registered");
    let (mut clients, mut next, mut events) = (HashMap::new(), 0, Events::with_capacity(1_024));
    loop {
        poll.poll(&mut events, None).expect("events");
        for event in &events {
            if event.token() != LISTENER {
                serve_client(&mut clients, event.token());
                continue;
            }
            while let Ok((mut stream, _)) = listener.accept() {
                stream.set_nodelay(true).expect("an open socket");
                poll.registry().register(&mut stream, Token(next), Interest::READABLE).expect("registered");
                clients.insert(Token(next), Client { stream, held: Vec::new(), open: false });
                next += 1;
            }
        }
    }
}

fn serve_client(clients: &mut HashMap<Token, Client>, token: Token) {
    let Some(client) = clients.get_mut(&token) else { return };
    let mut buffer = [0; 16 * 1024];
    loop {
        match client.stream.read(&mut buffer) {
            Ok(count @ 1..) => client.held.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            _ => {
                clients.remove(&token);
                return;
            }
        }
    }
    if !client.open {
        if !client.held.ends_with(b"\r\n\r\n") {
            return;
        }
        let request = String::from_utf8_lossy(&client.held);
        let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).expect("a key");
        let accept = derive_accept_key(key.as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        client.stream.write_all(answer.as_bytes()).expect("room for an answer");
        (client.open, client.held) = (true, Vec::new());
        return;
    }
    let mut frames = Vec::new();
    while let Some(frame) = take_frame(&mut client.held) {
        frames.extend(frame);
    }
    if !frames.is_empty() {
        clients.retain(|_, client| !client.open || client.stream.write_all(&frames).is_ok());
    }
}

/// The next message as the server's frame.
fn take_frame(held: &mut Vec<u8>) -> Option<Vec<u8>> {
    let (head, length) = match held.get(1)? & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes([*held.get(2)?, *held.get(3)?]))),
        short => (2, usize::from(short)),
    };
    let end = head + 4 + length;
    if held.len() < end {
        return None;
    }
    let mask: Vec<u8> = held[head..head + 4].to_vec();
    let mut frame = held[..head].to_vec();
    frame[1] &= 0x7f;
    frame.extend(held[head + 4..end].iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    held.drain(..end);
    Some(frame)
}
