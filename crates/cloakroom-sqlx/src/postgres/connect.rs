use sqlx::postgres::{PgConnectOptions, PgConnection, PgDatabaseError, PgSeverity};
use sqlx::{ConnectOptions, Connection};

use super::codes;
use crate::shared::cause::Cause;
use crate::shared::failure::{Fate, Verdict};
use crate::shared::pool::Connector;

/// Opens connections to one database.
pub(super) struct Dialer {
    pub(super) options: PgConnectOptions,
}

impl Connector for Dialer {
    type Connection = PgConnection;

    const EMBEDDED: bool = false;

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        self.options.connect().await
    }

    async fn close(connection: PgConnection) {
        // Nothing is left to be done about a connection that will not close.
        drop(connection.close().await);
    }

    fn judge(error: sqlx::Error) -> Verdict {
        // After these the server closes the connection, whatever the code.
        let fatal = error
            .as_database_error()
            .and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
            .is_some_and(|error| !matches!(error.severity(), PgSeverity::Error));
        let mut verdict = Verdict::of(error, |error| {
            let code = error.code().unwrap_or_default();
            let cause = match codes::cause(&code) {
                Cause::Unknown if fatal => Cause::GoingAway,
                cause => cause,
            };
            (code.into_owned(), cause)
        });
        if fatal {
            verdict.fate = Fate::Lost;
        }
        verdict
    }
}
