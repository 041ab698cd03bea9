/// The operations of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the contract has these nine")]
pub enum Op {
    /// `create`
    Create,
    /// `load`
    Load,
    /// `peek`
    Peek,
    /// `save`
    Save,
    /// `touch`
    Touch,
    /// `end`
    End,
    /// `expire`
    Expire,
    /// `purge`
    Purge,
    /// `owned_by`
    OwnedBy,
}

impl Op {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Create,
        Self::Load,
        Self::Peek,
        Self::Save,
        Self::Touch,
        Self::End,
        Self::Expire,
        Self::Purge,
        Self::OwnedBy,
    ];
}

/// How often each operation was called, whatever came of it.
///
/// ```
/// use cloakroom_conformance::{Counts, Op};
///
/// let mut counts = Counts::default();
/// *counts.of_mut(Op::Load) += 1;
/// assert_eq!(counts, Counts { load: 1, ..Counts::default() });
/// assert_eq!(counts.total(), 1);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "tests compare it with a literal")]
pub struct Counts {
    /// Calls of `create`.
    pub create: usize,
    /// Calls of `load`.
    pub load: usize,
    /// Calls of `peek`.
    pub peek: usize,
    /// Calls of `save`.
    pub save: usize,
    /// Calls of `touch`.
    pub touch: usize,
    /// Calls of `end`.
    pub end: usize,
    /// Calls of `expire`.
    pub expire: usize,
    /// Calls of `purge`.
    pub purge: usize,
    /// Calls of `owned_by`.
    pub owned_by: usize,
}

impl Counts {
    /// The count of one operation.
    #[must_use]
    pub fn of(mut self, op: Op) -> usize {
        *self.of_mut(op)
    }

    /// The count of one operation, to change it.
    pub fn of_mut(&mut self, op: Op) -> &mut usize {
        match op {
            Op::Create => &mut self.create,
            Op::Load => &mut self.load,
            Op::Peek => &mut self.peek,
            Op::Save => &mut self.save,
            Op::Touch => &mut self.touch,
            Op::End => &mut self.end,
            Op::Expire => &mut self.expire,
            Op::Purge => &mut self.purge,
            Op::OwnedBy => &mut self.owned_by,
        }
    }

    /// All calls together.
    #[must_use]
    pub fn total(self) -> usize {
        Op::ALL.into_iter().map(|op| self.of(op)).sum()
    }

    /// The calls that change rows: all but `load`, `peek` and `owned_by`.
    #[must_use]
    pub fn writes(self) -> usize {
        self.total() - self.load - self.peek - self.owned_by
    }
}
