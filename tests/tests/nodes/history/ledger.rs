//! What was told of one session, and what that rules out.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cloakroom_tests::Client;

use crate::since::Since;

pub(super) struct Ledger {
    client: Client,
    /// How old a copy may be that a node shows.
    bound: Duration,
    told: Mutex<Told>,
    open: AtomicUsize,
}

#[derive(Default)]
struct Told {
    /// Each acknowledged increment: when, at which node, and the value.
    values: Vec<(Since, Option<usize>, i64)>,
    /// The logout was asked for, and acknowledged.
    ending: bool,
    ended: Option<Since>,
}

impl Ledger {
    pub(super) fn new(client: Client, bound: Duration) -> Self {
        Self {
            client,
            bound,
            told: Mutex::default(),
            open: AtomicUsize::new(0),
        }
    }

    /// A client with the session's cookie, in a jar that no other fills.
    pub(super) fn client(&self, node: &str) -> Client {
        self.client.copy().at(node)
    }

    /// An increment that was acknowledged just now, after a request that began at `begun`.
    pub(super) fn stored(&self, begun: Since, place: usize, value: i64) {
        let mut told = self.told.lock().unwrap();
        let dead = told.ended.is_some_and(|ended| ended < begun);
        assert!(!dead, "a write to a session that has ended: {value}");
        told.values.push((Since::now(), Some(place), value));
    }

    /// The same after the faults.
    pub(super) fn added(&self, value: Option<i64>) {
        match value {
            Some(value) => {
                let mut told = self.told.lock().unwrap();
                told.values.push((Since::now(), None, value));
            }
            None => self.is_open(),
        }
    }

    /// An increment that may be stored or not.
    pub(super) fn is_open(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// A look that began at `begun` has shown this value.
    pub(super) fn shown(&self, begun: Since, place: usize, value: i64) {
        let told = self.told.lock().unwrap();
        let known = |(at, by, _): &&(Since, Option<usize>, i64)| {
            let age = if *by == Some(place) {
                Duration::ZERO
            } else {
                self.bound
            };
            *at < begun && begun.after(*at) >= age
        };
        let least = told
            .values
            .iter()
            .filter(known)
            .map(|(_, _, value)| *value)
            .max();
        assert!(Some(value) >= least, "{value} is shown after {least:?}");
        let dead = told
            .ended
            .is_some_and(|ended| ended < begun && begun.after(ended) >= self.bound);
        assert!(!dead, "a session that has ended is shown");
    }

    /// Somebody was told that it has ended.
    pub(super) fn told_ended(&self) {
        assert!(self.told.lock().unwrap().ending, "nobody has ended it");
    }

    pub(super) fn ending(&self) {
        self.told.lock().unwrap().ending = true;
    }

    pub(super) fn ended(&self) {
        self.told.lock().unwrap().ended = Some(Since::now());
    }

    pub(super) fn has_ended(&self) -> bool {
        self.told.lock().unwrap().ended.is_some()
    }

    pub(super) fn answered(&self) -> usize {
        self.told.lock().unwrap().values.len()
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Every acknowledged increment is in, and none twice.
    pub(super) fn check(&self) {
        let told = self.told.lock().unwrap();
        let mut values: Vec<i64> = told.values.iter().map(|(_, _, value)| *value).collect();
        values.sort_unstable();
        let count = values.len();
        values.dedup();
        assert_eq!(values.len(), count, "each answer is a value of its own");
        let last = values
            .last()
            .map_or(0, |last| usize::try_from(*last).unwrap());
        let most = count + self.open();
        assert!((count..=most).contains(&last), "{count} to {most}: {last}");
    }
}
