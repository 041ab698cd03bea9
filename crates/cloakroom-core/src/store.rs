use std::future::Future;

use crate::{
    Capabilities, ChangeFeed, CreateOutcome, Owner, Peek, Record, SaveOutcome, SessionId, Stamp,
    StoreError, Times, Timestamp, TouchOutcome,
};

/// Which sessions `expire` looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a store must handle both")]
pub enum Due<'a> {
    /// Whatever the store finds due, at most so many. A store with [`Expiry::Native`] finds none.
    ///
    /// [`Expiry::Native`]: crate::Expiry::Native
    Limit(usize),
    /// Those of these that are due.
    Ids(&'a [SessionId]),
}

/// Which part of a long list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "two fields are all that paging by key needs"
)]
pub struct Page {
    /// Only ids greater than this one; `None` starts at the beginning.
    pub after: Option<SessionId>,
    /// At most so many ids. Fewer (also none) means that the list ends here.
    pub limit: usize,
}

/// A backend that keeps records.
///
/// Implement the methods as `async fn`. The rules, by their numbers in `docs/store-contract.md`:
///
/// 1. There is no upsert: `create` fails if the id exists, `save` fails if the row is gone.
/// 2. `save` is atomic: it replaces exactly the stamp `expected`, or changes nothing.
/// 3. `touch` applies only if the stamp is `expected` and the row is live; it moves times forward
///    only, changes no stamp and sends no notice.
/// 4. `end` is unconditional; the first ending wins; without a tombstone nothing is left.
/// 5. A write whose reply is lost is not repeated by the store: the caller settles it by its stamp.
/// 6. Freshness is equality of stamps, never order.
/// 7. Every method but `expire`, `purge` and `owned_by` costs one round trip; a refused `save` or
///    `touch` may cost one more. Loads never go to a replica.
/// 8. Stores do not decide liveness: `load` and `peek` return a row past its deadline.
/// 9. `expire` re-checks each row as it ends it, and returns what it ended; so does `purge` for
///    what it removes. Time is the earlier of `now` and the store's own clock where it has one.
/// 10. Dropping any of these futures at any await leaves the old state or the new one.
/// 11. Errors are one of four kinds; busy is not absent.
/// 12. The change feed never blocks, and counts as lost until it says `Live`.
pub trait SessionStore: Send + Sync + 'static {
    /// Stores a new row.
    ///
    /// Fails with `Exists` if there is a row of this id, live or ended (rule 1).
    fn create(
        &self,
        id: SessionId,
        record: &Record,
    ) -> impl Future<Output = Result<CreateOutcome, StoreError>> + Send;

    /// The row, live or ended, past its deadline or not (rule 8); `None` if there is none.
    fn load(
        &self,
        id: SessionId,
    ) -> impl Future<Output = Result<Option<Record>, StoreError>> + Send;

    /// The row without its payload.
    fn peek(&self, id: SessionId) -> impl Future<Output = Result<Option<Peek>, StoreError>> + Send;

    /// Replaces the live row whose stamp is `expected` by `record`, times and owner included, or
    /// changes nothing (rule 2).
    ///
    /// `record.stamp` is new. A conflict brings the current record, whose stamp is never
    /// `expected`.
    fn save(
        &self,
        id: SessionId,
        record: &Record,
        expected: Stamp,
    ) -> impl Future<Output = Result<SaveOutcome, StoreError>> + Send;

    /// Moves the times of the live row whose stamp is `expected` forward (see
    /// [`Times::forward`]); changes no stamp and sends no notice (rule 3).
    fn touch(
        &self,
        id: SessionId,
        expected: Stamp,
        times: Times,
    ) -> impl Future<Output = Result<TouchOutcome, StoreError>> + Send;

    /// Ends a session whatever its stamp: replaces the live row by the tombstone, or removes it if
    /// there is none to keep (rule 4).
    ///
    /// Returns the live record that it ended; `None` if there was no row or it had ended before. An
    /// earlier tombstone is left as it is, but for a call without one, which removes it: so it is
    /// forgotten before its time where there are too many. The tombstone has state
    /// [`Ended`](crate::State::Ended), no owner and no body.
    fn end(
        &self,
        id: SessionId,
        tombstone: Option<&Record>,
    ) -> impl Future<Output = Result<Option<Record>, StoreError>> + Send;

    /// Turns live rows with `deadline <= now` into tombstones (see [`Record::timed_out`]) and
    /// returns them as they were (rule 9). That return is the expiry event: of several nodes
    /// exactly one receives each.
    fn expire(
        &self,
        now: Timestamp,
        due: Due<'_>,
    ) -> impl Future<Output = Result<Vec<(SessionId, Record)>, StoreError>> + Send;

    /// Removes rows with `expires_at <= now`, live or ended, at most `limit` of them, and returns
    /// how many (rule 9).
    fn purge(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// A superset of the ids of the live sessions of `owner`, in ascending order; the caller
    /// checks each.
    fn owned_by(
        &self,
        owner: &Owner,
        page: Page,
    ) -> impl Future<Output = Result<Vec<SessionId>, StoreError>> + Send;

    /// What this store can do.
    fn capabilities(&self) -> Capabilities;

    /// A new change feed, one for each manager; `None` if [`Capabilities::reach`] is
    /// [`Reach::None`](crate::Reach::None) and the store is not exclusive.
    ///
    /// May be called outside a runtime; the store then starts its work with the first use.
    fn changes(&self) -> Option<ChangeFeed>;

    /// For a store in this process that neither waits nor fails: its writes as plain calls, which
    /// spare the session layer a future for each commit. Default: `None`, and `create` and `save`
    /// are used. Whether there is one may be another answer each time.
    fn immediate(&self) -> Option<&dyn ImmediateStore> {
        None
    }
}

/// Writes that are done when the call returns; see [`SessionStore::immediate`]. Each does what its
/// namesake of [`SessionStore`] does.
pub trait ImmediateStore: Send + Sync {
    /// Stores a new row, as [`SessionStore::create`].
    fn create_now(&self, id: SessionId, record: &Record) -> CreateOutcome;

    /// Replaces the live row whose stamp is `expected`, as [`SessionStore::save`].
    fn save_now(&self, id: SessionId, record: &Record, expected: Stamp) -> SaveOutcome;
}
