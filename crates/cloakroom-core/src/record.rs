use crate::{Owner, Stamp, Timestamp};

/// Whether a record stands for a session or for what is remembered of one that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "absence is the only third case, and it has no record"
)]
pub enum State {
    /// The session may be used until its deadline.
    Live,
    /// A tombstone: no body, no owner, never live again.
    Ended,
}

/// The three times of a record.
///
/// ```
/// use cloakroom_core::{Times, Timestamp};
///
/// let at = Timestamp::from_millis;
/// let stored = Times { used_at: at(5), deadline: Some(at(10)), expires_at: None };
/// let touch = Times { used_at: at(7), deadline: Some(at(8)), expires_at: Some(at(9)) };
/// let both = stored.forward(touch);
/// assert_eq!(both, Times { used_at: at(7), deadline: Some(at(10)), expires_at: None });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "stores build it from their three columns"
)]
pub struct Times {
    /// Last use that the store knows of.
    pub used_at: Timestamp,
    /// The session has ended at `now >= deadline`; binding for every node. `None`: never.
    pub deadline: Option<Timestamp>,
    /// When the row may be forgotten; not earlier than the deadline. `None`: never.
    pub expires_at: Option<Timestamp>,
}

impl Times {
    /// Each of the three moved forward only, as a touch does: the later of both, where `None`
    /// (never) is later than every time.
    #[must_use]
    pub fn forward(self, touch: Self) -> Self {
        fn later(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
            Some(a?.max(b?))
        }
        Self {
            used_at: self.used_at.max(touch.used_at),
            deadline: later(self.deadline, touch.deadline),
            expires_at: later(self.expires_at, touch.expires_at),
        }
    }

    /// Whether the deadline has come: `now >= deadline`.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.deadline.is_some_and(|deadline| now >= deadline)
    }

    /// Whether the row may be forgotten: `now >= expires_at`.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expires_at| now >= expires_at)
    }
}

/// One stored row.
///
/// `head` and `body` are opaque to stores; the first byte of each is its format version. Stores
/// build records with [`Record::from_stored`]. Two records are equal if what is stored of them is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Record {
    /// Which state of the record this is.
    pub stamp: Stamp,
    /// Live, or a tombstone.
    pub state: State,
    /// Whom the session belongs to; indexed by stores that can.
    pub owner: Option<Owner>,
    /// Last use, deadline, and when the row may be forgotten.
    pub times: Times,
    /// Small: digests, times, policy, reason of the ending.
    pub head: Vec<u8>,
    /// The attributes.
    pub body: Vec<u8>,
    /// This write changes who may use the session: its secret was replaced, or somebody signed in.
    /// A store that tells endings tells this `save`, too (rule 12).
    ///
    /// A word from the caller about one write, never stored: nobody reads it from a record that a
    /// store has brought back.
    pub rekeyed: bool,
    /// This `save` leaves the stored times as they are, whatever `times` says: another session has not
    /// begun, nobody else owns it, and the stored times are recent enough. An update that need not move
    /// the entries of an index is cheaper by half in some databases.
    ///
    /// A word from the caller about one write, as [`rekeyed`](Self::rekeyed); only said to a store that
    /// heeds it ([`Capabilities::leaves_times`](crate::Capabilities::leaves_times)), and never together
    /// with another owner or state than the stored one.
    pub leaves_times: bool,
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        let stored = |record: &Self| (record.stamp, record.state, record.times);
        stored(self) == stored(other)
            && self.owner == other.owner
            && self.head == other.head
            && self.body == other.body
    }
}

impl Eq for Record {}

impl Record {
    /// Puts a record together from what a store has kept.
    ///
    /// ```
    /// use cloakroom_core::{Record, Stamp, State, Times, Timestamp};
    ///
    /// let times = Times { used_at: Timestamp::EPOCH, deadline: None, expires_at: None };
    /// let record =
    ///     Record::from_stored(Stamp::first(), State::Live, None, times, vec![1], vec![1]);
    /// assert_eq!(record.stamp.version, 1);
    /// assert!(!record.rekeyed);
    /// ```
    #[must_use]
    pub fn from_stored(
        stamp: Stamp,
        state: State,
        owner: Option<Owner>,
        times: Times,
        head: Vec<u8>,
        body: Vec<u8>,
    ) -> Self {
        Self {
            stamp,
            state,
            owner,
            times,
            head,
            body,
            rekeyed: false,
            leaves_times: false,
        }
    }

    /// What `expire` leaves of this record: state `Ended`, no owner, no body; head, deadline and
    /// `expires_at` stay; the version is one higher.
    ///
    /// An ended record without a reason in its head has timed out.
    #[must_use]
    pub fn timed_out(&self) -> Self {
        Self {
            stamp: self.stamp.next(),
            state: State::Ended,
            owner: None,
            times: self.times,
            head: self.head.clone(),
            body: Vec::new(),
            rekeyed: false,
            leaves_times: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_equals_what_was_stored_of_it() {
        let times = Times {
            used_at: Timestamp::EPOCH,
            deadline: None,
            expires_at: None,
        };
        let stored =
            Record::from_stored(Stamp::first(), State::Live, None, times, vec![1], vec![2]);
        let mut written = stored.clone();
        written.rekeyed = true;
        assert_eq!(written, stored);
        let changes: [fn(&mut Record); 6] = [
            |record| record.stamp = record.stamp.next(),
            |record| record.state = State::Ended,
            |record| record.owner = Owner::new("ada").ok(),
            |record| record.times.deadline = Some(Timestamp::EPOCH),
            |record| record.head.push(0),
            |record| record.body.push(0),
        ];
        for change in changes {
            let mut other = stored.clone();
            change(&mut other);
            assert_ne!(other, stored);
        }
    }
}
