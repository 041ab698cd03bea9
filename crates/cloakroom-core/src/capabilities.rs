/// Who can find the sessions whose deadline has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expiry {
    /// The store has an index over deadlines: `expire(now, Due(limit))` finds what is due.
    Search,
    /// The store forgets rows by itself at `expires_at` (a native time to live) and cannot find
    /// the due; `expire(now, Ids(..))` still works.
    Native,
    /// Nobody: the store has no index over deadlines, and its rows stay until they are removed one
    /// by one. A layer refuses to be built on it, since it would keep every session for ever.
    Nobody,
}

/// How far the store's change feed reaches, from which the layer takes its default coherence mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reach {
    /// No feed: copies are verified before use.
    None,
    /// Endings (destroy, revoke, expiry), and saves that replace the secret or the owner (renew,
    /// login): copies are verified, or used for a bounded time by choice.
    Endings,
    /// Every change of a record: copies are used until the feed says otherwise.
    Changes,
}

/// What a store can do beyond the contract, and what it truly cannot.
///
/// ```
/// use cloakroom_core::{Capabilities, Expiry, Reach};
///
/// let shared = Capabilities::default();
/// assert!(shared.durable && shared.owner_index && !shared.exclusive);
/// assert_eq!((shared.expiry, shared.reach), (Expiry::Search, Reach::None));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "built with ..Default::default() by stores"
)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an answer of its own, and stores name them"
)]
pub struct Capabilities {
    /// Sessions survive a restart of this process. Default: true.
    pub durable: bool,
    /// Only this process can write to the store (memory; a file opened under a lock). Default:
    /// false. Whether one *manager* is alone on it is told by the feed, see
    /// [`ChangeSender::set_sole`](crate::ChangeSender::set_sole).
    pub exclusive: bool,
    /// `owned_by` works. Default: true.
    pub owner_index: bool,
    /// Who finds the due. Default: [`Expiry::Search`].
    pub expiry: Expiry,
    /// How far the change feed reaches. Default: [`Reach::None`].
    pub reach: Reach,
    /// The greatest size of head and body together in bytes, if there is one. Default: none.
    pub max_record_bytes: Option<usize>,
    /// A `save` of a record that [leaves the times](crate::Record::leaves_times) as they are does not write
    /// them, nor the owner. Worth it where times are indexed. Default: false; such records are never
    /// given to the store then.
    pub leaves_times: bool,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            durable: true,
            exclusive: false,
            owner_index: true,
            expiry: Expiry::Search,
            reach: Reach::None,
            max_record_bytes: None,
            leaves_times: false,
        }
    }
}
