//! `MariaDB` and `MySQL`: the contract, privileges, plans, deadlocks, outages and bad input.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of tests may unwrap as well"
)]

#[path = "support/cost.rs"]
mod cost;
#[path = "support/harness.rs"]
mod harness;
mod support;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use cloakroom_conformance::RoundTrips;
use cloakroom_core::{
    CreateOutcome, Due, SaveOutcome, SessionId, SessionStore, StoreError, StoreErrorKind,
    Timestamp, TouchOutcome,
};
use cloakroom_services::MariaDb;
use cloakroom_sqlx::{MySqlOptions, MySqlStore};
use harness::{Case, cases};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Row};
use support::contract;
use support::record::{at, id, next, record, times, tombstone};

const CASES: &[Case] = cases![
    the_contract_is_kept,
    concurrent_writers_lose_nothing,
    nodes_may_migrate_at_once_and_then_need_few_rights,
    every_operation_is_one_round_trip_and_a_refusal_two,
    a_dropped_operation_never_leaves_its_reply_to_the_next,
    a_dropped_write_that_waits_holds_up_nobody,
    dead_idle_connections_are_no_outage,
    the_searches_use_their_indexes,
    expire_and_purge_never_go_beyond_the_clock_of_the_database,
    a_purge_never_waits_for_a_writer,
    a_purge_under_many_writers_shows_nobody_a_deadlock,
    a_large_purge_brings_live_sessions_into_no_deadlock,
    wrong_tables_say_how_to_mend_them,
    a_damaged_row_is_corrupt_and_can_be_ended,
    what_does_not_fit_is_rejected_and_not_cut_off,
    a_read_only_session_refuses_writes_and_can_be_read,
    wrong_addresses_and_names_are_told_apart,
    a_wrong_password_is_rejected_and_never_shown,
    a_frozen_server_is_unavailable_and_heals,
    a_killed_server_heals_and_keeps_what_it_acknowledged,
];

fn main() -> ExitCode {
    harness::run(cloakroom_services::shared::mariadb, CASES)
}

/// A name that no other test of any run uses.
fn fresh(kind: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{kind}_{}_{count}", std::process::id())
}

fn options(url: &str) -> MySqlOptions {
    MySqlOptions::from_url(url)
        .unwrap()
        .table(fresh("t"))
        .operation_timeout(Duration::from_secs(10))
}

async fn store(options: MySqlOptions) -> MySqlStore {
    let store = options.connect().await.unwrap();
    store.migrate().await.unwrap();
    store
}

async fn operator(url: &str) -> MySqlConnection {
    url.parse::<MySqlConnectOptions>()
        .unwrap()
        .connect()
        .await
        .unwrap()
}

async fn sql(connection: &mut MySqlConnection, text: &str) -> Vec<MySqlRow> {
    sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
        .fetch_all(connection)
        .await
        .unwrap()
}

/// The same server and database, as another user.
fn as_user(url: &str, user: &str) -> String {
    let address = url.rsplit('@').next().unwrap();
    let address = address.strip_prefix("mysql://").unwrap_or(address);
    format!("mysql://{user}:pw@{address}")
}

fn hex(id: SessionId) -> String {
    format!("X'{}'", id.to_string().replace('-', ""))
}

async fn the_contract_is_kept(url: String) {
    contract::walk(&store(options(&url)).await).await;
}

async fn concurrent_writers_lose_nothing(url: String) {
    let store = Arc::new(store(options(&url)).await);
    contract::increments_add_up(Arc::clone(&store)).await;
    contract::each_ending_is_reported_once(store).await;
}

async fn nodes_may_migrate_at_once_and_then_need_few_rights(url: String) {
    let (table, role) = (fresh("t"), fresh("r"));
    let mut admin = operator(&url).await;
    let database: String = sql(&mut admin, "SELECT DATABASE()")
        .await
        .first()
        .unwrap()
        .get(0);
    let tasks = [(); 6].map(|()| {
        let options = MySqlOptions::from_url(&url).unwrap().table(&table);
        tokio::spawn(async move { options.connect().await.unwrap().migrate().await.unwrap() })
    });
    for task in tasks {
        task.await.unwrap();
    }
    sql(
        &mut admin,
        &format!(
            "CREATE USER {role}@'%' IDENTIFIED BY 'pw'; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON {database}.{table} TO {role}@'%'"
        ),
    )
    .await;
    let as_role = as_user(&url, &role);
    let poor = MySqlOptions::from_url(&as_role)
        .unwrap()
        .table(&table)
        .connect()
        .await
        .unwrap();
    poor.migrate().await.expect("nothing is to be done");
    contract::walk(&poor).await;
    let elsewhere = MySqlOptions::from_url(&as_role)
        .unwrap()
        .table("other")
        .connect()
        .await
        .unwrap();
    let error = elsewhere.migrate().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Rejected);
    assert!(error.to_string().contains("CREATE"), "{error}");
    sql(
        &mut admin,
        &format!("REVOKE DELETE ON {database}.{table} FROM {role}@'%'"),
    )
    .await;
    poor.create(id(), &record(1)).await.unwrap();
    let error = poor.purge(at(9_000), 9).await.unwrap_err();
    assert!(error.to_string().contains("privilege"), "{error}");
    sql(
        &mut admin,
        &format!("ALTER TABLE {table} COMMENT = 'cloakroom schema 99'"),
    )
    .await;
    let error = poor.migrate().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unsupported);
    sql(&mut admin, &format!("DROP USER {role}@'%'")).await;
}

async fn every_operation_is_one_round_trip_and_a_refusal_two(url: String) {
    let port = url.parse::<MySqlConnectOptions>().unwrap().get_port();
    let trips = RoundTrips::to(([127, 0, 0, 1], port).into()).await.unwrap();
    let through = url.replace(&format!(":{port}"), &format!(":{}", trips.address().port()));
    let store = store(options(&through).max_connections(1)).await;
    for (name, cost) in cost::of(&store, &trips).await {
        let two = [
            "create of what exists",
            "refused touch",
            "refused save",
            "expire",
            "purge",
        ];
        assert_eq!(cost, if two.contains(&name) { 2 } else { 1 }, "{name}");
    }
}

/// Rule 10: the connection of a dropped operation is closed, not handed on.
async fn a_dropped_operation_never_leaves_its_reply_to_the_next(url: String) {
    let store = store(options(&url).max_connections(1)).await;
    let rows: Vec<_> = (0_u8..40)
        .map(|n| (id(), next(&record(9_000), &[n])))
        .collect();
    for (id, row) in &rows {
        store.create(*id, row).await.unwrap();
    }
    for (turn, ((id, row), other)) in rows.iter().zip(rows.iter().rev()).enumerate() {
        let patience = Duration::from_micros(u64::try_from(turn).unwrap() * 20);
        // Dropped before, while and after it is sent and answered.
        tokio::time::timeout(patience, store.load(other.0))
            .await
            .ok();
        assert_eq!(store.load(*id).await.unwrap().as_ref(), Some(row));
        let tomb = tombstone(row);
        tokio::time::timeout(patience, store.end(*id, Some(&tomb)))
            .await
            .ok();
        let found = store.load(*id).await.unwrap().unwrap();
        assert!(found == *row || found == tomb, "{found:?}");
        store.end(*id, None).await.unwrap();
        tokio::time::timeout(patience, store.expire(at(2), Due::Limit(9)))
            .await
            .ok();
        tokio::time::timeout(patience, store.purge(at(2), 9))
            .await
            .ok();
    }
}

async fn a_dropped_write_that_waits_holds_up_nobody(url: String) {
    let table = fresh("t");
    let store = store(options(&url).table(&table).max_connections(1)).await;
    let (id, first) = (id(), record(9_000));
    store.create(id, &first).await.unwrap();
    let mut other = operator(&url).await;
    let lock = format!("SELECT 1 FROM {table} WHERE id = {} FOR UPDATE", hex(id));
    sql(&mut other, &format!("START TRANSACTION; {lock}")).await;
    let tomb = tombstone(&first);
    let ending = store.end(id, Some(&tomb));
    tokio::time::timeout(Duration::from_millis(50), ending)
        .await
        .unwrap_err();
    // Its connection still waits for the row; the next operation must not wait behind it.
    let loading = tokio::time::timeout(Duration::from_secs(3), store.load(id));
    assert_eq!(loading.await.unwrap().unwrap(), Some(first));
    sql(&mut other, "ROLLBACK").await;
}

async fn dead_idle_connections_are_no_outage(url: String) {
    let (mut admin, user) = (operator(&url).await, fresh("u"));
    sql(
        &mut admin,
        &format!("CREATE USER {user}@'%' IDENTIFIED BY 'pw'; GRANT ALL ON *.* TO {user}@'%'"),
    )
    .await;
    let store = store(options(&as_user(&url, &user))).await;
    let (id, first) = (id(), record(9_000));
    store.create(id, &first).await.unwrap();
    // The store's connections lie idle, and die.
    let mut die = async || {
        store.load(id).await.unwrap();
        sql(&mut admin, &format!("KILL USER {user}")).await;
    };
    die().await;
    assert_eq!(store.load(id).await.unwrap().as_ref(), Some(&first));
    die().await;
    let second = next(&first, b"x");
    assert_eq!(
        store.save(id, &second, first.stamp).await.unwrap(),
        SaveOutcome::Saved
    );
    die().await;
    let touched = store.touch(id, second.stamp, second.times).await.unwrap();
    assert_eq!(touched, TouchOutcome::Touched);
    die().await;
    let other = support::record::id();
    assert_eq!(
        store.create(other, &first).await.unwrap(),
        CreateOutcome::Created
    );
}

async fn the_searches_use_their_indexes(url: String) {
    let table = fresh("t");
    store(MySqlOptions::from_url(&url).unwrap().table(&table)).await;
    let mut admin = operator(&url).await;
    sql(&mut admin, &format!("INSERT INTO {table} WITH RECURSIVE n AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM n WHERE n < 900) SELECT UNHEX(MD5(n)), 1, 1, n % 2, CONCAT('owner', n % 90), n, n, n, '', '' FROM n; ANALYZE TABLE {table}")).await;
    let clock = "LEAST(50, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)";
    let plans = [
        (
            format!(
                "SELECT * FROM {table} WHERE state = 0 AND deadline <= {clock} \
                 ORDER BY deadline LIMIT 9 FOR UPDATE SKIP LOCKED"
            ),
            "deadline",
        ),
        (
            format!(
                "SELECT id FROM {table} WHERE expires_at <= {clock} ORDER BY expires_at LIMIT 9 \
                 FOR UPDATE SKIP LOCKED"
            ),
            "expires_at",
        ),
        (
            format!(
                "SELECT id FROM {table} WHERE owner = 'owner7' AND id > X'' ORDER BY id LIMIT 9"
            ),
            "owner",
        ),
    ];
    for (statement, index) in plans {
        let plan = sql(&mut admin, &format!("EXPLAIN {statement}")).await;
        let key: Option<String> = plan.first().unwrap().try_get("key").unwrap();
        let extra: Option<String> = plan.first().unwrap().try_get("Extra").unwrap();
        assert_eq!(key, Some(format!("{table}_{index}")), "{statement}");
        assert!(
            !extra.unwrap_or_default().contains("filesort"),
            "{statement}"
        );
    }
}

async fn expire_and_purge_never_go_beyond_the_clock_of_the_database(url: String) {
    let store = store(options(&url)).await;
    let (id, far) = (id(), 4_000_000_000_000);
    store.create(id, &record(far)).await.unwrap();
    assert!(
        store
            .expire(at(2 * far), Due::Limit(9))
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        store
            .expire(at(2 * far), Due::Ids(&[id]))
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(store.purge(at(2 * far), 9).await.unwrap(), 0);
}

async fn a_purge_never_waits_for_a_writer(url: String) {
    let table = fresh("t");
    let store = store(MySqlOptions::from_url(&url).unwrap().table(&table)).await;
    let rows: Vec<SessionId> = (0..6).map(|_| id()).collect();
    for id in &rows {
        store.create(*id, &record(2_000)).await.unwrap();
    }
    // A writer in the middle of its transaction holds one row.
    let mut writer = operator(&url).await;
    let held = *rows.first().unwrap();
    sql(
        &mut writer,
        &format!(
            "START TRANSACTION; UPDATE {table} SET head = 'x' WHERE id = {}",
            hex(held)
        ),
    )
    .await;
    let ended = store.expire(at(9_000), Due::Limit(99)).await.unwrap();
    assert_eq!(ended.len(), 5);
    assert_eq!(store.purge(at(9_000), 99).await.unwrap(), 5);
    // Meanwhile it has moved the row's times: the predicate is looked at again.
    sql(
        &mut writer,
        &format!("UPDATE {table} SET expires_at = 99999, deadline = 99998"),
    )
    .await;
    let late = tokio::spawn({
        let store = store.clone();
        async move { store.expire(at(9_000), Due::Ids(&[held])).await.unwrap() }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    sql(&mut writer, "COMMIT").await;
    assert!(late.await.unwrap().is_empty());
    assert_eq!(store.purge(at(9_000), 99).await.unwrap(), 0);
    assert!(store.load(held).await.unwrap().is_some());
}

/// spring-session #838, #1550, #1739: clean-up and traffic met in deadlocks.
async fn a_purge_under_many_writers_shows_nobody_a_deadlock(url: String) {
    let store = store(options(&url).max_connections(40)).await;
    let writers: Vec<_> = (0_u64..30)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for turn in 0..15 {
                    let (id, first) = (id(), record(1_000 + writer * 7 + turn));
                    store.create(id, &first).await.unwrap();
                    let second = next(&first, b"x");
                    store.save(id, &second, first.stamp).await.unwrap();
                    store.touch(id, second.stamp, first.times).await.unwrap();
                    if turn % 3 == 0 {
                        store.end(id, Some(&tombstone(&second))).await.unwrap();
                    }
                }
            })
        })
        .collect();
    let keepers = [(); 3].map(|()| {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..30 {
                store.expire(at(9_000), Due::Limit(20)).await.unwrap();
                store.purge(at(9_000), 20).await.unwrap();
            }
        })
    });
    for task in writers.into_iter().chain(keepers) {
        task.await.unwrap();
    }
    store.expire(at(9_000), Due::Limit(9_999)).await.unwrap();
    store.purge(at(9_000), usize::MAX).await.unwrap();
    assert_eq!(store.purge(at(9_000), usize::MAX).await.unwrap(), 0);
}

/// A write that goes to its row by another index than the primary key meets its neighbours in
/// deadlocks. The optimizer likes such an index once its statistics know of few live rows.
async fn a_large_purge_brings_live_sessions_into_no_deadlock(_: String) {
    const ROWS: u64 = 20_000;
    const WRITERS: usize = 50;
    // Of its own, so that every deadlock it counts is one of these.
    let server = MariaDb::start().unwrap();
    let table = fresh("t");
    let node = || options(server.url()).table(&table).max_connections(30);
    let nodes = [store(node()).await, store(node()).await];
    let mut admin = operator(server.url()).await;
    sql(&mut admin, &format!("INSERT INTO {table} SELECT UNHEX(MD5(seq)), 1, 1, seq % 2, NULL, 1, seq, seq, X'01', REPEAT('x', 200) FROM seq_1_to_{ROWS}")).await;
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = nodes
        .iter()
        .cycle()
        .take(WRITERS)
        .map(|node| tokio::spawn(live_sessions(node.clone(), Arc::clone(&done))))
        .collect();
    let keepers = nodes
        .clone()
        .map(|node| tokio::spawn(keep_house(node, at(ROWS))));
    let mut removed = 0;
    for keeper in keepers {
        removed += keeper.await.unwrap().unwrap();
    }
    done.store(true, Ordering::Release);
    let mut sessions = 0;
    for writer in writers {
        sessions += writer.await.unwrap().unwrap();
    }
    assert!(sessions > WRITERS, "{sessions}");
    assert_eq!(u64::try_from(removed).unwrap(), ROWS);
    // Not even one that a retry has hidden.
    let status = sql(&mut admin, "SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'").await;
    let deadlocks: String = status.first().unwrap().get(1);
    assert_eq!(deadlocks, "0", "deadlocks");
}

/// To the last expired row, and then as a housekeeper goes on that finds nothing.
async fn keep_house(store: MySqlStore, now: Timestamp) -> Result<usize, StoreError> {
    let (mut removed, mut in_vain) = (0, 0);
    while in_vain < 30 {
        store.expire(now, Due::Limit(500)).await?;
        let some = store.purge(now, 500).await?;
        removed += some;
        in_vain += u32::from(some == 0);
    }
    Ok(removed)
}

/// Sessions that begin, are used and end, one after the other; how many it were.
async fn live_sessions(store: MySqlStore, done: Arc<AtomicBool>) -> Result<usize, StoreError> {
    let mut sessions = 0;
    while !done.load(Ordering::Acquire) {
        let (id, mut last) = (id(), record(4_000_000_000_000));
        store.create(id, &last).await?;
        for turn in 1..=3 {
            let mut new = next(&last, b"x");
            new.times = times(4_000_000_000_000 + turn);
            let saved = store.save(id, &new, last.stamp).await?;
            assert_eq!(saved, SaveOutcome::Saved);
            store
                .touch(id, new.stamp, times(4_000_000_000_010 + turn))
                .await?;
            last = new;
        }
        store.end(id, None).await?;
        sessions += 1;
    }
    Ok(sessions)
}

async fn wrong_tables_say_how_to_mend_them(url: String) {
    let table = fresh("t");
    let store = MySqlOptions::from_url(&url)
        .unwrap()
        .table(&table)
        .connect()
        .await
        .unwrap();
    let error = store.load(id()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Rejected);
    assert!(error.to_string().contains("migrate()"), "{error}");
    let mut admin = operator(&url).await;
    sql(
        &mut admin,
        &format!("CREATE TABLE {table} (id TEXT, version INT)"),
    )
    .await;
    for error in [
        store.load(id()).await.unwrap_err(),
        store.migrate().await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), StoreErrorKind::Rejected);
        assert!(error.to_string().contains("another table"), "{error}");
    }
    sql(&mut admin, &format!("DROP TABLE {table}")).await;
    store.migrate().await.unwrap();
    sql(
        &mut admin,
        &format!("ALTER TABLE {table} MODIFY version VARCHAR(20)"),
    )
    .await;
    let strange = id();
    store.create(strange, &record(1)).await.unwrap();
    let error = store.load(strange).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Rejected);
    assert!(error.to_string().contains("another shape"), "{error}");
    sql(&mut admin, &format!("ALTER TABLE {table} DROP COLUMN body")).await;
    let error = store.create(id(), &record(1)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Rejected);
    assert!(error.to_string().contains("another shape"), "{error}");
}

async fn a_damaged_row_is_corrupt_and_can_be_ended(url: String) {
    let table = fresh("t");
    let store = store(MySqlOptions::from_url(&url).unwrap().table(&table)).await;
    let mut admin = operator(&url).await;
    sql(
        &mut admin,
        &format!("ALTER TABLE {table} MODIFY body LONGBLOB NULL"),
    )
    .await;
    for damage in [
        "state = 7",
        "used_at = -1",
        "body = NULL",
        "owner = ''",
        "owner = X'ff'",
    ] {
        let (id, row) = (id(), record(2_000));
        store.create(id, &row).await.unwrap();
        sql(
            &mut admin,
            &format!("UPDATE {table} SET {damage} WHERE id = {}", hex(id)),
        )
        .await;
        let error = store.load(id).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{damage}: {error}");
        if damage != "state = 7" {
            let error = store.end(id, None).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{damage}");
            assert_eq!(store.load(id).await.unwrap(), None, "ended all the same");
        }
    }
    let (bad, good, row) = (id(), id(), record(2_000));
    store.create(bad, &row).await.unwrap();
    store.create(good, &row).await.unwrap();
    sql(
        &mut admin,
        &format!("UPDATE {table} SET used_at = -1 WHERE id = {}", hex(bad)),
    )
    .await;
    let ended = store.expire(at(2_000), Due::Limit(9)).await.unwrap();
    assert_eq!(ended, [(good, row)]);
}

async fn what_does_not_fit_is_rejected_and_not_cut_off(url: String) {
    let mut admin = operator(&url).await;
    let limit: i64 = sql(&mut admin, "SELECT CAST(@@max_allowed_packet AS SIGNED)")
        .await
        .first()
        .unwrap()
        .get(0);
    let store = store(options(&url)).await;
    let (id, first) = (id(), record(9_000));
    store.create(id, &first).await.unwrap();
    let mut long_head = next(&first, b"");
    long_head.head = vec![1; 70_000];
    let long_body = next(&first, &vec![1; usize::try_from(limit).unwrap() + 1]);
    for record in [long_head, long_body] {
        let error = store.save(id, &record, first.stamp).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Rejected, "{error}");
        assert!(error.to_string().contains("larger"), "{error}");
        let error = store
            .create(support::record::id(), &record)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Rejected, "{error}");
        let error = store.end(id, Some(&record)).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Rejected, "{error}");
    }
    assert_eq!(store.load(id).await.unwrap().as_ref(), Some(&first));
    let large = next(&first, &vec![7; 1_000_000]);
    store.save(id, &large, first.stamp).await.unwrap();
    assert_eq!(store.load(id).await.unwrap(), Some(large));
}

/// The connection's mode: all that it begins is read-only, by a proxy or an init command.
async fn a_read_only_session_refuses_writes_and_can_be_read(_: String) {
    let server =
        MariaDb::start_with(&["--init-connect=SET SESSION TRANSACTION READ ONLY"]).unwrap();
    let mut admin = operator(server.url()).await;
    let database: String = sql(&mut admin, "SELECT DATABASE()")
        .await
        .first()
        .unwrap()
        .get(0);
    let writer = store(MySqlOptions::from_url(server.url()).unwrap()).await;
    let (id, kept) = (id(), record(2_000));
    writer.create(id, &kept).await.unwrap();
    // `init_connect` does not run for those who may do everything.
    sql(
        &mut admin,
        &format!("CREATE USER app@'%'; GRANT ALL ON {database}.* TO app@'%'"),
    )
    .await;
    let address = server
        .url()
        .rsplit('@')
        .next()
        .unwrap()
        .replace("mysql://", "");
    let reader = MySqlStore::connect(&format!("mysql://app@{address}"))
        .await
        .unwrap();
    assert_eq!(reader.load(id).await.unwrap(), Some(kept.clone()));
    let errors = [
        reader.create(support::record::id(), &kept).await.map(drop),
        reader
            .save(id, &next(&kept, b""), kept.stamp)
            .await
            .map(drop),
        reader.touch(id, kept.stamp, kept.times).await.map(drop),
        reader.end(id, Some(&tombstone(&kept))).await.map(drop),
    ];
    for result in errors {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
        assert!(error.to_string().contains("read-only"), "{error}");
    }
    assert_eq!(writer.load(id).await.unwrap(), Some(kept));
}

async fn wrong_addresses_and_names_are_told_apart(url: String) {
    for wrong in [
        "postgres://x",
        "",
        "mysql://a:secret@[bad",
        "mysql://a:secret@h:port/x",
    ] {
        let error = MySqlStore::connect(wrong).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Rejected, "{wrong}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
    let injected = MySqlOptions::from_url(&url)
        .unwrap()
        .table("a`; DROP TABLE b");
    assert_eq!(
        injected.connect_lazy().unwrap_err().kind(),
        StoreErrorKind::Rejected
    );
    let port = cloakroom_services::free_port().unwrap();
    let nobody = format!("mysql://a:secret@127.0.0.1:{port}/x");
    let error = MySqlStore::connect(&nobody).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    let mut no_database = url.clone();
    no_database.truncate(url.rfind('/').unwrap());
    let error = MySqlStore::connect(&format!("{no_database}/nowhere"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Rejected);
    assert!(error.to_string().contains("does not exist"), "{error}");
}

async fn a_wrong_password_is_rejected_and_never_shown(_: String) {
    let server = MariaDb::start_with_password("correct-horse").unwrap();
    let wrong = server.url().replace("correct-horse", "battery-staple");
    assert_ne!(wrong, server.url());
    let options = MySqlOptions::from_url(&wrong).unwrap();
    assert!(!format!("{options:?}").contains("battery"), "{options:?}");
    let error = options.connect().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Rejected);
    assert!(error.to_string().contains("password"), "{error}");
    assert!(!format!("{error:?}").contains("battery"), "{error:?}");
    MySqlStore::connect(server.url()).await.unwrap();
}

async fn a_frozen_server_is_unavailable_and_heals(_: String) {
    let server = MariaDb::start().unwrap();
    let options = MySqlOptions::from_url(server.url())
        .unwrap()
        .operation_timeout(Duration::from_millis(300))
        .connect_timeout(Duration::from_millis(300));
    let store = options.connect().await.unwrap();
    store.migrate().await.unwrap();
    let (id, kept) = (id(), record(9_000));
    store.create(id, &kept).await.unwrap();
    server.freeze().unwrap();
    for _ in 0..3 {
        let error = store.load(id).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    }
    server.thaw().unwrap();
    let found = loop {
        // The server has a queue of dead connections to go through first.
        if let Ok(found) = store.load(id).await {
            break found;
        }
    };
    assert_eq!(found, Some(kept));
}

async fn a_killed_server_heals_and_keeps_what_it_acknowledged(_: String) {
    let server = MariaDb::start_with(&["--innodb-flush-log-at-trx-commit=1"]).unwrap();
    let store = MySqlStore::connect(server.url()).await.unwrap();
    store.migrate().await.unwrap();
    let (id, first) = (id(), record(9_000));
    store.create(id, &first).await.unwrap();
    let writer = tokio::spawn({
        let (store, mut last) = (store.clone(), first);
        async move {
            // Until the server dies: the last one acknowledged, and the one on its way.
            loop {
                let new = next(&last, &last.stamp.version.to_be_bytes());
                match store.save(id, &new, last.stamp).await {
                    Ok(SaveOutcome::Saved) => last = new,
                    Ok(other) => return (last, format!("{other:?}"), new),
                    Err(error) => return (last, format!("{:?}", error.kind()), new),
                }
            }
        }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.kill().unwrap();
    let (last, ending, pending) = writer.await.unwrap();
    assert_eq!(ending, "Unavailable");
    let error = store.load(id).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "never absence");
    server.restart().unwrap();
    let found = store.load(id).await.unwrap().unwrap();
    assert!(found == last || found == pending, "{found:?}");
    assert!(last.stamp.version > 1);
}
