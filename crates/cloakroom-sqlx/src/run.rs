use std::future::Future;
use std::time::Duration;

use cloakroom_core::{Stamp, StoreError};

use crate::failure::{Failure, Fate};
use crate::pool::{Connector, Pool};

/// How often a statement that the database rolled back is tried again, at most.
const RETRIES: u32 = 8;

/// One operation of the contract on one connection.
///
/// A type of its own for each rather than a closure, so that its future is `Send` by declaration.
pub(crate) trait Operation<T>: Sync {
    type Output: Send;

    /// It changes nothing, so it may be repeated when a connection broke.
    const READS_ONLY: bool = false;

    fn run(&self, connection: &mut T)
    -> impl Future<Output = Result<Self::Output, Failure>> + Send;
}

/// Runs an operation within `limit`, the wait for a connection included.
///
/// What the database has rolled back is tried again after a short, random pause. A read is tried
/// again once when a connection that lay idle turns out to be dead. A write whose reply was lost
/// is not (rule 5).
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

async fn attempts<C, O>(pool: &Pool<C>, operation: &O) -> Result<O::Output, StoreError>
where
    C: Connector,
    O: Operation<C::Connection>,
{
    let mut retries = 0;
    loop {
        let mut lease = match pool.lease().await {
            Ok(lease) => lease,
            Err(Failure::Store(error)) => return Err(error),
            Err(Failure::Driver(error)) => return Err(C::judge(error).error),
        };
        let reused = lease.reused;
        let verdict = match operation.run(lease.connection()).await {
            Ok(output) => {
                lease.keep();
                return Ok(output);
            }
            Err(Failure::Store(error)) => {
                lease.keep();
                return Err(error);
            }
            Err(Failure::Driver(error)) => C::judge(error),
        };
        let again = match verdict.fate {
            Fate::RolledBack => {
                lease.keep();
                retries < RETRIES
            }
            Fate::Lost => {
                lease.broken();
                O::READS_ONLY && reused && retries < RETRIES
            }
            Fate::Refused => {
                lease.keep();
                false
            }
        };
        if !again {
            return Err(verdict.error);
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
