//! Notices that came lately, so that copies are told once.
//!
//! On a cluster a notice comes from the master that has the key, and over the bus by way of every
//! other one. Copies would be harmless, but a late one makes a reader drop what it has read since.

use std::collections::HashSet;
use std::mem;

/// How many notices are remembered at least; at most twice as many.
const SIZE: usize = 2048;

#[derive(Default)]
pub(super) struct Recent {
    new: HashSet<Vec<u8>>,
    old: HashSet<Vec<u8>>,
}

impl Recent {
    /// Whether this message did not come lately.
    pub(super) fn is_first(&mut self, message: &[u8]) -> bool {
        if self.new.contains(message) || self.old.contains(message) {
            return false;
        }
        if self.new.len() >= SIZE {
            self.old = mem::take(&mut self.new);
        }
        self.new.insert(message.to_vec());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_noticed_and_memory_is_bounded() {
        let mut recent = Recent::default();
        for n in 0..20_000_u32 {
            assert!(recent.is_first(&n.to_be_bytes()));
            let lately = n.saturating_sub(2000);
            assert!(!recent.is_first(&lately.to_be_bytes()), "{n}");
            assert!(recent.new.len() + recent.old.len() <= 2 * SIZE);
        }
    }
}
