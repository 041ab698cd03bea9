//! `SQLite`: the contract, opening, the file's limits and its damage.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of tests may unwrap as well"
)]

mod support;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cloakroom_core::{
    Change, Due, SaveOutcome, SessionId, SessionStore, StoreErrorKind, Timestamp,
};
use cloakroom_sqlx::{SqliteOptions, SqliteStore};
use sqlx::{AssertSqlSafe, ConnectOptions, Row};
use support::contract;
use support::record::{at, id, next, owned, record, tombstone};

/// A file of its own, removed at the end.
struct File(PathBuf);

impl File {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("cloakroom-{}-{count}.db", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn options(&self) -> SqliteOptions {
        SqliteOptions::new(&self.0).operation_timeout(Duration::from_secs(10))
    }

    async fn store(&self) -> SqliteStore {
        let store = self.options().open().await.unwrap();
        store.migrate().await.unwrap();
        store
    }

    /// What an operator could do with the file.
    async fn run(&self, sql: &str) -> Vec<sqlx::sqlite::SqliteRow> {
        let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(&self.0)
            .create_if_missing(true)
            .connect()
            .await
            .unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .fetch_all(&mut connection)
            .await
            .unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm"] {
            let mut path = self.0.clone().into_os_string();
            path.push(suffix);
            std::fs::remove_file(path).ok();
        }
    }
}

fn hex(id: SessionId) -> String {
    id.to_string().replace('-', "")
}

#[tokio::test]
async fn a_shared_file_an_exclusive_file_and_memory_keep_the_contract() {
    let (shared, exclusive) = (File::new(), File::new());
    contract::walk(&shared.store().await).await;
    let store = exclusive.options().exclusive(true).open().await.unwrap();
    store.migrate().await.unwrap();
    contract::walk(&store).await;
    let store = SqliteStore::in_memory().await.unwrap();
    store.migrate().await.unwrap();
    contract::walk(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_of_two_stores_on_one_file_lose_nothing() {
    let file = File::new();
    let (one, two) = (Arc::new(file.store().await), Arc::new(file.store().await));
    tokio::join!(
        contract::increments_add_up(Arc::clone(&one)),
        contract::increments_add_up(two)
    );
    contract::each_ending_is_reported_once(one).await;
}

#[tokio::test]
async fn sessions_survive_a_restart() {
    let file = File::new();
    let (id, kept) = (id(), record(9_000));
    let store = file.store().await;
    store.create(id, &kept).await.unwrap();
    store.close().await;
    assert_eq!(
        store.load(id).await.unwrap_err().kind(),
        StoreErrorKind::Unavailable
    );
    assert_eq!(file.store().await.load(id).await.unwrap(), Some(kept));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_may_open_and_migrate_a_new_file_at_once() {
    let file = File::new();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let options = file.options();
            tokio::spawn(async move {
                let store = options.open().await.unwrap();
                store.migrate().await.unwrap();
                store.migrate().await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(
        file.run("SELECT version FROM cloakroom_sessions_schema")
            .await
            .len(),
        1
    );
}

#[tokio::test]
async fn an_exclusive_file_is_refused_to_everybody_else() {
    let file = File::new();
    let quick = || file.options().operation_timeout(Duration::from_millis(300));
    let first = quick().exclusive(true).open().await.unwrap();
    assert!(first.capabilities().exclusive);
    for options in [quick(), quick().exclusive(true)] {
        let error = options.open().await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Rejected);
        assert!(error.to_string().contains("exclusive"), "{error}");
    }
    first.migrate().await.unwrap();
    first.close().await;
    let shared = file.store().await;
    let error = quick().exclusive(true).open().await.unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
    assert!(!shared.capabilities().exclusive);
    assert!(shared.changes().is_none());
}

#[tokio::test]
async fn the_second_manager_of_an_exclusive_store_makes_both_hear_every_write() {
    let store = SqliteStore::in_memory().await.unwrap();
    store.migrate().await.unwrap();
    let mut first = store.changes().unwrap();
    assert_eq!(first.next().await, Some(Change::Live));
    let (id, created) = (id(), record(2_000));
    store.create(id, &created).await.unwrap();
    assert!(first.sole().get());
    let mut second = store.changes().unwrap();
    assert!(!first.sole().get() && !second.sole().get());
    assert_eq!(second.next().await, Some(Change::Live));
    let saved = next(&created, b"x");
    store.save(id, &saved, created.stamp).await.unwrap();
    store.touch(id, saved.stamp, saved.times).await.unwrap();
    store.save(id, &saved, created.stamp).await.unwrap();
    store.expire(at(3_000), Due::Limit(9)).await.unwrap();
    for feed in [&mut first, &mut second] {
        assert_eq!(
            feed.next().await,
            Some(Change::Saved {
                id,
                stamp: saved.stamp
            })
        );
        assert_eq!(feed.next().await, Some(Change::Ended { id }));
    }
}

#[tokio::test]
async fn a_dropped_write_breaks_the_feed_until_a_later_one_is_through() {
    let store = SqliteStore::in_memory().await.unwrap();
    store.migrate().await.unwrap();
    let mut feed = store.changes().unwrap();
    assert_eq!(feed.next().await, Some(Change::Live));
    let (id, created) = (id(), record(2_000));
    {
        let mut create = std::pin::pin!(store.create(id, &created));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(create.as_mut().poll(&mut context).is_pending());
    }
    assert_eq!(feed.next().await, Some(Change::Lost));
    let later = self::id();
    store.create(later, &created).await.unwrap();
    let stamp = created.stamp;
    assert_eq!(feed.next().await, Some(Change::Saved { id: later, stamp }));
    assert_eq!(feed.next().await, Some(Change::Live));
    assert!(
        !feed.sole().get(),
        "it does not know what became of the first"
    );
}

/// Rule 10: at whatever await a future is dropped, the row is old or new, and the next works.
#[tokio::test]
async fn an_operation_dropped_at_any_await_leaves_old_or_new_and_no_open_transaction() {
    let file = File::new();
    let store = file.options().readers(1).open().await.unwrap();
    store.migrate().await.unwrap();
    for polls in 0..12 {
        let (id, first) = (id(), record(2_000));
        store.create(id, &first).await.unwrap();
        let tomb = tombstone(&first);
        give_up(polls, store.end(id, Some(&tomb))).await;
        let row = store.load(id).await.unwrap().unwrap();
        assert!(row == first || row == tomb, "{row:?}");
        give_up(polls, store.expire(at(2_000), Due::Ids(&[id]))).await;
        // Another process can write at once: nothing holds the lock.
        file.run(&format!(
            "DELETE FROM cloakroom_sessions WHERE id = x'{}'",
            hex(id)
        ))
        .await;
        assert_eq!(store.load(id).await.unwrap(), None);
    }
}

/// Polls a future that often, giving others time between, and drops it.
async fn give_up<F: Future>(polls: usize, future: F) {
    let mut future = std::pin::pin!(future);
    for _ in 0..polls {
        let done =
            std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_ready()));
        if done.await {
            return;
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
}

#[tokio::test]
async fn a_full_file_is_unavailable_and_loses_nothing() {
    let file = File::new();
    let store = file.options().size_limit(200_000).open().await.unwrap();
    store.migrate().await.unwrap();
    let mut kept = Vec::new();
    let error = loop {
        let id = id();
        match store.create(id, &next(&record(9_000), &[7; 9_000])).await {
            Ok(_) => kept.push(id),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(error.to_string().contains("full"), "{error}");
    for id in &kept {
        assert!(store.load(*id).await.unwrap().is_some());
    }
    assert!(kept.len() > 5);
    store.purge(at(99_000), 5).await.unwrap();
    store.create(id(), &record(9_000)).await.unwrap();
}

#[tokio::test]
async fn a_read_only_file_can_be_read_and_refuses_every_write() {
    let file = File::new();
    let (id, kept) = (id(), record(2_000));
    file.store().await.create(id, &kept).await.unwrap();
    let url = format!("sqlite://{}?mode=ro", file.0.display());
    let store = SqliteStore::connect(&url).await.unwrap();
    assert_eq!(store.load(id).await.unwrap(), Some(kept.clone()));
    store.migrate().await.expect("nothing is to be done");
    let errors = [
        store.create(self::id(), &kept).await.map(drop),
        store
            .save(id, &next(&kept, b""), kept.stamp)
            .await
            .map(drop),
        store.touch(id, kept.stamp, kept.times).await.map(drop),
        store.end(id, None).await.map(drop),
        store.end(id, Some(&tombstone(&kept))).await.map(drop),
        store.expire(at(9_000), Due::Limit(1)).await.map(drop),
        store.purge(at(9_000), 1).await.map(drop),
    ];
    for result in errors {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Rejected);
        assert!(error.to_string().contains("read-only"), "{error}");
    }
}

#[tokio::test]
async fn a_missing_table_a_missing_column_and_a_strange_table_say_how_to_mend_it() {
    let file = File::new();
    let store = file.options().open().await.unwrap();
    let error = store.load(id()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Rejected);
    assert!(error.to_string().contains("migrate()"), "{error}");
    file.run("CREATE TABLE cloakroom_sessions (id BLOB, name TEXT)")
        .await;
    for error in [
        store.load(id()).await.unwrap_err(),
        store.migrate().await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), StoreErrorKind::Rejected);
        assert!(error.to_string().contains("another table"), "{error}");
    }
    let other = file.options().table("mine").open().await.unwrap();
    other.migrate().await.unwrap();
    file.run("ALTER TABLE mine DROP COLUMN head").await;
    let error = other.create(id(), &record(1)).await.unwrap_err();
    assert!(error.to_string().contains("another shape"), "{error}");
}

/// The shape of ours without its checks, so that a test can damage it.
const LOOSE: &str = "CREATE TABLE cloakroom_sessions (id PRIMARY KEY, version, nonce, state, owner, used_at, \
                     deadline, expires_at, head, body)";

#[tokio::test]
async fn a_row_that_no_store_has_written_is_corrupt_and_hides_no_other() {
    let file = File::new();
    file.run(LOOSE).await;
    let store = file.options().open().await.unwrap();
    let damages = [
        ("state", "7"),
        ("version", "'seven'"),
        ("nonce", "1.5"),
        ("owner", "CAST(x'ff' AS TEXT)"),
        ("used_at", "-1"),
        ("used_at", "9e999"),
        ("used_at", "NULL"),
        ("deadline", "'x'"),
        ("head", "12"),
        ("body", "NULL"),
    ];
    for (column, value) in damages {
        let bad = hex(id());
        file.run(&format!(
            "INSERT INTO cloakroom_sessions VALUES (x'{bad}', 1, 1, 0, NULL, 1, 5, 9, x'01', \
             x'01'); UPDATE cloakroom_sessions SET {column} = {value} WHERE id = x'{bad}'"
        ))
        .await;
        let parsed: Vec<u8> = (0..16)
            .map(|i| u8::from_str_radix(&bad[2 * i..2 * i + 2], 16).unwrap())
            .collect();
        let id = SessionId::from_bytes(parsed.try_into().unwrap());
        let error = store.load(id).await.unwrap_err();
        assert_eq!(
            error.kind(),
            StoreErrorKind::Corrupt,
            "{column} = {value}: {error}"
        );
    }
}

#[tokio::test]
async fn a_corrupt_row_does_not_keep_the_others_from_expiring() {
    let file = File::new();
    file.run(LOOSE).await;
    let store = file.options().open().await.unwrap();
    file.run(
        "INSERT INTO cloakroom_sessions VALUES (x'0102', 1, 1, 0, 'ada', 1, 5, 9, x'01', x'01')",
    )
    .await;
    let error = store
        .owned_by(
            &support::record::owner("ada"),
            cloakroom_core::Page {
                after: None,
                limit: 9,
            },
        )
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    assert!(error.to_string().contains("2 bytes"), "{error}");
    let (good, row) = (id(), record(5));
    store.create(good, &row).await.unwrap();
    let ended = store.expire(at(9), Due::Limit(99)).await.unwrap();
    assert_eq!(
        ended,
        [(good, row)],
        "the good one is reported, the bad ones are logged"
    );
    assert!(
        store
            .expire(at(9), Due::Limit(99))
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn the_ending_of_a_row_that_cannot_be_read_is_told() {
    let file = File::new();
    file.run(LOOSE).await;
    let [removed, buried, due] = [id(), id(), id()];
    for id in [removed, buried, due] {
        file.run(&format!(
            "INSERT INTO cloakroom_sessions VALUES (x'{}', 1, 1, 0, NULL, -1, 5, 9, x'01', x'01')",
            hex(id)
        ))
        .await;
    }
    let store = file.options().exclusive(true).open().await.unwrap();
    let mut feeds = [store.changes().unwrap(), store.changes().unwrap()];
    for feed in &mut feeds {
        assert_eq!(feed.next().await, Some(Change::Live));
    }
    for (id, tombstone) in [(removed, None), (buried, Some(tombstone(&record(5))))] {
        let error = store.end(id, tombstone.as_ref()).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    }
    let readable = store.expire(at(9), Due::Limit(9)).await.unwrap();
    assert!(readable.is_empty());
    // What follows shows that the notice is not merely late.
    let (last, created) = (id(), record(2_000));
    store.create(last, &created).await.unwrap();
    let stamp = created.stamp;
    for feed in &mut feeds {
        for id in [removed, buried, due] {
            assert_eq!(feed.next().await, Some(Change::Ended { id }));
        }
        assert_eq!(feed.next().await, Some(Change::Saved { id: last, stamp }));
    }
}

#[tokio::test]
async fn what_is_no_database_no_directory_or_no_url_is_rejected() {
    let file = File::new();
    std::fs::write(
        &file.0,
        "this is a text file, and a long one at that".repeat(100),
    )
    .unwrap();
    let error = file.options().open().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Rejected);
    assert!(error.to_string().contains("no database"), "{error}");
    let error = SqliteStore::open("/no/such/directory/x.db")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("directory"), "{error}");
    for url in ["postgres://x", "x.db", "sqlite:x.db?mode=sideways", ""] {
        let error = SqliteStore::connect(url).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Rejected, "{url}");
    }
    let error = SqliteOptions::in_memory()
        .table("x; DROP TABLE y")
        .open()
        .await
        .unwrap_err();
    assert!(error.to_string().contains("table name"), "{error}");
}

#[tokio::test]
async fn a_locked_file_is_unavailable_and_never_absence() {
    let file = File::new();
    let store = file
        .options()
        .operation_timeout(Duration::from_millis(200))
        .open()
        .await
        .unwrap();
    store.migrate().await.unwrap();
    let (id, kept) = (id(), owned("ada"));
    store.create(id, &kept).await.unwrap();
    let mut other = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(&file.0)
        .connect()
        .await
        .unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .unwrap();
    let error = store
        .save(id, &next(&kept, b"x"), kept.stamp)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert_eq!(
        store.load(id).await.unwrap(),
        Some(kept.clone()),
        "readers are not held up"
    );
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    let retried = store
        .save(id, &next(&kept, b"y"), kept.stamp)
        .await
        .unwrap();
    assert_eq!(retried, SaveOutcome::Saved, "healthy again by itself");
}

#[tokio::test]
async fn expire_and_purge_never_go_beyond_the_clock_of_the_database() {
    let file = File::new();
    let store = file.store().await;
    let far = 4_000_000_000_000;
    store.create(id(), &record(far)).await.unwrap();
    assert!(
        store
            .expire(at(2 * far), Due::Limit(9))
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(store.purge(at(2 * far), 9).await.unwrap(), 0);
}

#[tokio::test]
async fn where_one_process_is_alone_its_own_word_on_the_time_counts() {
    let file = File::new();
    let alone = file.options().exclusive(true).open().await.unwrap();
    for store in [alone, SqliteStore::in_memory().await.unwrap()] {
        store.migrate().await.unwrap();
        let far = 4_000_000_000_000;
        store.create(id(), &record(far)).await.unwrap();
        let early = store.expire(at(far - 1), Due::Limit(9)).await.unwrap();
        assert_eq!(early.len(), 0);
        let late = store.expire(Timestamp::MAX, Due::Limit(9)).await.unwrap();
        assert_eq!(late.len(), 1);
        assert_eq!(store.purge(Timestamp::MAX, 9).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn the_searches_use_their_indexes() {
    let file = File::new();
    file.store().await;
    let now = "min(5, CAST(unixepoch('subsec') * 1000 AS INTEGER))";
    let plans = [
        (
            format!(
                "SELECT id FROM cloakroom_sessions WHERE state = 0 AND deadline <= {now} ORDER BY deadline LIMIT 5"
            ),
            "cloakroom_sessions_deadline",
        ),
        (
            format!(
                "DELETE FROM cloakroom_sessions WHERE id IN (SELECT id FROM cloakroom_sessions WHERE expires_at <= {now} ORDER BY expires_at LIMIT 5)"
            ),
            "cloakroom_sessions_expires_at",
        ),
        (
            "SELECT id FROM cloakroom_sessions WHERE owner = 'a' AND id > x'' ORDER BY id LIMIT 5"
                .to_owned(),
            "cloakroom_sessions_owner",
        ),
    ];
    for (statement, index) in plans {
        let plan: Vec<String> = file
            .run(&format!("EXPLAIN QUERY PLAN {statement}"))
            .await
            .iter()
            .map(|row| row.get(3))
            .collect();
        let plan = plan.join("; ");
        assert!(plan.contains(index), "{plan}");
        assert!(
            !plan.contains("SCAN") && !plan.contains("TEMP B-TREE"),
            "{plan}"
        );
    }
}
