use std::time::Duration;

use cloakroom_core::StoreError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use super::codes;
use crate::shared::failure::{Fate, Verdict};
use crate::shared::pool::Connector;
use crate::shared::statement::statement;

/// How often an open that finds the file busy is tried, within one timeout.
const TRIES: u32 = 4;

/// Opens connections to one database file.
#[derive(Debug)]
pub(super) struct Opener {
    pub(super) options: SqliteConnectOptions,
    /// How long a statement waits for another writer; an open waits as long in all.
    pub(super) patience: Duration,
}

impl Connector for Opener {
    type Connection = SqliteConnection;

    const EMBEDDED: bool = true;

    /// The switch to WAL is the one step that `SQLite`'s own waiting does not cover, so processes
    /// that open a new file at the same moment meet `SQLITE_BUSY` here.
    async fn connect(&self) -> Result<SqliteConnection, sqlx::Error> {
        let options = self
            .options
            .clone()
            .busy_timeout(self.patience / (2 * TRIES));
        let mut tries = 0;
        let mut connection = loop {
            tries += 1;
            match options.connect().await {
                Err(error) if tries < TRIES && codes::is_busy(&error) => {
                    tokio::time::sleep(self.patience / (4 * TRIES)).await;
                }
                other => break other?,
            }
        };
        let patience = format!("PRAGMA busy_timeout = {}", self.patience.as_millis());
        sqlx::raw_sql(statement(patience))
            .execute(&mut connection)
            .await?;
        Ok(connection)
    }

    async fn close(connection: SqliteConnection) {
        // Nothing is left to be done about a connection that will not close.
        drop(connection.close().await);
    }

    fn judge(error: sqlx::Error) -> Verdict {
        match error {
            // Types belong to values here, not to columns: only this row is wrong.
            error @ sqlx::Error::ColumnDecode { .. } => Verdict {
                fate: Fate::Refused,
                error: StoreError::corrupt("a column of this row cannot be read")
                    .with_source(error),
            },
            other => Verdict::of(other, |error| {
                let code = error.code().unwrap_or_default();
                let cause = codes::cause(&code, error.message());
                (code.into_owned(), cause)
            }),
        }
    }
}
