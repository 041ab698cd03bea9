use cloakroom_core::{
    CreateOutcome, Record, SaveOutcome, SessionId, Stamp, State, StoreError, Times, TouchOutcome,
};
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection};
use sqlx::{Connection, SqlStr};

use super::connect::Opener;
use super::read::{fetch_peek, fetch_record};
use super::sql::Sql;
use crate::shared::failure::Failure;
use crate::shared::pool::Connector;
use crate::shared::row::{self, millis, signed};
use crate::shared::run::{Operation, ROUNDS, restless};

/// The id and the nine columns of a record, as `?1` to `?10`.
fn bind(statement: SqlStr, id: SessionId, record: &Record) -> Query<'_, Sqlite, SqliteArguments> {
    sqlx::query(statement)
        .bind(id.as_bytes().to_vec())
        .bind(signed(record.stamp.version))
        .bind(signed(record.stamp.nonce))
        .bind(row::state(record.state))
        .bind(record.owner.as_ref().map(cloakroom_core::Owner::as_str))
        .bind(millis(record.times.used_at))
        .bind(record.times.deadline.map(millis))
        .bind(record.times.expires_at.map(millis))
        .bind(record.head.as_slice())
        .bind(record.body.as_slice())
}

#[derive(Debug)]
pub(super) struct Create<'a> {
    pub(super) sql: &'a Sql,
    pub(super) id: SessionId,
    pub(super) record: &'a Record,
}

impl Operation<SqliteConnection> for Create<'_> {
    type Output = CreateOutcome;

    async fn run(&self, connection: &mut SqliteConnection) -> Result<CreateOutcome, Failure> {
        for _ in 0..ROUNDS {
            let done = bind(self.sql.create.clone(), self.id, self.record)
                .execute(&mut *connection)
                .await?;
            if done.rows_affected() > 0 {
                return Ok(CreateOutcome::Created);
            }
            if let Some(peek) = fetch_peek(self.sql, self.id, connection).await? {
                return Ok(CreateOutcome::Exists(peek.stamp));
            }
        }
        Err(restless())
    }
}

#[derive(Debug)]
pub(super) struct Save<'a> {
    pub(super) sql: &'a Sql,
    pub(super) id: SessionId,
    pub(super) record: &'a Record,
    pub(super) expected: Stamp,
}

impl Save<'_> {
    fn statement(&self) -> Query<'_, Sqlite, SqliteArguments> {
        let record = self.record;
        if !record.leaves_times {
            return bind(self.sql.save.clone(), self.id, record);
        }
        sqlx::query(self.sql.save_payload.clone())
            .bind(self.id.as_bytes().to_vec())
            .bind(signed(record.stamp.version))
            .bind(signed(record.stamp.nonce))
            .bind(record.head.as_slice())
            .bind(record.body.as_slice())
    }
}

impl Operation<SqliteConnection> for Save<'_> {
    type Output = SaveOutcome;

    async fn run(&self, connection: &mut SqliteConnection) -> Result<SaveOutcome, Failure> {
        for _ in 0..ROUNDS {
            let done = self
                .statement()
                .bind(signed(self.expected.version))
                .bind(signed(self.expected.nonce))
                .execute(&mut *connection)
                .await?;
            if done.rows_affected() > 0 {
                return Ok(SaveOutcome::Saved);
            }
            match fetch_record(self.sql, self.id, connection).await? {
                None => return Ok(SaveOutcome::Gone),
                Some(found) if found.state == State::Ended => return Ok(SaveOutcome::Ended(found)),
                Some(found) if found.stamp != self.expected => {
                    return Ok(SaveOutcome::Conflict(found));
                }
                Some(_) => {}
            }
        }
        Err(restless())
    }
}

#[derive(Debug)]
pub(super) struct Touch<'a> {
    pub(super) sql: &'a Sql,
    pub(super) id: SessionId,
    pub(super) expected: Stamp,
    pub(super) times: Times,
}

impl Operation<SqliteConnection> for Touch<'_> {
    type Output = TouchOutcome;

    async fn run(&self, connection: &mut SqliteConnection) -> Result<TouchOutcome, Failure> {
        for _ in 0..ROUNDS {
            let done = sqlx::query(self.sql.touch.clone())
                .bind(self.id.as_bytes().to_vec())
                .bind(signed(self.expected.version))
                .bind(signed(self.expected.nonce))
                .bind(millis(self.times.used_at))
                .bind(self.times.deadline.map(millis))
                .bind(self.times.expires_at.map(millis))
                .execute(&mut *connection)
                .await?;
            if done.rows_affected() > 0 {
                return Ok(TouchOutcome::Touched);
            }
            match fetch_peek(self.sql, self.id, connection).await? {
                None => return Ok(TouchOutcome::Gone),
                Some(found) if found.state == State::Ended => return Ok(TouchOutcome::Ended),
                Some(found) if found.stamp != self.expected => {
                    return Ok(TouchOutcome::Moved(found.stamp));
                }
                Some(_) => {}
            }
        }
        Err(restless())
    }
}

#[derive(Debug)]
pub(super) struct End<'a> {
    pub(super) sql: &'a Sql,
    pub(super) id: SessionId,
    pub(super) tombstone: Option<&'a Record>,
}

/// What an ending has met: no live row, or one as it was, if it can be read.
pub(super) type Met = Option<Result<Record, StoreError>>;

impl Operation<SqliteConnection> for End<'_> {
    type Output = Met;

    /// A row that cannot be read is ended all the same, and then reported.
    async fn run(&self, connection: &mut SqliteConnection) -> Result<Met, Failure> {
        let id = self.id.as_bytes().to_vec();
        let rows = if let Some(tombstone) = self.tombstone {
            let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
            let rows = sqlx::query(self.sql.load_live.clone())
                .bind(id)
                .fetch_all(&mut *transaction)
                .await?;
            bind(self.sql.tombstone.clone(), self.id, tombstone)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            rows
        } else {
            // All rows: the first one would be told before the commit is known to have worked.
            sqlx::query(self.sql.remove.clone())
                .bind(id)
                .fetch_all(&mut *connection)
                .await?
        };
        Ok(rows.first().and_then(|row| {
            match row::record::<_, String>(row, 0) {
                // A tombstone that was removed had ended before.
                Ok(record) => (record.state == State::Live).then_some(Ok(record)),
                Err(failure) => Some(Err(unreadable(failure))),
            }
        }))
    }
}

/// The statement worked; the row that it returned is damaged.
fn unreadable(failure: Failure) -> StoreError {
    match failure {
        Failure::Store(error) => error,
        Failure::Driver(error) => Opener::judge(error).error,
        #[cfg(feature = "mysql")]
        Failure::Halfway(error) => Opener::judge(error).error,
    }
}
