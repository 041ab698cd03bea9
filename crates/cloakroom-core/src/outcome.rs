use crate::{Record, Stamp, State, Timestamp};

/// What `create` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a caller must handle every outcome of the contract"
)]
pub enum CreateOutcome {
    /// The row is stored.
    Created,
    /// There is a row of this id, live or ended, with this stamp; nothing was written.
    Exists(Stamp),
}

/// What `peek` saw: a record without its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "stores build it from their columns"
)]
pub struct Peek {
    /// Which state of the record is stored.
    pub stamp: Stamp,
    /// Live, or a tombstone.
    pub state: State,
    /// The stored deadline; `None`: never.
    pub deadline: Option<Timestamp>,
}

/// What `save` found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a caller must handle every outcome of the contract"
)]
pub enum SaveOutcome {
    /// The row had the expected stamp and is replaced.
    Saved,
    /// The row is live and has another stamp; this is the current record. Its stamp is never the
    /// expected one.
    Conflict(Record),
    /// The session has ended; this is its tombstone.
    Ended(Record),
    /// There is no row.
    Gone,
}

/// What `touch` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a caller must handle every outcome of the contract"
)]
pub enum TouchOutcome {
    /// The row had the expected stamp; its times are moved forward.
    Touched,
    /// The row is live and has this stamp instead; nothing was moved.
    Moved(Stamp),
    /// The session has ended.
    Ended,
    /// There is no row.
    Gone,
}
