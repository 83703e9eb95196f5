//! The table of all keys: what each reads from a value and how it prints. Reading the sources, naming unknown keys and
//! `confab check` go by this table, so a key that is added here is known everywhere.

use std::{net::SocketAddr, num::NonZero, path::PathBuf, sync::Arc, time::Duration};

use super::{
    GroupTemplate, LARGEST_MESSAGE, Pattern, RedisHost, RoomEvents, RoomRule, Settings, TokenRule, hosts,
    mistakes::{Mistake, Mistakes},
    room_events,
    show::{list, quoted, rooms, table, tokens},
    types::Invalid,
    values::Node,
};

/// The longest drain, in seconds.
const HOUR: u64 = 60 * 60;

/// The longest expiry: a year, in seconds.
const YEAR: u64 = 366 * 24 * 60 * 60;

/// The largest number where nothing else bounds it.
const MOST: u64 = u32::MAX as u64;

/// How an environment variable writes a key's value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The text itself.
    Text,
    /// A whole number.
    Whole,
    /// `true` or `false`.
    Truth,
    /// A list or a table, as JSON.
    Json,
}

pub(super) struct Key {
    pub(super) path: &'static str,
    pub(super) form: Form,
    /// Checks a value and, if it is right, takes it over.
    pub(super) set: fn(&mut Settings, &Node) -> Result<(), Mistakes>,
    /// The value as it stands after `=` in TOML, secrets masked; for `rooms` and `tokens`, all their tables.
    pub(super) show: fn(&Settings) -> String,
}

/// In the order in which they are printed.
pub(super) static KEYS: [Key; 33] = [
    Key {
        path: "server.listen",
        form: Form::Text,
        set: |s, n| n.parsed(address).map(|v| s.server.listen = v),
        show: |s| quoted(s.server.listen),
    },
    Key {
        path: "server.data",
        form: Form::Text,
        set: |s, n| n.parsed(folder).map(|v| s.server.data = v),
        show: |s| quoted(s.server.data.display()),
    },
    Key {
        path: "server.hosts",
        form: Form::Json,
        set: |s, n| n.list(TEXTS, |item| item.parsed(str::parse)).map(|v| s.server.hosts = v),
        show: |s| list(s.server.hosts.iter().map(quoted)),
    },
    Key {
        path: "server.allowed_origins",
        form: Form::Json,
        set: |s, n| n.list(TEXTS, |item| item.parsed(str::parse)).map(|v| s.server.allowed_origins = v),
        show: |s| list(s.server.allowed_origins.iter().map(quoted)),
    },
    Key {
        path: "server.trusted_proxies",
        form: Form::Json,
        set: |s, n| n.list(PROXIES, |item| item.parsed(str::parse)).map(|v| s.server.trusted_proxies = v),
        show: |s| list(s.server.trusted_proxies.iter().map(quoted)),
    },
    Key {
        path: "server.metrics",
        form: Form::Text,
        set: |s, n| n.parsed(str::parse).map(|v| s.server.metrics = v),
        show: |s| quoted(s.server.metrics),
    },
    Key {
        path: "server.deflate",
        form: Form::Truth,
        set: |s, n| n.truth().map(|v| s.server.deflate = v),
        show: |s| s.server.deflate.to_string(),
    },
    Key {
        path: "server.drain_seconds",
        form: Form::Whole,
        set: |s, n| n.whole(0..=HOUR).map(|v| s.server.drain = Duration::from_secs(v)),
        show: |s| s.server.drain.as_secs().to_string(),
    },
    Key {
        path: "store.url",
        form: Form::Text,
        set: |s, n| n.parsed(str::parse).map(|v| s.store.url = v),
        show: |s| quoted(&s.store.url),
    },
    Key {
        path: "store.durability",
        form: Form::Text,
        set: |s, n| n.parsed(str::parse).map(|v| s.store.durability = v),
        show: |s| quoted(s.store.durability),
    },
    Key {
        path: "channel_layers.default.backend",
        form: Form::Text,
        set: |s, n| n.parsed(str::parse).map(|v| s.channel_layers.default.backend = v),
        show: |s| quoted(s.channel_layers.default.backend),
    },
    Key {
        path: "channel_layers.default.hosts",
        form: Form::Json,
        set: |s, n| at_least_one(n, n.list(HOSTS, hosts::read)?).map(|v| s.channel_layers.default.hosts = v),
        show: |s| list(s.channel_layers.default.hosts.iter().map(RedisHost::toml)),
    },
    Key {
        path: "channel_layers.default.prefix",
        form: Form::Text,
        set: |s, n| n.parsed(prefix).map(|v| s.channel_layers.default.prefix = v),
        show: |s| quoted(&s.channel_layers.default.prefix),
    },
    Key {
        path: "channel_layers.default.capacity",
        form: Form::Whole,
        set: |s, n| n.whole(1..=MOST).map(|v| s.channel_layers.default.capacity = v),
        show: |s| s.channel_layers.default.capacity.to_string(),
    },
    Key {
        path: "channel_layers.default.channel_capacity",
        form: Form::Json,
        set: |s, n| channel_capacity(n).map(|v| s.channel_layers.default.channel_capacity = v),
        show: |s| {
            table(s.channel_layers.default.channel_capacity.iter().map(|(pattern, capacity)| (quoted(pattern), capacity)))
        },
    },
    Key {
        path: "channel_layers.default.expiry",
        form: Form::Whole,
        set: |s, n| n.whole(1..=YEAR).map(|v| s.channel_layers.default.expiry = Duration::from_secs(v)),
        show: |s| s.channel_layers.default.expiry.as_secs().to_string(),
    },
    Key {
        path: "channel_layers.default.group_expiry",
        form: Form::Whole,
        set: |s, n| n.whole(1..=YEAR).map(|v| s.channel_layers.default.group_expiry = Duration::from_secs(v)),
        show: |s| s.channel_layers.default.group_expiry.as_secs().to_string(),
    },
    Key {
        path: "channel_layers.default.symmetric_encryption_keys",
        form: Form::Json,
        set: |s, n| {
            n.list(TEXTS, |item| item.parsed(str::parse)).map(|v| s.channel_layers.default.symmetric_encryption_keys = v)
        },
        show: |s| list(s.channel_layers.default.symmetric_encryption_keys.iter().map(quoted)),
    },
    Key {
        path: "channel_layers.default.serializer_format",
        form: Form::Text,
        set: |s, n| n.parsed(str::parse).map(|v| s.channel_layers.default.serializer_format = v),
        show: |s| quoted(s.channel_layers.default.serializer_format),
    },
    Key {
        path: "channel_layers.default.random_prefix_length",
        form: Form::Whole,
        set: |s, n| n.whole(0..=64).map(|v| s.channel_layers.default.random_prefix_length = v),
        show: |s| s.channel_layers.default.random_prefix_length.to_string(),
    },
    Key { path: "rooms", form: Form::Json, set: |s, n| room_rules(n).map(|v| s.rooms = v), show: |s| rooms(&s.rooms) },
    Key { path: "tokens", form: Form::Json, set: |s, n| token_rules(n).map(|v| s.tokens = v), show: |s| tokens(&s.tokens) },
    Key {
        path: "limits.message_bytes",
        form: Form::Whole,
        set: |s, n| n.limit(LARGEST_MESSAGE as u64).map(|v| s.limits.message_bytes = if v == 0 { LARGEST_MESSAGE } else { v }),
        show: |s| s.limits.message_bytes.to_string(),
    },
    Key {
        path: "limits.connections_per_address",
        form: Form::Whole,
        set: |s, n| n.limit(MOST).map(|v| s.limits.connections_per_address = NonZero::new(v)),
        show: |s| s.limits.connections_per_address.map_or(0, NonZero::get).to_string(),
    },
    Key {
        path: "limits.connections_per_account",
        form: Form::Whole,
        set: |s, n| n.limit(MOST).map(|v| s.limits.connections_per_account = NonZero::new(v)),
        show: |s| s.limits.connections_per_account.map_or(0, NonZero::get).to_string(),
    },
    Key {
        path: "limits.requests_per_second",
        form: Form::Whole,
        set: |s, n| n.limit(MOST).map(|v| s.limits.requests_per_second = NonZero::new(v)),
        show: |s| s.limits.requests_per_second.map_or(0, NonZero::get).to_string(),
    },
    Key {
        path: "limits.messages_per_second",
        form: Form::Whole,
        set: |s, n| n.limit(MOST).map(|v| s.limits.messages_per_second = NonZero::new(v)),
        show: |s| s.limits.messages_per_second.map_or(0, NonZero::get).to_string(),
    },
    Key {
        path: "limits.messages_per_second_per_account",
        form: Form::Whole,
        set: |s, n| n.limit(MOST).map(|v| s.limits.messages_per_second_per_account = NonZero::new(v)),
        show: |s| s.limits.messages_per_second_per_account.map_or(0, NonZero::get).to_string(),
    },
    Key {
        path: "limits.bytes_per_second",
        form: Form::Whole,
        set: |s, n| n.limit(MOST).map(|v| s.limits.bytes_per_second = NonZero::new(v)),
        show: |s| s.limits.bytes_per_second.map_or(0, NonZero::get).to_string(),
    },
    Key {
        path: "limits.bytes_per_second_per_account",
        form: Form::Whole,
        set: |s, n| n.limit(MOST).map(|v| s.limits.bytes_per_second_per_account = NonZero::new(v)),
        show: |s| s.limits.bytes_per_second_per_account.map_or(0, NonZero::get).to_string(),
    },
    Key {
        path: "limits.bytes_per_second_per_address",
        form: Form::Whole,
        set: |s, n| n.limit(MOST).map(|v| s.limits.bytes_per_second_per_address = NonZero::new(v)),
        show: |s| s.limits.bytes_per_second_per_address.map_or(0, NonZero::get).to_string(),
    },
    Key {
        path: "limits.topics_per_connection",
        form: Form::Whole,
        set: |s, n| n.limit(MOST).map(|v| s.limits.topics_per_connection = NonZero::new(v)),
        show: |s| s.limits.topics_per_connection.map_or(0, NonZero::get).to_string(),
    },
    Key {
        path: "limits.backlog_bytes",
        form: Form::Whole,
        set: |s, n| n.limit(MOST).map(|v| s.limits.backlog_bytes = NonZero::new(v)),
        show: |s| s.limits.backlog_bytes.map_or(0, NonZero::get).to_string(),
    },
];

const PROXIES: &str = r#"a list of addresses, like ["127.0.0.1", "10.0.0.0/8"]"#;
const TEXTS: &str = r#"a list of texts, like ["...", "..."]"#;
const HOSTS: &str = r#"a list, like ["redis://127.0.0.1:6379/0"]"#;

/// Every key that can be set, `server.listen` and so on; those of a rule for rooms are under `rooms`, those of a token
/// under `tokens`.
pub fn known_keys() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|key| key.path)
}

/// The tables that keys stand in, each with its full path and without doubles.
pub(super) fn sections() -> Vec<&'static str> {
    let mut sections: Vec<&str> = known_keys().flat_map(|path| path.match_indices('.').map(|(end, _)| &path[..end])).collect();
    sections.dedup();
    sections.sort_unstable();
    sections.dedup();
    sections
}

/// The names that can stand directly in a section; the root's section is empty.
pub(super) fn names_in(section: &str) -> Vec<&'static str> {
    let mut names: Vec<&str> = Vec::new();
    for path in known_keys() {
        let rest =
            if section.is_empty() { Some(path) } else { path.strip_prefix(section).and_then(|rest| rest.strip_prefix('.')) };
        if let Some(name) = rest.and_then(|rest| rest.split('.').next())
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    names
}

fn address(text: &str) -> Result<SocketAddr, Invalid> {
    text.parse().map_err(|_| Invalid(r#"an IP address and a port are needed, like "127.0.0.1:3000" or "[::]:3000""#))
}

fn folder(text: &str) -> Result<PathBuf, Invalid> {
    if text.is_empty() { Err(Invalid("the path of a folder is needed")) } else { Ok(text.into()) }
}

fn prefix(text: &str) -> Result<String, Invalid> {
    let good = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    good.then(|| text.to_owned()).ok_or(Invalid("1 to 64 ASCII letters without spaces are needed"))
}

fn at_least_one<T>(node: &Node, list: Vec<T>) -> Result<Vec<T>, Mistakes> {
    if list.is_empty() { Err(node.mistake("cannot be empty: at least one is needed")) } else { Ok(list) }
}

fn channel_capacity(node: &Node) -> Result<Vec<(Pattern, usize)>, Mistakes> {
    let mut mistakes = Mistakes::default();
    let mut capacities = Vec::new();
    for (name, field) in node.fields(r#"a table of patterns and numbers, like { "chat.*" = 500 }"#)? {
        let pattern = Pattern::for_channels(name).map_err(|needed| field.mistake(format_args!("is no pattern: {needed}")));
        let (pattern, capacity) = (mistakes.keep(pattern), mistakes.keep(field.whole(1..=MOST)));
        capacities.extend(pattern.zip(capacity));
    }
    mistakes.or(capacities)
}

fn room_rules(node: &Node) -> Result<Vec<RoomRule>, Mistakes> {
    let rules = node.list("a list of tables, each begun with [[rooms]]", |item| Ok((item.place.clone(), room_rule(item)?)))?;
    let rules = at_least_one(node, rules)?;
    if let Some(all) = rules.iter().position(|(_, rule)| rule.matches.matches_everything())
        && all + 1 < rules.len()
    {
        let says = format!("rooms[{all}] matches every room, so the rules after it are never used: put it last");
        return Err(Mistake { place: rules[all].0.clone(), says }.into());
    }
    let (places, rules): (Vec<_>, Vec<_>) = rules.into_iter().unzip();
    if let Some((one, other)) = room_events::collision(&rules) {
        let says = format!(
            "rooms[{other}] may give a room the group of another room, of rooms[{one}], and each would hear the other: give both the same group, or one of them a dot, which no room's name has"
        );
        return Err(Mistake { place: places[other].clone(), says }.into());
    }
    Ok(rules)
}

/// The largest bounds that make sense: more than any room has, and a thousand years.
const MOST_KEPT: u64 = 1_000_000_000_000;
const MOST_DAYS: u64 = 365_250;

fn room_rule(node: &Node) -> Result<RoomRule, Mistakes> {
    const NAMES: [&str; 9] =
        ["match", "history", "guests", "keep_messages", "keep_days", "event_type", "text_key", "group", "protocols"];
    let fields = node.fields(r#"a table, like { match = "*", history = "store", guests = true }"#)?;
    let mut mistakes = Mistakes::default();
    let RoomRule { history: mut kept, mut guests, mut keep, .. } = RoomRule::default();
    let RoomEvents { mut event_type, mut text_key, .. } = RoomEvents::default();
    let (mut matches, mut protocols) = (None, Vec::new());
    for (name, field) in fields {
        match name.as_str() {
            "match" => matches = mistakes.keep(field.parsed(Pattern::for_rooms)),
            "history" => kept = mistakes.keep(field.parsed(str::parse)).unwrap_or(kept),
            "guests" => guests = mistakes.keep(field.truth()).unwrap_or(guests),
            "keep_messages" => keep.messages = mistakes.keep(field.limit(MOST_KEPT)).filter(|most| *most > 0),
            "keep_days" => keep.days = mistakes.keep(field.limit(MOST_DAYS)).filter(|days| *days > 0),
            "event_type" => event_type = mistakes.keep(field.parsed(str::parse)).unwrap_or(event_type),
            "text_key" => text_key = mistakes.keep(field.parsed(str::parse)).unwrap_or(text_key),
            "protocols" => {
                let names = field.list(TEXTS, |item| item.parsed(str::parse));
                protocols = mistakes.keep(names).unwrap_or_default();
            }
            // What it may be depends on the pattern, which may stand after it.
            "group" => {}
            _ => {
                let siblings = NAMES.map(|name| format!("{}.{name}", node.path));
                mistakes.add(field.unknown(&node.path, &NAMES, siblings.iter().map(String::as_str)));
            }
        }
    }
    let named = |key: &str| fields.iter().find(|(name, _)| name == key).map(|(_, field)| field);
    if named("match").is_none() {
        mistakes.add(node.mistake(r#"needs a match, the pattern of the rooms it is for, like match = "*""#));
    }
    let Some(matches) = matches else { return Err(mistakes) };
    let group = named("group").map(|field| field.parsed(|text| GroupTemplate::new(text, &matches)));
    let group = group.and_then(|group| mistakes.keep(group)).unwrap_or_default();
    let events = Arc::new(RoomEvents { event_type, text_key, group });
    mistakes.or(RoomRule { matches, history: kept, guests, keep, events, protocols })
}

fn token_rules(node: &Node) -> Result<Vec<TokenRule>, Mistakes> {
    let rules =
        node.list("a list of tables, each begun with [[tokens]]", |item| Ok((item.place.clone(), token_rule(item)?)))?;
    for (at, (place, rule)) in rules.iter().enumerate() {
        if let Some(before) = rules[..at].iter().position(|(_, other)| other.token == rule.token) {
            let says = format!("tokens[{at}] has the token of tokens[{before}]: give each its own");
            return Err(Mistake { place: place.clone(), says }.into());
        }
    }
    Ok(rules.into_iter().map(|(_, rule)| rule).collect())
}

fn token_rule(node: &Node) -> Result<TokenRule, Mistakes> {
    const NAMES: [&str; 4] = ["name", "token", "groups", "channels"];
    let fields = node.fields(r#"a table, like { name = "cron", token = "...", groups = ["*"], channels = false }"#)?;
    let mut mistakes = Mistakes::default();
    let (mut name, mut token, mut groups, mut channels) = (None, None, vec![Pattern::everything()], false);
    for (key, field) in fields {
        match key.as_str() {
            "name" => name = mistakes.keep(field.parsed(str::parse)),
            "token" => token = mistakes.keep(field.secret(str::parse)),
            "groups" => {
                let patterns = field.list(TEXTS, |item| item.parsed(Pattern::for_rooms));
                groups = mistakes.keep(patterns).unwrap_or(groups);
            }
            "channels" => channels = mistakes.keep(field.truth()).unwrap_or(channels),
            _ => {
                let siblings = NAMES.map(|name| format!("{}.{name}", node.path));
                mistakes.add(field.unknown(&node.path, &NAMES, siblings.iter().map(String::as_str)));
            }
        }
    }
    for (key, needed) in [
        ("name", r#"needs a name, who the program speaks as, like name = "cron""#),
        ("token", "needs a token, the secret that the program sends"),
    ] {
        if !fields.iter().any(|(name, _)| name == key) {
            mistakes.add(node.mistake(needed));
        }
    }
    if groups.is_empty() && !channels {
        mistakes.add(node.mistake(r#"may send nowhere: it needs groups, like groups = ["*"], or channels = true"#));
    }
    match name.zip(token) {
        Some((name, token)) => mistakes.or(TokenRule { name, token, groups, channels }),
        None => Err(mistakes),
    }
}
