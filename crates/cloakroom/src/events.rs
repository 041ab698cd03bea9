//! What happened to sessions, told to listeners and as a stream.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cloakroom_core::{Owner, SessionId, Timestamp};
use tokio::sync::broadcast;

use crate::record::Attributes;
use crate::{EndReason, ErrorKind};

/// How many events a slow stream may fall behind before it misses some.
const CAPACITY: usize = 1_024;

/// Something that happened to a session on this node.
///
/// An attribute of a [scope](crate::SessionLayer::scope) is told as `scope/name`, so that it is not
/// taken for one of the same name elsewhere in the session.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A session was stored for the first time.
    Created {
        /// Which.
        id: SessionId,
    },
    /// A session was brought from the store into L1.
    Loaded {
        /// Which.
        id: SessionId,
    },
    /// Changes were stored.
    Committed {
        /// Whose.
        id: SessionId,
        /// Names of the attributes that are new.
        added: Vec<String>,
        /// Names of the attributes that have another value.
        replaced: Vec<String>,
        /// Names of the attributes that are gone.
        removed: Vec<String>,
        /// How often the changes were replayed because another commit came first.
        conflicts: u32,
    },
    /// The deadline was moved without a write.
    Touched {
        /// Whose.
        id: SessionId,
    },
    /// The session has a new secret.
    Renewed {
        /// Which.
        id: SessionId,
    },
    /// An owner has signed in.
    LoggedIn {
        /// Into which session.
        id: SessionId,
        /// Who.
        owner: Owner,
    },
    /// A session was ended on purpose.
    Ended {
        /// Which.
        id: SessionId,
        /// Why.
        reason: EndReason,
        /// Whose it was.
        owner: Option<Owner>,
        /// What it held: names and JSON texts.
        attributes: BTreeMap<String, String>,
    },
    /// A session has timed out. Of several nodes exactly one tells it, where the store can find
    /// the due.
    Expired {
        /// Which.
        id: SessionId,
        /// Its deadline.
        at: Timestamp,
        /// Whose it was.
        owner: Option<Owner>,
        /// What it held: names and JSON texts.
        attributes: BTreeMap<String, String>,
    },
    /// A session has left L1; told once each time, and of one that is in use when its last use ends.
    /// What leaves because others came is told with the next newcomer or the next poll at the latest,
    /// in an L1 of more than 65,536 sessions when its memory is free.
    Evicted {
        /// Which.
        id: SessionId,
    },
    /// A commit found its session gone or ended; the changes were dropped.
    Gone {
        /// Which.
        id: SessionId,
    },
    /// A commit has failed.
    CommitFailed {
        /// Whose; `None` for a session that was not stored yet.
        id: Option<SessionId>,
        /// Why.
        kind: ErrorKind,
        /// Whether it ran after the response head, so that nobody else was told.
        late: bool,
    },
    /// This stream was too slow and has missed so many events.
    Missed(u64),
}

type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

/// The listeners and the stream of one manager.
pub(crate) struct Events {
    listeners: Vec<Listener>,
    sender: broadcast::Sender<Event>,
    streams: Arc<AtomicUsize>,
}

impl Events {
    pub(crate) fn new(listeners: Vec<Listener>) -> Self {
        Self {
            listeners,
            sender: broadcast::channel(CAPACITY).0,
            streams: Arc::default(),
        }
    }

    /// Tells an event, which is made only if somebody listens. Called after the fact and never
    /// under a lock; a listener that panics hurts nobody.
    pub(crate) fn tell(&self, event: impl FnOnce() -> Event) {
        if self.listeners.is_empty() && self.streams.load(Ordering::Relaxed) == 0 {
            return;
        }
        let event = event();
        for listener in &self.listeners {
            if std::panic::catch_unwind(AssertUnwindSafe(|| listener(&event))).is_err() {
                tracing::error!("a session listener panicked");
            }
        }
        // No stream is not an error.
        self.sender.send(event).ok();
    }

    pub(crate) fn is_heard(&self) -> bool {
        !self.listeners.is_empty() || self.streams.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn stream(&self) -> EventStream {
        self.streams.fetch_add(1, Ordering::Relaxed);
        EventStream {
            receiver: self.sender.subscribe(),
            streams: Arc::clone(&self.streams),
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("listeners", &self.listeners.len())
            .finish_non_exhaustive()
    }
}

/// Names and JSON texts of the attributes, for an event.
pub(crate) fn attributes_of(body: &[u8]) -> BTreeMap<String, String> {
    let Ok(body) = Attributes::decode(body.to_vec()) else {
        return BTreeMap::new();
    };
    body.iter()
        .map(|a| (a.full_name(), String::from_utf8_lossy(a.json).into_owned()))
        .collect()
}

/// The events of a manager from now on. A stream that is too slow misses events and is told so; it
/// never delays a request.
#[derive(Debug)]
pub struct EventStream {
    receiver: broadcast::Receiver<Event>,
    streams: Arc<AtomicUsize>,
}

impl EventStream {
    /// The next event; `None` once the manager is gone. Cancel safe.
    pub async fn next(&mut self) -> Option<Event> {
        match self.receiver.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Event::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
    }
}
