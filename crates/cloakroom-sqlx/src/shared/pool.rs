use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinHandle;

use crate::shared::failure::{Failure, Verdict};

/// How a driver opens, closes and judges.
pub(crate) trait Connector: Send + Sync + 'static {
    type Connection: Send + 'static;

    /// A connection whose future was dropped is fit for the next statement (an embedded database
    /// that works through a queue), and idle connections are kept for ever.
    const EMBEDDED: bool;

    fn connect(&self) -> impl Future<Output = Result<Self::Connection, sqlx::Error>> + Send;

    fn close(connection: Self::Connection) -> impl Future<Output = ()> + Send;

    fn judge(error: sqlx::Error) -> Verdict;
}

/// The connections of one store.
///
/// Not sqlx's own pool, which pings each connection when it comes back (a second round trip for
/// each operation, rule 7) and takes back the ones whose query was dropped half-way (rule 10).
/// Here a connection comes back only when its operation has read the whole answer; any other is
/// closed, and the database rolls back what it was doing.
pub(crate) struct Pool<C: Connector>(Arc<Shared<C>>);

struct Shared<C: Connector> {
    connector: C,
    permits: Semaphore,
    idle: Mutex<Vec<Idle<C::Connection>>>,
    /// Raised when a connection breaks: those that were opened before are not trusted any more.
    generation: AtomicU64,
    /// Counts the reaper's rounds; idle times are measured in them, without reading a clock.
    round: AtomicU64,
    reaper: Mutex<Option<JoinHandle<()>>>,
    connect_timeout: Duration,
    idle_timeout: Duration,
}

struct Idle<T> {
    connection: T,
    generation: u64,
    since: u64,
}

impl<C: Connector> std::fmt::Debug for Pool<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool")
            .field("free", &self.0.permits.available_permits())
            .field("idle", &self.0.idle().len())
            .finish_non_exhaustive()
    }
}

impl<C: Connector> Clone for Pool<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C: Connector> Pool<C> {
    pub(crate) fn new(
        connector: C,
        size: usize,
        connect_timeout: Duration,
        idle_timeout: Duration,
    ) -> Self {
        Self(Arc::new(Shared {
            connector,
            permits: Semaphore::new(size.clamp(1, Semaphore::MAX_PERMITS)),
            idle: Mutex::default(),
            generation: AtomicU64::new(0),
            round: AtomicU64::new(0),
            reaper: Mutex::default(),
            connect_timeout,
            idle_timeout,
        }))
    }

    #[cfg(feature = "mysql")]
    pub(crate) fn connector(&self) -> &C {
        &self.0.connector
    }

    /// A connection for one operation: an idle one, else a new one, else the next to come back.
    pub(crate) async fn lease(&self) -> Result<Lease<'_, C>, Failure> {
        let shared = &*self.0;
        let permit = shared
            .permits
            .acquire()
            .await
            .map_err(|_| cloakroom_core::StoreError::unavailable("the store is closed"))?;
        let generation = shared.generation.load(Ordering::Acquire);
        let idle = shared.take_idle(generation);
        let reused = idle.is_some();
        let connection = if let Some(connection) = idle {
            connection
        } else {
            self.start_reaper();
            tokio::time::timeout(shared.connect_timeout, shared.connector.connect())
                .await
                .map_err(|_| {
                    cloakroom_core::StoreError::unavailable(format!(
                        "no connection to the database within {} ms",
                        shared.connect_timeout.as_millis()
                    ))
                })??
        };
        Ok(Lease {
            shared,
            connection: Some(connection),
            generation,
            reused,
            _permit: permit,
        })
    }

    /// Closes the idle connections, and the ones in use as they come back.
    pub(crate) async fn close(&self) {
        self.0.permits.close();
        for idle in self.0.drain() {
            C::close(idle.connection).await;
        }
    }

    /// Idle connections are closed before the database or a firewall forgets them, which is why
    /// none has to be pinged before its use.
    fn start_reaper(&self) {
        if C::EMBEDDED {
            return;
        }
        let mut reaper = lock(&self.0.reaper);
        // Finished means that its runtime is gone: a store may outlive a runtime.
        if reaper.as_ref().is_none_or(JoinHandle::is_finished) {
            *reaper = Some(tokio::spawn(reap(
                Arc::downgrade(&self.0),
                self.0.idle_timeout / 2,
            )));
        }
    }
}

async fn reap<C: Connector>(pool: Weak<Shared<C>>, round: Duration) {
    loop {
        tokio::time::sleep(round).await;
        let Some(shared) = pool.upgrade() else { return };
        let now = shared.round.fetch_add(1, Ordering::AcqRel) + 1;
        let old: Vec<_> = shared
            .idle()
            .extract_if(.., |idle| now - idle.since >= 2)
            .collect();
        for idle in old {
            C::close(idle.connection).await;
        }
    }
}

impl<C: Connector> Shared<C> {
    fn idle(&self) -> MutexGuard<'_, Vec<Idle<C::Connection>>> {
        lock(&self.idle)
    }

    /// The one used last, so that those that are not needed grow old.
    fn take_idle(&self, generation: u64) -> Option<C::Connection> {
        let mut idle = self.idle();
        loop {
            let candidate = idle.pop()?;
            if candidate.generation == generation {
                return Some(candidate.connection);
            }
        }
    }

    fn drain(&self) -> Vec<Idle<C::Connection>> {
        std::mem::take(&mut *self.idle())
    }
}

impl<C: Connector> Drop for Shared<C> {
    fn drop(&mut self) {
        if let Some(reaper) = lock(&self.reaper).take() {
            reaper.abort();
        }
    }
}

/// One connection in the hands of one operation.
pub(crate) struct Lease<'a, C: Connector> {
    shared: &'a Shared<C>,
    connection: Option<C::Connection>,
    generation: u64,
    /// It has served another operation before, so it may have died unnoticed since.
    pub(crate) reused: bool,
    // After `connection`: a dropped connection is closed before the next may be opened.
    _permit: SemaphorePermit<'a>,
}

impl<C: Connector> Lease<'_, C> {
    pub(crate) fn connection(&mut self) -> &mut C::Connection {
        self.connection
            .as_mut()
            .expect("only `keep`, `broken` and the drop take it away")
    }

    /// Puts the connection back: its answer was read to the end.
    pub(crate) fn keep(mut self) {
        self.put_back();
    }

    /// Throws the connection away, and with it all that were opened before it broke.
    pub(crate) fn broken(mut self) {
        self.connection = None;
        let moved = self.shared.generation.compare_exchange(
            self.generation,
            self.generation + 1,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        if moved.is_ok() {
            drop(self.shared.drain());
        }
    }

    fn put_back(&mut self) {
        if let Some(connection) = self.connection.take() {
            let mut idle = self.shared.idle();
            if !self.shared.permits.is_closed() {
                idle.push(Idle {
                    connection,
                    generation: self.generation,
                    since: self.shared.round.load(Ordering::Acquire),
                });
            }
        }
    }
}

impl<C: Connector> Drop for Lease<'_, C> {
    fn drop(&mut self) {
        if C::EMBEDDED {
            self.put_back();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
