use sqlx::SqlStr;

use crate::shared::schema::Steps;
use crate::shared::statement::statement;

/// The record's columns as they are bound.
const COLUMNS: &str = "version, nonce, state, owner, used_at, deadline, expires_at, head, body";

/// The record's columns as they are read.
const RECORD: &str =
    "version, nonce, state::int8, owner, used_at, deadline, expires_at, head, body";

/// `$2` to `$10`, in an update.
const SET: &str = "version = $2, nonce = $3, state = $4, owner = $5, used_at = $6, deadline = $7, \
                   expires_at = $8, head = $9, body = $10";

/// The earlier of `$1` and the server's clock (rule 9). Not `clock_timestamp()`: that may change
/// within the statement, so no index could be searched for it.
const NOW: &str = "least($1, (extract(epoch FROM statement_timestamp()) * 1000)::int8)";

/// A version counts up, and wraps like the unsigned number that it stands for.
const NEXT: &str =
    "CASE version WHEN 9223372036854775807 THEN -9223372036854775808 ELSE version + 1 END";

/// The statements of one store. Each is one round trip, and an operation is one statement; only a refused
/// save of the payload alone looks with a second one.
#[derive(Debug)]
pub(super) struct Sql {
    pub(super) create: SqlStr,
    pub(super) load: SqlStr,
    pub(super) peek: SqlStr,
    pub(super) save: SqlStr,
    pub(super) save_payload: SqlStr,
    pub(super) touch: SqlStr,
    pub(super) bury: SqlStr,
    pub(super) remove: SqlStr,
    pub(super) expire_due: SqlStr,
    pub(super) expire_ids: SqlStr,
    pub(super) purge: SqlStr,
    pub(super) owned_by: SqlStr,
    pub(super) find_schema: SqlStr,
    pub(super) schema_version: SqlStr,
    pub(super) set_schema_version: SqlStr,
}

impl Sql {
    /// `channel` is where endings are told; `None` tells nobody.
    pub(super) fn new(schema: Option<&str>, table: &str, channel: Option<&str>) -> Self {
        let t = qualified(schema, table);
        let versions = qualified(schema, &format!("{table}_schema"));
        // A notice is sent when the statement's transaction commits, and not at all otherwise.
        let notify = |payload: &str| {
            channel.map_or_else(
                || "NULL".to_owned(),
                |channel| format!("pg_notify('{channel}', {payload})::text"),
            )
        };
        let ended = notify("'E' || id::text");
        Self {
            create: statement(create(&t)),
            load: statement(format!("SELECT {RECORD} FROM {t} WHERE id = $1")),
            peek: statement(format!(
                "SELECT version, nonce, state::int8, deadline FROM {t} WHERE id = $1"
            )),
            save: statement(save(
                &t,
                &notify("'S' || $1::text || ' ' || $2 || ' ' || $3"),
            )),
            // The usual save, and the plainest statement for it: no column of an index, so that the row is
            // updated in place (HOT), nothing to tell, and whoever it refuses looks with another.
            save_payload: statement(format!(
                "UPDATE {t} SET version = $2, nonce = $3, head = $4, body = $5 \
                 WHERE id = $1 AND state = 0 AND version = $6 AND nonce = $7"
            )),
            touch: statement(touch(&t)),
            bury: statement(format!(
                "WITH old AS (SELECT * FROM {t} WHERE id = $1 AND state = 0 FOR UPDATE), \
                 new AS (UPDATE {t} SET {SET} WHERE id = ANY (ARRAY (SELECT id FROM old))) \
                 SELECT {RECORD}, {ended} FROM old"
            )),
            // A tombstone that is forgotten is no ending.
            remove: statement(format!(
                "DELETE FROM {t} WHERE id = $1 \
                 RETURNING {RECORD}, CASE state WHEN 0 THEN {ended} END"
            )),
            expire_due: statement(expire(
                &t,
                &format!("deadline <= {NOW} ORDER BY deadline LIMIT $3 FOR UPDATE SKIP LOCKED"),
                &ended,
            )),
            // These are waited for: somebody is about to be told that they have timed out.
            expire_ids: statement(expire(
                &t,
                &format!("id = ANY ($3) AND deadline <= {NOW} ORDER BY id FOR UPDATE"),
                &ended,
            )),
            purge: statement(purge(&t)),
            owned_by: statement(format!(
                "SELECT id FROM {t} WHERE owner = $1 AND id > $2 ORDER BY id LIMIT $3"
            )),
            // Through `pg_class`, whose lock makes the session take note of what others have
            // created; `to_regclass` alone may repeat what it found earlier.
            find_schema: statement(format!(
                "SELECT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('{versions}'))"
            )),
            schema_version: statement(format!("SELECT version FROM {versions}")),
            set_schema_version: statement(format!(
                "INSERT INTO {versions} (one, version) VALUES (1, $1) \
                 ON CONFLICT (one) DO UPDATE SET version = excluded.version"
            )),
        }
    }
}

/// Says `true` and the stamp of the new row, or `false` and the stamp that was there before; or
/// nothing, if the row that was in the way came after the statement's snapshot.
fn create(t: &str) -> String {
    format!(
        "WITH new AS (INSERT INTO {t} (id, {COLUMNS}) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
         ON CONFLICT (id) DO NOTHING RETURNING version, nonce) \
         SELECT true, version, nonce FROM new UNION ALL \
         SELECT false, version, nonce FROM {t} WHERE id = $1"
    )
}

/// Says `true`, or `false` and the row that the statement's snapshot shows. That may be the
/// expected one, if another write won in between: then a new statement has to look.
///
/// A new secret (`$13`) or owner is told: whoever was let in before is not any more. Any other save
/// is not, since `NOTIFY` takes a lock on the database at its commit.
fn save(t: &str, notify: &str) -> String {
    format!(
        "WITH new AS (UPDATE {t} SET {SET} \
         WHERE id = $1 AND state = 0 AND version = $11 AND nonce = $12 RETURNING id) \
         SELECT true, NULL::int8, NULL::int8, NULL::int8, NULL::text, NULL::int8, NULL::int8, \
         NULL::int8, NULL::bytea, NULL::bytea, \
         (SELECT {notify} FROM {t} AS old \
         WHERE old.id = $1 AND ($13::bool OR old.owner IS DISTINCT FROM $5)) \
         FROM new UNION ALL \
         SELECT false, {RECORD}, NULL FROM {t} WHERE id = $1 AND NOT EXISTS (SELECT FROM new)"
    )
}

/// Says whether the row was touched, and its stamp and state in the statement's snapshot.
fn touch(t: &str) -> String {
    // `greatest` ignores NULL, which is "never" here, the latest of all times.
    let later = |column: &str, value: &str| {
        format!(
            "{column} = CASE WHEN {column} IS NULL OR {value}::int8 IS NULL THEN NULL \
             ELSE greatest({column}, {value}) END"
        )
    };
    format!(
        "WITH new AS (UPDATE {t} SET used_at = greatest(used_at, $4), {}, {} \
         WHERE id = $1 AND state = 0 AND version = $2 AND nonce = $3 RETURNING id) \
         SELECT EXISTS (SELECT FROM new), version, nonce, state::int8, deadline \
         FROM {t} WHERE id = $1",
        later("deadline", "$5"),
        later("expires_at", "$6"),
    )
}

/// The rows as they were. `$2` makes new nonces out of the old ones. The update goes by an array,
/// which is always looked up by the primary key, whatever the planner believes of the table.
fn expire(t: &str, which: &str, ended: &str) -> String {
    format!(
        "WITH due AS (SELECT * FROM {t} WHERE state = 0 AND {which}), \
         new AS (UPDATE {t} SET version = {NEXT}, nonce = nonce # $2, state = 1, owner = NULL, \
         body = '' WHERE id = ANY (ARRAY (SELECT id FROM due))) \
         SELECT {RECORD}, {ended}, id FROM due"
    )
}

/// Rows that somebody is writing are left for the next time; the predicate is checked again on
/// the locked row.
fn purge(t: &str) -> String {
    format!(
        "DELETE FROM {t} WHERE id = ANY (ARRAY (SELECT id FROM {t} WHERE expires_at <= {NOW} \
         ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)) AND expires_at <= {NOW}"
    )
}

fn qualified(schema: Option<&str>, table: &str) -> String {
    schema.map_or_else(
        || format!("\"{table}\""),
        |schema| format!("\"{schema}\".\"{table}\""),
    )
}

/// How the table comes to be.
///
/// `deadline` is indexed for live rows only: tombstones keep theirs and are never due. The owner
/// is compared byte for byte, whatever the database's collation.
pub(super) fn steps(schema: Option<&str>, table: &str) -> Steps {
    let t = qualified(schema, table);
    let versions = qualified(schema, &format!("{table}_schema"));
    vec![vec![
        format!(
            "CREATE TABLE {versions} (one smallint PRIMARY KEY CHECK (one = 1), \
             version bigint NOT NULL)"
        ),
        format!(
            "CREATE TABLE {t} (id uuid PRIMARY KEY, version bigint NOT NULL, \
             nonce bigint NOT NULL, state smallint NOT NULL CHECK (state IN (0, 1)), \
             owner text COLLATE \"C\", used_at bigint NOT NULL, deadline bigint, \
             expires_at bigint, head bytea NOT NULL, body bytea NOT NULL)"
        ),
        format!("CREATE INDEX \"{table}_deadline\" ON {t} (deadline) WHERE state = 0"),
        format!("CREATE INDEX \"{table}_expires_at\" ON {t} (expires_at)"),
        format!("CREATE INDEX \"{table}_owner\" ON {t} (owner, id) WHERE owner IS NOT NULL"),
    ]]
}
