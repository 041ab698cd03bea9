//! Choices that can be made again.

use std::hash::{BuildHasher, RandomState};

/// `SplitMix64`.
pub(super) struct Chance {
    seed: u64,
    state: u64,
}

impl Chance {
    /// From `CLOAKROOM_HISTORY_SEED`, or another one at each run.
    pub(super) fn new() -> Self {
        let given = std::env::var("CLOAKROOM_HISTORY_SEED").ok();
        let seed = given.map_or_else(random, |given| given.parse().unwrap());
        Self { seed, state: seed }
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// Another one, for a task of its own.
    pub(super) fn fork(&mut self) -> Self {
        let seed = self.next();
        Self { seed, state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// 0 to `most`, without it.
    pub(super) fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most as u64).unwrap()
    }
}

/// The standard library seeds its hash maps.
fn random() -> u64 {
    RandomState::new().hash_one(0)
}
