//! The server. Who may know whom: `websocket` knows bytes, not rooms; `layers` knows neither store nor sockets;
//! `rooms` knows `store` and `layers`; `presence` knows `layers`; `hub`, `session` and `transports` join them; `services` holds what a
//! server is made of, `pages`, `api` and `operators` answer with it, and `routing` names them all. No arrow runs back, which
//! `xtask/tests/arrows.rs` checks. `layer` and `storage` make of the settings what they name. `visitors` tells from which address
//! a request comes and `who` from whom, `bucket`
//! how often something may be, `quota` how much an account and an address may have carried, `turns` whose turn it is. All count on
//! handles of `telemetry`, or, as `websocket` does, on one of their own that `telemetry` reads.
//!
//! [`run`] puts them together for one process and takes it from the first connection to the last.

pub mod accounts;
mod allowance;
pub mod api;
pub mod assets;
pub mod audit;
mod banner;
mod bucket;
mod causes;
pub mod cli;
mod counts;
pub mod departures;
mod glob;
mod gzip;
mod http;
pub mod hub;
mod language;
mod layer;
pub mod layers;
pub mod lease;
pub mod limits;
pub mod manage;
pub mod noun;
mod operators;
mod origins;
mod pages;
mod percent;
pub mod personal;
mod postgres_url;
pub mod presence;
mod problem;
pub mod profiles;
mod quota;
mod random;
mod request_cookies;
mod room_pages;
pub mod rooms;
pub mod routing;
pub mod scope;
pub mod search;
pub mod services;
pub mod session;
pub mod settings;
mod steady_clock;
mod storage;
pub mod store;
mod stream;
pub mod telemetry;
pub mod topics;
pub mod transports;
mod turns;
mod visitors;
pub mod websocket;
pub mod who;

use std::{
    future::Future,
    io::{self, Write as _},
    num::{NonZeroU32, NonZeroUsize},
    sync::{Arc, Weak},
    time::Duration,
};

use any_spawner::Executor;
use tokio::{net::TcpListener, sync::watch};
use tracing::{info, warn};

use self::{
    accounts::{Accounts, Attempts, Elsewhere, Passwords, Programs, Project, Purpose, jwt::Sites},
    audit::AuditLog,
    bucket::Buckets,
    departures::Departures,
    hub::Hub,
    layers::{ChannelLayer, Measured},
    lease::Leases,
    limits::{BODIES, EXPORTS, Limits, SEARCHES},
    manage::{Counted, Figures, Invitations, Manage, Nodes, People, Switches},
    noun::{Make, Parts},
    origins::{Hosts, Origins},
    personal::Personal,
    presence::{Presence, Times},
    profiles::Profiles,
    quota::Quotas,
    room_pages::RoomPages,
    rooms::{Registry, Rooms, Stores},
    services::{Connections, Services},
    settings::{AllowedOrigin, Settings, StoreUrl},
    store::{Log, MemoryStore, StoreError},
    telemetry::Metrics,
    topics::{NOUNS, Topics},
    turns::Turns,
    visitors::Proxies,
    websocket::CloseCode,
};
use crate::wire::{self, Timestamp};

/// What a room with `history = "memory"` holds, in messages.
const REMEMBERED: usize = 1_000;

/// The server pings a connection after this much silence, in seconds: a dead one is found within a minute.
const PING_S: u64 = 25;

/// Why the server could not start, or what went wrong while it stopped; ready to be shown.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Serves on `listener` until `shutdown` resolves, says goodbye to every connection and puts the store away.
///
/// # Errors
/// The store cannot be opened, or the channel layer not started.
pub async fn run(settings: Settings, listener: TcpListener, shutdown: impl Future<Output = ()> + Send) -> Result<(), Error> {
    let layer = layer::start(&settings.channel_layers.default)?;
    // On standard output, not in the log: whoever has it administers the server. Where nobody reads that, nobody needs it.
    let tell = |link: &str| {
        let _ = writeln!(io::stdout(), "No administrator yet. Whoever opens this link becomes it:\n{link}");
    };
    serve(layer, NOUNS, settings, listener, shutdown, Some(tell)).await
}

/// The same with these nouns beside the rooms; and on a channel layer that is there already, if one is, whatever the settings say of
/// the layer except for `group_expiry`.
///
/// # Errors
/// The store cannot be opened, or the channel layer not started.
pub async fn run_with(
    layer: Option<Arc<dyn ChannelLayer>>,
    nouns: &[Make],
    settings: Settings,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), Error> {
    let layer = layer.map_or_else(|| layer::start(&settings.channel_layers.default), Ok)?;
    serve(layer, nouns, settings, listener, shutdown, None::<fn(&str)>).await
}

/// Serves. `tell` gets the link by which the first administrator makes their account, as long as there is none.
async fn serve(
    layer: Arc<dyn ChannelLayer>,
    nouns: &[Make],
    settings: Settings,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
    tell: Option<impl FnOnce(&str)>,
) -> Result<(), Error> {
    let (services, durable) = start(layer, nouns, &settings).await?;
    let Settings { server, store, limits, .. } = settings;
    let answers = server.answers();
    info!("answering requests that ask for: {answers}; server.hosts names more");
    info!(address = %listener.local_addr()?, store = %store.url, data = %server.data.display(), "serving");
    if let Some(tell) = tell
        && let Some(token) = set_up_link(&services).await
    {
        tell(&format!("http://{}/setup/{token}", listener.local_addr()?));
    }
    let goodbye = services.hub.drain(CloseCode::SHUTTING_DOWN, "the server is stopping", server.drain);
    let bounds = http::Bounds { sockets_of_address: limits.connections_per_address, proxies: &services.proxies };
    http::serve(listener, routing::router(Arc::clone(&services)), bounds, shutdown, goodbye).await;
    services.presence.leave().await;
    services.hub.leave().await;
    services.rooms.write_reads().await;
    drop(services);
    durable.close().await;
    info!("stopped");
    Ok(())
}

/// The secret in the link by which the first administrator makes their account; none where there is one.
async fn set_up_link(services: &Services) -> Option<String> {
    let records = &services.accounts.records;
    let link = async {
        if records.has_administrator().await? {
            return Ok(None);
        }
        records.make_link(Purpose::SetUp, None, Timestamp::now().as_millis()).await.map(Some)
    };
    let made: Result<_, StoreError> = link.await;
    match made {
        Ok(token) => token.map(|token| token.reveal().to_owned()),
        Err(cause) => {
            warn!(%cause, "no link for the first administrator could be made; the next start makes one");
            None
        }
    }
}

/// Has the pages that are open on this node know what is announced, and whether the server is read-only: what one may do in rooms is another
/// thing then.
async fn tell_what_is_switched(mut switches: watch::Receiver<Arc<Switches>>, personal: Weak<Personal>, leases: Weak<Leases>) {
    let mut known = switches.borrow().announced();
    while switches.changed().await.is_ok() {
        let Some(personal) = personal.upgrade() else { return };
        let announced = switches.borrow_and_update().announced();
        if announced == known {
            continue;
        }
        let was_read_only = std::mem::replace(&mut known, announced.clone()).read_only;
        let changes_rights = was_read_only != announced.read_only;
        personal.tell_all_here(&wire::Event::Announced(announced));
        if changes_rights && let Some(leases) = leases.upgrade() {
            leases.stir_all();
        }
    }
}

/// How this node looks at itself, for those who administer it.
fn looks(
    metrics: &Metrics,
    hub: &Arc<Hub>,
    rooms: &Arc<Rooms>,
    layer: &Arc<dyn ChannelLayer>,
) -> impl Fn() -> (Counted, Figures) + Send + Sync + 'static {
    let (sockets, deliveries) = (Arc::clone(&metrics.sockets), metrics.fan_out.deliveries.clone());
    // The nodes answer as long as the server stands, which holds all of these.
    let (hub, rooms, layer) = (Arc::downgrade(hub), Arc::downgrade(rooms), Arc::downgrade(layer));
    move || {
        let traffic = sockets.traffic();
        let counted = Counted { messages: traffic.messages_in, deliveries: deliveries.get() };
        let can_store = rooms.upgrade().is_none_or(|rooms| rooms.can_store());
        let figures = Figures {
            host: manage::host(),
            version: assets::VERSION.to_owned(),
            connections: traffic.open as u64,
            memory_bytes: manage::memory(),
            queued_bytes: traffic.queued_bytes as u64,
            groups: hub.upgrade().map_or(0, |hub| hub.census().groups as u64),
            layer: layer.upgrade().and_then(|layer| layer.trouble()),
            store: (!can_store).then(|| "it did not take the last message".to_owned()),
            ..Figures::default()
        };
        (counted, figures)
    }
}

/// Makes what a server works with, its parts at work already; and gives its store, to be put away at the end.
async fn start(
    layer: Arc<dyn ChannelLayer>,
    nouns: &[Make],
    settings: &Settings,
) -> Result<(Arc<Services>, Arc<dyn Log>), Error> {
    // Leptos renders on this runtime. The only error is that a server in the same process has said so before.
    let _ = Executor::init_tokio();
    let Settings { server, store, accounts, jwt, django, channel_layers, rooms, tokens, limits } = settings;
    let metrics = Metrics::default();
    let unmeasured = Arc::clone(&layer);
    let layer: Arc<dyn ChannelLayer> = Arc::new(Measured::new(layer, metrics.sends.clone()));
    let most = |limit: Option<NonZeroU32>| limit.map_or(0, NonZeroU32::get);
    // Who may say on one connection whatever they like may do so on many.
    let of_account = limits.messages_per_second.and(limits.messages_per_second_per_account);
    let bytes_of_account = limits.bytes_per_second.and(limits.bytes_per_second_per_account);
    let storage::Opened { log: durable, search, records, commits } = storage::open(store, &server.data).await?;
    let (volatile, volatile_commits) = MemoryStore::new(REMEMBERED);
    let group_expiry = channel_layers.default.group_expiry;
    let hub = Hub::start(Arc::clone(&layer), rooms::read_direct, group_expiry, metrics.fan_out.clone())?;
    // What nodes tell each other about people is no message of anybody.
    let profiles: Arc<Profiles> = Arc::default();
    let presence =
        Presence::start(Arc::clone(&unmeasured), Times::default(), Arc::clone(&profiles), |sink| hub.share('p', sink));
    let leases = Leases::start(unmeasured, &presence, group_expiry, |sink| hub.share('l', sink)).await;
    let sign_up = accounts.sign_up;
    let audit = AuditLog::new(Arc::clone(&records));
    audit.keep(server.audit_days.map(|days| Duration::from_hours(24 * u64::from(days.get()))));
    let is_shared = store.url != StoreUrl::Sqlite;
    let accounts = Accounts::start(Arc::clone(&records), &leases, &profiles, accounts, is_shared).await?;
    let programs = Arc::new(Programs::new(tokens.clone(), most(limits.messages_per_second)));
    let manage = Manage::start(Arc::clone(&records), &leases, &programs, sign_up, is_shared).await?;
    let people = People::new(Arc::clone(&records), &accounts, &audit, &leases);
    let invitations = Invitations::new(Arc::clone(&records));
    let registry = Registry::start(Arc::clone(&records), &leases, manage.watch(), is_shared).await?;
    let rooms = Rooms::start(
        rooms.clone(),
        Stores {
            durable: (Arc::clone(&durable), commits),
            search: Some(search),
            volatile: (Arc::new(volatile), volatile_commits),
            registry,
            profiles: Arc::clone(&profiles),
        },
        &layer,
        &hub,
        limits.message_bytes,
        &metrics.appends,
    );
    let departures = Departures::start(&records, &accounts, &rooms, &leases);
    let personal = Arc::new(Personal::new(&layer, &hub));
    tokio::spawn(tell_what_is_switched(manage.watch(), Arc::downgrade(&personal), Arc::downgrade(&leases)));
    let nodes = Nodes::start(&leases, &presence, looks(&metrics, &hub, &rooms, &layer));
    let project = Project::start(django, django.cache.as_ref().map(layer::host)).await?;
    let elsewhere = Elsewhere::start(&accounts, &leases, project, Sites::new(jwt));
    let named = server.allowed_origins.iter().filter(|allowed| **allowed != AllowedOrigin::Any).cloned().collect();
    let parts = Parts { records, layer: Arc::clone(&layer), hub: Arc::clone(&hub), leases: Arc::clone(&leases) };
    let others = nouns.iter().map(|make| make(&parts)).collect();
    let services = Arc::new(Services {
        topics: Arc::new(Topics { rooms: Arc::clone(&rooms), personal: Arc::clone(&personal), others }),
        rooms,
        personal,
        presence,
        profiles,
        leases,
        hub,
        layer,
        accounts,
        departures,
        audit,
        passwords: Passwords::new(metrics.passwords.clone()),
        attempts: Attempts::default(),
        manage,
        people,
        invitations,
        nodes,
        elsewhere,
        programs,
        by_subnet: Connections::new(limits.connections_per_address),
        by_account: Connections::new(limits.connections_per_account),
        exports: Connections::new(NonZeroU32::new(EXPORTS)),
        bodies: Connections::new(NonZeroU32::new(BODIES)),
        searches: Turns::new(SEARCHES),
        requests: Buckets::new(most(limits.requests_per_second)),
        rates: Arc::new(Buckets::new(most(of_account))),
        strangers: Buckets::new(most(of_account)),
        proxies: Proxies::new(server.trusted_proxies.clone()),
        hosts: Hosts::new(server.names()),
        quotas: Arc::new(Quotas::new(most(bytes_of_account), most(limits.bytes_per_second_per_address))),
        origins: Origins::new(server.allowed_origins.clone()),
        own_origin: Origins::new(Vec::new()),
        named_origins: Origins::new(named),
        deflate: server.deflate,
        room_pages: RoomPages::default(),
        limits: Limits {
            message_bytes: limits.message_bytes,
            backlog_bytes: limits.backlog_bytes.map_or(0, NonZeroUsize::get),
            messages_per_second: most(limits.messages_per_second),
            bytes_per_second: most(limits.bytes_per_second),
            topics: limits.topics_per_connection.map_or(usize::MAX, NonZeroUsize::get),
            ping_s: PING_S,
        },
        metrics,
        metrics_for: server.metrics,
    });
    Ok((services, durable))
}
