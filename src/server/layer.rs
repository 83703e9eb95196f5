//! From the settings of the channel layer to the layer.

use std::{error::Error, sync::Arc};

use super::{
    layers::{
        ChannelLayer, MemoryLayer, MemoryOptions,
        redis::{Host, RedisCoreLayer, RedisOptions, RedisPubSubLayer, Serializer},
    },
    percent::percent_encode,
    settings::{Backend, LayerSettings, Login, RedisHost, RedisPlace, RedisServer, Secret, SentinelMaster, SerializerFormat},
};

/// Starts the layer that the settings name.
///
/// # Errors
/// It cannot be started.
pub(super) fn start(settings: &LayerSettings) -> Result<Arc<dyn ChannelLayer>, Box<dyn Error + Send + Sync>> {
    match settings.backend {
        Backend::Memory => Ok(Arc::new(MemoryLayer::new(MemoryOptions {
            capacity: settings.capacity,
            channel_capacity: channel_capacity(settings),
            expiry: settings.expiry,
            group_expiry: settings.group_expiry,
        })?)),
        Backend::RedisCore => Ok(RedisCoreLayer::start(redis_options(settings))?),
        Backend::RedisPubSub => Ok(RedisPubSubLayer::start(redis_options(settings))?),
    }
}

fn channel_capacity(settings: &LayerSettings) -> Vec<(String, usize)> {
    settings.channel_capacity.iter().map(|(pattern, bound)| (pattern.to_string(), *bound)).collect()
}

fn redis_options(settings: &LayerSettings) -> RedisOptions {
    let keys = settings.symmetric_encryption_keys.iter().map(|key| key.reveal().to_owned());
    RedisOptions {
        hosts: settings.hosts.iter().map(host).collect(),
        prefix: settings.prefix.clone(),
        capacity: settings.capacity,
        channel_capacity: channel_capacity(settings),
        expiry: settings.expiry,
        group_expiry: settings.group_expiry,
        symmetric_encryption_keys: keys.collect(),
        serializer: match settings.serializer_format {
            SerializerFormat::Msgpack => Serializer::Msgpack,
            SerializerFormat::Json => Serializer::Json,
        },
        random_prefix_length: settings.random_prefix_length,
    }
}

/// A server as the layers connect to it.
pub(super) fn host(host: &RedisHost) -> Host {
    match host {
        RedisHost::Server(server) => Host::Url(url(server)),
        RedisHost::Master(SentinelMaster { sentinels, master_name, login, db, tls }) => Host::Sentinel {
            sentinels: sentinels.iter().map(url).collect(),
            master_name: master_name.clone(),
            username: login.username.clone(),
            password: login.password.as_ref().map(|password| password.reveal().to_owned()),
            db: i64::from(*db),
            tls: *tls,
        },
    }
}

/// The address as the layers read it, password included.
fn url(RedisServer { place, login: Login { username, password }, db }: &RedisServer) -> String {
    let username = username.as_deref().map(percent_encode);
    let password = password.as_ref().map(|password| percent_encode(Secret::reveal(password)));
    match place {
        RedisPlace::Tcp { .. } => {
            let password = password.map(|password| format!(":{password}"));
            let login = username.unwrap_or_default() + &password.unwrap_or_default();
            let at = if login.is_empty() { "" } else { "@" };
            format!("{}/{db}", place.address(&(login + at)))
        }
        // As redis-rs reads it: who logs in stands behind the question mark.
        RedisPlace::Unix(_) => {
            let username = username.map(|username| format!("&user={username}")).unwrap_or_default();
            let password = password.map(|password| format!("&pass={password}")).unwrap_or_default();
            format!("{}?db={db}{username}{password}", place.address(""))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::settings::{ConfigFile, Sources};

    fn options(file: &str) -> RedisOptions {
        let content = format!("[channel_layers.default]\n{file}").into_bytes();
        let file = Some(ConfigFile { name: "Leptos.toml".to_owned(), content });
        let settings = Sources { file, ..Sources::default() }.load().map_err(|mistakes| mistakes.to_string()).unwrap();
        redis_options(&settings.settings.channel_layers.default)
    }

    #[test]
    fn every_setting_reaches_the_layer() {
        let options = options(
            r#"
            prefix = "p"
            capacity = 1
            channel_capacity = { "a*" = 2 }
            expiry = 3
            group_expiry = 4
            symmetric_encryption_keys = ["new", "old"]
            serializer_format = "json"
            random_prefix_length = 5
            "#,
        );
        assert_eq!(options.hosts, [Host::local()]);
        assert_eq!((options.prefix.as_str(), options.capacity), ("p", 1));
        assert_eq!(options.channel_capacity, [("a*".to_owned(), 2)]);
        assert_eq!((options.expiry.as_secs(), options.group_expiry.as_secs()), (3, 4));
        assert_eq!(options.symmetric_encryption_keys, ["new", "old"]);
        assert_eq!((options.serializer, options.random_prefix_length), (Serializer::Json, 5));
    }

    #[test]
    fn hosts_become_what_the_layer_connects_to() {
        for (written, url) in [
            (r#""redis://h""#, "redis://h:6379/0"),
            (r#""rediss://u:p%40w@[::1]:1/2""#, "rediss://u:p%40w@[::1]:1/2"),
            (r#""redis://:pw@h""#, "redis://:pw@h:6379/0"),
            (r#""redis://me@h""#, "redis://me@h:6379/0"),
            (r#""unix://me:p%26w@/run/my%20redis.sock?db=1""#, "unix:///run/my%20redis.sock?db=1&user=me&pass=p%26w"),
            (r#"["h", 1]"#, "redis://h:1/0"),
            (r#"["::1", 1]"#, "redis://[::1]:1/0"),
            (r#"{ address = "redis://h:1/2" }"#, "redis://h:1/2"),
            (r#"{ address = ["h", 1], db = 2, password = "p@/w" }"#, "redis://:p%40%2Fw@h:1/2"),
            (r#"{ address = "redis://a:b@h/0", db = 2, username = "c", password = "d", ssl = true }"#, "rediss://a:b@h:6379/0"),
            (
                r#"{ host = "h", username = "u", password = "p", ssl = true, ssl_cert_reqs = "required" }"#,
                "rediss://u:p@h:6379/0",
            ),
        ] {
            assert_eq!(options(&format!("hosts = [{written}]")).hosts, [Host::Url(url.to_owned())], "{written}");
        }
    }

    #[test]
    fn sentinels_have_credentials_of_their_own() {
        let file = r#"
            [[channel_layers.default.hosts]]
            sentinels = [["10.0.0.1", 26379], "redis://h", "rediss://a:b@c:1"]
            master_name = "mymaster"
            username = "u"
            password = "p"
            db = 3
            ssl = true
            sentinel_kwargs = { password = "s" }
        "#;
        let expected = Host::Sentinel {
            sentinels: ["redis://:s@10.0.0.1:26379/0", "redis://:s@h:26379/0", "rediss://a:b@c:1/0"].map(str::to_owned).into(),
            master_name: "mymaster".to_owned(),
            username: Some("u".to_owned()),
            password: Some("p".to_owned()),
            db: 3,
            tls: true,
        };
        assert_eq!(options(file).hosts, [expected]);
        let Host::Sentinel { username, password, db, tls, .. } =
            &options(r#"hosts = [{ sentinels = ["redis://h"], master_name = "m" }]"#).hosts[0]
        else {
            panic!("sentinels")
        };
        assert_eq!((username, password, db, tls), (&None, &None, &0, &false));
    }
}
