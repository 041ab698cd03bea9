//! Section 8 of the design, sentence by sentence, on a clock that is set by hand.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]
#![expect(clippy::unchecked_time_subtraction, reason = "the terms are constants")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cloakroom::{
    Cache, Clock as _, Coherence, EndReason, ErrorKind, Job, MaxAge, Owner, Presented, Schedule,
    Session, SessionCookie, SessionLayer, SessionStore as _, State, Timeout,
};
use cloakroom_conformance::{FaultyStore, ManualClock, Op};
use http::StatusCode;

use crate::home::Home;
use crate::support::{Client, MIN, MS, count, quiet, read};

scenarios! {
    an_idle_session_lives_a_millisecond_before_its_deadline_and_has_ended_at_it: minutes_ago(90),
    a_touch_interval_of_zero_makes_the_idle_timeout_exact_and_writes_at_every_use: minutes_ago(90),
    a_session_in_steady_use_ends_at_its_absolute_deadline_and_renewing_does_not_move_it: minutes_ago(90),
    a_login_begins_a_new_absolute_period:
        not_redis("the server forgets by its own clock, which the test cannot set"),
    idle_never_and_absolute_never_keep_a_session_for_ever,
    timeouts_beyond_the_calendar_saturate,
    a_shorter_timeout_of_its_own_ends_a_session_early_and_is_touched_more_often: minutes_ago(30),
    a_longer_timeout_of_its_own_outlives_the_layers,
    a_session_with_the_timeout_never_ends_only_by_the_absolute_one: minutes_ago(750),
    a_session_that_gives_up_its_own_timeout_goes_back_to_the_layers: minutes_ago(90),
    a_thousand_reads_within_an_interval_write_at_most_once_and_send_no_cookie,
    fifty_reads_at_once_touch_once,
    a_look_that_was_begun_before_a_touch_makes_no_other_touch_due,
    touches_are_spread_over_the_last_tenth_of_the_interval:
        only_memory("arithmetic, shown by hundreds of sessions"),
    a_save_moves_the_deadline_as_a_touch_does,
    saves_within_an_interval_never_let_a_session_end_early,
    a_save_after_a_new_timeout_moves_the_deadline_at_once,
    a_request_that_sets_what_is_there_already_moves_the_deadline_like_a_read,
    a_touch_that_fails_hurts_nobody_and_the_next_use_tries_again,
    a_touch_at_the_head_does_not_revive_a_session_past_its_deadline: minutes_ago(90),
    a_cookie_with_an_age_is_sent_again_with_touches_and_not_between,
    a_cookie_with_an_age_is_due_again_with_a_save_one_touch_interval_later,
    a_cookie_never_outlives_the_absolute_deadline,
    a_timeout_of_its_own_is_told_to_the_browser_at_once,
    a_touch_that_is_not_confirmed_sends_no_cookie,
    a_request_from_before_a_renew_sends_no_cookie_with_its_touch,
    a_session_in_use_is_kept_alive_however_long_its_handler_runs:
        only_memory("the timers of the test stand still, a server does not"),
    idle_time_runs_from_the_end_of_the_use:
        only_memory("the timers of the test stand still, a server does not"),
    a_session_in_use_is_kept_alive_without_a_cache_too:
        only_memory("the timers of the test stand still, a server does not"),
    a_session_that_this_request_has_created_is_kept_alive_from_its_commit_on:
        only_memory("the timers of the test stand still, a server does not"),
    a_timeout_shortened_in_the_middle_of_a_request_is_kept_alive_by:
        only_memory("the timers of the test stand still, a server does not"),
    a_handle_that_is_only_held_after_the_head_keeps_no_session_alive:
        only_memory("the timers of the test stand still, a server does not"),
    idle_time_runs_from_the_end_of_a_cancelled_use_too:
        only_memory("the timers of the test stand still, a server does not"),
    a_cancelled_use_is_recorded_only_if_a_touch_is_due_and_never_revives:
        only_memory("the timers of the test stand still, a server does not"),
    a_handle_that_outlives_a_cancelled_request_keeps_no_session_alive:
        only_memory("the timers of the test stand still, a server does not"),
    a_session_that_cannot_be_ended_in_the_store_is_unavailable_and_not_timed_out: minutes_ago(90),
    a_stale_copy_past_its_deadline_never_ends_a_session_that_another_node_kept_alive,
    exactly_one_of_two_nodes_reports_an_expiry: minutes_ago(90),
    with_a_retention_of_zero_a_timed_out_session_is_unknown_at_once:
        not_redis("the server forgets by its own clock, which the test cannot set"),
    how_a_session_ended_is_told_until_the_retention_is_over_purged_or_not:
        not_redis("the server forgets by its own clock, which the test cannot set"),
    a_tombstone_gives_the_reason_to_the_holder_of_the_secret_and_to_nobody_else,
    the_first_ending_stands_when_the_deadline_has_passed: minutes_ago(70),
    a_clock_that_steps_back_an_hour_ends_nothing_purges_nothing_and_makes_nothing_immortal:
        not_redis("the server forgets by its own clock, which the test cannot set"),
    a_session_that_is_only_read_after_a_step_back_still_ends: minutes_ago(90),
    a_clock_that_steps_forward_an_hour_and_back_purges_no_living_session: minutes_ago(150),
    a_step_forward_leaves_tombstones_of_what_it_timed_out: minutes_ago(60),
    a_longer_timeout_reaches_a_session_at_its_next_touch_and_a_shorter_one_at_its_next_commit,
    a_session_in_steady_use_survives_the_setting_never_though_it_is_never_written,
    a_session_in_steady_use_survives_a_touch_interval_longer_than_its_old_timeout,
    no_sessions_at_all_means_no_store_call_and_an_error_that_says_so,
}

const HOUR: Duration = Duration::from_hours(1);

async fn presented(session: Session) -> Presented {
    session.presented()
}

/// Tokio's time and the injected clock go on together, so that timers and deadlines agree.
async fn pass(clock: &ManualClock, time: Duration) {
    const STEPS: u32 = 240;
    for _ in 0..STEPS {
        clock.advance(time / STEPS);
        tokio::time::sleep(time / STEPS).await;
    }
}

async fn signed_up(layer: &SessionLayer) -> Client {
    let client = Client::new();
    client.visit(layer, count).await.ok();
    client
}

// --- deadlines ---

async fn an_idle_session_lives_a_millisecond_before_its_deadline_and_has_ended_at_it(home: &Home) {
    let clock = ManualClock::new(home.start());
    let layer = quiet(home.store(), &clock).build().unwrap();
    let (early, late) = (signed_up(&layer).await, signed_up(&layer).await);
    // Use + idle timeout + touch interval.
    let deadline = clock.now() + 65 * MIN;
    clock.set(deadline - MS);
    assert_eq!(early.visit(&layer, read).await.ok(), Some(1));
    clock.set(deadline);
    let told = late.visit(&layer, presented).await.ok();
    assert_eq!(told, Presented::TimedOut { at: deadline });
}

async fn a_touch_interval_of_zero_makes_the_idle_timeout_exact_and_writes_at_every_use(
    home: &Home,
) {
    let clock = ManualClock::new(home.start());
    let (store, faults) = FaultyStore::new(home.store());
    let layer = quiet(store, &clock)
        .touch_interval(Duration::ZERO)
        .build()
        .unwrap();
    let (early, late) = (signed_up(&layer).await, signed_up(&layer).await);
    for _ in 0..3 {
        early.visit(&layer, read).await.ok();
    }
    assert_eq!(faults.counts().touch, 3);
    let deadline = clock.now() + HOUR;
    clock.set(deadline - MS);
    assert_eq!(early.visit(&layer, presented).await.ok(), Presented::Active);
    clock.set(deadline);
    let told = late.visit(&layer, presented).await.ok();
    assert_eq!(told, Presented::TimedOut { at: deadline });
}

async fn a_session_in_steady_use_ends_at_its_absolute_deadline_and_renewing_does_not_move_it(
    home: &Home,
) {
    let clock = ManualClock::new(home.start());
    let layer = quiet(home.store(), &clock)
        .absolute_timeout(90 * MIN)
        .build()
        .unwrap();
    let client = signed_up(&layer).await;
    let end = clock.now() + 90 * MIN;
    for _ in 0..8 {
        clock.advance(10 * MIN);
        let renew = |session: Session| async move { session.renew().unwrap() };
        client.visit(&layer, renew).await.ok();
        client.visit(&layer, count).await.ok();
    }
    clock.set(end - MS);
    let expires = |session: Session| async move {
        assert_eq!(session.absolute_deadline(), session.expires_at());
        session.expires_at()
    };
    assert_eq!(client.visit(&layer, expires).await.ok(), Some(end));
    clock.set(end);
    let told = client.visit(&layer, presented).await.ok();
    assert_eq!(told, Presented::TimedOut { at: end });
}

async fn a_login_begins_a_new_absolute_period(home: &Home) {
    let clock = ManualClock::new(home.start());
    let layer = quiet(home.store(), &clock)
        .absolute_timeout(90 * MIN)
        .build()
        .unwrap();
    let client = signed_up(&layer).await;
    clock.advance(60 * MIN);
    let ada = Owner::new("ada").unwrap();
    let login = |session: Session| async move { session.login(ada).unwrap() };
    client.visit(&layer, login).await.ok();
    let end = clock.now() + 90 * MIN;
    let latest = |session: Session| async move { session.absolute_deadline() };
    assert_eq!(client.visit(&layer, latest).await.ok(), Some(end));
    clock.advance(60 * MIN);
    client.visit(&layer, count).await.ok();
    clock.set(end - MS);
    assert_eq!(
        client.visit(&layer, presented).await.ok(),
        Presented::Active
    );
    clock.set(end);
    let told = client.visit(&layer, presented).await.ok();
    assert_eq!(told, Presented::TimedOut { at: end });
}

async fn idle_never_and_absolute_never_keep_a_session_for_ever(home: &Home) {
    let clock = ManualClock::new(home.start());
    let (store, faults) = FaultyStore::new(home.store());
    let layer = quiet(store, &clock)
        .idle_timeout(Timeout::Never)
        .absolute_timeout(Timeout::Never)
        .build()
        .unwrap();
    let client = signed_up(&layer).await;
    clock.advance(100_000 * HOUR);
    layer.manager().run_now(Job::Purge).await.unwrap();
    assert_eq!(client.visit(&layer, read).await.ok(), Some(1));
    let touches = faults.counts().touch;
    assert_eq!(touches, 1, "the last use is known to five minutes");
    clock.advance(MIN * 4);
    assert_eq!(client.visit(&layer, read).await.ok(), Some(1));
    assert_eq!(faults.counts().touch, touches);
}

async fn timeouts_beyond_the_calendar_saturate(home: &Home) {
    let clock = ManualClock::new(home.start());
    let layer = quiet(home.store(), &clock)
        .idle_timeout(Duration::MAX)
        .absolute_timeout(Duration::MAX)
        .retention(Duration::MAX)
        .cookie(SessionCookie::new("__Host-id").max_age(MaxAge::Timeout))
        .build()
        .unwrap();
    let client = Client::new();
    let cookie = client.visit(&layer, count).await.set_cookie.unwrap();
    assert!(
        cookie.contains("Max-Age=34560000"),
        "at most 400 days: {cookie}"
    );
    clock.advance(50_000 * 24 * HOUR);
    assert_eq!(client.visit(&layer, read).await.ok(), Some(1));
}

// --- timeouts of a session's own ---

async fn with_own_timeout(layer: &SessionLayer, own: Timeout) -> Client {
    let client = Client::new();
    let set = move |session: Session| async move { session.set_idle_timeout(Some(own)).unwrap() };
    client.visit(layer, set).await.ok();
    client
}

async fn a_shorter_timeout_of_its_own_ends_a_session_early_and_is_touched_more_often(home: &Home) {
    let clock = ManualClock::new(home.start());
    let layer = quiet(home.store(), &clock).build().unwrap();
    let own = Timeout::After(12 * MIN);
    let (kept, left) = (
        with_own_timeout(&layer, own).await,
        with_own_timeout(&layer, own).await,
    );
    // Its touch interval is a twelfth of its own timeout.
    let deadline = clock.now() + 13 * MIN;
    clock.set(deadline - MS);
    assert_eq!(kept.visit(&layer, presented).await.ok(), Presented::Active);
    clock.set(deadline);
    let told = left.visit(&layer, presented).await.ok();
    assert_eq!(told, Presented::TimedOut { at: deadline });
    clock.set(deadline + 12 * MIN);
    assert_eq!(kept.visit(&layer, presented).await.ok(), Presented::Active);
}

async fn a_longer_timeout_of_its_own_outlives_the_layers(home: &Home) {
    let clock = ManualClock::new(home.start());
    let layer = quiet(home.store(), &clock).build().unwrap();
    let client = with_own_timeout(&layer, Timeout::After(5 * HOUR)).await;
    clock.advance(5 * HOUR);
    let own = |session: Session| async move { (session.presented(), session.idle_timeout()) };
    let told = client.visit(&layer, own).await.ok();
    assert_eq!(told, (Presented::Active, Timeout::After(5 * HOUR)));
}

async fn a_session_with_the_timeout_never_ends_only_by_the_absolute_one(home: &Home) {
    let clock = ManualClock::new(home.start());
    let layer = quiet(home.store(), &clock)
        .absolute_timeout(12 * HOUR)
        .build()
        .unwrap();
    let client = with_own_timeout(&layer, Timeout::Never).await;
    let end = clock.now() + 12 * HOUR;
    clock.set(end - MS);
    assert_eq!(
        client.visit(&layer, presented).await.ok(),
        Presented::Active
    );
    clock.set(end);
    let told = client.visit(&layer, presented).await.ok();
    assert_eq!(told, Presented::TimedOut { at: end });
}

async fn a_session_that_gives_up_its_own_timeout_goes_back_to_the_layers(home: &Home) {
    let clock = ManualClock::new(home.start());
    let layer = quiet(home.store(), &clock).build().unwrap();
    let client = with_own_timeout(&layer, Timeout::After(5 * HOUR)).await;
    let back = |session: Session| async move { session.set_idle_timeout(None).unwrap() };
    client.visit(&layer, back).await.ok();
    let deadline = clock.now() + 65 * MIN;
    clock.set(deadline);
    let told = client.visit(&layer, presented).await.ok();
    assert_eq!(
        told,
        Presented::TimedOut { at: deadline },
        "a save shortens"
    );
}

// --- touches ---

async fn a_thousand_reads_within_an_interval_write_at_most_once_and_send_no_cookie(home: &Home) {
    let clock = ManualClock::new(home.start());
    let (store, faults) = FaultyStore::new(home.store());
    let layer = quiet(store, &clock).build().unwrap();
    let client = signed_up(&layer).await;
    clock.advance(10 * MIN);
    faults.take_counts();
    for _ in 0..home.rounds(1_000) {
        clock.advance(Duration::from_millis(269));
        let answer = client.visit(&layer, read).await;
        assert_eq!(answer.set_cookie, None);
    }
    assert_eq!((faults.counts().writes(), faults.counts().touch), (1, 1));
}

async fn fifty_reads_at_once_touch_once(home: &Home) {
    let clock = ManualClock::new(home.start());
    let (store, faults) = FaultyStore::new(home.store());
    let layer = quiet(store, &clock).build().unwrap();
    let client = signed_up(&layer).await;
    clock.advance(10 * MIN);
    let gate = faults.hold(Op::Touch);
    let reads: Vec<_> = (0..50)
        .map(|_| tokio::spawn(client.visit(&layer, read)))
        .collect();
    gate.arrived(1).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    gate.release();
    for read in reads {
        assert_eq!(read.await.unwrap().ok(), Some(1));
    }
    assert_eq!(faults.counts().touch, 1);
}

async fn a_look_that_was_begun_before_a_touch_makes_no_other_touch_due(home: &Home) {
    let clock = ManualClock::new(home.start());
    let (store, faults) = FaultyStore::new(home.store());
    let layer = quiet(store, &clock)
        .coherence(Coherence::Verify)
        .build()
        .unwrap();
    let client = signed_up(&layer).await;
    clock.advance(10 * MIN);
    // Both are told the old deadline, the second one when the first has moved it.
    let gate = faults.hold_reply(Op::Peek);
    let first = tokio::spawn(client.visit(&layer, read));
    gate.arrived(1).await;
    let second = tokio::spawn(client.visit(&layer, read));
    gate.arrived(2).await;
    gate.release_one();
    assert_eq!(first.await.unwrap().ok(), Some(1));
    gate.release();
    assert_eq!(second.await.unwrap().ok(), Some(1));
    assert_eq!(faults.counts().touch, 1);
}

async fn touches_are_spread_over_the_last_tenth_of_the_interval(home: &Home) {
    let clock = ManualClock::new(home.start());
    let (store, faults) = FaultyStore::new(home.store());
    let layer = quiet(store, &clock).build().unwrap();
    let mut clients = Vec::new();
    for _ in 0..300 {
        clients.push(signed_up(&layer).await);
    }
    let start = clock.now();
    let mut touched = Vec::new();
    let tenth = Duration::from_secs(30);
    for at in [
        5 * MIN - tenth - MS,
        5 * MIN - tenth / 2,
        5 * MIN - tenth / 4,
        5 * MIN,
    ] {
        clock.set(start + at);
        for client in &clients {
            client.visit(&layer, read).await.ok();
        }
        touched.push(faults.counts().touch);
    }
    let [before, half, most, all] = touched[..] else {
        unreachable!()
    };
    assert_eq!(
        (before, all),
        (0, 300),
        "downwards only, by at most a tenth"
    );
    assert!(0 < half && half < most && most < 300, "{touched:?}");
}

async fn a_save_moves_the_deadline_as_a_touch_does(home: &Home) {
    let clock = ManualClock::new(home.start());
    let (store, faults) = FaultyStore::new(home.store());
    let layer = quiet(store, &clock).build().unwrap();
    let client = signed_up(&layer).await;
    for _ in 0..10 {
        clock.advance(50 * MIN);
        client.visit(&layer, count).await.ok();
    }
    assert_eq!(faults.counts().touch, 0);
    clock.advance(64 * MIN);
    assert_eq!(client.visit(&layer, read).await.ok(), Some(11));
}

/// Stores that heed it are spared the times of most saves.
async fn saves_within_an_interval_never_let_a_session_end_early(home: &Home) {
    let clock = ManualClock::new(home.start());
    let stored = home.store();
    let (store, faults) = FaultyStore::new(stored.clone());
    let layer = quiet(store, &clock).build().unwrap();
    let client = signed_up(&layer).await;
    let deadline = async || {
        let row = stored.load(client.id()).await.unwrap().unwrap();
        row.times.deadline.unwrap()
    };
    let mut moved = 0;
    let mut last = deadline().await;
    for _ in 0..150 {
        let now = clock.advance(MIN);
        client.visit(&layer, count).await.ok();
        client.visit(&layer, read).await.ok();
        let deadline = deadline().await;
        assert!(deadline.since(now) >= 60 * MIN, "no use is forgotten");
        assert!(deadline >= last);
        moved += u64::from(deadline > last);
        last = deadline;
    }
    assert_eq!(faults.counts().touch, 0, "the saves did it");
    // An interval of five minutes, or up to a tenth less.
    let expected = if stored.capabilities().leaves_times {
        30..=34
    } else {
        150..=150
    };
    assert!(expected.contains(&moved), "{moved}");
    // The last use is what counts.
    clock.advance(60 * MIN - MS);
    assert_eq!(client.visit(&layer, read).await.ok(), Some(151));
}

/// Of its own, or of a layer that is set otherwise: neither is a use within an interval.
async fn a_save_after_a_new_timeout_moves_the_deadline_at_once(home: &Home) {
    let clock = ManualClock::new(home.start());
    let stored = home.store();
    let layer = quiet(stored.clone(), &clock).build().unwrap();
    let client = signed_up(&layer).await;
    let lasts = async || {
        let row = stored.load(client.id()).await.unwrap().unwrap();
        row.times.deadline.unwrap().since(clock.now())
    };
    clock.advance(MIN);
    client.visit(&layer, count).await.ok();
    assert!(lasts().await <= 65 * MIN);
    let shorter = |session: Session| async move {
        session
            .set_idle_timeout(Some(Timeout::After(12 * MIN)))
            .unwrap();
        count(session).await
    };
    client.visit(&layer, shorter).await.ok();
    assert_eq!(lasts().await, 13 * MIN);
    clock.advance(MS);
    let longer = |session: Session| async move {
        session.set_idle_timeout(None).unwrap();
        count(session).await
    };
    client.visit(&layer, longer).await.ok();
    assert_eq!(lasts().await, 65 * MIN);
    let other = quiet(stored.clone(), &clock)
        .idle_timeout(120 * MIN)
        .build()
        .unwrap();
    client.visit(&other, count).await.ok();
    assert_eq!(lasts().await, 125 * MIN);
}

async fn a_request_that_sets_what_is_there_already_moves_the_deadline_like_a_read(home: &Home) {
    let clock = ManualClock::new(home.start());
    let (store, faults) = FaultyStore::new(home.store());
    let layer = quiet(store, &clock).build().unwrap();
    let client = signed_up(&layer).await;
    faults.take_counts();
    for _ in 0..3 {
        clock.advance(50 * MIN);
        let same = |session: Session| async move { session.insert("n", 1_u64).unwrap() };
        client.visit(&layer, same).await.ok();
    }
    assert_eq!((faults.counts().save, faults.counts().touch), (0, 3));
    assert_eq!(
        client.visit(&layer, presented).await.ok(),
        Presented::Active
    );
}

async fn a_touch_that_fails_hurts_nobody_and_the_next_use_tries_again(home: &Home) {
    let clock = ManualClock::new(home.start());
    let (store, faults) = FaultyStore::new(home.store());
    let layer = quiet(store, &clock).build().unwrap();
    let client = signed_up(&layer).await;
    clock.advance(10 * MIN);
    faults.fail(Op::Touch, 1);
    assert_eq!(client.visit(&layer, read).await.ok(), Some(1));
    assert_eq!(client.visit(&layer, read).await.ok(), Some(1));
    assert_eq!(faults.counts().touch, 2);
    clock.advance(64 * MIN);
    assert_eq!(client.visit(&layer, read).await.ok(), Some(1));
}

async fn a_touch_at_the_head_does_not_revive_a_session_past_its_deadline(home: &Home) {
    let clock = ManualClock::new(home.start());
    let layer = quiet(home.store(), &clock).build().unwrap();
    let client = signed_up(&layer).await;
    let deadline = clock.now() + 65 * MIN;
    let to = clock.clone();
    // No timer ran meanwhile: the machine was suspended.
    let suspended = move |_: Session| async move { to.advance(2 * HOUR) };
    client.visit(&layer, suspended).await.ok();
    let told = client.visit(&layer, presented).await.ok();
    assert!(!matches!(told, Presented::Active), "{deadline} is binding");
}

// --- cookies with an age ---

fn aged(store: impl cloakroom::SessionStore, clock: &ManualClock) -> SessionLayer {
    quiet(store, clock)
        .cookie(SessionCookie::new("__Host-id").max_age(MaxAge::Timeout))
        .build()
        .unwrap()
}

async fn a_cookie_with_an_age_is_sent_again_with_touches_and_not_between(home: &Home) {
    let clock = ManualClock::new(home.start());
    let layer = aged(home.store(), &clock);
    let client = Client::new();
    let first = client.visit(&layer, count).await.set_cookie.unwrap();
    assert!(first.contains("Max-Age=3600"), "{first}");
    let mut sent = 0;
    for _ in 0..60 {
        clock.advance(MIN);
        if let Some(cookie) = client.visit(&layer, read).await.set_cookie {
            assert!(cookie.contains("Max-Age=3600"), "{cookie}");
            sent += 1;
        }
    }
    assert_eq!(sent, 12, "once per touch interval");
}

async fn a_cookie_with_an_age_is_due_again_with_a_save_one_touch_interval_later(home: &Home) {
    let clock = ManualClock::new(home.start());
    let layer = aged(home.store(), &clock);
    let client = signed_up(&layer).await;
    let mut sent = 0;
    for _ in 0..60 {
        clock.advance(MIN);
        sent += u32::from(client.visit(&layer, count).await.set_cookie.is_some());
    }
    assert_eq!(sent, 12);
}

async fn a_cookie_never_outlives_the_absolute_deadline(home: &Home) {
    let clock = ManualClock::new(home.start());
    let layer = quiet(home.store(), &clock)
        .absolute_timeout(90 * MIN)
        .cookie(SessionCookie::new("__Host-id").max_age(MaxAge::Timeout))
        .build()
        .unwrap();
    let client = signed_up(&layer).await;
    clock.advance(60 * MIN);
    let cookie = client.visit(&layer, read).await.set_cookie.unwrap();
    assert!(cookie.contains("Max-Age=1800"), "{cookie}");
}

async fn a_timeout_of_its_own_is_told_to_the_browser_at_once(home: &Home) {
    let clock = ManualClock::new(home.start());
    let layer = aged(home.store(), &clock);
    let client = signed_up(&layer).await;
    let own = |idle: Option<Timeout>| {
        move |session: Session| async move { session.set_idle_timeout(idle).unwrap() }
    };
    for (idle, age) in [
        (Some(Timeout::After(2 * HOUR)), Some("Max-Age=7200")),
        (Some(Timeout::After(2 * HOUR)), None),
        (Some(Timeout::After(10 * MIN)), Some("Max-Age=600")),
        // Only the absolute timeout of 12 h is left.
        (Some(Timeout::Never), Some("Max-Age=43200")),
        // Which is shorter than this one, too.
        (Some(Timeout::After(20 * HOUR)), None),
        (None, Some("Max-Age=3600")),
    ] {
        let cookie = client.visit(&layer, own(idle)).await.set_cookie;
        assert_eq!(cookie.is_some(), age.is_some(), "{idle:?}: {cookie:?}");
        let (cookie, age) = (cookie.unwrap_or_default(), age.unwrap_or_default());
        assert!(cookie.contains(age), "{idle:?}: {cookie}");
    }
    // Whose cookie has no age of the session's has nothing to learn.
    let layer = quiet(home.store(), &clock).build().unwrap();
    let client = signed_up(&layer).await;
    let longer = own(Some(Timeout::After(2 * HOUR)));
    assert_eq!(client.visit(&layer, longer).await.set_cookie, None);
}

async fn a_touch_that_is_not_confirmed_sends_no_cookie(home: &Home) {
    let clock = ManualClock::new(home.start());
    let (store, faults) = FaultyStore::new(home.store());
    let layer = aged(store, &clock);
    let client = signed_up(&layer).await;
    clock.advance(10 * MIN);
    faults.fail(Op::Touch, 1);
    assert_eq!(client.visit(&layer, read).await.set_cookie, None);
}

async fn a_request_from_before_a_renew_sends_no_cookie_with_its_touch(home: &Home) {
    let clock = ManualClock::new(home.start());
    let layer = aged(home.store(), &clock);
    let client = signed_up(&layer).await;
    clock.advance(10 * MIN);
    let late = client.fork();
    let (renewed, to) = (client.clone(), layer.clone());
    let slow = move |_: Session| async move {
        let renew = |session: Session| async move { session.renew().unwrap() };
        renewed.visit(&to, renew).await.ok();
    };
    let answer = late.visit(&layer, slow).await;
    assert_eq!(answer.set_cookie, None);
    assert_eq!(
        client.visit(&layer, presented).await.ok(),
        Presented::Active
    );
}

// --- in use ---

async fn a_session_in_use_is_kept_alive_however_long_its_handler_runs(home: &Home) {
    tokio::time::pause();
    let clock = ManualClock::new(home.start());
    let layer = quiet(home.store(), &clock)
        .poll(Schedule::every(MIN))
        .build()
        .unwrap();
    let client = signed_up(&layer).await;
    let with = clock.clone();
    let slow = move |session: Session| async move {
        pass(&with, 4 * HOUR).await;
        count(session).await
    };
    assert_eq!(client.visit(&layer, slow).await.ok(), 2);
    assert_eq!(client.visit(&layer, read).await.ok(), Some(2));
}

async fn idle_time_runs_from_the_end_of_the_use(home: &Home) {
    tokio::time::pause();
    let clock = ManualClock::new(home.start());
    let layer = quiet(home.store(), &clock).build().unwrap();
    let client = signed_up(&layer).await;
    let with = clock.clone();
    let slow = move |_: Session| async move { pass(&with, 4 * HOUR).await };
    client.visit(&layer, slow).await.ok();
    clock.advance(60 * MIN - MS);
    assert_eq!(
        client.visit(&layer, presented).await.ok(),
        Presented::Active
    );
    clock.advance(2 * HOUR);
    assert!(matches!(
        client.visit(&layer, presented).await.ok(),
        Presented::TimedOut { .. }
    ));
}

async fn a_session_in_use_is_kept_alive_without_a_cache_too(home: &Home) {
    tokio::time::pause();
    let clock = ManualClock::new(home.start());
    let layer = quiet(home.store(), &clock)
        .cache(Cache::none())
        .poll(Schedule::every(MIN))
        .build()
        .unwrap();
    let client = signed_up(&layer).await;
    let with = clock.clone();
    let slow = move |session: Session| async move {
        pass(&with, 4 * HOUR).await;
        count(session).await
    };
    assert_eq!(client.visit(&layer, slow).await.ok(), 2);
    assert_eq!(client.visit(&layer, read).await.ok(), Some(2));
}

async fn a_session_that_this_request_has_created_is_kept_alive_from_its_commit_on(home: &Home) {
    tokio::time::pause();
    let clock = ManualClock::new(home.start());
    let layer = quiet(home.store(), &clock)
        .poll(Schedule::every(MIN))
        .build()
        .unwrap();
    let client = Client::new();
    let with = clock.clone();
    let slow = move |session: Session| async move {
        count(session.clone()).await;
        session.commit().await.unwrap();
        pass(&with, 4 * HOUR).await;
        count(session).await
    };
    assert_eq!(client.visit(&layer, slow).await.ok(), 2);
    assert_eq!(client.visit(&layer, read).await.ok(), Some(2));
}

async fn a_timeout_shortened_in_the_middle_of_a_request_is_kept_alive_by(home: &Home) {
    tokio::time::pause();
    let clock = ManualClock::new(home.start());
    let layer = quiet(home.store(), &clock)
        .poll(Schedule::every(MIN))
        .build()
        .unwrap();
    let client = signed_up(&layer).await;
    let with = clock.clone();
    let slow = move |session: Session| async move {
        session
            .set_idle_timeout(Some(Timeout::After(MIN / 3)))
            .unwrap();
        session.commit().await.unwrap();
        pass(&with, 10 * MIN).await;
        count(session).await
    };
    assert_eq!(client.visit(&layer, slow).await.ok(), 2);
    assert_eq!(client.visit(&layer, read).await.ok(), Some(2));
}

async fn a_handle_that_is_only_held_after_the_head_keeps_no_session_alive(home: &Home) {
    tokio::time::pause();
    let clock = ManualClock::new(home.start());
    let layer = quiet(home.store(), &clock).build().unwrap();
    let client = signed_up(&layer).await;
    let held = client.visit(&layer, |session| async { session }).await.ok();
    pass(&clock, 2 * HOUR).await;
    assert!(matches!(
        client.visit(&layer, presented).await.ok(),
        Presented::TimedOut { .. }
    ));
    held.insert("late", true).unwrap();
    assert_eq!(held.commit().await.unwrap_err().kind(), ErrorKind::Ended);
}

async fn a_handle_that_outlives_a_cancelled_request_keeps_no_session_alive(home: &Home) {
    tokio::time::pause();
    let clock = ManualClock::new(home.start());
    let layer = quiet(home.store(), &clock).build().unwrap();
    let client = signed_up(&layer).await;
    let (give, mut take) = tokio::sync::mpsc::unbounded_channel();
    let request = tokio::spawn(client.visit(&layer, move |session| async move {
        give.send(session).unwrap();
        std::future::pending::<()>().await;
    }));
    let held = take.recv().await.unwrap();
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    pass(&clock, 2 * HOUR).await;
    assert!(matches!(
        client.visit(&layer, presented).await.ok(),
        Presented::TimedOut { .. }
    ));
    drop(held);
}

/// Runs a request for `time`, and then its client goes away.
async fn cancelled_after(
    layer: &SessionLayer,
    client: &Client,
    clock: &ManualClock,
    time: Duration,
) {
    let (give, mut take) = tokio::sync::mpsc::unbounded_channel();
    let request = tokio::spawn(client.visit(layer, move |session| async move {
        give.send(()).unwrap();
        std::future::pending::<()>().await;
        drop(session);
    }));
    take.recv().await.unwrap();
    pass(clock, time).await;
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    layer.manager().settled().await;
}

async fn idle_time_runs_from_the_end_of_a_cancelled_use_too(home: &Home) {
    tokio::time::pause();
    let clock = ManualClock::new(home.start());
    let layer = quiet(home.store(), &clock)
        .touch_interval(Duration::ZERO)
        .build()
        .unwrap();
    let client = signed_up(&layer).await;
    // Shorter than a round of the timer that keeps sessions in use alive.
    cancelled_after(&layer, &client, &clock, MIN / 2).await;
    assert_eq!(layer.manager().stats().touches, 1);
    clock.advance(60 * MIN - MS);
    let outcome = client.visit(&layer, presented).await.ok();
    assert_eq!(outcome, Presented::Active);
}

async fn a_cancelled_use_is_recorded_only_if_a_touch_is_due_and_never_revives(home: &Home) {
    tokio::time::pause();
    let clock = ManualClock::new(home.start());
    let (store, faults) = FaultyStore::new(home.store());
    let layer = quiet(store, &clock).build().unwrap();
    let client = signed_up(&layer).await;
    cancelled_after(&layer, &client, &clock, MIN).await;
    assert_eq!(faults.counts().of(Op::Touch), 0, "it is not due");
    clock.advance(5 * MIN);
    let id = client.id();
    let (give, mut take) = tokio::sync::mpsc::unbounded_channel();
    let request = tokio::spawn(client.visit(&layer, move |_| async move {
        give.send(()).unwrap();
        std::future::pending::<()>().await;
    }));
    take.recv().await.unwrap();
    assert!(layer.manager().destroy(id).await.unwrap());
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    layer.manager().settled().await;
    assert!(!layer.manager().exists(id).await.unwrap());
    assert!(layer.manager().stats().touches == 0);
}

// --- ended, then told ---

async fn a_session_that_cannot_be_ended_in_the_store_is_unavailable_and_not_timed_out(home: &Home) {
    let clock = ManualClock::new(home.start());
    let (store, faults) = FaultyStore::new(home.store());
    let layer = quiet(store, &clock).build().unwrap();
    let client = signed_up(&layer).await;
    clock.advance(65 * MIN);
    faults.fail(Op::Expire, 1);
    let down = client.visit(&layer, presented).await;
    assert_eq!(
        (down.status, down.error),
        (
            StatusCode::SERVICE_UNAVAILABLE,
            Some(ErrorKind::Unavailable)
        )
    );
    assert!(down.set_cookie.is_none());
    assert!(matches!(
        client.visit(&layer, presented).await.ok(),
        Presented::TimedOut { .. }
    ));
}

async fn a_stale_copy_past_its_deadline_never_ends_a_session_that_another_node_kept_alive(
    home: &Home,
) {
    let clock = ManualClock::new(home.start());
    let store = home.store();
    let here = quiet(store.clone(), &clock).build().unwrap();
    let there = quiet(store.clone(), &clock).build().unwrap();
    let client = signed_up(&here).await;
    let deadline = clock.now() + 65 * MIN;
    clock.advance(50 * MIN);
    // A touch sends no notice: the copy here keeps its old deadline.
    client.visit(&there, read).await.ok();
    clock.set(deadline + MS);
    assert_eq!(client.visit(&here, read).await.ok(), Some(1));
    here.manager().run_now(Job::Poll).await.unwrap();
    assert_eq!(
        client.visit(&there, presented).await.ok(),
        Presented::Active
    );
}

async fn exactly_one_of_two_nodes_reports_an_expiry(home: &Home) {
    let clock = ManualClock::new(home.start());
    let store = home.store();
    let here = quiet(store.clone(), &clock).build().unwrap();
    let there = quiet(store.clone(), &clock).build().unwrap();
    let client = signed_up(&here).await;
    client.visit(&there, read).await.ok();
    clock.advance(65 * MIN);
    let (one, other) = (
        here.manager().run_now(Job::Poll).await.unwrap(),
        there.manager().run_now(Job::Poll).await.unwrap(),
    );
    assert_eq!((one.expired, other.expired), (1, 0));
    assert!(matches!(
        client.visit(&there, presented).await.ok(),
        Presented::TimedOut { .. }
    ));
    assert_eq!(there.manager().stats().expired, 0);
}

// --- tombstones ---

async fn with_a_retention_of_zero_a_timed_out_session_is_unknown_at_once(home: &Home) {
    let clock = ManualClock::new(home.start());
    let layer = quiet(home.store(), &clock)
        .retention(Duration::ZERO)
        .build()
        .unwrap();
    let (timed_out, logged_out) = (signed_up(&layer).await, signed_up(&layer).await);
    let old = logged_out.fork();
    let logout = |session: Session| async move { session.destroy().unwrap() };
    logged_out.visit(&layer, logout).await.ok();
    assert_eq!(old.visit(&layer, presented).await.ok(), Presented::Unknown);
    clock.advance(65 * MIN);
    assert_eq!(
        timed_out.visit(&layer, presented).await.ok(),
        Presented::Unknown
    );
}

async fn how_a_session_ended_is_told_until_the_retention_is_over_purged_or_not(home: &Home) {
    let clock = ManualClock::new(home.start());
    let store = home.store();
    let layer = quiet(store.clone(), &clock)
        .retention(10 * MIN)
        .build()
        .unwrap();
    let client = signed_up(&layer).await;
    let at = clock.now() + 65 * MIN;
    clock.set(at);
    layer.manager().run_now(Job::Poll).await.unwrap();
    let row = store.load(client.id()).await.unwrap().unwrap();
    assert_eq!(
        (row.state, row.body.len()),
        (State::Ended, 0),
        "erased at the poll"
    );
    clock.set(at + 10 * MIN - MS);
    let told = client.visit(&layer, presented).await.ok();
    assert_eq!(told, Presented::TimedOut { at });
    clock.set(at + 10 * MIN);
    assert_eq!(
        client.visit(&layer, presented).await.ok(),
        Presented::Unknown
    );
    assert_eq!(store.len(), 1, "and it is still there");
    clock.advance(Duration::from_secs(5));
    layer.manager().run_now(Job::Purge).await.unwrap();
    assert!(store.is_empty());
}

async fn a_tombstone_gives_the_reason_to_the_holder_of_the_secret_and_to_nobody_else(home: &Home) {
    let clock = ManualClock::new(home.start());
    let layer = quiet(home.store(), &clock).build().unwrap();
    let [logged_out, revoked, replaced] = [
        signed_up(&layer).await,
        signed_up(&layer).await,
        signed_up(&layer).await,
    ];
    let login = |name: &str| {
        let owner = Owner::new(name).unwrap();
        |session: Session| async move { session.login(owner).unwrap() }
    };
    replaced.visit(&layer, login("ada")).await.ok();
    let olds = [logged_out.fork(), revoked.fork(), replaced.fork()];
    let at = clock.advance(MIN);
    let logout = |session: Session| async move { session.destroy().unwrap() };
    logged_out.visit(&layer, logout).await.ok();
    assert!(layer.manager().destroy(revoked.id()).await.unwrap());
    replaced.visit(&layer, login("bob")).await.ok();
    clock.advance(MIN);
    for (old, reason) in
        olds.iter()
            .zip([EndReason::Logout, EndReason::Revoked, EndReason::Replaced])
    {
        let told = old.visit(&layer, presented).await.ok();
        assert_eq!(told, Presented::Ended { at, reason });
        let forged = Client::new();
        forged.set_cookie(Some(other_secret(&old.cookie().unwrap())));
        assert_eq!(
            forged.visit(&layer, presented).await.ok(),
            Presented::Unknown
        );
    }
}

/// The same id with another secret.
fn other_secret(cookie: &str) -> String {
    let (id, secret) = cookie.split_at(24);
    let flip = |c: char| if c == 'A' { 'B' } else { 'A' };
    format!("{id}{}", secret.chars().map(flip).collect::<String>())
}

// --- a clock that steps ---

async fn the_first_ending_stands_when_the_deadline_has_passed(home: &Home) {
    let clock = ManualClock::new(home.start());
    let store = home.store();
    let node = || quiet(store.clone(), &clock).retention(10 * HOUR);
    let (here, there) = (node().build().unwrap(), node().build().unwrap());
    let ended = [
        (signed_up(&here).await, EndReason::Logout),
        (signed_up(&here).await, EndReason::Revoked),
        (signed_up(&here).await, EndReason::Replaced),
    ];
    let login = |name: &str| {
        let owner = Owner::new(name).unwrap();
        |session: Session| async move { session.login(owner).unwrap() }
    };
    ended[2].0.visit(&here, login("ada")).await.ok();
    // The other node has copies, which are due when it looks again.
    let holders = ended.each_ref().map(|(client, _)| client.fork());
    for holder in &holders {
        holder.visit(&there, read).await.ok();
    }
    let at = clock.advance(MIN);
    let logout = |session: Session| async move { session.destroy().unwrap() };
    ended[0].0.visit(&here, logout).await.ok();
    assert!(here.manager().destroy(holders[1].id()).await.unwrap());
    ended[2].0.visit(&here, login("bob")).await.ok();
    clock.advance(66 * MIN);
    for node in [&there, &here] {
        for pass in 0..2 {
            for (holder, (_, reason)) in holders.iter().zip(&ended) {
                let told = holder.fork().visit(node, presented).await.ok();
                let reason = *reason;
                assert_eq!(told, Presented::Ended { at, reason }, "{pass}");
            }
            let ids = holders.each_ref().map(Client::id);
            let gone = node.manager().check_expiration(&ids).await.unwrap();
            assert_eq!(gone, ids);
            node.manager().run_now(Job::Poll).await.unwrap();
        }
    }
    // Bob's session is the one that has timed out.
    let expired = [&there, &here].map(|node| node.manager().stats().expired);
    assert_eq!(expired.iter().sum::<u64>(), 1);
}

async fn a_clock_that_steps_back_an_hour_ends_nothing_purges_nothing_and_makes_nothing_immortal(
    home: &Home,
) {
    let clock = ManualClock::new(home.start());
    let store = home.store();
    let layer = quiet(store.clone(), &clock)
        .retention(10 * MIN)
        .build()
        .unwrap();
    let (client, ended) = (signed_up(&layer).await, signed_up(&layer).await);
    let old = ended.fork();
    let logout = |session: Session| async move { session.destroy().unwrap() };
    ended.visit(&layer, logout).await.ok();
    clock.step_back(HOUR);
    for job in [Job::Poll, Job::Purge] {
        let report = layer.manager().run_now(job).await.unwrap();
        assert_eq!((report.expired, report.purged, report.took_ms), (0, 0, 0));
    }
    assert_eq!(client.visit(&layer, count).await.ok(), 2);
    assert!(matches!(
        old.visit(&layer, presented).await.ok(),
        Presented::Ended { .. }
    ));
    // The save has set the times by the new clock.
    clock.advance(65 * MIN);
    assert!(matches!(
        client.visit(&layer, presented).await.ok(),
        Presented::TimedOut { .. }
    ));
    clock.advance(65 * MIN);
    layer.manager().run_now(Job::Purge).await.unwrap();
    assert!(store.is_empty());
}

async fn a_session_that_is_only_read_after_a_step_back_still_ends(home: &Home) {
    let clock = ManualClock::new(home.start());
    let layer = quiet(home.store(), &clock).build().unwrap();
    let client = signed_up(&layer).await;
    let deadline = clock.now() + 65 * MIN;
    clock.step_back(HOUR);
    for _ in 0..10 {
        clock.advance(MIN);
        assert_eq!(client.visit(&layer, read).await.ok(), Some(1));
    }
    clock.set(deadline + MIN);
    assert!(matches!(
        client.visit(&layer, presented).await.ok(),
        Presented::TimedOut { .. }
    ));
}

async fn a_clock_that_steps_forward_an_hour_and_back_purges_no_living_session(home: &Home) {
    let clock = ManualClock::new(home.start());
    let store = home.store();
    let layer = quiet(store.clone(), &clock)
        .idle_timeout(2 * HOUR)
        .build()
        .unwrap();
    let client = signed_up(&layer).await;
    clock.advance(HOUR);
    layer.manager().run_now(Job::Poll).await.unwrap();
    layer.manager().run_now(Job::Purge).await.unwrap();
    assert_eq!(client.visit(&layer, read).await.ok(), Some(1));
    clock.step_back(HOUR);
    layer.manager().run_now(Job::Purge).await.unwrap();
    assert_eq!(client.visit(&layer, count).await.ok(), 2);
    clock.advance(2 * HOUR + 5 * MIN);
    assert!(matches!(
        client.visit(&layer, presented).await.ok(),
        Presented::TimedOut { .. }
    ));
}

async fn a_step_forward_leaves_tombstones_of_what_it_timed_out(home: &Home) {
    let clock = ManualClock::new(home.start());
    let store = home.store();
    let layer = quiet(store.clone(), &clock)
        .idle_timeout(30 * MIN)
        .build()
        .unwrap();
    let client = signed_up(&layer).await;
    clock.advance(HOUR);
    layer.manager().run_now(Job::Purge).await.unwrap();
    assert_eq!(store.len(), 1, "the row is not forgotten");
    assert!(matches!(
        client.visit(&layer, presented).await.ok(),
        Presented::TimedOut { .. }
    ));
}

// --- a changed setting ---

async fn a_longer_timeout_reaches_a_session_at_its_next_touch_and_a_shorter_one_at_its_next_commit(
    home: &Home,
) {
    let clock = ManualClock::new(home.start());
    let store = home.store();
    let expires = |session: Session| async move { session.expires_at().unwrap() };
    let short = quiet(store.clone(), &clock)
        .idle_timeout(30 * MIN)
        .build()
        .unwrap();
    let long = quiet(store.clone(), &clock)
        .idle_timeout(5 * HOUR)
        .build()
        .unwrap();
    let client = signed_up(&short).await;
    let now = clock.advance(10 * MIN);
    client.visit(&long, read).await.ok();
    let longer = now + 5 * HOUR + 5 * MIN;
    assert_eq!(client.visit(&long, expires).await.ok(), longer);
    // A touch moves forward only.
    clock.advance(10 * MIN);
    client.visit(&short, read).await.ok();
    assert_eq!(client.visit(&short, expires).await.ok(), longer);
    client.visit(&short, count).await.ok();
    let shorter = clock.now() + 32 * MIN + 30_000 * MS;
    assert_eq!(client.visit(&short, expires).await.ok(), shorter);
}

async fn a_session_in_steady_use_survives_the_setting_never_though_it_is_never_written(
    home: &Home,
) {
    let clock = ManualClock::new(home.start());
    let store = home.store();
    let before = quiet(store.clone(), &clock).build().unwrap();
    let after = quiet(store.clone(), &clock)
        .idle_timeout(Timeout::Never)
        .absolute_timeout(Timeout::Never)
        .build()
        .unwrap();
    let client = signed_up(&before).await;
    for _ in 0..5 {
        clock.advance(30 * MIN);
        assert_eq!(client.visit(&after, read).await.ok(), Some(1));
    }
}

async fn a_session_in_steady_use_survives_a_touch_interval_longer_than_its_old_timeout(
    home: &Home,
) {
    let clock = ManualClock::new(home.start());
    let store = home.store();
    let before = quiet(store.clone(), &clock)
        .idle_timeout(10 * MIN)
        .build()
        .unwrap();
    let after = quiet(store.clone(), &clock)
        .idle_timeout(10 * HOUR)
        .touch_interval(HOUR)
        .build()
        .unwrap();
    let client = signed_up(&before).await;
    for _ in 0..12 {
        clock.advance(5 * MIN);
        assert_eq!(client.visit(&after, read).await.ok(), Some(1));
    }
}

async fn no_sessions_at_all_means_no_store_call_and_an_error_that_says_so(home: &Home) {
    let clock = ManualClock::new(home.start());
    let (store, faults) = FaultyStore::new(home.store());
    let layer = quiet(store, &clock)
        .idle_timeout(Timeout::Disabled)
        .build()
        .unwrap();
    let ran = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&ran);
    let handler = move |_: Session| async move { flag.store(true, Ordering::Relaxed) };
    let answer = Client::new().visit(&layer, handler).await;
    assert_eq!(answer.error, Some(ErrorKind::Disabled));
    assert!(!ran.load(Ordering::Relaxed));
    assert_eq!(faults.counts().total(), 0);
    assert_eq!(clock.now(), home.start());
}
