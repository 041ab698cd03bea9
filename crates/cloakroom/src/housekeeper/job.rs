use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use cloakroom_core::Stamp;
use futures_util::FutureExt as _;
use jiff::tz::TimeZone;
use tokio::sync::Notify;
use tracing::Instrument as _;

use super::pass;
use super::{Job, Report, Schedule};
use crate::inner::Inner;

/// A schedule by wall clock is looked at again at least this often, since that clock can be set.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// The longest pause after errors.
const LONGEST_BACK_OFF: Duration = Duration::from_mins(5);

/// One job: when it runs, that it runs once at a time, and what its last pass has done.
#[derive(Debug)]
pub(crate) struct JobState {
    job: Job,
    schedule: Mutex<Schedule>,
    changed: Notify,
    turn: tokio::sync::Mutex<()>,
    last: Mutex<Option<Report>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl JobState {
    pub(super) fn new(job: Job, schedule: Schedule) -> Self {
        Self {
            job,
            schedule: Mutex::new(schedule),
            changed: Notify::new(),
            turn: tokio::sync::Mutex::new(()),
            last: Mutex::new(None),
        }
    }

    pub(crate) fn set_schedule(&self, schedule: Schedule) {
        *lock(&self.schedule) = schedule;
        self.changed.notify_one();
    }

    pub(super) fn last(&self) -> Option<Report> {
        lock(&self.last).clone()
    }

    /// One pass, after the one that may be running. A panic in it is an error like any other.
    pub(crate) async fn run(&self, inner: &Arc<Inner>) -> Report {
        let _turn = self.turn.lock().await;
        let at = inner.now();
        let span = tracing::debug_span!("housekeeper_pass", job = self.job.as_str());
        let pass = pass::run(inner, self.job, at).instrument(span);
        let mut report = std::panic::AssertUnwindSafe(pass)
            .catch_unwind()
            .await
            .unwrap_or_else(|_| Report {
                error: Some("the pass panicked".to_owned()),
                ..Report::new(self.job, at)
            });
        let took = inner.now().since(at);
        report.took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let job = self.job.as_str();
        if let Some(error) = &report.error {
            tracing::error!(job, %error, "housekeeper pass failed");
        } else {
            let Report {
                expired,
                purged,
                evicted,
                ..
            } = report;
            tracing::debug!(job, expired, purged, evicted, "housekeeper pass done");
        }
        *lock(&self.last) = Some(report.clone());
        report
    }
}

/// Runs a job by its schedule until the manager is gone. Errors back off and go on for ever.
pub(super) async fn repeat(weak: Weak<Inner>, state: Arc<JobState>) {
    let local = TimeZone::system();
    let mut failures = 0_u32;
    loop {
        let Some(inner) = weak.upgrade() else { return };
        let now = inner.now();
        let schedule = *lock(&state.schedule);
        drop(inner);
        let Some(due) = schedule.next_after(now, Stamp::first().nonce, &local) else {
            state.changed.notified().await;
            continue;
        };
        if !wait(
            &weak,
            &state,
            due,
            due.since(now),
            schedule.is_by_wall_clock(),
        )
        .await
        {
            continue;
        }
        let Some(inner) = weak.upgrade() else { return };
        let report = state.run(&inner).await;
        drop(inner);
        failures = if report.error.is_some() {
            failures.saturating_add(1)
        } else {
            0
        };
        if failures > 0 {
            let pause = Duration::from_millis(250) * 2_u32.saturating_pow(failures.min(16));
            tokio::select! {
                () = tokio::time::sleep(pause.min(LONGEST_BACK_OFF)) => {}
                // A new schedule counts at once.
                () = state.changed.notified() => {}
            }
        }
    }
}

/// Waits until the job is due; false if its schedule was changed meanwhile, or the manager is gone.
async fn wait(
    weak: &Weak<Inner>,
    state: &JobState,
    due: cloakroom_core::Timestamp,
    mut left: Duration,
    by_wall_clock: bool,
) -> bool {
    loop {
        let step = if by_wall_clock {
            left.min(LOOK_AGAIN)
        } else {
            left
        };
        tokio::select! {
            () = tokio::time::sleep(step) => {}
            () = state.changed.notified() => return false,
        }
        if !by_wall_clock {
            return true;
        }
        let Some(inner) = weak.upgrade() else {
            return false;
        };
        left = due.since(inner.now());
        if left.is_zero() {
            return true;
        }
    }
}
