use std::sync::Arc;

use cloakroom_core::{Record, SessionId, Stamp, State, StoreErrorKind, Times, Timestamp};

use super::Base;
use super::finish::Done;
use super::save::is_current;
use crate::cache::Resident;
use crate::config::CLOCK_SKEW;
use crate::events::{Event, attributes_of};
use crate::inner::Inner;
use crate::record::{EndReason, Head, Snapshot};
use crate::session::Stored;
use crate::tombstones::forget_surplus;
use crate::{Error, ErrorKind};

/// Performs a handle's `destroy`.
pub(super) async fn of_handle(
    inner: &Arc<Inner>,
    base: &Base,
    reason: EndReason,
    now: Timestamp,
) -> Result<Done, Error> {
    let snapshot = admitted(inner, &base.resident, base.login_seq, now).await?;
    end(inner, base.resident.id(), &snapshot, reason, now).await?;
    Ok(Done::Ended)
}

/// Ends the session that a login as somebody else leaves behind. Of two logins that meet only one
/// ends it, and goes on.
pub(super) async fn of_replaced(
    inner: &Arc<Inner>,
    old: &Stored,
    now: Timestamp,
) -> Result<(), Error> {
    let snapshot = admitted(inner, &old.resident, old.login_seq, now).await?;
    let ended = end(inner, old.id(), &snapshot, EndReason::Replaced, now).await?;
    if ended.is_none() {
        return Err(ErrorKind::Superseded.into());
    }
    Ok(())
}

/// The session as it is now, if it is still that of the login under which the handle was admitted:
/// one from before a login ends nobody's session, wherever that login was.
async fn admitted(
    inner: &Arc<Inner>,
    resident: &Arc<Resident>,
    login_seq: u32,
    now: Timestamp,
) -> Result<Arc<Snapshot>, Error> {
    let view = resident.view();
    let mut snapshot = Arc::clone(&view.snapshot);
    if !is_current(inner, resident, &view, now).await?
        && let Some(loaded) = crate::resolve::current(inner, resident, now).await?
    {
        snapshot = Arc::clone(&loaded.snapshot);
    }
    if snapshot.head.login_seq != login_seq {
        return Err(ErrorKind::Superseded.into());
    }
    Ok(snapshot)
}

/// What is remembered of a session that ends at `now`; nothing if nothing shall be.
fn tombstone(inner: &Inner, stamp: Stamp, head: Vec<u8>, now: Timestamp) -> Option<Record> {
    if inner.config.times.retention.is_zero() {
        return None;
    }
    let times = tombstone_times(inner, now);
    let body = Vec::new();
    let state = State::Ended;
    Some(Record::from_stored(
        stamp.next(),
        state,
        None,
        times,
        head,
        body,
    ))
}

fn tombstone_times(inner: &Inner, now: Timestamp) -> Times {
    Times {
        used_at: now,
        deadline: Some(now),
        expires_at: Some(now + inner.config.times.retention + CLOCK_SKEW),
    }
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
    let tombstone = tombstone(inner, snapshot.stamp, head, now);
    let known = || snapshot.record(tombstone_times(inner, now));
    perform(inner, id, tombstone, reason, now, known).await
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
    let tombstone = tombstone_of(inner, record, reason, now);
    perform(inner, id, tombstone, reason, now, || record.clone()).await
}

/// What is remembered of a record whose session ends at `now`; nothing if nothing shall be.
pub(crate) fn tombstone_of(
    inner: &Inner,
    record: &Record,
    reason: EndReason,
    now: Timestamp,
) -> Option<Record> {
    // Without a reason in its head it has timed out, for whoever can read it.
    let head = Head::decode(&record.head).map_or_else(
        |_| record.head.clone(),
        |head| ended_head(head, reason, now),
    );
    tombstone(inner, record.stamp, head, now)
}

/// As [`end`], for a row that the store itself cannot read. Nothing of it is kept, since a tombstone
/// is made of what was there.
pub(crate) async fn end_unread(
    inner: &Arc<Inner>,
    id: SessionId,
    reason: EndReason,
    now: Timestamp,
) -> Result<Option<Record>, Error> {
    let times = Times {
        used_at: now,
        deadline: Some(now),
        expires_at: None,
    };
    let nothing = || {
        let (head, body) = (Vec::new(), Vec::new());
        Record::from_stored(Stamp::first(), State::Live, None, times, head, body)
    };
    perform(inner, id, None, reason, now, nothing).await
}

/// `known` is the session as it was last seen, should the store's answer be lost.
async fn perform(
    inner: &Arc<Inner>,
    id: SessionId,
    tombstone: Option<Record>,
    reason: EndReason,
    now: Timestamp,
    known: impl FnOnce() -> Record,
) -> Result<Option<Record>, Error> {
    let ended = match inner.store.end(id, tombstone.as_ref()).await {
        Ok(ended) => ended,
        Err(error) => {
            inner.store_failed("end", &error);
            inner.forget(id);
            // The ending may have been performed, and its answer lost or what it ended unreadable:
            // one look settles it.
            let peek = match error.kind() {
                StoreErrorKind::Unavailable | StoreErrorKind::Corrupt => inner.store.peek(id).await,
                _ => return Err(error.into()),
            };
            match (peek, &tombstone) {
                // The first ending wins: a tombstone with our stamp says that it was this one.
                (Ok(Some(peek)), Some(ours)) if peek.stamp == ours.stamp => Some(known()),
                (Ok(Some(peek)), _) if peek.state == State::Ended => None,
                // Nothing is kept: who removed it cannot be told, and it was this call's to do.
                (Ok(None), None) => Some(known()),
                (Ok(None), Some(_)) => None,
                (Ok(Some(_)) | Err(_), _) => return Err(error.into()),
            }
        }
    };
    // What earlier requests have deferred ends with the session.
    if let Some(resident) = inner.l1.find(id) {
        resident.clear_deferred();
    }
    inner.forget(id);
    if let Some(record) = &ended {
        inner.stats.ends.add();
        tracing::debug!(%id, %reason, "session ended");
        inner.stats.lasted.note(&record.head, now);
        inner.events.tell(|| Event::Ended {
            id,
            reason,
            owner: record.owner.clone(),
            attributes: attributes_of(&record.body),
        });
        if let Some(tombstone) = &tombstone {
            inner.tombstones.note(id, tombstone.times.expires_at);
            forget_surplus(inner, now).await;
        }
    }
    Ok(ended)
}
