//! The handle that handlers hold, what it remembers, and its state within one request.

mod attributes;
mod cell;
mod handle;
mod log;
mod name;
mod seen;
mod shared;
mod state;
mod value;

pub(crate) use self::cell::{Cell, Phase};
pub use self::handle::Session;
pub(crate) use self::log::{ChangeLog, Scope};
pub(crate) use self::shared::SharedLog;
pub(crate) use self::state::{Outgoing, State, Stored};
