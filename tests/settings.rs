//! The settings: where they come from, what goes over what, and what is said about mistakes. The last part runs the
//! executable.
#![cfg(feature = "ssr")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use confab::server::settings::{
    AllowedHost, AllowedOrigin, Backend, ConfigFile, Durability, Flag, History, LARGEST_MESSAGE, Limits, Loaded, MetricsFor,
    RedisHost, SerializerFormat, SessionEngine, Settings, SignUp, Sources, StoreUrl, TokenRule, known_keys,
};

const CHECKED_IN: &str = include_str!("../Leptos.toml");

/// Loads a file named `Leptos.toml`, variables and flags; mistakes come back as they are printed.
fn load(file: &str, environment: &[(&str, &str)], flags: &[(&'static str, &'static str, &str)]) -> Result<Loaded, String> {
    let file = Some(ConfigFile { name: "Leptos.toml".to_owned(), content: file.as_bytes().to_vec() });
    let environment = environment.iter().map(|(name, value)| (name.into(), value.into())).collect();
    let flags = flags.iter().map(|(name, key, value)| Flag { name, key, value: (*value).to_owned() }).collect();
    Sources { file, environment, flags }.load().map_err(|mistakes| mistakes.to_string())
}

fn settings(file: &str) -> Settings {
    load(file, &[], &[]).unwrap().settings
}

#[test]
fn without_sources_everything_has_its_default() {
    let loaded = Sources::default().load().unwrap();
    assert_eq!(loaded.settings, Settings::default());
    assert_eq!(loaded.settings.server.listen.to_string(), "127.0.0.1:3000");
    assert_eq!(loaded.settings.limits.message_bytes, 65_536);
    assert!(known_keys().all(|key| loaded.origin(key).is_none()));
}

#[test]
fn the_checked_in_file_sets_every_key_to_its_default() {
    let loaded = load(CHECKED_IN, &[], &[]).unwrap();
    assert_eq!(loaded.settings, Settings::default());
    for key in known_keys() {
        assert!(loaded.origin(key).is_some(), "{key} is missing");
    }
    // Those of the rooms' rule, which is the default one: as it is printed it has every key, and the file has each with its default.
    let printed = loaded.effective();
    let (_, rule) = printed.split_once("[[rooms]]\n").unwrap();
    for line in rule.lines().take_while(|line| !line.is_empty()) {
        let key = line.split_once(" = ").unwrap().0;
        assert!(CHECKED_IN.lines().any(|written| written.starts_with(&format!("{key} = "))), "{key} is missing");
    }
}

/// The lines of the checked-in file that show the keys of a list's tables, as a table of these lines says.
fn shown_table(header: &str, without: &[&str]) -> String {
    let after = CHECKED_IN.lines().skip_while(|line| !line.contains(header)).skip_while(|line| !line.starts_with("#   "));
    let lines = after.map_while(|line| line.strip_prefix("#   "));
    let kept = lines.filter(|line| !without.iter().any(|key| line.starts_with(&format!("{key} = "))));
    format!("{header}\n{}\n", kept.collect::<Vec<_>>().join("\n"))
}

#[test]
fn the_checked_in_file_shows_every_key_of_tokens_and_sites_with_its_default() {
    let secret = |table: String| table.replace("\"...\"", &format!("\"{}\"", "x".repeat(40)));
    let tokens = secret(shown_table("[[tokens]]", &[]));
    let least = "[[tokens]]\nname = \"cron\"\ntoken = \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"\n";
    assert_eq!(settings(&tokens), settings(least), "\n{tokens}");
    let all = secret(shown_table("[[accounts.jwt]]", &["key_file", "jwks_file"])).replace("RS256", "HS256");
    let least =
        secret(shown_table("[[accounts.jwt]]", &["key_file", "jwks_file", "name_claim", "handle_claim", "rooms_claim"]));
    assert_eq!(settings(&all), settings(&least.replace("RS256", "HS256")), "\n{all}");
    // A key that is unknown is told with all that there are.
    for (header, all) in
        [("[[tokens]]", shown_table("[[tokens]]", &[])), ("[[accounts.jwt]]", shown_table("[[accounts.jwt]]", &[]))]
    {
        let mistakes = load(&format!("{header}\ncolour = 1\n"), &[], &[]).err().unwrap();
        let (_, keys) = mistakes.lines().find_map(|line| line.split_once(" has ")).unwrap();
        let shown = all.lines().skip(1).map(|line| line.split_once(" = ").unwrap().0);
        assert_eq!(keys.split(", ").collect::<Vec<_>>(), shown.collect::<Vec<_>>(), "{header}");
    }
}

#[test]
fn later_sources_go_over_earlier_ones() {
    let file = "[server]\nlisten = \"127.0.0.1:1\"\ndata = \"from-file\"\n";
    let variables = [("CONFAB_SERVER__LISTEN", "127.0.0.1:2"), ("PATH", "/bin")];
    let flags = [("--listen", "server.listen", "127.0.0.1:3")];
    for (loaded, port, origin) in [
        (Sources::default().load().unwrap(), 3000, None),
        (load(file, &[], &[]).unwrap(), 1, Some("Leptos.toml:2")),
        (load(file, &variables, &[]).unwrap(), 2, Some("CONFAB_SERVER__LISTEN")),
        (load(file, &variables, &flags).unwrap(), 3, Some("--listen")),
        (load(file, &[], &flags).unwrap(), 3, Some("--listen")),
    ] {
        assert_eq!(loaded.settings.server.listen.port(), port);
        assert_eq!(loaded.origin("server.listen").map(ToString::to_string).as_deref(), origin);
    }
    let all = load(file, &variables, &flags).unwrap();
    assert_eq!(all.settings.server.data, PathBuf::from("from-file"), "what later sources do not set stays");
}

#[allow(clippy::too_many_lines, reason = "a line for each key")]
#[test]
fn every_key_is_read_from_a_file() {
    let settings = settings(
        r#"
        [server]
        listen = "[::]:80"
        data = "/var/lib/confab"
        allowed_origins = ["https://Example.org:443", "*"]
        trusted_proxies = ["10.0.0.1", "10.1.2.3/16", "::1", "2001:db8::/32", "::ffff:192.0.2.1", "::ffff:192.0.2.0/120"]
        metrics = "everyone"
        deflate = false
        drain_seconds = 60
        [store]
        url = "sqlite"
        durability = "process"
        [accounts]
        sign_up = "open"
        session_days = 7
        second_factor_for_administrators = true
        [channel_layers.default]
        backend = "channels_redis.core"
        hosts = ["redis://a", "rediss://:pw@b:6380/1"]
        prefix = "chat:"
        capacity = 7
        channel_capacity = { "z*" = 1, "a?" = 2 }
        expiry = 5
        group_expiry = 6
        symmetric_encryption_keys = ["new", "old"]
        serializer_format = "json"
        random_prefix_length = 0
        [[rooms]]
        group = "chat.{group}"
        match = "team-*"
        guests = false
        keep_messages = 5000
        keep_days = 0
        event_type = "room_said"
        text_key = "body"
        [[rooms]]
        match = "*"
        history = "none"
        [[tokens]]
        name = "cron"
        token = "0123456789abcdef"
        [[tokens]]
        name = "Zoë's shop"
        token = "A-z.0_9~+/======"
        groups = ["orders-*", "lobby"]
        channels = true
        [limits]
        message_bytes = 1
        connections_per_address = 2
        messages_per_second = 3
        backlog_bytes = 4
        connections_per_account = 5
        requests_per_second = 6
        messages_per_second_per_account = 7
        bytes_per_second = 8
        bytes_per_second_per_account = 11
        bytes_per_second_per_address = 12
        topics_per_connection = 9
        "#,
    );
    assert_eq!(settings.server.listen.to_string(), "[::]:80");
    assert_eq!(settings.server.data, PathBuf::from("/var/lib/confab"));
    assert_eq!(
        settings.server.allowed_origins,
        [AllowedOrigin::Only("https://example.org".parse().unwrap()), AllowedOrigin::Any]
    );
    let proxies: Vec<_> = settings.server.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(proxies, ["10.0.0.1", "10.1.0.0/16", "::1", "2001:db8::/32", "192.0.2.1", "192.0.2.0/24"]);
    assert_eq!(settings.server.metrics, MetricsFor::Everyone);
    assert!(!settings.server.deflate);
    assert_eq!(settings.server.drain, Duration::from_mins(1));
    assert_eq!((settings.store.url, settings.store.durability), (StoreUrl::Sqlite, Durability::Process));
    assert!(settings.accounts.second_factor_for_administrators);
    assert_eq!((settings.accounts.sign_up, settings.accounts.session), (SignUp::Open, Duration::from_hours(7 * 24)));
    let layer = &settings.channel_layers.default;
    assert_eq!(layer.backend, Backend::RedisCore);
    assert_eq!(layer.hosts, ["redis://a", "rediss://:pw@b:6380/1"].map(|url| RedisHost::Server(url.parse().unwrap())));
    assert_eq!((layer.serializer_format, layer.random_prefix_length), (SerializerFormat::Json, 0));
    assert_eq!((layer.prefix.as_str(), layer.capacity), ("chat:", 7));
    let capacities: Vec<_> =
        layer.channel_capacity.iter().map(|(pattern, capacity)| (pattern.to_string(), *capacity)).collect();
    assert_eq!(capacities, [("z*".to_owned(), 1), ("a?".to_owned(), 2)], "in the order of the file");
    assert_eq!((layer.expiry, layer.group_expiry), (Duration::from_secs(5), Duration::from_secs(6)));
    assert_eq!(layer.symmetric_encryption_keys, ["new".parse().unwrap(), "old".parse().unwrap()]);
    let rooms: Vec<_> = settings.rooms.iter().map(|rule| (rule.matches.to_string(), rule.history, rule.guests)).collect();
    assert_eq!(rooms, [("team-*".to_owned(), History::Store, false), ("*".to_owned(), History::None, true)]);
    let events = &settings.rooms[0].events;
    assert_eq!((events.event_type.as_str(), events.text_key.as_str()), ("room_said", "body"));
    assert_eq!((events.group.to_string().as_str(), events.group.group_of("team-a").as_str()), ("chat.{group}", "chat.team-a"));
    let default = &settings.rooms[1].events;
    assert_eq!((default.event_type.as_str(), default.text_key.as_str()), ("chat.message", "message"));
    assert_eq!(default.group.group_of("lobby"), "lobby");
    let [cron, shop] = &settings.tokens[..] else { panic!("two tokens") };
    assert_eq!((cron.name.as_str(), cron.channels, shop.name.as_str(), shop.channels), ("cron", false, "Zoë's shop", true));
    let patterns = |rule: &TokenRule| rule.groups.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!((patterns(cron), patterns(shop)), (vec!["*".to_owned()], vec!["orders-*".to_owned(), "lobby".to_owned()]));
    assert_eq!((&cron.token, &shop.token), (&"0123456789abcdef".parse().unwrap(), &"A-z.0_9~+/======".parse().unwrap()));
    let limits = &settings.limits;
    assert_eq!(limits.message_bytes, 1);
    assert_eq!(limits.connections_per_address.map(u32::from), Some(2));
    assert_eq!(limits.messages_per_second.map(u32::from), Some(3));
    assert_eq!(limits.backlog_bytes.map(usize::from), Some(4));
    assert_eq!(limits.connections_per_account.map(u32::from), Some(5));
    assert_eq!(limits.requests_per_second.map(u32::from), Some(6));
    assert_eq!(limits.messages_per_second_per_account.map(u32::from), Some(7));
    assert_eq!(limits.bytes_per_second.map(u32::from), Some(8));
    assert_eq!(limits.bytes_per_second_per_account.map(u32::from), Some(11));
    assert_eq!(limits.bytes_per_second_per_address.map(u32::from), Some(12));
    assert_eq!(limits.topics_per_connection.map(usize::from), Some(9));
}

#[test]
fn variables_write_texts_and_numbers_plainly_and_the_rest_as_json() {
    let loaded = load(
        "[limits]\nbacklog_bytes = 9\n",
        &[
            ("CONFAB_STORE__DURABILITY", "process"),
            ("CONFAB_ACCOUNTS__SESSION_DAYS", "1"),
            ("CONFAB_LIMITS__MESSAGE_BYTES", "5"),
            ("CONFAB_LIMITS", r#"{"message_bytes": 4, "messages_per_second": 6}"#),
            ("CONFAB_SERVER__ALLOWED_ORIGINS", r#"["http://a"]"#),
            ("CONFAB_SERVER__DEFLATE", "false"),
            ("CONFAB_CHANNEL_LAYERS__DEFAULT__CHANNEL_CAPACITY", r#"{"z*": 1, "a*": 2}"#),
            ("CONFAB_ROOMS", r#"[{"match": "x", "guests": false}]"#),
            ("CONFAB_TOKENS", r#"[{"name": "cron", "token": "0123456789abcdef"}]"#),
            ("CONFAB_TOKEN", "of whoever sends"),
            ("CONFAB_LOG", "debug"),
            ("CONFAB_LOG_FORMAT", "json"),
        ],
        &[],
    )
    .unwrap();
    let Settings { server, store, accounts, channel_layers, rooms, tokens, limits, .. } = &loaded.settings;
    assert_eq!(store.durability, Durability::Process);
    assert_eq!(accounts.session, Duration::from_hours(24));
    assert_eq!(limits.message_bytes, 5, "the key's own variable goes over that of its section");
    assert_eq!(limits.messages_per_second.map(u32::from), Some(6));
    assert_eq!(limits.backlog_bytes.map(usize::from), Some(9), "a section's variable leaves alone what it does not name");
    assert_eq!(server.allowed_origins, [AllowedOrigin::Only("http://a".parse().unwrap())]);
    assert!(!server.deflate);
    let first = channel_layers.default.channel_capacity.first().map(|(pattern, _)| pattern.to_string());
    assert_eq!(first.as_deref(), Some("z*"));
    assert_eq!((rooms.len(), rooms[0].guests), (1, false), "the default rule is replaced");
    assert_eq!(tokens.len(), 1);
}

#[test]
fn zero_is_no_limit_up_to_the_largest_message() {
    let keys = known_keys().filter_map(|key| key.strip_prefix("limits."));
    let zeros: Vec<String> = keys.map(|key| format!("{key} = 0")).collect();
    let none = Limits {
        message_bytes: LARGEST_MESSAGE,
        connections_per_address: None,
        connections_per_account: None,
        requests_per_second: None,
        messages_per_second: None,
        messages_per_second_per_account: None,
        bytes_per_second: None,
        bytes_per_second_per_account: None,
        bytes_per_second_per_address: None,
        topics_per_connection: None,
        backlog_bytes: None,
    };
    assert_eq!(settings(&format!("[limits]\n{}\n", zeros.join("\n"))).limits, none);
}

#[test]
fn the_first_rule_that_matches_holds_for_a_room() {
    let settings = settings(
        "[[rooms]]\nmatch = \"team-*\"\nhistory = \"memory\"\n[[rooms]]\nmatch = \"team-a\"\n[[rooms]]\nmatch = \"lobby\"\nguests = false\n",
    );
    let rule = |name: &str| settings.room(&name.parse().unwrap()).map(|rule| (rule.history, rule.guests));
    assert_eq!(rule("team-a"), Some((History::Memory, true)));
    assert_eq!(rule("lobby"), Some((History::Store, false)));
    assert_eq!(rule("other"), None);
}

/// Asserts what is said about a file.
fn says(file: &str, expected: &str) {
    assert_eq!(load(file, &[], &[]).err().as_deref(), Some(expected), "\n{file}");
}

#[test]
fn unknown_keys_are_named_with_what_may_be_meant() {
    for (file, expected) in [
        (
            "\n\n[limits]\nmessage_byte = 1\n",
            "Leptos.toml:4: limits.message_byte is not a setting; did you mean limits.message_bytes?",
        ),
        ("[limit]\nmessage_bytes = 1\n", "Leptos.toml:1: limit is not a setting; did you mean limits?"),
        ("listen = \"a\"\n", "Leptos.toml:1: listen is not a setting; did you mean server.listen?"),
        (
            "[server]\ndurability = \"power\"\n",
            "Leptos.toml:2: server.durability is not a setting; did you mean store.durability?",
        ),
        ("[store]\ncolour = 1\n", "Leptos.toml:2: store.colour is not a setting; store has url, durability"),
        (
            "colour = 1\n",
            "Leptos.toml:1: colour is not a setting; the file has server, store, accounts, channel_layers, rooms, tokens, limits",
        ),
        (
            "[channel_layers.events]\nbackend = \"memory\"\n",
            "Leptos.toml:1: channel_layers.events is not a setting; channel_layers has default",
        ),
        (
            "[[rooms]]\nmatch = \"*\"\nhistry = \"none\"\n",
            "Leptos.toml:3: rooms[0].histry is not a setting; did you mean rooms[0].history?",
        ),
        (
            "[[rooms]]\nmatch = \"*\"\ncolour = \"red\"\n",
            "Leptos.toml:3: rooms[0].colour is not a setting; rooms[0] has match, history, guests, make, keep_messages, keep_days, event_type, text_key, group, protocols",
        ),
        (
            "\"a\\nb\" = 1\n",
            r#"Leptos.toml:1: "a\nb" is not a setting; the file has server, store, accounts, channel_layers, rooms, tokens, limits"#,
        ),
        ("[store]\n\"a.b\" = 1\n", r#"Leptos.toml:2: store."a.b" is not a setting; store has url, durability"#),
        ("\"server.listen\" = 1\n", r#"Leptos.toml:1: "server.listen" is not a setting; did you mean server.listen?"#),
    ] {
        says(file, expected);
    }
}

#[test]
fn bad_values_are_named_with_what_would_be_right() {
    const PROXY: &str =
        r#"the IP address of a proxy, or a network of proxies, is needed, like "127.0.0.1", "10.0.0.0/8" or "2001:db8::/32""#;
    const HOST: &str = r#"the name of a host is needed as browsers send it, without scheme and port, like "chat.example.org" or "xn--bcher-kva.example"; "*" lets in all"#;
    const ORIGIN: &str = r#"an origin is a page's scheme, host and port and nothing else, like "https://chat.example.org" or "http://localhost:8080"; "*" allows all"#;
    for (file, expected) in [
        (
            "[server]\nlisten = \"localhost\"\n",
            r#"Leptos.toml:2: server.listen cannot be "localhost": an IP address and a port are needed, like "127.0.0.1:3000" or "[::]:3000""#.to_owned(),
        ),
        ("[server]\nlisten = 3000\n", "Leptos.toml:2: server.listen must be a text in quotes, not a number".to_owned()),
        ("[server]\ndata = \"\"\n", r#"Leptos.toml:2: server.data cannot be "": the path of a folder is needed"#.to_owned()),
        ("[server]\ndeflate = 1\n", "Leptos.toml:2: server.deflate must be true or false, not a number".to_owned()),
        (
            "[server]\nmetrics = \"all\"\n",
            r#"Leptos.toml:2: server.metrics cannot be "all": "loopback", "everyone" or "off" is needed"#.to_owned(),
        ),
        (
            "[server]\nallowed_origins = \"*\"\n",
            r#"Leptos.toml:2: server.allowed_origins must be a list of texts, like ["...", "..."], not a text"#.to_owned(),
        ),
        (
            "[server]\nallowed_origins = [\n  \"https://a\",\n  \"https://b/\",\n]\n",
            format!(r#"Leptos.toml:4: server.allowed_origins[1] cannot be "https://b/": {ORIGIN}"#),
        ),
        (
            "[server]\nhosts = [\"https://chat.example\", \"chat.example:3000\"]\n",
            format!("Leptos.toml:2: server.hosts[0] cannot be \"https://chat.example\": {HOST}\nLeptos.toml:2: server.hosts[1] cannot be \"chat.example:3000\": {HOST}"),
        ),
        (
            "[server]\ntrusted_proxies = \"10.0.0.1\"\n",
            r#"Leptos.toml:2: server.trusted_proxies must be a list of addresses, like ["127.0.0.1", "10.0.0.0/8"], not a text"#.to_owned(),
        ),
        (
            "[server]\ntrusted_proxies = [\n  \"10.0.0.1\",\n  \"10.0.0.0/33\",\n  \"proxy.example\",\n  \"10.0.0.1:80\",\n]\n",
            format!(
                "Leptos.toml:4: server.trusted_proxies[1] cannot be \"10.0.0.0/33\": {PROXY}\n\
                 Leptos.toml:5: server.trusted_proxies[2] cannot be \"proxy.example\": {PROXY}\n\
                 Leptos.toml:6: server.trusted_proxies[3] cannot be \"10.0.0.1:80\": {PROXY}"
            ),
        ),
        ("[store]\nurl = \"mysql\"\n", r#"Leptos.toml:2: store.url cannot be "mysql": "sqlite" or "postgres://user:password@host:port/database" is needed"#.to_owned()),
        (
            "[store]\nurl = \"postgres://db/confab\"\n",
            r#"Leptos.toml:2: store.url cannot be "postgres://db/confab": a user is missing; "sqlite" or "postgres://user:password@host:port/database" is needed"#.to_owned(),
        ),
        (
            "[store]\ndurability = \"disk\"\n",
            r#"Leptos.toml:2: store.durability cannot be "disk": "power" or "process" is needed"#.to_owned(),
        ),
        (
            "[limits]\nmessage_bytes = 67108865\n",
            "Leptos.toml:2: limits.message_bytes cannot be 67108865: a whole number from 0 (no limit) to 67108864 is needed".to_owned(),
        ),
        (
            "[limits]\nmessages_per_second = -1\n",
            "Leptos.toml:2: limits.messages_per_second cannot be -1: a whole number from 0 (no limit) to 4294967295 is needed".to_owned(),
        ),
        (
            "[limits]\nbacklog_bytes = \"1 MiB\"\n",
            r#"Leptos.toml:2: limits.backlog_bytes cannot be "1 MiB": a whole number from 0 (no limit) to 4294967295 is needed"#.to_owned(),
        ),
        ("limits = 5\n", "Leptos.toml:1: limits must be a table, not a number".to_owned()),
        ("[server]\nlisten = \n", "Leptos.toml:2: this is not TOML: string values must be quoted, expected literal string".to_owned()),
        ("[server]\n[server]\n", "Leptos.toml:2: this is not TOML: duplicate key".to_owned()),
    ] {
        says(file, &expected);
    }
}

#[test]
fn bad_layers_and_rules_are_named_with_what_would_be_right() {
    const REDIS: &str = r#"a Redis address is redis://, rediss:// (TLS) or unix:// with a host, a port and the number of a database, like "redis://127.0.0.1:6379/0""#;
    const CHANNEL: &str = "a channel pattern is made of A-Z a-z 0-9 _ - . ! with * for any letters and ? for any one";
    for (file, expected) in [
        (
            "[channel_layers.default]\nbackend = \"kafka\"\n",
            r#"Leptos.toml:2: channel_layers.default.backend cannot be "kafka": "memory", "channels_redis.core" or "channels_redis.pubsub" is needed"#.to_owned(),
        ),
        (
            "[channel_layers.default]\nhosts = []\n",
            "Leptos.toml:2: channel_layers.default.hosts cannot be empty: at least one is needed".to_owned(),
        ),
        (
            "[channel_layers.default]\nhosts = [\"http://a\"]\n",
            format!(r#"Leptos.toml:2: channel_layers.default.hosts[0] cannot be "http://a": {REDIS}"#),
        ),
        (
            "[channel_layers.default]\nprefix = \"a b\"\n",
            r#"Leptos.toml:2: channel_layers.default.prefix cannot be "a b": 1 to 64 ASCII letters without spaces are needed"#.to_owned(),
        ),
        (
            "[channel_layers.default]\ncapacity = 0\n",
            "Leptos.toml:2: channel_layers.default.capacity cannot be 0: a whole number from 1 to 4294967295 is needed".to_owned(),
        ),
        (
            "[channel_layers.default]\nexpiry = 1.5\n",
            "Leptos.toml:2: channel_layers.default.expiry cannot be a fraction: a whole number from 1 to 31622400 is needed".to_owned(),
        ),
        (
            "[channel_layers.default.channel_capacity]\n\"a b\" = 1\n",
            format!(r#"Leptos.toml:2: channel_layers.default.channel_capacity."a b" is no pattern: {CHANNEL}"#),
        ),
        (
            "[channel_layers.default]\nsymmetric_encryption_keys = [\"\"]\n",
            r#"Leptos.toml:2: channel_layers.default.symmetric_encryption_keys[0] cannot be "": at least one letter is needed"#.to_owned(),
        ),
        ("rooms = []\n", "Leptos.toml:1: rooms cannot be empty: at least one is needed".to_owned()),
        (
            "[rooms]\nmatch = \"*\"\n",
            "Leptos.toml:1: rooms must be a list of tables, each begun with [[rooms]], not a table".to_owned(),
        ),
        (
            "[[rooms]]\nguests = true\n",
            r#"Leptos.toml:1: rooms[0] needs a match, the pattern of the rooms it is for, like match = "*""#.to_owned(),
        ),
        (
            "[[rooms]]\nmatch = \"a/b\"\n",
            r#"Leptos.toml:2: rooms[0].match cannot be "a/b": a room pattern is made of A-Z a-z 0-9 _ - with * for any letters and ? for any one"#.to_owned(),
        ),
        (
            "[[rooms]]\nmatch = \"*\"\nhistory = \"disk\"\n",
            r#"Leptos.toml:3: rooms[0].history cannot be "disk": "store", "memory" or "none" is needed"#.to_owned(),
        ),
        (
            "[[rooms]]\nmatch = \"*\"\nguests = \"no\"\n",
            "Leptos.toml:3: rooms[0].guests must be true or false, not a text".to_owned(),
        ),
        (
            "[[rooms]]\nmatch = \"*\"\nkeep_days = -1\n",
            "Leptos.toml:3: rooms[0].keep_days cannot be -1: a whole number from 0 (no limit) to 365250 is needed".to_owned(),
        ),
        (
            "[[rooms]]\nmatch = \"*\"\n[[rooms]]\nmatch = \"team-*\"\nguests = false\n",
            "Leptos.toml:1: rooms[0] matches every room, so the rules after it are never used: put it last".to_owned(),
        ),
    ] {
        says(file, &expected);
    }
}

#[test]
fn backends_have_the_names_of_the_python_packages_too() {
    for (name, backend, printed) in [
        ("memory", Backend::Memory, "memory"),
        ("channels.layers.InMemoryChannelLayer", Backend::Memory, "memory"),
        ("channels_redis.core", Backend::RedisCore, "channels_redis.core"),
        ("channels_redis.core.RedisChannelLayer", Backend::RedisCore, "channels_redis.core"),
        ("channels_redis.pubsub", Backend::RedisPubSub, "channels_redis.pubsub"),
        ("channels_redis.pubsub.RedisPubSubChannelLayer", Backend::RedisPubSub, "channels_redis.pubsub"),
    ] {
        let found = settings(&format!("[channel_layers.default]\nbackend = \"{name}\"\n")).channel_layers.default.backend;
        assert_eq!((found, found.to_string().as_str()), (backend, printed), "{name}");
    }
}

#[test]
fn bad_hosts_are_named_with_what_would_be_right() {
    const KEYS: &str =
        "address, host, port, db, username, password, ssl, ssl_cert_reqs, sentinels, master_name, sentinel_kwargs";
    const WHICH: &str = " needs either an address, or host and perhaps port, or sentinels and master_name";
    const PLACE: &str = r#" must be an address like "redis://127.0.0.1:6379/0" or a pair like ["127.0.0.1", 6379], not "#;
    for (host, expected) in [
        ("1", format!("{PLACE}a number")),
        (r#"["h"]"#, format!("{PLACE}a list")),
        (r#"["h", 1, 2]"#, format!("{PLACE}a list")),
        (r#"["a b", 1]"#, r#"[0] cannot be "a b": the name or the address of a machine is needed, like "127.0.0.1""#.to_owned()),
        (r#"["h", 65536]"#, "[1] cannot be 65536: a whole number from 1 to 65535 is needed".to_owned()),
        ("{}", WHICH.to_owned()),
        ("{ port = 1 }", WHICH.to_owned()),
        (r#"{ address = "redis://h", host = "h" }"#, WHICH.to_owned()),
        (r#"{ address = "redis://h", port = 1 }"#, WHICH.to_owned()),
        (r#"{ address = "redis://h", master_name = "m" }"#, WHICH.to_owned()),
        (r#"{ host = "h", sentinel_kwargs = {} }"#, WHICH.to_owned()),
        (r#"{ sentinels = [["h", 1]] }"#, WHICH.to_owned()),
        (r#"{ master_name = "m" }"#, WHICH.to_owned()),
        (r#"{ sentinels = [], master_name = "m" }"#, ".sentinels cannot be empty: at least one is needed".to_owned()),
        (
            r#"{ sentinels = ["unix:///a"], master_name = "m" }"#,
            r#".sentinels[0] must be a sentinel's host and port, like ["127.0.0.1", 26379]"#.to_owned(),
        ),
        (r#"{ address = "unix:///a", ssl = true }"#, " has ssl = true, which a unix socket has not".to_owned()),
        (r#"{ host = "h", db = -1 }"#, ".db cannot be -1: a whole number from 0 to 2147483647 is needed".to_owned()),
        (r#"{ host = "h", password = "" }"#, ".password cannot be what it is: at least one letter is needed".to_owned()),
        (r#"{ host = "h", colour = 1 }"#, format!(".colour is not a setting; channel_layers.default.hosts[0] has {KEYS}")),
        (
            r#"{ sentinels = [["h", 1]], master_name = "m", sentinel_kwargs = { colour = 1 } }"#,
            ".sentinel_kwargs.colour is not a setting; channel_layers.default.hosts[0].sentinel_kwargs has username, password, ssl, ssl_cert_reqs".to_owned(),
        ),
        (r#""redis://h?colour=1""#, r#" cannot be "redis://h?colour=1": the options of a Redis address are db, username and password"#.to_owned()),
        (
            r#"{ host = "h", ssl_cert_reqs = "none" }"#,
            r#".ssl_cert_reqs cannot be "none": only "required" is possible: put the authority of a certificate of your own among the system's, or name its file in the variable SSL_CERT_FILE"#.to_owned(),
        ),
    ] {
        let file = format!("[channel_layers.default]\nhosts = [{host}]\n");
        says(&file, &format!("Leptos.toml:2: channel_layers.default.hosts[0]{expected}"));
    }
    says(
        "[channel_layers.default]\nserializer_format = \"yaml\"\nrandom_prefix_length = 65\n",
        "Leptos.toml:2: channel_layers.default.serializer_format cannot be \"yaml\": \"msgpack\" or \"json\" is needed\n\
         Leptos.toml:3: channel_layers.default.random_prefix_length cannot be 65: a whole number from 0 to 64 is needed",
    );
}

#[test]
fn hosts_may_be_written_in_a_variable() {
    let hosts = r#"["redis://a", ["b", 1], {"sentinels": [["c", 2]], "master_name": "m"}]"#;
    let loaded = load("", &[("CONFAB_CHANNEL_LAYERS__DEFAULT__HOSTS", hosts)], &[]).unwrap();
    let shown = r#"hosts = ["redis://a:6379/0", "redis://b:1/0", { sentinels = ["redis://c:2"], master_name = "m", db = 0, ssl = false }]  # from CONFAB_CHANNEL_LAYERS__DEFAULT__HOSTS"#;
    assert!(loaded.effective().lines().any(|line| line == shown), "{}", loaded.effective());
}

#[test]
fn bad_events_of_rooms_are_named_with_what_would_be_right() {
    const TYPE: &str = "an event type is 1 to 100 of A-Z a-z 0-9 _ . and begins with a letter or a digit, like chat.message";
    const GROUP: &str = "a group is made of A-Z a-z 0-9 - _ . with {group} once for the room's name, like chat_{group}";
    for (key, value, expected) in [
        ("event_type", "_private", TYPE),
        ("event_type", "chat message", TYPE),
        ("event_type", "confab.chat", "types that begin with confab. are the server's own"),
        ("text_key", "from", "that key has another meaning in a message"),
        ("text_key", "msg.text", "a key is 1 to 64 of A-Z a-z 0-9 _ -, like message"),
        ("group", "chat_%s", GROUP),
        ("group", "{group}{group}", GROUP),
        ("group", "coins", "without {group} several rooms would have one group: write it where the room's name belongs"),
        (
            "group",
            "an-application-with-a-rather-long-name-{group}",
            "a group has at most 99 letters, of which the room's name may be 64",
        ),
        ("group", "confab.{group}", "groups that begin with confab. are the server's own"),
    ] {
        // The pattern may stand after what depends on it.
        let file = format!("[[rooms]]\n{key} = \"{value}\"\nmatch = \"*\"\n");
        says(&file, &format!("Leptos.toml:2: rooms[0].{key} cannot be \"{value}\": {expected}"));
    }
    says(
        "[[rooms]]\nmatch = \"lobby\"\ngroup = \"chat_lobby\"\n[[rooms]]\nmatch = \"*\"\n",
        "Leptos.toml:4: rooms[1] may give a room the group of another room, of rooms[0], and each would hear the other: give both the same group, or one of them a dot, which no room's name has",
    );
    let same = "[[rooms]]\nmatch = \"lobby\"\nguests = false\ngroup = \"chat_{group}\"\n[[rooms]]\nmatch = \"*\"\ngroup = \"chat_{group}\"\n";
    assert_eq!(settings(same).rooms.len(), 2);
}

#[test]
fn bad_tokens_are_named_with_what_would_be_right_and_without_the_secret() {
    const LETTERS: &str = "at least 16 of A-Z a-z 0-9 - . _ ~ + / = are needed, such as `openssl rand -hex 32` prints";
    let good = "[[tokens]]\nname = \"a\"\ntoken = \"0123456789abcdef\"\n";
    for (file, expected) in [
        (
            "[[tokens]]\ntoken = \"0123456789abcdef\"\n".to_owned(),
            r#"Leptos.toml:1: tokens[0] needs a name, who the program speaks as, like name = "cron""#.to_owned(),
        ),
        (
            "[[tokens]]\nname = \"a\"\n".to_owned(),
            "Leptos.toml:1: tokens[0] needs a token, the secret that the program sends".to_owned(),
        ),
        (
            "[[tokens]]\nname = \" a\"\ntoken = \"0123456789abcdef\"\n".to_owned(),
            r#"Leptos.toml:2: tokens[0].name cannot be " a": a name of 1 to 40 characters is needed, without spaces around it, double spaces, or characters that nobody sees"#.to_owned(),
        ),
        (
            "[[tokens]]\nname = \"a\"\ntoken = \"0123456789hush!\"\n".to_owned(),
            format!("Leptos.toml:3: tokens[0].token cannot be what it is: {LETTERS}"),
        ),
        (
            "[[tokens]]\nname = \"a\"\ntoken = \"0123456789 hush hush\"\n".to_owned(),
            format!("Leptos.toml:3: tokens[0].token cannot be what it is: {LETTERS}"),
        ),
        (
            "[[tokens]]\nname = \"a\"\ntoken = 1\n".to_owned(),
            "Leptos.toml:3: tokens[0].token must be a text in quotes, not a number".to_owned(),
        ),
        (
            format!("{good}groups = [\"a/b\"]\n"),
            r#"Leptos.toml:4: tokens[0].groups[0] cannot be "a/b": a room pattern is made of A-Z a-z 0-9 _ - with * for any letters and ? for any one"#.to_owned(),
        ),
        (
            format!("{good}groups = []\n"),
            r#"Leptos.toml:1: tokens[0] may send nowhere: it needs groups, like groups = ["*"], or channels = true"#.to_owned(),
        ),
        (format!("{good}channels = 1\n"), "Leptos.toml:4: tokens[0].channels must be true or false, not a number".to_owned()),
        (
            format!("{good}group = [\"a\"]\n"),
            "Leptos.toml:4: tokens[0].group is not a setting; did you mean tokens[0].groups?".to_owned(),
        ),
        (
            format!("{good}colour = 1\n"),
            "Leptos.toml:4: tokens[0].colour is not a setting; tokens[0] has name, token, groups, channels".to_owned(),
        ),
        (format!("{good}{good}"), "Leptos.toml:4: tokens[1] has the token of tokens[0]: give each its own".to_owned()),
        (
            "[tokens]\nname = \"a\"\n".to_owned(),
            "Leptos.toml:1: tokens must be a list of tables, each begun with [[tokens]], not a table".to_owned(),
        ),
    ] {
        says(&file, &expected);
    }
}

#[test]
fn tokens_are_printed_masked_and_what_is_printed_is_no_token() {
    let file = "[[tokens]]\nname = \"cron\"\ntoken = \"hush-hush-hush-hush\"\ngroups = [\"a-*\"]\nchannels = true\n";
    let loaded = load(file, &[], &[]).unwrap();
    let effective = loaded.effective();
    for text in [&effective, &format!("{loaded:?}"), &format!("{:#?}", loaded.settings)] {
        assert!(!text.contains("hush") && text.contains("***"), "{text}");
    }
    let shown = "\n# from Leptos.toml:1\n[[tokens]]\nname = \"cron\"\ntoken = \"***\"\ngroups = [\"a-*\"]\nchannels = true\n\n[limits]\n";
    assert!(effective.contains(shown), "{effective}");
    let mistakes = load(&effective, &[], &[]).err().unwrap();
    assert!(mistakes.contains("tokens[0].token cannot be what it is") && mistakes.lines().count() == 1, "{mistakes}");
    assert!(
        load(&effective.replace("***", "hush-hush-hush-hush"), &[], &[]).is_ok_and(|again| again.settings == loaded.settings)
    );
}

#[test]
fn a_file_that_is_not_utf8_is_refused() {
    let file = Some(ConfigFile { name: "Leptos.toml".to_owned(), content: b"[server]\ndata = \"\xff\"\n".to_vec() });
    let mistakes = Sources { file, ..Sources::default() }.load().unwrap_err();
    assert_eq!(mistakes.to_string(), "Leptos.toml:2: this is not UTF-8");
}

#[test]
fn mistakes_in_variables_are_named() {
    for (name, value, expected) in [
        ("CONFAB_SERVER_LISTEN", "1", "CONFAB_SERVER_LISTEN: this is not a setting; did you mean CONFAB_SERVER__LISTEN?"),
        ("CONFAB_LISTEN", "1", "CONFAB_LISTEN: this is not a setting; did you mean CONFAB_SERVER__LISTEN?"),
        ("CONFAB_LOGFORMAT", "1", "CONFAB_LOGFORMAT: this is not a setting; did you mean CONFAB_LOG_FORMAT?"),
        (
            "CONFAB_COLOUR",
            "1",
            "CONFAB_COLOUR: this is not a setting; the variable of a key is CONFAB_ and the key in capitals with two underscores for the dot, like CONFAB_SERVER__LISTEN",
        ),
        (
            "CONFAB_LIMITS__BACKLOG_BYTES",
            "many",
            r#"CONFAB_LIMITS__BACKLOG_BYTES: limits.backlog_bytes cannot be "many": a whole number from 0 (no limit) to 4294967295 is needed"#,
        ),
        (
            "CONFAB_SERVER__ALLOWED_ORIGINS",
            "http://a",
            r#"CONFAB_SERVER__ALLOWED_ORIGINS: server.allowed_origins is not JSON: expected value at line 1 column 1; a list is written ["a", "b"], a table {"name": "value"}"#,
        ),
        ("CONFAB_SERVER__DEFLATE", "off", "CONFAB_SERVER__DEFLATE: server.deflate must be true or false, not a text"),
        ("CONFAB_STORE", r#"{"x": 1}"#, "CONFAB_STORE: store.x is not a setting; store has url, durability"),
        ("CONFAB_STORE", "[]", "CONFAB_STORE: store must be a table, not a list"),
        (
            "CONFAB_ROOMS",
            r#"[{"match": "*", "guests": null}]"#,
            "CONFAB_ROOMS: rooms[0].guests must be true or false, not null",
        ),
    ] {
        assert_eq!(load("", &[(name, value)], &[]).err().as_deref(), Some(expected));
    }
}

#[test]
fn all_mistakes_of_all_sources_are_told_at_once() {
    let file =
        "[store]\nurl = 1\n[server]\nlisten = \"a\"\nallowed_origins = [\"b\", 2]\n[[rooms]]\nmatch = 3\nguests = 4\nx = 5\n";
    let variables = [("CONFAB_SERVER__DATA", ""), ("CONFAB_SERVER__LISTEN", "127.0.0.1:1")];
    let mistakes = load(file, &variables, &[("--listen", "server.listen", "c")]).err().unwrap();
    let places: Vec<_> = mistakes.lines().map(|line| line.split_once(": ").unwrap().0).collect();
    let of_file = ["2", "4", "5", "5", "7", "8", "9"].map(|line| format!("Leptos.toml:{line}"));
    let expected: Vec<&str> = of_file.iter().map(String::as_str).chain(["CONFAB_SERVER__DATA", "--listen"]).collect();
    assert_eq!(places, expected, "\n{mistakes}");
}

/// Settings with a secret in each place that can have one, all of them the word `hush`.
const SECRETS: &str = r#"
    [accounts.django]
    secret_key = "hush"
    secret_key_fallbacks = ["hush", "hush"]
    database = "postgres://me:hush@db/site"
    cache = "redis://:hush@cache:6379/1"
    [channel_layers.default]
    hosts = [
        "redis://me:hush@a:6379/0", "redis://:hush@b", "redis://hush@c", "redis://d?password=hush&db=1", "unix://:hush@/e",
        { address = "redis://f", password = "hush" }, { host = "g", username = "me", password = "hush" },
        { sentinels = [["h", 1]], master_name = "m", username = "me", password = "hush", sentinel_kwargs = { password = "hush" } },
    ]
    symmetric_encryption_keys = ["hush", "hush"]
"#;

#[test]
fn secrets_are_printed_nowhere() {
    let loaded = load(SECRETS, &[], &[]).unwrap();
    let effective = loaded.effective();
    for text in [&effective, &format!("{loaded:?}"), &format!("{:#?}", loaded.settings)] {
        assert!(!text.contains("hush") && text.contains("***"), "{text}");
    }
    let shown = |line: &str| assert!(effective.lines().any(|other| other == line), "{line}\nin\n{effective}");
    shown(
        r#"hosts = ["redis://me:***@a:6379/0", "redis://:***@b:6379/0", "redis://***@c:6379/0", "redis://:***@d:6379/1", "unix://:***@/e?db=0", "redis://:***@f:6379/0", "redis://me:***@g:6379/0", { sentinels = ["redis://:***@h:1"], master_name = "m", username = "me", password = "***", db = 0, ssl = false }]  # from Leptos.toml:8"#,
    );
    shown(r#"symmetric_encryption_keys = ["***", "***"]  # from Leptos.toml:13"#);
    shown(r#"secret_key = "***"  # from Leptos.toml:3"#);
    shown(r#"secret_key_fallbacks = ["***", "***"]  # from Leptos.toml:4"#);
    shown(r#"database = "postgres://me:***@db/site"  # from Leptos.toml:5"#);
    shown(r#"cache = "redis://:***@cache:6379/1"  # from Leptos.toml:6"#);
}

#[test]
fn a_database_is_shown_without_its_password() {
    let url = "postgres://me:hush@db:5433/confab?sslmode=require";
    let settings = load(&format!("[store]\nurl = \"{url}\"\n"), &[], &[]).unwrap().settings;
    assert_eq!(settings.store.url, StoreUrl::Postgres(url.parse().unwrap()));
    let shown = settings.store.url.to_string();
    assert_eq!(shown, "postgres://me:***@db:5433/confab?sslmode=require");
    assert!(!format!("{:?}", settings.store).contains("hush"));
}

#[test]
fn a_project_of_django_is_set_whole_or_not_at_all() {
    for (lines, mistake) in [
        ("database = \"db.sqlite3\"", "Leptos.toml:2: accounts.django.database needs accounts.django.secret_key beside it"),
        ("secret_key = \"a\"", "Leptos.toml:2: accounts.django.secret_key needs accounts.django.database beside it"),
        (
            "secret_key = \"a\"\ndatabase = \"db.sqlite3\"\nengine = \"cache\"",
            r#"Leptos.toml:4: accounts.django.engine is "cache" and needs accounts.django.cache beside it"#,
        ),
        ("engine = \"file\"", r#"accounts.django.engine cannot be "file": "db", "cache", "cached_db" or "signed_cookies""#),
        ("user_table = \"a\\\"; DROP\"", "accounts.django.user_table cannot be"),
        ("username = \"\"", "accounts.django.username cannot be \"\": the name of a table or a column"),
        ("cookie_name = \"confab_session\"", "are Confab's own cookies"),
        ("login_url = \"/in/\"", "accounts.django.login_url needs accounts.django.secret_key beside it"),
        ("login_url = \"//in\"", "accounts.django.login_url cannot be \"//in\": a path like"),
        ("cookie_age = 0", "accounts.django.cookie_age cannot be 0: a whole number from 1"),
        ("secret_keys = []", "did you mean accounts.django.secret_key?"),
    ] {
        let mistakes = load(&format!("[accounts.django]\n{lines}\n"), &[], &[]).err().unwrap();
        assert!(mistakes.contains(mistake), "{mistakes}");
    }
    let file = "[accounts.django]\ndatabase = \"db.sqlite3\"\n";
    let django = load(file, &[("CONFAB_ACCOUNTS__DJANGO__SECRET_KEY", "a")], &[]).unwrap().settings.django;
    assert_eq!(django.secret_key.map(|key| key.reveal().to_owned()).as_deref(), Some("a"));
    let engine = "engine = \"django.contrib.sessions.backends.signed_cookies\"";
    assert_eq!(settings(&format!("[accounts.django]\n{engine}")).django.engine, SessionEngine::SignedCookies);
}

#[test]
fn mistakes_do_not_show_secrets() {
    for (file, expected) in [
        (
            "[store]\nurl = \"postgres://me:hush@db/confab?sslmode=on\"\n",
            r#"store.url cannot be "postgres://me:***@db/confab?sslmode=on": "#,
        ),
        ("[channel_layers.default]\nhosts = [\"me:hush@h\"]\n", r#"hosts[0] cannot be "me:***@h": "#),
        ("[channel_layers.default]\nhosts = \"redis://:hush@h\"\n", "hosts must be a list"),
        ("[channel_layers.default]\nhosts = [{ address = \"me:hush@h\" }]\n", r#"hosts[0].address cannot be "me:***@h": "#),
        ("[channel_layers.default]\nhosts = [{ host = \"h\", password = [\"hush\"] }]\n", "hosts[0].password must be a text"),
        ("[channel_layers.default]\nhosts = [{ host = \"h\", pasword = \"hush\" }]\n", "did you mean"),
        ("[channel_layers.default]\nsymmetric_encryption_keys = \"hush\"\n", "symmetric_encryption_keys must be a list"),
        ("[channel_layers.default]\nsymmetric_encryption_keys = [\"hush]\n", "this is not TOML"),
        ("[channel_layers.default]\nsymmetric_encryption_key = [\"hush\"]\n", "did you mean"),
        ("[accounts.django]\nsecret_key = [\"hush\"]\n", "secret_key must be a text"),
        ("[accounts.django]\nsecret_key = \"hush\"\n", "needs accounts.django.database beside it"),
        ("[accounts.django]\nsecret_key_fallbacks = \"hush\"\n", "secret_key_fallbacks must be a list"),
        ("[accounts.django]\ndatabase = \"mysql://me:hush@db/site\"\n", r#"database cannot be "mysql://me:***@db/site""#),
        ("[accounts.django]\ncache = \"me:hush@cache\"\n", r#"cache cannot be "me:***@cache": "#),
    ] {
        let mistakes = load(file, &[], &[]).err().unwrap();
        assert!(mistakes.contains(expected) && !mistakes.contains("hush"), "{mistakes}");
    }
    let variable = ("CONFAB_CHANNEL_LAYERS__DEFAULT__SYMMETRIC_ENCRYPTION_KEYS", "hush");
    let mistakes = load("", &[variable], &[]).err().unwrap();
    assert!(mistakes.contains("is not JSON") && !mistakes.contains("hush"), "{mistakes}");
}

#[test]
fn the_effective_settings_load_again() {
    let file = r#"
        [server]
        data = "a \"quoted\"\n\\ folder"
        hosts = ["chat.example", "[::1]"]
        allowed_origins = ["http://a", "*"]
        trusted_proxies = ["10.0.0.1", "::ffff:10.0.0.0/104"]
        metrics = "off"
        deflate = false
        drain_seconds = 60
        [channel_layers.default]
        channel_capacity = { "z*" = 1, "a.b!" = 2 }
        serializer_format = "json"
        random_prefix_length = 64
        hosts = ["rediss://a", ["::1", 1], "unix:///a%20b.sock", { sentinels = ["rediss://b"], master_name = "m", db = 2, ssl = true }]
        [[rooms]]
        match = "a"
        history = "none"
        guests = false
        make = "nobody"
        event_type = "a.b_c"
        text_key = "text"
        group = "a"
        protocols = ["chat.v2", "x"]
        [[rooms]]
        match = "b"
        [limits]
        message_bytes = 0
        backlog_bytes = 0
        bytes_per_second = 0
        bytes_per_second_per_account = 0
        bytes_per_second_per_address = 0
    "#;
    for loaded in [Sources::default().load().unwrap(), load(file, &[], &[("--listen", "server.listen", "[::1]:8")]).unwrap()] {
        let again = load(&loaded.effective(), &[], &[]);
        assert_eq!(again.map(|again| again.settings), Ok(loaded.settings));
    }
    assert!(load(&load(SECRETS, &[], &[]).unwrap().effective(), &[], &[]).is_ok(), "masked, but of the right form");
}

/// The executable, in a folder and with these variables alone.
fn confab(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_confab"));
    command.current_dir(folder).env_clear().envs(variables.iter().copied()).args(arguments);
    command.stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn assert_ended(output: &Output, code: i32, stdout: &str, stderr: &str) {
    let found = (output.status.code(), text(&output.stdout), text(&output.stderr));
    assert_eq!(found, (Some(code), stdout.to_owned(), stderr.to_owned()));
}

#[test]
fn check_prints_the_defaults_where_there_is_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let output = confab(folder.path(), &[], &["check"]).output().unwrap();
    assert_ended(&output, 0, &Sources::default().load().unwrap().effective(), "");
    assert!(!text(&output.stdout).contains("# from"));
}

#[test]
fn hosts_are_read_in_one_form() {
    let settings = settings("[server]\nhosts = [\"Chat.Example.org.\", \"*\"]");
    assert_eq!(settings.server.hosts, [AllowedHost::Only("chat.example.org".parse().unwrap()), AllowedHost::Any]);
}

#[test]
fn check_says_what_requests_may_ask_for() {
    let said = |file: &str| {
        let effective = load(file, &[], &[]).unwrap().effective();
        let line = effective.lines().find(|line| line.starts_with("# Requests are answered that ask for: "));
        line.unwrap_or_else(|| panic!("{effective}")).to_owned()
    };
    assert!(said("").ends_with(": localhost, IP addresses. server.hosts names more."));
    let some = "[server]\nhosts = [\"chat.example\"]\nallowed_origins = [\"https://a.example:8443\"]\ntrusted_proxies = [\"10.0.0.1\"]";
    let line = said(some);
    assert!(line.contains("IP addresses, chat.example, a.example, and whatever the trusted proxies pass on."), "{line}");
    assert!(said("[server]\nallowed_origins = [\"*\"]").contains("any host"));
}

#[test]
fn check_prints_where_each_setting_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    let file = "[limits]\nmessage_bytes = 100\nbacklog_bytes = 1048576\n[[rooms]]\nmatch = \"a\"\n";
    std::fs::write(folder.path().join("Leptos.toml"), file).unwrap();
    let variables = [("CONFAB_STORE__DURABILITY", "process")];
    let output =
        confab(folder.path(), &variables, &["check", "--listen", "127.0.0.1:0", "--data", "elsewhere"]).output().unwrap();
    let printed = text(&output.stdout);
    let marked: Vec<&str> = printed.lines().filter(|line| line.contains("# from")).collect();
    let expected = [
        "listen = \"127.0.0.1:0\"  # from --listen",
        "data = \"elsewhere\"  # from --data",
        "durability = \"process\"  # from CONFAB_STORE__DURABILITY",
        "# from Leptos.toml:4",
        "message_bytes = 100  # from Leptos.toml:2",
    ];
    assert_eq!(marked, expected, "what is the default needs no source\n{printed}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_given_file_replaces_the_one_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("Leptos.toml"), "nonsense").unwrap();
    std::fs::write(folder.path().join("other.toml"), "[limits]\nmessage_bytes = 7\n").unwrap();
    let output = confab(folder.path(), &[], &["check", "--config", "other.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("message_bytes = 7  # from other.toml:2\n"));
}

#[test]
fn wrong_settings_end_every_command_with_2_and_all_mistakes() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("Leptos.toml"), "[limits]\nmessage_byte = 1\n").unwrap();
    let variables = [("CONFAB_LOG", "a=b=c"), ("CONFAB_LOG_FORMAT", "xml"), ("CONFAB_STORE__URL", "x")];
    let mistakes = r#"CONFAB_LOG: this is no log filter; a level is needed, like "info", or a list like "warn,confab=debug"
CONFAB_LOG_FORMAT: this is no log format; "text" or "json" is needed
Leptos.toml:2: limits.message_byte is not a setting; did you mean limits.message_bytes?
CONFAB_STORE__URL: store.url cannot be "x": "sqlite" or "postgres://user:password@host:port/database" is needed
--listen: server.listen cannot be "y": an IP address and a port are needed, like "127.0.0.1:3000" or "[::]:3000"
"#;
    for arguments in [&["check", "--listen", "y"][..], &["serve", "--listen", "y"], &["--listen", "y"]] {
        assert_ended(&confab(folder.path(), &variables, arguments).output().unwrap(), 2, "", mistakes);
    }
}

#[test]
fn a_given_file_has_to_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let output = confab(folder.path(), &[], &["check", "--config", "none.toml"]).output().unwrap();
    assert_ended(&output, 2, "", "none.toml: cannot be read: No such file or directory (os error 2)\n");
}

#[test]
fn wrong_flags_end_with_2_and_the_version_with_0() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(confab(folder.path(), &[], &["--lisen", "x"]).output().unwrap().status.code(), Some(2));
    let version = format!("confab {} (build {})\n", env!("CARGO_PKG_VERSION"), confab::server::assets::BUILD);
    assert_ended(&confab(folder.path(), &[], &["--version"]).output().unwrap(), 0, &version, "");
}

#[test]
fn both_signals_stop_the_server_cleanly() {
    for (arguments, signal) in [(&["serve"][..], "TERM"), (&[], "INT")] {
        let folder = tempfile::tempdir().unwrap();
        let variables = [("CONFAB_LOG_FORMAT", "json"), ("CONFAB_SERVER__LISTEN", "127.0.0.1:0")];
        let mut server = confab(folder.path(), &variables, arguments).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(server.stderr.take().unwrap());
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        let entry: serde_json::Value = serde_json::from_str(&line).expect(&line);
        assert_eq!(entry["fields"]["message"], "starting", "the first line of the log, as JSON");
        let sent = Command::new("kill").args([format!("-{signal}"), server.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let mut rest = String::new();
        log.read_to_string(&mut rest).unwrap();
        assert!(rest.contains(&format!("SIG{signal}")), "{rest}");
        assert_eq!(server.wait().unwrap().code(), Some(0));
    }
}
