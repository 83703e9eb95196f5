//! That the servers which the tests stand on do what their names say.

use std::{fs, sync::Arc};

use redis::AsyncCommands as _;

use crate::support::{
    postgres::{self, Postgres},
    redis::{Config, Redis, Sentinels},
    within,
};

#[tokio::test]
async fn a_killed_server_comes_back_on_its_port() {
    let mut redis = Redis::start().await;
    let (port, ()) = (redis.port(), redis.cli(&["SET", "key", "value"]).await);
    redis.kill();
    assert!(redis::Client::open(redis.url()).unwrap().get_connection().is_err());
    redis.restart().await;
    assert_eq!((redis.port(), redis.cli::<Option<String>>(&["GET", "key"]).await), (port, None));
}

#[tokio::test]
async fn a_durable_server_keeps_what_it_acknowledged() {
    let mut redis = Redis::with(Config { durable: true, ..Config::default() }).await;
    let () = redis.cli(&["SET", "key", "value"]).await;
    redis.kill();
    redis.restart().await;
    assert_eq!(redis.cli::<Option<String>>(&["GET", "key"]).await.as_deref(), Some("value"));
}

#[tokio::test]
async fn databases_passwords_and_sockets() {
    let redis = Redis::with(Config { password: Some("secret"), unix_socket: true, ..Config::default() }).await;
    let () = redis.cli(&["SET", "key", "value"]).await;
    for (url, seen) in [(redis.url(), true), (redis.socket_url(), true), (redis.url_of_db(1), false)] {
        let mut connection = redis::Client::open(url.clone()).unwrap().get_multiplexed_async_connection().await.unwrap();
        assert_eq!(connection.exists::<_, bool>("key").await.unwrap(), seen, "{url}");
    }
    let open = format!("redis://127.0.0.1:{}/0", redis.port());
    let mut stranger = redis::Client::open(open).unwrap().get_multiplexed_async_connection().await.unwrap();
    assert!(stranger.exists::<_, bool>("key").await.is_err());
}

#[tokio::test]
async fn a_paused_server_answers_when_it_is_resumed() {
    let redis = Redis::start().await;
    let mut connection = redis.connection().await;
    redis.pause();
    let mut answer = Box::pin(connection.set::<_, _, ()>("key", "value"));
    assert!(futures_util::poll!(answer.as_mut()).is_pending());
    redis.resume();
    answer.await.unwrap();
}

#[tokio::test]
async fn the_replica_becomes_master() {
    for count in [1, 3] {
        let mut sentinels = Sentinels::start(count).await;
        // The replica has what this very connection wrote once `WAIT` answers.
        let mut connection = sentinels.master.connection().await;
        let () = connection.set("key", "value").await.unwrap();
        assert_eq!(redis::cmd("WAIT").arg(1).arg(0).query_async::<u32>(&mut connection).await, Ok(1));
        sentinels.fail_over().await;
        let (role, _, _) = sentinels.replica.cli::<(String, redis::Value, redis::Value)>(&["ROLE"]).await;
        assert_eq!(role, "master");
        assert_eq!(sentinels.replica.cli::<String>(&["GET", "key"]).await, "value");
        assert_eq!(sentinels.urls().len(), count);
    }
}

#[tokio::test]
async fn postgres_comes_back_on_its_port_with_what_was_committed() {
    let mut server = Postgres::start().await;
    let (port, database) = (server.port(), server.database().await);
    let client = postgres::connection(&database).await;
    client.batch_execute("CREATE TABLE kept (value int)").await.unwrap();
    let ends: [fn(&mut Postgres); 3] = [Postgres::kill, Postgres::stop, |server| {
        server.pause();
        server.kill();
    }];
    for (value, end) in (0..).zip(ends) {
        let client = postgres::connection(&database).await;
        client.execute("INSERT INTO kept VALUES ($1)", &[&value]).await.unwrap();
        end(&mut server);
        assert!(client.query("SELECT 1", &[]).await.is_err());
        assert!(tokio_postgres::connect(&database, tokio_postgres::NoTls).await.is_err());
        server.restart().await;
        let client = postgres::connection(&database).await;
        assert_eq!(client.query_one("SELECT max(value) FROM kept", &[]).await.unwrap().get::<_, i32>(0), value);
    }
    server.restart().await;
    assert_eq!(server.port(), port);
    assert!(client.is_closed());
}

#[tokio::test]
async fn a_paused_postgres_answers_when_it_is_resumed() {
    let server = Postgres::start().await;
    let client = postgres::connection(&server.database().await).await;
    let process: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let stands_still = || fs::read_to_string(format!("/proc/{process}/stat")).unwrap().contains(") T ");
    server.pause();
    within("the end of its work", async {
        while !stands_still() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut answer = Box::pin(client.query("SELECT 1", &[]));
    assert!(futures_util::poll!(answer.as_mut()).is_pending());
    server.resume();
    answer.await.unwrap();
}

#[tokio::test]
async fn databases_of_a_shared_postgres_are_apart() {
    let (server, same) = (Postgres::shared().await, Postgres::shared().await);
    assert!(Arc::ptr_eq(&server, &same));
    for database in [server.database().await, same.database().await] {
        let client = postgres::connection(&database).await;
        client.batch_execute("CREATE TABLE one (value int)").await.unwrap();
    }
}
