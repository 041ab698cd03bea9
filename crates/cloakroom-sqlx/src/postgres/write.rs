use cloakroom_core::{
    CreateOutcome, Owner, Record, SaveOutcome, SessionId, Stamp, State, Times, TouchOutcome,
};
use sqlx::SqlStr;
use sqlx::postgres::{PgArguments, PgConnection, Postgres};
use sqlx::query::Query;

use super::read::Load;
use super::sql::Sql;
use super::uuid::Uuid;
use crate::shared::failure::Failure;
use crate::shared::row::{self, millis, signed, value};
use crate::shared::run::{Operation, ROUNDS, restless};
use crate::shared::settle::{settle_create, settle_save};

/// The id and the nine columns of a record, as `$1` to `$10`.
fn bind(statement: SqlStr, id: SessionId, record: &Record) -> Query<'_, Postgres, PgArguments> {
    sqlx::query(statement)
        .bind(Uuid(id))
        .bind(signed(record.stamp.version))
        .bind(signed(record.stamp.nonce))
        .bind(row::state(record.state))
        .bind(record.owner.as_ref().map(Owner::as_str))
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

impl Operation<PgConnection> for Create<'_> {
    type Output = CreateOutcome;

    const REPEATABLE: bool = true;

    fn settle(&self, second: CreateOutcome) -> Option<CreateOutcome> {
        settle_create(second, self.record.stamp)
    }

    async fn run(&self, connection: &mut PgConnection) -> Result<CreateOutcome, Failure> {
        for _ in 0..ROUNDS {
            let rows = bind(self.sql.create.clone(), self.id, self.record)
                .fetch_all(&mut *connection)
                .await?;
            let Some(row) = rows.first() else { continue };
            return Ok(if value(row, 0)? {
                CreateOutcome::Created
            } else {
                CreateOutcome::Exists(row::stamp(value(row, 1)?, value(row, 2)?))
            });
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
    /// The payload alone: stored, or what is there instead.
    async fn payload(&self, connection: &mut PgConnection) -> Result<Found, Failure> {
        let record = self.record;
        let done = sqlx::query(self.sql.save_payload.clone())
            .bind(Uuid(self.id))
            .bind(signed(record.stamp.version))
            .bind(signed(record.stamp.nonce))
            .bind(record.head.as_slice())
            .bind(record.body.as_slice())
            .bind(signed(self.expected.version))
            .bind(signed(self.expected.nonce))
            .execute(&mut *connection)
            .await?;
        if done.rows_affected() > 0 {
            return Ok(Found::Stored);
        }
        let load = Load {
            sql: self.sql,
            id: self.id,
        };
        let found = load.run(connection).await?;
        Ok(found.map_or(Found::Nothing, Found::Record))
    }

    /// All of it, with what is there instead in the same statement.
    async fn whole(&self, connection: &mut PgConnection) -> Result<Found, Failure> {
        let rows = bind(self.sql.save.clone(), self.id, self.record)
            .bind(signed(self.expected.version))
            .bind(signed(self.expected.nonce))
            .bind(self.record.rekeyed)
            .fetch_all(&mut *connection)
            .await?;
        let Some(row) = rows.first() else {
            return Ok(Found::Nothing);
        };
        if value(row, 0)? {
            return Ok(Found::Stored);
        }
        row::record::<_, String>(row, 1).map(Found::Record)
    }
}

/// What a save has met.
enum Found {
    Stored,
    Record(Record),
    Nothing,
}

impl Operation<PgConnection> for Save<'_> {
    type Output = SaveOutcome;

    const REPEATABLE: bool = true;

    fn settle(&self, second: SaveOutcome) -> Option<SaveOutcome> {
        settle_save(second, self.record.stamp)
    }

    async fn run(&self, connection: &mut PgConnection) -> Result<SaveOutcome, Failure> {
        for _ in 0..ROUNDS {
            let found = if self.record.leaves_times {
                self.payload(connection).await?
            } else {
                self.whole(connection).await?
            };
            let found = match found {
                Found::Stored => return Ok(SaveOutcome::Saved),
                Found::Nothing => return Ok(SaveOutcome::Gone),
                Found::Record(found) => found,
            };
            if found.state == State::Ended {
                return Ok(SaveOutcome::Ended(found));
            }
            if found.stamp != self.expected {
                return Ok(SaveOutcome::Conflict(found));
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

impl Operation<PgConnection> for Touch<'_> {
    type Output = TouchOutcome;

    // Moving times forward twice is moving them once.
    const REPEATABLE: bool = true;

    async fn run(&self, connection: &mut PgConnection) -> Result<TouchOutcome, Failure> {
        for _ in 0..ROUNDS {
            let rows = sqlx::query(self.sql.touch.clone())
                .bind(Uuid(self.id))
                .bind(signed(self.expected.version))
                .bind(signed(self.expected.nonce))
                .bind(millis(self.times.used_at))
                .bind(self.times.deadline.map(millis))
                .bind(self.times.expires_at.map(millis))
                .fetch_all(&mut *connection)
                .await?;
            let Some(row) = rows.first() else {
                return Ok(TouchOutcome::Gone);
            };
            if value(row, 0)? {
                return Ok(TouchOutcome::Touched);
            }
            let found = row::peek(row, 1)?;
            if found.state == State::Ended {
                return Ok(TouchOutcome::Ended);
            }
            if found.stamp != self.expected {
                return Ok(TouchOutcome::Moved(found.stamp));
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

impl Operation<PgConnection> for End<'_> {
    type Output = Option<Record>;

    /// A row that cannot be read is ended all the same, and then reported.
    async fn run(&self, connection: &mut PgConnection) -> Result<Option<Record>, Failure> {
        let rows = if let Some(tombstone) = self.tombstone {
            bind(self.sql.bury.clone(), self.id, tombstone)
                .fetch_all(connection)
                .await?
        } else {
            sqlx::query(self.sql.remove.clone())
                .bind(Uuid(self.id))
                .fetch_all(connection)
                .await?
        };
        let ended = rows.first().map(|row| row::record::<_, String>(row, 0));
        // A tombstone that was removed had ended before.
        Ok(ended.transpose()?.filter(|row| row.state == State::Live))
    }
}
