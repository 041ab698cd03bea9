//! Builds a layer: the settings, their checks, and the putting together.

mod build;
mod check;
mod contradiction;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::{Clock, SessionStore, SystemClock};
use http::StatusCode;

use crate::config::{Config, TimePolicy, TwoSessions};
use crate::erased::Store;
use crate::inner::OnCreate;
use crate::slot::{Plain, Slot};
use crate::{
    Cache, Coherence, CommitAt, Event, OnShutdown, OnUnreadable, Refusal, Schedule, Session,
    SessionCookie, SessionHeader, Timeout,
};

pub use self::check::BuildError;
pub use self::contradiction::Contradiction;

type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

/// Builds a [`SessionLayer`](crate::SessionLayer). Every setter consumes and returns the builder; what is wrong is told
/// by [`build`](Self::build).
pub struct SessionLayerBuilder {
    store: Box<dyn FnOnce(Duration) -> Store>,
    clock: Box<dyn Clock>,
    pub(crate) ways: Vec<Way>,
    pub(crate) coherence: Option<Coherence>,
    pub(crate) poll: Schedule,
    pub(crate) purge: Schedule,
    pub(crate) outcome_header: Option<String>,
    pub(crate) config: Config,
    on_create: Option<OnCreate>,
    listeners: Vec<Listener>,
    slot: Slot,
}

/// A way of the token, in the order in which they were added.
pub(crate) enum Way {
    Cookie(SessionCookie),
    Header(SessionHeader),
}

impl SessionLayerBuilder {
    pub(crate) fn new(store: impl SessionStore) -> Self {
        let minute = Duration::from_mins(1);
        let times = TimePolicy {
            idle: Timeout::After(30 * minute),
            absolute: Timeout::After(12 * 60 * minute),
            touch_interval: None,
            retention: 60 * minute,
        };
        Self {
            store: Box::new(|timeout| Store::new(store, timeout)),
            clock: Box::new(SystemClock::default()),
            ways: Vec::new(),
            coherence: None,
            poll: Schedule::every(minute),
            purge: Schedule::every(minute),
            outcome_header: None,
            config: Config::new(times, minute),
            on_create: None,
            listeners: Vec::new(),
            slot: Slot::of::<Plain>(crate::session::Scope::default()),
        }
    }

    /// Carries the token in this cookie. Cookies and headers are asked in the order in which they
    /// were added; a new token is sent by the first. Default: [`SessionCookie::default`] alone.
    /// Jarvis' `SessionUseCookie` and `SessionIdHeader`.
    #[must_use]
    pub fn cookie(mut self, cookie: SessionCookie) -> Self {
        self.ways.push(Way::Cookie(cookie));
        self
    }

    /// Carries the token in this header; see [`cookie`](Self::cookie).
    #[must_use]
    pub fn header(mut self, header: SessionHeader) -> Self {
        self.ways.push(Way::Header(header));
        self
    }

    /// How long a session lasts without use. Default: 30 min. Jarvis' `SessionTimeout`, Jetty's
    /// `maxInactiveInterval`.
    #[must_use]
    pub fn idle_timeout(mut self, idle: impl Into<Timeout>) -> Self {
        self.config.times.idle = idle.into();
        self
    }

    /// How long a session lasts in all, counted from its creation or the last login. Default: 12 h.
    #[must_use]
    pub fn absolute_timeout(mut self, absolute: impl Into<Timeout>) -> Self {
        self.config.times.absolute = absolute.into();
        self
    }

    /// The longest time by which a use stays unrecorded. Default: a twelfth of the idle timeout, at
    /// most 5 min. Zero: every use writes, and the idle timeout is exact. Jetty's `savePeriod`.
    #[must_use]
    pub fn touch_interval(mut self, interval: Duration) -> Self {
        self.config.times.touch_interval = Some(interval);
        self
    }

    /// How long it is remembered how a session ended. Default: 1 h; zero keeps nothing. Jarvis'
    /// `SessionCleanupTime`.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.config.times.retention = retention;
        self
    }

    /// The most ended sessions that are remembered at one time, within their retention: beyond that
    /// the oldest are forgotten early, and are then unknown. Default: 100,000; zero keeps
    /// nothing, as a [`retention`](Self::retention) of zero does.
    ///
    /// So nobody can fill the store by signing in and out. Counted are the sessions that this manager
    /// has ended, or whose time-out it has reported, since its start: each node has its own share.
    /// While there are too many, each ending costs one call to the store more. A store that lets rows
    /// go by itself ([`Expiry::Native`](crate::Expiry::Native)) also keeps sessions that timed out
    /// and that nobody came back to; those are bounded by the retention alone.
    ///
    /// ```
    /// use cloakroom::{MemoryStore, SessionLayer};
    ///
    /// let layer = SessionLayer::builder(MemoryStore::new()).max_tombstones(1_000).build().unwrap();
    /// assert_eq!(layer.manager().stats().forgotten, 0);
    /// ```
    #[must_use]
    pub fn max_tombstones(mut self, max: usize) -> Self {
        self.config.max_tombstones = max;
        self
    }

    /// How long a replaced secret is told apart from an unknown one. Default: 60 s.
    #[must_use]
    pub fn superseded_window(mut self, window: Duration) -> Self {
        self.config.superseded_window = window;
        self
    }

    /// The bounds of L1. Default: 10,000 sessions.
    #[must_use]
    pub fn cache(mut self, cache: Cache) -> Self {
        self.config.cache = cache;
        self
    }

    /// How copies in L1 are kept current. Default: by the store.
    #[must_use]
    pub fn coherence(mut self, coherence: Coherence) -> Self {
        self.coherence = Some(coherence);
        self
    }

    /// When the poll job runs. Default: every 60 s. Jarvis' `SessionPollingTime`.
    #[must_use]
    pub fn poll(mut self, schedule: Schedule) -> Self {
        self.poll = schedule;
        self
    }

    /// When the purge job runs. Default: every 60 s. Stalwart's purge schedule, Jetty's
    /// `HouseKeeper` interval.
    #[must_use]
    pub fn purge(mut self, schedule: Schedule) -> Self {
        self.purge = schedule;
        self
    }

    /// When changes are written. Default: before the response head is released.
    #[must_use]
    pub fn commit_at(mut self, at: CommitAt) -> Self {
        self.config.commit_at = at;
        self
    }

    /// Whether a 5xx response commits its changes instead of rolling them back. Default: no.
    #[must_use]
    pub fn commit_on_server_error(mut self, commit: bool) -> Self {
        self.config.commit_on_server_error = commit;
        self
    }

    /// Whether an absent session is created when it is first asked for. **Every visitor then costs
    /// a row.** Default: no. Jarvis' behaviour.
    #[must_use]
    pub fn eager(mut self, eager: bool) -> Self {
        self.config.eager = eager;
        self
    }

    /// As [`eager`](Self::eager), and the session is stored, and found by other nodes, before the
    /// handler goes on. Default: no. Jetty's `saveOnCreate`.
    #[must_use]
    pub fn save_on_create(mut self, save: bool) -> Self {
        self.config.save_on_create = save;
        self
    }

    /// What a shutdown does to the sessions. Default: [`OnShutdown::Flush`].
    #[must_use]
    pub fn on_shutdown(mut self, on_shutdown: OnShutdown) -> Self {
        self.config.on_shutdown = on_shutdown;
        self
    }

    /// What happens to a record that cannot be decoded. Default: [`OnUnreadable::Replace`].
    #[must_use]
    pub fn on_unreadable(mut self, on_unreadable: OnUnreadable) -> Self {
        self.config.on_unreadable = on_unreadable;
        self
    }

    /// Serves a read-only copy of at most this age while the store is down. Default: off, so that
    /// such requests are answered with 503.
    #[must_use]
    pub fn stale_if_error(mut self, at_most: Duration) -> Self {
        self.config.stale_if_error = Some(at_most);
        self
    }

    /// How long a store may take to answer before it counts as unavailable. Default: 2 s.
    #[must_use]
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.config.store_timeout = timeout;
        self
    }

    /// This node's name, kept in the records that it writes: 1 to 32 of `[A-Za-z0-9_-]`. Default:
    /// none. Jetty's worker name.
    #[must_use]
    pub fn node(mut self, name: impl Into<Box<str>>) -> Self {
        self.config.node = Some(name.into());
        self
    }

    /// Whether tokens carry the node's name as `.name`, for balancers that keep a client on its
    /// node. Default: no.
    #[must_use]
    pub fn affinity(mut self, affinity: bool) -> Self {
        self.config.affinity = affinity;
        self
    }

    /// The greatest size of a session's attributes, encoded, in bytes. Default: 1 MiB.
    #[must_use]
    pub fn max_bytes(mut self, max: usize) -> Self {
        self.config.max_bytes = max;
        self
    }

    /// Whether [`CookieSecure::ByScheme`](crate::CookieSecure::ByScheme) believes the request headers
    /// `Forwarded` ([RFC 7239]) and `X-Forwarded-Proto`. Default: no. Jetty's
    /// `ForwardedRequestCustomizer`.
    ///
    /// For a server behind a proxy that ends TLS, and only where that proxy sets or removes **both**
    /// headers: what it lets through, every client can write. The last value counts, which is what the
    /// proxy nearest to this server has said; `https` in either header is believed. A
    /// [`ClientScheme`](crate::ClientScheme) in the request's extensions needs no such trust, and goes
    /// before.
    ///
    /// [RFC 7239]: https://www.rfc-editor.org/rfc/rfc7239#section-5.4
    #[must_use]
    pub fn trust_forwarded_proto(mut self, trust: bool) -> Self {
        self.config.trust_forwarded_proto = trust;
        self
    }

    /// The status of a response whose commit met too many conflicts. Default: 500; 409 is the other
    /// sensible one.
    #[must_use]
    pub fn conflict_status(mut self, status: StatusCode) -> Self {
        self.config.conflict_status = status;
        self
    }

    /// What happens to a request with two different live sessions. Default: refused with 400.
    #[must_use]
    pub fn two_sessions(mut self, policy: TwoSessions) -> Self {
        self.config.two_sessions = policy;
        self
    }

    /// Tells the client in a response header of this name what its token was found to be, in the
    /// words of [`Presented::as_str`](crate::Presented::as_str), on every response that looked at
    /// the session. Default: none. For Jarvis' clients, which want to know that they timed out.
    #[must_use]
    pub fn outcome_header(mut self, name: impl Into<String>) -> Self {
        self.outcome_header = Some(name.into());
        self
    }

    /// The status with which [`LiveSession`](crate::LiveSession) answers a session that has timed
    /// out. Default: 440, as IIS has it.
    #[must_use]
    pub fn timed_out_status(mut self, status: StatusCode) -> Self {
        self.config.timed_out_status = status;
        self
    }

    /// A hook that runs for each new session, before it is stored and on top of the handler's
    /// changes; it may add attributes, or refuse. Jarvis' `SessionInitFn`.
    ///
    /// ```
    /// use cloakroom::{MemoryStore, Refusal, Session, SessionLayer};
    ///
    /// let layer = SessionLayer::builder(MemoryStore::new())
    ///     .on_create(async |session: Session| {
    ///         session.insert("theme", "dark").map_err(|_| Refusal::default())
    ///     })
    ///     .build();
    /// assert!(layer.is_ok());
    /// ```
    #[must_use]
    pub fn on_create<F, R>(mut self, hook: F) -> Self
    where
        F: Fn(Session) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), Refusal>> + Send + 'static,
    {
        self.on_create = Some(Arc::new(move |session| Box::pin(hook(session))));
        self
    }

    /// A listener, called after the fact for each event. It must be quick; one that panics hurts
    /// nobody. Jetty's `HttpSessionListener` and its relatives.
    #[must_use]
    pub fn listener(mut self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.listeners.push(Arc::new(listener));
        self
    }

    /// Hands the session on as [`Tagged<T>`](crate::Tagged), beside the [`Session`] of another
    /// layer.
    #[must_use]
    pub fn tag<T: 'static>(mut self) -> Self {
        self.slot = self.slot.retag::<T>();
        self
    }

    /// Where the present comes from. Default: the system's clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Box::new(clock);
        self
    }
}

impl std::fmt::Debug for SessionLayerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionLayerBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
