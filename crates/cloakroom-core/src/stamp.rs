use std::cell::Cell;
use std::fmt;

/// Which state of a record this is: a version and a random nonce, both new at every write.
///
/// Freshness is *equality* of stamps, never order: after a failover or a restored backup versions
/// go back, and repeat. The nonce tells two writes with the same version apart, and lets a writer
/// recognise its own write after the reply was lost.
///
/// ```
/// use cloakroom_core::Stamp;
///
/// let first = Stamp::first();
/// let second = first.next();
/// assert_eq!((first.version, second.version), (1, 2));
/// assert_ne!(first.nonce, second.nonce);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_structs,
    reason = "stores build it from their two columns"
)]
pub struct Stamp {
    /// 1 at create, one more at each write.
    pub version: u64,
    /// Different at each write.
    pub nonce: u64,
}

impl Stamp {
    /// The stamp of a record that is about to be created.
    #[must_use]
    pub fn first() -> Self {
        Self {
            version: 1,
            nonce: nonce(),
        }
    }

    /// The stamp of the write after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self {
            version: self.version.wrapping_add(1),
            nonce: nonce(),
        }
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{:016x}", self.version, self.nonce)
    }
}

/// A nonce has to be unique, not secret: one random seed per thread, then `SplitMix64` (Steele, Lea
/// and Flood 2014), which visits every 64-bit value once. A system call per write would cost more
/// than the rest of the write.
fn nonce() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(seed());
    }
    STATE.with(|state| {
        let next = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        state.set(next);
        let mixed = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

fn seed() -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    u64::from_ne_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_threads_never_draw_the_same_nonces() {
        let draw = || (0..1_000).map(|_| nonce()).collect::<Vec<_>>();
        let other = std::thread::spawn(draw);
        let mut all = draw();
        all.extend(other.join().unwrap());
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 2_000);
    }
}
