use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::{Due, Expiry, SessionId, Timestamp};

use super::{Job, Report};
use crate::config::Eviction;
use crate::inner::Inner;
use crate::resolve::{expire_ids, expired};

/// How many rows one store call may change.
const BATCH: usize = 500;

/// How long one pass may take before it leaves the rest to the next.
const BUDGET: Duration = Duration::from_secs(10);

/// One pass of a job. What it did before an error is in its report.
pub(super) async fn run(inner: &Arc<Inner>, job: Job, at: Timestamp) -> Report {
    let mut report = Report::new(job, at);
    let result = match job {
        Job::Poll => poll(inner, &mut report).await,
        Job::Purge => purge(inner, &mut report).await,
    };
    if let Err(error) = result {
        report.error = Some(error.to_string());
    }
    report
}

async fn poll(inner: &Arc<Inner>, report: &mut Report) -> Result<(), crate::Error> {
    inner.l1.run_pending();
    evict_idle(inner, report).await;
    expire_due(inner, report).await
}

async fn purge(inner: &Arc<Inner>, report: &mut Report) -> Result<(), crate::Error> {
    expire_due(inner, report).await?;
    loop {
        let now = inner.now();
        let purged = inner.store.purge(now, BATCH).await.map_err(|error| {
            inner.store_failed("purge", &error);
            crate::Error::from(error)
        })?;
        inner.stats.purged.add_many(purged as u64);
        report.purged += purged as u64;
        if purged < BATCH {
            return Ok(());
        }
        if out_of_time(inner, report) {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

fn out_of_time(inner: &Inner, report: &mut Report) -> bool {
    report.unfinished = inner.now().since(report.at) >= BUDGET;
    report.unfinished
}

/// Ends the sessions whose deadline has come. A store that cannot find them is asked about those
/// that this node holds.
async fn expire_due(inner: &Arc<Inner>, report: &mut Report) -> Result<(), crate::Error> {
    if inner.store.capabilities().expiry == Expiry::Native {
        let now = inner.now();
        let due: Vec<SessionId> = inner
            .l1
            .residents()
            .iter()
            .filter(|resident| !resident.is_in_use() && resident.view().times.is_due(now))
            .map(|resident| resident.id())
            .collect();
        for ids in due.chunks(BATCH) {
            report.expired += expire_ids(inner, ids, now).await?.len() as u64;
        }
        return Ok(());
    }
    loop {
        let now = inner.now();
        let ended = inner
            .store
            .expire(now, Due::Limit(BATCH))
            .await
            .map_err(|error| {
                inner.store_failed("expire", &error);
                crate::Error::from(error)
            })?;
        let count = expired(inner, ended, now).await.len();
        report.expired += count as u64;
        if count < BATCH || out_of_time(inner, report) {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

/// Takes sessions out of L1 that nobody has used for the configured time.
async fn evict_idle(inner: &Arc<Inner>, report: &mut Report) {
    let Eviction::Idle(idle) = inner.config.cache.eviction else {
        return;
    };
    if !inner.l1.is_on() {
        return;
    }
    let now = inner.now();
    for resident in inner.l1.residents() {
        if resident.is_in_use() || resident.has_deferred() || now.since(resident.left_at()) < idle {
            continue;
        }
        let view = resident.view();
        let left_at = resident.left_at();
        let unsaved = left_at > view.times.used_at && !view.times.is_due(now);
        if inner.config.cache.save_on_eviction && unsaved {
            // The exact last use goes to the store first. If it cannot, the session stays.
            if crate::commit::touch(inner, &resident, view, left_at)
                .await
                .is_none()
            {
                tracing::warn!(id = %resident.id(), "idle session stays in L1: its last use could not be stored");
                continue;
            }
        }
        inner.l1.evict(resident.id());
        report.evicted += 1;
    }
    inner.l1.run_pending();
}
