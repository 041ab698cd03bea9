use std::sync::Arc;

use cloakroom_core::{Due, Record, SessionId, Timestamp, Token};

use super::load::{Read, load};
use super::token::{Resolution, admit};
use crate::cache::{Found, Loaded, Tombstone};
use crate::config::{CLOCK_SKEW, OnUnreadable};
use crate::events::{Event, attributes_of};
use crate::inner::Inner;
use crate::record::Unreadable;
use crate::tombstones::forget_surplus;
use crate::{Error, ErrorKind, Origin, Presented};

/// How a session ended, as far as its holder is still told.
pub(super) fn outcome_of(inner: &Inner, tombstone: &Tombstone, now: Timestamp) -> Presented {
    let (at, outcome) = if let Some((reason, at)) = tombstone.head.ended() {
        (at, Presented::Ended { at, reason })
    } else {
        let at = tombstone.times.deadline.unwrap_or(tombstone.times.used_at);
        // By the clock of whoever ended it. What is still to come has not happened: that clock was
        // wrong, or has been put back since, and how the session ended is not known.
        if now + CLOCK_SKEW < at {
            return Presented::Unknown;
        }
        let at = at.min(now);
        (at, Presented::TimedOut { at })
    };
    if now.since(at) < inner.config.times.retention {
        outcome
    } else {
        Presented::Unknown
    }
}

/// Ends a session whose deadline has come, in the store, before anybody is told.
pub(super) async fn expire(
    inner: &Arc<Inner>,
    token: &Token,
    loaded: &Loaded,
    now: Timestamp,
) -> Result<Resolution, Error> {
    let id = token.id();
    let ended = expire_ids(inner, &[id], now).await?;
    inner.forget(id);
    if let Some(at) = ended
        .contains(&id)
        .then_some(loaded.times.deadline)
        .flatten()
    {
        let told = now.since(at) < inner.config.times.retention;
        let outcome = if told {
            Presented::TimedOut { at }
        } else {
            Presented::Unknown
        };
        return Ok(Resolution::Dead(outcome));
    }
    // Somebody else was first, to end it or to keep it alive.
    match load(inner, id, Read::Fresh, now).await?.0 {
        Found::Live(again) if again.times.is_due(now) => Err(Error::with_detail(
            ErrorKind::Unavailable,
            "the session is due by this node's clock, and not by the store's",
        )),
        Found::Live(again) if again.snapshot.head.digest == token.secret().digest() => {
            Ok(Resolution::Live(admit(inner, token, &again, Origin::Store)))
        }
        Found::Ended(tombstone) if tombstone.head.digest == token.secret().digest() => {
            Ok(Resolution::Dead(outcome_of(inner, &tombstone, now)))
        }
        Found::Live(_) | Found::Ended(_) | Found::Absent | Found::Unreadable(..) => {
            Ok(Resolution::Dead(Presented::Unknown))
        }
    }
}

/// Ends those of the sessions that are due and tells it; returns which those were.
pub(crate) async fn expire_ids(
    inner: &Arc<Inner>,
    ids: &[SessionId],
    now: Timestamp,
) -> Result<Vec<SessionId>, Error> {
    match inner.store.expire(now, Due::Ids(ids)).await {
        Ok(ended) => Ok(expired(inner, ended, now).await),
        Err(error) => {
            inner.store_failed("expire", &error);
            Err(error.into())
        }
    }
}

/// Tells what the store has expired for this node, all of it before the first await: nobody else
/// is told.
pub(crate) async fn expired(
    inner: &Arc<Inner>,
    ended: Vec<(SessionId, Record)>,
    now: Timestamp,
) -> Vec<SessionId> {
    let tell = |(id, record): (SessionId, Record)| {
        let at = record.times.deadline.unwrap_or(record.times.used_at);
        inner.stats.expired.add();
        inner.stats.lasted.note(&record.head, at);
        inner.tombstones.note(id, record.times.expires_at);
        inner.forget(id);
        tracing::debug!(%id, "session expired");
        inner.events.tell(|| Event::Expired {
            id,
            at,
            owner: record.owner.clone(),
            attributes: attributes_of(&record.body),
        });
        id
    };
    let ids: Vec<SessionId> = ended.into_iter().map(tell).collect();
    if !ids.is_empty() {
        forget_surplus(inner, now).await;
    }
    ids
}

pub(super) async fn unreadable_row(
    inner: &Arc<Inner>,
    id: SessionId,
    unreadable: Unreadable,
) -> Result<Resolution, Error> {
    inner.stats.unreadable.add();
    if unreadable == Unreadable::Newer {
        return Err(ErrorKind::Unsupported.into());
    }
    tracing::error!(%id, policy = ?inner.config.on_unreadable, "session record unreadable");
    match inner.config.on_unreadable {
        OnUnreadable::Fail => return Err(ErrorKind::Unreadable.into()),
        OnUnreadable::Remove => {
            inner.store.end(id, None).await.map_err(|error| {
                inner.store_failed("end", &error);
                Error::from(error)
            })?;
        }
        OnUnreadable::Replace => {}
    }
    inner.forget(id);
    Ok(Resolution::Dead(Presented::Unknown))
}
