use std::fmt::Write;

use cloakroom_core::{Record, SessionId, Stamp, Timestamp};
use sqlx::SqlStr;

use crate::shared::row::{self, millis, signed};
use crate::shared::schema::Steps;
use crate::shared::statement::statement;

/// The record's columns, in the order in which they are bound and read.
const RECORD: &str = "version, nonce, state, owner, used_at, deadline, expires_at, head, body";

const SET: &str = "version = ?, nonce = ?, state = ?, owner = ?, used_at = ?, deadline = ?, \
                   expires_at = ?, head = ?, body = ?";

/// A version counts up, and wraps like the unsigned number that it stands for.
const NEXT: &str =
    "CASE version WHEN 9223372036854775807 THEN -9223372036854775808 ELSE version + 1 END";

/// A write goes to its row by the primary key.
///
/// Left to itself the optimizer may search the index over deadlines for `state = 0` instead, as soon
/// as its statistics know of few live rows (after a large purge, or in a small table). Such a search
/// locks the index's entries before their rows, and entries of others: writers meet in deadlocks.
const BY_ID: &str = "FORCE INDEX (PRIMARY)";

/// What the comment of our table begins with; the version of its schema follows.
///
/// DDL cannot be rolled back here, so the version must change in the same statement as the table.
pub(super) const COMMENT: &str = "cloakroom schema ";

/// The statements of one store.
///
/// What is one statement is prepared. What needs a transaction is sent as one text, so that it is
/// one round trip as well; such a text holds numbers and hexadecimal digits only.
#[derive(Debug)]
pub(super) struct Sql {
    table: String,
    pub(super) create: SqlStr,
    pub(super) load: SqlStr,
    pub(super) peek: SqlStr,
    pub(super) save: SqlStr,
    pub(super) save_payload: SqlStr,
    pub(super) touch: SqlStr,
    pub(super) owned_by: SqlStr,
    pub(super) comment: SqlStr,
}

impl Sql {
    pub(super) fn new(table: &str) -> Self {
        let t = format!("`{table}`");
        Self {
            create: statement(format!(
                "INSERT INTO {t} ({RECORD}, id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            )),
            load: statement(format!("SELECT {RECORD} FROM {t} WHERE id = ?")),
            peek: statement(format!(
                "SELECT version, nonce, state, deadline FROM {t} WHERE id = ?"
            )),
            save: statement(format!(
                "UPDATE {t} {BY_ID} SET {SET} WHERE id = ? AND state = 0 AND version = ? AND nonce = ?"
            )),
            // No column of an index.
            save_payload: statement(format!(
                "UPDATE {t} {BY_ID} SET version = ?, nonce = ?, head = ?, body = ? \
                 WHERE id = ? AND state = 0 AND version = ? AND nonce = ?"
            )),
            // `GREATEST` is NULL if one side is: NULL is "never", the latest time.
            touch: statement(format!(
                "UPDATE {t} {BY_ID} SET used_at = GREATEST(used_at, ?), \
                 deadline = GREATEST(deadline, ?), expires_at = GREATEST(expires_at, ?) \
                 WHERE id = ? AND state = 0 AND version = ? AND nonce = ?"
            )),
            owned_by: statement(format!(
                "SELECT id FROM {t} WHERE owner = ? AND id > ? ORDER BY id LIMIT ?"
            )),
            comment: statement(format!(
                "SELECT table_comment FROM information_schema.tables \
                 WHERE table_schema = DATABASE() AND table_name = '{table}'"
            )),
            table: t,
        }
    }

    /// Reads the live row under a lock and replaces it by the tombstone; or removes the row, live or
    /// ended.
    pub(super) fn end(&self, id: SessionId, tombstone: Option<&Record>) -> SqlStr {
        let (t, id) = (&self.table, hex(id.as_bytes()));
        let change = tombstone.map_or_else(
            || format!("DELETE FROM {t} WHERE id = {id}"),
            |record| {
                format!(
                    "UPDATE {t} {BY_ID} SET {} WHERE id = {id} AND state = 0",
                    literals(record)
                )
            },
        );
        statement(format!(
            "START TRANSACTION; \
             SELECT {RECORD} FROM {t} WHERE id = {id} AND state = 0 FOR UPDATE; {change}; COMMIT"
        ))
    }

    /// Begins a transaction and locks what is due, at most `limit`, but no row that another holds.
    pub(super) fn lock_due(&self, now: Timestamp, limit: usize) -> SqlStr {
        statement(format!(
            "START TRANSACTION; SELECT {RECORD}, id FROM {} WHERE state = 0 AND deadline <= {} \
             ORDER BY deadline LIMIT {limit} FOR UPDATE SKIP LOCKED",
            self.table,
            earlier(now)
        ))
    }

    /// The same for these; they are waited for, because somebody is about to be told of them.
    pub(super) fn lock_ids(&self, now: Timestamp, ids: &[SessionId]) -> SqlStr {
        statement(format!(
            "START TRANSACTION; SELECT {RECORD}, id FROM {} {BY_ID} WHERE id IN ({}) AND state = 0 \
             AND deadline <= {} ORDER BY id FOR UPDATE",
            self.table,
            list(ids.iter().map(SessionId::as_bytes)),
            earlier(now)
        ))
    }

    /// Turns locked rows into tombstones, and commits. The salt makes new nonces out of the old.
    pub(super) fn time_out(&self, ids: &[Vec<u8>]) -> SqlStr {
        let salt = Stamp::first().nonce | 1;
        statement(format!(
            "UPDATE {} {BY_ID} SET version = {NEXT}, nonce = CAST(nonce ^ {salt} AS SIGNED), state = 1, \
             owner = NULL, body = '' WHERE id IN ({}); COMMIT",
            self.table,
            list(ids)
        ))
    }

    /// Begins a transaction and locks what may be forgotten, from an `expires_at` on.
    pub(super) fn lock_expired(&self, now: Timestamp, from: i64, limit: usize) -> SqlStr {
        statement(format!(
            "START TRANSACTION; SELECT id, expires_at FROM {} WHERE expires_at >= {from} \
             AND expires_at <= {} ORDER BY expires_at LIMIT {limit} FOR UPDATE SKIP LOCKED",
            self.table,
            earlier(now)
        ))
    }

    /// Removes locked rows, and commits. A `DELETE` takes no index by name, but it takes the one
    /// that its order asks for; see [`BY_ID`].
    pub(super) fn remove(&self, ids: &[Vec<u8>]) -> SqlStr {
        statement(format!(
            "DELETE FROM {} WHERE id IN ({}) ORDER BY id LIMIT {}; COMMIT",
            self.table,
            list(ids),
            ids.len()
        ))
    }
}

/// The earlier of `now` and the server's clock (rule 9), whatever time zone the session has.
fn earlier(now: Timestamp) -> String {
    format!(
        "LEAST({}, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)",
        millis(now)
    )
}

/// The columns of a record with their values, as numbers and hexadecimal digits.
fn literals(record: &Record) -> String {
    let time = |time: Option<Timestamp>| {
        time.map_or_else(|| "NULL".to_owned(), |time| millis(time).to_string())
    };
    let owner = record
        .owner
        .as_ref()
        .map_or_else(|| "NULL".to_owned(), |owner| hex(owner.as_str().as_bytes()));
    format!(
        "version = {}, nonce = {}, state = {}, owner = {owner}, used_at = {}, deadline = {}, \
         expires_at = {}, head = {}, body = {}",
        signed(record.stamp.version),
        signed(record.stamp.nonce),
        row::state(record.state),
        millis(record.times.used_at),
        time(record.times.deadline),
        time(record.times.expires_at),
        hex(&record.head),
        hex(&record.body),
    )
}

fn list<T: AsRef<[u8]>>(ids: impl IntoIterator<Item = T>) -> String {
    ids.into_iter()
        .map(|id| hex(id.as_ref()))
        .collect::<Vec<_>>()
        .join(", ")
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len() + 3);
    text.push_str("X'");
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a string takes what is written");
    }
    text.push('\'');
    text
}

/// How the table comes to be, indexes and version in one statement. There are no partial indexes,
/// so the state leads the one over deadlines.
pub(super) fn steps(table: &str) -> Steps {
    vec![vec![format!(
        "CREATE TABLE `{table}` (id BINARY(16) NOT NULL PRIMARY KEY, version BIGINT NOT NULL, \
         nonce BIGINT NOT NULL, state TINYINT NOT NULL, owner VARBINARY(255) NULL, \
         used_at BIGINT NOT NULL, deadline BIGINT NULL, expires_at BIGINT NULL, \
         head BLOB NOT NULL, body LONGBLOB NOT NULL, \
         KEY `{table}_deadline` (state, deadline), KEY `{table}_expires_at` (expires_at), \
         KEY `{table}_owner` (owner, id)) ENGINE = InnoDB COMMENT = '{COMMENT}1'"
    )]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_digits_whatever_they_are() {
        assert_eq!(hex(b""), "X''");
        assert_eq!(hex(b"'; --\x00\xff"), "X'273b202d2d00ff'");
        assert_eq!(list([[1_u8], [2]]), "X'01', X'02'");
    }
}
