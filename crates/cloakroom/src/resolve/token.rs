use std::sync::Arc;

use cloakroom_core::{Peek, State as RecordState, Times, Timestamp, Token};

use super::ending::{expire, outcome_of, unreadable_row};
use super::load::{Read, load};
use crate::cache::{Found, Loaded, Resident, Seen, View};
use crate::events::Event;
use crate::inner::Inner;
use crate::{Error, ErrorKind, Origin, Presented};

/// What one token was found to be.
pub(crate) enum Resolution {
    Live(Live),
    Dead(Presented),
}

/// A live session and this request's copy of it.
pub(crate) struct Live {
    pub(crate) resident: Arc<Resident>,
    pub(crate) view: View,
    pub(crate) origin: Origin,
}

/// Finds out what one token is.
pub(super) async fn resolve(
    inner: &Arc<Inner>,
    token: &Token,
    now: Timestamp,
) -> Result<Resolution, Error> {
    let Some(resident) = inner.l1.get(token.id()) else {
        inner.stats.misses.add();
        return from_store(inner, token, Read::Any, now).await;
    };
    let (view, admitted) = resident.admit(token.secret());
    if !admitted {
        // Another node may have renewed: only the store can say, and only as of now.
        return from_store(inner, token, Read::Fresh, now).await;
    }
    if inner.coherent.is_current(view.seen, now) && !view.times.is_due(now) {
        inner.stats.hits.add();
        return Ok(Resolution::Live(Live {
            resident,
            view,
            origin: Origin::Cache,
        }));
    }
    confirm(inner, token, resident, view, now).await
}

/// Asks the store whether a copy whose secret was verified is current.
pub(super) async fn confirm(
    inner: &Arc<Inner>,
    token: &Token,
    resident: Arc<Resident>,
    view: View,
    now: Timestamp,
) -> Result<Resolution, Error> {
    let asked = if view.times.is_due(now) {
        // A copy never decides death: another node may have kept the session alive.
        from_store(inner, token, Read::Fresh, now).await
    } else {
        match peek(inner, &resident, &view, now).await {
            Ok(Some(view)) => {
                inner.stats.hits.add();
                return Ok(Resolution::Live(Live {
                    resident,
                    view,
                    origin: Origin::Verified,
                }));
            }
            Ok(None) => {
                inner.stats.misses.add();
                // The copy is disproved: no outage that follows makes it good again.
                resident.distrust();
                return from_store(inner, token, Read::Fresh, now).await;
            }
            Err(error) => Err(error),
        }
    };
    match asked {
        Err(error) if error.kind() == ErrorKind::Unavailable => {
            let current_at = inner.coherent.last_current(view.seen);
            let age = now.since(current_at.min(now));
            let allowed = inner.config.stale_if_error.is_some_and(|most| age <= most);
            // Nor one that a notice has called old: its session may have ended.
            if allowed && !view.seen.stale && !view.times.is_due(now) {
                inner.stats.stale.add();
                return Ok(Resolution::Live(Live {
                    resident,
                    view,
                    origin: Origin::Stale,
                }));
            }
            Err(error)
        }
        other => other,
    }
}

/// One look at the stamp: the copy as it is now known, or `None` if it is not current.
async fn peek(
    inner: &Inner,
    resident: &Resident,
    view: &View,
    now: Timestamp,
) -> Result<Option<View>, Error> {
    let id = resident.id();
    let seen = Seen {
        epoch: inner.coherent.epoch(),
        at: now,
        stale: false,
    };
    let generation = inner.generations.of(id);
    inner.stats.peeks.add();
    let peek = inner.store.peek(id).await.map_err(|error| {
        inner.store_failed("peek", &error);
        Error::from(error)
    })?;
    let is_same = |peek: &Peek| {
        peek.state == RecordState::Live
            && peek.stamp == view.snapshot.stamp
            && peek.deadline.is_none_or(|deadline| now < deadline)
    };
    let Some(peek) = peek.filter(is_same) else {
        return Ok(None);
    };
    let stale = inner.generations.of(id) != generation;
    // Another node may have touched the session meanwhile; then this one need not.
    let head = &view.snapshot.head;
    let used_at = inner.config.times.used_at_of(head, peek.deadline);
    let times = Times {
        used_at: used_at.map_or(view.times.used_at, |at| at.max(view.times.used_at)),
        deadline: peek.deadline,
        ..view.times
    };
    resident.confirm(peek.stamp, times, Seen { stale, ..seen }, view.times);
    if inner.generations.of(id) != generation {
        // A notice came between the look and the note of it.
        resident.distrust();
    }
    // This request's copy is the one that was asked about, whatever came meanwhile.
    Ok(Some(View {
        times,
        seen,
        snapshot: Arc::clone(&view.snapshot),
    }))
}

pub(super) async fn from_store(
    inner: &Arc<Inner>,
    token: &Token,
    read: Read,
    now: Timestamp,
) -> Result<Resolution, Error> {
    let id = token.id();
    if inner.negative.is_unknown(id, now) {
        return Ok(Resolution::Dead(Presented::Unknown));
    }
    let digest = token.secret().digest();
    if inner.negative.is_refused(&digest, now) {
        return Ok(Resolution::Dead(Presented::Unknown));
    }
    let (found, joined) = load(inner, id, read, now).await?;
    let in_doubt = joined && !inner.coherent.may_join_loads();
    let refuse = || {
        inner.stats.forged.add();
        inner.negative.add_refused(&digest, now);
        Ok(Resolution::Dead(Presented::Unknown))
    };
    match found {
        Found::Absent => {
            // Junk must not raise generations, which others' copies depend on.
            if inner.l1.find(id).is_some() {
                inner.forget(id);
            }
            inner.negative.add_unknown(id, now);
            Ok(Resolution::Dead(Presented::Unknown))
        }
        Found::Ended(tombstone) if tombstone.head.digest == digest => {
            inner.forget(id);
            Ok(Resolution::Dead(outcome_of(inner, &tombstone, now)))
        }
        Found::Ended(_) => refuse(),
        Found::Unreadable(_, Some(of)) if of != digest => refuse(),
        Found::Unreadable(unreadable, _) => unreadable_row(inner, id, unreadable).await,
        Found::Live(loaded) if loaded.snapshot.head.digest == digest => {
            if loaded.times.is_due(now) {
                return Box::pin(expire(inner, token, &loaded, now)).await;
            }
            let live = admit(inner, token, &loaded, Origin::Store);
            if in_doubt {
                // In this mode a read that began before the request proves nothing.
                let view = live.view.clone();
                return Box::pin(confirm(inner, token, live.resident, view, now)).await;
            }
            Ok(Resolution::Live(live))
        }
        Found::Live(loaded) => match loaded.snapshot.head.replaced_at(&digest) {
            Some(at) if now.since(at) < inner.config.superseded_window => {
                inner.stats.superseded.add();
                Ok(Resolution::Dead(Presented::Superseded))
            }
            // Another node may have renewed since that read began.
            _ if joined => Box::pin(from_store(inner, token, Read::Fresh, now)).await,
            _ => refuse(),
        },
    }
}

/// Puts a loaded record, whose secret was verified, into L1.
pub(super) fn admit(inner: &Arc<Inner>, token: &Token, loaded: &Loaded, origin: Origin) -> Live {
    let id = token.id();
    let unmoved = || inner.generations.of(id) == loaded.generation;
    let seen = Seen {
        epoch: loaded.epoch,
        at: loaded.at,
        stale: !unmoved(),
    };
    let view = View {
        snapshot: Arc::clone(&loaded.snapshot),
        times: loaded.times,
        seen,
    };
    let resident = inner.l1.admit(id, view.clone(), token.secret(), unmoved);
    if !unmoved() {
        // Something changed between the look and the fill: whoever is next asks again.
        resident.distrust();
    }
    // Changes that wait to be stored are seen by this node's requests.
    let view = if resident.has_deferred() {
        resident.shown()
    } else {
        view
    };
    inner.events.tell(|| Event::Loaded { id });
    tracing::debug!(%id, "session loaded");
    Live {
        resident,
        view,
        origin,
    }
}
