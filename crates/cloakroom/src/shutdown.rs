//! The end of all sessions of an exclusive store, where a shutdown is told so.

use std::collections::VecDeque;
use std::sync::Arc;

use cloakroom_core::{Digest, Due, Record, SessionId, State, StoreError, Timestamp};
use futures_util::{StreamExt as _, stream};

use crate::EndReason;
use crate::events::{Event, attributes_of};
use crate::inner::Inner;
use crate::record::Head;
use crate::tombstones::forget_surplus;

/// How many rows one store call may end.
const BATCH: usize = 200;

/// How many calls for one session each are under way at once.
const AT_ONCE: usize = 32;

/// Ends every session that this node holds, or that the store finds by its index of deadlines: at the
/// end of time all of them are due. Returns how many those were.
pub(crate) async fn destroy_all(inner: &Arc<Inner>) -> u64 {
    let mut destroyed = 0;
    // Those that this node holds may have no deadline.
    for resident in inner.l1.residents() {
        let (id, now) = (resident.id(), inner.now());
        let snapshot = resident.view().snapshot;
        let ended = crate::commit::end(inner, id, &snapshot, EndReason::Shutdown, now).await;
        destroyed += u64::from(ended.is_ok_and(|ended| ended.is_some()));
    }
    let mut unexplained = Unexplained::default();
    loop {
        match inner.store.expire(Timestamp::MAX, Due::Limit(BATCH)).await {
            Ok(ended) if ended.is_empty() => break,
            Ok(ended) => {
                destroyed += ended.len() as u64;
                for (id, record) in ended {
                    tell(inner, id, &record);
                    unexplained.add(id, record, inner.config.max_tombstones);
                }
            }
            Err(error) => {
                inner.store_failed("expire", &error);
                break;
            }
        }
    }
    unexplained.explain(inner).await;
    destroyed
}

fn tell(inner: &Inner, id: SessionId, record: &Record) {
    inner.forget(id);
    inner.stats.ends.add();
    inner.stats.lasted.note(&record.head, inner.now());
    inner.events.tell(|| Event::Ended {
        id,
        reason: EndReason::Shutdown,
        owner: record.owner.clone(),
        attributes: attributes_of(&record.body),
    });
}

/// What the store has ended as if it had timed out. Its tombstones give no reason, which is that of a
/// time-out, and deadlines that are still to come.
#[derive(Default)]
struct Unexplained {
    kept: VecDeque<(SessionId, Record)>,
    /// More than may be remembered.
    surplus: Vec<SessionId>,
}

impl Unexplained {
    fn add(&mut self, id: SessionId, mut record: Record, max: usize) {
        record.body = Vec::new();
        record.owner = None;
        self.kept.push_back((id, record));
        if self.kept.len() > max {
            let oldest = self.kept.pop_front();
            self.surplus.extend(oldest.map(|(id, _)| id));
        }
    }

    /// Puts a tombstone with the reason in the place of each. All have ended before the first of
    /// these calls: whatever fails, or is not reached, is unknown.
    async fn explain(self, inner: &Arc<Inner>) {
        let now = inner.now();
        let surplus = self.surplus.into_iter().map(|id| (id, None));
        let kept = self.kept.into_iter().map(|(id, row)| (id, Some(row)));
        stream::iter(surplus.chain(kept))
            .for_each_concurrent(AT_ONCE, async |(id, record)| {
                if let Err(error) = replace(inner, id, record, now).await {
                    inner.store_failed("end", &error);
                }
            })
            .await;
        forget_surplus(inner, now).await;
    }
}

/// The first ending wins, so that another one needs a row that has not ended. It is one that no secret
/// opens and that is never due: nobody meets it, and no pass reports it.
async fn replace(
    inner: &Inner,
    id: SessionId,
    record: Option<Record>,
    now: Timestamp,
) -> Result<(), StoreError> {
    inner.store.end(id, None).await?;
    let explained = record.and_then(|mut record| {
        let mut head = Head::decode(&record.head).ok()?;
        let tombstone = crate::commit::tombstone_of(inner, &record, EndReason::Shutdown, now)?;
        head.digest = Digest::from_bytes([0; 32]);
        record.head = head.encode();
        record.state = State::Live;
        record.times = tombstone.times;
        record.times.deadline = None;
        Some((record, tombstone))
    });
    if let Some((row, tombstone)) = explained {
        inner.store.create(id, &row).await?;
        inner.store.end(id, Some(&tombstone)).await?;
        inner.tombstones.note(id, tombstone.times.expires_at);
    }
    Ok(())
}
