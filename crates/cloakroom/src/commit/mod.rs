//! Performs what the end of a request means for its session. The only writer: store first, then L1.

mod at_once;
mod create;
mod defer;
mod end;
mod finish;
mod guard;
mod next;
mod save;
mod tell;
mod touch;
mod unsettled;

use std::sync::Arc;

use cloakroom_core::{Digest, Stamp, State as RecordState, StoreError, StoreErrorKind, Timestamp};

use crate::cache::Resident;
use crate::inner::Inner;
use crate::lifecycle::{Facts, Plan, plan};
use crate::record::EndReason;
use crate::session::{Cell, ChangeLog, Phase, SharedLog, State, Stored};
use crate::{CommitAt, Error, ErrorKind, Origin};

pub(crate) use self::at_once::at_once;
pub(crate) use self::end::{end, end_record, end_unread, tombstone_of};
use self::finish::{Done, finish, report};
pub(crate) use self::guard::{Guarded, late};
pub(crate) use self::touch::{touch, touch_late, touch_left};
use self::unsettled::Failed;
pub(crate) use self::unsettled::Unsettled;

/// What calls for the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// The response head is ready.
    Head,
    /// `session.commit().await`.
    Explicit,
    /// A handle outlived its request.
    Late,
}

/// The stored session that a commit starts from, as the request knows it.
struct Base {
    resident: Arc<Resident>,
    login_seq: u32,
    digest: Digest,
    /// The handle knows what the client carries, and the head that may tell it once more is still to
    /// leave.
    may_send: bool,
}

struct Work {
    plan: Plan,
    log: SharedLog,
    base: Option<Base>,
    replaces: Option<Box<Stored>>,
    reason: EndReason,
    /// The `on_create` hook has run already.
    hooked: bool,
    now: Timestamp,
}

/// Stores the changes of a handle now; see [`Session::commit`](crate::Session::commit).
pub(crate) async fn explicit(cell: &Arc<Cell>) -> Result<(), Error> {
    // A destroy is performed here; every other refusal is the caller's.
    if cell.is_hooks {
        return Err(ErrorKind::HeadSent.into());
    }
    let destroyed = cell.with(|state| state.destroy.is_some());
    if !destroyed {
        cell.read(|_| ())?;
    }
    // One of a handle that has outlived its request is a late commit, whoever has asked for it.
    let is_late = cell.phase() == Phase::Released && cell.with(|state| !state.log.is_empty());
    let now = cell.inner.now();
    if !at_once(cell, now) {
        Guarded::new(Arc::clone(cell), When::Explicit, now).await?;
    }
    if is_late {
        cell.inner.stats.late_commits.add();
    }
    Ok(())
}

/// Whether the end of this request has anything to do; decides without any I/O.
pub(crate) fn has_work(cell: &Cell, state: &State, now: Timestamp) -> bool {
    let rolled_back = cell.phase() == Phase::RolledBack;
    // A commit of the handler that it did not wait for, or whose end is open: the head waits.
    state.pending.is_some()
        || state.unsettled.is_some()
        || decide(&cell.inner, state, When::Head, rolled_back, now) != Plan::Nothing
}

fn decide(inner: &Inner, state: &State, when: When, rolled_back: bool, now: Timestamp) -> Plan {
    if state.closed.is_some() || (state.origin == Origin::Stale && state.destroy.is_none()) {
        return Plan::Nothing;
    }
    let touch_due = |stored: &Stored| {
        let [.., spread] = *stored.id().as_bytes();
        let head = &stored.snapshot.head;
        let times = &inner.config.times;
        // Also where the session was kept alive while the cookie's own age ran on.
        times.touch_is_due(head, stored.times, now, spread)
            || (stored.token.is_some() && next::cookie_is_due(inner, &stored.resident, head, now))
    };
    let destroyed = state.destroy.is_some();
    let changed = !state.log.is_empty();
    // Asked only where it can decide: it costs more than the rest.
    let may_touch = when == When::Head && !destroyed && (rolled_back || !changed);
    plan(Facts {
        destroyed,
        rolled_back,
        stored: state.stored.is_some(),
        changed,
        makes_a_session: state.log.makes_a_session(),
        eager: state.eager,
        touch_due: may_touch && state.stored.as_ref().is_some_and(touch_due),
    })
}

/// An absent session shall be created: the hook runs now, and with `save_on_create` the session is
/// stored now.
pub(crate) async fn create_first(cell: &Arc<Cell>) -> Result<(), Error> {
    let inner = &cell.inner;
    if inner.config.save_on_create {
        let now = inner.now();
        return Guarded::new(Arc::clone(cell), When::Explicit, now).await;
    }
    let filled = create::filled(inner, SharedLog::default(), inner.now()).await;
    cell.with(|state| match filled {
        Ok(log) => {
            state.log = log;
            state.hooked = true;
            Ok(())
        }
        Err(error) => {
            state.eager = false;
            state.closed = Some(error.kind());
            Err(error)
        }
    })
}

pub(crate) async fn run(cell: &Cell, when: When, now: Timestamp) -> Result<(), Error> {
    let inner = &cell.inner;
    // As a rule there is no queue; then the caller has read the clock just now.
    let (_turn, now) = match cell.turn.try_lock() {
        Some(turn) => (turn, now),
        None => (cell.turn.lock().await, inner.now()),
    };
    let is_open = cell.with(|state| state.unsettled.is_some());
    if is_open && let Err(error) = Box::pin(unsettled::settle(cell)).await {
        report(inner, cell.with(|state| state.last_id), &error, when);
        return Err(error);
    }
    let mut work = cell.with(|state| begin(inner, state, when, cell.phase(), now));
    let result = match (work.plan, &work.base) {
        (Plan::Create | Plan::CreateEmpty, _) => Box::pin(create::create(inner, &mut work)).await,
        (Plan::Save, Some(base)) => match inner.config.commit_at {
            CommitAt::LastExit { at_most } if may_wait(inner, &work.log, when) => {
                let deferred = Box::pin(defer::defer(inner, base, &work.log, at_most)).await;
                deferred.map_err(Failed::from)
            }
            _ => save::save(inner, base, &work.log, now).await,
        },
        (Plan::Touch, Some(base)) => Ok(Box::pin(touch::at_head(inner, base, now)).await),
        (Plan::End, Some(base)) => Box::pin(end::of_handle(inner, base, work.reason, now))
            .await
            .map_err(Failed::from),
        (Plan::Nothing, _) | (Plan::Save | Plan::Touch | Plan::End, None) => Ok(Done::Nothing),
    };
    if let (Ok(Done::Gone), Some(base)) = (&result, &work.base) {
        let id = base.resident.id();
        inner.events.tell(|| crate::Event::Gone { id });
    }
    if let Err(failed) = &result {
        let id = work.base.as_ref().map(|base| base.resident.id());
        report(inner, id, &failed.error, when);
    }
    cell.with(|state| {
        if result.is_err() && when == When::Explicit && state.replaces.is_none() {
            // Whatever is not ended yet is for the next try to end.
            state.replaces = work.replaces.take();
        }
        let using = matches!(cell.phase(), Phase::Running | Phase::Sealed);
        finish(inner, state, work.base.as_ref(), result, when, using)
    })
}

/// Only changes of attributes may wait for the last exit, and only where the next request of this
/// node finds them.
fn may_wait(inner: &Inner, log: &ChangeLog, when: When) -> bool {
    when == When::Head && log.is_data_only() && inner.l1.is_on()
}

fn begin(inner: &Inner, state: &mut State, when: When, phase: Phase, now: Timestamp) -> Work {
    let plan = decide(inner, state, when, phase == Phase::RolledBack, now);
    let log = if plan == Plan::CreateEmpty {
        SharedLog::default()
    } else {
        state.log.take()
    };
    state.pending = Some(log.clone());
    let before_head = when != When::Late && phase != Phase::Released;
    let base = state.stored.as_ref().map(|stored| Base {
        resident: Arc::clone(&stored.resident),
        login_seq: stored.login_seq,
        digest: stored.digest,
        may_send: stored.token.is_some() && before_head,
    });
    let reason = state.destroy.unwrap_or(EndReason::Logout);
    Work {
        plan,
        log,
        base,
        replaces: state.replaces.take(),
        reason,
        hooked: state.hooked,
        now,
    }
}

/// What became of a write whose reply is lost.
enum Settled {
    Stored,
    Gone,
    Unknown(Error),
}

/// A write that was not answered is not repeated: one look at the stamp says whether it was stored.
/// If that does not settle it, the copy is dropped and the client is told 503.
async fn settle(
    inner: &Inner,
    id: cloakroom_core::SessionId,
    ours: Stamp,
    error: StoreError,
) -> Result<Settled, Error> {
    inner.store_failed("write", &error);
    if error.kind() != StoreErrorKind::Unavailable {
        inner.forget(id);
        return Err(error.into());
    }
    inner.stats.peeks.add();
    Ok(match inner.store.peek(id).await {
        Ok(Some(peek)) if peek.stamp == ours => Settled::Stored,
        Ok(Some(peek)) if peek.state == RecordState::Ended => Settled::Gone,
        Ok(_) | Err(_) => {
            inner.forget(id);
            Settled::Unknown(error.into())
        }
    })
}
