//! Private servers for tests: started on a free port of 127.0.0.1, with data of their own, and gone when the test is.
//!
//! ```
//! use cloakroom_services::{Redis, Requirement, require};
//!
//! match require(Redis::start()) {
//!     Requirement::Ready(redis) => {
//!         assert!(redis.url().starts_with("redis://127.0.0.1:"));
//!         redis.kill()?; // what a test of an outage wants
//!         redis.restart()?; // same port, same data folder
//!         assert!(redis.is_running());
//!     }
//!     Requirement::Ignored(reason) => println!("ignored: {reason}"),
//!     Requirement::Failed(reason) => return Err(reason.into()),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - Tests that only *use* a server ask [`shared`] for its URL: the one that `cargo xtask test` exports, or one server per
//!   test program, started at the first call.
//! - Tests that stop, freeze or kill a server start their own: [`Redis`], [`RedisCluster`], [`RedisSentinel`], [`Valkey`],
//!   [`Postgres`], [`MariaDb`], [`ChromeDriver`].
//! - A program that is not installed is [`Missing`], which knows the command that installs it; [`require`] says what that means
//!   for a test.
//!
//! Everything here is synchronous: it starts processes and waits for them. Called inside an async test it blocks that thread
//! for as long as the server takes (Redis 10 ms, `PostgreSQL` 0.6 s, a cluster 2 s, `MariaDB` 3 s; more where others use the processors).
//!
//! A server ends when its [`Server`] is dropped. If the program is killed instead, or never drops it because it is in a
//! `static`, a small shell process that watches the program ends the servers and removes their files.

mod chromedriver;
mod error;
mod find;
mod home;
mod mariadb;
mod port;
mod postgres;
mod privilege;
mod process;
mod redis;
mod require;
mod server;
pub mod shared;

pub use chromedriver::ChromeDriver;
pub use error::{Error, Failure, Missing};
pub use mariadb::MariaDb;
pub use port::free_port;
pub use postgres::Postgres;
pub use redis::{Redis, RedisCluster, RedisSentinel, Valkey};
pub use require::{REQUIRE_VARIABLE, Requirement, require};
pub use server::Server;
