//! The table of options: name, what is allowed, default, what it does, and where the value goes.

use super::Options;
use super::values::{self, Reason};

/// One option.
pub(super) struct Spec {
    pub(super) name: &'static str,
    /// What may stand behind it; a flag takes nothing.
    pub(super) allowed: &'static str,
    pub(super) flag: bool,
    pub(super) default: &'static str,
    pub(super) about: &'static str,
    pub(super) set: fn(&mut Options, &str) -> Result<(), Reason>,
}

impl Spec {
    const fn value(
        name: &'static str,
        allowed: &'static str,
        default: &'static str,
        about: &'static str,
        set: fn(&mut Options, &str) -> Result<(), Reason>,
    ) -> Self {
        Self {
            name,
            allowed,
            flag: false,
            default,
            about,
            set,
        }
    }

    const fn flag(
        name: &'static str,
        about: &'static str,
        set: fn(&mut Options, &str) -> Result<(), Reason>,
    ) -> Self {
        Self {
            name,
            allowed: "true, false",
            flag: true,
            default: "off",
            about,
            set,
        }
    }

    /// The environment variable of the same meaning.
    pub(super) fn variable(&self) -> String {
        variable(self.name)
    }
}

pub(super) fn variable(name: &str) -> String {
    let name = name.replace('-', "_").to_ascii_uppercase();
    format!("CLOAKROOM_{name}")
}

const DURATION: &str = "a duration such as 30m, 1h or 250ms";
const SCHEDULE: &str = "a duration such as 60s, a cron line of minute, hour and week-day such as \"15 * *\", or off (0s, too)";

/// Every option, in the order of the help text.
pub(super) const TABLE: &[Spec] = &[
    Spec::value(
        "listen",
        "ADDRESS:PORT, port 0 picks a free one",
        "127.0.0.1:8080",
        "where to listen",
        |o, v| put(&mut o.listen, values::address(v)),
    ),
    Spec::value(
        "store",
        crate::store::ALLOWED,
        crate::store::DEFAULT,
        "where sessions are kept",
        |o, v| put(&mut o.store, values::word(v)),
    ),
    Spec::value(
        "table",
        values::IDENTIFIER,
        "cloakroom_sessions",
        "name of the table in a SQL store",
        |o, v| put(&mut o.table, values::identifier(v).map(Some)),
    ),
    Spec::value(
        "schema",
        values::IDENTIFIER,
        "what the server looks in",
        "schema of the table in PostgreSQL",
        |o, v| put(&mut o.schema, values::identifier(v).map(Some)),
    ),
    Spec::value(
        "l2",
        "none",
        "none",
        "a shared cache in front of the store",
        |o, v| put(&mut o.l2, values::word(v).map(Some)),
    ),
    Spec::value(
        "transport",
        "cookie, header, cookie,header or header,cookie",
        "cookie",
        "where the token travels; the order is the precedence",
        |o, v| put(&mut o.transport, values::carriers(v)),
    ),
    Spec::value(
        "name",
        "a cookie or header name",
        "id, with --secure the cookie is __Host-id",
        "name of the cookie and of the header",
        |o, v| put(&mut o.name, values::word(v).map(Some)),
    ),
    Spec::flag("secure", "a Secure cookie, __Host-id by default", |o, v| {
        put(&mut o.secure, values::flag(v))
    }),
    Spec::value(
        "max-age",
        "session, timeout, or a duration of at least 1s such as 30m",
        "session",
        "how long a browser keeps the cookie",
        |o, v| put(&mut o.max_age, values::cookie_age(v)),
    ),
    Spec::value(
        "idle",
        "a duration such as 30m, 1h or 250ms, never, or disabled",
        "30m",
        "how long a session lasts without use",
        |o, v| put(&mut o.idle, values::idle(v)),
    ),
    Spec::value(
        "absolute",
        "a duration such as 12h, or never",
        "12h",
        "how long a session lasts in all",
        |o, v| put(&mut o.absolute, values::timeout(v)),
    ),
    Spec::value(
        "touch",
        "a duration shorter than half of --idle",
        "5m, at most idle/12",
        "how exactly the store knows the last use",
        |o, v| put(&mut o.touch, values::duration(v).map(Some)),
    ),
    Spec::value(
        "retention",
        DURATION,
        "1h",
        "how long an ended session is told apart",
        |o, v| put(&mut o.retention, values::duration(v)),
    ),
    Spec::value(
        "max-tombstones",
        "a number, 0 keeps nothing",
        "100000",
        "how many ended sessions are told apart at one time",
        |o, v| put(&mut o.max_tombstones, values::count(v)),
    ),
    Spec::value(
        "cache-entries",
        "a number, 0 for no L1",
        "10000",
        "how many sessions L1 holds",
        |o, v| put(&mut o.cache_entries, values::count(v)),
    ),
    Spec::value(
        "cache-idle",
        "a duration such as 10m, or none",
        "none",
        "how long L1 keeps an unused copy",
        |o, v| put(&mut o.cache_idle, values::optional(v, &["none", "never"])),
    ),
    Spec::value(
        "cache-ttl",
        "a duration such as 1h, or none",
        "none",
        "how long L1 keeps a copy at all",
        |o, v| put(&mut o.cache_ttl, values::optional(v, &["none", "never"])),
    ),
    Spec::value(
        "evict",
        "never, on-exit, or a duration such as 10m",
        "never",
        "when a session leaves L1",
        |o, v| put(&mut o.evict, values::eviction(v)),
    ),
    Spec::value(
        "coherence",
        "exclusive, push, bounded=DURATION, verify",
        "by store",
        "what a copy in L1 may be trusted for",
        |o, v| put(&mut o.coherence, values::coherence(v).map(Some)),
    ),
    Spec::value(
        "poll",
        SCHEDULE,
        "60s",
        "when the housekeeper ends what is due",
        |o, v| put(&mut o.poll, values::schedule(v)),
    ),
    Spec::value(
        "purge",
        SCHEDULE,
        "60s",
        "when it forgets what has ended",
        |o, v| put(&mut o.purge, values::schedule(v)),
    ),
    Spec::value(
        "commit",
        "response-head, last-exit (not without L1, nor with --coherence verify)",
        "response-head",
        "when changes are written",
        |o, v| put(&mut o.commit, values::commit_at(v)),
    ),
    Spec::flag(
        "commit-on-5xx",
        "a 5xx answer commits instead of rolling back",
        |o, v| put(&mut o.commit_on_5xx, values::flag(v)),
    ),
    Spec::flag(
        "save-on-create",
        "a new session is stored before the handler runs",
        |o, v| put(&mut o.save_on_create, values::flag(v)),
    ),
    Spec::flag("eager", "every visitor gets a session", |o, v| {
        put(&mut o.eager, values::flag(v))
    }),
    Spec::value(
        "on-shutdown",
        "flush, destroy",
        "flush",
        "what becomes of the sessions at the end",
        |o, v| put(&mut o.on_shutdown, values::on_shutdown(v)),
    ),
    Spec::value(
        "on-unreadable",
        "replace, fail, remove",
        "replace",
        "what to do with a record that cannot be read",
        |o, v| put(&mut o.on_unreadable, values::on_unreadable(v)),
    ),
    Spec::value(
        "stale-if-error",
        "a duration such as 30s, or off",
        "off",
        "how long an unverified copy may be shown, read-only, while the store is down",
        |o, v| put(&mut o.stale_if_error, values::optional(v, &["off"])),
    ),
    Spec::value(
        "node",
        "a name of 1 to 32 of A-Z a-z 0-9 _ -",
        "none",
        "this node's name",
        |o, v| put(&mut o.node, values::word(v).map(Some)),
    ),
    Spec::flag("affinity", "the token carries the node's name", |o, v| {
        put(&mut o.affinity, values::flag(v))
    }),
    Spec::value(
        "superseded",
        DURATION,
        "60s",
        "how long a replaced secret is told apart",
        |o, v| put(&mut o.superseded, values::duration(v)),
    ),
    Spec::value(
        "max-bytes",
        "a size such as 64KiB or 1MiB",
        "1MiB",
        "the greatest size of a session's attributes, encoded",
        |o, v| put(&mut o.max_bytes, values::size(v)),
    ),
    Spec::value(
        "on-create",
        "none, fill, refuse, or refuse=STATUS of 400 to 599",
        "none",
        "what a hook does with each new session: add an attribute, or refuse",
        |o, v| put(&mut o.on_create, values::on_create(v)),
    ),
    Spec::value(
        "drain",
        DURATION,
        "10s",
        "how long a shutdown waits for requests",
        |o, v| put(&mut o.drain, values::duration(v)),
    ),
    Spec::value(
        "settings",
        "NAME=VALUE, several parted by a semicolon; the names are those of Settings::set",
        "none",
        "any setting of the layer, under our name or a forerunner's; goes before the other options",
        |o, v| put(&mut o.settings, values::settings(v)),
    ),
];

fn put<T>(place: &mut T, value: Result<T, Reason>) -> Result<(), Reason> {
    *place = value?;
    Ok(())
}
