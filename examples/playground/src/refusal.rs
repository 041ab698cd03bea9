//! What the layer's builder refuses, in the words of the command line: by the names of the options,
//! with what they take.

use cloakroom::{BuildError, Contradiction, CookieError};

use crate::options::Options;
use crate::store;

/// The builder's settings, the options that give them, and what these take.
const SETTINGS: &[(&str, &str, &str)] = &[
    (
        "idle_timeout",
        "idle",
        "a duration of at least 1ms, never, or disabled",
    ),
    (
        "absolute_timeout",
        "absolute",
        "a duration of at least 1ms, or never",
    ),
    (
        "touch_interval",
        "touch",
        "a duration shorter than half of --idle",
    ),
    ("max_bytes", "max-bytes", "a size of at least 1 byte"),
    ("node", "node", "a name of 1 to 32 of A-Z a-z 0-9 _ -"),
    (
        "coherence",
        "coherence",
        "exclusive, push, verify, or bounded=DURATION of more than zero",
    ),
    ("affinity", "affinity", "together with --node"),
    ("on_shutdown", "on-shutdown", "flush"),
    ("commit_at", "commit", "response-head"),
    ("cache.entries", "cache-entries", "a number above 0"),
    ("cookie.name", "name", "letters, digits, - and _"),
    ("header.name", "name", "letters, digits and -"),
    (
        "cookie.max_age",
        "max-age",
        "session, timeout, or a duration of at least 1s",
    ),
    (
        "cookie.secure",
        "secure",
        "the flag, or a cookie that does not ask for it",
    ),
];

/// The error on one line.
pub(crate) fn words(error: &BuildError, options: &Options) -> String {
    match error {
        BuildError::Setting {
            setting,
            given,
            allowed,
        } => {
            let name = option(options, setting);
            let allowed = taken(setting).unwrap_or(allowed);
            format!("{name} {given} is not allowed; allowed: {allowed}")
        }
        BuildError::Contradiction(contradiction) => contradictory(*contradiction, options),
        BuildError::Cookie(error) => cookie(error, options),
        BuildError::Header(error) => format!("{}: {error}", option(options, "header.name")),
        error => format!("the options do not fit together: {error}"),
    }
}

/// What has given a setting: its option, unless `--settings` speaks of it.
fn option(options: &Options, setting: &str) -> String {
    let is_there = options.settings.iter().any(|(name, _)| name == setting);
    let known = SETTINGS.iter().find(|(name, ..)| *name == setting);
    match known {
        Some((_, option, _)) if !is_there => options.spelling(option),
        _ => format!("--settings {setting}"),
    }
}

fn taken(setting: &str) -> Option<&'static str> {
    let known = SETTINGS.iter().find(|(name, ..)| *name == setting);
    known.map(|(.., allowed)| *allowed)
}

fn contradictory(contradiction: Contradiction, options: &Options) -> String {
    let option = |setting| option(options, setting);
    let store = store::without_password(&options.store);
    let modes = store::coherences(options);
    match contradiction {
        Contradiction::AbsoluteDisabled => format!(
            "{} disabled is not allowed; allowed: a duration, or never (--idle disabled is no \
             sessions at all)",
            option("absolute_timeout")
        ),
        Contradiction::AffinityWithoutNode => format!(
            "{} puts this node's name into the token, and it has none; allowed: together with \
             --node NAME",
            option("affinity")
        ),
        Contradiction::ExclusiveOverShared => format!(
            "{} exclusive is not allowed with --store {store:?}, which other processes can write \
             to; allowed: {modes}",
            option("coherence")
        ),
        Contradiction::PushWithoutFeed => format!(
            "{} push is not allowed with --store {store:?}, which does not push its changes; \
             allowed: {modes}",
            option("coherence")
        ),
        Contradiction::DestroyOverShared => format!(
            "{} destroy would end the sessions of other nodes; allowed: flush, or destroy with \
             --store memory: or with --store sqlite:PATH --coherence exclusive",
            option("on_shutdown")
        ),
        Contradiction::LastExitVerified => format!(
            "{} last-exit is not allowed with --coherence verify, given or by --store {store:?}; \
             allowed: response-head, or last-exit with --coherence {}",
            option("commit_at"),
            modes.trim_end_matches(", verify")
        ),
        Contradiction::LastExitUncached => format!(
            "{} last-exit keeps what waits in L1, and {} is 0; allowed: response-head, or \
             last-exit with an L1",
            option("commit_at"),
            option("cache.entries")
        ),
        Contradiction::NothingExpires => format!(
            "--store {store:?} would keep every session for ever; allowed: {}",
            store::ALLOWED
        ),
        other => format!("the options do not fit together: {other}"),
    }
}

fn cookie(error: &CookieError, options: &Options) -> String {
    let name = option(options, "cookie.name");
    match error {
        CookieError::PrefixInsecure { name: given } => format!(
            "{name} {given:?} is refused by browsers unless the cookie is always Secure; allowed: \
             together with --secure, or a name without the prefix"
        ),
        CookieError::SameSiteNoneInsecure => {
            "--settings cookie.same_site none is refused by browsers unless the cookie is always \
             Secure; allowed: together with cookie.secure=always, or lax, strict"
                .to_owned()
        }
        CookieError::PartitionedInsecure => {
            "--settings cookie.partitioned true is refused by browsers unless the cookie is always \
             Secure; allowed: together with cookie.secure=always, or false"
                .to_owned()
        }
        CookieError::MaxAgeTooShort { age } => format!(
            "{} {} removes the cookie as it is set; allowed: session, timeout, or a duration of at \
             least 1s",
            option(options, "cookie.max_age"),
            cloakroom::text::format_duration(*age)
        ),
        CookieError::InvalidName { .. }
        | CookieError::NameTooLong { .. }
        | CookieError::HostPrefixDomain { .. }
        | CookieError::HostPrefixPath { .. }
        | CookieError::HttpPrefixReadable { .. } => format!("{name}: {error}"),
        other => format!("--settings: {other}"),
    }
}
