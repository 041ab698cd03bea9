//! Section 9 of the design: the background task, in virtual time.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use cloakroom::{
    Capabilities, Change, ChangeFeed, Clock, CreateOutcome, Due, EndReason, ErrorKind, Event, Job,
    MemoryStore, OnShutdown, Owner, Page, Peek, Presented, Reach, Record, SaveOutcome, Schedule,
    Session, SessionId, SessionLayer, SessionStore, Stamp, StoreError, Timeout, Times, Timestamp,
    TouchOutcome, Zone,
};
use cloakroom_conformance::{FaultyStore, ManualClock, Op};
use tokio::runtime::Runtime;

use self::support::{Client, MIN, MS, count, quiet, read};

const HOUR: Duration = Duration::from_hours(1);
const SECOND: Duration = Duration::from_secs(1);

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
}

/// Tokio's time and the injected clock go on together.
async fn pass(clock: &ManualClock, time: Duration, step: Duration) {
    let mut gone = Duration::ZERO;
    while gone < time {
        clock.advance(step);
        tokio::time::sleep(step).await;
        gone += step;
    }
}

/// Polls once.
async fn is_pending<T>(future: &mut (impl Future<Output = T> + Unpin)) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx).is_pending())).await
}

async fn signed_up(layer: &SessionLayer) -> Client {
    let client = Client::new();
    client.visit(layer, count).await.ok();
    client
}

async fn presented(session: Session) -> Presented {
    session.presented()
}

// --- one task ---

#[tokio::test(start_paused = true)]
async fn it_starts_at_build_where_a_runtime_is_entered() {
    let clock = ManualClock::default();
    let layer = quiet(MemoryStore::new(), &clock)
        .poll(Schedule::every(MIN))
        .build()
        .unwrap();
    assert_eq!(layer.manager().stats().housekeeper.poll, None);
    tokio::time::sleep(MIN + MS).await;
    assert!(layer.manager().stats().housekeeper.poll.is_some());
}

#[test]
fn it_starts_with_the_first_request_where_there_was_no_runtime() {
    let clock = ManualClock::default();
    let layer = quiet(MemoryStore::new(), &clock)
        .poll(Schedule::every(MIN))
        .build()
        .unwrap();
    runtime().block_on(async {
        tokio::time::sleep(5 * MIN).await;
        assert_eq!(layer.manager().stats().housekeeper.poll, None);
        signed_up(&layer).await;
        tokio::time::sleep(MIN + MS).await;
        assert!(layer.manager().stats().housekeeper.poll.is_some());
    });
}

#[test]
fn it_starts_again_on_the_next_runtime_when_its_own_has_died() {
    let clock = ManualClock::default();
    let (store, faults) = FaultyStore::new(MemoryStore::new());
    let layer = quiet(store, &clock)
        .poll(Schedule::every(MIN))
        .build()
        .unwrap();
    for _ in 0..3 {
        faults.take_counts();
        runtime().block_on(async {
            signed_up(&layer).await;
            tokio::time::sleep(10 * MIN).await;
        });
        assert!(
            (10..=11).contains(&faults.counts().expire),
            "{:?}",
            faults.counts()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_one_task_however_many_clones_there_are() {
    let clock = ManualClock::default();
    let (store, faults) = FaultyStore::new(MemoryStore::new());
    let layer = quiet(store, &clock)
        .poll(Schedule::every(MIN))
        .build()
        .unwrap();
    let clones: Vec<_> = (0..20).map(|_| layer.clone()).collect();
    for clone in &clones {
        signed_up(clone).await;
    }
    tokio::time::sleep(60 * MIN).await;
    // Up to a tenth early each.
    assert!(
        (60..=67).contains(&faults.counts().expire),
        "{:?}",
        faults.counts()
    );
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_the_last_layer_service_and_manager_is_gone() {
    use tower::Layer as _;

    let clock = ManualClock::default();
    let (store, faults) = FaultyStore::new(MemoryStore::new());
    faults.script_feed();
    let held = Arc::new(());
    let listener = Arc::clone(&held);
    let layer = quiet(store, &clock)
        .poll(Schedule::every(MIN))
        .listener(move |_: &Event| drop(Arc::clone(&listener)))
        .build()
        .unwrap();
    signed_up(&layer).await;
    let (clone, service, manager) = (layer.clone(), layer.layer(()), layer.manager().clone());
    drop(layer);
    drop(clone);
    tokio::time::sleep(2 * MIN).await;
    drop(service);
    tokio::time::sleep(2 * MIN).await;
    assert_eq!(faults.tell(Change::Live), 1, "a manager is enough");
    drop(manager);
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    assert_eq!(faults.tell(Change::Live), 0, "nobody reads the feed");
    assert_eq!(Arc::strong_count(&held), 1, "nothing is left in memory");
    faults.take_counts();
    tokio::time::sleep(HOUR).await;
    assert_eq!(faults.counts().total(), 0);
}

#[tokio::test(start_paused = true)]
async fn it_ends_in_the_middle_of_a_pass_that_hangs() {
    let clock = ManualClock::default();
    let (store, faults) = FaultyStore::new(MemoryStore::new());
    faults.script_feed();
    let layer = quiet(store, &clock)
        .poll(Schedule::every(MIN))
        .build()
        .unwrap();
    let gate = faults.hold(Op::Expire);
    tokio::time::sleep(MIN + MS).await;
    assert_eq!(gate.count(), 1);
    drop(layer);
    tokio::time::sleep(MIN).await;
    assert_eq!(faults.tell(Change::Live), 0);
}

// --- jobs ---

/// A memory store whose purge or touch panics.
#[derive(Clone, Debug, Default)]
struct Panicky {
    inner: MemoryStore,
    at_purge: Arc<AtomicBool>,
    at_touch: Arc<AtomicBool>,
}

impl SessionStore for Panicky {
    async fn create(&self, id: SessionId, record: &Record) -> Result<CreateOutcome, StoreError> {
        self.inner.create(id, record).await
    }
    async fn load(&self, id: SessionId) -> Result<Option<Record>, StoreError> {
        self.inner.load(id).await
    }
    async fn peek(&self, id: SessionId) -> Result<Option<Peek>, StoreError> {
        self.inner.peek(id).await
    }
    async fn save(
        &self,
        id: SessionId,
        new: &Record,
        on: Stamp,
    ) -> Result<SaveOutcome, StoreError> {
        self.inner.save(id, new, on).await
    }
    async fn touch(&self, id: SessionId, on: Stamp, at: Times) -> Result<TouchOutcome, StoreError> {
        assert!(
            !self.at_touch.load(Ordering::Relaxed),
            "this panic is wanted"
        );
        self.inner.touch(id, on, at).await
    }
    async fn end(
        &self,
        id: SessionId,
        with: Option<&Record>,
    ) -> Result<Option<Record>, StoreError> {
        self.inner.end(id, with).await
    }
    async fn expire(
        &self,
        now: Timestamp,
        due: Due<'_>,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        self.inner.expire(now, due).await
    }
    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        assert!(
            !self.at_purge.load(Ordering::Relaxed),
            "this panic is wanted"
        );
        self.inner.purge(now, limit).await
    }
    async fn owned_by(&self, owner: &Owner, page: Page) -> Result<Vec<SessionId>, StoreError> {
        self.inner.owned_by(owner, page).await
    }
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
    fn changes(&self) -> Option<ChangeFeed> {
        self.inner.changes()
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_panics_stops_neither_itself_nor_the_others() {
    let clock = ManualClock::default();
    let store = Panicky::default();
    let layer = quiet(store.clone(), &clock)
        .poll(Schedule::every(MIN))
        .purge(Schedule::every(MIN))
        .retention(Duration::ZERO)
        .build()
        .unwrap();
    let client = signed_up(&layer).await;
    store.at_purge.store(true, Ordering::Relaxed);
    clock.advance(66 * MIN);
    tokio::time::sleep(3 * MIN).await;
    let reports = layer.manager().stats().housekeeper;
    assert_eq!(reports.purge.unwrap().error.unwrap(), "the pass panicked");
    assert_eq!(reports.poll.unwrap().error, None);
    assert_eq!(
        client.visit(&layer, presented).await.ok(),
        Presented::Unknown
    );
    assert_eq!(store.inner.len(), 1);
    store.at_purge.store(false, Ordering::Relaxed);
    tokio::time::sleep(10 * MIN).await;
    assert!(store.inner.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_keep_alive_that_panics_stops_no_job() {
    let clock = ManualClock::default();
    let store = Panicky::default();
    let layer = quiet(store.clone(), &clock)
        .poll(Schedule::every(MIN))
        .build()
        .unwrap();
    let client = signed_up(&layer).await;
    let mut request = Box::pin(client.visit(&layer, |_| std::future::pending::<()>()));
    assert!(is_pending(&mut request).await);
    store.at_touch.store(true, Ordering::Relaxed);
    pass(&clock, 20 * MIN, MIN).await;
    let before = layer.manager().stats().housekeeper.poll.unwrap().at;
    store.at_touch.store(false, Ordering::Relaxed);
    pass(&clock, 5 * HOUR, MIN).await;
    assert!(layer.manager().stats().housekeeper.poll.unwrap().at > before + 4 * HOUR);
    drop(request);
    assert_eq!(
        client.visit(&layer, read).await.ok(),
        Some(1),
        "it was kept alive"
    );
}

#[tokio::test(start_paused = true)]
async fn after_errors_a_job_backs_off_and_goes_on_for_ever() {
    let clock = ManualClock::default();
    let (store, faults) = FaultyStore::new(MemoryStore::new());
    let layer = quiet(store, &clock)
        .poll(Schedule::every(SECOND))
        .build()
        .unwrap();
    faults.fail(Op::Expire, usize::MAX);
    tokio::time::sleep(HOUR).await;
    let first = faults.take_counts().expire;
    assert!((15..=40).contains(&first), "{first}");
    tokio::time::sleep(10 * HOUR).await;
    let next = faults.take_counts().expire;
    assert!(
        (100..=130).contains(&next),
        "about every five minutes: {next}"
    );
    assert!(
        layer
            .manager()
            .stats()
            .housekeeper
            .poll
            .unwrap()
            .error
            .is_some()
    );
    faults.clear();
    tokio::time::sleep(6 * MIN).await;
    faults.take_counts();
    tokio::time::sleep(60 * SECOND).await;
    assert!(faults.counts().expire >= 59, "back to its schedule");
    assert_eq!(
        layer.manager().stats().housekeeper.poll.unwrap().error,
        None
    );
}

#[tokio::test(start_paused = true)]
async fn passes_of_one_job_never_overlap_and_those_of_another_go_on() {
    let clock = ManualClock::default();
    let (store, faults) = FaultyStore::new(MemoryStore::new());
    let layer = quiet(store, &clock)
        .store_timeout(100 * HOUR)
        .purge(Schedule::every(SECOND))
        .build()
        .unwrap();
    let gate = faults.hold(Op::Purge);
    tokio::time::sleep(MIN).await;
    let manager = layer.manager().clone();
    let by_hand = tokio::spawn(async move { manager.run_now(Job::Purge).await });
    tokio::time::sleep(MIN).await;
    assert_eq!(gate.count(), 1);
    layer.manager().run_now(Job::Poll).await.unwrap();
    gate.release_one();
    tokio::time::sleep(MIN).await;
    assert_eq!(gate.count(), 2, "one after the other");
    gate.release();
    by_hand.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_pass_by_hand_works_with_the_schedule_off_and_says_what_it_did() {
    let clock = ManualClock::default();
    let (store, faults) = FaultyStore::new(MemoryStore::new());
    let layer = quiet(store, &clock).build().unwrap();
    for _ in 0..3 {
        signed_up(&layer).await;
    }
    tokio::time::sleep(100 * HOUR).await;
    assert_eq!(
        faults.counts().expire + faults.counts().purge,
        0,
        "off is off"
    );
    let at = clock.advance(65 * MIN);
    let report = layer.manager().run_now(Job::Poll).await.unwrap();
    assert_eq!(
        (report.job, report.at, report.expired, report.purged),
        (Job::Poll, at, 3, 0)
    );
    clock.advance(60 * MIN + 5 * SECOND);
    let report = layer.manager().run_now(Job::Purge).await.unwrap();
    assert_eq!(
        (report.job, report.expired, report.purged),
        (Job::Purge, 0, 3)
    );
    let stats = layer.manager().stats();
    assert_eq!((stats.expired, stats.purged), (3, 3));
    assert_eq!(stats.housekeeper.purge, Some(report));
    faults.fail(Op::Purge, 1);
    let failed = layer.manager().run_now(Job::Purge).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Unavailable);
    assert!(
        layer
            .manager()
            .stats()
            .housekeeper
            .purge
            .unwrap()
            .error
            .is_some()
    );
}

#[tokio::test(start_paused = true)]
async fn a_schedule_changed_at_run_time_counts_at_once() {
    let clock = ManualClock::default();
    let (store, faults) = FaultyStore::new(MemoryStore::new());
    let layer = quiet(store, &clock)
        .poll(Schedule::every(100 * HOUR))
        .build()
        .unwrap();
    tokio::time::sleep(HOUR).await;
    layer
        .manager()
        .set_schedule(Job::Poll, Schedule::every(MIN));
    tokio::time::sleep(10 * MIN).await;
    assert!((10..=11).contains(&faults.take_counts().expire));
    layer.manager().set_schedule(Job::Poll, Schedule::off());
    tokio::time::sleep(10 * HOUR).await;
    assert_eq!(faults.take_counts().expire, 0);
    layer
        .manager()
        .set_schedule(Job::Poll, Schedule::every(MIN));
    tokio::time::sleep(10 * MIN).await;
    assert!((10..=11).contains(&faults.take_counts().expire));
}

#[tokio::test(start_paused = true)]
async fn a_schedule_changed_while_a_job_backs_off_counts_at_once() {
    let clock = ManualClock::default();
    let (store, faults) = FaultyStore::new(MemoryStore::new());
    let layer = quiet(store, &clock)
        .poll(Schedule::every(SECOND))
        .build()
        .unwrap();
    faults.fail(Op::Expire, usize::MAX);
    tokio::time::sleep(10 * HOUR).await;
    faults.clear();
    faults.take_counts();
    layer
        .manager()
        .set_schedule(Job::Poll, Schedule::every(2 * SECOND));
    tokio::time::sleep(3 * SECOND).await;
    assert_eq!(faults.counts().expire, 1);
}

// --- purging ---

#[tokio::test]
async fn a_purge_goes_on_in_batches_until_all_is_done() {
    let clock = ManualClock::default();
    let memory = MemoryStore::new();
    let (store, faults) = FaultyStore::new(memory.clone());
    let layer = quiet(store, &clock)
        .retention(Duration::ZERO)
        .build()
        .unwrap();
    for _ in 0..1_700 {
        signed_up(&layer).await;
    }
    clock.advance(65 * MIN + 5 * SECOND);
    faults.take_counts();
    let report = layer.manager().run_now(Job::Purge).await.unwrap();
    assert_eq!(
        (report.expired, report.purged, report.unfinished),
        (1_700, 1_700, false)
    );
    assert!(memory.is_empty());
    let counts = faults.counts();
    assert_eq!(
        (counts.expire, counts.purge),
        (4, 4),
        "at most so many at once"
    );
}

/// Each look at it takes two seconds.
#[derive(Clone, Debug)]
struct Slow(ManualClock);

impl Clock for Slow {
    fn now(&self) -> Timestamp {
        self.0.advance(2 * SECOND)
    }
}

#[tokio::test]
async fn a_pass_that_takes_too_long_leaves_the_rest_to_the_next() {
    let clock = ManualClock::default();
    let memory = MemoryStore::new();
    let quick = quiet(memory.clone(), &clock)
        .retention(Duration::ZERO)
        .build()
        .unwrap();
    for _ in 0..6_000 {
        signed_up(&quick).await;
    }
    clock.advance(65 * MIN + 5 * SECOND);
    let slow = SessionLayer::builder(memory.clone())
        .clock(Slow(clock.clone()))
        .poll(Schedule::off())
        .purge(Schedule::off())
        .build()
        .unwrap();
    let first = slow.manager().run_now(Job::Purge).await.unwrap();
    assert!(first.unfinished && first.expired < 6_000, "{first:?}");
    let mut passes = 1;
    while !memory.is_empty() {
        slow.manager().run_now(Job::Purge).await.unwrap();
        passes += 1;
        assert!(passes < 20, "each pass gets on");
    }
}

#[tokio::test(start_paused = true)]
async fn a_purge_runs_again_two_hours_later_and_for_days() {
    let clock = ManualClock::default();
    let store = MemoryStore::new();
    let layer = quiet(store.clone(), &clock)
        .retention(Duration::ZERO)
        .purge(Schedule::every(2 * HOUR))
        .build()
        .unwrap();
    for _ in 0..36 {
        let client = signed_up(&layer).await;
        assert!(store.load(client.id()).await.unwrap().is_some());
        pass(&clock, 4 * HOUR, 5 * MIN).await;
        assert!(store.is_empty());
    }
}

// --- schedules ---

/// When each pass of the purge job began.
fn watched(clock: &ManualClock, schedule: Schedule) -> (SessionLayer, Arc<Mutex<Vec<Timestamp>>>) {
    let layer = quiet(MemoryStore::new(), clock)
        .purge(schedule)
        .build()
        .unwrap();
    (layer, Arc::default())
}

async fn passes(
    clock: &ManualClock,
    schedule: Schedule,
    time: Duration,
    step: Duration,
) -> Vec<Timestamp> {
    let (layer, seen) = watched(clock, schedule);
    let mut gone = Duration::ZERO;
    while gone < time {
        pass(clock, step, step).await;
        gone += step;
        if let Some(report) = layer.manager().stats().housekeeper.purge {
            let mut seen = seen.lock().unwrap();
            if seen.last() != Some(&report.at) {
                seen.push(report.at);
            }
        }
    }
    seen.lock().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn an_interval_is_kept_for_days_with_up_to_a_tenth_of_jitter_drawn_per_pass() {
    let clock = ManualClock::default();
    let seen = passes(&clock, Schedule::every(HOUR), 72 * HOUR, 10 * SECOND).await;
    assert!((72..=80).contains(&seen.len()), "{}", seen.len());
    let gaps: Vec<Duration> = seen.windows(2).map(|two| two[1].since(two[0])).collect();
    for gap in &gaps {
        let gap = *gap + 10 * SECOND;
        assert!(
            (54 * MIN..=60 * MIN + 20 * SECOND).contains(&gap),
            "{gap:?}"
        );
    }
    assert!(gaps.iter().any(|gap| *gap < 57 * MIN) && gaps.iter().any(|gap| *gap > 57 * MIN));
}

#[tokio::test(start_paused = true)]
async fn a_cron_schedule_runs_at_its_minute_of_every_hour_for_days() {
    let clock = ManualClock::default();
    let quarter_past = Schedule::cron("15 * *", Zone::Utc).unwrap();
    let seen = passes(&clock, quarter_past, 48 * HOUR, 30 * SECOND).await;
    assert_eq!(seen.len(), 48);
    for at in seen {
        let minute = at.as_millis() / 60_000 % 60;
        assert!(minute == 15, "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cron_schedule_follows_a_clock_that_is_set() {
    let clock = ManualClock::default();
    let quarter_past = Schedule::cron("15 * *", Zone::Utc).unwrap();
    let (layer, _) = watched(&clock, quarter_past);
    tokio::time::sleep(MIN).await;
    let at = clock.advance(20 * MIN);
    tokio::time::sleep(31 * SECOND).await;
    let report = layer.manager().stats().housekeeper.purge.unwrap();
    assert_eq!(report.at, at, "the quarter has passed");
}

// --- late commits, shutdown ---

/// A session with a change that is still to be stored, in a handle that has outlived its request.
async fn left_over(layer: &SessionLayer, client: &Client) -> Session {
    let held = client.visit(layer, |session| async { session }).await.ok();
    held.insert("late", true).unwrap();
    held
}

async fn has_late(session: Session) -> bool {
    session.contains("late").unwrap()
}

#[tokio::test]
async fn settled_waits_for_what_a_handle_leaves_behind() {
    let clock = ManualClock::default();
    let (store, faults) = FaultyStore::new(MemoryStore::new());
    let layer = quiet(store, &clock).build().unwrap();
    let client = signed_up(&layer).await;
    let held = left_over(&layer, &client).await;
    layer.manager().settled().await;
    let gate = faults.hold(Op::Save);
    drop(held);
    let mut settled = Box::pin(layer.manager().settled());
    gate.arrived(1).await;
    assert!(is_pending(&mut settled).await);
    gate.release();
    settled.await;
    assert!(client.visit(&layer, has_late).await.ok());
    assert_eq!(layer.manager().stats().late_commits, 1);
}

#[tokio::test]
async fn a_shutdown_finishes_late_commits_and_says_what_was_lost() {
    let clock = ManualClock::default();
    let (store, faults) = FaultyStore::new(MemoryStore::new());
    let layer = quiet(store, &clock).build().unwrap();
    let [kept, lost] = [signed_up(&layer).await, signed_up(&layer).await];
    drop(left_over(&layer, &kept).await);
    assert_eq!(layer.manager().shutdown().await.lost, 0);
    assert!(kept.visit(&layer, has_late).await.ok());
    faults.fail(Op::Save, 1);
    faults.fail(Op::Peek, 1);
    drop(left_over(&layer, &lost).await);
    assert_eq!(layer.manager().shutdown().await.lost, 1);
}

#[tokio::test]
async fn a_shutdown_that_destroys_ends_every_session_and_tells_the_reason() {
    let clock = ManualClock::default();
    let ended = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&ended);
    let layer = quiet(MemoryStore::new(), &clock)
        .on_shutdown(OnShutdown::Destroy)
        .listener(move |event: &Event| {
            if let Event::Ended { reason, .. } = event {
                told.lock().unwrap().push(*reason);
            }
        })
        .build()
        .unwrap();
    let client = signed_up(&layer).await;
    for _ in 0..3 {
        signed_up(&layer).await;
    }
    // One that never ends by itself, and one that this node does not hold any more.
    layer.manager().reset();
    let endless = signed_up(&layer).await;
    let never = |s: Session| async move { s.set_idle_timeout(Some(Timeout::Never)) };
    endless.visit(&layer, never).await.ok().unwrap();
    assert_eq!(layer.manager().shutdown().await.destroyed, 5);
    assert_eq!(*ended.lock().unwrap(), [EndReason::Shutdown; 5]);
    assert!(matches!(
        endless.visit(&layer, presented).await.ok(),
        Presented::Ended {
            reason: EndReason::Shutdown,
            ..
        }
    ));
    assert!(!matches!(
        client.visit(&layer, presented).await.ok(),
        Presented::Active
    ));
}

#[tokio::test]
async fn only_a_store_of_this_process_alone_may_be_destroyed() {
    let clock = ManualClock::default();
    let (store, faults) = FaultyStore::new(MemoryStore::new());
    faults.pretend(Capabilities {
        reach: Reach::Changes,
        ..Capabilities::default()
    });
    let refused = quiet(store, &clock)
        .on_shutdown(OnShutdown::Destroy)
        .build()
        .unwrap_err();
    assert!(refused.to_string().contains("other nodes"), "{refused}");
}

#[test]
fn a_late_commit_that_dies_with_its_runtime_is_counted_as_lost() {
    let clock = ManualClock::default();
    let (store, faults) = FaultyStore::new(MemoryStore::new());
    let layer = quiet(store, &clock).build().unwrap();
    let gate = faults.hold(Op::Save);
    let dying = runtime();
    dying.block_on(async {
        let client = signed_up(&layer).await;
        drop(left_over(&layer, &client).await);
        gate.arrived(1).await;
    });
    assert_eq!(layer.manager().stats().late_commits_lost, 0);
    drop(dying);
    assert_eq!(layer.manager().stats().late_commits_lost, 1);
    runtime().block_on(layer.manager().settled());
}

#[test]
fn a_handle_dropped_outside_of_any_runtime_is_committed_on_the_one_last_seen_or_counted_as_lost() {
    let clock = ManualClock::default();
    let layer = quiet(MemoryStore::new(), &clock).build().unwrap();
    let client = Client::new();
    let seen = runtime();
    let held = seen.block_on(async {
        client.visit(&layer, count).await.ok();
        left_over(&layer, &client).await
    });
    drop(held);
    seen.block_on(async {
        layer.manager().settled().await;
        assert!(client.visit(&layer, has_late).await.ok());
    });
    let held = seen.block_on(left_over(&layer, &client));
    drop(seen);
    held.insert("later", true).unwrap();
    drop(held);
    assert_eq!(layer.manager().stats().late_commits_lost, 1);
}

#[tokio::test(start_paused = true)]
async fn sessions_that_never_end_by_themselves_cost_the_housekeeper_nothing() {
    let clock = ManualClock::default();
    let (store, faults) = FaultyStore::new(MemoryStore::new());
    let layer = quiet(store, &clock)
        .idle_timeout(Timeout::Never)
        .absolute_timeout(Timeout::Never)
        .build()
        .unwrap();
    let client = signed_up(&layer).await;
    let mut request = Box::pin(client.visit(&layer, |_| std::future::pending::<()>()));
    assert!(is_pending(&mut request).await);
    faults.take_counts();
    pass(&clock, 48 * HOUR, HOUR).await;
    assert_eq!(faults.counts().total(), 0);
}
