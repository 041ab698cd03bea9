use std::fmt;
use std::str::FromStr;

use cloakroom_core::StoreError;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use super::PostgresStore;
use crate::shared::name;
use crate::shared::settings::{Settings, setters};

/// Which database, which table, and how long to wait.
///
/// `Debug` shows neither the password nor the URL.
///
/// ```no_run
/// # async fn open() -> Result<(), cloakroom_core::StoreError> {
/// use cloakroom_sqlx::PostgresOptions;
///
/// let store = PostgresOptions::from_url("postgres://app@db.example/app?sslmode=verify-full")?
///     .schema("web")
///     .connect()
///     .await?;
/// store.migrate().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct PostgresOptions {
    pub(super) connect: PgConnectOptions,
    pub(super) settings: Settings,
    pub(super) schema: Option<String>,
    pub(super) channel: Option<String>,
    pub(super) push: bool,
}

impl PostgresOptions {
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=...`; what is missing comes from the
    /// variables `PGHOST`, `PGPASSWORD` and so on, as with `psql`.
    ///
    /// # Errors
    ///
    /// `Rejected` if the URL is not understood. The error does not quote it.
    pub fn from_url(url: &str) -> Result<Self, StoreError> {
        let not_understood = || {
            StoreError::rejected(
                "the URL is not understood: `postgres://USER:PASSWORD@HOST:PORT/DATABASE` is \
                 expected, with special characters percent-encoded",
            )
        };
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(not_understood());
        }
        // The driver's error may quote a part of the URL, and with it the password.
        let connect = PgConnectOptions::from_str(url).map_err(|_| not_understood())?;
        Ok(Self {
            connect,
            settings: Settings::default(),
            schema: None,
            channel: None,
            push: true,
        })
    }

    setters!();

    /// The schema of the table, which must exist. Default: what `search_path` finds.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = Some(schema.into());
        self
    }

    /// The channel on which endings are told to the other nodes. Default: the table's name.
    ///
    /// All nodes must name the same one.
    pub fn channel(mut self, channel: impl Into<String>) -> Self {
        self.channel = Some(channel.into());
        self
    }

    /// Whether endings are told by `NOTIFY`. Default: yes.
    ///
    /// So are an expiry and a save that replaces the secret or the owner (a renewal, a login); no
    /// other save, no create, no touch.
    /// Without it other nodes learn of an ending when they next verify their copy.
    pub fn push_endings(mut self, push: bool) -> Self {
        self.push = push;
        self
    }

    /// Connects once, to see that it works. It does not create the table: see
    /// [`PostgresStore::migrate`].
    ///
    /// # Errors
    ///
    /// `Rejected` for wrong names or credentials, `Unavailable` if the server does not answer.
    pub async fn connect(self) -> Result<PostgresStore, StoreError> {
        let store = self.connect_lazy()?;
        store.check().await?;
        Ok(store)
    }

    /// A store that connects with its first operation, so that an application can start while its
    /// database is down.
    ///
    /// # Errors
    ///
    /// `Rejected` if the table's, the schema's or the channel's name is no identifier.
    pub fn connect_lazy(self) -> Result<PostgresStore, StoreError> {
        self.settings.checked()?;
        for (kind, name) in [("schema", &self.schema), ("channel", &self.channel)] {
            if let Some(name) = name {
                name::checked(kind, name)?;
            }
        }
        Ok(PostgresStore::with(&self))
    }

    /// With the server's own limit: it stops working on what nobody waits for any more.
    pub(super) fn to_connect(&self) -> PgConnectOptions {
        let limit = self.settings.operation_timeout.as_millis().to_string();
        self.connect
            .clone()
            .disable_statement_logging()
            .options([("statement_timeout", limit.as_str())])
    }

    /// Where endings are told, if they are.
    pub(super) fn notice_channel(&self) -> Option<&str> {
        let name = self.channel.as_deref().unwrap_or(&self.settings.table);
        self.push.then_some(name)
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("host", &self.connect.get_host())
            .field("port", &self.connect.get_port())
            .field("database", &self.connect.get_database())
            .field("schema", &self.schema)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
