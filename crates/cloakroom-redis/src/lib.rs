//! Sessions in Redis or Valkey, for [`cloakroom`]: one server, Sentinel, or a cluster.
//!
//! ```no_run
//! use cloakroom_redis::RedisStore;
//!
//! # async fn example() -> Result<(), cloakroom_core::StoreError> {
//! let store = RedisStore::connect("redis+cluster://a:7001,b:7001,c:7001").await?;
//! for warning in store.warnings() {
//!     println!("{warning}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Redis 6.2 or later, or any Valkey. [`RedisOptions`] has the forms of the URL, the key prefix, the
//! timeouts and TLS.
//!
//! # What is stored
//!
//! | key | what | how long |
//! |---|---|---|
//! | `cloakroom:<session id>` | a session: one string of 77 bytes, the owner, head and body | until its `expires_at`, by native expiry |
//! | `cloakroom:owner:<owner>` | the sessions of an owner | until the last of them has lapsed |
//!
//! and the channel `cloakroom:changes` (`cloakroom:changes:<n>` in database n). A session with
//! 100 bytes of payload takes 350 bytes of a server's memory (Redis 7.0, measured), an owner's first one 210
//! more.
//! Every operation is one script on one key, so one command and one round trip; an owner that is set
//! or changes costs a second command before it, and one after it if there was another owner. A list of an
//! owner's sessions may look at a few old entries afterwards, in the background.
//! `expire` ends the sessions that it is asked about; it cannot search ([`Expiry::Native`]).
//!
//! # What a server must be set to
//!
//! - `maxmemory-policy noeviction`: every other policy signs users out when memory runs short.
//! - `appendonly yes`: otherwise a restart forgets the sessions since the last snapshot, or all.
//! - clocks in step: a server forgets by its own clock.
//!
//! [`RedisOptions::connect`] warns of all three. A user needs these rights (tested as they stand here):
//!
//! ```text
//! ACL SETUSER app on >password ~cloakroom:* resetchannels &cloakroom:* -@all
//!     +hello +auth +select +client|tracking +eval +evalsha
//!     +subscribe +unsubscribe +publish +pubsub|numsub
//!     +get +getrange +set +setrange +del +persist +pexpireat +time
//!     +exists +pttl +zadd +zrem +zcard +zrange +zrangebylex +zrandmember
//!     +wait +info +config|get +cluster|slots +cluster|info
//! ```
//!
//! Without `pubsub|numsub` all works as well, but each change is published also where nobody else
//! listens, which costs a lone node a fifth of its writes.
//!
//! # What may be lost
//!
//! Replication is asynchronous. A failover may undo writes that were confirmed, endings included, in
//! the moment before it: a copy that another node holds then has a stamp that the store no longer
//! knows, and the store's state wins. [`RedisOptions::wait_for_replicas`] narrows this; so does
//! `min-replicas-to-write` on the server, without which a master that was cut off takes writes until
//! it learns of its successor.
//!
//! # Failure
//!
//! One operation has one deadline (2 s), whatever happens inside. Connections are made again by
//! themselves, with growing pauses up to a second, and an operation that meets such a pause fails at
//! once. Loads, peeks and lists are tried again after a passing failure; a write goes out a second
//! time only where the server has said that it did not run it (a redirect, an unknown script), so a
//! write without an answer is for the caller to settle by its stamp. Every reply repeats the id that
//! was asked for; one that does not match closes its connection.
//!
//! # Coherence
//!
//! The change feed ([`Reach::Changes`]) tells every create, save and ending by the script that makes
//! it; a touch tells nothing. It has connections of its own, on a cluster to every master. It is
//! `Lost` at the latest 1.25 s after a notice could have gone missing, and at once when a
//! connection closes or a master changes. `PUBLISH` goes to every node of a cluster: with very many
//! nodes and writes, the bus is what limits.
//!
//! [`cloakroom`]: https://docs.rs/cloakroom
//! [`Expiry::Native`]: cloakroom_core::Expiry::Native
//! [`Reach::Changes`]: cloakroom_core::Reach::Changes

mod check;
mod cluster;
mod dial;
mod fault;
mod feed;
mod index;
mod inner;
mod keys;
mod options;
mod reply;
mod row;
mod script;
mod sentinel;
mod server;
mod store;
mod url;
mod wire;

pub use crate::check::Warning;
pub use crate::options::RedisOptions;
pub use crate::store::RedisStore;
