use std::sync::Arc;

use cloakroom_core::{Peek, Secret, SessionId, Stamp, State as RecordState};

use super::create::First;
use super::finish::{Done, done, stored};
use super::next::Next;
use super::save::{Sent, keep};
use crate::cache::Resident;
use crate::inner::Inner;
use crate::session::{Cell, Phase, State};
use crate::{Error, ErrorKind};

/// A write of `session.commit()` whose reply is lost and that one look could not settle. It must not
/// be repeated blindly: its updates would count twice, and its new secret would be told to nobody.
#[derive(Debug)]
pub(crate) enum Unsettled {
    Create(First),
    Save {
        resident: Arc<Resident>,
        next: Next,
        secret: Option<Secret>,
        sent: Sent,
        /// What the write was to replace.
        expected: Stamp,
    },
}

impl Unsettled {
    fn id(&self) -> SessionId {
        match self {
            Self::Create(new) => new.id,
            Self::Save { resident, .. } => resident.id(),
        }
    }
}

/// Why a commit has failed.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) error: Error,
    /// Whether something was stored is not known.
    pub(super) open: Option<Box<Unsettled>>,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, open: None }
    }
}

/// What a look says about an open write.
enum Fate {
    Stored,
    /// The row is as it was before, or there is none where one was to be created.
    NotStored,
    Gone,
    /// Somebody else has written since: over ours, or instead of it.
    Unknown,
}

fn fate(open: &Unsettled, peek: Option<&Peek>) -> Fate {
    match (open, peek) {
        (Unsettled::Create(_), None) => Fate::NotStored,
        (Unsettled::Save { .. }, None) => Fate::Gone,
        (_, Some(peek)) if peek.state == RecordState::Ended => Fate::Gone,
        (Unsettled::Create(new), Some(peek)) if peek.stamp == new.stamp() => Fate::Stored,
        (Unsettled::Save { next, .. }, Some(peek)) if peek.stamp == next.snapshot.stamp => {
            Fate::Stored
        }
        (Unsettled::Save { expected, .. }, Some(peek)) if peek.stamp == *expected => {
            Fate::NotStored
        }
        (_, Some(_)) => Fate::Unknown,
    }
}

/// Looks once more, before this handle commits anything else.
pub(super) async fn settle(cell: &Cell) -> Result<(), Error> {
    let inner = &cell.inner;
    let take = |state: &mut State| {
        // A destroy needs no answer.
        let is_over = state.destroy.is_some() && state.stored.is_some();
        if is_over && state.unsettled.take().is_some() {
            state.pending = None;
        }
        state.unsettled.take()
    };
    let Some(open) = cell.with(take) else {
        return Ok(());
    };
    inner.stats.peeks.add();
    let peek = match inner.store.peek(open.id()).await {
        Ok(peek) => peek,
        Err(error) => {
            inner.store_failed("peek", &error);
            cell.with(|state| state.unsettled = Some(open));
            return Err(error.into());
        }
    };
    match fate(&open, peek.as_ref()) {
        Fate::Stored => adopt(cell, *open),
        Fate::NotStored => {
            cell.with(State::give_back);
            Ok(())
        }
        Fate::Gone => {
            inner.stats.gone.add();
            cell.with(|state| {
                state.pending = None;
                state.closed = Some(ErrorKind::Ended);
            });
            Err(ErrorKind::Ended.into())
        }
        Fate::Unknown => cell.with(|state| {
            let is_repeatable = state.pending.as_ref().is_none_or(|log| log.is_repeatable());
            if is_repeatable {
                state.give_back();
                return Ok(());
            }
            state.pending = None;
            Err(Error::with_detail(
                ErrorKind::Unavailable,
                "whether an earlier write was stored cannot be known any more",
            ))
        }),
    }
}

/// It was stored: the handle and L1 take it over as they would have then.
fn adopt(cell: &Cell, open: Unsettled) -> Result<(), Error> {
    let inner: &Inner = &cell.inner;
    let log = cell.with(|state| state.pending.take()).unwrap_or_default();
    let now_stored = match open {
        Unsettled::Create(new) => new.keep(inner, &log),
        Unsettled::Save {
            resident,
            next,
            secret,
            sent,
            ..
        } => {
            let secret = secret.filter(|_| next.is_renewed());
            let view = keep(inner, &resident, &next, sent, secret.as_ref());
            match done(&resident, view, next) {
                Done::Stored(now_stored) => now_stored,
                _ => return Ok(()),
            }
        }
    };
    cell.with(|state| {
        let using = matches!(cell.phase(), Phase::Running | Phase::Sealed);
        stored(inner, state, now_stored, using)
    })
}
