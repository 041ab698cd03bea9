use std::error::Error as StdError;
use std::fmt;

use cloakroom_core::StoreError;
use sqlx::error::DatabaseError;

use crate::shared::cause::Cause;

/// What an operation on a connection can end with, other than its result.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The driver's or the database's error, to be judged by the connector.
    Driver(sqlx::Error),
    /// The same, in the middle of a transaction: the connection must not be used again.
    #[cfg(feature = "mysql")]
    Halfway(sqlx::Error),
    /// The statement worked, its result cannot be used.
    Store(StoreError),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What an error means for the statement that met it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The database says that nothing was applied, and that a repetition may work.
    RolledBack,
    /// The connection is broken; whether the statement was applied is unknown.
    Lost,
    /// The database has answered no; the connection is fit.
    Refused,
}

/// An error, and what to do about it.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) fate: Fate,
    pub(crate) error: StoreError,
}

impl Verdict {
    /// Judges what is the same for all drivers; `by_code` judges what the database says, and
    /// gives its code.
    pub(crate) fn of(
        error: sqlx::Error,
        by_code: impl FnOnce(&dyn DatabaseError) -> (String, Cause),
    ) -> Self {
        use sqlx::Error as E;
        let lost = |error: E, what: &str| Self {
            fate: Fate::Lost,
            error: StoreError::unavailable(what).with_source(error),
        };
        let refused = |error: StoreError| Self {
            fate: Fate::Refused,
            error,
        };
        match error {
            E::Database(database) => {
                let (code, cause) = by_code(&*database);
                let message = database.message().to_owned();
                let (fate, kind, sentence) = cause.verdict();
                let error =
                    StoreError::new(kind, sentence).with_source(DatabaseSaid { code, message });
                Self { fate, error }
            }
            E::Io(_) => lost(error, "the connection to the database failed"),
            E::Tls(_) => lost(error, "no TLS connection to the database could be made"),
            E::Protocol(_) => lost(error, "the database's answer was not understood"),
            E::WorkerCrashed => lost(error, "the thread of this connection is gone"),
            // The driver's text about a URL may quote it, and with it the password.
            E::Configuration(_) => refused(StoreError::rejected(
                "the database URL or an option in it is not understood",
            )),
            E::ColumnDecode { .. } | E::Decode(_) => refused(column(error)),
            E::ColumnNotFound(_) | E::ColumnIndexOutOfBounds { .. } | E::TypeNotFound { .. } => {
                refused(other_shape(error))
            }
            E::Encode(_) | E::InvalidArgument(_) => refused(
                StoreError::rejected("a value cannot be sent to the database").with_source(error),
            ),
            other => lost(other, "the database driver failed"),
        }
    }
}

/// A column that does not hold what it should: the whole table, or only this row.
fn column(error: sqlx::Error) -> StoreError {
    let of_other_type = matches!(
        &error,
        sqlx::Error::ColumnDecode { source, .. } if source.to_string().starts_with("mismatched types")
    );
    if of_other_type {
        other_shape(error)
    } else {
        StoreError::corrupt("a column of this row cannot be read").with_source(error)
    }
}

fn other_shape(error: sqlx::Error) -> StoreError {
    let (_, kind, sentence) = Cause::OtherShape.verdict();
    StoreError::new(kind, sentence).with_source(error)
}

/// The database's own words: its code and its message.
///
/// The driver's error is not kept as it is, because its details may quote the values of a row.
#[derive(Debug)]
struct DatabaseSaid {
    code: String,
    message: String,
}

impl fmt::Display for DatabaseSaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.message, self.code)
    }
}

impl StdError for DatabaseSaid {}
