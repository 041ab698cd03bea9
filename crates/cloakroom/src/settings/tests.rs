//! The table as a whole: what each row does, what it refuses, and what does not go together.

use std::time::Duration;

use super::{Settings, SettingsError};
use crate::builder::Way;
use crate::config::{Bound, Eviction};
use crate::{
    Coherence, CommitAt, HeaderSend, MaxAge, MemoryStore, OnShutdown, OnUnreadable, SameSite,
    Schedule, SessionCookie, SessionHeader, SessionLayer, SessionLayerBuilder, Timeout,
};

const MINUTE: Duration = Duration::from_mins(1);

fn settings(given: &[(&str, &str)]) -> Settings {
    let mut settings = Settings::default();
    for (key, value) in given {
        settings.set(key, value).unwrap();
    }
    settings
}

fn built(given: &[(&str, &str)]) -> SessionLayerBuilder {
    SessionLayer::builder(MemoryStore::new()).settings(&settings(given))
}

fn refusal(given: &[(&str, &str)]) -> SettingsError {
    let mut settings = Settings::default();
    given
        .iter()
        .find_map(|(key, value)| settings.set(key, value).err())
        .unwrap()
}

/// Key, value, our name for it, and our spelling of the value: at least one line for each name.
const ACCEPTED: &[(&str, &str, &str, &str)] = &[
    ("idle_timeout", "90m", "idle_timeout", "1h30m"),
    ("idle_timeout", "never", "idle_timeout", "never"),
    ("idle_timeout", "0", "idle_timeout", "disabled"),
    ("idle_timeout", "-1", "idle_timeout", "never"),
    ("SessionTimeout", "0.5", "idle_timeout", "30s"),
    ("SessionTimeout", "-1", "idle_timeout", "never"),
    ("maxInactiveInterval", "1800", "idle_timeout", "30m"),
    ("maxInactiveInterval", "0", "idle_timeout", "never"),
    ("maxInactiveInterval", "-7", "idle_timeout", "never"),
    ("absolute_timeout", "720", "absolute_timeout", "12h"),
    ("absolute_timeout", "-1", "absolute_timeout", "never"),
    ("touch_interval", "0s", "touch_interval", "0s"),
    ("savePeriod", "60", "touch_interval", "1m"),
    ("retention", "0s", "retention", "0s"),
    ("max_tombstones", "0", "max_tombstones", "0"),
    ("superseded_window", "30s", "superseded_window", "30s"),
    ("stale_if_error", "off", "stale_if_error", "off"),
    ("stale_if_error", "5m", "stale_if_error", "5m"),
    ("store_timeout", "1ms", "store_timeout", "1ms"),
    ("poll", "off", "poll", "off"),
    ("SessionPollingTime", "1.5", "poll", "1m30s"),
    ("purge", "15 * * UTC", "purge", "15 * * UTC"),
    ("jmap.session.purge.frequency", "15 * *", "purge", "15 * *"),
    ("frequency", "30 3 7", "purge", "30 3 7"),
    ("scavengeInterval", "600", "purge", "10m"),
    ("scavengeInterval", "0", "purge", "off"),
    ("cache.entries", "0", "cache.entries", "0"),
    ("jmap.session.cache.size", "100", "cache.entries", "100"),
    (
        "size",
        "18446744073709551615",
        "cache.entries",
        "18446744073709551615",
    ),
    ("cache.bytes", "64MiB", "cache.bytes", "67108864"),
    ("cache.idle", "1h", "cache.idle", "1h"),
    ("jmap.session.cache.ttl", "1h", "cache.idle", "1h"),
    ("ttl", "1h", "cache.idle", "1h"),
    (
        "cache.ttl",
        "18446744073709551615ms",
        "cache.ttl",
        "30500568904w6d14h25m51s615ms",
    ),
    ("cache.eviction", "on-exit", "cache.eviction", "on-exit"),
    ("evictionPolicy", "-1", "cache.eviction", "never"),
    ("evictionPolicy", "0", "cache.eviction", "on-exit"),
    ("evictionPolicy", "300", "cache.eviction", "5m"),
    (
        "cache.save_on_eviction",
        "true",
        "cache.save_on_eviction",
        "true",
    ),
    (
        "saveOnInactiveEviction",
        "true",
        "cache.save_on_eviction",
        "true",
    ),
    ("coherence", "exclusive", "coherence", "exclusive"),
    ("coherence", "bounded=1000ms", "coherence", "bounded=1s"),
    ("commit", "last-exit", "commit", "last-exit=1s"),
    ("commit", "last-exit=500ms", "commit", "last-exit=500ms"),
    ("flushOnResponseCommit", "true", "commit", "response-head"),
    ("flushOnResponseCommit", "false", "commit", "last-exit=1s"),
    (
        "commit_on_server_error",
        "true",
        "commit_on_server_error",
        "true",
    ),
    ("save_on_create", "true", "save_on_create", "true"),
    ("saveOnCreate", "false", "save_on_create", "false"),
    ("eager", "true", "eager", "true"),
    ("on_shutdown", "destroy", "on_shutdown", "destroy"),
    ("invalidateOnShutdown", "false", "on_shutdown", "flush"),
    ("on_unreadable", "fail", "on_unreadable", "fail"),
    (
        "removeUnloadableSessions",
        "true",
        "on_unreadable",
        "remove",
    ),
    (
        "removeUnloadableSessions",
        "false",
        "on_unreadable",
        "replace",
    ),
    ("node", "n1", "node", "n1"),
    ("workerName", "n1", "node", "n1"),
    ("affinity", "true", "affinity", "true"),
    ("max_bytes", "1MiB", "max_bytes", "1048576"),
    ("conflict_status", "409", "conflict_status", "409"),
    ("timed_out_status", "440", "timed_out_status", "440"),
    ("two_sessions", "first-wins", "two_sessions", "first-wins"),
    (
        "outcome_header",
        "x-session-outcome",
        "outcome_header",
        "x-session-outcome",
    ),
    ("transport", "Cookie, Header", "transport", "cookie,header"),
    ("SessionUseCookie", "0", "transport", "header"),
    ("SessionUseCookie", "1", "transport", "cookie"),
    (
        "SessionIdHeader",
        "Jarvis-SessionID",
        "SessionIdHeader",
        "Jarvis-SessionID",
    ),
    ("cookie.name", "id", "cookie.name", "id"),
    ("sessionCookie", "JSESSIONID", "cookie.name", "JSESSIONID"),
    ("cookie.path", "/app", "cookie.path", "/app"),
    ("sessionPath", "/", "cookie.path", "/"),
    (
        "cookie.domain",
        "example.com",
        "cookie.domain",
        "example.com",
    ),
    (
        "sessionDomain",
        ".example.com",
        "cookie.domain",
        ".example.com",
    ),
    (
        "cookie.secure",
        "insecure-never",
        "cookie.secure",
        "insecure-never",
    ),
    ("secureRequestOnly", "true", "cookie.secure", "by-scheme"),
    ("secureRequestOnly", "false", "cookie.secure", "always"),
    ("cookie.http_only", "true", "cookie.http_only", "true"),
    (
        "httpOnly",
        "false",
        "cookie.http_only",
        "insecure-readable-by-scripts",
    ),
    ("cookie.same_site", "Strict", "cookie.same_site", "strict"),
    ("sameSite", "NONE", "cookie.same_site", "none"),
    ("cookie.partitioned", "true", "cookie.partitioned", "true"),
    ("partitioned", "false", "cookie.partitioned", "false"),
    ("cookie.max_age", "timeout", "cookie.max_age", "timeout"),
    ("maxCookieAge", "-1", "cookie.max_age", "session"),
    ("maxCookieAge", "3600", "cookie.max_age", "1h"),
    (
        "trust_forwarded_proto",
        "true",
        "trust_forwarded_proto",
        "true",
    ),
    ("header.name", "x-ticket", "header.name", "x-ticket"),
    ("header.send", "always", "header.send", "always"),
];

#[test]
fn every_name_is_read_and_written_back_under_ours() {
    for &(key, value, ours, text) in ACCEPTED {
        let theirs = settings(&[(key, value)]);
        assert_eq!(theirs.iter().collect::<Vec<_>>(), [(ours, text)], "{key}");
        assert_eq!(settings(&[(ours, text)]), theirs, "{ours} = {text}");
    }
    let documented = include_str!("keys.md")
        .matches("SessionCleanupTime")
        .count();
    assert_eq!(documented, 1, "the one name with a test of its own below");
}

#[test]
fn a_bad_value_is_refused_with_its_key_and_what_is_allowed() {
    let nonsense = ["", " ", "\u{0}", "-2", "NaN", "1e999", "maybe;"];
    for &(key, ..) in ACCEPTED {
        for value in nonsense {
            // The one row that takes any negative number.
            if (key, value) == ("maxInactiveInterval", "-2") {
                continue;
            }
            // "-2" and "NaN" are names that a cookie, a header or a node may have.
            if [
                "name",
                "Cookie",
                "Header",
                "header",
                "node",
                "workerName",
                "omain",
            ]
            .iter()
            .any(|end| key.ends_with(end))
                && matches!(value, "-2" | "NaN" | "1e999")
            {
                continue;
            }
            let error = refusal(&[(key, value)]);
            let SettingsError::Value { allowed, .. } = &error else {
                panic!("{key} = {value:?}: {error}");
            };
            let shown = error.to_string();
            assert!(shown.starts_with(&format!("{key} cannot be {value:?}")));
            assert!(shown.ends_with(allowed) && !allowed.is_empty(), "{shown}");
        }
    }
}

#[test]
fn what_is_out_of_its_range_is_refused() {
    for (key, value) in [
        ("absolute_timeout", "0"),
        ("absolute_timeout", "disabled"),
        ("SessionTimeout", "30m"),
        ("SessionPollingTime", "0"),
        ("SessionCleanupTime", "-1"),
        ("SessionUseCookie", "true"),
        ("maxCookieAge", "0"),
        ("maxCookieAge", "1.5"),
        ("savePeriod", "9223372036854775808"),
        ("store_timeout", "0s"),
        ("max_bytes", "0"),
        ("max_tombstones", "1.5"),
        ("max_tombstones", "-1"),
        ("cache.entries", "18446744073709551616"),
        ("cache.entries", "1.5"),
        ("cache.idle", "0s"),
        ("cache.ttl", "0.5ms"),
        ("commit", "last-exit=0s"),
        ("coherence", "bounded"),
        ("coherence", "bounded=0s"),
        ("node", &"n".repeat(33)),
        ("cookie.http_only", "false"),
        ("header.name", "set-cookie"),
        ("purge", "15 24 *"),
    ] {
        let error = refusal(&[(key, value)]);
        assert!(matches!(error, SettingsError::Value { .. }), "{error}");
    }
    assert!(
        refusal(&[("purge", "15 24 *")])
            .to_string()
            .contains("hour")
    );
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_and_without_its_value() {
    let error = refusal(&[("idle_timout", "hunter2")]).to_string();
    assert!(error.contains("\"idle_timout\"") && error.contains("idle_timeout"));
    assert!(!error.contains("hunter2"));
}

#[test]
fn what_is_given_twice_is_refused_whoever_names_it() {
    for pair in [
        [("idle_timeout", "30m"), ("idle_timeout", "30m")],
        [("idle_timeout", "30m"), ("SessionTimeout", "30")],
        [("SessionTimeout", "30"), ("maxInactiveInterval", "1800")],
        [("ttl", "1h"), ("cache.idle", "1h")],
    ] {
        let error = refusal(&pair);
        assert!(matches!(error, SettingsError::Twice { .. }), "{error}");
        let shown = error.to_string();
        assert!(shown.contains(pair[0].0) && shown.contains(pair[1].0));
    }
}

#[test]
fn contradictions_are_refused_in_either_order_and_change_nothing() {
    for [one, other] in [
        [("cache.entries", "5"), ("cache.bytes", "5")],
        [("saveOnCreate", "true"), ("eager", "false")],
        [("transport", "header"), ("cookie.path", "/")],
        [("SessionUseCookie", "1"), ("header.send", "always")],
        [("SessionIdHeader", "id"), ("sessionCookie", "id")],
    ] {
        for [first, second] in [[one, other], [other, one]] {
            let mut settings = settings(&[first]);
            let before = settings.clone();
            let error = settings.set(second.0, second.1).unwrap_err();
            assert!(matches!(error, SettingsError::Contradiction { .. }));
            let shown = error.to_string();
            assert!(shown.contains(one.0) && shown.contains(other.0), "{shown}");
            assert_eq!(settings, before);
        }
    }
    settings(&[("saveOnCreate", "true"), ("eager", "true")]);
    settings(&[("transport", "header,cookie"), ("cookie.path", "/")]);
}

#[test]
fn what_is_set_reaches_the_builder_and_the_rest_stays() {
    let builder = built(&[
        ("idle_timeout", "15m"),
        ("savePeriod", "60"),
        ("poll", "30s"),
        ("frequency", "15 * *"),
        ("size", "500"),
        ("ttl", "1h"),
        ("evictionPolicy", "300"),
        ("coherence", "bounded=1s"),
        ("commit", "last-exit=500ms"),
        ("invalidateOnShutdown", "true"),
        ("on_unreadable", "fail"),
        ("workerName", "n1"),
        ("timed_out_status", "401"),
        ("max_tombstones", "250"),
        ("trust_forwarded_proto", "true"),
        ("outcome_header", "x-outcome"),
    ]);
    let config = &builder.config;
    assert_eq!(config.times.idle, Timeout::After(15 * MINUTE));
    assert_eq!(config.times.absolute, Timeout::After(720 * MINUTE));
    assert_eq!(config.times.touch_interval, Some(MINUTE));
    assert_eq!(config.times.retention, 60 * MINUTE);
    assert_eq!(builder.poll, Schedule::every(MINUTE / 2));
    assert_eq!(Ok(builder.purge), "15 * *".parse());
    assert_eq!(config.cache.bound, Bound::Entries(500));
    assert_eq!(config.cache.idle, Some(60 * MINUTE));
    assert_eq!(config.cache.ttl, None);
    assert_eq!(config.cache.eviction, Eviction::Idle(5 * MINUTE));
    assert_eq!(builder.coherence, Some(Coherence::Bounded(MINUTE / 60)));
    let half = Duration::from_millis(500);
    assert_eq!(config.commit_at, CommitAt::LastExit { at_most: half });
    assert_eq!(config.on_shutdown, OnShutdown::Destroy);
    assert_eq!(config.on_unreadable, OnUnreadable::Fail);
    assert_eq!(config.node.as_deref(), Some("n1"));
    assert_eq!(config.timed_out_status, 401);
    assert_eq!(config.max_tombstones, 250);
    assert!(config.trust_forwarded_proto);
    assert_eq!(builder.outcome_header.as_deref(), Some("x-outcome"));
    assert!(builder.ways.is_empty(), "nothing was said of the ways");
}

#[test]
fn a_cleanup_time_that_is_the_timeout_keeps_nothing() {
    let retention = |given: &[_]| built(given).config.times.retention;
    let same = [("SessionCleanupTime", "20"), ("SessionTimeout", "20")];
    assert_eq!(retention(&same), Duration::ZERO);
    let longer = [("SessionCleanupTime", "60"), ("SessionTimeout", "20")];
    assert_eq!(retention(&longer), 60 * MINUTE);
    assert_eq!(retention(&[("SessionCleanupTime", "0")]), Duration::ZERO);
    // The builder's own timeout counts as well.
    assert_eq!(retention(&[("SessionCleanupTime", "30")]), Duration::ZERO);
}

/// The cookies and headers, in their order.
fn ways(given: &[(&str, &str)]) -> (Vec<SessionCookie>, Vec<SessionHeader>, Vec<char>) {
    let (mut cookies, mut headers, mut order) = (Vec::new(), Vec::new(), Vec::new());
    let before = SessionLayer::builder(MemoryStore::new()).cookie(SessionCookie::new("before"));
    for way in before.settings(&settings(given)).ways {
        match way {
            Way::Cookie(cookie) => {
                cookies.push(cookie);
                order.push('c');
            }
            Way::Header(header) => {
                headers.push(header);
                order.push('h');
            }
        }
    }
    (cookies, headers, order)
}

#[test]
fn the_ways_are_those_that_are_named_or_else_those_that_are_described() {
    let order = |given: &[_]| String::from_iter(ways(given).2);
    assert_eq!(order(&[("transport", "header,cookie")]), "hc");
    assert_eq!(
        order(&[("header.send", "always"), ("cookie.path", "/")]),
        "ch"
    );
    assert_eq!(order(&[("header.send", "always")]), "h");
    assert_eq!(order(&[("SessionIdHeader", "x-jarvis")]), "h");

    assert_eq!(ways(&[("eager", "true")]).0, [SessionCookie::new("before")]);
    assert_eq!(
        ways(&[("SessionUseCookie", "1")]).0,
        [SessionCookie::default()]
    );
    let jarvis = [("SessionUseCookie", "1"), ("SessionIdHeader", "x-jarvis")];
    assert_eq!(ways(&jarvis).0, [SessionCookie::new("x-jarvis")]);
    let header = [("header.send", "always"), ("header.name", "x-ticket")];
    let expected = SessionHeader::new("x-ticket").send(HeaderSend::Always);
    assert_eq!(ways(&header).1, [expected]);
    assert_eq!(
        ways(&[("SessionUseCookie", "0")]).1,
        [SessionHeader::new("x-session")]
    );
}

#[test]
fn every_setting_of_the_cookie_arrives_whatever_comes_first() {
    let given = [
        ("maxCookieAge", "3600"),
        ("partitioned", "true"),
        ("sameSite", "STRICT"),
        ("httpOnly", "false"),
        ("sessionDomain", "example.com"),
        ("sessionPath", "/app"),
        ("sessionCookie", "JSESSIONID"),
    ];
    let expected = SessionCookie::new("JSESSIONID")
        .path("/app")
        .domain("example.com")
        .insecure_readable_by_scripts()
        .same_site(SameSite::Strict)
        .partitioned(true)
        .max_age(MaxAge::Fixed(60 * MINUTE));
    assert_eq!(ways(&given).0, [expected]);
}

#[test]
fn later_settings_win_over_earlier_ones() {
    let file = settings(&[("idle_timeout", "10m"), ("cache.entries", "5")]);
    let env = settings(&[("idle_timeout", "20m")]);
    let builder = SessionLayer::builder(MemoryStore::new())
        .settings(&file)
        .settings(&env);
    assert_eq!(builder.config.times.idle, Timeout::After(20 * MINUTE));
    assert_eq!(builder.config.cache.bound, Bound::Entries(5));
}

#[test]
fn variables_are_found_by_their_prefix_and_named_whole() {
    let vars = [
        ("S_CACHE__ENTRIES", "5"),
        ("S_SESSIONTIMEOUT", "0.5"),
        ("S_COOKIE__SAME_SITE", "lax"),
        ("CACHE__ENTRIES", "junk"),
        ("PATH", "/bin"),
    ];
    let expected = [
        ("idle_timeout", "30s"),
        ("cache.entries", "5"),
        ("cookie.same_site", "lax"),
    ];
    let found = Settings::from_env("S_", vars).unwrap();
    assert_eq!(found.iter().collect::<Vec<_>>(), expected);

    for (vars, named) in [
        (vec![("S_EAGER", "1")], "S_EAGER cannot be \"1\""),
        (vec![("S_CACHE__SIZ", "1")], "\"S_CACHE__SIZ\""),
        (
            vec![("S_TTL", "1h"), ("S_CACHE__IDLE", "1h")],
            "S_CACHE__IDLE",
        ),
    ] {
        let error = Settings::from_env("S_", vars).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn maps_within_maps_and_scalars_of_every_kind_are_read() {
    let nested = r#"{
        "idle_timeout": 0.5, "eager": true, "maxCookieAge": -1,
        "cache": { "entries": 5, "idle": "1h" }, "cookie.name": "id",
        "jmap": { "session": { "purge": { "frequency": "15 * *" } } }
    }"#;
    let expected = settings(&[
        ("idle_timeout", "30s"),
        ("eager", "true"),
        ("cookie.max_age", "session"),
        ("cache.entries", "5"),
        ("cache.idle", "1h"),
        ("cookie.name", "id"),
        ("purge", "15 * *"),
    ]);
    assert_eq!(serde_json::from_str::<Settings>(nested).unwrap(), expected);

    for (json, named) in [
        (
            r#"{ "cache": { "entries": -5 } }"#,
            "cache.entries cannot be \"-5\"",
        ),
        (r#"{ "cache": { "entries": null } }"#, "for cache.entries"),
        (r#"{ "transport": ["cookie"] }"#, "for transport"),
        (r#"{ "ttl": "1h", "ttl": "2h" }"#, "ttl and ttl"),
        (r#"{ "": "1h" }"#, "names and values"),
        (r#""1h""#, "a map of settings"),
        ("[]", "a map of settings"),
    ] {
        let error = serde_json::from_str::<Settings>(json).unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }
}
