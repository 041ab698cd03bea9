use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlDatabaseError};
use sqlx::{ConnectOptions, Connection};

use super::codes;
use crate::shared::failure::{Fate, Verdict};
use crate::shared::pool::Connector;
use crate::shared::row::value;
use crate::shared::statement::statement;

/// What a statement holds apart from head and body, generously.
const REST: usize = 1_024;

/// Opens connections to one database.
pub(super) struct Dialer {
    pub(super) options: MySqlConnectOptions,
    pub(super) lock_timeout: Duration,
    /// The server's `max_allowed_packet`, once a connection has asked; before that, no limit.
    pub(super) max_packet: AtomicUsize,
}

impl Dialer {
    /// The greatest size of head and body together, as far as is known. In hexadecimal digits,
    /// as a tombstone is written, a byte takes two.
    pub(super) fn max_record(&self) -> usize {
        self.max_packet.load(Ordering::Relaxed).saturating_sub(REST)
    }
}

impl Connector for Dialer {
    type Connection = MySqlConnection;

    const EMBEDDED: bool = false;

    /// One more round trip sets what the store relies on, and asks for the limit. The strict mode
    /// refuses what does not fit instead of cutting it off. `READ COMMITTED` locks no gaps, so
    /// that a purge does not hold up those who create.
    async fn connect(&self) -> Result<MySqlConnection, sqlx::Error> {
        let mut connection = self.options.connect().await?;
        let seconds = self.lock_timeout.as_secs().max(1);
        let row = sqlx::raw_sql(statement(format!(
            "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'), \
             SESSION innodb_lock_wait_timeout = {seconds}, SESSION autocommit = 1; \
             SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; \
             SELECT CAST(@@max_allowed_packet AS SIGNED)"
        )))
        .fetch_all(&mut connection)
        .await?;
        let limit = row.first().and_then(|row| value::<_, i64>(row, 0).ok());
        if let Some(limit) = limit.and_then(|limit| usize::try_from(limit).ok()) {
            self.max_packet.store(limit, Ordering::Relaxed);
        }
        Ok(connection)
    }

    async fn close(connection: MySqlConnection) {
        // Nothing is left to be done about a connection that will not close.
        drop(connection.close().await);
    }

    fn judge(error: sqlx::Error) -> Verdict {
        let number = error
            .as_database_error()
            .and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>())
            .map_or(0, MySqlDatabaseError::number);
        let mut verdict = Verdict::of(error, |_| (number.to_string(), codes::cause(number)));
        // After a packet that is too large the server hangs up.
        if number == 1153 {
            verdict.fate = Fate::Lost;
        }
        verdict
    }
}
