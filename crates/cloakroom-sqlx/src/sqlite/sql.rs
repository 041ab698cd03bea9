use sqlx::SqlStr;

use crate::shared::schema::Steps;
use crate::shared::statement::statement;

/// The record's columns, in the order in which they are bound and read.
const RECORD: &str = "version, nonce, state, owner, used_at, deadline, expires_at, head, body";

/// The earlier of `?1` and `SQLite`'s own clock (rule 9).
const EARLIER: &str = "min(?1, CAST(unixepoch('subsec') * 1000 AS INTEGER))";

/// A version counts up, and wraps like the unsigned number that it stands for.
const NEXT: &str =
    "CASE version WHEN 9223372036854775807 THEN (-9223372036854775807 - 1) ELSE version + 1 END";

/// The statements of one store.
#[derive(Debug)]
pub(super) struct Sql {
    pub(super) create: SqlStr,
    pub(super) load: SqlStr,
    pub(super) peek: SqlStr,
    pub(super) save: SqlStr,
    pub(super) save_payload: SqlStr,
    pub(super) touch: SqlStr,
    pub(super) remove: SqlStr,
    pub(super) load_live: SqlStr,
    pub(super) tombstone: SqlStr,
    pub(super) due: SqlStr,
    pub(super) due_id: SqlStr,
    pub(super) time_out: SqlStr,
    pub(super) purge: SqlStr,
    pub(super) owned_by: SqlStr,
    pub(super) has_schema: SqlStr,
    pub(super) schema_version: SqlStr,
    pub(super) set_schema_version: SqlStr,
}

impl Sql {
    /// `alone`: only this process uses the database. `SQLite` then has no clock but the caller's:
    /// there is no other node that could be wronged, and whoever ends all of his own sessions may
    /// say that it is late.
    pub(super) fn new(table: &str, alone: bool) -> Self {
        let t = format!("\"{table}\"");
        let now = if alone { "?1" } else { EARLIER };
        Self {
            create: statement(format!(
                "INSERT INTO {t} (id, {RECORD}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
                 ON CONFLICT (id) DO NOTHING"
            )),
            load: statement(format!("SELECT {RECORD} FROM {t} WHERE id = ?1")),
            peek: statement(format!(
                "SELECT version, nonce, state, deadline FROM {t} WHERE id = ?1"
            )),
            save: statement(format!(
                "UPDATE {t} SET version = ?2, nonce = ?3, state = ?4, owner = ?5, used_at = ?6, \
                 deadline = ?7, expires_at = ?8, head = ?9, body = ?10 \
                 WHERE id = ?1 AND state = 0 AND version = ?11 AND nonce = ?12"
            )),
            save_payload: statement(save_payload(&t)),
            // The scalar `max` of SQLite is NULL if one side is: NULL is "never", the latest time.
            touch: statement(format!(
                "UPDATE {t} SET used_at = max(used_at, ?4), deadline = max(deadline, ?5), \
                 expires_at = max(expires_at, ?6) \
                 WHERE id = ?1 AND state = 0 AND version = ?2 AND nonce = ?3"
            )),
            remove: statement(format!("DELETE FROM {t} WHERE id = ?1 RETURNING {RECORD}")),
            load_live: statement(format!(
                "SELECT {RECORD} FROM {t} WHERE id = ?1 AND state = 0"
            )),
            tombstone: statement(format!(
                "UPDATE {t} SET version = ?2, nonce = ?3, state = ?4, owner = ?5, used_at = ?6, \
                 deadline = ?7, expires_at = ?8, head = ?9, body = ?10 \
                 WHERE id = ?1 AND state = 0"
            )),
            due: statement(format!(
                "SELECT id, {RECORD} FROM {t} WHERE state = 0 AND deadline <= {now} \
                 ORDER BY deadline LIMIT ?2"
            )),
            due_id: statement(format!(
                "SELECT id, {RECORD} FROM {t} WHERE id = ?2 AND state = 0 AND deadline <= {now}"
            )),
            time_out: statement(format!(
                "UPDATE {t} SET version = {NEXT}, nonce = ?2, state = 1, owner = NULL, \
                 body = x'' WHERE id = ?1 AND state = 0"
            )),
            purge: statement(format!(
                "DELETE FROM {t} WHERE id IN (SELECT id FROM {t} WHERE expires_at <= {now} \
                 ORDER BY expires_at LIMIT ?2)"
            )),
            owned_by: statement(format!(
                "SELECT id FROM {t} WHERE owner = ?1 AND id > ?2 ORDER BY id LIMIT ?3"
            )),
            has_schema: statement(format!(
                "SELECT name FROM sqlite_schema WHERE name = '{table}_schema'"
            )),
            schema_version: statement(format!("SELECT version FROM \"{table}_schema\"")),
            set_schema_version: statement(format!(
                "INSERT INTO \"{table}_schema\" (one, version) VALUES (1, ?1) \
                 ON CONFLICT (one) DO UPDATE SET version = excluded.version"
            )),
        }
    }
}

/// No column of an index.
fn save_payload(t: &str) -> String {
    format!(
        "UPDATE {t} SET version = ?2, nonce = ?3, head = ?4, body = ?5 \
         WHERE id = ?1 AND state = 0 AND version = ?6 AND nonce = ?7"
    )
}

/// How the table comes to be.
///
/// `deadline` is indexed for live rows only: tombstones keep theirs and are never due.
pub(super) fn steps(table: &str) -> Steps {
    vec![vec![
        format!(
            "CREATE TABLE \"{table}_schema\" \
             (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL) STRICT"
        ),
        format!(
            "CREATE TABLE \"{table}\" (\
             id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16), \
             version INTEGER NOT NULL, nonce INTEGER NOT NULL, \
             state INTEGER NOT NULL CHECK (state IN (0, 1)), owner TEXT, \
             used_at INTEGER NOT NULL, deadline INTEGER, expires_at INTEGER, \
             head BLOB NOT NULL, body BLOB NOT NULL) STRICT"
        ),
        format!("CREATE INDEX \"{table}_deadline\" ON \"{table}\" (deadline) WHERE state = 0"),
        format!("CREATE INDEX \"{table}_expires_at\" ON \"{table}\" (expires_at)"),
        format!(
            "CREATE INDEX \"{table}_owner\" ON \"{table}\" (owner, id) WHERE owner IS NOT NULL"
        ),
    ]]
}
