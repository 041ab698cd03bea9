use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

use super::sql::Sql;
use crate::shared::failure::Failure;
use crate::shared::run::Operation;
use crate::shared::schema;
use crate::shared::statement::statement;

#[derive(Debug)]
pub(super) struct Migrate<'a> {
    pub(super) sql: &'a Sql,
    pub(super) steps: &'a [Vec<String>],
}

impl Operation<SqliteConnection> for Migrate<'_> {
    type Output = ();

    async fn run(&self, connection: &mut SqliteConnection) -> Result<(), Failure> {
        // Without a lock first: as a rule there is nothing to do.
        let found = self.version(connection).await?;
        if schema::pending(self.steps, found)?.is_empty() {
            return Ok(());
        }
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let found = self.version(&mut transaction).await?;
        for step in schema::pending(self.steps, found)?.iter().flatten() {
            sqlx::raw_sql(statement(step.as_str()))
                .execute(&mut *transaction)
                .await?;
        }
        sqlx::query(self.sql.set_schema_version.clone())
            .bind(i64::try_from(self.steps.len()).unwrap_or(i64::MAX))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }
}

impl Migrate<'_> {
    async fn version(&self, connection: &mut SqliteConnection) -> Result<Option<i64>, Failure> {
        let known: Option<(String,)> = sqlx::query_as(self.sql.has_schema.clone())
            .fetch_optional(&mut *connection)
            .await?;
        if known.is_none() {
            return Ok(None);
        }
        let version: Option<(i64,)> = sqlx::query_as(self.sql.schema_version.clone())
            .fetch_optional(connection)
            .await?;
        Ok(version.map(|(version,)| version))
    }
}
