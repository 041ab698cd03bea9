use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use cloakroom_core::{Secret, SessionId, Stamp, Times, Timestamp};

use tokio::sync::Notify;

use super::Deferred;
use super::l1::Table;
use crate::record::Snapshot;
use crate::session::ChangeLog;

/// When and under which conditions a copy was last known to equal the store's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) epoch: u64,
    pub(crate) at: Timestamp,
    /// A notice said that the store has something else.
    pub(crate) stale: bool,
}

/// One session on this node: however many requests hold it, there is one copy and one queue of
/// commits.
pub(crate) struct Resident {
    id: SessionId,
    held: Mutex<Held>,
    users: AtomicU32,
    /// There are changes that wait for the last request to leave.
    has_deferred: AtomicBool,
    /// A request is recording its use.
    touching: AtomicBool,
    /// When the last use ended, in milliseconds.
    left_at: AtomicU64,
    /// How many residents had been made when moka last heard of a use; [`RELEASED`] or [`OUT`] once L1
    /// has let go of it.
    told: AtomicU64,
    /// Commits of one session on one node queue up instead of fighting. Reads never take it.
    /// Made by the first commit.
    turn: OnceLock<Box<futures_util::lock::Mutex<()>>>,
    /// Its entry there goes when the resident is dropped; `None` with L1 off.
    table: Option<Arc<Table>>,
}

/// L1 has let go of it, and it is held: it leaves with the last use.
const RELEASED: u64 = u64::MAX - 1;

/// It has left L1, which is counted and told. moka may keep the memory for a while.
const OUT: u64 = u64::MAX;

struct Held {
    snapshot: Arc<Snapshot>,
    times: Times,
    seen: Seen,
    /// The secret that was verified against this snapshot, so that a hit needs no hashing.
    secret: Option<Secret>,
    /// The nonce of a write of ours that is under way, or 0: its notice is no news.
    announced: u64,
    /// When this node last sent the token, if that is later than what the head says.
    sent_at: Timestamp,
    deferred: Option<Box<Deferred>>,
}

impl Held {
    /// The copy as requests see it: what was deferred counts as done.
    fn shown(&self) -> View {
        let snapshot = match &self.deferred {
            Some(deferred) => &deferred.provisional,
            None => &self.snapshot,
        };
        View {
            snapshot: Arc::clone(snapshot),
            times: self.times,
            seen: self.seen,
        }
    }
}

/// What one look at a resident shows.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) times: Times,
    pub(crate) seen: Seen,
}

impl Resident {
    pub(super) fn new(
        id: SessionId,
        view: View,
        secret: Option<Secret>,
        table: Option<Arc<Table>>,
    ) -> Self {
        let View {
            snapshot,
            times,
            seen,
        } = view;
        // When the token was sent with a touch is not stored; the touch is.
        let sent_at = snapshot.head.sent_at.max(times.used_at);
        Self {
            id,
            held: Mutex::new(Held {
                snapshot,
                times,
                seen,
                secret,
                announced: 0,
                sent_at,
                deferred: None,
            }),
            users: AtomicU32::new(0),
            has_deferred: AtomicBool::new(false),
            touching: AtomicBool::new(false),
            left_at: AtomicU64::new(seen.at.as_millis()),
            told: AtomicU64::new(OUT),
            turn: OnceLock::new(),
            table,
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing that runs under this lock can panic half-way through a change.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn id(&self) -> SessionId {
        self.id
    }

    /// It is in L1, and moka has heard of a use when so many residents had been made; whether it was
    /// outside before.
    pub(super) fn enter(&self, made: u64) -> bool {
        self.told.swap(made, Ordering::AcqRel) == OUT
    }

    /// How many residents were made since moka heard of a use; none if L1 has let go of it.
    pub(super) fn newcomers(&self, made: u64) -> Option<u64> {
        match self.told.load(Ordering::Relaxed) {
            RELEASED | OUT => None,
            told => Some(made.saturating_sub(told)),
        }
    }

    pub(super) fn is_out(&self) -> bool {
        self.told.load(Ordering::Relaxed) == OUT
    }

    /// L1 lets go of it: it leaves at once, or when nobody holds it any more.
    pub(super) fn let_go(&self) {
        let to_released = |told| (told != OUT).then_some(RELEASED);
        let (set, get) = (Ordering::AcqRel, Ordering::Acquire);
        if self.told.fetch_update(set, get, to_released).is_ok() {
            self.leave_if_released();
        }
    }

    /// What slips through here between two threads leaves when it is dropped.
    fn leave_if_released(&self) {
        if self.told.load(Ordering::Acquire) != RELEASED || self.is_held() {
            return;
        }
        let (set, get) = (Ordering::AcqRel, Ordering::Acquire);
        if self.told.compare_exchange(RELEASED, OUT, set, get).is_ok()
            && let Some(table) = &self.table
        {
            table.left(self.id);
        }
    }

    pub(crate) fn view(&self) -> View {
        let held = self.held();
        View {
            snapshot: Arc::clone(&held.snapshot),
            times: held.times,
            seen: held.seen,
        }
    }

    /// Looks at the copy, and whether `secret` opens it.
    pub(crate) fn admit(&self, secret: &Secret) -> (View, bool) {
        let held = self.held();
        let view = held.shown();
        if let Some(known) = &held.secret {
            let admitted = known == secret;
            return (view, admitted);
        }
        drop(held);
        let admitted = view.snapshot.head.digest.matches(secret);
        if admitted {
            self.remember(secret, &view.snapshot);
        }
        (view, admitted)
    }

    /// Keeps a secret that was verified against `snapshot`.
    pub(crate) fn remember(&self, secret: &Secret, snapshot: &Arc<Snapshot>) {
        let mut held = self.held();
        if held.snapshot.head.digest == snapshot.head.digest {
            held.secret = Some(secret.clone());
        }
    }

    /// Takes what the store was seen to hold; whether its size is another now.
    pub(crate) fn install(&self, view: View, secret: Option<&Secret>) -> bool {
        self.install_if(|| true, view, secret)
    }

    /// As [`install`](Self::install), if `is_fresh` says so under the lock.
    pub(super) fn install_if(
        &self,
        is_fresh: impl FnOnce() -> bool,
        view: View,
        secret: Option<&Secret>,
    ) -> bool {
        let mut held = self.held();
        if !is_fresh() {
            return false;
        }
        let has_other_size = held.snapshot.body.len() != view.snapshot.body.len();
        match secret {
            Some(secret) => held.secret = Some(secret.clone()),
            None if held.snapshot.head.digest != view.snapshot.head.digest => held.secret = None,
            None => {}
        }
        held.sent_at = held.sent_at.max(view.snapshot.head.sent_at);
        match &mut held.deferred {
            Some(deferred) if deferred.login_seq == view.snapshot.head.login_seq => {
                deferred.show_on(&view.snapshot);
            }
            // Somebody has signed in since: nobody sees them any more, and their flush drops them.
            Some(deferred) => deferred.provisional = Arc::clone(&view.snapshot),
            None => {}
        }
        // Dropped when the lock is free.
        let _old = std::mem::replace(&mut held.snapshot, view.snapshot);
        held.times = view.times;
        held.seen = view.seen;
        held.announced = 0;
        drop(held);
        has_other_size
    }

    /// The store still holds `stamp`, and these `times`: the copy is current as of `seen`. It had
    /// the times `before` when the store was asked.
    pub(crate) fn confirm(&self, stamp: Stamp, times: Times, seen: Seen, before: Times) {
        let mut held = self.held();
        if held.snapshot.stamp == stamp {
            // What this node has touched since it asked is later than the answer, which would make
            // another touch due.
            if held.times == before {
                held.times = times;
            }
            held.seen = seen;
        }
    }

    pub(crate) fn has_deferred(&self) -> bool {
        self.has_deferred.load(Ordering::Acquire)
    }

    /// The copy as requests see it.
    pub(crate) fn shown(&self) -> View {
        self.held().shown()
    }

    /// Keeps changes for later; what tells of the last exit, if none were kept before.
    pub(crate) fn defer(&self, log: ChangeLog) -> Option<Arc<Notify>> {
        let mut held = self.held();
        let on = Arc::clone(&held.snapshot);
        if let Some(deferred) = &mut held.deferred {
            deferred.append(log, &on);
            return None;
        }
        let deferred = Deferred::new(log, &on);
        let exit = Arc::clone(&deferred.exit);
        held.deferred = Some(Box::new(deferred));
        self.has_deferred.store(true, Ordering::Release);
        Some(exit)
    }

    /// The login under which the changes that wait were recorded.
    pub(crate) fn deferred_login(&self) -> Option<u32> {
        self.held()
            .deferred
            .as_ref()
            .map(|deferred| deferred.login_seq)
    }

    /// The changes that wait, recorded under this login.
    pub(crate) fn deferred(&self, login_seq: u32) -> Option<ChangeLog> {
        if !self.has_deferred.load(Ordering::Acquire) {
            return None;
        }
        let held = self.held();
        let deferred = held.deferred.as_ref()?;
        (deferred.login_seq == login_seq).then(|| deferred.log.clone())
    }

    /// The changes are stored, or lost.
    pub(crate) fn clear_deferred(&self) {
        if self.has_deferred.swap(false, Ordering::AcqRel)
            && let Some(deferred) = self.held().deferred.take()
        {
            // Whoever waits to store them need not.
            deferred.exit.notify_one();
            self.leave_if_released();
        }
    }

    /// Lets waiting changes be stored now.
    pub(crate) fn wake_deferred(&self) {
        if self.has_deferred.load(Ordering::Acquire)
            && let Some(deferred) = &self.held().deferred
        {
            deferred.exit.notify_one();
        }
    }

    /// One use less; whether it was the last.
    fn exit(&self) -> bool {
        let last = self.users.fetch_sub(1, Ordering::AcqRel) == 1;
        if last {
            self.wake_deferred();
            self.leave_if_released();
        }
        last
    }

    /// A touch of this node was stored.
    pub(crate) fn touched(&self, stamp: Stamp, times: Times) {
        let mut held = self.held();
        if held.snapshot.stamp == stamp {
            held.times = held.times.forward(times);
        }
    }

    /// Whoever is given this may touch; nobody else until it is dropped.
    pub(crate) fn claim_touch(&self) -> Option<TouchClaim<'_>> {
        let taken = self.touching.swap(true, Ordering::AcqRel);
        // Made only if it is given: dropping one ends the claim.
        (!taken).then(|| TouchClaim(&self.touching))
    }

    pub(crate) fn announce(&self, stamp: Stamp) {
        self.held().announced = stamp.nonce;
    }

    /// The store says that it holds `stamp` now (`None`: that the session has ended). Returns
    /// whether that is news.
    pub(crate) fn notice(&self, stamp: Option<Stamp>) -> bool {
        let mut held = self.held();
        let is_ours = |stamp: Stamp| stamp.nonce == held.announced && stamp.nonce != 0;
        let known = stamp.is_some_and(|stamp| stamp == held.snapshot.stamp || is_ours(stamp));
        held.seen.stale |= !known;
        !known
    }

    /// Makes the next use ask the store.
    pub(crate) fn distrust(&self) {
        self.held().seen.stale = true;
    }

    pub(crate) fn sent_at(&self) -> Timestamp {
        self.held().sent_at
    }

    pub(crate) fn token_sent(&self, now: Timestamp) {
        self.held().sent_at = now;
    }

    pub(crate) fn turn(&self) -> &futures_util::lock::Mutex<()> {
        self.turn.get_or_init(Box::default)
    }

    pub(crate) fn is_in_use(&self) -> bool {
        self.users.load(Ordering::Acquire) > 0
    }

    /// Whether it stays findable though L1 has let go of it.
    pub(crate) fn is_held(&self) -> bool {
        self.is_in_use() || self.has_deferred()
    }

    pub(crate) fn left_at(&self) -> Timestamp {
        Timestamp::from_millis(self.left_at.load(Ordering::Relaxed))
    }

    pub(crate) fn payload_bytes(&self) -> usize {
        self.held().snapshot.body.len()
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        if let Some(table) = self.table.take() {
            if *self.told.get_mut() != OUT {
                table.left(self.id);
            }
            table.forget(self.id);
        }
    }
}

impl fmt::Debug for Resident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resident")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// See [`Resident::claim_touch`].
pub(crate) struct TouchClaim<'a>(&'a AtomicBool);

impl Drop for TouchClaim<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// A session in use, from its load until the response head is released. Ownership does the
/// counting: however a request ends, dropping this ends the use.
#[derive(Debug)]
pub(crate) struct InUse(Option<Arc<Resident>>);

impl InUse {
    pub(crate) fn new(resident: &Arc<Resident>) -> Self {
        resident.users.fetch_add(1, Ordering::AcqRel);
        Self(Some(Arc::clone(resident)))
    }

    /// Ends the use at `now`; the session's id if it was the last one.
    pub(crate) fn leave(mut self, now: Timestamp) -> Option<SessionId> {
        let resident = self.0.take()?;
        resident.left_at.store(now.as_millis(), Ordering::Relaxed);
        resident.exit().then(|| resident.id())
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        if let Some(resident) = self.0.take() {
            resident.exit();
        }
    }
}
