//! A purge of many rows by two nodes beside live traffic: how long it takes, and what the traffic
//! feels.
//!
//! `ROWS=2000000 cargo bench -p cloakroom-sqlx --all-features --bench purge [sqlite|postgres|mysql]`
//!
//! `POOL=32M` gives `MariaDB` less than its default of 128 MiB for its pages.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it measures time and prints it"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cloakroom_core::{
    Record, SaveOutcome, SessionId, SessionStore, Stamp, State, Times, Timestamp, TouchOutcome,
};
use cloakroom_services::{MariaDb, shared};
use cloakroom_sqlx::{MySqlOptions, MySqlStore, PostgresStore, SqliteOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

// Rows are filled in as they come in life: an id begins with the time when it was made (UUIDv7), so that what
// ends together lies together.

/// Requests at once beside the purge.
const CLIENTS: usize = 8;

fn main() {
    let rows: u64 = std::env::var("ROWS")
        .ok()
        .and_then(|rows| rows.parse().ok())
        .unwrap_or(200_000);
    let asked: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let wanted = |name: &str| asked.is_empty() || asked.iter().any(|word| word == name);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    runtime.block_on(async {
        if wanted("sqlite") {
            sqlite(rows).await;
        }
        if wanted("postgres") {
            postgres(rows).await;
        }
        if wanted("mysql") {
            mysql(rows).await;
        }
    });
}

async fn sqlite(rows: u64) {
    let path = std::env::temp_dir().join(format!("cloakroom-purge-{}.db", std::process::id()));
    let open = || {
        SqliteOptions::new(&path)
            .operation_timeout(Duration::from_secs(10))
            .open()
    };
    let store = open().await.expect("the file can be opened");
    store.migrate().await.expect("the table can be made");
    let fill = format!(
        "INSERT INTO cloakroom_sessions WITH RECURSIVE n(n) AS \
         (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {rows}) \
         SELECT CAST(unhex(format('%012x', n)) || randomblob(10) AS BLOB), 1, 1, n % 2, NULL, 1, n, n, x'01', zeroblob(200) FROM n"
    );
    let mut operator = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(&path)
        .connect()
        .await
        .expect("the file can be opened");
    sqlx::raw_sql(AssertSqlSafe(fill))
        .execute(&mut operator)
        .await
        .expect("rows can be made");
    operator.close().await.expect("it closes");
    measure(
        "SQLite",
        store,
        open().await.expect("the file can be opened"),
        rows,
    )
    .await;
    for suffix in ["", "-wal", "-shm"] {
        std::fs::remove_file(format!("{}{suffix}", path.display())).ok();
    }
}

async fn postgres(rows: u64) {
    let url = shared::postgres().expect("PostgreSQL starts");
    let store = PostgresStore::connect(&url)
        .await
        .expect("the server answers");
    store.migrate().await.expect("the table can be made");
    let fill = format!(
        "INSERT INTO cloakroom_sessions SELECT (lpad(to_hex(n), 12, '0') || right(md5(n::text), 20))::uuid, 1, 1, (n % 2)::smallint, NULL, \
         1, n, n, '\\x01', decode(repeat('00', 200), 'hex') FROM generate_series(1, {rows}) AS n"
    );
    let options: sqlx::postgres::PgConnectOptions = url.parse().expect("the URL is right");
    let mut operator = options.connect().await.expect("the server answers");
    sqlx::raw_sql(AssertSqlSafe(fill))
        .execute(&mut operator)
        .await
        .expect("rows can be made");
    let other = PostgresStore::connect(&url)
        .await
        .expect("the server answers");
    measure("PostgreSQL", store, other, rows).await;
}

async fn mysql(rows: u64) {
    // The servers of the tests have less memory than anybody would give a database; this is MariaDB's default.
    let pool = std::env::var("POOL").unwrap_or_else(|_| "128M".to_owned());
    let server = MariaDb::start_with(&[
        &format!("--innodb-buffer-pool-size={pool}"),
        "--innodb-log-file-size=96M",
    ])
    .expect("MariaDB starts");
    let url = server.url().to_owned();
    let store = patient_mysql(&url).await;
    store.migrate().await.expect("the table can be made");
    let fill = format!(
        "INSERT INTO cloakroom_sessions SELECT UNHEX(CONCAT(LPAD(HEX(seq), 12, '0'), RIGHT(MD5(seq), 20))), 1, 1, seq % 2, NULL, 1, seq, seq, \
         X'01', REPEAT('x', 200) FROM seq_1_to_{rows}"
    );
    let options: sqlx::mysql::MySqlConnectOptions = url.parse().expect("the URL is right");
    let mut operator = options.connect().await.expect("the server answers");
    sqlx::raw_sql(AssertSqlSafe(fill))
        .execute(&mut operator)
        .await
        .expect("rows can be made");
    let other = patient_mysql(&url).await;
    measure(&format!("MariaDB, pool {pool}"), store, other, rows).await;
}

/// The longest batch shall be seen, not cut off.
async fn patient_mysql(url: &str) -> MySqlStore {
    MySqlOptions::from_url(url)
        .expect("the URL is right")
        .operation_timeout(Duration::from_secs(30))
        .connect()
        .await
        .expect("the server answers")
}

async fn measure<S: SessionStore + Clone>(name: &str, store: S, other: S, rows: u64) {
    let now = Timestamp::from_millis(rows + 10);
    let quiet = traffic(
        &store,
        Arc::new(AtomicBool::new(false)),
        Duration::from_secs(3),
    )
    .await;
    let stop = Arc::new(AtomicBool::new(false));
    let live = tokio::spawn({
        let (store, stop) = (store.clone(), Arc::clone(&stop));
        async move { traffic(&store, stop, Duration::from_hours(1)).await }
    });
    let start = Instant::now();
    let nodes = [store, other].map(|node| {
        tokio::spawn(async move {
            let (mut removed, mut longest) = (0, Duration::ZERO);
            loop {
                const BATCH: usize = 500;
                let start = Instant::now();
                let answer = node.purge(now, BATCH).await;
                if let Err(error) = &answer
                    && error.is_retryable()
                {
                    // As the housekeeper does: it backs off and goes on.
                    println!("meanwhile: {error}");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
                let some = answer.expect("a purge fails for a while at most");
                longest = longest.max(start.elapsed());
                removed += some;
                if some < BATCH {
                    // As the housekeeper's pass.
                    return (removed, longest);
                }
            }
        })
    });
    let (mut removed, mut longest) = (0, Duration::ZERO);
    for node in nodes {
        let (some, slowest) = node.await.expect("no purge panics");
        removed += some;
        longest = longest.max(slowest);
    }
    let took = start.elapsed();
    stop.store(true, Ordering::Release);
    let busy = live.await.expect("no request fails");
    println!("{name}: {removed} of {rows} rows in {took:.1?}, the longest call {longest:.1?}");
    println!("  traffic alone:          {quiet}");
    println!("  traffic while purging:  {busy}");
}

/// Clients that load, save and touch a session each; what the slowest of their operations took.
async fn traffic<S: SessionStore + Clone>(
    store: &S,
    stop: Arc<AtomicBool>,
    longest: Duration,
) -> String {
    let start = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (store, stop) = (store.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut times = Vec::new();
                while !stop.load(Ordering::Acquire) && start.elapsed() < longest {
                    one_session(&store, &mut times).await;
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for client in clients {
        times.extend(client.await.expect("no operation fails"));
    }
    let per_second =
        f64::from(u32::try_from(times.len()).unwrap_or(u32::MAX)) / start.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |share: usize| {
        times
            .get(times.len() * share / 1_000)
            .copied()
            .unwrap_or_default()
    };
    let last = times.last().copied().unwrap_or_default();
    format!(
        "{per_second:.0} operations/s, p50 {:.1?}, p99 {:.1?}, p99.9 {:.1?}, longest {last:.1?}",
        at(500),
        at(990),
        at(999)
    )
}

async fn one_session<S: SessionStore>(store: &S, took: &mut Vec<Duration>) {
    let id = SessionId::generate(Timestamp::from_millis(1_700_000_000_000));
    let far = Some(Timestamp::from_millis(4_000_000_000_000));
    let until = Times {
        used_at: Timestamp::EPOCH,
        deadline: far,
        expires_at: far,
    };
    let mut record = Record::from_stored(
        Stamp::first(),
        State::Live,
        None,
        until,
        vec![1; 60],
        vec![1; 200],
    );
    let mut timed = |start: Instant| took.push(start.elapsed());
    let start = Instant::now();
    store.create(id, &record).await.expect("it is created");
    timed(start);
    for _ in 0..5 {
        let start = Instant::now();
        store.load(id).await.expect("it is loaded");
        timed(start);
        let expected = record.stamp;
        record.stamp = expected.next();
        let start = Instant::now();
        let saved = store
            .save(id, &record, expected)
            .await
            .expect("it is saved");
        timed(start);
        assert_eq!(saved, SaveOutcome::Saved);
        let start = Instant::now();
        let touched = store
            .touch(id, record.stamp, until)
            .await
            .expect("it is touched");
        timed(start);
        assert_eq!(touched, TouchOutcome::Touched);
    }
    let start = Instant::now();
    store.end(id, None).await.expect("it is ended");
    timed(start);
}
