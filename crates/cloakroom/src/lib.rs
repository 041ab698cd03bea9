//! Sessions for axum and every other tower stack, kept on the server.
//!
//! A client hands in a ticket (a cookie or a header), the cloakroom hands out what was left there.
//! [`SessionLayer`] reads the ticket, resolves the session through an in-process L1 cache over an
//! async store, gives handlers a [`Session`], and commits what they changed before the response
//! leaves.
//!
//! What is different here:
//!
//! - A request is a transaction: two that overlap do not overwrite each other.
//! - A save can never create: a slow request does not revive a session that was logged out.
//! - Copies in memory are coherent between nodes, by a declared mode ([`Coherence`]).
//! - An outage of the store is never an anonymous session.
//! - The store keeps an id and a digest, never a live credential.
//!
//! ```
//! use std::time::Duration;
//! use axum::{Router, routing::get};
//! use cloakroom::{MemoryStore, Session, SessionCookie, SessionLayer};
//!
//! async fn count(session: Session) -> Result<String, cloakroom::Error> {
//!     let n = session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1)?;
//!     Ok(n.to_string())
//! }
//!
//! let sessions = SessionLayer::builder(MemoryStore::new())
//!     .cookie(SessionCookie::new("__Host-id"))
//!     .idle_timeout(Duration::from_secs(30 * 60))
//!     .build()?;
//! let app: Router = Router::new().route("/", get(count)).layer(sessions);
//! # Ok::<(), cloakroom::BuildError>(())
//! ```

mod builder;
mod cache;
mod commit;
mod config;
mod erased;
mod error;
mod events;
mod extract;
mod finite;
mod future;
mod housekeeper;
mod inner;
mod layer;
mod lifecycle;
mod manager;
mod presented;
#[cfg(doctest)]
mod readme;
mod record;
mod resolve;
mod scheme;
mod service;
mod session;
mod settings;
mod shutdown;
mod slot;
mod stats;
mod tasks;
pub mod text;
mod timeout;
mod tombstones;
mod transport;

pub use cloakroom_core::{
    Capabilities, Change, ChangeFeed, ChangeSender, Clock, CreateOutcome, Digest, Due, Expiry,
    FeedGone, ImmediateStore, InvalidOwner, MalformedToken, Owner, Page, ParseSessionIdError, Peek,
    Reach, Record, SaveOutcome, Secret, SessionId, SessionStore, SoleFlag, Stamp, State,
    StoreError, StoreErrorKind, SystemClock, Times, Timestamp, Token, TokenText, TouchOutcome,
};
pub use cloakroom_memory::MemoryStore;

pub use crate::builder::{BuildError, Contradiction, SessionLayerBuilder};
pub use crate::config::{
    Cache, Coherence, CommitAt, Eviction, OnShutdown, OnUnreadable, TwoSessions,
};
pub use crate::error::{Error, ErrorKind};
pub use crate::events::{Event, EventStream};
pub use crate::extract::{LiveSession, NotLive, Tagged};
pub use crate::future::ResponseFuture;
pub use crate::housekeeper::{Job, Report, Reports, Schedule, ScheduleError, Zone};
pub use crate::inner::Refusal;
pub use crate::layer::SessionLayer;
pub use crate::manager::{SessionInfo, SessionManager, ShutdownReport};
pub use crate::presented::{Origin, Presented};
pub use crate::record::EndReason;
pub use crate::scheme::ClientScheme;
pub use crate::service::SessionService;
pub use crate::session::Session;
pub use crate::settings::{Settings, SettingsError};
pub use crate::stats::{L1Stats, PresentedStats, SessionTimeStats, StatsReport};
pub use crate::text::{parse_duration, parse_size};
pub use crate::timeout::{InvalidMinutes, Timeout};
pub use crate::transport::{
    CookieError, CookieSecure, HeaderError, HeaderSend, MaxAge, SameSite, SessionCookie,
    SessionHeader,
};
