//! What the layer writes into the two opaque parts of a record: the head (digests, times, policy,
//! reason of the ending) and the body (the attributes), and their decoded form.

mod body;
mod codec;
mod head;
mod snapshot;

pub(crate) use self::body::{Attributes, AttributesBuilder};
pub use self::head::EndReason;
pub(crate) use self::head::Head;
pub(crate) use self::snapshot::{Snapshot, Unreadable};
