//! The edge values of every setting: 0, the finest, fractions, the limits and what lies beyond them, -1
//! where the forerunner has it, and the exact instant. None makes a layer panic: it is refused when the
//! layer is built, or the layer serves.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]
#![expect(clippy::unchecked_time_subtraction, reason = "the terms are constants")]

mod support;

use std::time::Duration;

use cloakroom::{
    BuildError, Cache, Clock as _, Coherence, CommitAt, Eviction, Job, MaxAge, MemoryStore, Owner,
    Presented, Schedule, Session, SessionCookie, SessionLayer, SessionLayerBuilder,
    SessionStore as _, Settings, State, Timeout, Timestamp,
};
use cloakroom_conformance::{FaultyStore, ManualClock};

use self::support::{Client, MIN, MS, count, quiet, read};

const NANO: Duration = Duration::from_nanos(1);
const SECOND: Duration = Duration::from_secs(1);
/// The longest time that moka takes.
const THOUSAND_YEARS: Duration = Duration::from_hours(1_000 * 365 * 24);

/// From nothing to the most that the type holds.
const DURATIONS: [Duration; 10] = [
    Duration::ZERO,
    NANO,
    Duration::from_nanos(999_999),
    MS,
    Duration::from_micros(1_500),
    THOUSAND_YEARS,
    Duration::new(1_000 * 365 * 24 * 3_600, 1),
    Duration::from_millis(u64::MAX),
    Duration::from_secs(u64::MAX),
    Duration::MAX,
];

fn builder(clock: &ManualClock) -> SessionLayerBuilder {
    quiet(MemoryStore::new(), clock)
}

async fn presented(session: Session) -> Presented {
    session.presented()
}

async fn signed_up(layer: &SessionLayer) -> Client {
    let client = Client::new();
    client.visit(layer, count).await.ok();
    client
}

/// All that a session goes through, the last of it at the end of time.
async fn serves(layer: &SessionLayer, clock: &ManualClock) {
    let client = signed_up(layer).await;
    assert_eq!(client.visit(layer, count).await.ok(), 2);
    assert_eq!(client.visit(layer, read).await.ok(), Some(2));
    let old = client.fork();
    let login = |session: Session| async move { session.login(Owner::new("ada").unwrap()) };
    client.visit(layer, login).await.ok().unwrap();
    old.visit(layer, presented).await.ok();
    let (other, ended) = (signed_up(layer).await, signed_up(layer).await);
    let end = |session: Session| async move { session.destroy().unwrap() };
    let holder = ended.fork();
    ended.visit(layer, end).await.ok();
    for until in [clock.now(), clock.now() + MS, Timestamp::MAX] {
        clock.set(until);
        holder.visit(layer, presented).await.ok();
        other.visit(layer, presented).await.ok();
        for job in [Job::Poll, Job::Purge] {
            layer.manager().run_now(job).await.unwrap();
        }
        client.visit(layer, presented).await.ok();
    }
    layer.manager().shutdown().await;
}

/// Whether the layer is built; one that is serves.
async fn is_built(set: impl FnOnce(SessionLayerBuilder) -> SessionLayerBuilder) -> bool {
    let clock = ManualClock::default();
    match set(builder(&clock)).build() {
        Ok(layer) => {
            serves(&layer, &clock).await;
            true
        }
        Err(BuildError::Setting { .. } | BuildError::Cookie(_)) => false,
        Err(other) => unreachable!("not an edge: {other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn every_duration_is_refused_by_name_or_serves() {
    type Set = fn(SessionLayerBuilder, Duration) -> SessionLayerBuilder;
    // The least that is taken.
    let table: [(&str, Duration, Set); 14] = [
        ("idle_timeout", MS, |b, d| b.idle_timeout(d)),
        ("absolute_timeout", MS, |b, d| b.absolute_timeout(d)),
        ("touch_interval", Duration::ZERO, |b, d| {
            b.idle_timeout(Timeout::Never).touch_interval(d)
        }),
        ("retention", Duration::ZERO, |b, d| b.retention(d)),
        ("superseded_window", Duration::ZERO, |b, d| {
            b.superseded_window(d)
        }),
        ("stale_if_error", Duration::ZERO, |b, d| b.stale_if_error(d)),
        ("store_timeout", MS, |b, d| b.store_timeout(d)),
        ("poll", Duration::ZERO, |b, d| b.poll(Schedule::every(d))),
        ("purge", Duration::ZERO, |b, d| b.purge(Schedule::every(d))),
        ("cache.idle", Duration::ZERO, |b, d| {
            b.cache(Cache::entries(9).idle(d))
        }),
        ("cache.ttl", Duration::ZERO, |b, d| {
            b.cache(Cache::bytes(9_999).ttl(d))
        }),
        ("eviction", Duration::ZERO, |b, d| {
            b.cache(
                Cache::default()
                    .eviction(Eviction::Idle(d))
                    .save_on_eviction(true),
            )
        }),
        ("coherence", NANO, |b, d| b.coherence(Coherence::Bounded(d))),
        ("max_age", SECOND, |b, d| {
            b.cookie(SessionCookie::default().max_age(MaxAge::Fixed(d)))
        }),
    ];
    for (name, least, set) in table {
        for duration in DURATIONS {
            let built = is_built(|builder| set(builder, duration)).await;
            assert_eq!(built, duration >= least, "{name} = {duration:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn changes_may_wait_for_the_last_exit_for_no_time_or_for_ever() {
    for at_most in DURATIONS {
        let clock = ManualClock::default();
        let (store, faults) = FaultyStore::new(MemoryStore::new());
        let layer = quiet(store, &clock)
            .commit_at(CommitAt::LastExit { at_most })
            .build()
            .unwrap();
        let client = signed_up(&layer).await;
        assert_eq!(client.visit(&layer, count).await.ok(), 2);
        layer.manager().settled().await;
        assert_eq!(faults.counts().save, 1, "{at_most:?}");
        serves(&layer, &clock).await;
    }
}

#[tokio::test]
async fn every_number_is_refused_by_name_or_serves() {
    type Set = fn(SessionLayerBuilder, u64) -> SessionLayerBuilder;
    let table: [(&str, u64, Set); 4] = [
        ("entries", 0, |b, n| b.cache(Cache::entries(n))),
        ("bytes", 0, |b, n| b.cache(Cache::bytes(n))),
        ("max_tombstones", 0, |b, n| {
            b.max_tombstones(usize::try_from(n).unwrap_or(usize::MAX))
        }),
        // Less than the attributes of `serves` is another test's.
        ("max_bytes", 100, |b, n| {
            let n = if n == 1 { 100 } else { n };
            b.max_bytes(usize::try_from(n).unwrap_or(usize::MAX))
        }),
    ];
    for (name, least, set) in table {
        for n in [0, 1, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let built = is_built(|builder| set(builder, n)).await;
            assert_eq!(built, n >= least || n == 1, "{name} = {n}");
        }
    }
}

#[tokio::test]
async fn a_session_of_exactly_max_bytes_is_stored_and_one_byte_more_is_not() {
    let fits = async |max: usize| {
        let clock = ManualClock::default();
        let layer = builder(&clock).max_bytes(max).build().unwrap();
        let fill = |session: Session| async move { session.insert("a", "x".repeat(100)) };
        let client = Client::new();
        client.visit(&layer, fill).await;
        client.cookie().is_some()
    };
    let mut exact = 1;
    while !fits(exact).await {
        exact += 1;
    }
    // The value in quotes, its name, and the few bytes that frame them.
    assert!((103..=120).contains(&exact), "{exact}");
    assert!(!fits(exact - 1).await && fits(exact + 1).await);
}

#[tokio::test]
async fn the_touch_interval_is_shorter_than_half_of_the_idle_timeout_to_the_nanosecond() {
    for (idle, touch, built) in [
        (60 * MIN, 30 * MIN - NANO, true),
        (60 * MIN, 30 * MIN, false),
        (60 * MIN, 30 * MIN + NANO, false),
        (60 * MIN, Duration::MAX, false),
        (MS, Duration::ZERO, true),
        (MS, MS / 2, false),
        (Duration::MAX, Duration::MAX / 2 - NANO, true),
        (Duration::MAX, Duration::MAX, false),
    ] {
        let set = |b: SessionLayerBuilder| b.idle_timeout(idle).touch_interval(touch);
        assert_eq!(is_built(set).await, built, "{idle:?}, {touch:?}");
    }
}

#[tokio::test]
async fn the_longest_times_in_l1_never_end_and_the_shortest_end_at_once() {
    type Set = fn(Cache, Duration) -> Cache;
    let table: [(&str, Set); 2] = [("idle", Cache::idle), ("ttl", Cache::ttl)];
    for (name, set) in table {
        for (time, stays) in [
            (Duration::ZERO, false),
            (NANO, false),
            (THOUSAND_YEARS - NANO, true),
            (THOUSAND_YEARS, true),
            (THOUSAND_YEARS + NANO, true),
            (Duration::MAX, true),
        ] {
            let clock = ManualClock::default();
            let cache = set(Cache::entries(5), time);
            let layer = builder(&clock).cache(cache).build().unwrap();
            let client = signed_up(&layer).await;
            let is_cached = layer.manager().is_cached(client.id());
            assert_eq!(is_cached, stays, "{name} = {time:?}");
            assert_eq!(client.visit(&layer, read).await.ok(), Some(1));
        }
    }
}

#[tokio::test]
async fn l1_holds_exactly_as_many_sessions_as_it_may() {
    for (max, made, held) in [(0, 3, 0), (1, 1, 1), (1, 2, 1), (3, 3, 3), (3, 4, 3)] {
        let clock = ManualClock::default();
        let layer = builder(&clock).cache(Cache::entries(max)).build().unwrap();
        for _ in 0..made {
            signed_up(&layer).await;
        }
        let entries = layer.manager().stats().l1.entries;
        assert_eq!(entries, held, "{made} of at most {max}");
    }
}

/// Of most hits L1's least-recently-used order is not told: this must not be to their disadvantage.
#[tokio::test]
async fn a_session_in_use_stays_in_l1_however_many_come_after_it() {
    // moka itself looks at reads and newcomers in batches: of a handful it knows no order.
    for max in [200, 640] {
        let clock = ManualClock::default();
        let layer = builder(&clock).cache(Cache::entries(max)).build().unwrap();
        let (used, unused) = (signed_up(&layer).await, signed_up(&layer).await);
        let id = async |client: &Client| client.visit(&layer, |s| async move { s.id() }).await.ok();
        let (used_id, unused_id) = (id(&used).await.unwrap(), id(&unused).await.unwrap());
        for _ in 0..5 * max {
            assert_eq!(used.visit(&layer, read).await.ok(), Some(1));
            signed_up(&layer).await;
        }
        let loads = layer.manager().stats().loads;
        assert_eq!(loads, 0, "of at most {max}");
        assert!(layer.manager().is_cached(used_id), "of at most {max}");
        assert!(!layer.manager().is_cached(unused_id));
    }
}

/// What has left is not found by the way that hits take.
#[tokio::test]
async fn what_has_left_l1_is_loaded_again() {
    let clock = ManualClock::default();
    let layer = builder(&clock).build().unwrap();
    let client = signed_up(&layer).await;
    let held = client.visit(&layer, |s| async move { s }).await.ok();
    for loads in 1..3 {
        layer.manager().reset();
        assert_eq!(client.visit(&layer, read).await.ok(), Some(1));
        assert_eq!(layer.manager().stats().loads, loads);
    }
    drop(held);
    let layer = builder(&clock)
        .cache(Cache::entries(9).eviction(Eviction::OnExit))
        .build()
        .unwrap();
    let client = signed_up(&layer).await;
    for loads in 1..3 {
        assert_eq!(client.visit(&layer, read).await.ok(), Some(1));
        assert_eq!(layer.manager().stats().loads, loads);
    }
}

#[tokio::test]
async fn an_eviction_after_no_time_is_at_the_next_poll_and_after_the_longest_never() {
    for (idle, after, evicted) in [
        (Duration::ZERO, Duration::ZERO, 1),
        (NANO, Duration::ZERO, 0),
        (NANO, MS, 1),
        (10 * MIN, 10 * MIN - MS, 0),
        (10 * MIN, 10 * MIN, 1),
        (Duration::MAX, 59 * MIN, 0),
    ] {
        let clock = ManualClock::default();
        let cache = Cache::default().eviction(Eviction::Idle(idle));
        let layer = builder(&clock).cache(cache).build().unwrap();
        signed_up(&layer).await;
        clock.advance(after);
        let report = layer.manager().run_now(Job::Poll).await.unwrap();
        assert_eq!(report.evicted, evicted, "{idle:?} after {after:?}");
    }
}

// --- as text ---

fn settings(given: &[(&str, &str)]) -> Option<Settings> {
    let mut settings = Settings::default();
    let all = given
        .iter()
        .try_for_each(|(key, value)| settings.set(key, value));
    all.ok().map(|()| settings)
}

/// Every name of a time or a number, with the edge values that it takes and those that it refuses.
const AS_TEXT: &[(&str, &[&str], &[&str])] = &[
    (
        "idle_timeout",
        &["1ms", "18446744073709551615ms", "0", "-1", "0.5", "0.00002"],
        &[
            "0s",
            "0.5ms",
            "-2",
            "-0.5",
            "0.00001",
            "1e30",
            "18446744073709551616ms",
        ],
    ),
    (
        "SessionTimeout",
        &["0", "0.5", "0.00002", "-1", "-1.0", "1e15"],
        &["-2", "-0.5", "-1.5", "0.00001", "1e18", "1e999", "inf"],
    ),
    (
        "maxInactiveInterval",
        &[
            "0",
            "-1",
            "1",
            "9223372036854775807",
            "-9223372036854775808",
        ],
        &["0.5", "9223372036854775808"],
    ),
    (
        "absolute_timeout",
        &["1ms", "18446744073709551615ms", "-1", "0.5"],
        &["0", "0s", "-2", "0.00001"],
    ),
    ("touch_interval", &["0s", "1ms"], &["-1", "0.5ms"]),
    ("savePeriod", &["0", "1"], &["-1", "0.5"]),
    (
        "retention",
        &["0s", "1ms", "18446744073709551615ms"],
        &["-1", "0.5ms"],
    ),
    (
        "SessionCleanupTime",
        &["0", "0.5", "0.00002", "1e15"],
        &["-1", "0.00001", "1e30"],
    ),
    (
        "max_tombstones",
        &["0", "1", "18446744073709551615"],
        &["-1", "0.5", "18446744073709551616"],
    ),
    (
        "superseded_window",
        &["0s", "1ms", "18446744073709551615ms"],
        &["-1"],
    ),
    (
        "stale_if_error",
        &["0s", "1ms", "18446744073709551615ms"],
        &["-1"],
    ),
    (
        "store_timeout",
        &["1ms", "18446744073709551615ms"],
        &["0s", "-1", "0.5ms"],
    ),
    (
        "poll",
        &["0s", "1ms", "18446744073709551615ms"],
        &["-1", "0.5ms"],
    ),
    (
        "SessionPollingTime",
        &["0.00002", "0.5", "1e15"],
        &["0", "-1", "0.00001", "1e30"],
    ),
    (
        "purge",
        &["0s", "1ms", "18446744073709551615ms", "0 0 1", "59 23 7"],
        &["-1", "60 * *"],
    ),
    (
        "scavengeInterval",
        &["0", "1", "9223372036854775807"],
        &["-1", "0.5"],
    ),
    (
        "cache.entries",
        &["0", "1", "18446744073709551615"],
        &["-1", "0.5"],
    ),
    ("size", &["0", "1", "18446744073709551615"], &["-1", "0.5"]),
    (
        "cache.bytes",
        &["0", "1", "18446744073709551615"],
        &["-1", "0.5"],
    ),
    (
        "cache.idle",
        &["1ms", "365000d", "365000d1ms", "18446744073709551615ms"],
        &["0s", "-1"],
    ),
    (
        "ttl",
        &["1ms", "365000d", "365000d1ms", "18446744073709551615ms"],
        &["0s", "-1"],
    ),
    (
        "cache.ttl",
        &["1ms", "365000d", "365000d1ms", "18446744073709551615ms"],
        &["0s", "-1"],
    ),
    (
        "cache.eviction",
        &["1ms", "18446744073709551615ms"],
        &["0s", "-1"],
    ),
    (
        "evictionPolicy",
        &["-1", "0", "1", "9223372036854775807"],
        &["-2", "0.5"],
    ),
    (
        "coherence",
        &["bounded=1ms", "bounded=18446744073709551615ms"],
        &["bounded=0s"],
    ),
    (
        "commit",
        &["last-exit=1ms", "last-exit=18446744073709551615ms"],
        &["last-exit=0s"],
    ),
    (
        "max_bytes",
        &["100", "18446744073709551615"],
        &["0", "-1", "0.5"],
    ),
    (
        "cookie.max_age",
        &["1s", "18446744073709551615ms"],
        &["0s", "999ms", "-1"],
    ),
    (
        "maxCookieAge",
        &["-1", "1", "9223372036854775807"],
        &["0", "-2", "0.5"],
    ),
    ("SessionUseCookie", &["0", "1"], &["-1", "2", "0.5", "true"]),
];

#[tokio::test(start_paused = true)]
async fn the_edge_values_of_every_setting_as_text_are_refused_or_serve() {
    for (key, taken, refused) in AS_TEXT {
        for value in *refused {
            assert!(settings(&[(key, value)]).is_none(), "{key} = {value}");
        }
        for value in *taken {
            let given = settings(&[(key, value)]);
            let given = given.unwrap_or_else(|| unreachable!("{key} = {value}"));
            let clock = ManualClock::default();
            let layer = builder(&clock).settings(&given).build();
            let layer = layer.unwrap_or_else(|error| unreachable!("{key} = {value}: {error}"));
            // Nobody comes back with a cookie where there are no sessions, or where they go by header.
            let zero_is_off = ["idle_timeout", "SessionTimeout", "SessionUseCookie"];
            if !(*value == "0" && zero_is_off.contains(key)) {
                serves(&layer, &clock).await;
            }
        }
    }
}

// --- the exact instant ---

#[tokio::test]
async fn a_fraction_of_a_minute_is_kept_to_the_millisecond() {
    let clock = ManualClock::default();
    let given = settings(&[("SessionTimeout", "0.5"), ("touch_interval", "0s")]).unwrap();
    let layer = builder(&clock).settings(&given).build().unwrap();
    let (early, late) = (signed_up(&layer).await, signed_up(&layer).await);
    let at = clock.now() + 30 * SECOND;
    clock.set(at - MS);
    assert_eq!(early.visit(&layer, read).await.ok(), Some(1));
    clock.set(at);
    assert_eq!(
        late.visit(&layer, presented).await.ok(),
        Presented::TimedOut { at }
    );
}

#[tokio::test]
async fn minus_one_never_times_out() {
    let clock = ManualClock::default();
    let given = settings(&[("SessionTimeout", "-1"), ("absolute_timeout", "-1")]).unwrap();
    let layer = builder(&clock).settings(&given).build().unwrap();
    let client = signed_up(&layer).await;
    clock.set(Timestamp::MAX);
    for job in [Job::Poll, Job::Purge] {
        layer.manager().run_now(job).await.unwrap();
    }
    assert_eq!(client.visit(&layer, read).await.ok(), Some(1));
}

#[tokio::test]
async fn the_poll_erases_the_data_at_the_deadline_and_the_purge_the_row_at_its_end() {
    let (clock, store) = (ManualClock::default(), MemoryStore::new());
    let layer = quiet(store.clone(), &clock)
        .retention(10 * MIN)
        .build()
        .unwrap();
    let client = signed_up(&layer).await;
    let row = async || store.load(client.id()).await.unwrap();
    let deadline = clock.now() + 65 * MIN;
    clock.set(deadline - MS);
    layer.manager().run_now(Job::Poll).await.unwrap();
    assert_eq!(row().await.unwrap().state, State::Live);
    clock.set(deadline);
    layer.manager().run_now(Job::Poll).await.unwrap();
    let erased = row().await.unwrap();
    assert_eq!((erased.state, erased.body.len()), (State::Ended, 0));
    // The retention, and the permitted difference of the clocks.
    clock.set(deadline + 10 * MIN + 5 * SECOND - MS);
    let report = layer.manager().run_now(Job::Purge).await.unwrap();
    assert_eq!((report.purged, row().await.is_some()), (0, true));
    clock.advance(MS);
    let report = layer.manager().run_now(Job::Purge).await.unwrap();
    assert_eq!((report.purged, row().await.is_some()), (1, false));
}

#[tokio::test]
async fn a_candidate_has_expired_at_the_instant_of_its_deadline() {
    let clock = ManualClock::default();
    let layer = builder(&clock).build().unwrap();
    let ids = [signed_up(&layer).await.id(), signed_up(&layer).await.id()];
    let deadline = clock.now() + 65 * MIN;
    let manager = layer.manager();
    clock.set(deadline - MS);
    assert!(manager.exists(ids[0]).await.unwrap());
    assert_eq!(manager.check_expiration(&ids).await.unwrap(), []);
    assert_eq!(manager.check_expiration(&[]).await.unwrap(), []);
    clock.set(deadline);
    assert!(!manager.exists(ids[0]).await.unwrap());
    assert_eq!(manager.check_expiration(&ids).await.unwrap(), ids);
}

#[tokio::test]
async fn a_retention_is_told_to_its_last_millisecond() {
    for (retention, told, over) in [
        (NANO, Some(Duration::ZERO), MS),
        (MS, Some(Duration::ZERO), MS),
        (Duration::from_micros(1_500), Some(MS), 2 * MS),
        (10 * MIN, Some(10 * MIN - MS), 10 * MIN),
        (Duration::ZERO, None, Duration::ZERO),
    ] {
        let clock = ManualClock::default();
        let layer = builder(&clock).retention(retention).build().unwrap();
        let client = signed_up(&layer).await;
        let holder = client.fork();
        let end = |session: Session| async move { session.destroy().unwrap() };
        let at = clock.now();
        client.visit(&layer, end).await.ok();
        if let Some(told) = told {
            clock.set(at + told);
            let outcome = holder.visit(&layer, presented).await.ok();
            assert!(
                matches!(outcome, Presented::Ended { .. }),
                "{retention:?}: {outcome:?}"
            );
        }
        clock.set(at + over);
        let outcome = holder.visit(&layer, presented).await.ok();
        assert_eq!(outcome, Presented::Unknown, "{retention:?}");
    }
}

#[tokio::test]
async fn as_many_tombstones_are_kept_as_may_be_and_not_one_more() {
    for (max, ended, kept) in [
        (0, 2, 0),
        (1, 1, 1),
        (1, 2, 1),
        (3, 3, 3),
        (3, 4, 3),
        (usize::MAX, 4, 4),
    ] {
        let (clock, store) = (ManualClock::default(), MemoryStore::new());
        let layer = quiet(store.clone(), &clock).max_tombstones(max);
        let layer = layer.build().unwrap();
        for _ in 0..ended {
            let client = signed_up(&layer).await;
            let end = |session: Session| async move { session.destroy().unwrap() };
            client.visit(&layer, end).await.ok();
        }
        assert_eq!(store.len(), kept, "{ended} of at most {max}");
    }
}
