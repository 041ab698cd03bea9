use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::{Record, SaveOutcome, Secret, Stamp, State, Timestamp};

use super::finish::{Done, done, same};
use super::next::Next;
use super::unsettled::{Failed, Unsettled};
use super::{Base, Settled, settle, tell};
use crate::cache::{Resident, Seen, View};
use crate::inner::Inner;
use crate::record::{Snapshot, Unreadable};
use crate::session::ChangeLog;
use crate::{Error, ErrorKind};

/// How often a commit follows others that come first, before it gives up.
const ATTEMPTS: u32 = 32;

/// How many of these attempts follow at once.
const AT_ONCE: u32 = 4;

/// Writes a log over the current record: compare and set, and on a conflict once more over what the
/// conflict brought.
pub(super) async fn save(
    inner: &Arc<Inner>,
    base: &Base,
    log: &ChangeLog,
    now: Timestamp,
) -> Result<Done, Failed> {
    let resident = &base.resident;
    let _turn = turn(inner, resident).await?;
    let Some(mut waiting) = resident.deferred(base.login_seq) else {
        return attempts(inner, base, log, now).await;
    };
    // What earlier requests have left behind goes first, in the same write.
    waiting.append(log.clone());
    let done = Box::pin(attempts(inner, base, &waiting, now)).await;
    let is_lost = match &done {
        Ok(_) => false,
        // Nobody comes after a flush, which has no changes of its own; and what may have been
        // stored is not written a second time.
        Err(failed) if log.is_empty() || failed.open.is_some() => true,
        Err(_) => return done,
    };
    resident.clear_deferred();
    if is_lost && !log.is_empty() {
        inner.stats.late_commits_lost.add();
    }
    done
}

async fn attempts(
    inner: &Arc<Inner>,
    base: &Base,
    log: &ChangeLog,
    now: Timestamp,
) -> Result<Done, Failed> {
    let resident = &base.resident;
    let mut secret = None;
    let mut current = resident.view();
    // This commit has been to the store itself: what it brought is current.
    let mut asked = false;
    for attempt in 0..ATTEMPTS {
        if current.snapshot.head.login_seq != base.login_seq {
            return Err(Error::from(ErrorKind::Superseded).into());
        }
        if current.times.is_due(now) {
            let Some(view) = reread(inner, resident, now).await? else {
                return Ok(Done::Gone);
            };
            current = view;
            asked = true;
        }
        let next = Next::new(inner, base, log, &current, &mut secret, now)?;
        if next.is_same {
            // Boxed, as all that is rare: a commit's future is moved to the heap in one piece.
            if asked || Box::pin(is_current(inner, resident, &current, now)).await? {
                return Ok(Box::pin(same(inner, base, current, next, now)).await);
            }
            let Some(view) = reread(inner, resident, now).await? else {
                return Ok(Done::Gone);
            };
            current = view;
            asked = true;
            continue;
        }
        match write(inner, resident, &current, next, secret.as_ref(), now).await? {
            Written::Stored(view, next) => {
                let id = resident.id();
                tell::saved(inner, id, log, &current.snapshot, &view.snapshot, attempt);
                return Ok(done(resident, view, next));
            }
            Written::Gone => return Ok(Done::Gone),
            Written::Conflict(view) => {
                inner.stats.conflicts.add();
                install_conflict(inner, resident, &view);
                current = view;
                asked = true;
                if attempt >= AT_ONCE {
                    // A pause makes room for the other, and what the conflict brought old.
                    Box::pin(pause(attempt)).await;
                    let Some(view) = reread(inner, resident, now).await? else {
                        return Ok(Done::Gone);
                    };
                    current = view;
                }
            }
        }
    }
    Err(Error::from(ErrorKind::Conflict).into())
}

fn install_conflict(inner: &Inner, resident: &Resident, view: &View) {
    let generation = inner.generations.of(resident.id());
    resident.install(view.clone(), None);
    if view.seen.stale || inner.generations.of(resident.id()) != generation {
        // A notice came between the look and the fill.
        resident.distrust();
    }
}

/// The queue of commits of one session on this node.
pub(super) async fn turn<'a>(
    inner: &Inner,
    resident: &'a Resident,
) -> Result<futures_util::lock::MutexGuard<'a, ()>, Error> {
    if let Some(turn) = resident.turn().try_lock() {
        return Ok(turn);
    }
    let limit = inner.config.store_timeout.saturating_mul(2);
    Box::pin(tokio::time::timeout(limit, resident.turn().lock()))
        .await
        .map_err(|_| {
            Error::with_detail(
                ErrorKind::Unavailable,
                "earlier commits of this session do not end",
            )
        })
}

enum Written {
    Stored(View, Next),
    Conflict(View),
    Gone,
}

async fn write(
    inner: &Arc<Inner>,
    resident: &Arc<Resident>,
    current: &View,
    mut next: Next,
    secret: Option<&Secret>,
    now: Timestamp,
) -> Result<Written, Failed> {
    let id = resident.id();
    let stamp = next.snapshot.stamp;
    let sent = Sent::announced(inner, resident, stamp);
    let mut record = Snapshot::lend(&mut next.snapshot, next.times);
    // With a login there is a new token, too.
    record.rekeyed = next.is_renewed();
    record.leaves_times = next.leaves_times;
    let outcome = inner.store.save(id, &record, current.snapshot.stamp).await;
    Snapshot::take_back(&mut next.snapshot, record);
    let stored = match outcome {
        Ok(SaveOutcome::Saved) => true,
        Ok(SaveOutcome::Conflict(found)) if found.stamp == stamp => true,
        Ok(SaveOutcome::Conflict(found)) => {
            let seen = Seen {
                epoch: sent.epoch,
                at: now,
                stale: inner.generations.of(id) != sent.generation,
            };
            return Ok(Written::Conflict(conflict(found, seen)?));
        }
        Ok(SaveOutcome::Ended(_) | SaveOutcome::Gone) => false,
        Err(error) => match Box::pin(settle(inner, id, stamp, error)).await? {
            Settled::Stored => true,
            Settled::Gone => false,
            Settled::Unknown(error) => {
                let open = Box::new(Unsettled::Save {
                    resident: Arc::clone(resident),
                    next,
                    secret: secret.cloned(),
                    sent,
                    expected: current.snapshot.stamp,
                });
                return Err(Failed {
                    error,
                    open: Some(open),
                });
            }
        },
    };
    if !stored {
        inner.forget(id);
        return Ok(Written::Gone);
    }
    let secret = secret.filter(|_| next.is_renewed());
    let view = keep(inner, resident, &next, sent, secret);
    Ok(Written::Stored(view, next))
}

/// What was known of the session's notices when a write was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    generation: u64,
    epoch: u64,
}

impl Sent {
    /// Looks, and lets the notice of this write, which comes back, be no news.
    pub(super) fn announced(inner: &Inner, resident: &Resident, stamp: Stamp) -> Self {
        let generation = inner.generations.of(resident.id());
        let epoch = inner.coherent.epoch();
        if !inner.coherent.is_sole() {
            resident.announce(stamp);
        }
        Self { generation, epoch }
    }
}

/// L1 takes over what the store has taken.
pub(super) fn keep(
    inner: &Inner,
    resident: &Arc<Resident>,
    next: &Next,
    sent: Sent,
    secret: Option<&Secret>,
) -> View {
    let id = resident.id();
    inner.stats.saves.add();
    // A notice that came between is about somebody else's write, later than ours.
    let stale = inner.generations.of(id) != sent.generation;
    inner.generations.raise(id);
    let view = View {
        snapshot: Arc::clone(&next.snapshot),
        times: next.times,
        seen: Seen {
            epoch: sent.epoch,
            at: next.at,
            stale,
        },
    };
    if resident.install(view.clone(), secret) {
        inner.l1.weigh_again(resident);
    }
    if inner.generations.of(id) != sent.generation.wrapping_add(1) {
        // Not only this write has raised it: a notice came between the look and the fill.
        resident.distrust();
    }
    view
}

fn conflict(found: Record, seen: Seen) -> Result<View, Error> {
    debug_assert_eq!(found.state, State::Live, "an ended row answers Ended");
    match Snapshot::decode(found) {
        Ok((snapshot, times)) => Ok(View {
            snapshot: Arc::new(snapshot),
            times,
            seen,
        }),
        Err(Unreadable::Newer) => Err(ErrorKind::Unsupported.into()),
        Err(Unreadable::Corrupt) => Err(ErrorKind::Unreadable.into()),
    }
}

async fn reread(
    inner: &Arc<Inner>,
    resident: &Arc<Resident>,
    now: Timestamp,
) -> Result<Option<View>, Error> {
    let loaded = Box::pin(crate::resolve::current(inner, resident, now)).await?;
    Ok(loaded.map(|loaded| View {
        snapshot: Arc::clone(&loaded.snapshot),
        times: loaded.times,
        seen: Seen {
            epoch: loaded.epoch,
            at: now,
            stale: false,
        },
    }))
}

/// Whether a commit that would change nothing may be left out: only over a copy that is known to
/// be current, since a stale one must not swallow a removal.
pub(super) async fn is_current(
    inner: &Arc<Inner>,
    resident: &Resident,
    view: &View,
    now: Timestamp,
) -> Result<bool, Error> {
    if inner.coherent.is_current(view.seen, now) {
        return Ok(true);
    }
    inner.stats.peeks.add();
    match inner.store.peek(resident.id()).await {
        Ok(peek) => Ok(peek.is_some_and(|peek| peek.stamp == view.snapshot.stamp)),
        Err(error) => {
            inner.store_failed("peek", &error);
            Err(error.into())
        }
    }
}

/// Nodes that meet shall not meet again: a random pause that grows.
async fn pause(attempt: u32) {
    let most = 1 << (attempt - AT_ONCE + 1).min(5);
    tokio::time::sleep(Duration::from_millis(Stamp::first().nonce % most)).await;
}
