use cloakroom_core::{Owner, Page, Peek, Record, SessionId};
use sqlx::postgres::PgConnection;

use super::sql::Sql;
use super::uuid::Uuid;
use crate::shared::failure::Failure;
use crate::shared::row;
use crate::shared::run::Operation;

#[derive(Debug)]
pub(super) struct Load<'a> {
    pub(super) sql: &'a Sql,
    pub(super) id: SessionId,
}

impl Operation<PgConnection> for Load<'_> {
    type Output = Option<Record>;

    const REPEATABLE: bool = true;

    async fn run(&self, connection: &mut PgConnection) -> Result<Option<Record>, Failure> {
        sqlx::query(self.sql.load.clone())
            .bind(Uuid(self.id))
            .fetch_optional(connection)
            .await?
            .map(|row| row::record::<_, String>(&row, 0))
            .transpose()
    }
}

#[derive(Debug)]
pub(super) struct PeekAt<'a> {
    pub(super) sql: &'a Sql,
    pub(super) id: SessionId,
}

impl Operation<PgConnection> for PeekAt<'_> {
    type Output = Option<Peek>;

    const REPEATABLE: bool = true;

    async fn run(&self, connection: &mut PgConnection) -> Result<Option<Peek>, Failure> {
        sqlx::query(self.sql.peek.clone())
            .bind(Uuid(self.id))
            .fetch_optional(connection)
            .await?
            .map(|row| row::peek(&row, 0))
            .transpose()
    }
}

#[derive(Debug)]
pub(super) struct OwnedBy<'a> {
    pub(super) sql: &'a Sql,
    pub(super) owner: &'a Owner,
    pub(super) page: Page,
}

impl Operation<PgConnection> for OwnedBy<'_> {
    type Output = Vec<SessionId>;

    const REPEATABLE: bool = true;

    async fn run(&self, connection: &mut PgConnection) -> Result<Vec<SessionId>, Failure> {
        // No id of version 7 is as small as this one.
        let after = self.page.after.unwrap_or(SessionId::from_bytes([0; 16]));
        sqlx::query(self.sql.owned_by.clone())
            .bind(self.owner.as_str())
            .bind(Uuid(after))
            .bind(i64::try_from(self.page.limit).unwrap_or(i64::MAX))
            .fetch_all(connection)
            .await?
            .iter()
            .map(|row| Ok(row::value::<_, Uuid>(row, 0)?.0))
            .collect()
    }
}
