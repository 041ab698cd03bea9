use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use cloakroom_core::{Due, Record, SessionId, Timestamp};
use sqlx::mysql::MySqlConnection;

use super::sql::Sql;
use crate::shared::failure::Failure;
use crate::shared::row::{self, value};
use crate::shared::run::Operation;

#[derive(Debug)]
pub(super) struct Expire<'a> {
    pub(super) sql: &'a Sql,
    pub(super) now: Timestamp,
    pub(super) due: Due<'a>,
}

impl Operation<MySqlConnection> for Expire<'_> {
    type Output = Vec<(SessionId, Record)>;

    async fn run(&self, connection: &mut MySqlConnection) -> Result<Self::Output, Failure> {
        let lock = match self.due {
            Due::Ids([]) => return Ok(Vec::new()),
            Due::Limit(limit) => self.sql.lock_due(self.now, limit),
            Due::Ids(ids) => self.sql.lock_ids(self.now, ids),
        };
        let rows = sqlx::raw_sql(lock)
            .fetch_all(&mut *connection)
            .await
            .map_err(Failure::Halfway)?;
        let ids = rows
            .iter()
            .map(|row| value::<_, Vec<u8>>(row, 9))
            .collect::<Result<Vec<_>, _>>()
            .map_err(halfway)?;
        finish(
            connection,
            (!ids.is_empty()).then(|| self.sql.time_out(&ids)),
        )
        .await?;
        Ok(row::readable(rows.iter().zip(&ids).map(|(row, id)| {
            Ok((row::read_id(id)?, row::record::<_, Vec<u8>>(row, 0)?))
        })))
    }
}

/// Where the search for expired rows begins if nothing is known.
const FROM_THE_START: i64 = i64::MIN + 1;

/// A search from the start walks over what was removed since the last one: with more than so many rows
/// it is left to a later call.
const WALKED_OVER: u64 = 20_000;

/// How far the store's purge has come.
///
/// `InnoDB` leaves removed entries in the index until its own purge comes round to them, and a search
/// from the start walks over all of them each time.
#[derive(Debug)]
pub(super) struct Progress {
    /// The `expires_at` up to which the last batch has removed rows.
    from: AtomicI64,
    /// Rows removed since a search began at the start.
    removed: AtomicU64,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            from: AtomicI64::new(FROM_THE_START),
            removed: AtomicU64::new(0),
        }
    }
}

#[derive(Debug)]
pub(super) struct Purge<'a> {
    pub(super) sql: &'a Sql,
    pub(super) now: Timestamp,
    pub(super) limit: usize,
    pub(super) progress: &'a Progress,
}

impl Operation<MySqlConnection> for Purge<'_> {
    type Output = usize;

    async fn run(&self, connection: &mut MySqlConnection) -> Result<usize, Failure> {
        let from = self.progress.from.load(Ordering::Relaxed);
        let removed = self.batch(connection, from, self.limit).await?;
        let walk = self.progress.removed.load(Ordering::Relaxed);
        if removed == self.limit || from == FROM_THE_START || walk > WALKED_OVER {
            return Ok(removed);
        }
        // A shorter timeout may have put rows where the search had been: look there as well.
        let rest = self.limit - removed;
        Ok(removed + self.batch(connection, FROM_THE_START, rest).await?)
    }
}

impl Purge<'_> {
    async fn batch(
        &self,
        connection: &mut MySqlConnection,
        from: i64,
        limit: usize,
    ) -> Result<usize, Failure> {
        let Progress {
            from: next_from,
            removed,
        } = self.progress;
        if from == FROM_THE_START {
            removed.store(0, Ordering::Relaxed);
        }
        let rows = sqlx::raw_sql(self.sql.lock_expired(self.now, from, limit))
            .fetch_all(&mut *connection)
            .await
            .map_err(Failure::Halfway)?;
        let ids = rows
            .iter()
            .map(|row| value::<_, Vec<u8>>(row, 0))
            .collect::<Result<Vec<_>, _>>()
            .map_err(halfway)?;
        finish(connection, (!ids.is_empty()).then(|| self.sql.remove(&ids))).await?;
        removed.fetch_add(ids.len() as u64, Ordering::Relaxed);
        let last = rows.last().filter(|_| rows.len() == limit);
        let next = last.and_then(|row| value::<_, i64>(row, 1).ok());
        next_from.store(next.unwrap_or(FROM_THE_START), Ordering::Relaxed);
        Ok(ids.len())
    }
}

/// The second text of a transaction, which commits.
async fn finish(
    connection: &mut MySqlConnection,
    text: Option<sqlx::SqlStr>,
) -> Result<(), Failure> {
    let text = text.unwrap_or(sqlx::SqlStr::from_static("COMMIT"));
    sqlx::raw_sql(text)
        .execute(connection)
        .await
        .map_err(Failure::Halfway)?;
    Ok(())
}

/// A transaction is open when an id of another type is met.
fn halfway(failure: Failure) -> Failure {
    match failure {
        Failure::Driver(error) => Failure::Halfway(error),
        Failure::Store(_) | Failure::Halfway(_) => {
            Failure::Halfway(sqlx::Error::ColumnNotFound("id".to_owned()))
        }
    }
}
