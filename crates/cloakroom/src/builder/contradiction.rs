/// Two settings, or a setting and the store, that do not go together; the text says how to mend it.
///
/// ```
/// use cloakroom::{BuildError, Contradiction, MemoryStore, SessionLayer};
///
/// let refused = SessionLayer::builder(MemoryStore::new()).affinity(true).build().unwrap_err();
/// assert_eq!(refused, BuildError::Contradiction(Contradiction::AffinityWithoutNode));
/// assert!(refused.to_string().contains("node(..)"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Contradiction {
    /// [`Timeout::Disabled`](crate::Timeout::Disabled) says nothing as an absolute timeout.
    #[error(
        "absolute_timeout is Disabled: use Timeout::Never for no limit, or idle_timeout with \
         Timeout::Disabled for no sessions"
    )]
    AbsoluteDisabled,
    /// Affinity without a node's name.
    #[error("affinity puts the node's name into the token: give the node a name with node(..)")]
    AffinityWithoutNode,
    /// [`Coherence::Exclusive`](crate::Coherence::Exclusive) over a store that others can write to.
    #[error("Coherence::Exclusive needs a store that only this process can write to")]
    ExclusiveOverShared,
    /// [`Coherence::Push`](crate::Coherence::Push) over a store that does not tell its changes.
    #[error("Coherence::Push needs a store that pushes its changes")]
    PushWithoutFeed,
    /// [`OnShutdown::Destroy`](crate::OnShutdown::Destroy) over a store that others can write to.
    #[error(
        "OnShutdown::Destroy would end the sessions of other nodes: it needs a store that only \
         this process can write to"
    )]
    DestroyOverShared,
    /// [`CommitAt::LastExit`](crate::CommitAt::LastExit) with
    /// [`Coherence::Verify`](crate::Coherence::Verify).
    #[error(
        "CommitAt::LastExit needs copies that are used as they are: choose another coherence than \
         Verify, or CommitAt::ResponseHead"
    )]
    LastExitVerified,
    /// [`CommitAt::LastExit`](crate::CommitAt::LastExit) with [`Cache::none`](crate::Cache::none).
    #[error(
        "CommitAt::LastExit keeps what waits in L1, and there is none: give the cache a bound above \
         0, or use CommitAt::ResponseHead"
    )]
    LastExitUncached,
    /// A store that would keep every session for ever.
    #[error(
        "this store can neither find the sessions that are due nor let their rows go by itself, \
         so that it would keep them for ever: it needs an index over deadlines (Expiry::Search) or \
         a time to live for each row (Expiry::Native)"
    )]
    NothingExpires,
}
