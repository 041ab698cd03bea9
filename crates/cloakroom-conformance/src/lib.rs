//! The store contract of cloakroom as a test suite that anyone can run against a store.
//!
//! A store author adds this crate to the dev-dependencies, a test target with `harness = false`,
//! and ten lines:
//!
//! ```toml
//! [[test]]
//! name = "conformance"
//! harness = false
//! ```
//!
//! ```no_run
//! # use cloakroom_memory::MemoryStore as YourStore;
//! use cloakroom_conformance::{Backend, run};
//!
//! fn main() -> std::process::ExitCode {
//!     run([Backend::new("yours", || async { Ok(YourStore::new()) })])
//! }
//! ```
//!
//! Each case is one sentence of the contract (see `docs/store-contract.md`), and one named test for
//! each [`Backend`]. Besides, there is what tests of applications and stores need: a clock that is
//! set by hand ([`ManualClock`]), a store that fails on purpose ([`FaultyStore`]), a way to
//! drop a future at any of its awaits ([`give_up_after`]), and a count of round trips ([`RoundTrips`]).

mod case;
mod cases;
mod clock;
mod faulty;
mod give_up;
mod round_trips;
mod sample;
mod seed;
mod suite;

pub use crate::clock::ManualClock;
pub use crate::faulty::{Corruption, Counts, Faults, FaultyStore, Gate, Op};
pub use crate::give_up::give_up_after;
pub use crate::round_trips::RoundTrips;
pub use crate::suite::{Backend, CaseFailed, Missing, run, run_case, run_counted_case};

/// The walk-through for store authors: its code is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/store-authors.md")]
mod store_authors {}
