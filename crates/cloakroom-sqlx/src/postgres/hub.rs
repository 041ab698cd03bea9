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
    /// A task listens, or is about to. Reset by the task itself as it ends: until then the runtime
    /// calls it unfinished, although it looks for readers no more.
    served: bool,
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
        self.wanted.store(!state.served, Ordering::Release);
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
        if state.served || !self.wanted.swap(false, Ordering::AcqRel) {
            return;
        }
        state.served = true;
        drop(state);
        // Not under the lock, which `Ending` takes: a runtime that shuts down drops the task here.
        let ending = Ending(Arc::clone(self));
        let task = runtime.spawn(async move {
            listener::listen(&ending.0).await;
            drop(ending);
        });
        let mut state = self.state();
        if state.served {
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
        state.live = false;
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
    /// All under one lock: a reader that comes now is told `Lost` by this task, or is seen to by the
    /// next one.
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.live = false;
        state.served = false;
        let senders = &mut state.senders;
        senders.retain(|sender| sender.send(Change::Lost).is_ok());
        let wanted = !senders.is_empty();
        self.0.wanted.store(wanted, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub() -> Arc<Hub> {
        // Nobody listens at that port.
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(1);
        let patience = Duration::from_secs(1);
        Arc::new(Hub::new(options, "channel".into(), patience))
    }

    /// A task of the hub, of which no step is left but to end.
    fn serving(hub: &Arc<Hub>) -> Ending {
        hub.state().served = true;
        Ending(Arc::clone(hub))
    }

    #[tokio::test]
    async fn a_reader_that_comes_while_the_task_ends_gets_another_task() {
        let hub = hub();
        // As the runtime sees it, a task that is in its last step is not finished.
        let last_step = tokio::spawn(std::future::pending::<()>()).abort_handle();
        hub.state().task = Some(last_step.clone());
        drop(serving(&hub));
        let _feed = hub.subscribe();
        let task = hub.state().task.as_ref().map(AbortHandle::id);
        assert_ne!(task, Some(last_step.id()));
    }

    #[tokio::test]
    async fn a_reader_that_was_told_live_is_told_lost_by_the_task_that_ends() {
        let hub = hub();
        let task = serving(&hub);
        hub.tell(Change::Live);
        let mut feed = hub.subscribe();
        assert_eq!(feed.next().await, Some(Change::Live));
        drop(task);
        assert_eq!(feed.next().await, Some(Change::Lost));
        let mut late = hub.subscribe();
        hub.tell(Change::Lost);
        assert_eq!(late.next().await, Some(Change::Lost));
    }

    #[test]
    fn a_runtime_that_shuts_down_does_not_hold_the_hub_up() {
        let hub = hub();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let handle = runtime.handle().clone();
        drop(runtime);
        let _inside = handle.enter();
        let _feed = hub.subscribe();
        assert!(hub.wanted.load(Ordering::Acquire), "for the next operation");
    }
}
