//! One private server, a table for each side.

use cloakroom_services::Postgres;
use cloakroom_sqlx::PostgresStore;
use tower_sessions_sqlx_store::sqlx::postgres::PgPoolOptions;

use super::ours::{self, Mode};
use super::{Contest, Theirs, theirs};
use crate::Result;

/// The size of their pool; the default of ours.
const CONNECTIONS: u32 = 10;

pub(super) async fn contest<F>(compare: impl FnOnce(Contest) -> F) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    let server = Postgres::start()?;
    let store = their_store(server.url()).await?;
    let contest = Contest {
        title: "\nPostgreSQL, a private server; 8 clients, each with a session of its own",
        ours_cold: ours::app(our_store(server.url()).await?, Mode::Cold)?,
        ours: ours::app(our_store(server.url()).await?, Mode::Verified)?,
        ours_bounded: ours::app(our_store(server.url()).await?, Mode::Bounded)?,
        theirs: Theirs {
            reads: theirs::app(store.clone()),
            writes: theirs::app(store.clone()),
            cached_reads: theirs::cached(store.clone()),
            cached_writes: theirs::cached(store),
        },
    };
    compare(contest).await
}

async fn our_store(url: &str) -> Result<PostgresStore> {
    let store = PostgresStore::connect(url).await?;
    store.migrate().await?;
    Ok(store)
}

async fn their_store(url: &str) -> Result<tower_sessions_sqlx_store::PostgresStore> {
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        // By default sqlx's pool also asks each connection whether it lives before it hands it
        // out: one more round trip for each statement, which a tuned application would not pay.
        .test_before_acquire(false)
        .connect(url)
        .await?;
    let store = tower_sessions_sqlx_store::PostgresStore::new(pool);
    store.migrate().await?;
    Ok(store)
}
