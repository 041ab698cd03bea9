use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cloakroom_core::{Digest, SessionId, State, StoreErrorKind, Times, Timestamp};
use dashmap::DashMap;
use foldhash::fast::RandomState;
use futures_util::future::{FutureExt as _, Shared, WeakShared};

use super::Generations;
use crate::Error;
use crate::erased::Store;
use crate::record::{Head, Snapshot, Unreadable};
use crate::stats::Stats;

/// What one read of the store brought.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    Absent,
    Ended(Arc<Tombstone>),
    Live(Arc<Loaded>),
    /// With the digest of the secret, if at least the head can be read.
    Unreadable(Unreadable, Option<Digest>),
}

/// A live record, and the id's generation when the read of it began.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) times: Times,
    pub(crate) generation: u64,
    pub(crate) epoch: u64,
    pub(crate) at: Timestamp,
}

/// What is remembered of an ended session.
#[derive(Debug)]
pub(crate) struct Tombstone {
    pub(crate) head: Head,
    pub(crate) times: Times,
}

type Answer = Result<Found, Error>;
type Load = Shared<Pin<Box<dyn Future<Output = Answer> + Send>>>;
type WeakLoad = WeakShared<Pin<Box<dyn Future<Output = Answer> + Send>>>;

/// The last load of an id that is under way. Weak: a load that nobody waits for any more is not
/// kept half-done for a later request.
struct Flight {
    seq: u64,
    load: WeakLoad,
    start: Arc<Start>,
}

/// Whether the store read has begun, and under which generation.
#[derive(Debug, Default)]
struct Start {
    begun: AtomicBool,
    generation: AtomicU64,
}

type Map = DashMap<SessionId, Flight, RandomState>;

/// One load per id, however many wait for it. Whoever waits drives it, so that it completes for the
/// others even if the client that started it has gone.
#[derive(Default)]
pub(crate) struct Flights {
    map: Arc<Map>,
    next: AtomicU64,
}

/// What a load needs beside the id.
#[derive(Clone)]
pub(crate) struct Reader {
    pub(crate) store: Arc<Store>,
    pub(crate) generations: Arc<Generations>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) epoch: u64,
    pub(crate) now: Timestamp,
}

impl Flights {
    /// Reads a record. With `fresh`, only a read that begins after this call will do; without, one
    /// under way is joined unless the session has changed since it began. The second answer says
    /// whether the read may have begun before this call.
    pub(crate) async fn load(&self, id: SessionId, fresh: bool, reader: Reader) -> (Answer, bool) {
        let (load, seq, joined) = self.join(id, fresh, reader);
        let leave = Leave {
            map: &self.map,
            id,
            seq,
            load: Some(load.clone()),
        };
        let answer = load.await;
        drop(leave);
        (answer, joined)
    }

    /// Reads a record for one request alone.
    pub(crate) async fn load_alone(&self, id: SessionId, reader: Reader) -> (Answer, bool) {
        (read(id, reader, Arc::default(), None).await, false)
    }

    fn join(&self, id: SessionId, fresh: bool, reader: Reader) -> (Load, u64, bool) {
        let mut last = None;
        let entry = self.map.entry(id);
        if let dashmap::Entry::Occupied(flight) = &entry
            && let Some(load) = flight.get().load.upgrade()
        {
            let start = &flight.get().start;
            let begun = start.begun.load(Ordering::Acquire);
            let unchanged = start.generation.load(Ordering::Acquire) == reader.generations.of(id);
            if !begun || (!fresh && unchanged) {
                return (load, flight.get().seq, begun);
            }
            last = Some(load);
        }
        let seq = self.next.fetch_add(1, Ordering::Relaxed);
        let start = Arc::new(Start::default());
        let load = read(id, reader, Arc::clone(&start), last).boxed().shared();
        if let Some(weak) = load.downgrade() {
            entry.insert(Flight {
                seq,
                load: weak,
                start,
            });
        }
        (load, seq, false)
    }
}

impl std::fmt::Debug for Flights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flights")
            .field("under_way", &self.map.len())
            .finish_non_exhaustive()
    }
}

/// Removes the entry of a load that is done, or that nobody waits for.
struct Leave<'a> {
    map: &'a Map,
    id: SessionId,
    seq: u64,
    load: Option<Load>,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let done = self.load.take().is_some_and(|load| load.peek().is_some());
        self.map.remove_if(&self.id, |_, flight| {
            flight.seq == self.seq && (done || flight.load.upgrade().is_none())
        });
    }
}

async fn read(id: SessionId, reader: Reader, start: Arc<Start>, last: Option<Load>) -> Answer {
    if let Some(last) = last {
        // One read of an id at a time, also of those that must begin anew. Its answer is not ours.
        drop(last.await);
    }
    let generation = reader.generations.of(id);
    start.generation.store(generation, Ordering::Release);
    start.begun.store(true, Ordering::Release);
    reader.stats.loads.add();
    match reader.store.load(id).await {
        Ok(None) => Ok(Found::Absent),
        Ok(Some(record)) if record.state == State::Ended => Ok(match Head::decode(&record.head) {
            Ok(head) => Found::Ended(Arc::new(Tombstone {
                head,
                times: record.times,
            })),
            Err(unreadable) => Found::Unreadable(unreadable, None),
        }),
        Ok(Some(record)) => {
            let head = record.head.clone();
            Ok(match Snapshot::decode(record) {
                Ok((snapshot, times)) => Found::Live(Arc::new(Loaded {
                    snapshot: Arc::new(snapshot),
                    times,
                    generation,
                    epoch: reader.epoch,
                    at: reader.now,
                })),
                Err(unreadable) => {
                    let digest = Head::decode(&head).ok().map(|head| head.digest);
                    Found::Unreadable(unreadable, digest)
                }
            })
        }
        Err(error) if error.kind() == StoreErrorKind::Corrupt => {
            Ok(Found::Unreadable(Unreadable::Corrupt, None))
        }
        Err(error) => Err(error.into()),
    }
}
