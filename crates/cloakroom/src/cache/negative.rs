use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloakroom_core::{Digest, SessionId, Timestamp};
use foldhash::fast::RandomState;

/// How long an unknown id or a refused secret is remembered.
const MEMORY: Duration = Duration::from_secs(1);

/// How many are remembered at most, in each of two halves.
const HALF: usize = 4_096;

/// Ids that the store does not know, and secrets that it refused, remembered for a second so that
/// junk does not become store traffic. Bounded: when one half is full the other is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Negative {
    unknown: Mutex<Halves<SessionId>>,
    refused: Mutex<Halves<[u8; 32]>>,
}

#[derive(Debug)]
struct Halves<K> {
    young: HashMap<K, Timestamp, RandomState>,
    old: HashMap<K, Timestamp, RandomState>,
}

impl<K> Default for Halves<K> {
    fn default() -> Self {
        Self {
            young: HashMap::default(),
            old: HashMap::default(),
        }
    }
}

impl<K: std::hash::Hash + Eq> Halves<K> {
    fn add(&mut self, key: K, now: Timestamp) {
        if self.young.len() >= HALF {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, now);
    }

    fn has(&self, key: &K, now: Timestamp) -> bool {
        // An entry from the future (a clock that was stepped back) is as good as none.
        let fresh = |at: &Timestamp| *at <= now && now.since(*at) < MEMORY;
        self.young.get(key).is_some_and(fresh) || self.old.get(key).is_some_and(fresh)
    }

    fn remove(&mut self, key: &K) {
        for half in [&mut self.young, &mut self.old] {
            // Empty as a rule; hashing the key costs more than the look.
            if !half.is_empty() {
                half.remove(key);
            }
        }
    }
}

fn lock<K>(half: &Mutex<Halves<K>>) -> MutexGuard<'_, Halves<K>> {
    half.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Negative {
    pub(crate) fn add_unknown(&self, id: SessionId, now: Timestamp) {
        lock(&self.unknown).add(id, now);
    }

    pub(crate) fn is_unknown(&self, id: SessionId, now: Timestamp) -> bool {
        lock(&self.unknown).has(&id, now)
    }

    /// The id exists after all: it was created here, or another node says so.
    pub(crate) fn forget_unknown(&self, id: SessionId) {
        lock(&self.unknown).remove(&id);
    }

    pub(crate) fn add_refused(&self, digest: &Digest, now: Timestamp) {
        lock(&self.refused).add(*digest.as_bytes(), now);
    }

    pub(crate) fn is_refused(&self, digest: &Digest, now: Timestamp) -> bool {
        lock(&self.refused).has(digest.as_bytes(), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> SessionId {
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&n.to_be_bytes());
        SessionId::from_bytes(bytes)
    }

    #[test]
    fn an_unknown_id_is_remembered_for_a_second_and_a_create_forgets_it() {
        let negative = Negative::default();
        let now = Timestamp::from_millis(5_000);
        negative.add_unknown(id(1), now);
        assert!(negative.is_unknown(id(1), now + Duration::from_millis(999)));
        assert!(!negative.is_unknown(id(1), now + MEMORY));
        assert!(
            !negative.is_unknown(id(1), now - Duration::from_millis(1)),
            "clock stepped back"
        );
        negative.forget_unknown(id(1));
        assert!(!negative.is_unknown(id(1), now));
    }

    #[test]
    fn a_flood_of_random_ids_is_bounded_in_memory() {
        let negative = Negative::default();
        for n in 0..100_000 {
            negative.add_unknown(id(n), Timestamp::EPOCH);
        }
        let unknown = lock(&negative.unknown);
        assert!(unknown.young.len() + unknown.old.len() <= 2 * HALF);
        assert!(unknown.has(&id(99_999), Timestamp::EPOCH));
    }
}
