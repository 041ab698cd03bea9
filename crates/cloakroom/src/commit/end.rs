use std::sync::Arc;

use cloakroom_core::{Record, SessionId, Stamp, State, StoreErrorKind, Times, Timestamp};

use super::save::is_current;
use super::{Base, Done};
use crate::config::CLOCK_SKEW;
use crate::events::{Event, attributes_of};
use crate::inner::Inner;
use crate::record::{EndReason, Head, Snapshot};
use crate::{Error, ErrorKind};

/// Performs a handle's `destroy`.
pub(super) async fn of_handle(
    inner: &Arc<Inner>,
    base: &Base,
    reason: EndReason,
    now: Timestamp,
) -> Result<Done, Error> {
    let view = base.resident.view();
    let mut snapshot = Arc::clone(&view.snapshot);
    if !is_current(inner, &base.resident, &view, now).await?
        && let Some(loaded) = crate::resolve::current(inner, &base.resident, now).await?
    {
        snapshot = Arc::clone(&loaded.snapshot);
    }
    // A handle from before a login ends nobody's session, wherever that login was.
    if snapshot.head.login_seq != base.login_seq {
        return Err(ErrorKind::Superseded.into());
    }
    end(inner, base.resident.id(), &snapshot, reason, now).await?;
    Ok(Done::Ended)
}

/// What is remembered of a session that ends at `now`; nothing if nothing shall be.
fn tombstone(inner: &Inner, stamp: Stamp, head: Vec<u8>, now: Timestamp) -> Option<Record> {
    let retention = inner.config.times.retention;
    if retention.is_zero() {
        return None;
    }
    let times = Times {
        used_at: now,
        deadline: Some(now),
        expires_at: Some(now + retention + CLOCK_SKEW),
    };
    let stamp = stamp.next();
    let body = Vec::new();
    Some(Record::from_stored(
        stamp,
        State::Ended,
        None,
        times,
        head,
        body,
    ))
}

fn ended_head(mut head: Head, reason: EndReason, now: Timestamp) -> Vec<u8> {
    head.end(reason, now);
    head.encode()
}

/// Ends a session in the store and here; returns what was ended by this call, if anything was.
pub(crate) async fn end(
    inner: &Arc<Inner>,
    id: SessionId,
    snapshot: &Snapshot,
    reason: EndReason,
    now: Timestamp,
) -> Result<Option<Record>, Error> {
    let head = ended_head(snapshot.head.clone(), reason, now);
    perform(
        inner,
        id,
        tombstone(inner, snapshot.stamp, head, now),
        reason,
    )
    .await
}

/// As [`end`], for a record that was read from the store and that this release need not be able to
/// decode: nobody is left signed in because another node is newer.
pub(crate) async fn end_record(
    inner: &Arc<Inner>,
    id: SessionId,
    record: &Record,
    reason: EndReason,
    now: Timestamp,
) -> Result<Option<Record>, Error> {
    // Without a reason in its head it has timed out, for whoever can read it.
    let head = Head::decode(&record.head).map_or_else(
        |_| record.head.clone(),
        |head| ended_head(head, reason, now),
    );
    perform(inner, id, tombstone(inner, record.stamp, head, now), reason).await
}

async fn perform(
    inner: &Arc<Inner>,
    id: SessionId,
    tombstone: Option<Record>,
    reason: EndReason,
) -> Result<Option<Record>, Error> {
    let ended = match inner.store.end(id, tombstone.as_ref()).await {
        Ok(ended) => ended,
        Err(error) => {
            inner.store_failed("end", &error);
            // The ending may have been performed and its answer lost: one look settles it.
            let dead = error.kind() == StoreErrorKind::Unavailable
                && match inner.store.peek(id).await {
                    Ok(peek) => peek.is_none_or(|peek| peek.state == State::Ended),
                    Err(_) => false,
                };
            inner.forget(id);
            if !dead {
                return Err(error.into());
            }
            None
        }
    };
    // What earlier requests have deferred ends with the session.
    if let Some(resident) = inner.l1.find(id) {
        resident.clear_deferred();
    }
    inner.forget(id);
    inner.stats.ends.add();
    tracing::debug!(%id, %reason, "session ended");
    if let Some(record) = &ended {
        inner.events.tell(|| Event::Ended {
            id,
            reason,
            owner: record.owner.clone(),
            attributes: attributes_of(&record.body),
        });
    }
    Ok(ended)
}
