//! A sink that keeps what it is told, gaps too.

use std::{sync::Arc, time::Duration};

use confab::server::layers::{Channel, ChannelLayer, Event, GroupName, Sink};
use futures_util::future::join_all;
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

/// Sends so many numbers to the group, some at a time, while `harm` is done again and again. The sink, of which a channel is in the
/// group, hears each once and in order.
pub(crate) async fn ones_own_arrive_in_spite_of(
    layer: &dyn ChannelLayer,
    told: &mut mpsc::UnboundedReceiver<Told>,
    harm: impl AsyncFn(),
) {
    const COUNT: i64 = 400;
    let group = group();
    let sending = async {
        for first in (0..COUNT).step_by(8) {
            let sent = (first..first + 8).map(|n| layer.group_send(&group, numbered(n)));
            for sent in join_all(sent).await {
                sent.expect("sent");
            }
        }
    };
    let harming = async {
        loop {
            harm().await;
        }
    };
    tokio::select! {
        () = sending => {}
        () = harming => {}
    }
    let mut heard = Vec::new();
    while heard.last() != Some(&(COUNT - 1)) {
        if let Told::Number(_, number) = next(told).await {
            heard.push(number);
        }
    }
    assert_eq!(heard, (0..COUNT).collect::<Vec<_>>());
    // What came twice would have come before this.
    layer.group_send(&group, numbered(COUNT)).await.expect("sent");
    loop {
        match next(told).await {
            Told::Number(_, COUNT) => return,
            Told::Number(_, number) => panic!("{number} came twice"),
            Told::Gap | Told::Missed(_) => {}
        }
    }
}
