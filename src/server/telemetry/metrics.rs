//! The numbers of one server, as Prometheus reads them.
//!
//! Each part of the server counts on a handle of its own that knows nothing of the others: [`websocket::Counters`](Counters),
//! [`FanOut`], [`Appends`], [`Sends`]. [`Metrics`] makes them, knows their names, and writes them all down when somebody asks.
//! What can be had by looking ([`Present`]) is not counted but looked up then. Nothing here is global: several servers in one
//! process have numbers of their own, but for those of the process.
//!
//! Labels take only values that stand in this program, never names of rooms or people: so the number of series is bounded, and
//! whoever reads them learns nothing about anybody.

use std::{sync::Arc, time::Duration};

use axum::http::StatusCode;
pub use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, Registry, TEXT_FORMAT};
use prometheus::{
    HistogramOpts, Opts, TextEncoder,
    core::{Collector, Desc},
    process_collector::ProcessCollector,
    proto::{Counter as CounterProto, Gauge as GaugeProto, Metric, MetricFamily, MetricType},
};

use crate::server::websocket::{Counters, Traffic};

/// The bounds of all histograms, in seconds: from what a small group takes to what nobody waits for.
const SECONDS: [f64; 17] =
    [0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Why a request for a `WebSocket` got none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The handshake breaks RFC 6455.
    Malformed,
    /// It asks for a host that is not this one.
    Host,
    /// A page of a foreign origin asked.
    Origin,
    /// The address names no room that the settings have.
    NotFound,
    /// The room is not open to guests.
    Forbidden,
    /// A plain client asked for no group.
    NoGroup,
    /// The address or the account has as many connections as it may.
    TooMany,
    /// The address asks too often.
    TooSoon,
}

impl Refused {
    const ALL: [Self; 8] = [
        Self::Malformed,
        Self::Host,
        Self::Origin,
        Self::NotFound,
        Self::Forbidden,
        Self::NoGroup,
        Self::TooMany,
        Self::TooSoon,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Host => "host",
            Self::Origin => "origin",
            Self::NotFound => "not_found",
            Self::Forbidden => "forbidden",
            Self::NoGroup => "no_group",
            Self::TooMany => "too_many",
            Self::TooSoon => "too_soon",
        }
    }
}

/// Counts what groups hand to the sockets of their members.
#[derive(Clone)]
pub struct FanOut {
    /// Events of groups, and those for one channel, handed to sockets. Add what a whole fan-out has handed over at once.
    pub deliveries: IntCounter,
    /// From the arrival of an event at its group to the last member, in seconds.
    pub seconds: Histogram,
}

impl Default for FanOut {
    fn default() -> Self {
        Self {
            deliveries: counter("confab_deliveries_total", "Events handed to the sockets of members"),
            seconds: histogram(
                "confab_fan_out_seconds",
                "Time from the arrival of an event at its group until it was handed to the last member",
            ),
        }
    }
}

/// Counts what is appended to one store.
#[derive(Clone)]
pub struct Append {
    /// From the call to the acknowledgement, in seconds; of those that succeed.
    pub seconds: Histogram,
    /// Those that were not stored.
    pub failures: IntCounter,
    /// New messages that were committed.
    pub committed: IntCounter,
}

/// Counts what is appended to the stores.
#[derive(Clone)]
pub struct Appends {
    seconds: HistogramVec,
    failures: IntCounterVec,
    committed: IntCounterVec,
    /// Of rooms with `history = "store"`.
    pub durable: Append,
    /// Of rooms with `history = "memory"`.
    pub volatile: Append,
}

impl Default for Appends {
    fn default() -> Self {
        let label = &["history"];
        let seconds = histograms(
            "confab_append_seconds",
            "Time from taking a message in until it was committed and handed to the channel layer",
            label,
        );
        let failures = counters("confab_append_failures_total", "Messages that could not be stored", label);
        let committed = counters("confab_messages_committed_total", "New messages that were committed", label);
        let of = |history: &str| Append {
            seconds: seconds.with_label_values(&[history]),
            failures: failures.with_label_values(&[history]),
            committed: committed.with_label_values(&[history]),
        };
        let (durable, volatile) = (of("store"), of("memory"));
        Self { seconds, failures, committed, durable, volatile }
    }
}

/// Counts what is sent through the channel layer.
#[derive(Clone)]
pub struct Sends {
    seconds: HistogramVec,
    refusals: IntCounterVec,
    pub to_group: Histogram,
    pub to_channel: Histogram,
    /// The backend could not be reached.
    pub unavailable: IntCounter,
    /// The channel's mailbox was full.
    pub full: IntCounter,
    /// The backend has no form for the event.
    pub unserializable: IntCounter,
}

impl Default for Sends {
    fn default() -> Self {
        let seconds =
            histograms("confab_layer_send_seconds", "Time that the channel layer took to accept or refuse an event", &["to"]);
        let refusals = counters("confab_layer_refusals_total", "Events that the channel layer refused", &["reason"]);
        let (to_group, to_channel) = (seconds.with_label_values(&["group"]), seconds.with_label_values(&["channel"]));
        let [unavailable, full, unserializable] =
            ["unavailable", "full", "unserializable"].map(|reason| refusals.with_label_values(&[reason]));
        Self { seconds, refusals, to_group, to_channel, unavailable, full, unserializable }
    }
}

/// What is looked up when the numbers are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Present {
    /// Groups with members on this node.
    pub groups: usize,
    /// Their members on this node, each as often as it is one.
    pub members: usize,
    /// People in rooms over all nodes, each as often as in rooms.
    pub people: usize,
    /// Nodes that this one knows, itself among them.
    pub nodes: usize,
    /// The channel layer reaches its backend.
    pub layer_available: bool,
    /// The store took the last message.
    pub store_writable: bool,
    /// Accounts that were not deactivated, and sessions of theirs; none where the store could not be asked.
    pub accounts: Option<(i64, i64)>,
    /// Rooms that somebody owns or did, direct ones left out.
    pub rooms_owned: usize,
    /// Tokens that can be used.
    pub tokens: usize,
    pub read_only: bool,
}

/// The numbers of one server.
pub struct Metrics {
    registry: Registry,
    pub sockets: Arc<Counters>,
    pub fan_out: FanOut,
    pub appends: Appends,
    pub sends: Sends,
    /// Passwords that were hashed, or held beside a hash.
    pub passwords: IntCounter,
    /// Wrong names and passwords, and those that were too many.
    pub sign_ins_refused: IntCounter,
    refused: IntCounterVec,
    requests: HistogramVec,
    accounts: IntGauge,
    sessions: IntGauge,
    rooms_owned: IntGauge,
    tokens: IntGauge,
    read_only: IntGauge,
    groups: IntGauge,
    members: IntGauge,
    people: IntGauge,
    nodes: IntGauge,
    layer_available: IntGauge,
    store_writable: IntGauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Registry::new(),
            sockets: Arc::default(),
            fan_out: FanOut::default(),
            appends: Appends::default(),
            sends: Sends::default(),
            passwords: counter("confab_passwords_hashed_total", "Passwords that were hashed, or held beside a hash"),
            refused: counters(
                "confab_connections_refused_total",
                "Requests for a WebSocket that got none, or one that was closed at once",
                &["reason"],
            ),
            requests: histograms(
                "confab_http_request_seconds",
                "Time from the head of a request to the head of its answer",
                &["route", "status"],
            ),
            sign_ins_refused: counter(
                "confab_sign_ins_refused_total",
                "Sign-ins with a wrong name or password, and those that were too many",
            ),
            accounts: gauge("confab_accounts", "Accounts that were not deactivated"),
            sessions: gauge("confab_sessions", "Devices that are signed in"),
            rooms_owned: gauge("confab_rooms_owned", "Rooms that somebody owns or did, direct ones left out"),
            tokens: gauge("confab_tokens", "Tokens of programs that can be used"),
            read_only: gauge("confab_read_only", "1 while the server is read-only, otherwise 0"),
            groups: gauge("confab_groups", "Groups with members on this node"),
            members: gauge("confab_members", "Members of groups on this node; a connection is one in each group it has joined"),
            people: gauge("confab_people", "People in rooms, over all nodes; a person is counted in each room"),
            nodes: gauge("confab_nodes", "Nodes that tell each other who is there, this one among them"),
            layer_available: gauge("confab_layer_available", "1 while the channel layer reaches its backend, otherwise 0"),
            store_writable: gauge("confab_store_writable", "1 when the store took the last message, otherwise 0"),
        };
        for reason in Refused::ALL {
            metrics.refused.with_label_values(&[reason.as_str()]);
        }
        let build = gauge_of(
            Opts::new("confab_build_info", "1, with the version of the server")
                .const_label("version", env!("CARGO_PKG_VERSION")),
        );
        build.set(1);
        let Self {
            fan_out,
            appends,
            sends,
            passwords,
            sign_ins_refused,
            refused,
            requests,
            accounts,
            sessions,
            rooms_owned,
            tokens,
            read_only,
            groups,
            members,
            people,
            nodes,
            layer_available,
            store_writable,
            ..
        } = &metrics;
        let all: [Box<dyn Collector>; 25] = [
            Box::new(FromSockets::new(Arc::clone(&metrics.sockets))),
            Box::new(fan_out.deliveries.clone()),
            Box::new(fan_out.seconds.clone()),
            Box::new(appends.seconds.clone()),
            Box::new(appends.failures.clone()),
            Box::new(appends.committed.clone()),
            Box::new(sends.seconds.clone()),
            Box::new(sends.refusals.clone()),
            Box::new(passwords.clone()),
            Box::new(refused.clone()),
            Box::new(requests.clone()),
            Box::new(sign_ins_refused.clone()),
            Box::new(accounts.clone()),
            Box::new(sessions.clone()),
            Box::new(rooms_owned.clone()),
            Box::new(tokens.clone()),
            Box::new(read_only.clone()),
            Box::new(groups.clone()),
            Box::new(members.clone()),
            Box::new(people.clone()),
            Box::new(nodes.clone()),
            Box::new(layer_available.clone()),
            Box::new(store_writable.clone()),
            Box::new(build),
            Box::new(ProcessCollector::for_self()),
        ];
        for collector in all {
            metrics.registry.register(collector).expect("different names"); // never: see the constants above
        }
        metrics
    }
}

impl Metrics {
    /// A request for a `WebSocket` got none.
    pub fn refuse(&self, reason: Refused) {
        self.refused.with_label_values(&[reason.as_str()]).inc();
    }

    /// A request was answered. `route` is the pattern in the router that the path matched, if one did.
    pub fn answered(&self, route: Option<&str>, status: StatusCode, after: Duration) {
        let class = match status.as_u16() / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        self.requests.with_label_values(&[route.unwrap_or("none"), class]).observe(after.as_secs_f64());
    }

    /// Everything in Prometheus' text format ([`TEXT_FORMAT`]).
    pub fn text(&self, present: Present) -> String {
        let Present { groups, members, people, nodes, layer_available, store_writable, .. } = present;
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.groups.set(count(groups));
        self.members.set(count(members));
        self.people.set(count(people));
        self.nodes.set(count(nodes));
        self.layer_available.set(layer_available.into());
        self.store_writable.set(store_writable.into());
        if let Some((accounts, sessions)) = present.accounts {
            self.accounts.set(accounts);
            self.sessions.set(sessions);
        }
        self.rooms_owned.set(count(present.rooms_owned));
        self.tokens.set(count(present.tokens));
        self.read_only.set(present.read_only.into());
        let families = self.registry.gather();
        TextEncoder::new().encode_to_string(&families).expect("families with metrics") // never: `gather` leaves out empty ones
    }
}

/// Reads the counters of the sockets, all at one moment.
struct FromSockets {
    counters: Arc<Counters>,
    descriptions: Vec<Desc>,
}

/// A number of the sockets.
struct Number {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    value: fn(&Traffic) -> u64,
}

const GATEWAY: [Number; 7] = [
    Number {
        name: "confab_open_connections",
        help: "WebSocket connections that are open now",
        kind: MetricType::GAUGE,
        value: |traffic| traffic.open as u64,
    },
    Number {
        name: "confab_connections_total",
        help: "WebSocket connections since the start",
        kind: MetricType::COUNTER,
        value: |traffic| traffic.opened,
    },
    Number {
        name: "confab_slow_closes_total",
        help: "Connections that were closed with 4001, since their reader was too slow",
        kind: MetricType::COUNTER,
        value: |traffic| traffic.slow_closes,
    },
    Number {
        name: "confab_messages_received_total",
        help: "Text and binary messages from clients",
        kind: MetricType::COUNTER,
        value: |traffic| traffic.messages_in,
    },
    Number {
        name: "confab_received_bytes_total",
        help: "Bytes of WebSocket frames from clients",
        kind: MetricType::COUNTER,
        value: |traffic| traffic.bytes_in,
    },
    Number {
        name: "confab_sent_bytes_total",
        help: "Bytes of WebSocket frames that sockets have taken",
        kind: MetricType::COUNTER,
        value: |traffic| traffic.bytes_out,
    },
    Number {
        name: "confab_queued_bytes",
        help: "Bytes of WebSocket frames that wait now until sockets take them",
        kind: MetricType::GAUGE,
        value: |traffic| traffic.queued_bytes as u64,
    },
];

impl FromSockets {
    fn new(counters: Arc<Counters>) -> Self {
        let describe = |number: &Number| {
            let description = Desc::new(number.name.to_owned(), number.help.to_owned(), Vec::new(), [].into());
            description.expect("good names") // never: see the constants above
        };
        Self { counters, descriptions: GATEWAY.iter().map(describe).collect() }
    }
}

impl Collector for FromSockets {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let traffic = self.counters.traffic();
        let family = |Number { name, help, kind, value }: &Number| {
            let value = value(&traffic) as f64;
            let mut metric = Metric::default();
            if *kind == MetricType::COUNTER {
                let mut counter = CounterProto::default();
                counter.set_value(value);
                metric.set_counter(counter);
            } else {
                let mut gauge = GaugeProto::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
            let mut family = MetricFamily::default();
            family.set_name((*name).to_owned());
            family.set_help((*help).to_owned());
            family.set_field_type(*kind);
            family.set_metric(vec![metric]);
            family
        };
        GATEWAY.iter().map(family).collect()
    }
}

fn counter(name: &str, help: &str) -> IntCounter {
    IntCounter::new(name, help).expect("a good name") // never: the callers have constants
}

fn counters(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    IntCounterVec::new(Opts::new(name, help), labels).expect("good names") // never: the callers have constants
}

fn gauge(name: &str, help: &str) -> IntGauge {
    gauge_of(Opts::new(name, help))
}

fn gauge_of(opts: Opts) -> IntGauge {
    IntGauge::with_opts(opts).expect("a good name") // never: the callers have constants
}

fn histogram(name: &str, help: &str) -> Histogram {
    let opts = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
    Histogram::with_opts(opts).expect("a good name and rising bounds") // never: the callers have constants
}

fn histograms(name: &str, help: &str, labels: &[&str]) -> HistogramVec {
    let opts = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
    HistogramVec::new(opts, labels).expect("good names and rising bounds") // never: the callers have constants
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRESENT: Present = Present {
        groups: 2,
        members: 3,
        people: 4,
        nodes: 5,
        layer_available: true,
        store_writable: false,
        accounts: Some((6, 7)),
        rooms_owned: 8,
        tokens: 9,
        read_only: true,
    };

    fn lines(metrics: &Metrics) -> Vec<String> {
        metrics.text(PRESENT).lines().map(str::to_owned).collect()
    }

    #[test]
    fn each_server_has_numbers_of_its_own() {
        let (one, other) = (Metrics::default(), Metrics::default());
        one.fan_out.deliveries.inc_by(7);
        one.refuse(Refused::Origin);
        for (metrics, deliveries, refused) in [(&one, 7, 1), (&other, 0, 0)] {
            let lines = lines(metrics);
            for line in [
                format!("confab_deliveries_total {deliveries}"),
                format!("confab_connections_refused_total{{reason=\"origin\"}} {refused}"),
                "confab_connections_refused_total{reason=\"too_many\"} 0".to_owned(),
                "confab_members 3".to_owned(),
                "confab_people 4".to_owned(),
                "confab_nodes 5".to_owned(),
                "confab_accounts 6".to_owned(),
                "confab_sessions 7".to_owned(),
                "confab_rooms_owned 8".to_owned(),
                "confab_tokens 9".to_owned(),
                "confab_read_only 1".to_owned(),
                "confab_sign_ins_refused_total 0".to_owned(),
                "confab_store_writable 0".to_owned(),
                "# TYPE confab_connections_total counter".to_owned(),
            ] {
                assert!(lines.contains(&line), "{line}");
            }
        }
    }

    #[test]
    fn a_time_is_counted_in_every_bucket_that_it_fits_into() {
        let metrics = Metrics::default();
        metrics.answered(Some("/room/{group}/"), StatusCode::NOT_FOUND, Duration::from_millis(3));
        metrics.answered(None, StatusCode::INTERNAL_SERVER_ERROR, Duration::from_secs(100));
        let lines = lines(&metrics);
        for line in [
            r#"confab_http_request_seconds_bucket{route="/room/{group}/",status="4xx",le="0.0025"} 0"#,
            r#"confab_http_request_seconds_bucket{route="/room/{group}/",status="4xx",le="0.005"} 1"#,
            r#"confab_http_request_seconds_bucket{route="/room/{group}/",status="4xx",le="+Inf"} 1"#,
            r#"confab_http_request_seconds_sum{route="/room/{group}/",status="4xx"} 0.003"#,
            r#"confab_http_request_seconds_bucket{route="none",status="5xx",le="10"} 0"#,
            r#"confab_http_request_seconds_count{route="none",status="5xx"} 1"#,
        ] {
            assert!(lines.iter().any(|other| other == line), "{line}");
        }
    }

    #[test]
    fn what_is_special_in_a_label_is_escaped() {
        let metrics = Metrics::default();
        metrics.answered(Some("a\"b\\c\nd"), StatusCode::OK, Duration::ZERO);
        let count = r#"confab_http_request_seconds_count{route="a\"b\\c\nd",status="2xx"} 1"#;
        assert!(lines(&metrics).iter().any(|line| line == count));
    }
}
