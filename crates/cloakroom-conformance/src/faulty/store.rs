use cloakroom_core::{
    Capabilities, ChangeFeed, CreateOutcome, Due, ImmediateStore, Owner, Page, Peek, Record,
    SaveOutcome, SessionId, SessionStore, Stamp, StoreError, Times, Timestamp, TouchOutcome,
};

use super::counts::Op;
use super::edit::Editable;
use super::faults::{Answer, Faults};
use crate::give_up::give_up_after;

/// A store in front of another, with faults by script.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use cloakroom_conformance::{FaultyStore, Op};
/// use cloakroom_core::{SessionId, SessionStore};
/// use cloakroom_memory::MemoryStore;
///
/// let (store, faults) = FaultyStore::new(MemoryStore::new());
/// let id = SessionId::from_bytes([1; 16]);
/// faults.fail(Op::Load, 1);
/// assert!(store.load(id).await.unwrap_err().is_retryable());
/// assert_eq!(store.load(id).await.unwrap(), None);
/// assert_eq!(faults.counts().load, 2);
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct FaultyStore<S> {
    inner: S,
    faults: Faults,
}

impl<S: SessionStore> FaultyStore<S> {
    /// Wraps a store; the second half is the handle on its faults, of which there are none yet.
    pub fn new(inner: S) -> (Self, Faults) {
        let faults = Faults::default();
        (Self::with_faults(inner, faults.clone()), faults)
    }

    /// Wraps a store so that it shares an existing script: one network, several stores.
    pub fn with_faults(inner: S, faults: Faults) -> Self {
        Self { inner, faults }
    }

    /// The store inside, past all faults.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    async fn run<T: Editable + Send>(
        &self,
        op: Op,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let plan = self.faults.plan(op);
        if !plan.delay.is_zero() {
            tokio::time::sleep(plan.delay).await;
        }
        for gate in &plan.before {
            gate.pass().await;
        }
        let lost = || StoreError::unavailable("injected fault: no reply");
        let mut answer = match plan.answer {
            Some(Answer::Fail(kind)) => Err(StoreError::new(kind, "injected fault")),
            Some(Answer::Cut(polls)) => match give_up_after(polls, call).await {
                Some(answer) => answer,
                None => Err(lost()),
            },
            Some(Answer::LoseReply) => call.await.and_then(|_| Err(lost())),
            None => call.await,
        };
        for gate in &plan.after {
            gate.pass().await;
        }
        if let Ok(reply) = &mut answer {
            for edit in plan.edits {
                reply.edit(edit);
            }
        }
        answer
    }
}

impl<S: SessionStore> SessionStore for FaultyStore<S> {
    async fn create(&self, id: SessionId, record: &Record) -> Result<CreateOutcome, StoreError> {
        self.run(Op::Create, self.inner.create(id, record)).await
    }

    async fn load(&self, id: SessionId) -> Result<Option<Record>, StoreError> {
        self.run(Op::Load, self.inner.load(id)).await
    }

    async fn peek(&self, id: SessionId) -> Result<Option<Peek>, StoreError> {
        self.run(Op::Peek, self.inner.peek(id)).await
    }

    async fn save(
        &self,
        id: SessionId,
        record: &Record,
        expected: Stamp,
    ) -> Result<SaveOutcome, StoreError> {
        self.run(Op::Save, self.inner.save(id, record, expected))
            .await
    }

    async fn touch(
        &self,
        id: SessionId,
        expected: Stamp,
        times: Times,
    ) -> Result<TouchOutcome, StoreError> {
        self.run(Op::Touch, self.inner.touch(id, expected, times))
            .await
    }

    async fn end(
        &self,
        id: SessionId,
        tombstone: Option<&Record>,
    ) -> Result<Option<Record>, StoreError> {
        self.run(Op::End, self.inner.end(id, tombstone)).await
    }

    async fn expire(
        &self,
        now: Timestamp,
        due: Due<'_>,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        self.run(Op::Expire, self.inner.expire(now, due)).await
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.run(Op::Purge, self.inner.purge(now, limit)).await
    }

    async fn owned_by(&self, owner: &Owner, page: Page) -> Result<Vec<SessionId>, StoreError> {
        self.run(Op::OwnedBy, self.inner.owned_by(owner, page))
            .await
    }

    fn capabilities(&self) -> Capabilities {
        self.faults
            .capabilities()
            .unwrap_or_else(|| self.inner.capabilities())
    }

    fn changes(&self) -> Option<ChangeFeed> {
        self.faults.feed().or_else(|| self.inner.changes())
    }

    /// That of the store inside, as long as no fault waits for a write.
    fn immediate(&self) -> Option<&dyn ImmediateStore> {
        let writes = [Op::Create, Op::Save];
        let is_spared = writes.into_iter().all(|op| self.faults.spares(op));
        self.inner.immediate().filter(|_| is_spared)?;
        Some(self)
    }
}

impl<S: SessionStore> FaultyStore<S> {
    fn immediate_inner(&self, op: Op) -> &dyn ImmediateStore {
        self.faults.plan(op);
        self.inner
            .immediate()
            .expect("only a store that never waits is handed out")
    }
}

impl<S: SessionStore> ImmediateStore for FaultyStore<S> {
    fn create_now(&self, id: SessionId, record: &Record) -> CreateOutcome {
        self.immediate_inner(Op::Create).create_now(id, record)
    }

    fn save_now(&self, id: SessionId, record: &Record, expected: Stamp) -> SaveOutcome {
        self.immediate_inner(Op::Save)
            .save_now(id, record, expected)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cloakroom_core::{Stamp, State, StoreErrorKind};
    use cloakroom_memory::MemoryStore;

    use super::*;
    use crate::faulty::{Corruption, Counts};

    const ID: SessionId = SessionId::from_bytes([1; 16]);

    fn record() -> Record {
        let times = Times {
            used_at: Timestamp::EPOCH,
            deadline: None,
            expires_at: None,
        };
        Record::from_stored(
            Stamp::first(),
            State::Live,
            None,
            times,
            vec![1, 2],
            vec![1, 3],
        )
    }

    #[tokio::test]
    async fn a_lost_reply_was_performed_and_a_failed_call_was_not() {
        let (store, faults) = FaultyStore::new(MemoryStore::new());
        faults.fail_with(Op::Create, StoreErrorKind::Rejected, 1);
        faults.lose_reply(Op::Create, 1);
        let failed = store.create(ID, &record()).await.unwrap_err();
        assert_eq!(failed.kind(), StoreErrorKind::Rejected);
        assert_eq!(store.load(ID).await.unwrap(), None);
        let record = record();
        let lost = store.create(ID, &record).await.unwrap_err();
        assert_eq!(lost.kind(), StoreErrorKind::Unavailable);
        assert_eq!(store.load(ID).await.unwrap(), Some(record));
        let counts = Counts {
            create: 2,
            load: 2,
            ..Counts::default()
        };
        assert_eq!(faults.take_counts(), counts);
        assert_eq!(faults.counts().total(), 0);
    }

    #[tokio::test]
    async fn what_was_always_failing_works_again_once_cleared() {
        let (store, faults) = FaultyStore::new(MemoryStore::new());
        faults.fail_all();
        for _ in 0..3 {
            assert!(store.load(ID).await.is_err());
        }
        faults.clear();
        assert!(store.load(ID).await.is_ok());
    }

    #[tokio::test]
    async fn a_gate_lets_through_one_at_a_time_or_all_and_forgets_the_dropped() {
        let (store, faults) = FaultyStore::new(MemoryStore::new());
        let store = Arc::new(store);
        let gate = faults.hold(Op::Peek);
        let call = || {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.peek(ID).await.unwrap() })
        };
        let dropped = call();
        gate.arrived(1).await;
        let calls = [call(), call()];
        gate.arrived(3).await;
        dropped.abort();
        assert!(dropped.await.unwrap_err().is_cancelled());
        gate.release_one();
        let [first, second] = calls;
        first.await.unwrap();
        assert!(!second.is_finished());
        drop(gate);
        second.await.unwrap();
        store.peek(ID).await.unwrap();
    }

    #[tokio::test]
    async fn a_held_reply_was_performed_already() {
        let (store, faults) = FaultyStore::new(MemoryStore::new());
        let store = Arc::new(store);
        let gate = faults.hold_reply(Op::Create);
        let create = tokio::spawn({
            let store = Arc::clone(&store);
            async move { store.create(ID, &record()).await.unwrap() }
        });
        gate.arrived(1).await;
        assert!(store.load(ID).await.unwrap().is_some());
        assert!(!create.is_finished());
        gate.release();
        assert_eq!(create.await.unwrap(), CreateOutcome::Created);
    }

    #[tokio::test]
    async fn false_records_leave_the_row_as_it_was() {
        let (store, faults) = FaultyStore::new(MemoryStore::new());
        let record = record();
        store.create(ID, &record).await.unwrap();
        let false_stamp = record.stamp.next();
        faults.corrupt(Op::Load, Corruption::TruncateBody, 1);
        faults.corrupt(Op::Load, Corruption::ForeignHead, 1);
        faults.lie(Op::Load, false_stamp, 1);
        faults.lie(Op::Peek, false_stamp, 1);
        let read = store.load(ID).await.unwrap().unwrap();
        assert_eq!((read.head, read.body), (vec![255, 2], vec![1]));
        assert_eq!(read.stamp, false_stamp);
        assert_eq!(store.peek(ID).await.unwrap().unwrap().stamp, false_stamp);
        assert_eq!(store.load(ID).await.unwrap(), Some(record));
    }

    #[tokio::test]
    async fn a_call_that_is_cut_is_dropped_at_an_await() {
        let (inner, gates) = FaultyStore::new(MemoryStore::new());
        let gate = gates.hold(Op::Create);
        let (store, faults) = FaultyStore::new(inner);
        faults.cut(Op::Create, 1, 1);
        assert!(store.create(ID, &record()).await.is_err());
        assert_eq!(gate.count(), 1);
        gate.release();
        assert_eq!(store.load(ID).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_scripted_feed_says_what_it_is_told_to() {
        use cloakroom_core::{Capabilities, Change};

        let (store, faults) = FaultyStore::new(MemoryStore::new());
        faults.pretend(Capabilities::default());
        faults.script_feed();
        assert!(!store.capabilities().exclusive);
        let mut feed = store.changes().unwrap();
        assert_eq!(faults.tell(Change::Lost), 1);
        assert_eq!(feed.next().await, Some(Change::Lost));
        faults.close_feeds();
        assert_eq!(feed.next().await, None);
    }
}
