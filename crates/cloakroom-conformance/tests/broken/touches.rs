use cloakroom_core::{Record, SessionId, SessionStore, Stamp, State, Times, TouchOutcome};
use cloakroom_memory::MemoryStore;

use super::{Answer, Sabotage, force};

/// The live record, if it has this stamp.
async fn expected_record(
    store: &MemoryStore,
    id: SessionId,
    expected: Stamp,
) -> Answer<Option<Record>> {
    let fits = |record: &Record| record.state == State::Live && record.stamp == expected;
    Ok(store.load(id).await?.filter(fits))
}

pub(crate) struct RevivingTouch;

impl Sabotage for RevivingTouch {
    async fn touch(
        &self,
        store: &MemoryStore,
        id: SessionId,
        expected: Stamp,
        times: Times,
    ) -> Answer<TouchOutcome> {
        let outcome = store.touch(id, expected, times).await?;
        if outcome == TouchOutcome::Ended
            && let Some(mut record) = store.load(id).await?
        {
            record.state = State::Live;
            record.times = times;
            force(store, id, &record).await;
            return Ok(TouchOutcome::Touched);
        }
        Ok(outcome)
    }
}

pub(crate) struct TouchBack;

impl Sabotage for TouchBack {
    async fn touch(
        &self,
        store: &MemoryStore,
        id: SessionId,
        expected: Stamp,
        times: Times,
    ) -> Answer<TouchOutcome> {
        if let Some(mut record) = expected_record(store, id, expected).await? {
            record.times = times;
            store.save(id, &record, expected).await?;
        }
        store.touch(id, expected, times).await
    }
}

pub(crate) struct StampingTouch;

impl Sabotage for StampingTouch {
    async fn touch(
        &self,
        store: &MemoryStore,
        id: SessionId,
        expected: Stamp,
        times: Times,
    ) -> Answer<TouchOutcome> {
        if let Some(mut record) = expected_record(store, id, expected).await? {
            record.times = record.times.forward(times);
            record.stamp = expected.next();
            store.save(id, &record, expected).await?;
            return Ok(TouchOutcome::Touched);
        }
        store.touch(id, expected, times).await
    }
}

pub(crate) struct BlindTouch;

impl Sabotage for BlindTouch {
    async fn touch(
        &self,
        store: &MemoryStore,
        id: SessionId,
        expected: Stamp,
        times: Times,
    ) -> Answer<TouchOutcome> {
        let stored = store.peek(id).await?.map(|peek| peek.stamp);
        store.touch(id, stored.unwrap_or(expected), times).await
    }
}
