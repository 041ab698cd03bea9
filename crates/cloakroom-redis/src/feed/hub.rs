//! Who listens to the store's changes, and the one task that serves them all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloakroom_core::{Change, ChangeFeed, ChangeSender};

use super::company::Company;
use super::subscription::{Ended, Subscription};
use crate::dial::Dialer;
use crate::keys::Keys;
use crate::options::RedisOptions;
use crate::url::Topology;
use crate::wire::Servers;

/// How many notices a reader may lag behind before it hears `Lost`.
const CAPACITY: usize = 4096;

/// First and longest pause between attempts to subscribe.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

pub(crate) struct Hub {
    pub(super) dialer: Arc<Dialer>,
    pub(super) servers: Servers,
    pub(super) topology: Topology,
    pub(super) channel: String,
    /// A prefix of keys that do not exist.
    pub(super) unused: String,
    pub(super) company: Company,
    readers: Mutex<Readers>,
    /// Somebody asked for a feed outside of a runtime: the next operation starts the task.
    asked: AtomicBool,
}

#[derive(Default)]
struct Readers {
    senders: Vec<ChangeSender>,
    live: bool,
    /// The task is running.
    served: bool,
}

impl Hub {
    pub(crate) fn new(
        options: &RedisOptions,
        dialer: Arc<Dialer>,
        servers: Servers,
        keys: &Keys,
    ) -> Arc<Self> {
        Arc::new(Self {
            dialer,
            servers,
            topology: options.parsed.topology.clone(),
            channel: keys.channel().to_owned(),
            unused: keys.unused(),
            company: Company::default(),
            readers: Mutex::default(),
            asked: AtomicBool::new(false),
        })
    }

    /// A feed for one more reader.
    pub(crate) fn feed(self: &Arc<Self>) -> ChangeFeed {
        let (sender, feed) = ChangeFeed::channel(CAPACITY);
        let mut readers = self.readers();
        if readers.live {
            // Its reader is at hand, in `feed`, so this cannot fail.
            let _sent = sender.send(Change::Live);
        }
        readers.senders.push(sender);
        drop(readers);
        self.asked.store(true, Ordering::Release);
        self.start_if_asked();
        feed
    }

    /// Starts the task if there are readers without one. Costs one atomic load as a rule.
    pub(crate) fn start_if_asked(self: &Arc<Self>) {
        if !self.asked.load(Ordering::Acquire) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        self.asked.store(false, Ordering::Release);
        let mut readers = self.readers();
        if readers.served || readers.senders.is_empty() {
            return;
        }
        readers.served = true;
        drop(readers);
        runtime.spawn(serve(Serving(Arc::clone(self))));
    }

    /// Tells all readers; forgets those that are gone. False once there are none.
    pub(super) fn tell(&self, change: Change) -> bool {
        let mut readers = self.readers();
        match change {
            Change::Live => readers.live = true,
            Change::Lost => readers.live = false,
            _ => {}
        }
        readers.senders.retain(|sender| sender.send(change).is_ok());
        !readers.senders.is_empty()
    }

    /// Tells all readers of a change that this process made itself. While the feed is lost they
    /// trust no copy, and none after it that they had before.
    pub(super) fn tell_if_live(&self, change: Change) {
        let mut readers = self.readers();
        if readers.live {
            readers.senders.retain(|sender| sender.send(change).is_ok());
        }
    }

    /// Forgets readers that are gone. False once there are none.
    pub(super) fn has_readers(&self) -> bool {
        let mut readers = self.readers();
        readers.senders.retain(|sender| !sender.is_closed());
        !readers.senders.is_empty()
    }

    fn readers(&self) -> MutexGuard<'_, Readers> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Subscribes, tells, and begins anew, until nobody listens any more.
async fn serve(serving: Serving) {
    let hub = &serving.0;
    let mut pause = PAUSE.0;
    while hub.has_readers() {
        let why = match Subscription::open(hub).await {
            Ok(mut subscription) => {
                pause = PAUSE.0;
                tracing::debug!("the change feed is live");
                hub.tell(Change::Live);
                let why = subscription.listen(hub).await;
                hub.company.end();
                hub.tell(Change::Lost);
                if matches!(why, Ended::Unheard) {
                    return;
                }
                tracing::warn!(%why, "the change feed is lost; copies are verified until it is back");
                // The first attempt follows at once: a single lost connection heals in no time.
                hub.roles_may_have_changed();
                continue;
            }
            Err(why) => why.into_error(),
        };
        tracing::debug!(%why, "the change feed cannot be subscribed");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

impl Hub {
    fn roles_may_have_changed(&self) {
        match &self.servers {
            Servers::Many(cluster) => cluster.refresh_later(),
            // Commands must not go on to a master that the sentinels have replaced, to one that has
            // become a replica, or into a connection whose other end has gone without a word.
            Servers::One(server) => server.discard_any(),
        }
    }
}

/// The task's hold on the hub: if it ends, or dies with its runtime, the next operation starts
/// another one.
struct Serving(Arc<Hub>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.company.end();
        self.0.tell(Change::Lost);
        let mut readers = self.0.readers();
        readers.served = false;
        self.0
            .asked
            .store(!readers.senders.is_empty(), Ordering::Release);
    }
}
