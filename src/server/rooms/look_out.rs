//! Follows what other nodes write to a store, where it is theirs as well.
//!
//! An event may be lost on its way, or its node have died between the commit and the sending. So the store is asked every second which
//! rooms have moved on, and the groups on this node are told; they know whether their members have heard of it.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tracing::{error, info};

use super::{
    News, Stranded,
    layer_groups::{group_name, list_name},
    rules::rule,
};
use crate::{
    server::{
        settings::{History, RoomRule},
        store::{Moved, Watch},
        telemetry::Fault,
    },
    wire::Position,
};

/// How often a store that others write to is asked what is new.
const LOOK_OUT: Duration = Duration::from_secs(1);

/// Asks and tells until nobody reads what it tells.
pub(super) async fn look_out(mut watch: Box<dyn Watch>, rules: Arc<[RoomRule]>, stranded: mpsc::Sender<Stranded>) {
    let away = Fault::default();
    loop {
        let moved = watch.moved().await;
        if away.is_news(moved.is_err()) {
            if let Err(cause) = &moved {
                error!(%cause, "the store cannot be asked what is new in it");
            } else {
                info!("the store can be asked again what is new in it");
            }
        }
        if let Ok(moved) = moved {
            let kept = moved.into_iter().filter_map(|moved| {
                let rule = rule(&rules, &moved.group).filter(|rule| rule.history == History::Store)?;
                Some((rule, moved))
            });
            let (mut news, mut heads) = (Vec::new(), Vec::new());
            for (rule, Moved { group, head, latest_since }) in kept {
                if rule.guests {
                    heads.push((group.clone(), Position { epoch: head.epoch.clone(), offset: latest_since }));
                }
                news.push(Stranded { group: group_name(&group, &rule.events), what: News::Head(head) });
            }
            news.push(Stranded { group: list_name(), what: News::Heads(heads) });
            for news in news {
                if stranded.send(news).await.is_err() {
                    return;
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_OUT) => {}
            () = stranded.closed() => return,
        }
    }
}
