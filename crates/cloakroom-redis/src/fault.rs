//! What each error of the server or the driver means: one table, on purpose for every code.

use cloakroom_core::{StoreError, StoreErrorKind};
use redis::{ErrorKind, RedisError};

/// An error, judged.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    kind: StoreErrorKind,
    message: String,
    source: RedisError,
    /// Where the server says that the key is.
    pub(crate) redirect: Option<Redirect>,
    /// The server does not know the script; nothing was run.
    pub(crate) unknown_script: bool,
    /// The connection must not be used again.
    pub(crate) breaks_link: bool,
    /// What is known of roles and slots may be out of date.
    pub(crate) stale_map: bool,
}

/// Another node is in charge of the key; nothing was run here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Redirect {
    /// For good.
    Moved(String),
    /// For this once.
    Ask(String),
}

/// Code, kind, whether the link is broken, whether the map is stale, and the sentence.
type Rule = (&'static str, StoreErrorKind, bool, bool, &'static str);

use StoreErrorKind::{Corrupt, Rejected, Unavailable};

const RULES: &[Rule] = &[
    (
        "LOADING",
        Unavailable,
        false,
        false,
        "the server is reading its data into memory",
    ),
    (
        "BUSY",
        Unavailable,
        false,
        false,
        "the server is busy with somebody's long script",
    ),
    (
        "UNKILLABLE",
        Unavailable,
        false,
        false,
        "the server is busy with somebody's long script",
    ),
    (
        "TRYAGAIN",
        Unavailable,
        false,
        true,
        "the keys are on their way to another node",
    ),
    (
        "CLUSTERDOWN",
        Unavailable,
        false,
        true,
        "the cluster is down, or this slot has no master",
    ),
    (
        "MASTERDOWN",
        Unavailable,
        true,
        true,
        "this replica has lost its master",
    ),
    (
        "MOVED",
        Unavailable,
        false,
        true,
        "the key moved from node to node too often",
    ),
    (
        "ASK",
        Unavailable,
        false,
        true,
        "the key moved from node to node too often",
    ),
    // A master that was demoted: the connection leads to the wrong server from now on.
    (
        "READONLY",
        Unavailable,
        true,
        true,
        "the server has become a read-only replica",
    ),
    (
        "NOREPLICAS",
        Unavailable,
        false,
        false,
        "too few replicas are up for the master to write",
    ),
    // Memory comes back as sessions expire: the same write may succeed later.
    (
        "OOM",
        Unavailable,
        false,
        false,
        "the server's memory is full (see maxmemory)",
    ),
    (
        "MISCONF",
        Unavailable,
        false,
        false,
        "the server cannot write to its disk and takes no writes",
    ),
    (
        "NOSCRIPT",
        Unavailable,
        false,
        false,
        "the server forgot the script twice in a row",
    ),
    // A transaction that was given up has changed nothing. We send none; a proxy may.
    (
        "EXECABORT",
        Unavailable,
        false,
        false,
        "the server gave up a transaction",
    ),
    (
        "NOAUTH",
        Rejected,
        true,
        false,
        "the server asks for a password: put it into the URL",
    ),
    (
        "WRONGPASS",
        Rejected,
        true,
        false,
        "the server refuses this user and password",
    ),
    (
        "NOPERM",
        Rejected,
        false,
        false,
        "the user may not run a command, use a key or a channel that the store needs: see the ACL in the documentation",
    ),
    (
        "DENIED",
        Rejected,
        true,
        false,
        "the server is in protected mode: give it a password, or bind it to a private address",
    ),
    (
        "NOPROTO",
        Rejected,
        true,
        false,
        "the server is too old: Redis 6.2 or Valkey is needed",
    ),
    (
        "CROSSSLOT",
        Rejected,
        false,
        false,
        "a proxy or server does not accept the owner index's two keys",
    ),
    (
        "WRONGTYPE",
        Corrupt,
        false,
        false,
        "the key holds another type of value: something else writes under this prefix",
    ),
];

/// Texts of the general code `ERR`, by a part of them.
const TEXTS: &[Rule] = &[
    (
        "max number of clients",
        Unavailable,
        true,
        false,
        "the server has no room for more connections",
    ),
    (
        "unknown command",
        Rejected,
        false,
        false,
        "the server does not know a command: Redis 6.2 or Valkey is needed, with no command renamed",
    ),
    (
        "DB index",
        Rejected,
        true,
        false,
        "the server has no database of this number",
    ),
    (
        "SELECT is not allowed",
        Rejected,
        true,
        false,
        "a cluster has database 0 only",
    ),
    (
        "invalid password",
        Rejected,
        true,
        false,
        "the server refuses this password",
    ),
    (
        "without any password configured",
        Rejected,
        true,
        false,
        "the URL has a password, but the server knows none for this user",
    ),
    (
        "exceeds maximum allowed size",
        Rejected,
        false,
        false,
        "the value is too large for the server",
    ),
    (
        "No such master",
        Rejected,
        true,
        false,
        "the sentinels know no master of this name",
    ),
    (
        "cluster support disabled",
        Rejected,
        true,
        false,
        "the server is not part of a cluster: use redis:// instead of redis+cluster://",
    ),
];

impl Fault {
    /// Judges an error.
    pub(crate) fn of(source: RedisError) -> Self {
        let code = code(&source);
        let text = source.detail().unwrap_or_default();
        let general = matches!(code.as_str(), "ERR" | "");
        let rule = RULES
            .iter()
            .find(|rule| rule.0 == code)
            .or_else(|| TEXTS.iter().find(|rule| general && text.contains(rule.0)));
        let (kind, breaks_link, stale_map, message) = match (rule, source.kind()) {
            (Some(rule), _) => (rule.1, rule.2, rule.3, rule.4.to_owned()),
            (None, ErrorKind::AuthenticationFailed) => (
                Rejected,
                true,
                false,
                "the server refuses this user and password".to_owned(),
            ),
            (None, ErrorKind::RESP3NotSupported) => (
                Rejected,
                true,
                false,
                "the server is too old: Redis 6.2 or Valkey is needed".to_owned(),
            ),
            (None, ErrorKind::InvalidClientConfig) => (
                Rejected,
                true,
                false,
                "the settings of the connection are wrong".to_owned(),
            ),
            (None, ErrorKind::Io) => (Unavailable, true, true, "the connection failed".to_owned()),
            (None, ErrorKind::Parse | ErrorKind::UnexpectedReturnType) => (
                Unavailable,
                true,
                false,
                "the connection carries something that is no reply".to_owned(),
            ),
            // Whatever a later release invents: a code that is not known is not known to be final.
            (None, _) => (Unavailable, false, false, "the server refused".to_owned()),
        };
        let redirect = source
            .redirect_node()
            .and_then(|(address, _)| match code.as_str() {
                "MOVED" => Some(Redirect::Moved(address.to_owned())),
                "ASK" => Some(Redirect::Ask(address.to_owned())),
                _ => None,
            });
        Self {
            kind,
            message,
            redirect,
            unknown_script: code == "NOSCRIPT",
            breaks_link,
            stale_map,
            source,
        }
    }

    /// A reply that belongs to another request.
    pub(crate) fn out_of_step() -> Self {
        Self {
            breaks_link: true,
            ..Self::of(RedisError::from((
                ErrorKind::Parse,
                "the reply belongs to another request",
            )))
        }
    }

    /// A failure that is found on our side.
    pub(crate) fn own(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: RedisError::from((ErrorKind::Client, "refused by cloakroom-redis")),
            redirect: None,
            unknown_script: false,
            breaks_link: true,
            stale_map: kind == Unavailable,
        }
    }

    /// The connection and the map are fine all the same.
    pub(crate) fn without_consequence(self) -> Self {
        Self {
            breaks_link: false,
            stale_map: false,
            ..self
        }
    }

    /// Whether the same call may succeed in a moment.
    pub(crate) fn is_passing(&self) -> bool {
        self.kind == Unavailable
    }

    pub(crate) fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// For the caller of the store.
    pub(crate) fn into_error(self) -> StoreError {
        StoreError::new(self.kind, self.message).with_source(self.source)
    }
}

/// The code, also where Redis 6.2 hides the error of a command inside that of its script.
fn code(error: &RedisError) -> String {
    let code = error.code().unwrap_or_default();
    let text = error.detail().unwrap_or_default();
    if code == "ERR" && text.contains("running script") {
        let hidden = RULES
            .iter()
            .find(|rule| text.contains(&format!("-{} ", rule.0)));
        if let Some(rule) = hidden {
            return rule.0.to_owned();
        }
    }
    code.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(line: &str) -> Fault {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        Fault::of(value.extract_error().unwrap_err())
    }

    #[test]
    fn every_error_has_its_kind() {
        let table = [
            (
                "LOADING Redis is loading the dataset in memory",
                Unavailable,
            ),
            ("BUSY Redis is busy running a script.", Unavailable),
            ("MOVED 3999 127.0.0.1:6381", Unavailable),
            ("ASK 3999 127.0.0.1:6381", Unavailable),
            ("CLUSTERDOWN The cluster is down", Unavailable),
            ("CLUSTERDOWN Hash slot not served", Unavailable),
            (
                "TRYAGAIN Multiple keys request during rehashing of slot",
                Unavailable,
            ),
            ("MASTERDOWN Link with MASTER is down", Unavailable),
            (
                "READONLY You can't write against a read only replica.",
                Unavailable,
            ),
            ("NOREPLICAS Not enough good replicas to write.", Unavailable),
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                Unavailable,
            ),
            (
                "MISCONF Redis is configured to save RDB snapshots",
                Unavailable,
            ),
            ("NOSCRIPT No matching script. Please use EVAL.", Unavailable),
            (
                "EXECABORT Transaction discarded because of previous errors.",
                Unavailable,
            ),
            ("ERR max number of clients reached", Unavailable),
            ("ERR something that nobody has seen before", Unavailable),
            ("NEWCODE of a later release", Unavailable),
            ("NOAUTH Authentication required.", Rejected),
            (
                "WRONGPASS invalid username-password pair or user is disabled.",
                Rejected,
            ),
            (
                "NOPERM this user has no permissions to run the 'evalsha' command",
                Rejected,
            ),
            ("DENIED Redis is running in protected mode", Rejected),
            ("NOPROTO unsupported protocol version", Rejected),
            (
                "CROSSSLOT Keys in request don't hash to the same slot",
                Rejected,
            ),
            (
                "ERR unknown command 'EVALSHA', with args beginning with:",
                Rejected,
            ),
            ("ERR DB index is out of range", Rejected),
            ("ERR No such master with that name", Rejected),
            ("ERR This instance has cluster support disabled", Rejected),
            (
                "WRONGTYPE Operation against a key holding the wrong kind of value",
                Corrupt,
            ),
            // As Redis 6.2 wraps them.
            (
                "ERR Error running script (call to f_1): @user_script:2: -WRONGTYPE Operation against a key",
                Corrupt,
            ),
            (
                "ERR Error running script (call to f_1): @user_script:9: -OOM command not allowed",
                Unavailable,
            ),
        ];
        for (line, kind) in table {
            assert_eq!(fault(line).into_error().kind(), kind, "{line}");
        }
    }

    #[test]
    fn a_redirect_says_where_to() {
        let moved = Some(Redirect::Moved("127.0.0.1:6381".into()));
        assert_eq!(fault("MOVED 3999 127.0.0.1:6381").redirect, moved);
        let ask = Some(Redirect::Ask("[::1]:6381".into()));
        assert_eq!(fault("ASK 3999 [::1]:6381").redirect, ask);
        assert_eq!(fault("CLUSTERDOWN no").redirect, None);
    }

    #[test]
    fn a_link_to_the_wrong_server_or_out_of_step_is_dropped() {
        assert!(fault("READONLY demoted").breaks_link);
        assert!(Fault::out_of_step().breaks_link && Fault::out_of_step().is_passing());
        let io = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert!(Fault::of(io.into()).breaks_link);
        assert!(!fault("BUSY script").breaks_link);
        assert!(fault("NOSCRIPT gone").unknown_script);
    }
}
