use std::sync::Arc;

use cloakroom_core::{CreateOutcome, ImmediateStore, SaveOutcome, Secret, SessionId, Timestamp};

use super::create::First;
use super::finish::{Done, NowStored, finish};
use super::next::Next;
use super::save::{Sent, keep};
use super::{Base, CommitAt, When, tell};
use crate::Origin;
use crate::inner::Inner;
use crate::record::Snapshot;
use crate::session::{Cell, Phase, SharedLog, State};

/// The usual commit without a future: attributes of a stored session have changed or a new one is
/// to be stored, nobody else commits, and the store answers when it is called. Whether it was that
/// and is done; if not, nothing has happened.
pub(crate) fn at_once(cell: &Cell, now: Timestamp) -> bool {
    let inner = &cell.inner;
    let Some(store) = inner.store.immediate() else {
        return false;
    };
    // Whoever listens is shown the span of the other way.
    if tracing::enabled!(tracing::Level::DEBUG) {
        return false;
    }
    let Some(_turn) = cell.turn.try_lock() else {
        return false;
    };
    if let Some(saved) = cell.with(|state| save(inner, store, state, cell.phase(), now)) {
        // Without the lock: events and the closures of the log are the user's.
        let [before, after] = &saved.snapshots;
        tell::saved(inner, saved.id, &saved.log, before, after, 0);
        return true;
    }
    if inner.on_create.is_some() {
        return false;
    }
    let Some(log) = cell.with(|state| begin_new(state, cell.phase())) else {
        return false;
    };
    let created = create(inner, store, &log, now);
    cell.with(|state| {
        let Some(created) = created else {
            state.give_back();
            return false;
        };
        let using = matches!(cell.phase(), Phase::Running | Phase::Sealed);
        finish(
            inner,
            state,
            None,
            Ok(Done::Stored(created)),
            When::Head,
            using,
        )
        .is_ok()
    })
}

/// The changes of a session that is not stored yet, and needs nothing but to be stored. They are
/// pending from here on: the closures among them run without the handle's lock.
fn begin_new(state: &mut State, phase: Phase) -> Option<SharedLog> {
    let is_usual = phase != Phase::RolledBack
        && state.stored.is_none()
        && state.closed.is_none()
        && state.destroy.is_none()
        && state.pending.is_none()
        && state.replaces.is_none()
        && state.unsettled.is_none()
        && state.log.makes_a_session();
    is_usual.then(|| {
        let log = state.log.take();
        state.pending = Some(log.clone());
        log
    })
}

fn create(
    inner: &Inner,
    store: &dyn ImmediateStore,
    log: &SharedLog,
    now: Timestamp,
) -> Option<NowStored> {
    let (id, secret) = (SessionId::generate(now), Secret::generate());
    let new = First::new(inner, log, id, secret, now);
    let mut new = new.ok().filter(First::is_plain)?;
    let record = new.lend();
    let outcome = store.create_now(id, &record);
    new.take_back(record);
    (outcome == CreateOutcome::Created).then(|| new.keep(inner, log))
}

struct Saved {
    id: SessionId,
    log: SharedLog,
    /// Before and after.
    snapshots: [Arc<Snapshot>; 2],
}

fn is_usual(inner: &Inner, state: &State) -> bool {
    state.closed.is_none()
        && state.origin != Origin::Stale
        && state.destroy.is_none()
        && state.pending.is_none()
        && state.unsettled.is_none()
        && state.replaces.is_none()
        && !state.log.is_empty()
        && state.log.is_data_only()
        && inner.config.commit_at == CommitAt::ResponseHead
}

/// The handle's lock is held all the while, so that no clone sees the changes neither pending nor
/// stored; the call to the store is short, and no closure is run.
fn save(
    inner: &Inner,
    store: &dyn ImmediateStore,
    state: &mut State,
    phase: Phase,
    now: Timestamp,
) -> Option<Saved> {
    if phase == Phase::RolledBack || !is_usual(inner, state) {
        return None;
    }
    let stored = state.stored.as_mut()?;
    let base = Base {
        resident: Arc::clone(&stored.resident),
        login_seq: stored.login_seq,
        digest: stored.digest,
        may_send: stored.token.is_some() && phase != Phase::Released,
    };
    let resident = &base.resident;
    let _turn = resident.turn().try_lock()?;
    let before = resident.view();
    let is_known = before.snapshot.head.login_seq == base.login_seq
        && !before.times.is_due(now)
        && !resident.has_deferred()
        && state.log.is_computed_from(&before.snapshot);
    if !is_known {
        return None;
    }
    let mut next = Next::new(inner, &base, &state.log, &before, &mut None, now).ok()?;
    if !next.is_plain() {
        return None;
    }
    let sent = Sent::announced(inner, resident, next.snapshot.stamp);
    let record = Snapshot::lend(&mut next.snapshot, next.times);
    let outcome = store.save_now(resident.id(), &record, before.snapshot.stamp);
    Snapshot::take_back(&mut next.snapshot, record);
    if outcome != SaveOutcome::Saved {
        return None;
    }
    let after = keep(inner, resident, &next, sent, None);
    stored.snapshot = Arc::clone(&after.snapshot);
    stored.times = after.times;
    Some(Saved {
        id: resident.id(),
        log: state.log.take(),
        snapshots: [before.snapshot, after.snapshot],
    })
}
