//! Whatever is wrong is said clearly, and nothing is lost by it.

use std::sync::atomic::{AtomicU32, Ordering};

use cloakroom_core::{SessionStore, StoreErrorKind};
use cloakroom_redis::{RedisOptions, RedisStore};
use cloakroom_services::{Redis, RedisCluster, Server};
use libtest_mimic::Trial;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::*;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a_wrong_password_is_rejected_and_not_repeated", password),
        trial("an_acl_user_with_the_documented_rights_can_do_all", acl),
        trial("a_user_who_may_not_publish_writes_nothing", no_publish),
        trial("a_server_of_another_mode_is_rejected", modes),
        trial("a_replica_is_not_read", replica),
        trial("a_database_that_does_not_exist_is_rejected", database),
        trial("nobody_at_the_address_is_unavailable", nobody),
        trial("a_server_that_is_too_old_is_rejected", too_old),
        trial("a_connection_out_of_step_is_dropped", out_of_step),
        trial("a_write_is_never_sent_again_and_a_read_is", sent_again),
        trial("settings_that_endanger_sessions_are_warned_of", warned),
        trial("tls_is_spoken_and_checked", tls),
    ]
}

/// The message with all its sources, which is what lands in a log.
fn full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

async fn rejects(url: &str, with: &str) {
    let error = RedisStore::connect(url).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Rejected, "{error}");
    let text = full(&error);
    assert!(text.contains(with), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

async fn password() {
    let server = Redis::start_with(&["--requirepass", "secret"]).unwrap();
    let port = server.port();
    rejects(&format!("redis://127.0.0.1:{port}"), "password").await;
    rejects(&format!("redis://:hunter2@127.0.0.1:{port}"), "password").await;
    rejects(&format!("redis://ada:hunter2@127.0.0.1:{port}"), "user").await;
    let url = format!("redis://:secret@127.0.0.1:{port}");
    let store = RedisStore::connect(&url).await;
    assert_eq!(store.unwrap().load(new_id()).await.unwrap(), None);
}

/// As the documentation of the crate says.
const ACL: &str = "on >hunter2 ~cloakroom:* resetchannels &cloakroom:* -@all \
                   +hello +auth +select +client|tracking +eval +evalsha +subscribe +unsubscribe +publish +pubsub|numsub \
                   +get +getrange +set +setrange +del +persist +pexpireat +time \
                   +exists +pttl +zadd +zrem +zcard +zrange +zrangebylex +zrandmember \
                   +wait +info +config|get +cluster|slots +cluster|info";

async fn acl() {
    let server = server();
    let mut admin = Admin::of(&server).await;
    admin.run::<()>(&format!("ACL SETUSER app {ACL}")).await;
    let url = format!("redis://app:hunter2@127.0.0.1:{}", server.port());
    let store = RedisStore::connect(&url).await.unwrap();
    let mut feed = store.changes().unwrap();
    hears(&mut feed, cloakroom_core::Change::Live).await;
    let (id, first) = (new_id(), owned("ada"));
    store.create(id, &first).await.unwrap();
    let second = next(&first);
    store.save(id, &second, first.stamp).await.unwrap();
    let mut times = second.times;
    times.expires_at = Some(now() + HOUR * 9);
    store.touch(id, second.stamp, times).await.unwrap();
    times.expires_at = None;
    store.touch(id, second.stamp, times).await.unwrap();
    let page = cloakroom_core::Page {
        after: None,
        limit: 9,
    };
    assert_eq!(store.owned_by(&owner("ada"), page).await.unwrap(), [id]);
    store.end(id, Some(&tombstone(&second))).await.unwrap();
    hears(&mut feed, cloakroom_core::Change::Ended { id }).await;
}

async fn no_publish() {
    let server = server();
    let mut admin = Admin::of(&server).await;
    admin
        .run::<()>("ACL SETUSER app on >hunter2 ~* +@all resetchannels")
        .await;
    let url = format!("redis://app:hunter2@127.0.0.1:{}", server.port());
    let store = RedisStore::connect(&url).await.unwrap();
    let id = new_id();
    let rejected = StoreErrorKind::Rejected;
    assert_eq!(kind(store.create(id, &record()).await), rejected);
    assert_eq!(admin.run::<u64>("DBSIZE").await, 0);
    let (full, first) = (connect(&server).await, record());
    full.create(id, &first).await.unwrap();
    assert_eq!(
        kind(store.save(id, &next(&first), first.stamp).await),
        rejected
    );
    assert_eq!(kind(store.end(id, None).await), rejected);
    assert_eq!(store.load(id).await.unwrap(), Some(first));
}

async fn modes() {
    let server = server();
    let at = format!("127.0.0.1:{}", server.port());
    rejects(&format!("redis+cluster://{at}"), "redis://").await;
    rejects(&format!("redis+sentinel://{at}/main"), "no sentinel").await;
    let cluster = RedisCluster::start(3, 0).unwrap();
    rejects(cluster.nodes()[0].url(), "redis+cluster://").await;
}

async fn replica() {
    let master = server();
    let replica = server();
    let mut admin = Admin::of(&replica).await;
    admin
        .run::<()>(&format!("REPLICAOF 127.0.0.1 {}", master.port()))
        .await;
    let error = RedisStore::connect(replica.url()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(error.to_string().contains("replica"), "{error}");
}

async fn database() {
    let server = server();
    rejects(
        &format!("redis://127.0.0.1:{}/99", server.port()),
        "database",
    )
    .await;
}

async fn nobody() {
    let port = cloakroom_services::free_port().unwrap();
    let url = format!("redis://127.0.0.1:{port}");
    assert_eq!(
        kind(RedisStore::connect(&url).await),
        StoreErrorKind::Unavailable
    );
    let store = RedisOptions::parse(&url).unwrap().open().unwrap();
    for _ in 0..3 {
        assert_eq!(
            kind(store.load(new_id()).await),
            StoreErrorKind::Unavailable
        );
        assert_eq!(
            kind(store.create(new_id(), &record()).await),
            StoreErrorKind::Unavailable
        );
    }
    let url = "redis://no-such-host.invalid:1";
    assert_eq!(
        kind(RedisStore::connect(url).await),
        StoreErrorKind::Unavailable
    );
}

/// A server of our own that answers each command by its first word, or hangs up.
async fn pretender(answer: fn(&str, &[String]) -> String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut buffer, mut chunk) = (Vec::new(), [0; 4096]);
                while let Ok(read @ 1..) = socket.read(&mut chunk).await {
                    buffer.extend_from_slice(&chunk[..read]);
                    while let Ok(redis::Value::Array(words)) = redis::parse_redis_value(&buffer) {
                        let words: Vec<Vec<u8>> =
                            redis::from_redis_value(redis::Value::Array(words)).unwrap();
                        let length = words
                            .iter()
                            .map(|word| word.len() + format!("${}\r\n\r\n", word.len()).len());
                        let used = format!("*{}\r\n", words.len()).len() + length.sum::<usize>();
                        buffer.drain(..used);
                        let words: Vec<String> = words
                            .iter()
                            .map(|word| String::from_utf8_lossy(word).into_owned())
                            .collect();
                        let reply = answer(&words[0].to_uppercase(), &words);
                        if reply.is_empty() || socket.write_all(reply.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    format!("redis://127.0.0.1:{port}")
}

fn hello(version: &str) -> String {
    format!(
        "%4\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n${}\r\n{version}\r\n\
         $4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n",
        version.len()
    )
}

async fn too_old() {
    let old = pretender(|command, _| match command {
        "HELLO" => hello("6.0.16"),
        _ => "+OK\r\n".into(),
    });
    rejects(&old.await, "6.2").await;
    let older = pretender(|command, _| match command {
        "HELLO" => "-ERR unknown command 'HELLO'\r\n".into(),
        _ => "+OK\r\n".into(),
    });
    rejects(&older.await, "6.2").await;
}

/// This server answers every load with somebody else's session.
async fn out_of_step() {
    let url = pretender(|command, words| match command {
        "HELLO" => hello("7.0.0"),
        "EVALSHA" if words.len() == 5 => {
            "*3\r\n$1\r\nR\r\n$16\r\n0123456789abcdef\r\n$-1\r\n".into()
        }
        _ => "+OK\r\n".into(),
    });
    let store = quick(&url.await).read_retries(1).open().unwrap();
    let error = store.load(new_id()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(full(&error).contains("another request"), "{}", full(&error));
}

/// This server takes every script and hangs up instead of answering.
async fn sent_again() {
    static SCRIPTS: AtomicU32 = AtomicU32::new(0);
    let url = pretender(|command, _| match command {
        "HELLO" => hello("7.0.0"),
        "EVALSHA" | "EVAL" => {
            SCRIPTS.fetch_add(1, Ordering::Relaxed);
            String::new()
        }
        _ => "+OK\r\n".into(),
    });
    let store = RedisOptions::parse(&url.await)
        .unwrap()
        .read_retries(2)
        .open()
        .unwrap();
    let first = record();
    let unavailable = StoreErrorKind::Unavailable;
    assert_eq!(kind(store.create(new_id(), &first).await), unavailable);
    assert_eq!(
        kind(store.save(new_id(), &next(&first), first.stamp).await),
        unavailable
    );
    assert_eq!(
        kind(store.touch(new_id(), first.stamp, first.times).await),
        unavailable
    );
    assert_eq!(kind(store.end(new_id(), None).await), unavailable);
    assert_eq!(
        SCRIPTS.load(Ordering::Relaxed),
        4,
        "each write went out once"
    );
    assert_eq!(kind(store.load(new_id()).await), unavailable);
    assert_eq!(kind(store.peek(new_id()).await), unavailable);
    assert_eq!(SCRIPTS.load(Ordering::Relaxed), 4 + 2 * 3);
}

async fn warned() {
    let arguments = ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"];
    let server = Redis::start_with(&arguments).unwrap();
    let store = connect(&server).await;
    let warnings: Vec<String> = store.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("allkeys-lru") && warnings[1].contains("appendonly"));
    let mut admin = Admin::of(&server).await;
    admin
        .run::<()>("CONFIG SET maxmemory-policy noeviction")
        .await;
    admin.run::<()>("CONFIG SET appendonly yes").await;
    assert_eq!(store.check().await.unwrap(), []);
}

async fn tls() {
    let folder = std::env::temp_dir().join(format!("cloakroom-redis-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (key, certificate) = (folder.join("key.pem"), folder.join("cert.pem"));
    let made = std::process::Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test",
        ])
        .args([
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-addext",
            "basicConstraints=CA:FALSE",
        ])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output();
    let made = made.expect("openssl is installed");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let port = cloakroom_services::free_port().unwrap();
    let _server: Server = Redis::start_with(&[
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &path(&certificate),
        "--tls-key-file",
        &path(&key),
        "--tls-auth-clients",
        "no",
    ])
    .unwrap();
    let url = format!("rediss://127.0.0.1:{port}");
    let unknown = RedisStore::connect(&url).await;
    assert_eq!(
        kind(unknown),
        StoreErrorKind::Unavailable,
        "nobody vouches for it"
    );
    let root = std::fs::read(&certificate).unwrap();
    let trusting = RedisOptions::parse(&url)
        .unwrap()
        .tls_root_certificate(root);
    let store = trusting.connect().await.unwrap();
    store.create(new_id(), &record()).await.unwrap();
    let broken = RedisOptions::parse(&url)
        .unwrap()
        .tls_root_certificate("no certificate");
    let kind = broken.open().map(|_| ()).unwrap_err().kind();
    assert_eq!(kind, StoreErrorKind::Rejected);
    std::fs::remove_dir_all(folder).unwrap();
}
