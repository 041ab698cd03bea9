use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use cloakroom_core::{Clock, Reach, SessionStore, SystemClock, Token};
use http::StatusCode;

use crate::cache::{Coherent, Flights, Generations, L1, Negative};
use crate::config::{Config, TimePolicy, TwoSessions};
use crate::erased::Store;
use crate::events::Events;
use crate::housekeeper::Housekeeper;
use crate::inner::{Inner, OnCreate, ShortestIdle};
use crate::slot::{Plain, Slot};
use crate::transport::{CookieError, HeaderError, Transport, Transports};
use crate::{
    Cache, Coherence, CommitAt, Event, OnShutdown, OnUnreadable, Refusal, Schedule, Session,
    SessionCookie, SessionHeader, SessionLayer, Timeout,
};

/// Why a layer cannot be built; its text says how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A browser would refuse the cookie.
    #[error(transparent)]
    Cookie(#[from] CookieError),
    /// The header cannot carry a token.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A setting is out of its range.
    #[error("{setting} is {given}: {allowed}")]
    Setting {
        /// The builder's method.
        setting: &'static str,
        /// What was given.
        given: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// Two settings, or a setting and the store, contradict each other.
    #[error("{0}")]
    Contradiction(&'static str),
}

type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

/// Builds a [`SessionLayer`]. Every setter consumes and returns the builder; what is wrong is told
/// by [`build`](Self::build).
pub struct SessionLayerBuilder {
    store: Box<dyn FnOnce(Duration) -> Store>,
    clock: Box<dyn Clock>,
    cookies_and_headers: Vec<Way>,
    times: TimePolicy,
    superseded_window: Duration,
    cache: Cache,
    coherence: Option<Coherence>,
    poll: Schedule,
    purge: Schedule,
    commit_at: CommitAt,
    commit_on_server_error: bool,
    save_on_create: bool,
    eager: bool,
    on_shutdown: OnShutdown,
    on_unreadable: OnUnreadable,
    stale_if_error: Option<Duration>,
    store_timeout: Duration,
    node: Option<Box<str>>,
    affinity: bool,
    max_bytes: usize,
    conflict_status: StatusCode,
    two_sessions: TwoSessions,
    on_create: Option<OnCreate>,
    listeners: Vec<Listener>,
    slot: Slot,
}

enum Way {
    Cookie(SessionCookie),
    Header(SessionHeader),
}

impl SessionLayerBuilder {
    pub(crate) fn new(store: impl SessionStore) -> Self {
        let minute = Duration::from_secs(60);
        Self {
            store: Box::new(|timeout| Store::new(store, timeout)),
            clock: Box::new(SystemClock::default()),
            cookies_and_headers: Vec::new(),
            times: TimePolicy {
                idle: Timeout::After(30 * minute),
                absolute: Timeout::After(12 * 60 * minute),
                touch_interval: None,
                retention: 60 * minute,
            },
            superseded_window: minute,
            cache: Cache::default(),
            coherence: None,
            poll: Schedule::every(minute),
            purge: Schedule::every(minute),
            commit_at: CommitAt::ResponseHead,
            commit_on_server_error: false,
            save_on_create: false,
            eager: false,
            on_shutdown: OnShutdown::Flush,
            on_unreadable: OnUnreadable::Replace,
            stale_if_error: None,
            store_timeout: Duration::from_secs(2),
            node: None,
            affinity: false,
            max_bytes: 1 << 20,
            conflict_status: StatusCode::INTERNAL_SERVER_ERROR,
            two_sessions: TwoSessions::Refuse,
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
        self.cookies_and_headers.push(Way::Cookie(cookie));
        self
    }

    /// Carries the token in this header; see [`cookie`](Self::cookie).
    #[must_use]
    pub fn header(mut self, header: SessionHeader) -> Self {
        self.cookies_and_headers.push(Way::Header(header));
        self
    }

    /// How long a session lasts without use. Default: 30 min. Jarvis' `SessionTimeout`, Jetty's
    /// `maxInactiveInterval`.
    #[must_use]
    pub fn idle_timeout(mut self, idle: impl Into<Timeout>) -> Self {
        self.times.idle = idle.into();
        self
    }

    /// How long a session lasts in all, counted from its creation or the last login. Default: 12 h.
    #[must_use]
    pub fn absolute_timeout(mut self, absolute: impl Into<Timeout>) -> Self {
        self.times.absolute = absolute.into();
        self
    }

    /// The longest time by which a use stays unrecorded. Default: a twelfth of the idle timeout, at
    /// most 5 min. Zero: every use writes, and the idle timeout is exact. Jetty's `savePeriod`.
    #[must_use]
    pub fn touch_interval(mut self, interval: Duration) -> Self {
        self.times.touch_interval = Some(interval);
        self
    }

    /// How long it is remembered how a session ended. Default: 1 h; zero keeps nothing. Jarvis'
    /// `SessionCleanupTime`.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.times.retention = retention;
        self
    }

    /// How long a replaced secret is told apart from an unknown one. Default: 60 s.
    #[must_use]
    pub fn superseded_window(mut self, window: Duration) -> Self {
        self.superseded_window = window;
        self
    }

    /// The bounds of L1. Default: 10,000 sessions.
    #[must_use]
    pub fn cache(mut self, cache: Cache) -> Self {
        self.cache = cache;
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
        self.commit_at = at;
        self
    }

    /// Whether a 5xx response commits its changes instead of rolling them back. Default: no.
    #[must_use]
    pub fn commit_on_server_error(mut self, commit: bool) -> Self {
        self.commit_on_server_error = commit;
        self
    }

    /// Whether an absent session is created when it is first asked for. **Every visitor then costs
    /// a row.** Default: no. Jarvis' behaviour.
    #[must_use]
    pub fn eager(mut self, eager: bool) -> Self {
        self.eager = eager;
        self
    }

    /// As [`eager`](Self::eager), and the session is stored, and found by other nodes, before the
    /// handler goes on. Default: no. Jetty's `saveOnCreate`.
    #[must_use]
    pub fn save_on_create(mut self, save: bool) -> Self {
        self.save_on_create = save;
        self
    }

    /// What a shutdown does to the sessions. Default: [`OnShutdown::Flush`].
    #[must_use]
    pub fn on_shutdown(mut self, on_shutdown: OnShutdown) -> Self {
        self.on_shutdown = on_shutdown;
        self
    }

    /// What happens to a record that cannot be decoded. Default: [`OnUnreadable::Replace`].
    #[must_use]
    pub fn on_unreadable(mut self, on_unreadable: OnUnreadable) -> Self {
        self.on_unreadable = on_unreadable;
        self
    }

    /// Serves a read-only copy of at most this age while the store is down. Default: off, so that
    /// such requests are answered with 503.
    #[must_use]
    pub fn stale_if_error(mut self, at_most: Duration) -> Self {
        self.stale_if_error = Some(at_most);
        self
    }

    /// How long a store may take to answer before it counts as unavailable. Default: 2 s.
    #[must_use]
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.store_timeout = timeout;
        self
    }

    /// This node's name, kept in the records that it writes: 1 to 32 of `[A-Za-z0-9_-]`. Default:
    /// none. Jetty's worker name.
    #[must_use]
    pub fn node(mut self, name: impl Into<Box<str>>) -> Self {
        self.node = Some(name.into());
        self
    }

    /// Whether tokens carry the node's name as `.name`, for balancers that keep a client on its
    /// node. Default: no.
    #[must_use]
    pub fn affinity(mut self, affinity: bool) -> Self {
        self.affinity = affinity;
        self
    }

    /// The greatest size of a session's attributes, encoded, in bytes. Default: 1 MiB.
    #[must_use]
    pub fn max_bytes(mut self, max: usize) -> Self {
        self.max_bytes = max;
        self
    }

    /// The status of a response whose commit met too many conflicts. Default: 500; 409 is the other
    /// sensible one.
    #[must_use]
    pub fn conflict_status(mut self, status: StatusCode) -> Self {
        self.conflict_status = status;
        self
    }

    /// What happens to a request with two different live sessions. Default: refused with 400.
    #[must_use]
    pub fn two_sessions(mut self, policy: TwoSessions) -> Self {
        self.two_sessions = policy;
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

    /// Checks everything and builds the layer. Starts the housekeeper if a runtime is entered; the
    /// first request does otherwise.
    ///
    /// # Errors
    ///
    /// [`BuildError`]: what a browser would refuse, and what cannot work.
    pub fn build(self) -> Result<SessionLayer, BuildError> {
        self.check_times()?;
        self.check_node()?;
        let mut list = Vec::new();
        for way in &self.cookies_and_headers {
            list.push(match way {
                Way::Cookie(cookie) => Transport::Cookie(Box::new(cookie.build()?)),
                Way::Header(header) => Transport::Header(header.clone().build()?),
            });
        }
        if list.is_empty() {
            list.push(Transport::Cookie(Box::new(
                SessionCookie::default().build()?,
            )));
        }
        let store = (self.store)(self.store_timeout);
        let capabilities = store.capabilities();
        let coherence = match self.coherence {
            Some(asked) => checked_coherence(asked, capabilities)?,
            None => default_coherence(capabilities),
        };
        if self.on_shutdown == OnShutdown::Destroy && !capabilities.exclusive {
            return Err(BuildError::Contradiction(
                "OnShutdown::Destroy would end the sessions of other nodes: it needs a store that \
                 only this process can write to",
            ));
        }
        if matches!(self.commit_at, CommitAt::LastExit { .. }) && coherence == Coherence::Verify {
            return Err(BuildError::Contradiction(
                "CommitAt::LastExit needs copies that are used as they are: choose another \
                 coherence than Verify, or CommitAt::ResponseHead",
            ));
        }
        let feed = store.changes();
        let reach = capabilities.reach;
        let inner = Arc::new(Inner {
            coherent: Coherent::new(coherence, reach, feed.as_ref()),
            l1: L1::new(&self.cache),
            flights: Flights::default(),
            generations: Arc::new(Generations::new()),
            negative: Negative::default(),
            stats: Arc::default(),
            events: Events::new(self.listeners),
            tasks: crate::tasks::Tasks::default(),
            on_create: self.on_create,
            housekeeper: Housekeeper::new(self.poll, self.purge, feed),
            shortest_idle: ShortestIdle::new(),
            scoped: AtomicBool::new(false),
            shadowed: AtomicBool::new(false),
            transports: Transports::new(list, self.node.clone(), self.affinity),
            clock: self.clock,
            store: Arc::new(store),
            config: Config {
                times: self.times,
                superseded_window: self.superseded_window,
                cache: self.cache,
                commit_at: self.commit_at,
                commit_on_server_error: self.commit_on_server_error,
                save_on_create: self.save_on_create,
                eager: self.eager,
                on_shutdown: self.on_shutdown,
                on_unreadable: self.on_unreadable,
                stale_if_error: self.stale_if_error,
                store_timeout: self.store_timeout,
                node: self.node,
                affinity: self.affinity,
                max_bytes: self.max_bytes,
                conflict_status: self.conflict_status,
                two_sessions: self.two_sessions,
            },
        });
        inner.keep_house();
        Ok(SessionLayer::new(inner, self.slot))
    }

    fn check_times(&self) -> Result<(), BuildError> {
        let setting = |setting, given: Duration, allowed| {
            Err(BuildError::Setting {
                setting,
                given: crate::text::format_duration(given),
                allowed,
            })
        };
        let TimePolicy {
            idle,
            absolute,
            touch_interval,
            ..
        } = self.times;
        if let Some(idle) = idle.duration()
            && idle.as_millis() == 0
        {
            return setting(
                "idle_timeout",
                idle,
                "at least 1ms, Timeout::Never or ::Disabled",
            );
        }
        if absolute == Timeout::Disabled {
            return Err(BuildError::Contradiction(
                "absolute_timeout is Disabled: use Timeout::Never for no limit, or idle_timeout \
                 with Timeout::Disabled for no sessions",
            ));
        }
        if let Some(absolute) = absolute.duration()
            && absolute.as_millis() == 0
        {
            return setting(
                "absolute_timeout",
                absolute,
                "at least 1ms, or Timeout::Never",
            );
        }
        if let (Some(idle), Some(touch)) = (idle.duration(), touch_interval)
            && touch >= idle / 2
        {
            return setting(
                "touch_interval",
                touch,
                "shorter than half of the idle timeout",
            );
        }
        if self.store_timeout.as_millis() == 0 {
            return setting("store_timeout", self.store_timeout, "at least 1ms");
        }
        if self.max_bytes == 0 {
            let given = "0".to_owned();
            let allowed = "at least 1 byte";
            return Err(BuildError::Setting {
                setting: "max_bytes",
                given,
                allowed,
            });
        }
        Ok(())
    }

    fn check_node(&self) -> Result<(), BuildError> {
        match &self.node {
            Some(node) if !Token::is_node_name(node.as_bytes()) => Err(BuildError::Setting {
                setting: "node",
                given: format!("{node:?}"),
                allowed: "1 to 32 of A-Z, a-z, 0-9, _ and -",
            }),
            None if self.affinity => Err(BuildError::Contradiction(
                "affinity puts the node's name into the token: give the node a name with node(..)",
            )),
            _ => Ok(()),
        }
    }
}

/// The mode that the store can give by itself.
fn default_coherence(capabilities: cloakroom_core::Capabilities) -> Coherence {
    match capabilities.reach {
        _ if capabilities.exclusive => Coherence::Exclusive,
        Reach::Changes => Coherence::Push,
        _ => Coherence::Verify,
    }
}

fn checked_coherence(
    asked: Coherence,
    capabilities: cloakroom_core::Capabilities,
) -> Result<Coherence, BuildError> {
    match asked {
        Coherence::Exclusive if !capabilities.exclusive => Err(BuildError::Contradiction(
            "Coherence::Exclusive needs a store that only this process can write to",
        )),
        Coherence::Push if capabilities.reach != Reach::Changes => Err(BuildError::Contradiction(
            "Coherence::Push needs a store that pushes its changes",
        )),
        Coherence::Bounded(bound) if bound.is_zero() => Err(BuildError::Setting {
            setting: "coherence",
            given: "Bounded(0)".to_owned(),
            allowed: "a bound above zero; Verify is what a bound of zero would mean",
        }),
        other => Ok(other),
    }
}

impl std::fmt::Debug for SessionLayerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionLayerBuilder")
            .field("times", &self.times)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}
