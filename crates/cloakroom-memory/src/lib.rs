//! The session store that keeps its records in this process: the shortest correct one, and fast.
//!
//! [`MemoryStore`] is what applications start with, what tests run against, and the model for
//! other stores. It loses everything when the process ends, and no other process can see it. Its
//! clones are handles on the same store.
//!
//! Four parts, a file each: the rows (`row`), an index of what is due next (`due`), an index of
//! owners (`owners`), and those who read the change feed (`feeds`). A row's lock is always taken
//! first, then at most one of the others for a few instructions; none is held across an await.
//!
//! ```
//! use cloakroom_core::{CreateOutcome, Record, SessionId, SessionStore, Stamp, State, Times};
//! use cloakroom_core::{SaveOutcome, Timestamp};
//! use cloakroom_memory::MemoryStore;
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let store = MemoryStore::new();
//! let now = Timestamp::from_millis(1_000);
//! let times = Times { used_at: now, deadline: None, expires_at: None };
//! let mut record =
//!     Record::from_stored(Stamp::first(), State::Live, None, times, vec![1], vec![1]);
//! let id = SessionId::generate(now);
//! assert_eq!(store.create(id, &record).await.unwrap(), CreateOutcome::Created);
//!
//! let read = record.stamp;
//! record.stamp = read.next();
//! assert_eq!(store.save(id, &record, read).await.unwrap(), SaveOutcome::Saved);
//! assert_eq!(store.load(id).await.unwrap(), Some(record));
//! # });
//! ```

mod due;
mod feeds;
mod owners;
mod row;
mod store;
mod sweep;

pub use crate::store::MemoryStore;
