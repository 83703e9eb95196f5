//! That the servers which the tests stand on do what their names say.

use redis::AsyncCommands as _;

use crate::support::redis::{Config, Redis, Sentinels};

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
