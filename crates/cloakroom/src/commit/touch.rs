use std::sync::Arc;

use cloakroom_core::{Times, Timestamp, TouchOutcome};

use super::Base;
use super::finish::Done;
use super::next::cookie_is_due;
use crate::Origin;
use crate::cache::{Resident, View};
use crate::events::Event;
use crate::inner::Inner;
use crate::session::Cell;
use crate::transport::Refresh;

/// Moves the deadline at the end of a request that has written nothing. A failure hurts nobody: the
/// client was told nothing that is not so, and the stored deadline stands.
pub(super) async fn at_head(inner: &Arc<Inner>, base: &Base, now: Timestamp) -> Done {
    let head = &base.resident.view().snapshot.head;
    let cookie_due = base.may_send && cookie_is_due(inner, &base.resident, head, now);
    let touched = once(inner, &base.resident, base.login_seq, now, cookie_due).await;
    let Some(times) = touched else {
        return Done::Nothing;
    };
    // A cookie that has an age is due again, unless the secret has changed meanwhile.
    let unchanged = base.resident.view().snapshot.head.digest == base.digest;
    let due = inner.transports.refresh() == Refresh::WithUse && unchanged;
    let resend = due && base.may_send;
    if resend {
        base.resident.token_sent(now);
    }
    Done::Touched { times, resend }
}

/// Records the use of a request whose response nobody waits for any more. No head will carry a
/// cookie.
pub(crate) fn touch_left(cell: &Cell, now: Timestamp) {
    let used = {
        let state = cell.lock();
        let stored = state
            .as_ref()
            .filter(|state| state.closed.is_none() && state.origin != Origin::Stale)
            .and_then(|state| state.stored.as_ref());
        stored.map(|stored| (Arc::clone(&stored.resident), stored.login_seq))
    };
    if let Some((resident, login_seq)) = used {
        touch_late(&cell.inner, &resident, login_seq, now);
    }
}

/// Records a use that no response waits for, if a touch is due, on a tracked task.
pub(crate) fn touch_late(
    inner: &Arc<Inner>,
    resident: &Arc<Resident>,
    login_seq: u32,
    now: Timestamp,
) {
    if inner.touch_is_due(resident.id(), &resident.view(), now) {
        let (inner, resident) = (Arc::clone(inner), Arc::clone(resident));
        Arc::clone(&inner).tasks.spawn(async move {
            once(&inner, &resident, login_seq, now, false).await;
        });
    }
}

/// Requests that end together record their use together; only where the idle timeout is to be exact
/// does each of them write.
async fn once(
    inner: &Arc<Inner>,
    resident: &Arc<Resident>,
    login_seq: u32,
    now: Timestamp,
    due_anyway: bool,
) -> Option<Times> {
    let claim = resident.claim_touch();
    let view = resident.view();
    let times = &inner.config.times;
    let exact = times.touch_interval_of(&view.snapshot.head).is_zero();
    let is_due = due_anyway || inner.touch_is_due(resident.id(), &view, now);
    if !exact && (claim.is_none() || !is_due) {
        return None;
    }
    if view.snapshot.head.login_seq != login_seq {
        return None;
    }
    touch(inner, resident, view, now).await
}

/// Records a use at `now` in the store; `None` if the session is gone, or the store is down.
pub(crate) async fn touch(
    inner: &Arc<Inner>,
    resident: &Arc<Resident>,
    mut view: View,
    now: Timestamp,
) -> Option<Times> {
    let id = resident.id();
    let login_seq = view.snapshot.head.login_seq;
    // Forward only is no way back: a session past its deadline has ended, also if it is in use.
    let mut in_doubt = view.times.is_due(now);
    for _ in 0..2 {
        if in_doubt {
            let loaded = crate::resolve::current(inner, resident, now).await.ok()??;
            if loaded.snapshot.head.login_seq != login_seq {
                return None;
            }
            view.snapshot = Arc::clone(&loaded.snapshot);
        }
        let deadline = inner.config.times.deadline(&view.snapshot.head, now);
        let expires_at = inner.config.times.expires_at(deadline);
        let times = Times {
            used_at: now,
            deadline,
            expires_at,
        };
        match inner.store.touch(id, view.snapshot.stamp, times).await {
            Ok(TouchOutcome::Touched) => {
                inner.stats.touches.add();
                resident.touched(view.snapshot.stamp, times);
                inner.events.tell(|| Event::Touched { id });
                return Some(times);
            }
            Ok(TouchOutcome::Moved(_)) => in_doubt = true,
            Ok(TouchOutcome::Ended | TouchOutcome::Gone) => {
                inner.forget(id);
                return None;
            }
            Err(error) => {
                inner.store_failed("touch", &error);
                return None;
            }
        }
    }
    None
}
