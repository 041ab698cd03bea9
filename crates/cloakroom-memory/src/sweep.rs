use cloakroom_core::{Change, Record, SessionId, Timestamp};
// A future that merely wakes itself would keep the runtime from looking at its timers and sockets.
use tokio::task::yield_now;

use crate::due::{List, STEP};
use crate::store::Inner;

impl Inner {
    /// The ids of at most `limit` rows whose deadline has come. Ends nothing, so that a caller who
    /// is dropped at one of the yields has not swallowed an expiry event.
    pub(crate) async fn find_due(&self, now: Timestamp, limit: usize) -> Vec<SessionId> {
        let mut found = Vec::new();
        let mut walk = self.due.walk(List::Deadline, now);
        while found.len() < limit
            && let Some(step) = walk.next_step()
        {
            let full = step.len() == STEP;
            for id in step {
                let Some(mut row) = self.rows.get_mut(&id) else {
                    continue;
                };
                if !row.is_due(now) {
                    self.due.settle(id, &mut row);
                } else if found.len() < limit {
                    found.push(id);
                }
            }
            if full {
                yield_now().await;
            }
        }
        found
    }

    /// Ends the row if its deadline has come, and returns it as it was.
    pub(crate) fn expire_one(&self, now: Timestamp, id: SessionId) -> Option<Record> {
        let mut row = self.rows.get_mut(&id)?;
        if !row.is_due(now) {
            return None;
        }
        let record = row.record();
        self.replace(id, &mut row, &record.timed_out());
        self.feeds.tell(Change::Ended { id });
        Some(record)
    }

    /// Removes at most `limit` rows of one list that may be forgotten.
    pub(crate) async fn purge_list(&self, list: List, now: Timestamp, limit: usize) -> usize {
        let mut purged = 0;
        let mut walk = self.due.walk(list, now);
        while purged < limit
            && let Some(step) = walk.next_step()
        {
            let full = step.len() == STEP;
            for id in step {
                purged += usize::from(purged < limit && self.purge_one(now, id));
            }
            if full {
                yield_now().await;
            }
        }
        purged
    }

    fn purge_one(&self, now: Timestamp, id: SessionId) -> bool {
        let removed = self.rows.remove_if_mut(&id, |_, row| {
            if row.is_expired(now) {
                self.clear(id, row);
                if row.is_live() {
                    self.feeds.tell(Change::Ended { id });
                }
                true
            } else {
                self.due.settle(id, row);
                false
            }
        });
        removed.is_some()
    }
}
