use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cloakroom_core::{SessionId, Timestamp};

use crate::row::{NEVER, Row};

/// How many entries are taken per lock, and how many rows are looked at between two yields.
///
/// Not fewer: the buffer of a step has to be 1,024 bytes or more. Only such an allocation lets
/// glibc put the small blocks together that the removed rows have left; with 32 entries it did so
/// once for all of them, and kept a thread busy for 140 ms (measured with a million rows).
pub(crate) const STEP: usize = 64;

const SHARDS: usize = 16;

/// Which of the two lists a row stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    /// Live rows, by deadline: what `expire` searches.
    Deadline,
    /// Rows that only wait to be forgotten, by `expires_at`: what `purge` searches.
    Forget,
}

/// Where a row stands in the index: in one list, at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    at: u64,
    list: List,
}

impl Place {
    pub(crate) const NOWHERE: Self = Self::forget(NEVER);

    pub(crate) const fn deadline(at: u64) -> Self {
        Self {
            at,
            list: List::Deadline,
        }
    }

    pub(crate) const fn forget(at: u64) -> Self {
        Self {
            at,
            list: List::Forget,
        }
    }
}

type Entry = (u64, SessionId);

#[derive(Debug, Default)]
struct Shard {
    deadline: Mutex<BTreeSet<Entry>>,
    forget: Mutex<BTreeSet<Entry>>,
}

/// When each row has its next event. Exact in that a row has one entry at most, and none when it is
/// gone; lazy in that the entry may be too early: whoever finds it so moves it.
///
/// Laziness keeps this lock off the way of saves and touches, which nearly always move the deadline
/// later. A row's entry changes only under the row's own lock.
#[derive(Debug, Default)]
pub(crate) struct DueIndex([Shard; SHARDS]);

impl DueIndex {
    /// After a change of the row: only what moved earlier, or into the other list, is moved here.
    pub(crate) fn note(&self, id: SessionId, row: &mut Row) {
        let next = row.next_event();
        if next.list != row.place.list || next.at < row.place.at {
            self.move_to(id, row, next);
        }
    }

    /// Puts the entry where it belongs now.
    pub(crate) fn settle(&self, id: SessionId, row: &mut Row) {
        let next = row.next_event();
        if next != row.place {
            self.move_to(id, row, next);
        }
    }

    /// The row is about to be removed.
    pub(crate) fn forget(&self, id: SessionId, row: &mut Row) {
        self.move_to(id, row, Place::NOWHERE);
    }

    fn move_to(&self, id: SessionId, row: &mut Row, next: Place) {
        if row.place.at != NEVER {
            self.entries(id, row.place.list).remove(&(row.place.at, id));
        }
        if next.at != NEVER {
            self.entries(id, next.list).insert((next.at, id));
        }
        row.place = next;
    }

    fn entries(&self, id: SessionId, list: List) -> MutexGuard<'_, BTreeSet<Entry>> {
        let [.., low] = *id.as_bytes();
        let shard = self
            .0
            .get(usize::from(low) % SHARDS)
            .expect("the remainder is below the number of shards");
        shard.entries(list)
    }

    /// A walk over what is due in `list`, [`STEP`] entries at a time.
    pub(crate) fn walk(&self, list: List, now: Timestamp) -> Walk<'_> {
        Walk {
            shards: self.0.iter(),
            current: None,
            list,
            until: now.as_millis(),
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let count =
            |shard: &Shard| shard.entries(List::Deadline).len() + shard.entries(List::Forget).len();
        self.0.iter().map(count).sum()
    }
}

impl Shard {
    fn entries(&self, list: List) -> MutexGuard<'_, BTreeSet<Entry>> {
        let set = match list {
            List::Deadline => &self.deadline,
            List::Forget => &self.forget,
        };
        // Nothing under this lock can leave a set half changed.
        set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`DueIndex::walk`].
pub(crate) struct Walk<'a> {
    shards: std::slice::Iter<'a, Shard>,
    current: Option<(&'a Shard, Bound<Entry>)>,
    list: List,
    until: u64,
}

impl Walk<'_> {
    /// The ids of the next entries; `None` at the end. The entries stay where they are.
    pub(crate) fn next_step(&mut self) -> Option<Vec<SessionId>> {
        loop {
            let (shard, after) = match self.current.take() {
                Some(current) => current,
                None => (self.shards.next()?, Bound::Unbounded),
            };
            let end = Bound::Included((self.until, SessionId::from_bytes([0xff; 16])));
            let step: Vec<Entry> = shard
                .entries(self.list)
                .range((after, end))
                .take(STEP)
                .copied()
                .collect();
            if let Some(last) = step.last() {
                if step.len() == STEP && *last < (self.until, SessionId::from_bytes([0xff; 16])) {
                    self.current = Some((shard, Bound::Excluded(*last)));
                }
                return Some(step.into_iter().map(|(_, id)| id).collect());
            }
        }
    }
}
