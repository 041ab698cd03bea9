use cloakroom_core::{Owner, Record, Stamp, State, Times, Timestamp};

use crate::due::Place;

/// A time that never comes. `Timestamp` is capped far below it.
pub(crate) const NEVER: u64 = u64::MAX;

/// One record, packed: head and body share an allocation, and `None` is a number.
#[derive(Debug)]
pub(crate) struct Row {
    stamp: Stamp,
    used_at: u64,
    deadline: u64,
    expires_at: u64,
    /// Where the index of the due has this row; only `due.rs` changes it.
    pub(crate) place: Place,
    owner: Option<Owner>,
    payload: Box<[u8]>,
    head_len: usize,
    state: State,
}

impl Row {
    pub(crate) fn new(record: &Record) -> Self {
        let mut row = Self {
            stamp: record.stamp,
            used_at: 0,
            deadline: NEVER,
            expires_at: NEVER,
            place: Place::NOWHERE,
            owner: record.owner.clone(),
            payload: [record.head.as_slice(), record.body.as_slice()]
                .concat()
                .into_boxed_slice(),
            head_len: record.head.len(),
            state: record.state,
        };
        row.set_times(record.times);
        row
    }

    /// Everything but the place is replaced.
    pub(crate) fn replace(&mut self, record: &Record) {
        self.stamp = record.stamp;
        self.state = record.state;
        self.set_times(record.times);
        if self.owner != record.owner {
            self.owner.clone_from(&record.owner);
        }
        self.head_len = record.head.len();
        // Counters, flags and dates keep their length: most saves need no allocation.
        match self.payload.split_at_mut_checked(self.head_len) {
            Some((head, body)) if body.len() == record.body.len() => {
                head.copy_from_slice(&record.head);
                body.copy_from_slice(&record.body);
            }
            _ => {
                self.payload = [record.head.as_slice(), record.body.as_slice()]
                    .concat()
                    .into_boxed_slice();
            }
        }
    }

    pub(crate) fn record(&self) -> Record {
        let (head, body) = self.payload.split_at(self.head_len);
        Record::from_stored(
            self.stamp,
            self.state,
            self.owner.clone(),
            self.times(),
            head.to_vec(),
            body.to_vec(),
        )
    }

    pub(crate) fn stamp(&self) -> Stamp {
        self.stamp
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn is_live(&self) -> bool {
        matches!(self.state, State::Live)
    }

    pub(crate) fn owner(&self) -> Option<&Owner> {
        self.owner.as_ref()
    }

    pub(crate) fn times(&self) -> Times {
        Times {
            used_at: Timestamp::from_millis(self.used_at),
            deadline: unpack(self.deadline),
            expires_at: unpack(self.expires_at),
        }
    }

    pub(crate) fn set_times(&mut self, times: Times) {
        self.used_at = times.used_at.as_millis();
        self.deadline = times.deadline.map_or(NEVER, Timestamp::as_millis);
        self.expires_at = times.expires_at.map_or(NEVER, Timestamp::as_millis);
    }

    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.is_live() && self.deadline <= now.as_millis()
    }

    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at <= now.as_millis()
    }

    /// Where the index of the due ought to have this row: live rows at their deadline, what is
    /// only waiting to be forgotten at `expires_at`.
    pub(crate) fn next_event(&self) -> Place {
        if self.is_live() && self.deadline != NEVER {
            Place::deadline(self.deadline.min(self.expires_at))
        } else {
            Place::forget(self.expires_at)
        }
    }
}

fn unpack(millis: u64) -> Option<Timestamp> {
    (millis != NEVER).then(|| Timestamp::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(head: &[u8], body: &[u8]) -> Record {
        let at = Timestamp::from_millis;
        let times = Times {
            used_at: at(5),
            deadline: Some(Timestamp::MAX),
            expires_at: None,
        };
        Record::from_stored(
            Stamp::first(),
            State::Live,
            Some(Owner::new("ada").unwrap()),
            times,
            head.to_vec(),
            body.to_vec(),
        )
    }

    #[test]
    fn a_record_comes_back_from_its_row_as_it_was() {
        for (head, body) in [
            (&b"h"[..], &b"body"[..]),
            (b"", b""),
            (b"", b"b"),
            (b"h", b""),
        ] {
            let record = record(head, body);
            assert_eq!(Row::new(&record).record(), record);
        }
    }

    #[test]
    fn a_replaced_row_keeps_nothing_of_the_old_payload() {
        let mut row = Row::new(&record(b"head", b"body"));
        for (head, body) in [
            (&b"hea"[..], &b"dbody"[..]),
            (b"longer head", b"b"),
            (b"", b""),
        ] {
            let record = record(head, body);
            row.replace(&record);
            assert_eq!(row.record(), record);
        }
    }

    #[test]
    fn a_row_is_small() {
        assert!(size_of::<Row>() <= 104, "{}", size_of::<Row>());
    }
}
