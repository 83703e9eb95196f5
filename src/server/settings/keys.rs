//! The keys: what each reads from a value and how it prints. Each is declared once, in its [`section`]; reading the sources, naming
//! unknown keys and `confab check` go by the [list](keys) that is made of these, so a key is known everywhere.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{
    AccountSettings, DjangoSettings, LARGEST_MESSAGE, LayerSettings, Limits, RedisHost, ServerSettings, Settings,
    StoreSettings, hosts, jwt,
    mistakes::{Invalid, Mistakes},
    patterns::Pattern,
    rooms,
    show::{list, quoted, table},
    tokens,
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
        Key {
            path: "rooms",
            form: Form::Json,
            set: |s, n| rooms::rules(n).map(|v| s.rooms = v),
            show: |s| rooms::shown(&s.rooms),
        },
        Key {
            path: "tokens",
            form: Form::Json,
            set: |s, n| tokens::rules(n).map(|v| s.tokens = v),
            show: |s| tokens::shown(&s.tokens),
        },
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
    node.at_least_one(node.list(HOSTS, hosts::read)?)
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
