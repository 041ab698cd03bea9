//! The contract between the session layer [`cloakroom`] and its stores.
//!
//! This crate holds all that a store author needs, and nothing else: what a client carries
//! ([`Token`]), the public name of a session ([`SessionId`]), one stored row ([`Record`]), the
//! trait that a backend implements ([`SessionStore`]), the change feed by which a backend tells
//! other nodes ([`ChangeFeed`]), and the errors ([`StoreError`]). The numbered rules that a store
//! must keep stand at [`SessionStore`]; the crate `cloakroom-conformance` proves them.
//!
//! [`cloakroom`]: https://docs.rs/cloakroom

mod base64url;
mod capabilities;
mod clock;
mod error;
mod feed;
mod id;
mod outcome;
mod owner;
mod record;
mod secret;
mod stamp;
mod store;
mod time;
mod token;

pub use crate::capabilities::{Capabilities, Expiry, Reach};
pub use crate::clock::{Clock, SystemClock};
pub use crate::error::{StoreError, StoreErrorKind};
pub use crate::feed::{Change, ChangeFeed, ChangeSender, FeedGone, SoleFlag};
pub use crate::id::{ParseSessionIdError, SessionId};
pub use crate::outcome::{CreateOutcome, Peek, SaveOutcome, TouchOutcome};
pub use crate::owner::{InvalidOwner, Owner};
pub use crate::record::{Record, State, Times};
pub use crate::secret::{Digest, Secret};
pub use crate::stamp::Stamp;
pub use crate::store::{Due, ImmediateStore, Page, SessionStore};
pub use crate::time::Timestamp;
pub use crate::token::{MalformedToken, Token, TokenText};
