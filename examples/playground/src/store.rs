//! Opens the store that `--store` names.

use cloakroom::{Coherence, MemoryStore, SessionLayer, SessionLayerBuilder, SessionStore};
use cloakroom_redis::RedisStore;
use cloakroom_sqlx::{
    MySqlOptions, MySqlStore, PostgresOptions, PostgresStore, SqliteOptions, SqliteStore,
};

use crate::options::Options;
use crate::start::StartError;

/// What `--store` takes.
pub(crate) const ALLOWED: &str = "memory:, sqlite:PATH, postgres://..., mysql://..., redis://..., \
                                  redis+cluster://a,b,c, redis+sentinel://.../NAME";

/// The store without the option: a file in the working directory.
pub(crate) const DEFAULT: &str = "sqlite:cloakroom.sqlite";

/// An opened store: the layer to be built on it, and what is to be closed in the end.
pub(crate) struct Opened {
    pub(crate) builder: SessionLayerBuilder,
    pub(crate) connections: Connections,
}

/// Connections to be closed when the layer has shut down.
pub(crate) enum Connections {
    /// They close by themselves.
    None,
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
    MySql(MySqlStore),
}

impl Connections {
    pub(crate) async fn close(self) {
        match self {
            Self::None => {}
            Self::Sqlite(store) => store.close().await,
            Self::Postgres(store) => store.close().await,
            Self::MySql(store) => store.close().await,
        }
    }
}

/// Opens the store; a missing database file is made, and tables are created or upgraded.
pub(crate) async fn open(options: &Options) -> Result<Opened, StartError> {
    let url = options.store.as_str();
    let shown = without_password(url);
    if let Some(l2) = options.l2.as_deref().filter(|l2| *l2 != "none") {
        let l2 = without_password(l2);
        let name = options.spelling("l2");
        return Err(StartError::new(format!(
            "{name} {l2:?} is not built in; allowed: none"
        )));
    }
    let (scheme, name) = (scheme(url), options.spelling("store"));
    check_names(scheme, options)?;
    let opened = match scheme {
        "memory" if url == "memory:" => Ok(Opened::new(MemoryStore::new(), Connections::None)),
        "sqlite" if url != "sqlite:" => sqlite(url, options).await,
        "postgres" | "postgresql" => postgres(url, options).await,
        "mysql" | "mariadb" => mysql(url, options).await,
        "redis" | "rediss" | "redis+cluster" | "rediss+cluster" | "redis+sentinel"
        | "rediss+sentinel" => RedisStore::connect(url)
            .await
            .map(|store| Opened::new(store, Connections::None)),
        _ => {
            return Err(StartError::new(format!(
                "{name} {shown:?} is not allowed; allowed: {ALLOWED}"
            )));
        }
    };
    opened.map_err(|error| StartError::caused_by(&format!("{name} {shown:?}"), &error))
}

impl Opened {
    fn new(store: impl SessionStore, connections: Connections) -> Self {
        Self {
            builder: SessionLayer::builder(store),
            connections,
        }
    }
}

type Opening = Result<Opened, cloakroom::StoreError>;

/// Who wants to be the only one locks the file.
async fn sqlite(url: &str, options: &Options) -> Opening {
    let exclusive = options.coherence == Some(Coherence::Exclusive);
    let mut connect = SqliteOptions::from_url(url)?.exclusive(exclusive);
    if let Some(table) = &options.table {
        connect = connect.table(table);
    }
    let store = connect.open().await?;
    store.migrate().await?;
    Ok(Opened::new(store.clone(), Connections::Sqlite(store)))
}

async fn postgres(url: &str, options: &Options) -> Opening {
    let mut connect = PostgresOptions::from_url(url)?;
    if let Some(table) = &options.table {
        connect = connect.table(table);
    }
    if let Some(schema) = &options.schema {
        connect = connect.schema(schema);
    }
    let store = connect.connect().await?;
    store.migrate().await?;
    Ok(Opened::new(store.clone(), Connections::Postgres(store)))
}

async fn mysql(url: &str, options: &Options) -> Opening {
    let mut connect = MySqlOptions::from_url(url)?;
    if let Some(table) = &options.table {
        connect = connect.table(table);
    }
    let store = connect.connect().await?;
    store.migrate().await?;
    Ok(Opened::new(store.clone(), Connections::MySql(store)))
}

fn scheme(url: &str) -> &str {
    url.split_once(':').map_or("", |(scheme, _)| scheme)
}

/// Only a SQL store has a table, and only that of `PostgreSQL` lies in a schema.
fn check_names(kind: &str, options: &Options) -> Result<(), StartError> {
    const POSTGRES: &[&str] = &["postgres", "postgresql"];
    const SQL: &[&str] = &["sqlite", "postgres", "postgresql", "mysql", "mariadb"];
    let table = options.table.as_ref();
    let schema = options.schema.as_ref();
    for (option, name, kinds, allowed) in [
        ("table", table, SQL, "sqlite:, postgres:// or mysql://"),
        ("schema", schema, POSTGRES, "postgres://"),
    ] {
        if let Some(name) = name
            && !kinds.contains(&kind)
        {
            let option = options.spelling(option);
            return Err(StartError::new(format!(
                "{option} {name:?} is not allowed with --store {kind}:; allowed: with {allowed}"
            )));
        }
    }
    Ok(())
}

/// The modes of `--coherence` that this store can give.
pub(crate) fn coherences(options: &Options) -> &'static str {
    match scheme(&options.store) {
        "memory" => "exclusive, push, bounded=DURATION, verify",
        "sqlite" => "exclusive, bounded=DURATION, verify",
        "redis" | "rediss" | "redis+cluster" | "rediss+cluster" | "redis+sentinel"
        | "rediss+sentinel" => "push, bounded=DURATION, verify",
        _ => "bounded=DURATION, verify",
    }
}

/// A URL for messages: what stands before an `@` is left out, since it may hold a password.
pub(crate) fn without_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(start), Some(end)) if start + 3 <= end => {
            let (scheme, rest) = (url.get(..start + 3), url.get(end..));
            format!(
                "{}***{}",
                scheme.unwrap_or_default(),
                rest.unwrap_or_default()
            )
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_left_out_of_messages() {
        assert_eq!(without_password("redis://u:p@h:1/0"), "redis://***@h:1/0");
        assert_eq!(without_password("redis://u:p@ss@h"), "redis://***@h");
        assert_eq!(without_password("memory:"), "memory:");
        assert_eq!(without_password("a@b"), "a@b");
    }
}
