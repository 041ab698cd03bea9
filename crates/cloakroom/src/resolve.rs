//! From the tokens of a request to its session. Until a secret is verified nothing moves.

use std::sync::Arc;

use cloakroom_core::{Due, SessionId, State as RecordState, Timestamp, Token};

use crate::cache::{Found, Loaded, Resident, Seen, Tombstone, View};
use crate::config::{OnUnreadable, TwoSessions};
use crate::events::{Event, attributes_of};
use crate::inner::Inner;
use crate::record::Unreadable;
use crate::session::{Cell, State, Stored};
use crate::transport::Candidate;
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

/// Which read of the store will do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    /// One that is under way may be joined.
    Any,
    /// One that begins from now on.
    Fresh,
}

/// Finds the session of a request among its candidates: transports in their order, and within one
/// the first that is live.
pub(crate) async fn request(
    inner: &Arc<Inner>,
    headers: &http::HeaderMap,
    now: Timestamp,
) -> Result<State, Error> {
    let mut outcome = Presented::None;
    let mut candidates = inner.transports.candidates(headers);
    while let Some(Candidate {
        token,
        foreign_node,
        transport,
    }) = candidates.next()
    {
        match resolve(inner, &token, now).await? {
            Resolution::Dead(dead) => {
                if matches!(outcome, Presented::None | Presented::Malformed) {
                    outcome = dead;
                }
            }
            Resolution::Live(live) => {
                for other in candidates.by_ref() {
                    if other.token.id() == token.id() {
                        continue;
                    }
                    inner.stats.mismatched.add();
                    if other.transport == transport
                        && inner.config.two_sessions == TwoSessions::Refuse
                        && matches!(
                            resolve(inner, &other.token, now).await?,
                            Resolution::Live(_)
                        )
                    {
                        return Err(ErrorKind::TwoSessions.into());
                    }
                }
                return Ok(admitted(inner, live, token, foreign_node, now));
            }
        }
    }
    if outcome == Presented::None && candidates.met_malformed() {
        outcome = Presented::Malformed;
    }
    inner.stats.presented(outcome);
    Ok(State::absent(outcome, now))
}

fn admitted(
    inner: &Arc<Inner>,
    live: Live,
    token: Token,
    foreign_node: bool,
    now: Timestamp,
) -> State {
    inner.stats.presented(Presented::Active);
    let Live {
        resident,
        view,
        origin,
    } = live;
    let stored = Stored {
        in_use: Some(inner.use_session(&resident, &view.snapshot.head)),
        resident,
        times: view.times,
        login_seq: view.snapshot.head.login_seq,
        digest: view.snapshot.head.digest,
        snapshot: view.snapshot,
        token: Some(token),
    };
    let mut state = State::live(stored, origin, now);
    state.foreign_node = foreign_node && inner.config.affinity;
    state
}

/// Finds out what one token is.
pub(crate) async fn resolve(
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
async fn confirm(
    inner: &Arc<Inner>,
    token: &Token,
    resident: Arc<Resident>,
    view: View,
    now: Timestamp,
) -> Result<Resolution, Error> {
    let id = token.id();
    let asked = if view.times.is_due(now) {
        // A copy never decides death: another node may have kept the session alive.
        from_store(inner, token, Read::Fresh, now).await
    } else {
        let seen = Seen {
            epoch: inner.coherent.epoch(),
            at: now,
            stale: false,
        };
        let generation = inner.generations.of(id);
        inner.stats.peeks.add();
        match inner.store.peek(id).await {
            Ok(Some(peek))
                if peek.state == RecordState::Live
                    && peek.stamp == view.snapshot.stamp
                    && peek.deadline.is_none_or(|deadline| now < deadline) =>
            {
                let stale = inner.generations.of(id) != generation;
                resident.confirm(peek.stamp, peek.deadline, Seen { stale, ..seen });
                if inner.generations.of(id) != generation {
                    // A notice came between the look and the note of it.
                    resident.distrust();
                }
                // This request's copy is the one that was asked about, whatever came meanwhile.
                let view = View {
                    times: cloakroom_core::Times {
                        deadline: peek.deadline,
                        ..view.times
                    },
                    seen,
                    snapshot: view.snapshot.clone(),
                };
                inner.stats.hits.add();
                return Ok(Resolution::Live(Live {
                    resident,
                    view,
                    origin: Origin::Verified,
                }));
            }
            Ok(_) => {
                inner.stats.misses.add();
                // The copy is disproved: no outage that follows makes it good again.
                resident.distrust();
                return from_store(inner, token, Read::Fresh, now).await;
            }
            Err(error) => {
                inner.store_failed("peek", &error);
                Err(error.into())
            }
        }
    };
    match asked {
        Err(error) if error.kind() == ErrorKind::Unavailable => {
            let age = now.since(view.seen.at.min(now));
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

/// One read of the store, shared with others where it may be. The flag says whether it may have
/// begun before this call.
async fn load(
    inner: &Arc<Inner>,
    id: SessionId,
    read: Read,
    now: Timestamp,
) -> Result<(Found, bool), Error> {
    let reader = inner.reader(now);
    let (answer, joined) = if inner.l1.is_on() {
        inner.flights.load(id, read == Read::Fresh, reader).await
    } else {
        inner.flights.load_alone(id, reader).await
    };
    match answer {
        Ok(found) => Ok((found, joined)),
        Err(error) => {
            if !joined {
                inner.store_failed("load", &error);
            }
            Err(error)
        }
    }
}

async fn from_store(
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
        Found::Unreadable(unreadable) => unreadable_row(inner, id, unreadable).await,
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
fn admit(inner: &Arc<Inner>, token: &Token, loaded: &Loaded, origin: Origin) -> Live {
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
    let resident = inner
        .l1
        .admit(id, view.clone(), token.secret(), |_| unmoved());
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

/// How a session ended, as far as its holder is still told.
fn outcome_of(inner: &Inner, tombstone: &Tombstone, now: Timestamp) -> Presented {
    let (at, outcome) = match tombstone.head.ended {
        Some((reason, at)) => (at, Presented::Ended { at, reason }),
        None => {
            let at = tombstone.times.deadline.unwrap_or(tombstone.times.used_at);
            (at, Presented::TimedOut { at })
        }
    };
    if now.since(at) < inner.config.times.retention {
        outcome
    } else {
        Presented::Unknown
    }
}

/// Ends a session whose deadline has come, in the store, before anybody is told.
async fn expire(
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
        Found::Live(_) | Found::Ended(_) | Found::Absent | Found::Unreadable(_) => {
            Ok(Resolution::Dead(Presented::Unknown))
        }
    }
}

/// Ends those of the sessions that are due and tells it; returns which those were.
pub(crate) async fn expire_ids(
    inner: &Inner,
    ids: &[SessionId],
    now: Timestamp,
) -> Result<Vec<SessionId>, Error> {
    match inner.store.expire(now, Due::Ids(ids)).await {
        Ok(ended) => Ok(expired(inner, ended)),
        Err(error) => {
            inner.store_failed("expire", &error);
            Err(error.into())
        }
    }
}

/// Tells what the store has expired for this node.
pub(crate) fn expired(
    inner: &Inner,
    ended: Vec<(SessionId, cloakroom_core::Record)>,
) -> Vec<SessionId> {
    let tell = |(id, record): (SessionId, cloakroom_core::Record)| {
        inner.stats.expired.add();
        inner.forget(id);
        tracing::debug!(%id, "session expired");
        inner.events.tell(|| Event::Expired {
            id,
            at: record.times.deadline.unwrap_or(record.times.used_at),
            owner: record.owner.clone(),
            attributes: attributes_of(&record.body),
        });
        id
    };
    ended.into_iter().map(tell).collect()
}

async fn unreadable_row(
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

/// A fresh snapshot for a handle that holds a stored session.
pub(crate) async fn reload(cell: &Arc<Cell>) -> Result<(), Error> {
    let inner = &cell.inner;
    let held = cell.read(|state| {
        state
            .stored
            .as_ref()
            .map(|stored| (Arc::clone(&stored.resident), stored.login_seq))
    })?;
    let Some((resident, login_seq)) = held else {
        return Ok(());
    };
    let now = inner.now();
    let loaded = current(inner, &resident, now).await;
    let loaded = match loaded {
        Ok(Some(loaded)) if loaded.snapshot.head.login_seq == login_seq => Ok(loaded),
        Ok(Some(_)) => Err(ErrorKind::Superseded),
        Ok(None) => Err(ErrorKind::Ended),
        Err(error) => return Err(error),
    };
    cell.with(|state| match loaded {
        Ok(loaded) => {
            if let Some(stored) = &mut state.stored {
                stored.snapshot = Arc::clone(&loaded.snapshot);
                stored.times = loaded.times;
            }
            state.origin = Origin::Store;
            Ok(())
        }
        Err(kind) => {
            state.closed = Some(kind);
            Err(kind.into())
        }
    })
}

/// What the store holds of a resident's session now; `None` if it has ended. The resident takes it
/// over.
pub(crate) async fn current(
    inner: &Arc<Inner>,
    resident: &Arc<Resident>,
    now: Timestamp,
) -> Result<Option<Arc<Loaded>>, Error> {
    let id = resident.id();
    match load(inner, id, Read::Fresh, now).await?.0 {
        Found::Live(loaded) if loaded.times.is_due(now) => {
            let ended = expire_ids(inner, &[id], now).await?;
            if ended.contains(&id) {
                return Ok(None);
            }
            match load(inner, id, Read::Fresh, now).await?.0 {
                Found::Live(again) if again.times.is_due(now) => Err(ErrorKind::Unavailable.into()),
                Found::Live(again) => Ok(Some(take_over(inner, resident, again))),
                _ => Ok(None),
            }
        }
        Found::Live(loaded) => Ok(Some(take_over(inner, resident, loaded))),
        Found::Absent | Found::Ended(_) => {
            inner.forget(id);
            Ok(None)
        }
        Found::Unreadable(Unreadable::Newer) => Err(ErrorKind::Unsupported.into()),
        Found::Unreadable(Unreadable::Corrupt) => Err(ErrorKind::Unreadable.into()),
    }
}

fn take_over(inner: &Inner, resident: &Resident, loaded: Arc<Loaded>) -> Arc<Loaded> {
    let stale = inner.generations.of(resident.id()) != loaded.generation;
    if !stale {
        let seen = Seen {
            epoch: loaded.epoch,
            at: loaded.at,
            stale,
        };
        let view = View {
            snapshot: Arc::clone(&loaded.snapshot),
            times: loaded.times,
            seen,
        };
        resident.install(view, None);
        if inner.generations.of(resident.id()) != loaded.generation {
            // A notice came between the look and the fill.
            resident.distrust();
        }
    }
    loaded
}
