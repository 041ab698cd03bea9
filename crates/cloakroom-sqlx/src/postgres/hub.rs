use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloakroom_core::{Change, ChangeFeed, ChangeSender};
use sqlx::postgres::PgConnectOptions;
use tokio::task::AbortHandle;

use super::listener;

/// How many notices a manager may be behind before it hears `Lost`.
const CAPACITY: usize = 1_024;

/// The change feeds of one store, and the one task that listens for all of them.
pub(super) struct Hub {
    pub(super) options: PgConnectOptions,
    pub(super) channel: String,
    pub(super) connect_timeout: Duration,
    state: Mutex<State>,
    /// A feed exists and no task listens. Read by every operation, so not under the lock.
    wanted: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    senders: Vec<ChangeSender>,
    live: bool,
    task: Option<AbortHandle>,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

impl Hub {
    pub(super) fn new(
        options: PgConnectOptions,
        channel: String,
        connect_timeout: Duration,
    ) -> Self {
        Self {
            options,
            channel,
            connect_timeout,
            state: Mutex::default(),
            wanted: AtomicBool::new(false),
        }
    }

    /// A feed for one more manager.
    pub(super) fn subscribe(self: &Arc<Self>) -> ChangeFeed {
        let (sender, feed) = ChangeFeed::channel(CAPACITY);
        let mut state = self.state();
        if state.live {
            sender
                .send(Change::Live)
                .expect("the reader is in this function's hands");
        }
        state.senders.push(sender);
        let listening = state.task.as_ref().is_some_and(|task| !task.is_finished());
        self.wanted.store(!listening, Ordering::Release);
        drop(state);
        self.start_if_wanted();
        feed
    }

    /// Starts the task that listens, if there is a feed, no task, and a runtime.
    pub(super) fn start_if_wanted(self: &Arc<Self>) {
        if !self.wanted.load(Ordering::Acquire) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let mut state = self.state();
        if self.wanted.swap(false, Ordering::AcqRel) {
            let ending = Ending(Arc::clone(self));
            let task = runtime.spawn(async move {
                listener::listen(&ending.0).await;
                drop(ending);
            });
            state.task = Some(task.abort_handle());
        }
    }

    /// Tells everybody; `false` if nobody is left.
    pub(super) fn tell(&self, change: Change) -> bool {
        let mut state = self.state();
        match change {
            Change::Live => state.live = true,
            Change::Lost => state.live = false,
            _ => {}
        }
        state.senders.retain(|sender| sender.send(change).is_ok());
        !state.senders.is_empty()
    }

    /// Whether somebody still reads.
    pub(super) fn is_read(&self) -> bool {
        let mut state = self.state();
        state.senders.retain(|sender| !sender.is_closed());
        !state.senders.is_empty()
    }

    /// Ends the task and the feeds, because the store is gone.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.senders.clear();
        if let Some(task) = state.task.take() {
            task.abort();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Told when the task ends, also with its runtime: who still reads hears `Lost`, and the next
/// operation starts another.
struct Ending(Arc<Hub>);

impl Drop for Ending {
    fn drop(&mut self) {
        let read = self.0.tell(Change::Lost);
        self.0.wanted.store(read, Ordering::Release);
    }
}
