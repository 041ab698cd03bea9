use sqlx::mysql::MySqlConnection;

use super::sql::{COMMENT, Sql};
use crate::shared::cause::Cause;
use crate::shared::failure::Failure;
use crate::shared::row::value;
use crate::shared::run::Operation;
use crate::shared::schema;
use crate::shared::statement::statement;

#[derive(Debug)]
pub(super) struct Migrate<'a> {
    pub(super) sql: &'a Sql,
    pub(super) steps: &'a [Vec<String>],
}

impl Operation<MySqlConnection> for Migrate<'_> {
    type Output = ();

    async fn run(&self, connection: &mut MySqlConnection) -> Result<(), Failure> {
        // Without a lock or a right to create first: as a rule there is nothing to do.
        let found = self.version(connection).await?;
        if schema::pending(self.steps, found)?.is_empty() {
            return Ok(());
        }
        // Nodes that start at once go one after the other. The lock ends with the connection.
        sqlx::raw_sql("DO GET_LOCK('cloakroom migrate', 300)")
            .execute(&mut *connection)
            .await
            .map_err(Failure::Halfway)?;
        let done = self.take_steps(connection).await;
        sqlx::raw_sql("DO RELEASE_LOCK('cloakroom migrate')")
            .execute(connection)
            .await
            .map_err(Failure::Halfway)?;
        done
    }
}

impl Migrate<'_> {
    async fn take_steps(&self, connection: &mut MySqlConnection) -> Result<(), Failure> {
        let found = self.version(connection).await?;
        for step in schema::pending(self.steps, found)?.iter().flatten() {
            sqlx::raw_sql(statement(step.as_str()))
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }

    /// The version in the table's comment; `None` if there is no such table.
    async fn version(&self, connection: &mut MySqlConnection) -> Result<Option<i64>, Failure> {
        let rows = sqlx::raw_sql(self.sql.comment.clone())
            .fetch_all(connection)
            .await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let comment = String::from_utf8(value(row, 0)?).unwrap_or_default();
        let version = comment
            .strip_prefix(COMMENT)
            .and_then(|version| version.parse().ok());
        if version.is_none() {
            let (_, kind, sentence) = Cause::TableInTheWay.verdict();
            return Err(cloakroom_core::StoreError::new(kind, sentence).into());
        }
        Ok(version)
    }
}
