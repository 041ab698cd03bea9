use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cloakroom_core::Timestamp;

use super::{SharedLog, State};
use crate::inner::Inner;
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
    /// The request came by https, as far as is known; false where no cookie asks.
    pub(crate) https: bool,
    /// What is left in it is not committed once more: this is the late commit already.
    late: bool,
    /// What the `on_create` hook is given: it cannot commit what is not stored yet.
    pub(crate) is_hooks: bool,
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
            is_hooks: false,
        }
    }

    /// A session that does not exist yet, for the `on_create` hook.
    pub(crate) fn for_hook(inner: Arc<Inner>, state: State) -> Self {
        let mut cell = Self::with_state(inner, Phase::Running, state);
        cell.is_hooks = true;
        cell
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
            is_hooks: false,
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

    /// Moves on if the request is where it is thought to be; whether it was. For who holds the lock:
    /// calls on the handle look at the phase under it.
    pub(crate) fn advance(&self, from: Phase, to: Phase) -> bool {
        let (from, to) = (from as u8, to as u8);
        let moved = self
            .phase
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        moved.is_ok()
    }

    /// Whether the request has not asked for its session. If so its head leaves: who asks from here
    /// on comes after it.
    pub(crate) fn leave_unasked(&self) -> bool {
        let unasked = self.lock().is_none();
        if unasked {
            self.advance(Phase::Running, Phase::Released);
        }
        unasked
    }

    /// Drops the changes unless the head is on its way already.
    pub(crate) fn roll_back(&self) {
        let mut slot = self.lock();
        if self.advance(Phase::Running, Phase::RolledBack)
            && let Some(state) = &mut *slot
        {
            state.dropped = !state.log.is_empty();
            state.log = SharedLog::default();
            state.take_login_back();
        }
    }

    /// The thread that holds a handle panics: it has not finished what it wanted to store. A commit
    /// that has begun goes on.
    pub(super) fn roll_back_by_panic(&self) {
        self.roll_back();
        let mut slot = self.lock();
        if self.advance(Phase::Released, Phase::RolledBack)
            && let Some(state) = &mut *slot
        {
            state.log = SharedLog::default();
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
        let mut slot = self.lock();
        let first = slot.is_none();
        if first {
            let state = slot.insert(found());
            if self.phase() != Phase::Running {
                // The head has left: nothing would end the use.
                drop(state.take_use());
            }
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
        self.with(|state| {
            let phase = self.phase();
            state.check_readable(phase)?;
            if phase == Phase::Released {
                self.note_use(state);
            }
            Ok(look(state))
        })
    }

    /// A handle that has outlived its response counts as a use when it reads.
    fn note_use(&self, state: &mut State) {
        let Some(stored) = state.stored.as_mut().filter(|_| !self.late) else {
            return;
        };
        let now = self.inner.now();
        let [.., spread] = *stored.id().as_bytes();
        let head = &stored.snapshot.head;
        let times = &self.inner.config.times;
        if state.origin != Origin::Stale && times.touch_is_due(head, stored.times, now, spread) {
            // Whatever comes of it, the next one is due an interval later.
            stored.times.used_at = now;
            crate::commit::touch_late(&self.inner, &stored.resident, stored.login_seq, now);
        }
    }

    /// Changes a state that may be written.
    pub(crate) fn write<T>(
        &self,
        change: impl FnOnce(&mut State) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.with(|state| {
            let phase = self.phase();
            state.check_readable(phase)?;
            state.check_writable(phase)?;
            change(state)
        })
    }

    /// As [`write`](Self::write), for what the response must tell the client.
    pub(super) fn write_before_head<T>(
        &self,
        change: impl FnOnce(&mut State) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.with(|state| {
            let phase = self.phase();
            state.check_readable(phase)?;
            if phase != Phase::Running {
                return Err(ErrorKind::HeadSent.into());
            }
            state.check_writable(phase)?;
            change(state)
        })
    }

    /// As [`write`](Self::write), for changes that make no session: a handle without one takes
    /// them as done.
    pub(super) fn write_or_nothing<T>(
        &self,
        change: impl FnOnce(&mut State) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.with(|state| {
            let phase = self.phase();
            state.check_readable(phase)?;
            if state.stored.is_some() || state.presented == Presented::Superseded {
                state.check_writable(phase)?;
            }
            change(state)
        })
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
