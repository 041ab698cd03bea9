//! The options: a table (`table`, `default`, `help`), the kinds of values in it (`values`), and how the command line
//! and the environment fill it (`parse`).

mod default;
mod help;
mod parse;
mod table;
mod values;

use std::net::SocketAddr;
use std::time::Duration;

use cloakroom::{
    Coherence, CommitAt, Eviction, OnShutdown, OnUnreadable, Schedule, Settings, Timeout,
};

pub(crate) use self::help::help;
pub(crate) use self::parse::{Invocation, OptionError, from_process};
pub(crate) use self::values::timeout;

/// Where a token travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    Cookie,
    Header,
}

/// How long a browser keeps the cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CookieAge {
    /// Until the browser is closed.
    Session,
    /// As long as the session lasts.
    Timeout,
    For(Duration),
}

/// What a hook does with each new session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnCreate {
    /// There is none.
    None,
    /// It adds the attribute `made_by`.
    Fill,
    /// It refuses, with this status.
    Refuse(http::StatusCode),
}

/// All options with their values. `None` leaves the choice to the layer.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(crate) struct Options {
    pub(crate) listen: SocketAddr,
    pub(crate) store: String,
    pub(crate) table: Option<String>,
    pub(crate) schema: Option<String>,
    pub(crate) l2: Option<String>,
    pub(crate) transport: Vec<Carrier>,
    pub(crate) name: Option<String>,
    pub(crate) secure: bool,
    pub(crate) max_age: CookieAge,
    pub(crate) idle: Timeout,
    pub(crate) absolute: Timeout,
    pub(crate) touch: Option<Duration>,
    pub(crate) retention: Duration,
    pub(crate) max_tombstones: usize,
    pub(crate) cache_entries: u64,
    pub(crate) cache_idle: Option<Duration>,
    pub(crate) cache_ttl: Option<Duration>,
    pub(crate) evict: Eviction,
    pub(crate) coherence: Option<Coherence>,
    pub(crate) poll: Schedule,
    pub(crate) purge: Schedule,
    pub(crate) commit: CommitAt,
    pub(crate) commit_on_5xx: bool,
    pub(crate) save_on_create: bool,
    pub(crate) eager: bool,
    pub(crate) on_shutdown: OnShutdown,
    pub(crate) on_unreadable: OnUnreadable,
    pub(crate) stale_if_error: Option<Duration>,
    pub(crate) node: Option<String>,
    pub(crate) affinity: bool,
    pub(crate) superseded: Duration,
    pub(crate) max_bytes: usize,
    pub(crate) on_create: OnCreate,
    pub(crate) drain: Duration,
    /// Whatever else the builder takes.
    pub(crate) settings: Settings,
    /// The options that a variable has given.
    by_variable: Vec<&'static str>,
}

impl Options {
    /// How an option was given: what an error about its value names.
    pub(crate) fn spelling(&self, option: &str) -> String {
        match self.by_variable.iter().find(|name| **name == option) {
            Some(name) => table::variable(name),
            None => format!("--{option}"),
        }
    }
}
