use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cloakroom_core::{Clock, SessionId, Timestamp};
use http::StatusCode;

use crate::Session;
use crate::cache::{Coherent, Flights, Generations, InUse, L1, Negative, Reader, Resident, View};
use crate::config::Config;
use crate::erased::Store;
use crate::events::Events;
use crate::housekeeper::Housekeeper;
use crate::record::Head;
use crate::stats::Stats;
use crate::tasks::Tasks;
use crate::tombstones::Tombstones;
use crate::transport::Transports;

/// A refusal of the `on_create` hook.
///
/// ```
/// use cloakroom::Refusal;
///
/// assert_eq!(Refusal::status(http::StatusCode::FORBIDDEN).code(), 403);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal(pub(crate) StatusCode);

impl Refusal {
    /// The request is answered with this status; nothing is stored and no cookie is sent.
    #[must_use]
    pub const fn status(status: StatusCode) -> Self {
        Self(status)
    }

    /// The status.
    #[must_use]
    pub const fn code(self) -> StatusCode {
        self.0
    }
}

impl Default for Refusal {
    /// 500, as Jarvis answers when its `SessionInitFn` fails.
    fn default() -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

pub(crate) type OnCreate =
    Arc<dyn Fn(Session) -> Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send>> + Send + Sync>;

/// What layer, services, manager and handles share.
pub(crate) struct Inner {
    pub(crate) store: Arc<Store>,
    pub(crate) config: Config,
    pub(crate) clock: Box<dyn Clock>,
    pub(crate) transports: Transports,
    pub(crate) l1: L1,
    pub(crate) flights: Flights,
    pub(crate) generations: Arc<Generations>,
    pub(crate) negative: Negative,
    pub(crate) coherent: Coherent,
    pub(crate) stats: Arc<Stats>,
    pub(crate) events: Arc<Events>,
    pub(crate) tasks: Tasks,
    pub(crate) on_create: Option<OnCreate>,
    pub(crate) housekeeper: Housekeeper,
    pub(crate) shortest_idle: ShortestIdle,
    pub(crate) tombstones: Tombstones,
    /// Several layers share this manager's sessions under scopes of their own.
    pub(crate) scoped: AtomicBool,
    pub(crate) shadowed: AtomicBool,
    /// The store heeds a save that leaves the times as they are.
    pub(crate) leaves_times: bool,
}

impl Inner {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether there are sessions at all.
    pub(crate) fn is_disabled(&self) -> bool {
        self.config.times.idle == crate::Timeout::Disabled
    }

    /// Whether a request without a session is given one though it asks for nothing.
    pub(crate) fn makes_eager(&self) -> bool {
        self.config.eager || self.config.save_on_create
    }

    pub(crate) fn is_scoped(&self) -> bool {
        self.scoped.load(Ordering::Relaxed)
    }

    /// Two layers with the same tag and different managers: the inner one wins.
    pub(crate) fn warn_of_shadowing(&self) {
        if !self.shadowed.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "two session layers with the same tag are nested: the inner one wins; give one a \
                 tag of its own to reach both"
            );
        }
    }

    /// What a load needs beside the id.
    pub(crate) fn reader(&self, now: Timestamp) -> Reader {
        Reader {
            store: Arc::clone(&self.store),
            generations: Arc::clone(&self.generations),
            stats: Arc::clone(&self.stats),
            epoch: self.coherent.epoch(),
            now,
        }
    }

    /// A request uses the session from here on. The use is counted first, so that the keep-alive
    /// timer either counts it in its round or is woken.
    pub(crate) fn use_session(&self, resident: &Arc<Resident>, head: &Head) -> InUse {
        let in_use = InUse::new(resident);
        self.watch(head);
        in_use
    }

    /// A session in use has this idle timeout: the keep-alive timer must come round in time.
    pub(crate) fn watch(&self, head: &Head) {
        if let Some(idle) = self.config.times.idle_of(head)
            && self.shortest_idle.see(idle)
        {
            self.housekeeper.wake_keeper();
        }
    }

    /// Runs the housekeeper if it does not run: one atomic load as a rule.
    pub(crate) fn keep_house(self: &Arc<Self>) {
        if !self.housekeeper.is_running() && !self.is_disabled() {
            crate::housekeeper::start(self);
        }
    }

    /// The session is not what L1 holds any more: running loads do not count, and nobody uses the
    /// copy unasked.
    pub(crate) fn forget(&self, id: SessionId) {
        self.generations.raise(id);
        if let Some(resident) = self.l1.find(id) {
            resident.distrust();
        }
        self.l1.evict(id);
    }

    /// Whether a use at `now` is to be recorded.
    pub(crate) fn touch_is_due(&self, id: SessionId, view: &View, now: Timestamp) -> bool {
        let [.., spread] = *id.as_bytes();
        let head = &view.snapshot.head;
        self.config
            .times
            .touch_is_due(head, view.times, now, spread)
    }

    /// Counts and reports a failed store call.
    pub(crate) fn store_failed(&self, call: &'static str, error: &dyn std::error::Error) {
        self.stats.store_errors.add();
        tracing::warn!(call, %error, "session store call failed");
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("config", &self.config)
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// The shortest idle timeout among the sessions that were in use lately: the keep-alive timer must
/// come round within half of it.
#[derive(Debug)]
pub(crate) struct ShortestIdle(AtomicU64);

impl ShortestIdle {
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }

    /// Whether `idle` is the shortest so far.
    pub(crate) fn see(&self, idle: Duration) -> bool {
        let millis = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
        millis < self.0.load(Ordering::Relaxed)
            && self.0.fetch_min(millis, Ordering::AcqRel) > millis
    }

    pub(crate) fn get(&self) -> Option<Duration> {
        match self.0.load(Ordering::Acquire) {
            u64::MAX => None,
            millis => Some(Duration::from_millis(millis)),
        }
    }

    pub(crate) fn reset(&self) {
        self.0.store(u64::MAX, Ordering::Release);
    }
}
