use std::future::Future;
use std::time::Duration;

use cloakroom_core::{Stamp, StoreError};

use crate::shared::failure::{Failure, Fate};
use crate::shared::pool::{Connector, Pool};

/// How often a statement that the database rolled back is tried again, at most.
const RETRIES: u32 = 8;

/// How often a refused write looks again when the row it finds is not the one that refused it.
///
/// Between two statements another process may write; each round needs such a coincidence.
pub(crate) const ROUNDS: usize = 5;

pub(crate) fn restless() -> Failure {
    StoreError::unavailable("the row changed at each of several looks").into()
}

/// How long a migration may take: an index over a large table is not made within a request.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) const MIGRATION: Duration = Duration::from_mins(5);

/// How much `purge` takes at once, and how long it then lets others have the locks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) rows: usize,
    pub(crate) pause: Duration,
}

/// One operation of the contract on one connection.
///
/// A type of its own for each rather than a closure, so that its future is `Send` by declaration.
pub(crate) trait Operation<T>: Sync {
    type Output: Send;

    /// It may be repeated on another connection when one that lay idle turns out to be dead:
    /// because it changes nothing, or because [`settle`](Self::settle) knows what the first has done.
    const REPEATABLE: bool = false;

    /// What a repetition says about the whole; `None` if the first attempt may have been applied
    /// and what came of it cannot be told.
    fn settle(&self, second: Self::Output) -> Option<Self::Output> {
        Some(second)
    }

    fn run(&self, connection: &mut T)
    -> impl Future<Output = Result<Self::Output, Failure>> + Send;
}

/// Runs an operation within `limit`, the wait for a connection included.
///
/// What the database has rolled back is tried again after a short, random pause. What met a dead
/// idle connection is tried again where that is safe: a read, and a write whose own stamp tells
/// afterwards whether it was stored (rule 5).
pub(crate) async fn run<C, O>(
    pool: &Pool<C>,
    limit: Duration,
    operation: &O,
) -> Result<O::Output, StoreError>
where
    C: Connector,
    O: Operation<C::Connection>,
{
    match tokio::time::timeout(limit, attempts(pool, operation)).await {
        Ok(result) => result,
        Err(_) => Err(StoreError::unavailable(format!(
            "no answer from the database within {} ms",
            limit.as_millis()
        ))),
    }
}

/// Opens a connection and asks nothing of it.
#[cfg(any(feature = "postgres", feature = "mysql"))]
#[derive(Debug)]
pub(crate) struct Nothing;

#[cfg(any(feature = "postgres", feature = "mysql"))]
impl<T: Send> Operation<T> for Nothing {
    type Output = ();

    const REPEATABLE: bool = true;

    async fn run(&self, _: &mut T) -> Result<(), Failure> {
        Ok(())
    }
}

/// Runs the operations that `purge` makes, each with a limit of its own, until `limit` rows are
/// removed or one finds fewer than it may take.
pub(crate) async fn in_batches<C, O>(
    pool: &Pool<C>,
    patience: Duration,
    pace: Pace,
    limit: usize,
    purge: impl Fn(usize) -> O + Send + Sync,
) -> Result<usize, StoreError>
where
    C: Connector,
    O: Operation<C::Connection, Output = usize> + Send,
{
    let mut removed = 0;
    while removed < limit {
        let most = (limit - removed).min(pace.rows);
        let batch = run(pool, patience, &purge(most)).await?;
        removed += batch;
        if batch < most || removed == limit {
            break;
        }
        tokio::time::sleep(pace.pause).await;
    }
    Ok(removed)
}

async fn attempts<C, O>(pool: &Pool<C>, operation: &O) -> Result<O::Output, StoreError>
where
    C: Connector,
    O: Operation<C::Connection>,
{
    let mut retries = 0;
    let mut lost = None;
    loop {
        let mut lease = match pool.lease().await {
            Ok(lease) => lease,
            Err(Failure::Store(error)) => return Err(lost.unwrap_or(error)),
            Err(Failure::Driver(error)) => {
                return Err(lost.unwrap_or_else(|| C::judge(error).error));
            }
            #[cfg(feature = "mysql")]
            Err(Failure::Halfway(error)) => return Err(C::judge(error).error),
        };
        let reused = lease.reused;
        let verdict = match operation.run(lease.connection()).await {
            Ok(output) => {
                lease.keep();
                return match lost {
                    None => Ok(output),
                    Some(lost) => operation.settle(output).ok_or(lost),
                };
            }
            Err(Failure::Store(error)) => {
                lease.keep();
                return Err(lost.unwrap_or(error));
            }
            Err(Failure::Driver(error)) => {
                let verdict = C::judge(error);
                match verdict.fate {
                    Fate::Lost => lease.broken(),
                    Fate::RolledBack | Fate::Refused => lease.keep(),
                }
                verdict
            }
            // Dropped, the connection is closed, and the server rolls back.
            #[cfg(feature = "mysql")]
            Err(Failure::Halfway(error)) => {
                let verdict = C::judge(error);
                match verdict.fate {
                    Fate::Lost => lease.broken(),
                    Fate::RolledBack | Fate::Refused => drop(lease),
                }
                verdict
            }
        };
        let again = match verdict.fate {
            Fate::RolledBack => true,
            Fate::Lost => O::REPEATABLE && reused,
            Fate::Refused => false,
        };
        if !again || retries == RETRIES {
            return Err(lost.unwrap_or(verdict.error));
        }
        if verdict.fate == Fate::Lost {
            lost = Some(verdict.error);
        }
        retries += 1;
        tokio::time::sleep(pause(retries)).await;
    }
}

/// 0 to 2, 4, 8 ... 64 ms: two that collided do not meet again.
fn pause(retry: u32) -> Duration {
    let most = 1_000_u64 << retry.min(6);
    // Any random number will do, and a stamp holds one.
    Duration::from_micros(Stamp::first().nonce % most)
}
