use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cloakroom_core::{
    Due, Record, SaveOutcome, SessionId, SessionStore, Stamp, Times, TouchOutcome,
};

use crate::give_up::give_up_after;
use crate::sample::{HOUR, at_once, caller_now, live, load, patiently, put, tombstone};
use crate::seed::Chance;

const SESSIONS: usize = 3;
const TASKS: u64 = 8;
const STEPS: usize = 60;

/// How often each thing is done, relative to the others.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weights {
    pub(super) increment: usize,
    pub(super) load: usize,
    pub(super) touch: usize,
    /// A save or touch that is dropped after a few polls.
    pub(super) drop: usize,
    /// An increment that also makes the session due.
    pub(super) shorten: usize,
    pub(super) expire: usize,
    pub(super) end: usize,
    pub(super) purge: usize,
}

/// What one call did, as far as its caller knows.
#[derive(Clone, Debug)]
pub(super) enum What {
    Read(Option<Record>),
    /// `sure` is false if the reply is not known.
    Saved {
        from: Stamp,
        to: Record,
        sure: bool,
    },
    Touched {
        stamp: Stamp,
        times: Times,
    },
    Ended(Record),
}

/// A call, between two ticks of one clock that all tasks share.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) what: What,
}

/// All that happened to one session.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) first: Record,
    pub(super) events: Vec<Event>,
    pub(super) last: Option<Record>,
}

struct Actor<S> {
    store: Arc<S>,
    ids: Vec<SessionId>,
    ticks: Arc<AtomicU64>,
    chance: Chance,
    weights: Weights,
    log: Vec<(SessionId, Event)>,
}

pub(super) async fn run<S: SessionStore>(
    store: &Arc<S>,
    seed: u64,
    weights: Weights,
) -> Vec<Story> {
    let mut first = live();
    first.body = vec![1, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut ids = Vec::new();
    for _ in 0..SESSIONS {
        ids.push(put(&**store, &first).await);
    }
    let ticks = Arc::new(AtomicU64::new(0));
    let actors = (0..TASKS).map(|n| {
        let mut actor = Actor {
            store: Arc::clone(store),
            ids: ids.clone(),
            ticks: Arc::clone(&ticks),
            chance: Chance::new(seed, n),
            weights,
            log: Vec::new(),
        };
        async move {
            for _ in 0..STEPS {
                actor.step().await;
                actor.dawdle().await;
            }
            actor.log
        }
    });
    let logs = at_once(actors).await.concat();
    let mut stories = Vec::new();
    for id in ids {
        let of_id = logs.iter().filter(|(whose, _)| *whose == id);
        stories.push(Story {
            first: first.clone(),
            events: of_id.map(|(_, event)| event.clone()).collect(),
            last: load(&**store, id).await,
        });
    }
    stories
}

/// The number of increments, which the body holds.
pub(super) fn counter(record: &Record) -> u64 {
    let bytes = record.body.last_chunk().expect("a counter of eight bytes");
    u64::from_le_bytes(*bytes)
}

fn incremented(record: &Record) -> Record {
    let mut next = record.clone();
    next.stamp = record.stamp.next();
    let count = counter(record) + 1;
    next.body = [&[1][..], &count.to_le_bytes()].concat();
    next.head = [&[1][..], &next.stamp.nonce.to_le_bytes()].concat();
    next
}

impl<S: SessionStore> Actor<S> {
    fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::SeqCst)
    }

    fn note(&mut self, id: SessionId, begin: u64, what: What) {
        let end = self.tick();
        self.log.push((id, Event { begin, end, what }));
    }

    async fn step(&mut self) {
        let id = *self
            .ids
            .get(self.chance.below(SESSIONS))
            .expect("one of the sessions");
        let w = self.weights;
        let sum = w.increment + w.load + w.touch + w.drop + w.shorten + w.expire + w.end + w.purge;
        let mut dice = self.chance.below(sum);
        let mut is = |weight: usize| {
            let hit = dice < weight;
            dice = dice.saturating_sub(weight);
            hit
        };
        if is(w.increment) {
            self.increment(id, false).await;
        } else if is(w.load) {
            self.load(id).await;
        } else if is(w.touch) {
            self.touch(id).await;
        } else if is(w.drop) {
            self.dropped_save(id).await;
        } else if is(w.shorten) {
            self.increment(id, true).await;
        } else if is(w.expire) {
            self.expire().await;
        } else if is(w.end) {
            self.end(id).await;
        } else {
            patiently(|| self.store.purge(caller_now(), 10)).await;
        }
    }

    /// Lets the others come in between: a store that never waits would not.
    async fn dawdle(&mut self) {
        for _ in 0..self.chance.below(3) {
            tokio::task::yield_now().await;
        }
    }

    async fn load(&mut self, id: SessionId) -> Option<Record> {
        let begin = self.tick();
        let record = patiently(|| self.store.load(id)).await;
        self.note(id, begin, What::Read(record.clone()));
        record
    }

    async fn increment(&mut self, id: SessionId, shorten: bool) {
        let Some(current) = self.load(id).await else {
            return;
        };
        let mut next = incremented_or(&current);
        if shorten {
            next.times.deadline = Some(caller_now());
        }
        self.dawdle().await;
        let begin = self.tick();
        let answer = self.store.save(id, &next, current.stamp).await;
        let from = current.stamp;
        let what = match answer {
            Ok(SaveOutcome::Saved) => What::Saved {
                from,
                to: next,
                sure: true,
            },
            Ok(SaveOutcome::Conflict(record)) => {
                assert_ne!(record.stamp, from, "a conflict with the expected stamp");
                What::Read(Some(record))
            }
            Ok(SaveOutcome::Ended(record)) => What::Read(Some(record)),
            Ok(SaveOutcome::Gone) => What::Read(None),
            Err(error) => {
                assert!(error.is_retryable(), "{error}");
                What::Saved {
                    from,
                    to: next,
                    sure: false,
                }
            }
        };
        self.note(id, begin, what);
    }

    async fn dropped_save(&mut self, id: SessionId) {
        let Some(current) = self.load(id).await else {
            return;
        };
        let (to, from) = (incremented_or(&current), current.stamp);
        let polls = self.chance.below(5);
        let begin = self.tick();
        let answer = give_up_after(polls, self.store.save(id, &to, from)).await;
        let sure = match answer {
            Some(Ok(SaveOutcome::Saved)) => true,
            None | Some(Err(_)) => false,
            Some(Ok(_)) => return,
        };
        self.note(id, begin, What::Saved { from, to, sure });
    }

    async fn touch(&mut self, id: SessionId) {
        let Some(current) = self.load(id).await else {
            return;
        };
        let mut times = current.times;
        times.used_at = times.used_at + HOUR;
        self.dawdle().await;
        let begin = self.tick();
        let stamp = current.stamp;
        if let Ok(TouchOutcome::Touched) = self.store.touch(id, stamp, times).await {
            self.note(id, begin, What::Touched { stamp, times });
        }
    }

    async fn expire(&mut self) {
        let begin = self.tick();
        let ended = patiently(|| self.store.expire(caller_now(), Due::Ids(&self.ids))).await;
        for (id, record) in ended {
            self.note(id, begin, What::Ended(record));
        }
    }

    async fn end(&mut self, id: SessionId) {
        let tombstone = tombstone(&live());
        let begin = self.tick();
        let ended = patiently(|| self.store.end(id, Some(&tombstone))).await;
        if let Some(record) = ended {
            self.note(id, begin, What::Ended(record));
        }
    }
}

/// What a writer would store next; from a tombstone (a save that must be refused) a count of one.
fn incremented_or(current: &Record) -> Record {
    let mut copy = current.clone();
    if copy.body.len() < 9 {
        copy.body = vec![1, 0, 0, 0, 0, 0, 0, 0, 0];
        copy.state = cloakroom_core::State::Live;
    }
    incremented(&copy)
}
