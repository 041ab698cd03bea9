use crate::shared::cause::Cause;

/// What a result code of `SQLite` means ([list](https://www.sqlite.org/rescode.html)).
pub(super) fn cause(code: &str, message: &str) -> Cause {
    let code = code.parse::<i64>().unwrap_or(0);
    // The low byte is the primary code, the rest says more.
    match code & 0xff {
        // SQLite has waited as long as it was told to: there is no time left for another try.
        5 if code == 5 => Cause::Locked,
        // These it does not wait for: a recovery, a snapshot that is too old, a shared cache.
        5 | 6 => Cause::Collision,
        7 | 10 | 15 => Cause::Exhausted,
        8 => Cause::ReadOnlyFile,
        11 | 26 => Cause::Damaged,
        13 => Cause::Full,
        14 => Cause::CannotOpen,
        18 => Cause::TooLarge,
        19 | 20 => Cause::OtherShape,
        23 => Cause::Forbidden,
        // All that is wrong with a statement has one code.
        _ if message.starts_with("no such table") => Cause::NoTable,
        _ if message.contains("already exists") => Cause::TableInTheWay,
        _ if message.contains("column") => Cause::OtherShape,
        _ => Cause::Unknown,
    }
}

/// Whether the code says that somebody else holds the file.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .and_then(|code| code.parse::<i64>().ok())
        .is_some_and(|code| matches!(code & 0xff, 5 | 6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_never_taken_for_a_mistake_nor_the_other_way_round() {
        let table = [
            ("5", "database is locked", Cause::Locked),
            ("517", "database is locked", Cause::Collision),
            ("261", "database is locked", Cause::Collision),
            (
                "8",
                "attempt to write a readonly database",
                Cause::ReadOnlyFile,
            ),
            ("778", "disk I/O error", Cause::Exhausted),
            ("13", "database or disk is full", Cause::Full),
            ("11", "database disk image is malformed", Cause::Damaged),
            (
                "1299",
                "NOT NULL constraint failed: t.head",
                Cause::OtherShape,
            ),
            ("1", "no such table: t", Cause::NoTable),
            ("1", "no such column: head", Cause::OtherShape),
            ("1", "table t already exists", Cause::TableInTheWay),
            ("1", "near \"x\": syntax error", Cause::Unknown),
        ];
        for (code, message, expected) in table {
            assert_eq!(cause(code, message), expected, "{code} {message}");
        }
    }
}
