use cloakroom_core::{Owner, Page, Peek, Record, SessionId};
use sqlx::mysql::MySqlConnection;

use super::sql::Sql;
use crate::shared::failure::Failure;
use crate::shared::row;
use crate::shared::run::Operation;

pub(super) async fn fetch_record(
    sql: &Sql,
    id: SessionId,
    connection: &mut MySqlConnection,
) -> Result<Option<Record>, Failure> {
    // All rows: the first one alone would leave the end of the answer unread.
    sqlx::query(sql.load.clone())
        .bind(id.as_bytes().as_slice())
        .fetch_all(connection)
        .await?
        .first()
        .map(|row| row::record::<_, Vec<u8>>(row, 0))
        .transpose()
}

pub(super) async fn fetch_peek(
    sql: &Sql,
    id: SessionId,
    connection: &mut MySqlConnection,
) -> Result<Option<Peek>, Failure> {
    sqlx::query(sql.peek.clone())
        .bind(id.as_bytes().as_slice())
        .fetch_all(connection)
        .await?
        .first()
        .map(|row| row::peek(row, 0))
        .transpose()
}

#[derive(Debug)]
pub(super) struct Load<'a> {
    pub(super) sql: &'a Sql,
    pub(super) id: SessionId,
}

impl Operation<MySqlConnection> for Load<'_> {
    type Output = Option<Record>;

    const REPEATABLE: bool = true;

    async fn run(&self, connection: &mut MySqlConnection) -> Result<Option<Record>, Failure> {
        fetch_record(self.sql, self.id, connection).await
    }
}

#[derive(Debug)]
pub(super) struct PeekAt<'a> {
    pub(super) sql: &'a Sql,
    pub(super) id: SessionId,
}

impl Operation<MySqlConnection> for PeekAt<'_> {
    type Output = Option<Peek>;

    const REPEATABLE: bool = true;

    async fn run(&self, connection: &mut MySqlConnection) -> Result<Option<Peek>, Failure> {
        fetch_peek(self.sql, self.id, connection).await
    }
}

#[derive(Debug)]
pub(super) struct OwnedBy<'a> {
    pub(super) sql: &'a Sql,
    pub(super) owner: &'a Owner,
    pub(super) page: Page,
}

impl Operation<MySqlConnection> for OwnedBy<'_> {
    type Output = Vec<SessionId>;

    const REPEATABLE: bool = true;

    async fn run(&self, connection: &mut MySqlConnection) -> Result<Vec<SessionId>, Failure> {
        let after = self
            .page
            .after
            .map_or_else(Vec::new, |id| id.as_bytes().to_vec());
        sqlx::query(self.sql.owned_by.clone())
            .bind(self.owner.as_str().as_bytes())
            .bind(after)
            .bind(i64::try_from(self.page.limit).unwrap_or(i64::MAX))
            .fetch_all(connection)
            .await?
            .iter()
            .map(|row| Ok(row::read_id(&row::value::<_, Vec<u8>>(row, 0)?)?))
            .collect()
    }
}
