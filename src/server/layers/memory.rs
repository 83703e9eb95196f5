//! The channel layer of a single process: nothing leaves it, nothing outlives it.
//!
//! ```text
//! send --------------+--> sinks                      (name attached here: handed over at once, no lock held)
//!                    |
//! group_send -> groups (who is a member?)
//!                    |
//!                    +--> mailboxes --> receive      (any other name)
//! ```
//!
//! Sinks, groups and mailboxes have a lock each, held for one step only and never two at a time, except to flush. A group keeps the list
//! of its members ready as a shared slice, so `group_send` takes the list and leaves the lock before it delivers.
//!
//! There is no task that clears up. Mailboxes and groups know what expires next, and whoever uses them clears what is due
//! by then: each message and membership is cleared once, at a cost that does not depend on how many others there are.
//!
//! Where Python's in-memory layer differs, this one does as the specification and the Redis layer do: capacity is shared
//! behind a `!`; ids are as long as those in Redis; a message that expires unread does **not** take its channel out of its groups. That
//! eviction would silently unsubscribe a reader that is merely slow, and `group_expiry` clears up those that are gone.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};

use super::{
    Capacities, Channel, ChannelLayer, DEFAULT_PREFIX, Event, GroupName, LayerError, Sink,
    groups::Groups,
    mailboxes::{Mailboxes, Reader},
    names::{ClientId, new_process_name},
};

/// The limits of a [`MemoryLayer`]; the defaults are those of Channels.
#[derive(Clone, Debug)]
pub struct MemoryOptions {
    /// Unread messages that a mailbox holds. Default: 100.
    pub capacity: usize,
    /// Other capacities for channels whose names match a glob, first match wins: see [`Capacities::new`]. Default: none.
    pub channel_capacity: Vec<(String, usize)>,
    /// How long a message waits for a reader. Default: 60 s.
    pub expiry: Duration,
    /// How long a membership lasts after the last `group_add`. Default: a day.
    pub group_expiry: Duration,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self {
            capacity: 100,
            channel_capacity: Vec::new(),
            expiry: Duration::from_mins(1),
            group_expiry: Duration::from_hours(24),
        }
    }
}

/// A [`ChannelLayer`] inside this process; see the module.
pub struct MemoryLayer {
    client: ClientId,
    capacities: Capacities,
    /// By the name they are attached to. Replaced as a whole when one comes or goes, so that senders only take a reference.
    sinks: RwLock<Arc<HashMap<Channel, Arc<dyn Sink>>>>,
    groups: Mutex<Groups>,
    mailboxes: Mutex<Mailboxes>,
}

impl MemoryLayer {
    /// An empty layer.
    ///
    /// # Errors
    /// [`LayerError::Unavailable`] if the system has no random numbers.
    pub fn new(options: MemoryOptions) -> Result<Self, LayerError> {
        Ok(Self {
            client: ClientId::draw()?,
            capacities: Capacities::new(options.capacity, options.channel_capacity),
            sinks: RwLock::default(),
            groups: Mutex::new(Groups::new(options.group_expiry)),
            mailboxes: Mutex::new(Mailboxes::new(options.expiry)),
        })
    }

    /// Gives `event` to channels that have the same non-local part; returns those that had no room for it.
    fn deliver(&self, sinks: &HashMap<Channel, Arc<dyn Sink>>, channels: &[Channel], event: &Arc<Event>) -> usize {
        let Some(first) = channels.first() else { return 0 };
        let Some(sink) = sinks.get(first.non_local()) else {
            return self.mailboxes.lock().put(channels, event, &self.capacities);
        };
        for local in channels.iter().filter_map(Channel::local) {
            sink.deliver(local, event);
        }
        0
    }
}

#[async_trait]
impl ChannelLayer for MemoryLayer {
    async fn send(&self, channel: &Channel, event: Event) -> Result<(), LayerError> {
        let sinks = Arc::clone(&self.sinks.read());
        if self.deliver(&sinks, std::slice::from_ref(channel), &Arc::new(event)) == 0 {
            return Ok(());
        }
        Err(LayerError::ChannelFull { channel: channel.clone(), capacity: self.capacities.of(channel) })
    }

    async fn receive(&self, channel: &Channel) -> Result<Event, LayerError> {
        if !self.client.may_read(channel) {
            return Err(LayerError::NotOurs { channel: channel.clone() });
        }
        let event = Reader::join(&self.mailboxes, channel).next().await;
        Ok(Arc::unwrap_or_clone(event))
    }

    fn new_channel(&self, prefix: &str) -> Result<Channel, LayerError> {
        self.client.new_channel(prefix)
    }

    fn attach(&self, sink: Arc<dyn Sink>) -> Result<Channel, LayerError> {
        let name = new_process_name(DEFAULT_PREFIX)?;
        Arc::make_mut(&mut *self.sinks.write()).insert(name.clone(), sink);
        Ok(name)
    }

    async fn detach(&self, name: &Channel) -> Result<(), LayerError> {
        let sink = Arc::make_mut(&mut *self.sinks.write()).remove(name);
        if sink.is_some() {
            self.groups.lock().discard_process(name.non_local());
        }
        Ok(())
    }

    async fn group_add(&self, group: &GroupName, channel: &Channel) -> Result<(), LayerError> {
        self.groups.lock().add(group, channel);
        Ok(())
    }

    async fn group_discard(&self, group: &GroupName, channel: &Channel) -> Result<(), LayerError> {
        self.groups.lock().discard(group, channel);
        Ok(())
    }

    async fn group_send(&self, group: &GroupName, event: Event) -> Result<(), LayerError> {
        let members = self.groups.lock().members(group);
        let sinks = Arc::clone(&self.sinks.read());
        let event = Arc::new(event);
        // Sorted, so the members of one process stand together.
        let processes = members.chunk_by(|a, b| a.non_local() == b.non_local());
        let full: usize = processes.map(|channels| self.deliver(&sinks, channels, &event)).sum();
        if full > 0 {
            tracing::info!("{full} of {} channels over capacity in group {group}", members.len());
        }
        Ok(())
    }

    async fn flush(&self) -> Result<(), LayerError> {
        let mut groups = self.groups.lock();
        self.mailboxes.lock().clear();
        groups.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    impl MemoryLayer {
        fn is_empty(&self) -> bool {
            self.groups.lock().is_empty() && self.mailboxes.lock().is_empty()
        }
    }

    fn layer() -> MemoryLayer {
        MemoryLayer::new(MemoryOptions::default()).unwrap()
    }

    fn channel(name: &str) -> Channel {
        name.parse().unwrap()
    }

    #[tokio::test]
    async fn what_is_read_and_left_leaves_nothing_behind() {
        let layer = layer();
        let (group, own) = ("group".parse().unwrap(), layer.new_channel(DEFAULT_PREFIX).unwrap());
        layer.group_add(&group, &own).await.unwrap();
        layer.group_add(&group, &channel("shared")).await.unwrap();
        layer.group_send(&group, Event::new("a")).await.unwrap();
        assert!(!layer.is_empty());
        layer.receive(&own).await.unwrap();
        layer.receive(&channel("shared")).await.unwrap();
        layer.group_discard(&group, &own).await.unwrap();
        layer.group_discard(&group, &channel("shared")).await.unwrap();
        assert!(layer.is_empty());
    }

    #[tokio::test]
    async fn a_reader_that_gives_up_leaves_nothing_behind() {
        let layer = layer();
        let empty = channel("empty");
        let mut reader = layer.receive(&empty);
        assert!(futures_util::poll!(&mut reader).is_pending());
        assert!(!layer.is_empty());
        drop(reader);
        assert!(layer.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_expires_is_cleared_by_whoever_comes_next() {
        let layer = layer();
        let group = "group".parse().unwrap();
        for n in 0..1000 {
            let name = channel(&format!("channel-{n}"));
            layer.send(&name, Event::new("a")).await.unwrap();
            layer.group_add(&group, &name).await.unwrap();
        }
        advance(Duration::from_hours(24)).await;
        layer.group_send(&"other".parse().unwrap(), Event::new("a")).await.unwrap();
        layer.send(&channel("other"), Event::new("a")).await.unwrap();
        layer.receive(&channel("other")).await.unwrap();
        assert!(layer.is_empty());
    }

    #[tokio::test]
    async fn the_longest_times_are_no_danger() {
        let options = MemoryOptions { expiry: Duration::MAX, group_expiry: Duration::MAX, ..MemoryOptions::default() };
        let layer = MemoryLayer::new(options).unwrap();
        let (group, name) = ("group".parse().unwrap(), channel("a"));
        layer.group_add(&group, &name).await.unwrap();
        layer.group_send(&group, Event::new("a")).await.unwrap();
        assert_eq!(layer.receive(&name).await.unwrap(), Event::new("a"));
    }
}
