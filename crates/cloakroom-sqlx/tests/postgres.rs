//! `PostgreSQL`: the contract, privileges, notices, plans, outages and bad input.

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
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cloakroom_conformance::RoundTrips;
use cloakroom_core::{
    Change, ChangeFeed, CreateOutcome, Due, Reach, SaveOutcome, SessionId, SessionStore, Stamp,
    StoreErrorKind, TouchOutcome,
};
use cloakroom_services::Postgres;
use cloakroom_sqlx::{PostgresOptions, PostgresStore};
use harness::{Case, cases, on_runtime};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Row};
use support::contract;
use support::record::{at, id, next, owner, record, tombstone};

const CASES: &[Case] = cases![
    the_contract_is_kept,
    concurrent_writers_lose_nothing,
    nodes_may_migrate_at_once_and_then_need_few_rights,
    every_operation_is_one_round_trip,
    endings_and_new_secrets_are_told_and_nothing_else,
    a_feed_may_be_asked_for_outside_a_runtime,
    a_killed_listener_is_lost_and_then_live,
    the_listener_ends_with_its_last_reader,
    a_dropped_operation_never_leaves_its_reply_to_the_next,
    a_dropped_write_that_waits_holds_up_nobody,
    dead_idle_connections_are_no_outage,
    connections_that_lie_idle_are_closed,
    serialisation_failures_are_tried_again,
    a_server_without_a_free_connection_is_unavailable,
    the_searches_use_their_indexes,
    expire_and_purge_never_go_beyond_the_clock_of_the_database,
    two_that_purge_and_one_that_writes_never_wait_for_each_other,
    wrong_tables_say_how_to_mend_them,
    a_damaged_row_is_corrupt_and_can_be_ended,
    a_read_only_database_refuses_writes_and_can_be_read,
    wrong_addresses_and_names_are_told_apart,
    a_wrong_password_is_rejected_and_never_shown,
    a_frozen_server_is_unavailable_and_heals,
    a_killed_server_heals_and_keeps_what_it_acknowledged,
];

fn main() -> ExitCode {
    harness::run(cloakroom_services::shared::postgres, CASES)
}

/// A name that no other test of any run uses.
fn fresh(kind: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{kind}_{}_{count}", std::process::id())
}

/// A table of its own.
fn options(url: &str) -> PostgresOptions {
    PostgresOptions::from_url(url)
        .unwrap()
        .table(fresh("t"))
        .operation_timeout(Duration::from_secs(10))
}

async fn store(url: &str) -> PostgresStore {
    let store = options(url).connect().await.unwrap();
    store.migrate().await.unwrap();
    store
}

async fn operator(url: &str) -> PgConnection {
    url.parse::<PgConnectOptions>()
        .unwrap()
        .connect()
        .await
        .unwrap()
}

async fn sql(connection: &mut PgConnection, text: &str) -> Vec<PgRow> {
    sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
        .fetch_all(connection)
        .await
        .unwrap()
}

/// The URL under a name by which the server knows its connections.
fn named(url: &str, application: &str) -> String {
    let mark = if url.contains('?') { '&' } else { '?' };
    format!("{url}{mark}application_name={application}")
}

/// Ends the connections of an application, as a failing network would.
async fn terminate(url: &str, application: &str) {
    let mut admin = operator(url).await;
    let ended = sql(
        &mut admin,
        &format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE application_name = '{application}'"
        ),
    )
    .await;
    assert!(!ended.is_empty());
}

async fn next_of(feed: &mut ChangeFeed) -> Change {
    tokio::time::timeout(Duration::from_secs(10), feed.next())
        .await
        .unwrap()
        .unwrap()
}

async fn the_contract_is_kept(url: String) {
    contract::walk(&store(&url).await).await;
    let silent = options(&url).push_endings(false).connect().await.unwrap();
    silent.migrate().await.unwrap();
    contract::walk(&silent).await;
    assert_eq!(silent.capabilities().reach, Reach::None);
    assert!(silent.changes().is_none());
}

async fn concurrent_writers_lose_nothing(url: String) {
    let store = Arc::new(store(&url).await);
    contract::increments_add_up(Arc::clone(&store)).await;
    contract::each_ending_is_reported_once(store).await;
}

async fn nodes_may_migrate_at_once_and_then_need_few_rights(url: String) {
    let (schema, role) = (fresh("s"), fresh("r"));
    let mut admin = operator(&url).await;
    sql(
        &mut admin,
        &format!("CREATE SCHEMA {schema}; CREATE ROLE {role}"),
    )
    .await;
    let placed = |url: &str| {
        PostgresOptions::from_url(url)
            .unwrap()
            .schema(&schema)
            .table("mine")
    };
    let tasks: Vec<_> = (0..6)
        .map(|_| {
            let options = placed(&url);
            tokio::spawn(async move { options.connect().await.unwrap().migrate().await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    sql(
        &mut admin,
        &format!(
            "GRANT USAGE ON SCHEMA {schema} TO {role}; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.mine TO {role}; \
             GRANT SELECT ON {schema}.mine_schema TO {role}"
        ),
    )
    .await;
    let as_role = format!(
        "{url}{}options=-c%20role%3D{role}",
        if url.contains('?') { '&' } else { '?' }
    );
    let poor = placed(&as_role).connect().await.unwrap();
    poor.migrate().await.expect("nothing is to be done");
    contract::walk(&poor).await;
    let elsewhere = placed(&as_role).table("other").connect().await.unwrap();
    let error = elsewhere.migrate().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Rejected);
    assert!(error.to_string().contains("CREATE"), "{error}");
    rights_are_missed(&poor, &mut admin, &schema, &role).await;
    sql(
        &mut admin,
        &format!("DROP SCHEMA {schema} CASCADE; DROP ROLE {role}"),
    )
    .await;
}

/// A right that is taken away, and a schema that another release has changed.
async fn rights_are_missed(
    poor: &PostgresStore,
    admin: &mut PgConnection,
    schema: &str,
    role: &str,
) {
    sql(
        admin,
        &format!("REVOKE DELETE ON {schema}.mine FROM {role}"),
    )
    .await;
    let error = poor.purge(at(9), 9).await.unwrap_err();
    assert!(error.to_string().contains("privilege"), "{error}");
    sql(
        admin,
        &format!("UPDATE {schema}.mine_schema SET version = 99"),
    )
    .await;
    let error = poor.migrate().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unsupported);
}

async fn every_operation_is_one_round_trip(url: String) {
    let port = url.parse::<PgConnectOptions>().unwrap().get_port();
    let trips = RoundTrips::to(([127, 0, 0, 1], port).into()).await.unwrap();
    let through = url.replace(&format!(":{port}"), &format!(":{}", trips.address().port()));
    let store = options(&through)
        .max_connections(1)
        .connect()
        .await
        .unwrap();
    store.migrate().await.unwrap();
    for (name, cost) in cost::of(&store, &trips).await {
        assert_eq!(cost, 1, "{name}");
    }
}

async fn endings_and_new_secrets_are_told_and_nothing_else(url: String) {
    let options = options(&url);
    let (one, two) = (
        options.clone().connect().await.unwrap(),
        options.connect().await.unwrap(),
    );
    one.migrate().await.unwrap();
    assert_eq!(one.capabilities().reach, Reach::Endings);
    let mut feed = two.changes().unwrap();
    assert_eq!(next_of(&mut feed).await, Change::Live);
    let mut late = two.changes().unwrap();
    assert_eq!(next_of(&mut late).await, Change::Live);
    drop(late);
    let (ended, due, removed) = (id(), id(), id());
    let first = record(2_000);
    for id in [ended, due, removed] {
        one.create(id, &first).await.unwrap();
    }
    let plain = next(&first, b"x");
    one.save(ended, &plain, first.stamp).await.unwrap();
    one.touch(ended, plain.stamp, plain.times).await.unwrap();
    let mut login = next(&plain, b"y");
    login.owner = Some(owner("ada"));
    login.stamp.nonce = u64::MAX - 3;
    one.save(ended, &login, plain.stamp).await.unwrap();
    assert_eq!(
        next_of(&mut feed).await,
        Change::Saved {
            id: ended,
            stamp: login.stamp
        }
    );
    let mut renewed = next(&login, b"z");
    renewed.rekeyed = true;
    one.save(ended, &renewed, login.stamp).await.unwrap();
    assert_eq!(
        next_of(&mut feed).await,
        Change::Saved {
            id: ended,
            stamp: renewed.stamp
        }
    );
    let plain = next(&renewed, b"not told");
    assert!(!one.load(ended).await.unwrap().unwrap().rekeyed);
    one.save(ended, &plain, renewed.stamp).await.unwrap();
    let mut refused = next(&plain, b"lost");
    refused.rekeyed = true;
    one.save(ended, &refused, renewed.stamp).await.unwrap();
    one.end(ended, Some(&tombstone(&login))).await.unwrap();
    one.end(ended, None).await.unwrap();
    assert_eq!(next_of(&mut feed).await, Change::Ended { id: ended });
    one.end(removed, None).await.unwrap();
    assert_eq!(next_of(&mut feed).await, Change::Ended { id: removed });
    one.expire(at(2_000), Due::Limit(9)).await.unwrap();
    assert_eq!(next_of(&mut feed).await, Change::Ended { id: due });
    drop(two);
    assert_eq!(feed.next().await, None, "the feed ends with its store");
}

async fn a_feed_may_be_asked_for_outside_a_runtime(url: String) {
    let outside = std::thread::spawn(move || {
        let options = PostgresOptions::from_url(&url).unwrap().table(fresh("t"));
        let store = options.connect_lazy().unwrap();
        let mut feed = store.changes().unwrap();
        on_runtime(async {
            store.migrate().await.unwrap();
            store.load(id()).await.unwrap();
            assert_eq!(next_of(&mut feed).await, Change::Live);
        });
        // Its runtime is gone, and with it the task: that is a break, until the next one works.
        on_runtime(async {
            assert_eq!(next_of(&mut feed).await, Change::Lost);
            store.load(id()).await.unwrap();
            assert_eq!(next_of(&mut feed).await, Change::Live);
        });
    });
    tokio::task::spawn_blocking(|| outside.join().unwrap())
        .await
        .unwrap();
}

async fn a_killed_listener_is_lost_and_then_live(url: String) {
    let channel = fresh("c");
    let store = options(&named(&url, &channel))
        .channel(&channel)
        .connect()
        .await
        .unwrap();
    store.migrate().await.unwrap();
    let mut feed = store.changes().unwrap();
    assert_eq!(next_of(&mut feed).await, Change::Live);
    let mut admin = operator(&url).await;
    sql(
        &mut admin,
        &format!("NOTIFY {channel}, 'of a newer release'"),
    )
    .await;
    assert_eq!(next_of(&mut feed).await, Change::AllGone);
    terminate(&url, &channel).await;
    assert_eq!(next_of(&mut feed).await, Change::Lost);
    assert_eq!(next_of(&mut feed).await, Change::Live);
    let gone = id();
    store.create(gone, &record(9)).await.unwrap();
    store.end(gone, None).await.unwrap();
    assert_eq!(next_of(&mut feed).await, Change::Ended { id: gone });
}

async fn the_listener_ends_with_its_last_reader(url: String) {
    let application = fresh("a");
    let options = options(&named(&url, &application));
    let store = options
        .idle_timeout(Duration::from_millis(40))
        .connect()
        .await
        .unwrap();
    let mut feed = store.changes().unwrap();
    assert_eq!(next_of(&mut feed).await, Change::Live);
    drop(feed);
    let count =
        format!("SELECT pid FROM pg_stat_activity WHERE application_name = '{application}'");
    let mut admin = operator(&url).await;
    while !sql(&mut admin, &count).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut again = store.changes().unwrap();
    assert_eq!(next_of(&mut again).await, Change::Live);
}

/// Rule 10: the connection of a dropped operation is closed, not handed on.
async fn a_dropped_operation_never_leaves_its_reply_to_the_next(url: String) {
    let store = options(&url).max_connections(1).connect().await.unwrap();
    store.migrate().await.unwrap();
    let rows: Vec<_> = (0_u8..40)
        .map(|n| (id(), next(&record(9_000), &[n])))
        .collect();
    for (id, row) in &rows {
        store.create(*id, row).await.unwrap();
    }
    for (turn, ((id, row), other)) in rows.iter().zip(rows.iter().rev()).enumerate() {
        let micros = u64::try_from(turn).unwrap() * 20;
        // Dropped before, while and after it is sent and answered.
        tokio::time::timeout(Duration::from_micros(micros), store.load(other.0))
            .await
            .ok();
        assert_eq!(store.load(*id).await.unwrap().as_ref(), Some(row));
        let new = next(row, b"new");
        let saving = store.save(*id, &new, row.stamp);
        tokio::time::timeout(Duration::from_micros(micros), saving)
            .await
            .ok();
        let found = store.load(*id).await.unwrap().unwrap();
        assert!(found == *row || found == new, "{found:?}");
    }
}

async fn a_dropped_write_that_waits_holds_up_nobody(url: String) {
    let table = fresh("t");
    let store = options(&url)
        .table(&table)
        .max_connections(1)
        .connect()
        .await
        .unwrap();
    store.migrate().await.unwrap();
    let (id, first) = (id(), record(9_000));
    store.create(id, &first).await.unwrap();
    let mut other = operator(&url).await;
    sql(
        &mut other,
        &format!("BEGIN; SELECT FROM {table} WHERE id = '{id}' FOR UPDATE"),
    )
    .await;
    let new = next(&first, b"x");
    let saving = store.save(id, &new, first.stamp);
    tokio::time::timeout(Duration::from_millis(50), saving)
        .await
        .unwrap_err();
    // Its connection still waits for the row; the next operation must not wait behind it.
    let loading = tokio::time::timeout(Duration::from_secs(3), store.load(id));
    assert_eq!(loading.await.unwrap().unwrap(), Some(first));
    sql(&mut other, "ROLLBACK").await;
}

async fn dead_idle_connections_are_no_outage(url: String) {
    let application = fresh("a");
    let store = options(&named(&url, &application)).connect().await.unwrap();
    store.migrate().await.unwrap();
    let (id, first) = (id(), record(9_000));
    store.create(id, &first).await.unwrap();
    // Several idle connections, all of which die before each operation.
    let die = async || {
        let loads = [(); 4].map(|()| {
            let store = store.clone();
            tokio::spawn(async move { store.load(id).await.unwrap() })
        });
        for load in loads {
            load.await.unwrap();
        }
        terminate(&url, &application).await;
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
    die().await;
    let error = store.end(id, None).await.unwrap_err();
    assert_eq!(
        error.kind(),
        StoreErrorKind::Unavailable,
        "what it ended would not be known"
    );
}

async fn connections_that_lie_idle_are_closed(url: String) {
    let application = fresh("a");
    let options = options(&named(&url, &application)).push_endings(false);
    let store = options
        .idle_timeout(Duration::from_millis(40))
        .connect()
        .await
        .unwrap();
    let count =
        format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = '{application}'");
    let mut admin = operator(&url).await;
    let open =
        async |admin: &mut PgConnection| sql(admin, &count).await.first().unwrap().get::<i64, _>(0);
    // It was open, since `connect` has tried it.
    while open(&mut admin).await > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    store
        .migrate()
        .await
        .expect("another is made when it is needed");
}

async fn serialisation_failures_are_tried_again(url: String) {
    let mark = if url.contains('?') { '&' } else { '?' };
    let strict = format!("{url}{mark}options=-c%20default_transaction_isolation%3Dserializable");
    let store = options(&strict).max_connections(4).connect().await.unwrap();
    store.migrate().await.unwrap();
    contract::walk(&store).await;
    contract::increments_add_up(Arc::new(store)).await;
}

async fn a_server_without_a_free_connection_is_unavailable(_: String) {
    let limits = [
        "-c",
        "max_connections=4",
        "-c",
        "superuser_reserved_connections=0",
    ];
    let server = Postgres::start_with(&limits).unwrap();
    let mut taken = Vec::new();
    for _ in 0..4 {
        taken.push(operator(server.url()).await);
    }
    let error = PostgresStore::connect(server.url()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(error.to_string().contains("no connection free"), "{error}");
}

async fn the_searches_use_their_indexes(url: String) {
    let table = fresh("t");
    let store = PostgresOptions::from_url(&url)
        .unwrap()
        .table(&table)
        .connect()
        .await
        .unwrap();
    store.migrate().await.unwrap();
    let mut admin = operator(&url).await;
    sql(
        &mut admin,
        &format!(
            "INSERT INTO {table} SELECT gen_random_uuid(), 1, 1, (n % 2)::smallint, \
             'owner' || n % 100, n, n, n, '', '' FROM generate_series(1, 20000) AS n; \
             ANALYZE {table}"
        ),
    )
    .await;
    let clock = "least(50, (extract(epoch FROM statement_timestamp()) * 1000)::int8)";
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
                "DELETE FROM {table} WHERE id = ANY (ARRAY (SELECT id FROM {table} \
                 WHERE expires_at <= {clock} ORDER BY expires_at LIMIT 9 \
                 FOR UPDATE SKIP LOCKED)) AND expires_at <= {clock}"
            ),
            "expires_at",
        ),
        (
            format!(
                "SELECT id FROM {table} WHERE owner = 'owner7' \
                 AND id > '00000000-0000-0000-0000-000000000000' ORDER BY id LIMIT 9"
            ),
            "owner",
        ),
    ];
    for (statement, index) in plans {
        let plan: Vec<String> = sql(&mut admin, &format!("EXPLAIN {statement}"))
            .await
            .iter()
            .map(|row| row.get(0))
            .collect();
        let plan = plan.join("\n");
        assert!(plan.contains(&format!("{table}_{index}")), "{plan}");
        assert!(
            !plan.contains("Seq Scan") && !plan.contains("Sort"),
            "{plan}"
        );
    }
}

async fn expire_and_purge_never_go_beyond_the_clock_of_the_database(url: String) {
    let store = store(&url).await;
    let far = 4_000_000_000_000;
    let id = id();
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

async fn two_that_purge_and_one_that_writes_never_wait_for_each_other(url: String) {
    let table = fresh("t");
    let options = PostgresOptions::from_url(&url).unwrap().table(&table);
    let store = options.connect().await.unwrap();
    store.migrate().await.unwrap();
    let rows: Vec<SessionId> = (0..6).map(|_| id()).collect();
    for id in &rows {
        store.create(*id, &record(2_000)).await.unwrap();
    }
    // A writer in the middle of its transaction holds one row.
    let mut writer = operator(&url).await;
    let held = *rows.first().unwrap();
    sql(
        &mut writer,
        &format!("BEGIN; UPDATE {table} SET head = '\\x05' WHERE id = '{held}'"),
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

async fn wrong_tables_say_how_to_mend_them(url: String) {
    let table = fresh("t");
    let store = PostgresOptions::from_url(&url)
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
        &format!("CREATE TABLE {table} (id text, version int)"),
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
        &format!("ALTER TABLE {table} ALTER COLUMN body TYPE text USING ''"),
    )
    .await;
    let text = id();
    store.create(text, &record(1)).await.unwrap();
    let error = store.load(text).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Rejected);
    assert!(error.to_string().contains("another shape"), "{error}");
    sql(&mut admin, &format!("ALTER TABLE {table} DROP COLUMN body")).await;
    let error = store.create(id(), &record(1)).await.unwrap_err();
    assert!(error.to_string().contains("another shape"), "{error}");
    let error = store
        .save(id(), &record(1), Stamp::first())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Rejected);
}

async fn a_damaged_row_is_corrupt_and_can_be_ended(url: String) {
    let table = fresh("t");
    let store = PostgresOptions::from_url(&url)
        .unwrap()
        .table(&table)
        .connect()
        .await
        .unwrap();
    store.migrate().await.unwrap();
    let mut admin = operator(&url).await;
    sql(
        &mut admin,
        &format!(
            "ALTER TABLE {table} DROP CONSTRAINT {table}_state_check; \
             ALTER TABLE {table} ALTER COLUMN body DROP NOT NULL"
        ),
    )
    .await;
    for damage in ["state = 7", "used_at = -1", "body = NULL", "owner = ''"] {
        let (id, row) = (id(), record(2_000));
        store.create(id, &row).await.unwrap();
        sql(
            &mut admin,
            &format!("UPDATE {table} SET {damage} WHERE id = '{id}'"),
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
        &format!("UPDATE {table} SET used_at = -1 WHERE id = '{bad}'"),
    )
    .await;
    let ended = store.expire(at(2_000), Due::Limit(9)).await.unwrap();
    assert_eq!(ended, [(good, row)]);
}

async fn a_read_only_database_refuses_writes_and_can_be_read(url: String) {
    let table = fresh("t");
    let options = |url: &str| PostgresOptions::from_url(url).unwrap().table(&table);
    let store = options(&url).connect().await.unwrap();
    store.migrate().await.unwrap();
    let (id, kept) = (id(), record(2_000));
    store.create(id, &kept).await.unwrap();
    let mark = if url.contains('?') { '&' } else { '?' };
    let reader = format!("{url}{mark}options=-c%20default_transaction_read_only%3Don");
    let reader = options(&reader).connect().await.unwrap();
    assert_eq!(reader.load(id).await.unwrap(), Some(kept.clone()));
    let errors = [
        reader.create(support::record::id(), &kept).await.map(drop),
        reader
            .save(id, &next(&kept, b""), kept.stamp)
            .await
            .map(drop),
        reader.touch(id, kept.stamp, kept.times).await.map(drop),
        reader.end(id, Some(&tombstone(&kept))).await.map(drop),
        reader.expire(at(9_000), Due::Limit(1)).await.map(drop),
        reader.purge(at(9_000), 1).await.map(drop),
    ];
    for result in errors {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(error.to_string().contains("read-only"), "{error}");
    }
    assert_eq!(store.load(id).await.unwrap(), Some(kept));
}

async fn wrong_addresses_and_names_are_told_apart(url: String) {
    for wrong in [
        "mysql://x",
        "",
        "postgres://a:secret@[bad",
        "postgres://a:secret@h:port/x",
    ] {
        let error = PostgresStore::connect(wrong).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Rejected, "{wrong}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
    for options in [
        PostgresOptions::from_url(&url)
            .unwrap()
            .table("a; DROP TABLE b"),
        PostgresOptions::from_url(&url).unwrap().schema("a\"b"),
        PostgresOptions::from_url(&url).unwrap().channel("a'b"),
    ] {
        let error = options.connect_lazy().unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Rejected);
    }
    let port = cloakroom_services::free_port().unwrap();
    let nobody = format!("postgres://a:secret@127.0.0.1:{port}/x");
    let error = PostgresStore::connect(&nobody).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    let mut no_database = url.clone();
    no_database.truncate(url.rfind('/').unwrap());
    let error = PostgresStore::connect(&format!("{no_database}/nowhere"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Rejected);
    assert!(error.to_string().contains("does not exist"), "{error}");
}

async fn a_wrong_password_is_rejected_and_never_shown(_: String) {
    let server = Postgres::start_with_password("correct-horse").unwrap();
    let wrong = server.url().replace("correct-horse", "battery-staple");
    assert_ne!(wrong, server.url());
    let options = PostgresOptions::from_url(&wrong).unwrap();
    assert!(!format!("{options:?}").contains("battery"), "{options:?}");
    let error = options.connect().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Rejected);
    assert!(error.to_string().contains("password"), "{error}");
    assert!(!format!("{error:?}").contains("battery"), "{error:?}");
    PostgresStore::connect(server.url()).await.unwrap();
}

async fn a_frozen_server_is_unavailable_and_heals(_: String) {
    let server = Postgres::start().unwrap();
    let options = PostgresOptions::from_url(server.url())
        .unwrap()
        .operation_timeout(Duration::from_millis(300))
        .connect_timeout(Duration::from_millis(300));
    let store = options.connect().await.unwrap();
    store.migrate().await.unwrap();
    let mut feed = store.changes().unwrap();
    assert_eq!(next_of(&mut feed).await, Change::Live);
    let (id, kept) = (id(), record(9_000));
    store.create(id, &kept).await.unwrap();
    server.freeze().unwrap();
    for _ in 0..3 {
        let error = store.load(id).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    }
    assert_eq!(
        next_of(&mut feed).await,
        Change::Lost,
        "nobody is told what happens meanwhile"
    );
    server.thaw().unwrap();
    let found = loop {
        // The server has a queue of dead connections to go through first.
        if let Ok(found) = store.load(id).await {
            break found;
        }
    };
    assert_eq!(found, Some(kept));
    assert_eq!(next_of(&mut feed).await, Change::Live);
}

async fn a_killed_server_heals_and_keeps_what_it_acknowledged(_: String) {
    let server = Postgres::start_with(&["-c", "fsync=on", "-c", "synchronous_commit=on"]).unwrap();
    let store = PostgresStore::connect(server.url()).await.unwrap();
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
