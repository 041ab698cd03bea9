//! A store that fails on purpose.
//!
//! [`FaultyStore`] wraps any store and passes every call through, unless its [`Faults`] say
//! otherwise: calls fail, wait, are held at a [`Gate`], lose their reply, bring back corrupt
//! records or false stamps. [`Counts`] says how often each operation was asked for.

mod counts;
mod edit;
mod faults;
mod gate;
mod store;

pub use self::counts::{Counts, Op};
pub use self::edit::Corruption;
pub use self::faults::Faults;
pub use self::gate::Gate;
pub use self::store::FaultyStore;
