//! A channel layer that fails when it is told to, as one does that lives behind a network.

use std::sync::Arc;

use async_trait::async_trait;
use confab::server::layers::{Channel, ChannelLayer, Event, GroupName, LayerError, MemoryLayer, MemoryOptions, Sink};
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

/// What becomes of what is sent to groups. The list of rooms is spared where this says "rooms".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Well,
    /// Accepted and lost.
    Losing,
    /// Of rooms: accepted, and carried when [`Faulty::carry_backwards`] says so.
    Holding,
    /// Of rooms: neither accepted nor refused until [`Faulty::let_through`] says so.
    Slow,
    /// Refused, like everything else.
    Away,
}

/// A [`MemoryLayer`] with faults.
pub struct Faulty {
    inner: MemoryLayer,
    mode: Mutex<Mode>,
    held: Mutex<Vec<(GroupName, Event)>>,
    /// Who waits while it is slow, in the order in which they came.
    slow: Mutex<Vec<Option<oneshot::Sender<()>>>>,
    slow_count: watch::Sender<usize>,
    sinks: Mutex<Vec<Arc<dyn Sink>>>,
}

impl Faulty {
    pub fn new() -> Arc<Self> {
        let inner = MemoryLayer::new(MemoryOptions::default()).expect("random numbers");
        let (mode, held, slow, sinks) = (Mutex::new(Mode::Well), Mutex::default(), Mutex::default(), Mutex::default());
        Arc::new(Self { inner, mode, held, slow, slow_count: watch::channel(0).0, sinks })
    }

    pub fn set(&self, mode: Mode) {
        *self.mode.lock() = mode;
    }

    /// Is well again, and says that something may be lost.
    pub fn come_back(&self) {
        self.set(Mode::Well);
        for sink in &*self.sinks.lock() {
            sink.gap();
        }
    }

    /// Forgets who is a member of what, as a server does that is started anew.
    pub async fn forget(&self) {
        self.inner.flush().await.expect("a layer in memory");
    }

    /// Carries what it has held, the last first, and is well again.
    pub async fn carry_backwards(&self) {
        self.set(Mode::Well);
        let held: Vec<_> = self.held.lock().drain(..).collect();
        for (group, event) in held.into_iter().rev() {
            self.inner.group_send(&group, event).await.expect("a layer in memory");
        }
    }

    /// Waits until so many are waiting.
    pub async fn slow(&self, count: usize) {
        self.slow_count.subscribe().wait_for(|waiting| *waiting == count).await.expect("the sender is here");
    }

    /// Lets the one through that came as number `index`.
    pub fn let_through(&self, index: usize) {
        let waiting = self.slow.lock()[index].take().expect("it waits");
        waiting.send(()).expect("it waits");
    }

    /// Something from another node.
    pub async fn inject(&self, group: &str, event: serde_json::Value) {
        let event = Event::from_json(event).expect("an event");
        self.inner.group_send(&group.parse().expect("a name"), event).await.expect("a layer in memory");
    }

    fn check(&self) -> Result<(), LayerError> {
        match *self.mode.lock() {
            Mode::Away => Err(LayerError::Unavailable("the test says so".into())),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl ChannelLayer for Faulty {
    async fn send(&self, channel: &Channel, event: Event) -> Result<(), LayerError> {
        self.check()?;
        self.inner.send(channel, event).await
    }

    async fn receive(&self, channel: &Channel) -> Result<Event, LayerError> {
        self.check()?;
        self.inner.receive(channel).await
    }

    fn new_channel(&self, prefix: &str) -> Result<Channel, LayerError> {
        self.inner.new_channel(prefix)
    }

    fn attach(&self, sink: Arc<dyn Sink>) -> Result<Channel, LayerError> {
        self.sinks.lock().push(Arc::clone(&sink));
        self.inner.attach(sink)
    }

    async fn detach(&self, name: &Channel) -> Result<(), LayerError> {
        self.inner.detach(name).await
    }

    async fn group_add(&self, group: &GroupName, channel: &Channel) -> Result<(), LayerError> {
        self.check()?;
        self.inner.group_add(group, channel).await
    }

    async fn group_discard(&self, group: &GroupName, channel: &Channel) -> Result<(), LayerError> {
        self.check()?;
        self.inner.group_discard(group, channel).await
    }

    async fn group_send(&self, group: &GroupName, event: Event) -> Result<(), LayerError> {
        self.check()?;
        let mode = *self.mode.lock();
        match mode {
            Mode::Losing => return Ok(()),
            Mode::Holding if group.as_str() != "confab.rooms" => {
                self.held.lock().push((group.clone(), event));
                return Ok(());
            }
            Mode::Slow if group.as_str() != "confab.rooms" => {
                let (go, gone) = oneshot::channel();
                self.slow.lock().push(Some(go));
                self.slow_count.send_modify(|count| *count += 1);
                gone.await.expect("the test lets it through");
            }
            _ => {}
        }
        self.inner.group_send(group, event).await
    }

    async fn flush(&self) -> Result<(), LayerError> {
        self.check()?;
        self.inner.flush().await
    }

    fn trouble(&self) -> Option<String> {
        self.check().is_err().then(|| "nobody answers".to_owned())
    }
}
