//! Opens a connection and looks at who answers.

use std::time::Duration;

use cloakroom_core::{StoreError, StoreErrorKind};
use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::io::tcp::TcpSettings;
use redis::io::tcp::socket2::TcpKeepalive;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ErrorKind, IntoConnectionInfo,
    ProtocolVersion, RedisConnectionInfo, RedisError, TlsCertificates, Value,
};
use tokio::time::timeout;

use crate::fault::Fault;
use crate::options::RedisOptions;
use crate::url::{Address, Credentials};

/// What a server must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Standalone,
    Cluster,
    Sentinel,
}

/// How a server describes itself in its greeting, which costs nothing but the round trip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Greeting {
    pub(crate) server: String,
    pub(crate) version: String,
    pub(crate) mode: String,
    pub(crate) role: String,
}

/// What all connections have in common.
#[derive(Clone)]
pub(crate) struct Dialer {
    credentials: Credentials,
    sentinel_credentials: Credentials,
    database: u32,
    tls: Option<TlsCertificates>,
    pub(crate) connect_timeout: Duration,
}

impl Dialer {
    /// # Errors
    ///
    /// `Rejected` if a certificate cannot be read.
    pub(crate) fn new(options: &RedisOptions) -> Result<Self, StoreError> {
        let tls = options.parsed.tls.then(|| TlsCertificates {
            client_tls: options.tls.client.clone().map(|(client_cert, client_key)| {
                ClientTlsConfig {
                    client_cert,
                    client_key,
                }
            }),
            root_cert: options.tls.root.clone(),
        });
        if tls.is_some() {
            // rustls takes its cryptography from the process; an error means that the application
            // has chosen already.
            let chosen = rustls::crypto::ring::default_provider().install_default();
            drop(chosen);
        }
        let dialer = Self {
            credentials: options.parsed.credentials.clone(),
            sentinel_credentials: options.sentinel_credentials.clone(),
            database: options.parsed.database,
            tls,
            connect_timeout: options.connect_timeout,
        };
        // The driver takes a file without any certificate for an authority that vouches for nobody.
        let authority = dialer.tls.as_ref().and_then(|tls| tls.root_cert.as_deref());
        if authority.is_some_and(|pem| !has_certificate(pem)) {
            return Err(StoreError::rejected(
                "the TLS root certificate is no certificate in PEM",
            ));
        }
        for address in options.addresses() {
            dialer.client(address, Mode::Standalone).map_err(|error| {
                StoreError::rejected("a certificate or key cannot be read").with_source(error)
            })?;
        }
        Ok(dialer)
    }

    /// Connects. `push` hears what the server sends unasked, and the end of the connection.
    ///
    /// # Errors
    ///
    /// Also when the server is too old, a replica, or of another mode than the URL says.
    pub(crate) async fn dial(
        &self,
        address: &Address,
        mode: Mode,
        push: impl AsyncPushSender,
    ) -> Result<(MultiplexedConnection, Greeting), Fault> {
        let opening = async {
            let config = AsyncConnectionConfig::new()
                // One deadline stands around all of this, and another around each operation.
                .set_connection_timeout(None)
                .set_response_timeout(None)
                .set_pipeline_buffer_size(512)
                .set_push_sender(push);
            let client = self.client(address, mode).map_err(Fault::of)?;
            let mut connection = client
                .get_multiplexed_async_connection_with_config(&config)
                .await
                .map_err(Fault::of)?;
            let greeting = greet(&mut connection).await?;
            Ok((connection, greeting))
        };
        let opened = timeout(self.connect_timeout, opening).await;
        let (connection, greeting) = opened.unwrap_or_else(|_| {
            let millis = self.connect_timeout.as_millis();
            let message = format!("no connection to {address} within {millis} ms");
            Err(Fault::own(StoreErrorKind::Unavailable, message))
        })?;
        greeting.check(mode, address)?;
        Ok((connection, greeting))
    }

    fn client(&self, address: &Address, mode: Mode) -> Result<Client, RedisError> {
        let (host, port) = (address.host.clone(), address.port);
        let addr = match self.tls {
            None => ConnectionAddr::Tcp(host, port),
            Some(_) => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: false,
                tls_params: None,
            },
        };
        let (credentials, database) = match mode {
            Mode::Sentinel => (&self.sentinel_credentials, 0),
            _ => (&self.credentials, self.database),
        };
        let mut settings = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP3)
            .set_lib_name("cloakroom", env!("CARGO_PKG_VERSION"))
            .set_db(i64::from(database));
        if let Some(user) = &credentials.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = &credentials.password {
            settings = settings.set_password(password);
        }
        let info = addr
            .into_connection_info()?
            .set_redis_settings(settings)
            .set_tcp_settings(tcp_settings(self.connect_timeout));
        match &self.tls {
            None => Client::open(info),
            Some(certificates) => Client::build_with_tls(info, certificates.clone()),
        }
    }
}

fn tcp_settings(silence: Duration) -> TcpSettings {
    // An idle connection that a firewall has forgotten is noticed before a session needs it.
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(5));
    // Otherwise small commands wait for the acknowledgement of the one before.
    let settings = TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(keepalive);
    // Nor does keepalive help while something is unacknowledged: the kernel would try for a quarter
    // of an hour.
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "fuchsia"))]
    let settings = settings.set_user_timeout(silence);
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "fuchsia")))]
    let _: Duration = silence;
    settings
}

/// Asks a server for its greeting.
pub(crate) async fn greet(connection: &mut MultiplexedConnection) -> Result<Greeting, Fault> {
    let value = connection
        .send_packed_command(&redis::cmd("HELLO"))
        .await
        .and_then(Value::extract_error)
        .map_err(Fault::of)?;
    let Value::Map(fields) = value else {
        return Err(Fault::of(RedisError::from((
            ErrorKind::Parse,
            "HELLO was not answered with a map",
        ))));
    };
    let field = |name: &str| {
        fields
            .iter()
            .find(|(key, _)| text(key) == Some(name))
            .and_then(|(_, value)| text(value))
            .unwrap_or_default()
            .to_owned()
    };
    Ok(Greeting {
        server: field("server"),
        version: field("version"),
        mode: field("mode"),
        role: field("role"),
    })
}

impl Greeting {
    fn check(&self, mode: Mode, address: &Address) -> Result<(), Fault> {
        let rejected = |message: String| Err(Fault::own(StoreErrorKind::Rejected, message));
        if self.is_too_old() {
            let version = &self.version;
            return rejected(format!(
                "the server at {address} is too old ({version}): Redis 6.2 or Valkey is needed"
            ));
        }
        match (mode, self.mode.as_str()) {
            (Mode::Standalone, "cluster") => {
                return rejected(format!(
                    "the server at {address} is part of a cluster: use redis+cluster://"
                ));
            }
            (Mode::Standalone, "sentinel") => {
                return rejected(format!(
                    "the server at {address} is a sentinel: use redis+sentinel://"
                ));
            }
            (Mode::Cluster, "standalone" | "sentinel") => {
                return rejected(format!(
                    "the server at {address} is not part of a cluster: use redis://"
                ));
            }
            (Mode::Sentinel, "standalone" | "cluster") => {
                return rejected(format!(
                    "the server at {address} is no sentinel: use redis:// or redis+cluster://"
                ));
            }
            _ => {}
        }
        // Loads never go to a replica. On a cluster a replica sends us to its master by itself.
        if mode == Mode::Standalone && matches!(self.role.as_str(), "replica" | "slave") {
            let message = format!("the server at {address} is a replica, not the master");
            return Err(Fault::own(StoreErrorKind::Unavailable, message));
        }
        Ok(())
    }

    fn is_too_old(&self) -> bool {
        let mut numbers = self.version.split('.').map(str::parse::<u32>);
        match (self.server.as_str(), numbers.next(), numbers.next()) {
            ("redis", Some(Ok(major)), Some(Ok(minor))) => (major, minor) < (6, 2),
            _ => false,
        }
    }
}

fn has_certificate(pem: &[u8]) -> bool {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    pem.windows(BEGIN.len()).any(|window| window == BEGIN)
}

/// A value as text.
pub(crate) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(version: &str, mode: &str, role: &str) -> Greeting {
        Greeting {
            server: "redis".into(),
            version: version.into(),
            mode: mode.into(),
            role: role.into(),
        }
    }

    #[test]
    fn a_server_that_is_not_what_the_url_says_is_refused() {
        use Mode::{Cluster, Sentinel, Standalone};
        let address = Address::parse("h:1", 0).unwrap();
        let kind = |greeting: Greeting, mode| match greeting.check(mode, &address) {
            Ok(()) => None,
            Err(fault) => Some(fault.into_error().kind()),
        };
        let rejected = Some(StoreErrorKind::Rejected);
        let table = [
            ("6.2.0", "standalone", "master", Standalone, None),
            ("7.0.15", "cluster", "replica", Cluster, None),
            ("8.0.2", "sentinel", "", Sentinel, None),
            ("6.0.16", "standalone", "master", Standalone, rejected),
            ("5.0.1", "standalone", "master", Standalone, rejected),
            ("7.0.0", "cluster", "master", Standalone, rejected),
            ("7.0.0", "sentinel", "", Standalone, rejected),
            ("7.0.0", "standalone", "master", Cluster, rejected),
            ("7.0.0", "standalone", "master", Sentinel, rejected),
            (
                "7.0.0",
                "standalone",
                "replica",
                Standalone,
                Some(StoreErrorKind::Unavailable),
            ),
        ];
        for (version, mode, role, wanted, expected) in table {
            let given = greeting(version, mode, role);
            assert_eq!(
                kind(given.clone(), wanted),
                expected,
                "{given:?} as {wanted:?}"
            );
        }
    }
}
