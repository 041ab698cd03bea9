//! Records, ids and times as the tests want them.

use cloakroom_core::{Owner, Record, SessionId, Stamp, State, Times, Timestamp};

pub(crate) fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// A fresh id: the tests of one table never meet.
pub(crate) fn id() -> SessionId {
    SessionId::generate(at(1_700_000_000_000))
}

pub(crate) fn owner(name: &str) -> Owner {
    Owner::new(name).unwrap()
}

pub(crate) fn times(deadline: u64) -> Times {
    Times {
        used_at: at(1_000),
        deadline: Some(at(deadline)),
        expires_at: Some(at(deadline + 1_000)),
    }
}

pub(crate) fn record(deadline: u64) -> Record {
    Record::from_stored(
        Stamp::first(),
        State::Live,
        None,
        times(deadline),
        vec![1, 0, 255],
        vec![1, 2, 3],
    )
}

pub(crate) fn owned(name: &str) -> Record {
    let mut record = record(10_000);
    record.owner = Some(owner(name));
    record
}

/// The write after `record`.
pub(crate) fn next(record: &Record, body: &[u8]) -> Record {
    let mut next = record.clone();
    next.stamp = record.stamp.next();
    next.body = body.to_vec();
    next.rekeyed = false;
    next
}

pub(crate) fn tombstone(record: &Record) -> Record {
    let mut tombstone = record.timed_out();
    tombstone.head = vec![1, 9];
    tombstone
}
