//! Nodes: servers that share a Redis, and a database or nothing else. They are within this process, but for the [`Victim`].

use confab::server::settings::{Backend, History, Pattern, RedisHost, Settings, TokenRule};
use tempfile::TempDir;

use crate::{
    app::{Http, Program, TestApp, rule},
    clients::{Plain, V1},
    support::redis::Redis,
    within,
};

/// Makes a test of each function for each backend. A function takes the backend and is `async`.
macro_rules! on_each_backend {
    ($($test:ident),+ $(,)?) => {
        mod core {
            $(
                #[tokio::test]
                async fn $test() {
                    Box::pin(super::$test(confab::server::settings::Backend::RedisCore)).await;
                }
            )+
        }
        mod pubsub {
            $(
                #[tokio::test]
                async fn $test() {
                    Box::pin(super::$test(confab::server::settings::Backend::RedisPubSub)).await;
                }
            )+
        }
    };
}

/// The token of a program that may send to everything.
pub const TOKEN: &str = "program-0123456789abcdef";

/// The settings of a node: rooms `s-*` are in its store, `m-*` in its memory, `n-*` nowhere.
pub fn settings(settings: &mut Settings, backend: Backend, host: RedisHost) {
    settings.channel_layers.default.backend = backend;
    settings.channel_layers.default.hosts = vec![host];
    settings.rooms = vec![rule("s-*", History::Store), rule("m-*", History::Memory), rule("n-*", History::None)];
    let everything = vec![Pattern::everything()];
    let (name, token) = ("Cron".parse().expect("a name"), TOKEN.parse().expect("a token"));
    settings.tokens = vec![TokenRule { name, token, groups: everything, channels: true }];
}

/// The host of a server, for the settings.
pub fn host(redis: &Redis) -> RedisHost {
    RedisHost::Server(redis.url().parse().expect("an address"))
}

/// A node whose layer is well.
pub async fn node(backend: Backend, redis: &Redis) -> TestApp {
    let app = TestApp::with(|all| settings(all, backend, host(redis))).await;
    ready(&app).await;
    app
}

/// Two of them.
pub async fn two_nodes(backend: Backend, redis: &Redis) -> (TestApp, TestApp) {
    (node(backend, redis).await, node(backend, redis).await)
}

/// A node that is well and whose store is this database.
pub async fn node_on(backend: Backend, layer: RedisHost, database: &str) -> TestApp {
    node_with(backend, layer, database, |_| {}).await
}

/// The same, with its settings changed.
pub async fn node_with(backend: Backend, layer: RedisHost, database: &str, change: impl FnOnce(&mut Settings)) -> TestApp {
    let app = TestApp::with(|all| {
        settings(all, backend, layer);
        change(all);
        all.store.url = database.parse().expect("the URL of a database");
    })
    .await;
    ready(&app).await;
    app
}

/// A node of its own process, which can be killed; its rooms `s-*` are in the database, `m-*` in its memory.
pub struct Victim {
    pub program: Program,
    _data: TempDir,
}

impl Victim {
    /// With the URLs of Redis and the database.
    pub async fn start(backend: Backend, redis: &str, database: &str) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let settings = format!(
            "[store]\nurl = \"{database}\"\ndurability = \"process\"\n\n\
             [channel_layers.default]\nbackend = \"{backend}\"\nhosts = [\"{redis}\"]\n\n\
             [[rooms]]\nmatch = \"s-*\"\nhistory = \"store\"\n\n\
             [[rooms]]\nmatch = \"m-*\"\nhistory = \"memory\"\n"
        );
        std::fs::write(data.path().join("Leptos.toml"), settings).expect("a file");
        Self { program: Program::start(data.path()).await, _data: data }
    }
}

/// Waits until the node says that all is well.
pub async fn ready(app: &impl Http) {
    says(app, 200).await;
}

/// Waits until the node says that something is not well; gives its words.
pub async fn in_trouble(app: &impl Http) -> String {
    says(app, 503).await
}

async fn says(app: &impl Http, status: u16) -> String {
    let asking = async {
        loop {
            let answer = app.get("/readyz").await;
            if answer.status() == status {
                return answer.text().await.expect("a body");
            }
            tokio::task::yield_now().await;
        }
    };
    within(&format!("{status} from /readyz"), asking).await
}

/// A plain client that is a member of the group when this returns; it has said `text` and heard it.
pub async fn plain_member(app: &TestApp, group: &str, text: &str) -> Plain {
    let mut plain = Plain::connect(app.address, &format!("/room/{group}/")).await;
    plain.say(text).await;
    assert_eq!(plain.text().await, text);
    plain
}

/// A `confab.v1` client that is a member of the group when this returns.
pub async fn v1_member(app: &TestApp, group: &str) -> V1 {
    V1::connect(app.address, &format!("/room/{group}/")).await
}
