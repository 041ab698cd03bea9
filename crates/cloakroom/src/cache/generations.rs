use std::sync::atomic::{AtomicU64, Ordering};

use cloakroom_core::SessionId;

const STRIPES: usize = 256;

/// Counters that close the fill race: a load notes its id's counter when it starts, and whatever
/// changes the session meanwhile (a commit, an ending, a notice from another node) raises it. What
/// the load brings may only be trusted if the counter has not moved.
///
/// Striped by the last byte of the id, which is random: two sessions that share a counter cost
/// each other a needless look at the store, never a wrong answer.
#[derive(Debug)]
pub(crate) struct Generations([AtomicU64; STRIPES]);

impl Generations {
    pub(crate) fn new() -> Self {
        Self([const { AtomicU64::new(0) }; STRIPES])
    }

    fn stripe(&self, id: SessionId) -> Option<&AtomicU64> {
        let [.., last] = *id.as_bytes();
        self.0.get(usize::from(last))
    }

    pub(crate) fn of(&self, id: SessionId) -> u64 {
        self.stripe(id)
            .map_or(0, |stripe| stripe.load(Ordering::Acquire))
    }

    pub(crate) fn raise(&self, id: SessionId) {
        if let Some(stripe) = self.stripe(id) {
            stripe.fetch_add(1, Ordering::AcqRel);
        }
    }
}
