use sqlx::Connection;
use sqlx::postgres::PgConnection;

use super::sql::Sql;
use crate::shared::failure::Failure;
use crate::shared::row::value;
use crate::shared::run::Operation;
use crate::shared::schema;
use crate::shared::statement::statement;

/// Nodes that start at once migrate one after the other, under this advisory lock (any number of
/// our own will do: the letters `cloakroo`).
const LOCK: i64 = 0x636c_6f61_6b72_6f6f;

#[derive(Debug)]
pub(super) struct Migrate<'a> {
    pub(super) sql: &'a Sql,
    pub(super) steps: &'a [Vec<String>],
}

impl Operation<PgConnection> for Migrate<'_> {
    type Output = ();

    async fn run(&self, connection: &mut PgConnection) -> Result<(), Failure> {
        // Without a lock or a right to create first: as a rule there is nothing to do.
        let found = self.version(connection).await?;
        if schema::pending(self.steps, found)?.is_empty() {
            return Ok(());
        }
        let mut transaction = connection.begin().await?;
        // An index over a large table takes longer than a request may.
        sqlx::raw_sql("SET LOCAL statement_timeout = 0")
            .execute(&mut *transaction)
            .await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(LOCK)
            .execute(&mut *transaction)
            .await?;
        let found = self.version(&mut transaction).await?;
        for step in schema::pending(self.steps, found)?.iter().flatten() {
            sqlx::raw_sql(statement(step.as_str()))
                .execute(&mut *transaction)
                .await?;
        }
        sqlx::query(self.sql.set_schema_version.clone())
            .bind(i64::try_from(self.steps.len()).unwrap_or(i64::MAX))
            .persistent(false)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }
}

impl Migrate<'_> {
    async fn version(&self, connection: &mut PgConnection) -> Result<Option<i64>, Failure> {
        let known = sqlx::query(self.sql.find_schema.clone())
            .persistent(false)
            .fetch_one(&mut *connection)
            .await?;
        if !value(&known, 0)? {
            return Ok(None);
        }
        sqlx::query(self.sql.schema_version.clone())
            .persistent(false)
            .fetch_optional(connection)
            .await?
            .map(|row| value(&row, 0))
            .transpose()
    }
}
