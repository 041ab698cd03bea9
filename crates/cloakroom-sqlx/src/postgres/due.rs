use cloakroom_core::{Due, Record, SessionId, Stamp, Timestamp};
use sqlx::postgres::PgConnection;

use super::sql::Sql;
use super::uuid::Uuid;
use crate::shared::failure::Failure;
use crate::shared::row::{self, millis, signed};
use crate::shared::run::Operation;

#[derive(Debug)]
pub(super) struct Expire<'a> {
    pub(super) sql: &'a Sql,
    pub(super) now: Timestamp,
    pub(super) due: Due<'a>,
}

impl Operation<PgConnection> for Expire<'_> {
    type Output = Vec<(SessionId, Record)>;

    async fn run(&self, connection: &mut PgConnection) -> Result<Self::Output, Failure> {
        // Different bits for every call: a nonce that is mixed with them is a new one.
        let salt = signed(Stamp::first().nonce | 1);
        let statement = match self.due {
            Due::Limit(_) => &self.sql.expire_due,
            Due::Ids(_) => &self.sql.expire_ids,
        };
        let query = sqlx::query(statement.clone())
            .bind(millis(self.now))
            .bind(salt);
        let query = match self.due {
            Due::Limit(limit) => query.bind(i64::try_from(limit).unwrap_or(i64::MAX)),
            Due::Ids(ids) => query.bind(ids.iter().copied().map(Uuid).collect::<Vec<_>>()),
        };
        let rows = query.fetch_all(connection).await?;
        Ok(row::readable(rows.iter().map(|row| {
            let id = row::value::<_, Uuid>(row, 10)?.0;
            Ok((id, row::record::<_, String>(row, 0)?))
        })))
    }
}

#[derive(Debug)]
pub(super) struct Purge<'a> {
    pub(super) sql: &'a Sql,
    pub(super) now: Timestamp,
    pub(super) limit: usize,
}

impl Operation<PgConnection> for Purge<'_> {
    type Output = usize;

    async fn run(&self, connection: &mut PgConnection) -> Result<usize, Failure> {
        let done = sqlx::query(self.sql.purge.clone())
            .bind(millis(self.now))
            .bind(i64::try_from(self.limit).unwrap_or(i64::MAX))
            .execute(connection)
            .await?;
        Ok(usize::try_from(done.rows_affected()).unwrap_or(usize::MAX))
    }
}
