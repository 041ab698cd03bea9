//! The table: what each error code means, on purpose.

use cloakroom_core::StoreErrorKind;
use redis::ErrorKind;

/// What an error means.
pub(super) struct Rule {
    /// The code, or a part of the text.
    sign: &'static str,
    pub(super) kind: StoreErrorKind,
    pub(super) message: &'static str,
    /// The connection must not be used again.
    pub(super) breaks_link: bool,
    /// What is known of roles and slots may be out of date.
    pub(super) stale_map: bool,
}

impl Rule {
    const fn new(sign: &'static str, kind: StoreErrorKind, message: &'static str) -> Self {
        Self {
            sign,
            kind,
            message,
            breaks_link: false,
            stale_map: false,
        }
    }

    const fn breaks(mut self) -> Self {
        self.breaks_link = true;
        self
    }

    const fn stale(mut self) -> Self {
        self.stale_map = true;
        self
    }
}

const fn passing(sign: &'static str, message: &'static str) -> Rule {
    Rule::new(sign, StoreErrorKind::Unavailable, message)
}

const fn refused(sign: &'static str, message: &'static str) -> Rule {
    Rule::new(sign, StoreErrorKind::Rejected, message)
}

const fn unreadable(sign: &'static str, message: &'static str) -> Rule {
    Rule::new(sign, StoreErrorKind::Corrupt, message)
}

const NO_PERMISSION: &str = "the user may not run a command, use a key or a channel that the store \
                             needs: see the ACL in the documentation";

/// By the code that a reply begins with.
const CODES: &[Rule] = &[
    passing("LOADING", "the server is reading its data into memory"),
    passing("BUSY", "the server is busy with somebody's long script"),
    passing(
        "UNKILLABLE",
        "the server is busy with somebody's long script",
    ),
    passing("TRYAGAIN", "the keys are on their way to another node").stale(),
    passing(
        "CLUSTERDOWN",
        "the cluster is down, or this slot has no master",
    )
    .stale(),
    passing("MASTERDOWN", "this replica has lost its master")
        .breaks()
        .stale(),
    passing("MOVED", "the key moved from node to node too often").stale(),
    passing("ASK", "the key moved from node to node too often").stale(),
    // A master that was demoted: the connection leads to the wrong server from now on.
    passing("READONLY", "the server has become a read-only replica")
        .breaks()
        .stale(),
    passing(
        "NOREPLICAS",
        "too few replicas are up for the master to write",
    ),
    // Memory comes back as sessions expire: the same write may succeed later.
    passing("OOM", "the server's memory is full (see maxmemory)"),
    passing(
        "MISCONF",
        "the server cannot write to its disk and takes no writes",
    ),
    passing("NOSCRIPT", "the server forgot the script twice in a row"),
    // A transaction that was given up has changed nothing. We send none; a proxy may.
    passing("EXECABORT", "the server gave up a transaction"),
    refused(
        "NOAUTH",
        "the server asks for a password: put it into the URL",
    )
    .breaks(),
    refused("WRONGPASS", "the server refuses this user and password").breaks(),
    refused("NOPERM", NO_PERMISSION),
    refused(
        "DENIED",
        "the server is in protected mode: give it a password, or bind it to a private address",
    )
    .breaks(),
    refused(
        "NOPROTO",
        "the server is too old: Redis 6.2 or Valkey is needed",
    )
    .breaks(),
    refused(
        "CROSSSLOT",
        "a proxy or server takes a script with one key for one with several",
    ),
    unreadable(
        "WRONGTYPE",
        "the key holds another type of value: something else writes under this prefix",
    ),
];

/// Of the general code `ERR`, by a part of the text.
const TEXTS: &[Rule] = &[
    // Inside a script NOPERM has no code of its own.
    refused("The user executing the script", NO_PERMISSION),
    refused("ACL failure in script", NO_PERMISSION),
    passing(
        "max number of clients",
        "the server has no room for more connections",
    )
    .breaks(),
    refused(
        "unknown command",
        "the server does not know a command: Redis 6.2 or Valkey is needed, with no command renamed",
    ),
    refused("DB index", "the server has no database of this number").breaks(),
    refused("SELECT is not allowed", "a cluster has database 0 only").breaks(),
    refused("invalid password", "the server refuses this password").breaks(),
    refused(
        "without any password configured",
        "the URL has a password, but the server knows none for this user",
    )
    .breaks(),
    refused(
        "exceeds maximum allowed size",
        "the value is too large for the server",
    ),
    refused(
        "No such master",
        "the sentinels know no master of this name",
    )
    .breaks(),
    refused(
        "cluster support disabled",
        "the server is not part of a cluster: use redis:// instead of redis+cluster://",
    )
    .breaks(),
];

const REFUSED_USER: Rule = refused("", "the server refuses this user and password").breaks();
const TOO_OLD: Rule = refused("", "the server is too old: Redis 6.2 or Valkey is needed").breaks();
const WRONG_SETTINGS: Rule = refused("", "the settings of the connection are wrong").breaks();
const NO_CONNECTION: Rule = passing("", "the connection failed").breaks().stale();
const NO_REPLY: Rule = passing("", "the connection carries something that is no reply").breaks();
/// Whatever a later release invents: a code that is not known is not known to be final.
const UNKNOWN: Rule = passing("", "the server refused");

/// The rule for this code, text, and kind of error in the driver.
pub(super) fn judge(code: &str, text: &str, driver: ErrorKind) -> &'static Rule {
    let general = matches!(code, "ERR" | "");
    let by_code = CODES.iter().find(|rule| rule.sign == code);
    let by_text = || {
        TEXTS
            .iter()
            .find(|rule| general && text.contains(rule.sign))
    };
    by_code.or_else(by_text).unwrap_or(match driver {
        ErrorKind::AuthenticationFailed => &REFUSED_USER,
        ErrorKind::RESP3NotSupported => &TOO_OLD,
        ErrorKind::InvalidClientConfig => &WRONG_SETTINGS,
        ErrorKind::Io => &NO_CONNECTION,
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => &NO_REPLY,
        _ => &UNKNOWN,
    })
}

/// A code that stands inside a text, as `: CODE ` or `-CODE `.
pub(super) fn code_in(text: &str) -> Option<&'static str> {
    let stands = |code| {
        [": ", "-"]
            .iter()
            .any(|sign| text.contains(&format!("{sign}{code} ")))
    };
    let found = CODES.iter().find(|rule| stands(rule.sign));
    found.map(|rule| rule.sign)
}

#[cfg(test)]
mod tests {
    use super::super::Fault;
    use cloakroom_core::StoreErrorKind::{self, Corrupt, Rejected, Unavailable};

    const TABLE: &[(&str, StoreErrorKind)] = &[
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
        (
            "ERR The user executing the script can't publish to the channel",
            Rejected,
        ),
        (
            "ERR ACL failure in script: No permissions to access a channel",
            Rejected,
        ),
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
            "ERR Error running script (call to f_1): @user_script:1: WRONGTYPE Operation against a key",
            Corrupt,
        ),
        (
            "ERR Error running script (call to f_1): @user_script:9: @user_script: 9: -OOM command not allowed",
            Unavailable,
        ),
    ];

    #[test]
    fn every_error_has_its_kind() {
        for (line, kind) in TABLE {
            let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
            let fault = Fault::of(value.extract_error().unwrap_err());
            assert_eq!(fault.into_error().kind(), *kind, "{line}");
        }
    }
}
