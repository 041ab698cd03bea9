//! L1: the sessions that this node holds in memory, and how much they can be trusted.

mod coherence;
mod deferred;
mod flight;
mod generations;
mod l1;
mod negative;
mod resident;

pub(crate) use self::coherence::{Coherent, wants_feed};
pub(crate) use self::deferred::Deferred;
pub(crate) use self::flight::{Flights, Found, Loaded, Reader, Tombstone};
pub(crate) use self::generations::Generations;
pub(crate) use self::l1::L1;
pub(crate) use self::negative::Negative;
pub(crate) use self::resident::{InUse, Resident, Seen, View};
