//! The keys: what each reads from a value and how it prints. Each is declared once, in its [`section`]; reading the sources, naming
//! unknown keys and `confab check` go by the [list](keys) that is made of these, so a key is known everywhere.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    AccountSettings, DjangoSettings, GroupTemplate, LARGEST_MESSAGE, LayerSettings, Limits, Pattern, RedisHost, RoomEvents,
    RoomRule, ServerSettings, Settings, StoreSettings, TokenRule, hosts, jwt,
    mistakes::{Mistake, Mistakes},
    room_events,
    show::{list, quoted, rooms, table, tokens},
    types::Invalid,
    values::Node,
};

/// The longest drain, in seconds.
pub(super) const HOUR: u64 = 60 * 60;

/// The longest expiry: a year, in seconds.
pub(super) const YEAR: u64 = 366 * 24 * 60 * 60;

/// The largest number where nothing else bounds it.
pub(super) const MOST: u64 = u32::MAX as u64;

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

/// A section of the settings, each key of which is declared once: its name, type, default, and how it is read.
///
/// | kind | what stands there |
/// |---|---|
/// | `text(parse)` | a text that `parse` takes, shown as it prints itself |
/// | `truth()` | `true` or `false` |
/// | `whole(range)`, `seconds(range)`, `days(range)` | a whole number |
/// | `limit(most)` | a whole number, 0 for none |
/// | `list(needed)` | a list of texts |
/// | `own(form, read, show)` | whatever else |
macro_rules! section {
    (
        $(#[$about:meta])*
        $name:ident, $section:literal, $($place:ident).+;
        $($(#[$does:meta])* $field:ident, $key:literal: $type:ty = $default:expr, $kind:ident($($how:tt)*);)+
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[$does])* pub $field: $type,)+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        impl $name {
            const KEYS: &[Key] = &[$(Key {
                path: concat!($section, ".", $key),
                form: form!($kind($($how)*)),
                set: |settings, node| read!(node, $kind($($how)*)).map(|value| Self::of(settings).$field = value),
                show: |settings| show!(&Self::in_effect(settings).$field, $kind($($how)*)),
            },)+];

            fn of(settings: &mut Settings) -> &mut Self {
                &mut settings.$($place).+
            }

            fn in_effect(settings: &Settings) -> &Self {
                &settings.$($place).+
            }
        }
    };
}

macro_rules! form {
    (text($($how:tt)*)) => {
        Form::Text
    };
    (truth()) => {
        Form::Truth
    };
    (list($needed:expr)) => {
        Form::Json
    };
    (own($form:expr, $read:expr, $show:expr)) => {
        $form
    };
    ($number:ident($range:expr)) => {
        Form::Whole
    };
}

macro_rules! read {
    ($node:ident, text($parse:expr)) => {
        $node.parsed($parse)
    };
    ($node:ident, truth()) => {
        $node.truth()
    };
    ($node:ident, whole($range:expr)) => {
        $node.whole($range)
    };
    ($node:ident, seconds($range:expr)) => {
        $node.whole($range).map(Duration::from_secs)
    };
    ($node:ident, days($range:expr)) => {
        $node.whole($range).map(|days: u64| Duration::from_secs(24 * HOUR * days))
    };
    ($node:ident, limit($most:expr)) => {
        $node.limit($most).map(NonZero::new)
    };
    ($node:ident, list($needed:expr)) => {
        $node.list($needed, |item| item.parsed(str::parse))
    };
    ($node:ident, own($form:expr, $read:expr, $show:expr)) => {
        $read($node)
    };
}

macro_rules! show {
    ($value:expr, text($parse:expr)) => {
        quoted($value)
    };
    ($value:expr, truth()) => {
        $value.to_string()
    };
    ($value:expr, whole($range:expr)) => {
        $value.to_string()
    };
    ($value:expr, seconds($range:expr)) => {
        $value.as_secs().to_string()
    };
    ($value:expr, days($range:expr)) => {
        ($value.as_secs() / (24 * HOUR)).to_string()
    };
    ($value:expr, limit($most:expr)) => {
        $value.map_or(0, NonZero::get).to_string()
    };
    ($value:expr, list($needed:expr)) => {
        list($value.iter().map(quoted))
    };
    ($value:expr, own($form:expr, $read:expr, $show:expr)) => {
        $show($value)
    };
}

pub(super) use {form, read, section, show};

/// All keys, in the order in which they are printed.
pub(super) fn keys() -> impl Iterator<Item = &'static Key> {
    const SITES: &[Key] = &[Key {
        path: "accounts.jwt",
        form: Form::Json,
        set: |settings, node| jwt::rules(node).map(|rules| settings.jwt = rules),
        show: |settings| jwt::shown(&settings.jwt),
    }];
    const LISTS: &[Key] = &[
        Key { path: "rooms", form: Form::Json, set: |s, n| room_rules(n).map(|v| s.rooms = v), show: |s| rooms(&s.rooms) },
        Key { path: "tokens", form: Form::Json, set: |s, n| token_rules(n).map(|v| s.tokens = v), show: |s| tokens(&s.tokens) },
    ];
    [
        ServerSettings::KEYS,
        StoreSettings::KEYS,
        AccountSettings::KEYS,
        SITES,
        DjangoSettings::KEYS,
        LayerSettings::KEYS,
        LISTS,
        Limits::KEYS,
    ]
    .into_iter()
    .flatten()
}

pub(super) const PROXIES: &str = r#"a list of addresses, like ["127.0.0.1", "10.0.0.0/8"]"#;
pub(super) const TEXTS: &str = r#"a list of texts, like ["...", "..."]"#;
pub(super) const HOSTS: &str = r#"a list, like ["redis://127.0.0.1:6379/0"]"#;

/// Every key that can be set, `server.listen` and so on; those of a rule for rooms are under `rooms`, those of a token
/// under `tokens`.
pub fn known_keys() -> impl Iterator<Item = &'static str> {
    keys().map(|key| key.path)
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

pub(super) fn address(text: &str) -> Result<SocketAddr, Invalid> {
    text.parse().map_err(|_| Invalid(r#"an IP address and a port are needed, like "127.0.0.1:3000" or "[::]:3000""#))
}

pub(super) fn folder(node: &Node) -> Result<PathBuf, Mistakes> {
    let read = |text: &str| if text.is_empty() { Err(Invalid("the path of a folder is needed")) } else { Ok(text.into()) };
    node.parsed(read)
}

pub(super) fn prefix(text: &str) -> Result<String, Invalid> {
    let good = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    good.then(|| text.to_owned()).ok_or(Invalid("1 to 64 ASCII letters without spaces are needed"))
}

fn at_least_one<T>(node: &Node, list: Vec<T>) -> Result<Vec<T>, Mistakes> {
    if list.is_empty() { Err(node.mistake("cannot be empty: at least one is needed")) } else { Ok(list) }
}

/// How long the longest message may be: without a limit as long as any.
pub(super) fn message_bytes(node: &Node) -> Result<usize, Mistakes> {
    node.limit(LARGEST_MESSAGE as u64).map(|most| if most == 0 { LARGEST_MESSAGE } else { most })
}

pub(super) fn shown_folder(folder: &Path) -> String {
    quoted(folder.display())
}

pub(super) fn shown_hosts(hosts: &[RedisHost]) -> String {
    list(hosts.iter().map(RedisHost::toml))
}

pub(super) fn shown_capacities(capacities: &[(Pattern, usize)]) -> String {
    table(capacities.iter().map(|(pattern, capacity)| (quoted(pattern), capacity)))
}

pub(super) fn redis_hosts(node: &Node) -> Result<Vec<RedisHost>, Mistakes> {
    at_least_one(node, node.list(HOSTS, hosts::read)?)
}

pub(super) fn channel_capacity(node: &Node) -> Result<Vec<(Pattern, usize)>, Mistakes> {
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
    const NAMES: [&str; 10] =
        ["match", "history", "guests", "make", "keep_messages", "keep_days", "event_type", "text_key", "group", "protocols"];
    let fields = node.fields(r#"a table, like { match = "*", history = "store", guests = true }"#)?;
    let mut mistakes = Mistakes::default();
    let RoomRule { history: mut kept, mut guests, mut make, mut keep, .. } = RoomRule::default();
    let RoomEvents { mut event_type, mut text_key, .. } = RoomEvents::default();
    let (mut matches, mut protocols) = (None, Vec::new());
    for (name, field) in fields {
        match name.as_str() {
            "match" => matches = mistakes.keep(field.parsed(Pattern::for_rooms)),
            "history" => kept = mistakes.keep(field.parsed(str::parse)).unwrap_or(kept),
            "guests" => guests = mistakes.keep(field.truth()).unwrap_or(guests),
            "make" => make = mistakes.keep(field.parsed(str::parse)).unwrap_or(make),
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
    mistakes.or(RoomRule { matches, history: kept, guests, make, keep, events, protocols })
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
