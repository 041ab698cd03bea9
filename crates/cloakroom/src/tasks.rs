//! Work that goes on after its request: counted, so that a shutdown can wait for it.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::Notify;

/// The tracked tasks of one manager.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    shared: Arc<Shared>,
    /// The runtime that a request was last seen on, for a handle that is dropped outside of any.
    last_seen: Mutex<Option<Handle>>,
}

#[derive(Debug, Default)]
struct Shared {
    running: AtomicUsize,
    idle: Notify,
}

/// One running task. Dropped with its future, also when the runtime dies.
struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

impl Tasks {
    /// Remembers the current runtime, if there is one.
    pub(crate) fn see_runtime(&self) -> Option<Handle> {
        let handle = Handle::try_current().ok()?;
        *self
            .last_seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(handle.clone());
        Some(handle)
    }

    /// Runs `work` on the current runtime, else on the one last seen. Without any it is dropped,
    /// and what is lost is for the future's own drop to report.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let handle = Handle::try_current().ok().or_else(|| {
            self.last_seen
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        });
        let Some(handle) = handle else { return };
        self.shared.running.fetch_add(1, Ordering::AcqRel);
        let running = Running(Arc::clone(&self.shared));
        drop(handle.spawn(async move {
            let _running = running;
            work.await;
        }));
    }

    /// Waits until no task runs.
    pub(crate) async fn settled(&self) {
        loop {
            let idle = self.shared.idle.notified();
            if self.shared.running.load(Ordering::Acquire) == 0 {
                return;
            }
            idle.await;
        }
    }
}
