//! A file for each side, both in WAL mode with `synchronous = NORMAL`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cloakroom_sqlx::{SqliteOptions, SqliteStore};
use tower_sessions_sqlx_store::sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};

use super::ours::{self, Mode};
use super::{Contest, Theirs, theirs};
use crate::Result;

/// The sizes of their pool: as many connections as ours reads with, or one. With several, writers
/// wait for each other by sleeping; with one, readers wait for each other. An application has to
/// choose; here each operation gets what suits it.
const READERS: u32 = 4;
const WRITER: u32 = 1;

pub(super) async fn contest<F>(compare: impl FnOnce(Contest) -> F) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    let folder = Folder::new()?;
    let (ours, theirs) = (folder.0.join("ours.db"), folder.0.join("theirs.db"));
    let readers = their_store(&theirs, READERS).await?;
    let writer = their_store(&theirs, WRITER).await?;
    let contest = Contest {
        title: "SQLite, a file each; 8 clients, each with a session of its own",
        ours_cold: ours::app(our_store(&ours).await?, Mode::Cold)?,
        ours: ours::app(our_store(&ours).await?, Mode::Verified)?,
        ours_bounded: ours::app(our_store(&ours).await?, Mode::Bounded)?,
        theirs: Theirs {
            reads: theirs::app(readers.clone()),
            writes: theirs::app(writer.clone()),
            cached_reads: theirs::cached(readers),
            cached_writes: theirs::cached(writer),
        },
    };
    compare(contest).await
}

async fn our_store(path: &Path) -> Result<SqliteStore> {
    let store = SqliteOptions::new(path).open().await?;
    store.migrate().await?;
    Ok(store)
}

async fn their_store(
    path: &Path,
    connections: u32,
) -> Result<tower_sessions_sqlx_store::SqliteStore> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(Duration::from_secs(5));
    let pool = SqlitePoolOptions::new()
        .max_connections(connections)
        .test_before_acquire(false)
        .connect_with(options)
        .await?;
    let store = tower_sessions_sqlx_store::SqliteStore::new(pool);
    store.migrate().await?;
    Ok(store)
}

/// A folder that goes with this value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let name = format!("cloakroom-compare-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}
