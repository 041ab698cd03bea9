//! The store contract of cloakroom as a test suite for any store, and helpers for tests.

mod clock;
mod faulty;
mod give_up;

pub use crate::clock::ManualClock;
pub use crate::faulty::{Corruption, Counts, Faults, FaultyStore, Gate, Op};
pub use crate::give_up::give_up_after;
