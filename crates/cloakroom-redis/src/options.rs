use std::fmt;
use std::time::Duration;

use cloakroom_core::StoreError;

use crate::RedisStore;
use crate::keys::Keys;
use crate::url::{Address, Credentials, Parsed, Topology, parse};

/// Where the store is and how it is spoken to. Built from a URL.
///
/// | form | what |
/// |---|---|
/// | `redis://[user:password@]host[:port][/database]` | one server |
/// | `redis+sentinel://[user:password@]host:port,host:port/master[/database]` | the master that these sentinels name; asked anew every second |
/// | `redis+cluster://[user:password@]host:port,host:port` | a cluster; the hosts are where to begin |
///
/// With `rediss` instead of `redis` each of them speaks TLS. User and password are percent-encoded.
///
/// ```
/// use std::time::Duration;
/// use cloakroom_redis::RedisOptions;
///
/// let options = RedisOptions::parse("redis://app:secret@localhost:6379/2")?
///     .prefix("shop:")?
///     .command_timeout(Duration::from_secs(1));
/// assert!(!format!("{options:?}").contains("secret"));
/// assert!(RedisOptions::parse("http://localhost").is_err());
/// # Ok::<_, cloakroom_core::StoreError>(())
/// ```
#[derive(Clone)]
pub struct RedisOptions {
    pub(crate) parsed: Parsed,
    pub(crate) sentinel_credentials: Credentials,
    pub(crate) prefix: String,
    pub(crate) connect_timeout: Duration,
    pub(crate) command_timeout: Duration,
    pub(crate) read_retries: u32,
    pub(crate) wait: Option<Wait>,
    pub(crate) tls: Tls,
}

/// How many replicas must have a write before it is told done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    pub(crate) replicas: u32,
    pub(crate) timeout: Duration,
}

/// Certificates in PEM.
#[derive(Clone, Default)]
pub(crate) struct Tls {
    pub(crate) root: Option<Vec<u8>>,
    /// Certificate and key.
    pub(crate) client: Option<(Vec<u8>, Vec<u8>)>,
}

impl RedisOptions {
    /// Reads a URL; see the forms above.
    ///
    /// # Errors
    ///
    /// `Rejected`, with what is wrong; the URL itself is not repeated, as it may hold a password.
    pub fn parse(url: &str) -> Result<Self, StoreError> {
        Ok(Self {
            parsed: parse(url)?,
            sentinel_credentials: Credentials::default(),
            prefix: "cloakroom:".to_owned(),
            connect_timeout: Duration::from_secs(2),
            command_timeout: Duration::from_secs(2),
            read_retries: 2,
            wait: None,
            tls: Tls::default(),
        })
    }

    /// What every key and the channel begin with. Default: `cloakroom:`.
    ///
    /// # Errors
    ///
    /// `Rejected` for a prefix with a brace, which would decide the slot of every key on a cluster,
    /// or with a control character.
    pub fn prefix(mut self, prefix: &str) -> Result<Self, StoreError> {
        Keys::new(prefix, 0)?;
        prefix.clone_into(&mut self.prefix);
        Ok(self)
    }

    /// User and password of the sentinels, if they ask for any; those in the URL are the master's.
    #[must_use]
    pub fn sentinel_credentials(mut self, user: Option<&str>, password: &str) -> Self {
        self.sentinel_credentials = Credentials {
            user: user.map(str::to_owned),
            password: Some(password.to_owned()),
        };
        self
    }

    /// How long a new connection may take, its greeting included. Default: 2 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long one operation may take in all: waiting for a connection, redirects, repetitions and the
    /// owner's index included. Default: 2 s.
    #[must_use]
    pub fn command_timeout(mut self, timeout: Duration) -> Self {
        self.command_timeout = timeout;
        self
    }

    /// How often a load, a peek or an owner's list is tried again after a passing failure, within
    /// the command timeout. Default: 2. Writes are never sent again.
    #[must_use]
    pub fn read_retries(mut self, retries: u32) -> Self {
        self.read_retries = retries;
        self
    }

    /// Makes each write wait until so many replicas have it, at most `timeout`. Default: off.
    ///
    /// Replication is asynchronous: a failover may undo writes that were confirmed. This makes it
    /// less likely (not impossible: see `WAIT` in the Redis manual). A write that too few replicas
    /// confirmed in time is answered `Unavailable`, although the master has it; the session layer
    /// then looks once, finds it and goes on. While a write waits, later commands on the same
    /// connection wait behind it, so keep the timeout short.
    ///
    /// # Errors
    ///
    /// `Rejected` if there is nothing to wait for (no replica, or less than a millisecond).
    pub fn wait_for_replicas(
        mut self,
        replicas: u32,
        timeout: Duration,
    ) -> Result<Self, StoreError> {
        if replicas == 0 || timeout < Duration::from_millis(1) {
            return Err(StoreError::rejected(
                "waiting for replicas needs at least one of them and a millisecond",
            ));
        }
        self.wait = Some(Wait { replicas, timeout });
        Ok(self)
    }

    /// The authority (PEM) that the servers' certificates must come from, instead of those that
    /// the operating system trusts.
    #[must_use]
    pub fn tls_root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.root = Some(pem.into());
        self
    }

    /// The certificate and key (PEM) by which this client is known to the servers.
    #[must_use]
    pub fn tls_client_certificate(
        mut self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.tls.client = Some((certificate.into(), key.into()));
        self
    }

    /// Connects, and looks at the servers' version and settings; what endangers sessions is logged
    /// as a warning and kept in [`RedisStore::warnings`].
    ///
    /// # Errors
    ///
    /// `Unavailable` if no server answers, `Rejected` if it refuses us, is too old, or is not what
    /// the URL says.
    pub async fn connect(self) -> Result<RedisStore, StoreError> {
        let store = self.open()?;
        store.greet().await?;
        Ok(store)
    }

    /// A store that connects at its first use.
    ///
    /// # Errors
    ///
    /// `Rejected` if a certificate cannot be read.
    pub fn open(self) -> Result<RedisStore, StoreError> {
        RedisStore::new(&self)
    }

    pub(crate) fn keys(&self) -> Result<Keys, StoreError> {
        Keys::new(&self.prefix, self.parsed.database)
    }

    pub(crate) fn addresses(&self) -> &[Address] {
        match &self.parsed.topology {
            Topology::Standalone(address) => std::slice::from_ref(address),
            Topology::Cluster(addresses) => addresses,
            Topology::Sentinel { sentinels, .. } => sentinels,
        }
    }
}

// By hand, so that neither a password nor a key is ever printed.
impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("parsed", &self.parsed)
            .field("prefix", &self.prefix)
            .field("connect_timeout", &self.connect_timeout)
            .field("command_timeout", &self.command_timeout)
            .field("read_retries", &self.read_retries)
            .field("wait", &self.wait)
            .finish_non_exhaustive()
    }
}
