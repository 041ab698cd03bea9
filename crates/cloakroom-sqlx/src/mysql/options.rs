use std::fmt;
use std::str::FromStr;

use cloakroom_core::StoreError;
use sqlx::ConnectOptions;
use sqlx::mysql::MySqlConnectOptions;

use super::MySqlStore;
use crate::shared::settings::{Settings, setters};

/// Which database, which table, and how long to wait.
///
/// `Debug` shows neither the password nor the URL.
///
/// ```no_run
/// # async fn open() -> Result<(), cloakroom_core::StoreError> {
/// use cloakroom_sqlx::MySqlOptions;
///
/// let store = MySqlOptions::from_url("mysql://app@db.example/app?ssl-mode=VERIFY_IDENTITY")?
///     .table("web_sessions")
///     .connect()
///     .await?;
/// store.migrate().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct MySqlOptions {
    pub(super) connect: MySqlConnectOptions,
    pub(super) settings: Settings,
}

impl MySqlOptions {
    /// `mysql://USER:PASSWORD@HOST:PORT/DATABASE?ssl-mode=...`, or `mariadb://...`.
    ///
    /// # Errors
    ///
    /// `Rejected` if the URL is not understood. The error does not quote it.
    pub fn from_url(url: &str) -> Result<Self, StoreError> {
        let not_understood = || {
            StoreError::rejected(
                "the URL is not understood: `mysql://USER:PASSWORD@HOST:PORT/DATABASE` is \
                 expected, with special characters percent-encoded",
            )
        };
        if !url.starts_with("mysql://") && !url.starts_with("mariadb://") {
            return Err(not_understood());
        }
        // The driver's error may quote a part of the URL, and with it the password.
        let connect = MySqlConnectOptions::from_str(url).map_err(|_| not_understood())?;
        Ok(Self {
            connect,
            settings: Settings::default(),
        })
    }

    setters!();

    /// Connects once, to see that it works. It does not create the table: see
    /// [`MySqlStore::migrate`].
    ///
    /// # Errors
    ///
    /// `Rejected` for wrong names or credentials, `Unavailable` if the server does not answer.
    pub async fn connect(self) -> Result<MySqlStore, StoreError> {
        let store = self.connect_lazy()?;
        store.check().await?;
        Ok(store)
    }

    /// A store that connects with its first operation, so that an application can start while its
    /// database is down.
    ///
    /// # Errors
    ///
    /// `Rejected` if the table's name is no identifier.
    pub fn connect_lazy(self) -> Result<MySqlStore, StoreError> {
        self.settings.checked()?;
        Ok(MySqlStore::with(&self))
    }

    /// Without the driver's own settings of a session, which cost a round trip: ours replace them.
    pub(super) fn to_connect(&self) -> MySqlConnectOptions {
        self.connect
            .clone()
            .disable_statement_logging()
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            .set_names(false)
    }
}

impl fmt::Debug for MySqlOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MySqlOptions")
            .field("host", &self.connect.get_host())
            .field("port", &self.connect.get_port())
            .field("database", &self.connect.get_database())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
