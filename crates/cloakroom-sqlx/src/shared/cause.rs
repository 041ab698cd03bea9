use cloakroom_core::StoreErrorKind as Kind;

use crate::shared::failure::Fate;

/// Why a database said no. Each driver's codes lead here; what follows is the same for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(any(feature = "postgres", feature = "mysql")),
    expect(dead_code, reason = "a file has fewer causes than a server")
)]
pub(crate) enum Cause {
    /// Rolled back to let another go first.
    Collision,
    /// Another held a lock for as long as was waited.
    Locked,
    /// The server ended the statement, at its time limit or an operator's word.
    Cancelled,
    /// No connection free on the server.
    TooManyConnections,
    /// The server is starting, stopping, failing over, or has ended this connection.
    GoingAway,
    /// Out of memory, or reading and writing failed.
    Exhausted,
    Full,
    /// This server does not write, by its role or by the connection's mode.
    ReadOnlyServer,
    /// This file may not be written.
    #[cfg(feature = "sqlite")]
    ReadOnlyFile,
    #[cfg(feature = "sqlite")]
    CannotOpen,
    Damaged,
    TooLarge,
    /// A constraint, a missing column, another type.
    OtherShape,
    NoTable,
    TableInTheWay,
    NoDatabase,
    Credentials,
    Forbidden,
    Unknown,
}

impl Cause {
    /// What it means for the statement, which kind it is for the caller, and how to mend it.
    ///
    /// A full disk is `Unavailable`: nothing is lost, and space can be made while all is running.
    pub(crate) const fn verdict(self) -> (Fate, Kind, &'static str) {
        let (fate, kind) = match self {
            Self::Collision => (Fate::RolledBack, Kind::Unavailable),
            // The next connection may lead to the new primary.
            Self::GoingAway | Self::ReadOnlyServer => (Fate::Lost, Kind::Unavailable),
            Self::Locked
            | Self::Cancelled
            | Self::TooManyConnections
            | Self::Exhausted
            | Self::Full => (Fate::Refused, Kind::Unavailable),
            _ => (Fate::Refused, Kind::Rejected),
        };
        (fate, kind, self.sentence())
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::Collision => "the database rolled back every attempt in favour of others",
            Self::Locked => "the row or the file is locked by another connection",
            Self::Cancelled => "the database cancelled the statement, at its time limit or by hand",
            Self::TooManyConnections => {
                "the database has no connection free: lower `max_connections` of the store, or \
                 raise the server's limit"
            }
            Self::GoingAway => "the database is starting, stopping or has closed the connection",
            Self::Exhausted => "the database is out of memory, or its storage fails",
            Self::Full => {
                "the disk is full, or the size limit of the database is reached: make space, or \
                 purge more often"
            }
            Self::ReadOnlyServer => {
                "the database is read-only: name the primary server and not a replica, and check \
                 the role's and the connection's default for read-only transactions"
            }
            #[cfg(feature = "sqlite")]
            Self::ReadOnlyFile => {
                "the database is read-only: open it without `mode=ro`, and let this user write to \
                 the file and its directory"
            }
            #[cfg(feature = "sqlite")]
            Self::CannotOpen => {
                "the database file cannot be opened: check that its directory exists and that \
                 this user may write there"
            }
            Self::Damaged => {
                "the file is damaged, or no database: restore it from a backup, or name another \
                 one"
            }
            Self::TooLarge => {
                "the record is larger than the column or the server takes: put less into the \
                 session, or raise the server's limit"
            }
            Self::OtherShape => {
                "the table has another shape than `migrate()` gives it: name another table in \
                 the options, or move this one away and migrate"
            }
            Self::NoTable => {
                "the table does not exist: call `migrate()` once, or check the names of table, \
                 schema and database"
            }
            Self::TableInTheWay => {
                "a table or index of this name exists and was not made by `migrate()`: name \
                 another table in the options, or move this one away"
            }
            Self::NoDatabase => "the database or the schema does not exist: create it",
            Self::Credentials => "the database refuses the user name or the password",
            Self::Forbidden => {
                "the role lacks a privilege: it needs SELECT, INSERT, UPDATE and DELETE on the \
                 table, and CREATE for `migrate()`"
            }
            Self::Unknown => {
                "the database refused the statement: the table may have another shape than \
                 `migrate()` gives it"
            }
        }
    }
}
