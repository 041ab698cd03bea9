use std::sync::Arc;

use cloakroom_core::{Times, Timestamp, TouchOutcome};

use super::save::cookie_is_due;
use super::{Base, Done};
use crate::cache::{Resident, View};
use crate::events::Event;
use crate::inner::Inner;
use crate::transport::Refresh;

/// Moves the deadline at the end of a request that has written nothing. A failure hurts nobody: the
/// client was told nothing that is not so, and the stored deadline stands.
pub(super) async fn at_head(inner: &Arc<Inner>, base: &Base, now: Timestamp) -> Done {
    // Requests that came together record their use together; only where the idle timeout is to be
    // exact does each of them write.
    let claim = base.resident.claim_touch();
    let view = base.resident.view();
    let head = &view.snapshot.head;
    let exact = inner.config.times.touch_interval_of(head).is_zero();
    let is_due = inner.touch_is_due(base.resident.id(), &view, now)
        || (base.may_send && cookie_is_due(inner, &base.resident, head, now));
    if !exact && (claim.is_none() || !is_due) {
        return Done::Nothing;
    }
    if view.snapshot.head.login_seq != base.login_seq {
        return Done::Nothing;
    }
    let Some(times) = touch(inner, &base.resident, view, now).await else {
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

/// Records, on a tracked task, a use at `now` of a handle that has outlived its response.
pub(crate) fn touch_late(
    inner: &Arc<Inner>,
    resident: &Arc<Resident>,
    login_seq: u32,
    now: Timestamp,
) {
    let (inner, resident) = (Arc::clone(inner), Arc::clone(resident));
    Arc::clone(&inner).tasks.spawn(async move {
        let claim = resident.claim_touch();
        let view = resident.view();
        let is_ours = view.snapshot.head.login_seq == login_seq;
        if claim.is_some() && is_ours && inner.touch_is_due(resident.id(), &view, now) {
            touch(&inner, &resident, view, now).await;
        }
    });
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
