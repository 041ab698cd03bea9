use std::sync::Arc;

use cloakroom_core::{SessionId, Times, Timestamp, Token};

use super::next::Next;
use super::unsettled::Failed;
use super::{Base, When, touch};
use crate::cache::{InUse, Resident, View};
use crate::inner::Inner;
use crate::record::Snapshot;
use crate::session::{Outgoing, State, Stored};
use crate::{Error, ErrorKind, Presented};

/// What a commit has done.
pub(super) enum Done {
    Nothing,
    Touched {
        times: Times,
        /// The client is to be told its token once more.
        resend: bool,
    },
    Stored(NowStored),
    /// The session was gone or ended before; the changes are dropped.
    Gone,
    /// The session was ended by this commit.
    Ended,
}

pub(super) struct NowStored {
    pub(super) resident: Arc<Resident>,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) times: Times,
    /// The new token that the client must be told.
    pub(super) token: Option<Token>,
    /// It is to be told the one that it has once more.
    pub(super) resend: bool,
    pub(super) refused: Option<Error>,
}

/// Nothing was to be written: the use may be worth a touch.
pub(super) async fn same(
    inner: &Arc<Inner>,
    base: &Base,
    current: View,
    next: Next,
    now: Timestamp,
) -> Done {
    let resident = &base.resident;
    if next.refused.is_some() {
        return done(resident, current, next);
    }
    if inner.touch_is_due(resident.id(), &current, now) {
        return touch::at_head(inner, base, now).await;
    }
    Done::Nothing
}

pub(super) fn done(resident: &Arc<Resident>, view: View, next: Next) -> Done {
    Done::Stored(NowStored {
        resident: Arc::clone(resident),
        snapshot: view.snapshot,
        times: view.times,
        token: next.token,
        resend: next.resend,
        refused: next.refused,
    })
}

/// The handle's state after a commit, whatever came of it.
pub(super) fn finish(
    inner: &Inner,
    state: &mut State,
    base: Option<&Base>,
    result: Result<Done, Failed>,
    when: When,
    using: bool,
) -> Result<(), Error> {
    let result = match result {
        Ok(done) => done,
        Err(failed) => return Err(fail(inner, state, base, failed, when)),
    };
    let log = state.pending.take().unwrap_or_default();
    match result {
        Done::Nothing => Ok(()),
        Done::Touched { times, resend } => {
            if let Some(stored) = &mut state.stored {
                stored.times = stored.times.forward(times);
                if resend {
                    state.send_again();
                }
            }
            Ok(())
        }
        Done::Stored(now) => stored(inner, state, now, using),
        Done::Ended => {
            state.destroy = None;
            state.closed = Some(ErrorKind::Ended);
            // A client that brought nothing has nothing to be taken back: the token of a session that
            // was made and ended by one request was never sent.
            state.outgoing = match state.presented {
                Presented::None => Outgoing::Nothing,
                _ => Outgoing::Remove,
            };
            Ok(())
        }
        Done::Gone => {
            inner.stats.gone.add();
            state.closed = Some(ErrorKind::Ended);
            state.outgoing = Outgoing::Nothing;
            let signs = log.renew || log.login.is_some();
            if when == When::Head && !signs {
                Ok(())
            } else {
                Err(ErrorKind::Ended.into())
            }
        }
    }
}

/// What a failed commit leaves to be done: after one in the handler, whatever it did not store.
fn fail(
    inner: &Inner,
    state: &mut State,
    base: Option<&Base>,
    failed: Failed,
    when: When,
) -> Error {
    let Failed { error, open } = failed;
    if error.kind() == ErrorKind::Superseded {
        inner.stats.superseded.add();
        state.closed = Some(ErrorKind::Superseded);
        state.destroy = None;
    }
    // Meanwhile the handle may have been told to leave that session, or to end it.
    let is_left = state.destroy.is_some()
        || base
            .zip(state.replaces.as_ref())
            .is_some_and(|(base, old)| Arc::ptr_eq(&base.resident, &old.resident));
    if when != When::Explicit || is_left || state.closed.is_some() {
        state.pending = None;
    } else if open.is_some() {
        // Shown to the handler still, and looked after before anything else is written.
        state.unsettled = open;
    } else {
        // The handler may try again, and if it does not, the response's commit does.
        state.give_back();
    }
    error
}

/// The handle goes on with what was stored.
pub(super) fn stored(
    inner: &Inner,
    state: &mut State,
    now: NowStored,
    using: bool,
) -> Result<(), Error> {
    let NowStored {
        resident,
        snapshot,
        times,
        token,
        resend,
        refused,
    } = now;
    let is_new = token.is_some();
    // Once the head is released, or the client has gone, nothing would end the use.
    let in_use = |in_use: Option<InUse>| {
        inner.watch(&snapshot.head);
        using.then(|| in_use.unwrap_or_else(|| InUse::new(&resident)))
    };
    // A login as somebody else, after this commit had begun, may have left the session behind.
    let left = state.replaces.as_deref_mut();
    if let Some(left) = left.filter(|left| Arc::ptr_eq(&left.resident, &resident)) {
        (left.snapshot, left.times) = (snapshot, times);
        return refused.map_or(Ok(()), Err);
    }
    let mut same = state.stored.as_mut();
    same = same.filter(|kept| Arc::ptr_eq(&kept.resident, &resident));
    let known = if let Some(kept) = same {
        kept.in_use = in_use(kept.in_use.take());
        kept.login_seq = snapshot.head.login_seq;
        // What the handle knows stays what it was, unless this commit has replaced it: a renewal
        // of somebody else, over which the changes were replayed, does not become ours.
        if let Some(token) = token {
            kept.digest = snapshot.head.digest;
            kept.token = Some(token);
        }
        kept.snapshot = snapshot;
        kept.times = times;
        kept
    } else {
        state.last_id = Some(resident.id());
        state.stored.insert(Stored {
            in_use: in_use(None),
            login_seq: snapshot.head.login_seq,
            digest: snapshot.head.digest,
            token,
            resident,
            snapshot,
            times,
        })
    };
    if let Some(token) = known.token.as_ref().filter(|_| is_new || resend) {
        state.outgoing = Outgoing::Set(token.clone());
    }
    state.foreign_node = false;
    state.eager = false;
    refused.map_or(Ok(()), Err)
}

pub(super) fn report(inner: &Inner, id: Option<SessionId>, error: &Error, when: When) {
    let late = when == When::Late;
    let kind = error.kind();
    tracing::warn!(?id, %kind, late, "session commit failed");
    inner
        .events
        .tell(|| crate::Event::CommitFailed { id, kind, late });
}
