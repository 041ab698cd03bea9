use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::check::check_store;
use super::{BuildError, SessionLayerBuilder, Way};
use crate::cache::wants_feed;
use crate::cache::{Coherent, Flights, Generations, L1, Negative};
use crate::config::Config;
use crate::events::Events;
use crate::housekeeper::Housekeeper;
use crate::inner::{Inner, ShortestIdle};
use crate::tasks::Tasks;
use crate::tombstones::Tombstones;
use crate::transport::{Transport, Transports};
use crate::{SessionCookie, SessionLayer};

impl SessionLayerBuilder {
    /// Checks everything and builds the layer. Starts the housekeeper if a runtime is entered; the
    /// first request does otherwise.
    ///
    /// # Errors
    ///
    /// [`BuildError`]: what a browser would refuse, and what cannot work.
    pub fn build(self) -> Result<SessionLayer, BuildError> {
        self.check_times()?;
        self.check_node()?;
        self.check_commit()?;
        let list = self.transports()?;
        let outcome_header = self.check_outcome_header()?;
        // Checked against the store's own word, and before anything is started.
        let asked = self.coherence;
        let on_shutdown = self.config.on_shutdown;
        let commit_at = self.config.commit_at;
        let store = (self.store)(self.config.store_timeout);
        let capabilities = store.capabilities();
        let coherence = check_store(asked, on_shutdown, commit_at, capabilities)?;
        let events = Arc::new(Events::new(self.listeners));
        let feed = wants_feed(coherence, capabilities)
            .then(|| store.changes())
            .flatten();
        let mut config = Config {
            outcome_header,
            ..self.config
        };
        if config.max_tombstones == 0 {
            config.times.retention = std::time::Duration::ZERO;
        }
        let inner = Arc::new(Inner {
            coherent: Coherent::new(coherence, capabilities.reach, feed.as_ref()),
            l1: L1::new(&config.cache, Arc::clone(&events)),
            flights: Flights::default(),
            generations: Arc::new(Generations::new()),
            negative: Negative::default(),
            stats: Arc::default(),
            events,
            tasks: Tasks::default(),
            on_create: self.on_create,
            housekeeper: Housekeeper::new(self.poll, self.purge, feed),
            shortest_idle: ShortestIdle::new(),
            tombstones: Tombstones::new(config.max_tombstones),
            scoped: AtomicBool::new(false),
            leaves_times: capabilities.leaves_times,
            shadowed: AtomicBool::new(false),
            transports: Transports::new(list, config.node.clone(), config.affinity),
            clock: self.clock,
            store: Arc::new(store),
            config,
        });
        inner.keep_house();
        Ok(SessionLayer::new(inner, self.slot))
    }

    fn transports(&self) -> Result<Vec<Transport>, BuildError> {
        let build = |way: &Way| {
            Ok(match way {
                Way::Cookie(cookie) => Transport::Cookie(Box::new(cookie.build()?)),
                Way::Header(header) => Transport::Header(header.clone().build()?),
            })
        };
        if self.ways.is_empty() {
            return Ok(vec![build(&Way::Cookie(SessionCookie::default()))?]);
        }
        self.ways.iter().map(build).collect()
    }
}
