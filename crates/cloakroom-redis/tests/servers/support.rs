//! Servers, stores and records for the tests.

use std::collections::BTreeMap;
use std::time::Duration;

use cloakroom_core::{
    Change, ChangeFeed, Clock, Owner, Record, SessionId, Stamp, State, StoreError, StoreErrorKind,
    SystemClock, Times, Timestamp,
};
use cloakroom_redis::{RedisOptions, RedisStore};
use cloakroom_services::{Redis, Requirement, Server, require};
use libtest_mimic::{Failed, Trial};
use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue};

/// When a feed must be lost: 1.25 s by design; the rest is for a machine that is busy otherwise.
pub(crate) const LOST_BY: Duration = Duration::from_secs(2);

pub(crate) const HOUR: Duration = Duration::from_hours(1);

/// A test with a runtime of its own; without Redis it is ignored, or failed where Redis must be.
pub(crate) fn trial<F>(name: &'static str, test: fn() -> F) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    let found = require(Redis::find().map_err(Into::into));
    // Shown in front of the name.
    let reason = match &found {
        Requirement::Ignored(reason) => reason.clone(),
        _ => String::new(),
    };
    let run = move || {
        if let Requirement::Failed(reason) = found {
            return Err(Failed::from(reason));
        }
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().build()?;
        runtime.block_on(async move {
            let limit = Duration::from_secs(90);
            let done = tokio::time::timeout(limit, test()).await;
            done.map_err(|_| Failed::from("it does not come to an end"))
        })
    };
    let ignored = !reason.is_empty();
    Trial::test(name, run)
        .with_kind(reason)
        .with_ignored_flag(ignored)
}

pub(crate) fn server() -> Server {
    Redis::start().unwrap()
}

pub(crate) async fn connect(server: &Server) -> RedisStore {
    RedisStore::connect(server.url()).await.unwrap()
}

/// Options with a deadline short enough to be waited for.
pub(crate) fn quick(url: &str) -> RedisOptions {
    let options = RedisOptions::parse(url).unwrap();
    options
        .command_timeout(Duration::from_millis(400))
        .connect_timeout(Duration::from_millis(400))
}

/// A connection of the test's own.
pub(crate) struct Admin(MultiplexedConnection);

impl Admin {
    pub(crate) async fn new(port: u16) -> Self {
        let client = redis::Client::open(("127.0.0.1", port)).unwrap();
        Self(client.get_multiplexed_async_connection().await.unwrap())
    }

    pub(crate) async fn of(server: &Server) -> Self {
        Self::new(server.port()).await
    }

    /// Runs a command, written with spaces between its words.
    pub(crate) async fn run<T: FromRedisValue>(&mut self, words: &str) -> T {
        self.try_run(words).await.unwrap()
    }

    pub(crate) async fn try_run<T: FromRedisValue>(
        &mut self,
        words: &str,
    ) -> redis::RedisResult<T> {
        let mut command = Cmd::new();
        for word in words.split(' ') {
            command.arg(word);
        }
        command.query_async(&mut self.0).await
    }

    pub(crate) async fn send<T: FromRedisValue>(&mut self, command: &Cmd) -> T {
        command.query_async(&mut self.0).await.unwrap()
    }

    pub(crate) async fn try_send<T: FromRedisValue>(
        &mut self,
        command: &Cmd,
    ) -> redis::RedisResult<T> {
        command.query_async(&mut self.0).await
    }

    pub(crate) async fn set(&mut self, key: &str, value: &[u8]) {
        self.send::<()>(redis::cmd("SET").arg(key).arg(value)).await;
    }

    pub(crate) async fn get(&mut self, key: &str) -> Option<Vec<u8>> {
        self.send(redis::cmd("GET").arg(key)).await
    }

    /// Scripts run since the last reset, by `EVAL` or `EVALSHA`.
    pub(crate) async fn scripts(&mut self) -> u64 {
        let stats: String = self.run("INFO commandstats").await;
        self.run::<()>("CONFIG RESETSTAT").await;
        let counts: BTreeMap<&str, u64> = stats
            .lines()
            .filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(":calls="))
            .map(|(name, rest)| (name, rest.split(',').next().unwrap().parse().unwrap()))
            .collect();
        ["eval", "evalsha"]
            .iter()
            .filter_map(|name| counts.get(name))
            .sum()
    }
}

pub(crate) fn now() -> Timestamp {
    SystemClock::default().now()
}

pub(crate) fn new_id() -> SessionId {
    SessionId::generate(now())
}

pub(crate) fn key(id: SessionId) -> String {
    format!("cloakroom:{id}")
}

pub(crate) fn owner(name: &str) -> Owner {
    Owner::new(name).unwrap()
}

/// A live record with an hour to go.
pub(crate) fn record() -> Record {
    let times = Times {
        used_at: now(),
        deadline: Some(now() + HOUR),
        expires_at: Some(now() + HOUR + HOUR),
    };
    let (head, body) = (vec![1, 2, 0, 255], vec![1, b'b']);
    Record::from_stored(Stamp::first(), State::Live, None, times, head, body)
}

pub(crate) fn owned(name: &str) -> Record {
    let mut record = record();
    record.owner = Some(owner(name));
    record
}

/// What the next writer stores.
pub(crate) fn next(record: &Record) -> Record {
    let mut next = record.clone();
    next.stamp = record.stamp.next();
    next.body.push(b'+');
    next
}

pub(crate) fn tombstone(record: &Record) -> Record {
    let mut tombstone = next(record);
    tombstone.state = State::Ended;
    tombstone.owner = None;
    tombstone.body.clear();
    tombstone
}

pub(crate) fn kind<T: std::fmt::Debug>(result: Result<T, StoreError>) -> StoreErrorKind {
    result.unwrap_err().kind()
}

/// The next notice, which must come.
pub(crate) async fn hear(feed: &mut ChangeFeed) -> Change {
    let notice = tokio::time::timeout(Duration::from_secs(20), feed.next());
    notice.await.expect("a notice").expect("the store lives")
}

/// Reads until this notice.
pub(crate) async fn hears(feed: &mut ChangeFeed, awaited: Change) {
    while hear(feed).await != awaited {}
}

/// Tries until it works: for what heals by itself.
pub(crate) async fn heals<T, E: std::fmt::Debug, F>(mut attempt: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, E>>,
{
    for _ in 0..400 {
        if let Ok(value) = attempt().await {
            return value;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    attempt().await.expect("it heals")
}

/// Waits until a master's replica has all its writes: replication is asynchronous.
pub(crate) async fn in_step(master: &mut Admin) {
    loop {
        let info: String = master.run("INFO replication").await;
        let field = |name: &str| {
            let (_, rest) = info.split_once(name)?;
            rest.split([',', '\r']).next()
        };
        let (ours, theirs) = (field("master_repl_offset:"), field(",offset="));
        if ours.is_some() && ours == theirs {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
