use std::sync::Arc;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

/// A statement that is made once for each store and sent many times; its clones are cheap.
///
/// The text may hold the names of the table and the schema, which [`checked`](crate::shared::name::checked)
/// has let pass, and nothing else that comes from outside.
pub(crate) fn statement(text: impl Into<Arc<str>>) -> SqlStr {
    AssertSqlSafe(text.into()).into_sql_str()
}
