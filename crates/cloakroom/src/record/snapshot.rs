use std::sync::Arc;

use cloakroom_core::{Owner, Record, Stamp, State, Times};

use super::codec::Malformed;
use super::{Attributes, Head};

/// Why a record cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// A known format, but not its content.
    Corrupt,
    /// A format of a later release: the row is left untouched.
    Newer,
}

impl From<Malformed> for Unreadable {
    fn from(_: Malformed) -> Self {
        Self::Corrupt
    }
}

/// The decoded copy of a live record, immutable and shared by all who read it. The times move
/// without it (a touch changes no stamp), so they are kept beside it.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) stamp: Stamp,
    pub(crate) owner: Option<Owner>,
    pub(crate) head: Head,
    pub(crate) body: Attributes,
}

impl Snapshot {
    /// Decodes a live record.
    pub(crate) fn decode(record: Record) -> Result<(Self, Times), Unreadable> {
        let head = Head::decode(&record.head)?;
        let body = Attributes::decode(record.body)?;
        Ok((
            Self {
                stamp: record.stamp,
                owner: record.owner,
                head,
                body,
            },
            record.times,
        ))
    }

    /// The record that stores this snapshot.
    pub(crate) fn record(&self, times: Times) -> Record {
        let (owner, body) = (self.owner.clone(), self.body.clone().into_bytes());
        Record::from_stored(
            self.stamp,
            State::Live,
            owner,
            times,
            self.head.encode(),
            body,
        )
    }

    /// The record that stores this snapshot, which nobody shares yet. It borrows the attributes,
    /// which are large, until [`take_back`](Self::take_back).
    pub(crate) fn lend(this: &mut Arc<Self>, times: Times) -> Record {
        let body = std::mem::replace(&mut Self::unshared(this).body, Attributes::none());
        Record::from_stored(
            this.stamp,
            State::Live,
            this.owner.clone(),
            times,
            this.head.encode(),
            body.into_bytes(),
        )
    }

    pub(crate) fn take_back(this: &mut Arc<Self>, record: Record) {
        Self::unshared(this).body = Attributes::trusted(record.body);
    }

    fn unshared(this: &mut Arc<Self>) -> &mut Self {
        Arc::get_mut(this).expect("a snapshot is shared only once it is stored")
    }
}
