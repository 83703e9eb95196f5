//! Tells a client that its address or its account has too many connections; a browser's script sees a reason only after a handshake.

use std::sync::Arc;

use async_trait::async_trait;

use super::Consumer;
use crate::server::{
    scope::{Flow, Refuse, Scope},
    turns::Turn,
    visitors::Subnet,
    websocket::{CloseCode, Message, Socket},
};

/// Closes every connection at once.
pub struct TooMany {
    /// What it is told.
    pub reason: String,
}

#[async_trait]
impl Consumer for TooMany {
    async fn connect(_scope: Scope) -> Result<Self, Refuse> {
        Ok(Self { reason: String::new() })
    }

    fn longest_message(&self) -> usize {
        0
    }

    async fn open(&mut self, _socket: &Arc<Socket>) -> Flow {
        Flow::close(CloseCode::TOO_MANY_CONNECTIONS, self.reason.as_str())
    }

    async fn turn(&self) -> Option<Turn<Subnet>> {
        None
    }

    async fn receive(&mut self, _message: Message, _turn: Option<Turn<Subnet>>) -> Flow {
        Flow::Continue
    }

    fn charge(&mut self, _bytes: usize) -> Flow {
        Flow::Continue
    }

    fn hand_out(&self) {}

    async fn disconnect(self, _code: CloseCode) {}
}
