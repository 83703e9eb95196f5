//! Tells a client that its address has too many connections; a browser's script sees a reason only after a handshake.

use std::{ops::ControlFlow, sync::Arc};

use async_trait::async_trait;

use super::{Close, Consumer, Flow, Refuse, Scope};
use crate::server::gateway::{CloseCode, Message, Socket};

/// Closes every connection at once.
pub struct TooMany {
    /// How many an address may have.
    pub most: Option<u32>,
}

#[async_trait]
impl Consumer for TooMany {
    fn connect(_scope: Scope) -> Result<Self, Refuse> {
        Ok(Self { most: None })
    }

    fn longest_message(&self) -> usize {
        0
    }

    async fn open(&mut self, _socket: &Arc<Socket>) -> Flow {
        let most = self.most.unwrap_or_default();
        ControlFlow::Break(Close::new(CloseCode::TOO_MANY_CONNECTIONS, format!("an address has at most {most} connections")))
    }

    async fn receive(&mut self, _message: Message) -> Flow {
        ControlFlow::Continue(())
    }

    async fn disconnect(self, _code: CloseCode) {}
}
