//! A room as a file: all of its messages as JSON Lines.
//!
//! The file is read and sent a page at a time, as fast as its reader takes it and its address may have bytes carried, and ends at what
//! was the head when it began. What cannot be sent whole is cut off: the chunked transfer then has no end, so no client takes it for a
//! complete file. A message that cannot be read, since its part of the disk is damaged for instance, has a line that says so, and the
//! others follow.

use std::{io, sync::Arc};

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::State,
    http::{Version, header},
    response::{IntoResponse, Response},
};
use futures_util::{Stream, stream};
use serde::Serialize;
use tracing::{debug, error};

use super::{described::OfRoom, enter};
use crate::{
    server::{
        http::Line,
        lease::{About, Closed, Holder, Taken},
        problem::Problem,
        quota::{Payer, Quotas},
        rooms::{Access, Room},
        services::{Entry, Named, Services},
        store::{Slice, StoreError},
        visitors::{Subnet, Visitor},
        who::Who,
    },
    wire::{Group, Offset, Stretch, Timestamp, Topic},
};

/// How many messages are read at a time; there are fewer where their text is long.
const PAGE: usize = 1_000;
/// An export with more messages that cannot be read is cut off: each is looked for alone.
const MOST_UNREADABLE: u64 = 10_000;

/// All of a room's messages, in rising order of offset
#[utoipa::path(
    get,
    path = "/rooms/{group}/export",
    params(Named),
    responses(
        (
            status = 200,
            description = "JSON Lines, each a `Message`; one with `error` stands for what cannot be read from `offset` to `to`. \
                A file that is not whole has no end: the transfer is cut off",
            content_type = "application/x-ndjson",
            body = String,
        ),
        OfRoom,
    ),
)]
pub(super) async fn export(
    State(services): State<Arc<Services>>,
    Named(group): Named,
    Extension(visitor): Extension<Visitor>,
    Extension(line): Extension<Line>,
    who: Who,
    version: Version,
) -> Result<Response, Problem> {
    let group = group.map_err(Problem::NoName)?;
    // From before it is asked for.
    let holder = Arc::new(Holding {
        topic: Topic::Room(group.clone()),
        line: line.clone(),
        name: who.person().name.clone(),
        since: Timestamp::now().as_millis(),
        address: visitor.paying(),
    });
    let lease = services.leases.grant(&who.person().id, who.session(), &holder);
    let access = enter(&services, &who, &group).await?;
    if version < Version::HTTP_11 {
        return Err(Problem::OldHttp);
    }
    let Entry::In(place) = services.exports.enter(visitor.subnet()) else {
        return Err(Problem::Exports);
    };
    let begun = access.part(Slice::Latest, 0, None).await?;
    let name = format!("attachment; filename=\"{group}.jsonl\"");
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson".to_owned()), (header::CONTENT_DISPOSITION, name)];
    let reached = Offset(begun.first.0.saturating_sub(1));
    let quotas = Arc::clone(&services.quotas);
    let payer = Payer { account: None, address: visitor.paying() };
    let export = Export { access, group, begun, reached, unreadable: 0, quotas, payer, line, _kept: (place, holder, lease) };
    Ok((headers, Body::from_stream(export.chunks())).into_response())
}

/// An export is cut off when the room is taken back, and what of it waits for its reader with it.
struct Holding {
    topic: Topic,
    line: Line,
    name: String,
    since: i64,
    address: Option<Subnet>,
}

impl Holder for Holding {
    fn about(&self) -> About {
        About { kind: "export", name: self.name.clone(), since: self.since, address: self.address, topics: 1 }
    }

    fn close(&self, _: Closed) {
        self.line.cut();
    }

    fn take_back(&self, taken: &Taken) {
        if matches!(taken, Taken::Everything) || matches!(taken, Taken::Topic(topic, _) if *topic == self.topic) {
            self.line.cut();
        }
    }
}

/// What remains of an export.
struct Export<K> {
    access: Access<Room>,
    group: Group,
    /// How the room stood when the export began.
    begun: Stretch,
    /// What the room holds up to here was sent.
    reached: Offset,
    /// So many places could not be read.
    unreadable: u64,
    /// What is sent is charged as it goes by; the next page waits until its address has paid for those before.
    quotas: Arc<Quotas>,
    payer: Payer,
    /// It ends with this.
    line: Line,
    /// Lives as long as the export.
    _kept: K,
}

/// A line for what cannot be read.
#[derive(Serialize)]
struct Unreadable {
    offset: Offset,
    to: Offset,
    error: &'static str,
}

/// Why an export ends before its end.
#[derive(Debug)]
enum Cut {
    Store(StoreError),
    /// What is still to be sent is held no more: the room keeps only its newest messages, or began anew.
    Gone,
    /// The room is not open to its reader any more.
    TakenBack,
    Form(serde_json::Error),
}

impl<K> Export<K> {
    /// One chunk for a page.
    fn chunks(self) -> impl Stream<Item = io::Result<Bytes>> {
        stream::try_unfold(self, |mut export| async {
            let chunk = export.next().await.map_err(|cut| {
                let group = &export.group;
                match &cut {
                    Cut::Store(cause) => error!(%group, %cause, "an export was cut off"),
                    Cut::TakenBack => debug!(%group, "an export was cut off, since the room was taken back"),
                    Cut::Gone => debug!(%group, "an export was cut off, since the rest is held no more"),
                    Cut::Form(cause) => error!(%group, %cause, "an export was cut off"),
                }
                io::Error::other("the export was cut off")
            })?;
            Ok(chunk.map(|chunk| (chunk, export)))
        })
    }

    /// The lines of the next page; none at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, Cut> {
        if self.reached >= self.begun.latest {
            return Ok(None);
        }
        self.quotas.paid(self.payer).await;
        if self.line.is_cut() {
            return Err(Cut::TakenBack);
        }
        let mut lines = Vec::new();
        let Some(part) = self.part().await.map_err(Cut::Store)? else {
            let line = self.unreadable().await.map_err(Cut::Store)?;
            serde_json::to_writer(&mut lines, &line).map_err(Cut::Form)?;
            lines.push(b'\n');
            return Ok(Some(lines.into()));
        };
        if part.epoch != self.begun.epoch || part.first > self.reached.next() || part.messages.is_empty() {
            return Err(Cut::Gone);
        }
        for message in part.messages.iter().take_while(|message| message.offset <= self.begun.latest) {
            serde_json::to_writer(&mut lines, message).map_err(Cut::Form)?;
            lines.push(b'\n');
            self.reached = message.offset;
        }
        Ok((!lines.is_empty()).then(|| lines.into()))
    }

    /// The messages that follow, fewer of them where one cannot be read; none where that is the next one.
    async fn part(&self) -> Result<Option<Stretch>, StoreError> {
        let mut count = PAGE;
        while count > 0 {
            match self.access.exact_part(Slice::After(self.reached), count).await {
                Err(cause) if cause.is_damage() => count /= 2,
                read => return read.map(Some),
            }
        }
        Ok(None)
    }

    /// Passes over what cannot be read, which is the next message at least, and gives a line in its stead.
    async fn unreadable(&mut self) -> Result<Unreadable, StoreError> {
        let offset = self.reached.next();
        loop {
            self.reached = self.reached.next();
            self.unreadable += 1;
            if self.reached >= self.begun.latest {
                break;
            }
            match self.access.exact_part(Slice::After(self.reached), 1).await {
                Ok(_) => break,
                Err(cause) if cause.is_damage() && self.unreadable < MOST_UNREADABLE => {}
                Err(cause) => return Err(cause),
            }
        }
        let (group, to) = (&self.group, self.reached);
        error!(%group, from = offset.0, to = to.0, "an export leaves out what cannot be read");
        Ok(Unreadable { offset, to, error: "what stands here cannot be read" })
    }
}
