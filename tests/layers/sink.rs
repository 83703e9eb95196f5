//! A sink that keeps what it is told, gaps too.

use std::{sync::Arc, time::Duration};

use confab::server::layers::{Channel, ChannelLayer, Event, GroupName, Sink};
use tokio::{sync::mpsc, time::timeout};

/// How long to wait for what must come. Only a test that fails waits so long.
const SOON: Duration = Duration::from_secs(20);

pub(crate) fn group() -> GroupName {
    "test-group".parse().expect("a group's name")
}

pub(crate) fn numbered(n: i64) -> Event {
    Event::new("test.message").with("n", n)
}

/// What a sink was told.
#[derive(Debug, PartialEq)]
pub(crate) enum Told {
    Number(String, i64),
    Gap,
    Missed(String),
}

struct Outlet(mpsc::UnboundedSender<Told>);

impl Sink for Outlet {
    fn deliver(&self, local: &str, event: &Arc<Event>) {
        let number = event.get_i64("n").expect("a numbered event");
        // The test may have ended.
        let _ = self.0.send(Told::Number(local.to_owned(), number));
    }

    fn gap(&self) {
        let _ = self.0.send(Told::Gap);
    }

    fn missed(&self, local: &str) {
        let _ = self.0.send(Told::Missed(local.to_owned()));
    }
}

pub(crate) fn attach(layer: &dyn ChannelLayer) -> (Channel, mpsc::UnboundedReceiver<Told>) {
    let (outlet, told) = mpsc::unbounded_channel();
    (layer.attach(Arc::new(Outlet(outlet))).expect("an attached sink"), told)
}

pub(crate) async fn next(told: &mut mpsc::UnboundedReceiver<Told>) -> Told {
    timeout(SOON, told.recv()).await.expect("something for the sink").expect("a sink that is attached")
}
