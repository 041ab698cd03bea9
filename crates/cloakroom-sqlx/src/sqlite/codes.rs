use cloakroom_core::StoreErrorKind as Kind;

use crate::failure::Fate;

/// What a result code of SQLite means ([list](https://www.sqlite.org/rescode.html)).
///
/// A full disk is `Unavailable`: nothing is lost, and space may be made while the server runs.
pub(super) fn judge(code: &str, message: &str) -> (Fate, Kind, String) {
    let code = code.parse::<i64>().unwrap_or(0);
    // The low byte is the primary code, the rest says more.
    let primary = code & 0xff;
    let (fate, kind, sentence) = match primary {
        // SQLite has waited as long as it was told to: there is no time left for another try.
        5 if code == 5 => (
            Fate::Refused,
            Kind::Unavailable,
            "the database file is locked by another connection",
        ),
        // These it does not wait for: a recovery, a snapshot that is too old, a shared cache.
        5 | 6 => (
            Fate::RolledBack,
            Kind::Unavailable,
            "the database file is locked by another connection",
        ),
        7 => (Fate::Refused, Kind::Unavailable, "SQLite is out of memory"),
        8 => (
            Fate::Refused,
            Kind::Rejected,
            "the database is read-only: open it without `mode=ro`, and let this user write to \
             the file and its directory",
        ),
        10 | 15 => (
            Fate::Refused,
            Kind::Unavailable,
            "reading or writing the database file failed",
        ),
        11 | 26 => (
            Fate::Refused,
            Kind::Rejected,
            "the file is damaged, or no SQLite database: restore it from a backup, or name \
             another one",
        ),
        13 => (
            Fate::Refused,
            Kind::Unavailable,
            "the disk is full, or the size limit of the database is reached: make space, or \
             purge more often",
        ),
        14 => (
            Fate::Refused,
            Kind::Rejected,
            "the database file cannot be opened: check that its directory exists and that this \
             user may write there",
        ),
        18 => (
            Fate::Refused,
            Kind::Rejected,
            "the record is larger than SQLite takes (1 GB): put less into the session",
        ),
        19 | 20 => (
            Fate::Refused,
            Kind::Rejected,
            "a constraint of the table refuses the record: the table has another shape than \
             `migrate()` gives it",
        ),
        _ if message.starts_with("no such table") => (
            Fate::Refused,
            Kind::Rejected,
            "the table does not exist: call `migrate()` once, or check the table name",
        ),
        _ if message.contains("already exists") => (
            Fate::Refused,
            Kind::Rejected,
            "a table of this name exists and was not made by `migrate()`: choose another name",
        ),
        _ if message.contains("column") => (
            Fate::Refused,
            Kind::Rejected,
            "the table lacks a column, so it has another shape than `migrate()` gives it: \
             choose another name, or move the table away and migrate",
        ),
        _ => (
            Fate::Refused,
            Kind::Rejected,
            "SQLite refused the statement: the table may have another shape than `migrate()` gives it",
        ),
    };
    (fate, kind, sentence.to_owned())
}

/// Whether the code says that somebody else holds the file.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .and_then(|code| code.parse::<i64>().ok())
        .is_some_and(|code| matches!(code & 0xff, 5 | 6))
}
