//! Chance that can be repeated.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;

/// The variable that repeats a run: the seed that it printed.
pub(crate) const VARIABLE: &str = "CLOAKROOM_SEED";

/// The seed of this process, from the environment or drawn.
pub(crate) fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| match std::env::var(VARIABLE) {
        Ok(text) => text.trim().parse().expect("CLOAKROOM_SEED is a number"),
        Err(_) => RandomState::new().build_hasher().finish(),
    })
}

/// `SplitMix64`: small, and good enough to choose by.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// A stream of its own for each name.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut chance = Self(seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95));
        chance.next();
        chance
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `0..bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("a usize fits in 64 bits");
        usize::try_from(self.next() % bound).expect("less than a usize")
    }
}
