use cloakroom_core::{Due, Record, SessionId, Stamp, Timestamp};
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::sql::Sql;
use crate::shared::failure::Failure;
use crate::shared::row::{self, millis, signed};
use crate::shared::run::Operation;

#[derive(Debug)]
pub(super) struct Expire<'a> {
    pub(super) sql: &'a Sql,
    pub(super) now: Timestamp,
    pub(super) due: Due<'a>,
}

/// What has timed out.
#[derive(Debug)]
pub(super) struct TimedOut {
    /// All of them, so that others who hold a copy are told.
    pub(super) ids: Vec<SessionId>,
    /// Those that can be read.
    pub(super) records: Vec<(SessionId, Record)>,
}

impl Operation<SqliteConnection> for Expire<'_> {
    type Output = TimedOut;

    /// `SQLite` returns only the new values of an update, so the old ones are read first, under the
    /// write lock.
    async fn run(&self, connection: &mut SqliteConnection) -> Result<Self::Output, Failure> {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let rows = self.find(&mut transaction).await?;
        for row in &rows {
            sqlx::query(self.sql.time_out.clone())
                .bind(row::value::<_, Vec<u8>>(row, 0)?)
                .bind(signed(Stamp::first().nonce))
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        let id = |row: &SqliteRow| -> Result<SessionId, Failure> {
            Ok(row::read_id(&row::value::<_, Vec<u8>>(row, 0)?)?)
        };
        Ok(TimedOut {
            ids: rows.iter().filter_map(|row| id(row).ok()).collect(),
            records: row::readable(
                rows.iter()
                    .map(|row| Ok((id(row)?, row::record::<_, String>(row, 1)?))),
            ),
        })
    }
}

impl Expire<'_> {
    async fn find(&self, connection: &mut SqliteConnection) -> Result<Vec<SqliteRow>, Failure> {
        match self.due {
            Due::Limit(limit) => Ok(sqlx::query(self.sql.due.clone())
                .bind(millis(self.now))
                .bind(i64::try_from(limit).unwrap_or(i64::MAX))
                .fetch_all(connection)
                .await?),
            Due::Ids(ids) => {
                // One that is named twice is ended once.
                let mut ids = ids.to_vec();
                ids.sort_unstable();
                ids.dedup();
                let mut rows = Vec::with_capacity(ids.len());
                for id in ids {
                    let found = sqlx::query(self.sql.due_id.clone())
                        .bind(millis(self.now))
                        .bind(id.as_bytes().to_vec())
                        .fetch_optional(&mut *connection)
                        .await?;
                    rows.extend(found);
                }
                Ok(rows)
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Purge<'a> {
    pub(super) sql: &'a Sql,
    pub(super) now: Timestamp,
    pub(super) limit: usize,
}

impl Operation<SqliteConnection> for Purge<'_> {
    type Output = usize;

    async fn run(&self, connection: &mut SqliteConnection) -> Result<usize, Failure> {
        let done = sqlx::query(self.sql.purge.clone())
            .bind(millis(self.now))
            .bind(i64::try_from(self.limit).unwrap_or(i64::MAX))
            .execute(connection)
            .await?;
        Ok(usize::try_from(done.rows_affected()).unwrap_or(usize::MAX))
    }
}
