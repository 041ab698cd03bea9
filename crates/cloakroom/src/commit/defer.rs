use std::sync::Arc;
use std::time::Duration;

use super::finish::{Done, report};
use super::guard::Lost;
use super::{Base, When, save};
use crate::cache::Resident;
use crate::inner::Inner;
use crate::session::ChangeLog;
use crate::{Error, ErrorKind};

/// Keeps changes for the last request that leaves; see [`CommitAt::LastExit`]. This node shows them
/// at once.
///
/// [`CommitAt::LastExit`]: crate::CommitAt::LastExit
pub(super) async fn defer(
    inner: &Arc<Inner>,
    base: &Base,
    log: &ChangeLog,
    at_most: Duration,
) -> Result<Done, Error> {
    let resident = &base.resident;
    let _turn = save::turn(inner, resident).await?;
    if resident.view().snapshot.head.login_seq != base.login_seq {
        return Err(ErrorKind::Superseded.into());
    }
    if resident
        .deferred_login()
        .is_some_and(|login| login != base.login_seq)
    {
        // Somebody has signed in since those were recorded: they are not this login's.
        resident.clear_deferred();
        inner.stats.late_commits_lost.add();
        report(
            inner,
            Some(resident.id()),
            &ErrorKind::Superseded.into(),
            When::Late,
        );
    }
    let Some(exit) = resident.defer(log.clone()) else {
        return Ok(Done::Nothing);
    };
    let lost = Lost::new(inner);
    let (inner, resident) = (Arc::clone(inner), Arc::clone(resident));
    Arc::clone(&inner).tasks.spawn(async move {
        // The task holds the resident: an eviction from L1 does not lose it.
        tokio::select! {
            () = tokio::time::sleep(at_most) => {}
            () = exit.notified() => {}
        }
        flush(&inner, &resident, lost).await;
    });
    Ok(Done::Nothing)
}

/// Stores what was deferred. What cannot be stored is lost, which is an event and is counted.
async fn flush(inner: &Arc<Inner>, resident: &Arc<Resident>, lost: Lost) {
    let Some(login_seq) = resident.deferred_login() else {
        return lost.ignore();
    };
    let snapshot = resident.view().snapshot;
    let base = Base {
        resident: Arc::clone(resident),
        login_seq,
        digest: snapshot.head.digest,
        may_send: false,
    };
    let nothing_more = ChangeLog::default();
    match save::save(inner, &base, &nothing_more, inner.now()).await {
        Ok(Done::Gone) => {
            inner.stats.gone.add();
            lost.disarm();
        }
        Ok(_) => lost.disarm(),
        // They are dropped already, in the turn of that save.
        Err(failed) => report(inner, Some(resident.id()), &failed.error, When::Late),
    }
}
