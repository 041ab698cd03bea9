//! The background task: expires and purges, evicts, keeps sessions in use alive, and follows the
//! store's change feed. One task per manager, which holds it weakly.

mod cron;
mod feed;
mod job;
mod keeper;
mod pass;
mod report;
mod schedule;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use cloakroom_core::ChangeFeed;
use tokio::sync::{Notify, watch};

use crate::cache::wants_feed;
use crate::inner::Inner;

pub(crate) use self::job::JobState;
pub use self::report::{Job, Report, Reports};
pub use self::schedule::{Schedule, ScheduleError, Zone};

/// The state that outlives a runtime.
#[derive(Debug)]
pub(crate) struct Housekeeper {
    running: AtomicBool,
    pub(crate) poll: Arc<JobState>,
    pub(crate) purge: Arc<JobState>,
    keeper: Arc<Notify>,
    feed: Mutex<Option<ChangeFeed>>,
    /// Dropped with the manager, which the task notices at once.
    gone: watch::Sender<()>,
}

impl Housekeeper {
    pub(crate) fn new(poll: Schedule, purge: Schedule, feed: Option<ChangeFeed>) -> Self {
        Self {
            running: AtomicBool::new(false),
            poll: Arc::new(JobState::new(Job::Poll, poll)),
            purge: Arc::new(JobState::new(Job::Purge, purge)),
            keeper: Arc::default(),
            feed: Mutex::new(feed),
            gone: watch::Sender::new(()),
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }

    /// A session with a shorter idle timeout is in use.
    pub(crate) fn wake_keeper(&self) {
        self.keeper.notify_one();
    }

    pub(crate) fn job(&self, job: Job) -> &Arc<JobState> {
        match job {
            Job::Poll => &self.poll,
            Job::Purge => &self.purge,
        }
    }

    pub(crate) fn reports(&self) -> Reports {
        Reports {
            poll: self.poll.last(),
            purge: self.purge.last(),
        }
    }
}

/// Marks the task as ended, however it ends: the next request starts another.
struct Running(Weak<Inner>);

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Passes catch their own panics, so that this one would come again at each request: a
            // runtime without timers, as a rule.
            tracing::error!("the housekeeper cannot run: does the runtime have enable_time()?");
            return;
        }
        if let Some(inner) = self.0.upgrade() {
            inner.coherent.feed_is_lost(inner.now());
            inner.housekeeper.running.store(false, Ordering::Release);
        }
    }
}

/// Starts the task, if a runtime is entered and it does not run yet.
pub(crate) fn start(inner: &Arc<Inner>) {
    let Some(handle) = inner.tasks.see_runtime() else {
        return;
    };
    let house = &inner.housekeeper;
    if house.running.swap(true, Ordering::AcqRel) {
        return;
    }
    let kept = house
        .feed
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    // The feed of a task that died with its runtime is gone: ask for another.
    let wanted = wants_feed(inner.coherent.mode(), inner.store.capabilities());
    let feed = kept.or_else(|| wanted.then(|| inner.store.changes()).flatten());
    let weak = Arc::downgrade(inner);
    let running = Running(Weak::clone(&weak));
    let (poll, purge) = (Arc::clone(&house.poll), Arc::clone(&house.purge));
    let wake = Arc::clone(&house.keeper);
    let mut gone = house.gone.subscribe();
    drop(handle.spawn(async move {
        let _running = running;
        let jobs = async {
            tokio::join!(
                feed::follow(Weak::clone(&weak), feed),
                job::repeat(Weak::clone(&weak), poll),
                job::repeat(Weak::clone(&weak), purge),
                keeper::keep_alive(weak, wake),
            );
        };
        tokio::select! {
            () = jobs => {}
            // An error: the sender, and with it the manager, is gone.
            _ = gone.changed() => {}
        }
    }));
}
