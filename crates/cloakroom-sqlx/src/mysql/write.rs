use cloakroom_core::{
    CreateOutcome, Record, SaveOutcome, SessionId, Stamp, State, Times, TouchOutcome,
};
use sqlx::SqlStr;
use sqlx::mysql::{MySql, MySqlArguments, MySqlConnection};
use sqlx::query::Query;

use super::codes;
use super::read::{fetch_peek, fetch_record};
use super::sql::Sql;
use crate::shared::failure::Failure;
use crate::shared::row::{self, millis, signed};
use crate::shared::run::{Operation, ROUNDS, restless};
use crate::shared::settle::{settle_create, settle_save};

/// The nine columns of a record and then the id, in the order of the marks.
fn bind(statement: SqlStr, id: SessionId, record: &Record) -> Query<'_, MySql, MySqlArguments> {
    sqlx::query(statement)
        .bind(signed(record.stamp.version))
        .bind(signed(record.stamp.nonce))
        .bind(row::state(record.state))
        .bind(record.owner.as_ref().map(|owner| owner.as_str().as_bytes()))
        .bind(millis(record.times.used_at))
        .bind(record.times.deadline.map(millis))
        .bind(record.times.expires_at.map(millis))
        .bind(record.head.as_slice())
        .bind(record.body.as_slice())
        .bind(id.as_bytes().to_vec())
}

#[derive(Debug)]
pub(super) struct Create<'a> {
    pub(super) sql: &'a Sql,
    pub(super) id: SessionId,
    pub(super) record: &'a Record,
}

impl Operation<MySqlConnection> for Create<'_> {
    type Output = CreateOutcome;

    const REPEATABLE: bool = true;

    fn settle(&self, second: CreateOutcome) -> Option<CreateOutcome> {
        settle_create(second, self.record.stamp)
    }

    async fn run(&self, connection: &mut MySqlConnection) -> Result<CreateOutcome, Failure> {
        for _ in 0..ROUNDS {
            let done = bind(self.sql.create.clone(), self.id, self.record)
                .execute(&mut *connection)
                .await;
            match done {
                Ok(_) => return Ok(CreateOutcome::Created),
                Err(error) if codes::is_duplicate(&error) => {}
                Err(error) => return Err(error.into()),
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
    fn statement(&self) -> Query<'_, MySql, MySqlArguments> {
        let record = self.record;
        if !record.leaves_times {
            return bind(self.sql.save.clone(), self.id, record);
        }
        sqlx::query(self.sql.save_payload.clone())
            .bind(signed(record.stamp.version))
            .bind(signed(record.stamp.nonce))
            .bind(record.head.as_slice())
            .bind(record.body.as_slice())
            .bind(self.id.as_bytes().to_vec())
    }
}

impl Operation<MySqlConnection> for Save<'_> {
    type Output = SaveOutcome;

    const REPEATABLE: bool = true;

    fn settle(&self, second: SaveOutcome) -> Option<SaveOutcome> {
        settle_save(second, self.record.stamp)
    }

    async fn run(&self, connection: &mut MySqlConnection) -> Result<SaveOutcome, Failure> {
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

impl Operation<MySqlConnection> for Touch<'_> {
    type Output = TouchOutcome;

    // Moving times forward twice is moving them once.
    const REPEATABLE: bool = true;

    async fn run(&self, connection: &mut MySqlConnection) -> Result<TouchOutcome, Failure> {
        for _ in 0..ROUNDS {
            let done = sqlx::query(self.sql.touch.clone())
                .bind(millis(self.times.used_at))
                .bind(self.times.deadline.map(millis))
                .bind(self.times.expires_at.map(millis))
                .bind(self.id.as_bytes().as_slice())
                .bind(signed(self.expected.version))
                .bind(signed(self.expected.nonce))
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

impl Operation<MySqlConnection> for End<'_> {
    type Output = Option<Record>;

    /// A row that cannot be read is ended all the same, and then reported.
    async fn run(&self, connection: &mut MySqlConnection) -> Result<Option<Record>, Failure> {
        let text = self.sql.end(self.id, self.tombstone);
        let rows = sqlx::raw_sql(text)
            .fetch_all(connection)
            .await
            .map_err(Failure::Halfway)?;
        rows.first()
            .map(|row| row::record::<_, Vec<u8>>(row, 0))
            .transpose()
    }
}
