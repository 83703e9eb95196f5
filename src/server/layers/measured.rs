//! Any channel layer, measured: how long it takes to accept an event, and how many it refuses.
//!
//! An event does not say when it was sent, so how far a node lags behind another one cannot be told from it. The time of a send is
//! what an event spends on its way to the backend, as far as this node can know.

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;

use super::{Channel, ChannelLayer, Event, GroupName, LayerError, Sink};
use crate::server::telemetry::Sends;

/// A layer that counts what is sent through it.
pub struct Measured {
    layer: Arc<dyn ChannelLayer>,
    sends: Sends,
}

impl Measured {
    pub fn new(layer: Arc<dyn ChannelLayer>, sends: Sends) -> Self {
        Self { layer, sends }
    }

    fn count_refusal(&self, sent: Result<(), LayerError>) -> Result<(), LayerError> {
        match &sent {
            Ok(()) => {}
            Err(LayerError::ChannelFull { .. }) => self.sends.full.inc(),
            Err(LayerError::Unserializable(_)) => self.sends.unserializable.inc(),
            Err(LayerError::Unavailable(_) | LayerError::NotOurs { .. } | LayerError::InvalidName(_)) => {
                self.sends.unavailable.inc();
            }
        }
        sent
    }
}

#[async_trait]
impl ChannelLayer for Measured {
    async fn send(&self, channel: &Channel, event: Event) -> Result<(), LayerError> {
        let begun = Instant::now();
        let sent = self.layer.send(channel, event).await;
        self.sends.to_channel.observe(begun.elapsed().as_secs_f64());
        self.count_refusal(sent)
    }

    async fn receive(&self, channel: &Channel) -> Result<Event, LayerError> {
        self.layer.receive(channel).await
    }

    fn new_channel(&self, prefix: &str) -> Result<Channel, LayerError> {
        self.layer.new_channel(prefix)
    }

    fn attach(&self, sink: Arc<dyn Sink>) -> Result<Channel, LayerError> {
        self.layer.attach(sink)
    }

    async fn detach(&self, name: &Channel) -> Result<(), LayerError> {
        self.layer.detach(name).await
    }

    async fn group_add(&self, group: &GroupName, channel: &Channel) -> Result<(), LayerError> {
        self.layer.group_add(group, channel).await
    }

    async fn group_discard(&self, group: &GroupName, channel: &Channel) -> Result<(), LayerError> {
        self.layer.group_discard(group, channel).await
    }

    async fn group_send(&self, group: &GroupName, event: Event) -> Result<(), LayerError> {
        let begun = Instant::now();
        let sent = self.layer.group_send(group, event).await;
        self.sends.to_group.observe(begun.elapsed().as_secs_f64());
        self.count_refusal(sent)
    }

    async fn flush(&self) -> Result<(), LayerError> {
        self.layer.flush().await
    }

    fn trouble(&self) -> Option<String> {
        self.layer.trouble()
    }
}
