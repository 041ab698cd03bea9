use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cloakroom_core::{Digest, SessionId, Times, Timestamp, Token};

use super::SharedLog;
use crate::cache::{InUse, Resident};
use crate::inner::Inner;
use crate::record::{EndReason, Snapshot};
use crate::{Error, ErrorKind, Origin, Presented};

/// How far the request is. Only the response future moves it forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// The handler runs.
    Running = 0,
    /// The head is ready; the commit decides whether it leaves.
    Sealed = 1,
    /// The head has left, or there never was one (a detached handle).
    Released = 2,
    /// The changes are dropped; all clones say so.
    RolledBack = 3,
}

/// What the response head must carry.
#[derive(Clone, Debug, Default)]
pub(crate) enum Outgoing {
    #[default]
    Nothing,
    Set(Token),
    Remove,
}

/// The stored session that this request has found, created or signed into.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) resident: Arc<Resident>,
    /// Until the head is released.
    pub(crate) in_use: Option<InUse>,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) times: Times,
    /// What the client carries, or is about to be told. A detached handle has none.
    pub(crate) token: Option<Token>,
    /// The login under which the secret was verified.
    pub(crate) login_seq: u32,
    /// The secret's digest when this handle last saw it right.
    pub(crate) digest: Digest,
}

impl Stored {
    pub(crate) fn id(&self) -> SessionId {
        self.resident.id()
    }
}

/// Everything that a request knows about its session once it has asked.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) presented: Presented,
    pub(crate) origin: Origin,
    pub(crate) stored: Option<Stored>,
    pub(crate) log: SharedLog,
    /// The part of the log that a commit is writing just now.
    pub(crate) pending: Option<SharedLog>,
    pub(crate) outgoing: Outgoing,
    /// The session that a login of another owner has left behind, to be ended by the commit.
    pub(crate) replaces: Option<Box<Stored>>,
    /// `destroy` was called and is not performed yet.
    pub(crate) destroy: Option<EndReason>,
    /// Why nothing works any more on this handle.
    pub(crate) closed: Option<ErrorKind>,
    /// An absent session shall be created even without changes.
    pub(crate) eager: bool,
    /// The `on_create` hook has run for this new session.
    pub(crate) hooked: bool,
    /// The presented token carries another node's name, or none.
    pub(crate) foreign_node: bool,
    /// The id is readable also after the end.
    pub(crate) last_id: Option<SessionId>,
    /// When the handle was made.
    pub(crate) now: Timestamp,
}

impl State {
    pub(crate) fn absent(presented: Presented, now: Timestamp) -> Self {
        Self {
            presented,
            origin: Origin::New,
            stored: None,
            log: SharedLog::default(),
            pending: None,
            outgoing: Outgoing::Nothing,
            replaces: None,
            destroy: None,
            closed: None,
            eager: false,
            hooked: false,
            foreign_node: false,
            last_id: None,
            now,
        }
    }

    pub(crate) fn live(stored: Stored, origin: Origin, now: Timestamp) -> Self {
        Self {
            origin,
            last_id: Some(stored.id()),
            stored: Some(stored),
            ..Self::absent(Presented::Active, now)
        }
    }

    /// A commit has stored nothing: its changes are to be committed still.
    pub(crate) fn give_back(&mut self) {
        if let Some(log) = self.pending.take() {
            let later = std::mem::replace(&mut self.log, log);
            self.log.append(later.into_owned());
        }
    }

    /// The session is used by this request no more.
    pub(crate) fn take_use(&mut self) -> Option<InUse> {
        self.stored.as_mut()?.in_use.take()
    }

    /// A login as somebody else that is not committed never was: the session is the old one.
    pub(crate) fn take_login_back(&mut self) {
        if let Some(old) = self.replaces.take() {
            self.last_id = Some(old.id());
            self.stored = Some(*old);
        }
    }
}

/// One request's part in its session. Layer, extractors, handles and the response future share it.
pub(crate) struct Cell {
    pub(crate) inner: Arc<Inner>,
    phase: AtomicU8,
    /// The request has asked and was not answered: its response depends on the token all the same.
    refused: AtomicBool,
    /// `None` until the request first asks for its session.
    state: Mutex<Option<State>>,
    /// One commit of this handle at a time.
    pub(crate) turn: futures_util::lock::Mutex<()>,
    /// The request came by https, as far as its URI says.
    pub(crate) https: bool,
    /// What is left in it is not committed once more: this is the late commit already.
    late: bool,
}

impl Cell {
    /// A request that has not asked yet.
    pub(crate) fn unloaded(inner: Arc<Inner>, https: bool) -> Self {
        Self {
            inner,
            phase: AtomicU8::new(Phase::Running as u8),
            refused: AtomicBool::new(false),
            state: Mutex::new(None),
            turn: futures_util::lock::Mutex::new(()),
            https,
            late: false,
        }
    }

    pub(crate) fn with_state(inner: Arc<Inner>, phase: Phase, state: State) -> Self {
        Self {
            inner,
            phase: AtomicU8::new(phase as u8),
            refused: AtomicBool::new(false),
            state: Mutex::new(Some(state)),
            turn: futures_util::lock::Mutex::new(()),
            https: false,
            late: false,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Running,
            1 => Phase::Sealed,
            2 => Phase::Released,
            _ => Phase::RolledBack,
        }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// Drops the changes unless the head is on its way already.
    pub(crate) fn roll_back(&self) {
        let moved = self.phase.compare_exchange(
            Phase::Running as u8,
            Phase::RolledBack as u8,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        if moved.is_ok()
            && let Some(state) = &mut *self.lock()
        {
            state.log = SharedLog::default();
            state.take_login_back();
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Option<State>> {
        // No user code runs under this lock, and every change under it is one assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn refuse(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }

    /// Whether the request has asked for its session in vain.
    pub(crate) fn was_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    pub(crate) fn is_loaded(&self) -> bool {
        self.lock().is_some()
    }

    /// Takes what was found for the request. Two extractors may have asked at once: they share what
    /// was first. Whether this was it.
    pub(crate) fn put(&self, found: impl FnOnce() -> State) -> bool {
        let mut state = self.lock();
        let first = state.is_none();
        if first {
            *state = Some(found());
        }
        first
    }

    /// Looks at the state of a request that has asked.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let now = Timestamp::EPOCH;
        look(state.get_or_insert_with(|| State::absent(Presented::None, now)))
    }

    /// Looks at a state that may be read.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> Result<T, Error> {
        if self.phase() == Phase::RolledBack {
            return Err(ErrorKind::RolledBack.into());
        }
        self.with(|state| match state.closed {
            Some(kind) => Err(kind.into()),
            None if state.destroy.is_some() => Err(ErrorKind::Ended.into()),
            None => Ok(look(state)),
        })
    }

    /// Changes a state that may be written.
    pub(crate) fn write<T>(
        &self,
        change: impl FnOnce(&mut State) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let phase = self.phase();
        if phase == Phase::RolledBack {
            return Err(ErrorKind::RolledBack.into());
        }
        self.with(|state| {
            if let Some(kind) = state.closed {
                return Err(kind.into());
            }
            if state.destroy.is_some() {
                return Err(ErrorKind::Ended.into());
            }
            if state.origin == Origin::Stale {
                return Err(ErrorKind::ReadOnly.into());
            }
            if state.stored.is_none() {
                if state.presented == Presented::Superseded {
                    return Err(ErrorKind::Superseded.into());
                }
                if phase != Phase::Running {
                    return Err(ErrorKind::HeadSent.into());
                }
            }
            change(state)
        })
    }

    /// As [`write`](Self::write), for changes that make no session: a handle without one takes
    /// them as done.
    pub(super) fn write_or_nothing<T>(
        &self,
        change: impl FnOnce(&mut State) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let absent =
            self.read(|state| state.stored.is_none() && state.presented != Presented::Superseded)?;
        if absent {
            self.with(change)
        } else {
            self.write(change)
        }
    }
}

impl Drop for Cell {
    /// What is left in the last clone of a handle is committed late, on a tracked task; a destroy
    /// that was not performed is performed, whatever came after it.
    fn drop(&mut self) {
        // A late commit that has failed, or that no runtime takes, is lost: it is not begun anew.
        if self.late {
            return;
        }
        let rolled_back = self.phase() == Phase::RolledBack;
        let slot = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some(state) = slot else { return };
        if rolled_back || self.phase.load(Ordering::Acquire) == Phase::Running as u8 {
            state.log = SharedLog::default();
        }
        let has_work = state.destroy.is_some() || (state.stored.is_some() && !state.log.is_empty());
        if !has_work || state.closed.is_some() {
            return;
        }
        if let Some(stored) = &mut state.stored {
            stored.in_use = None;
        }
        let Some(state) = slot.take() else { return };
        let mut cell = Self::with_state(Arc::clone(&self.inner), Phase::Released, state);
        cell.late = true;
        crate::commit::late(Arc::new(cell));
    }
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cell")
            .field("phase", &self.phase())
            .finish_non_exhaustive()
    }
}
