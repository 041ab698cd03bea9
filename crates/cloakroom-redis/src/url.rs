//! Reads the URL of a store. No error repeats it: it may hold a password.

use cloakroom_core::StoreError;

/// A server's host and port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Address {
    /// `host`, `host:port` or `[v6]:port`.
    pub(crate) fn parse(text: &str, default_port: u16) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']')?;
                (host, rest.strip_prefix(':'))
            }
            // Without brackets an IPv6 address, as in a MOVED reply: the port is after the last one.
            None => match text.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = match port {
            Some(port) => port.parse().ok()?,
            None => default_port,
        };
        (!host.is_empty() && port != 0).then(|| Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// How the servers stand together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Topology {
    Standalone(Address),
    Cluster(Vec<Address>),
    Sentinel {
        sentinels: Vec<Address>,
        master: String,
    },
}

/// A user and a password.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let password = self.password.as_ref().map(|_| "...");
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .field("password", &password)
            .finish()
    }
}

/// What a URL says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parsed {
    pub(crate) topology: Topology,
    pub(crate) credentials: Credentials,
    pub(crate) database: u32,
    pub(crate) tls: bool,
}

const FORMS: &str = "the forms are redis://[user:password@]host[:port][/database], \
                     redis+cluster://host:port,host:port and \
                     redis+sentinel://host:port,host:port/master[/database], \
                     each also with rediss for TLS";

/// # Errors
///
/// `Rejected`, with the part that is wrong.
pub(crate) fn parse(url: &str) -> Result<Parsed, StoreError> {
    let (scheme, rest) = url
        .split_once("://")
        .ok_or_else(|| wrong("it has no scheme"))?;
    let (tls, kind) = match scheme {
        "redis" | "valkey" => (false, ""),
        "rediss" | "valkeys" => (true, ""),
        "redis+cluster" => (false, "cluster"),
        "rediss+cluster" => (true, "cluster"),
        "redis+sentinel" => (false, "sentinel"),
        "rediss+sentinel" => (true, "sentinel"),
        _ => return Err(wrong("its scheme is not known")),
    };
    if rest.contains(['?', '#']) {
        return Err(wrong(
            "it must have no query and no fragment (percent-encode a password)",
        ));
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (credentials, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (credentials(user)?, hosts),
        None => (Credentials::default(), authority),
    };
    let default_port = if kind == "sentinel" { 26_379 } else { 6_379 };
    let mut addresses = hosts
        .split(',')
        .map(|host| Address::parse(host, default_port))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| wrong("a host or a port is wrong"))?;
    let path: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (topology, database) = match (kind, path.as_slice()) {
        ("cluster", [] | ["0"]) => (Topology::Cluster(addresses), None),
        ("cluster", _) => return Err(wrong("a cluster has database 0 only")),
        ("sentinel", [master, rest @ ..]) if rest.len() <= 1 => {
            let master = decode(master)?;
            let sentinels = addresses;
            (Topology::Sentinel { sentinels, master }, rest.first())
        }
        ("sentinel", _) => return Err(wrong("it must name the master after the hosts")),
        (_, rest) if rest.len() <= 1 => match (addresses.pop(), addresses.is_empty()) {
            (Some(address), true) => (Topology::Standalone(address), rest.first()),
            _ => {
                return Err(wrong(
                    "several hosts need redis+cluster:// or redis+sentinel://",
                ));
            }
        },
        _ => return Err(wrong("its path must be a database number")),
    };
    let database = match database {
        None => 0,
        Some(number) => number
            .parse()
            .map_err(|_| wrong("its path must be a database number"))?,
    };
    Ok(Parsed {
        topology,
        credentials,
        database,
        tls,
    })
}

fn credentials(text: &str) -> Result<Credentials, StoreError> {
    let (user, password) = match text.split_once(':') {
        Some((user, password)) => (user, Some(decode(password)?)),
        None => (text, None),
    };
    if password.is_none() {
        return Err(wrong("it has a user but no password"));
    }
    let user = Some(decode(user)?).filter(|user| !user.is_empty());
    Ok(Credentials { user, password })
}

/// Percent-decoding (RFC 3986, section 2.1).
fn decode(text: &str) -> Result<String, StoreError> {
    let wrong_percent = || wrong("a percent sign is not followed by two hexadecimal digits");
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let (code, rest) = part.split_at_checked(2).ok_or_else(wrong_percent)?;
        bytes.push(u8::from_str_radix(code, 16).map_err(|_| wrong_percent())?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8"))
}

fn wrong(what: &str) -> StoreError {
    StoreError::rejected(format!("the URL of the store is wrong: {what}; {FORMS}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, port: u16) -> Address {
        let host = host.to_owned();
        Address { host, port }
    }

    #[test]
    fn the_forms_of_a_url() {
        let one = |url| parse(url).unwrap();
        assert_eq!(
            one("redis://h").topology,
            Topology::Standalone(at("h", 6379))
        );
        let full = one("rediss://ada:p%40ss%3A@h:1/3");
        assert!(full.tls && full.database == 3);
        assert_eq!(full.credentials.user.as_deref(), Some("ada"));
        assert_eq!(full.credentials.password.as_deref(), Some("p@ss:"));
        assert_eq!(one("redis://:x@h").credentials.user, None);
        assert_eq!(
            one("redis://[::1]:7/").topology,
            Topology::Standalone(at("::1", 7))
        );
        let cluster = Topology::Cluster(vec![at("a", 1), at("b", 2), at("c", 6379)]);
        assert_eq!(one("redis+cluster://a:1,b:2,c").topology, cluster);
        let sentinel = one("redis+sentinel://:pw@a:1,b/main/2");
        let sentinels = vec![at("a", 1), at("b", 26_379)];
        let master = "main".to_owned();
        assert_eq!(sentinel.topology, Topology::Sentinel { sentinels, master });
        assert_eq!(sentinel.database, 2);
    }

    #[test]
    fn wrong_urls_are_refused_and_not_repeated() {
        for url in [
            "",
            "h:1",
            "http://h",
            "redis://",
            "redis://h:0",
            "redis://h:x",
            "redis://h:99999",
            "redis://secret@h",
            "redis://:secret@h/x",
            "redis://:secret@h/1/2",
            "redis://a,b",
            "redis://:secret%g@h",
            "redis://:secret@h?db=1",
            "redis+cluster://a,b/1",
            "redis+sentinel://a,b",
            "redis+sentinel://a/m/1/2",
            "redis+cluster://a,,b",
        ] {
            let error = parse(url).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{url}: {error}");
        }
        let debug = format!("{:?}", parse("redis://:secret@h").unwrap());
        assert!(!debug.contains("secret"), "{debug}");
    }
}
