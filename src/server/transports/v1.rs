//! A session over a WebSocket.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::Consumer;
use crate::server::{
    hub::Outbound,
    scope::{Flow, Refuse, Scope},
    session::Session,
    turns::Turn,
    visitors::Household,
    websocket::{CloseCode, Message, Socket},
};

/// Speaks `confab.v1`, in text messages.
pub struct V1(Session);

#[async_trait]
impl Consumer for V1 {
    async fn connect(scope: Scope) -> Result<Self, Refuse> {
        Ok(Self(Session::new(scope).await?))
    }

    fn longest_message(&self) -> usize {
        self.0.longest_message()
    }

    async fn open(&mut self, socket: &Arc<Socket>) -> Flow {
        self.0.open(Outbound::WebSocket(Arc::clone(socket))).await
    }

    async fn turn(&self) -> Option<Turn<Household>> {
        self.0.turn().await
    }

    async fn receive(&mut self, message: Message, turn: Option<Turn<Household>>) -> Flow {
        match message {
            Message::Text(text) => self.0.receive(text, turn).await,
            _ => Flow::close(CloseCode::UNSUPPORTED, "confab.v1 is spoken in text messages"),
        }
    }

    fn charge(&mut self, bytes: usize) -> Flow {
        self.0.charge(bytes)
    }

    fn hand_out(&self) {
        self.0.hand_out();
    }

    fn owed(&self) -> Duration {
        self.0.owed()
    }

    async fn disconnect(self, _code: CloseCode) {}
}
