//! Which node of a cluster is in charge of which slot.
//!
//! Our own, and not the driver's cluster client: that one sends a command again after a lost
//! connection, and cannot tell a write from a read. Here only a redirect makes a write go out a
//! second time, because the node that redirects has not run it.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use cloakroom_core::StoreErrorKind;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::Value;
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

use crate::dial::{Dialer, Mode, text};
use crate::fault::Fault;
use crate::keys::SLOTS;
use crate::server::{Locate, Server};
use crate::url::Address;

/// A map is not asked for more often than this, however many commands fail.
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct Cluster {
    seeds: Vec<Address>,
    dialer: Arc<Dialer>,
    map: RwLock<Map>,
    /// Held while the map is asked for.
    asking: Mutex<()>,
    /// A task asks for it, or has just done so.
    refreshing: AtomicBool,
    /// Raised when the masters change: who listens to all of them must begin anew.
    shape: watch::Sender<u64>,
}

/// The task that asks for the map; also if it dies with its runtime, the next failure starts one.
struct Refreshing(Arc<Cluster>);

impl Drop for Refreshing {
    fn drop(&mut self) {
        self.0.refreshing.store(false, Ordering::Release);
    }
}

/// Whether an answer that somebody else is waiting for already is good enough.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Haste {
    Share,
    Ask,
}

#[derive(Default)]
struct Map {
    servers: HashMap<Address, Arc<Server>>,
    masters: BTreeSet<Address>,
    /// Ranges of slots in ascending order.
    ranges: Vec<Range>,
    /// What a redirect has said since the ranges were read.
    moved: HashMap<u16, Arc<Server>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Range {
    first: u16,
    last: u16,
    master: Address,
}

impl Cluster {
    pub(crate) fn new(seeds: Vec<Address>, dialer: Arc<Dialer>) -> Arc<Self> {
        Arc::new(Self {
            seeds,
            dialer,
            map: RwLock::default(),
            asking: Mutex::new(()),
            refreshing: AtomicBool::new(false),
            shape: watch::Sender::new(0),
        })
    }

    /// The server in charge of this slot.
    ///
    /// # Errors
    ///
    /// If no node gives a map, or the map has a hole here.
    pub(crate) async fn server(&self, slot: u16) -> Result<Arc<Server>, Fault> {
        if let Some(server) = self.known(slot) {
            return Ok(server);
        }
        self.refresh(Haste::Share).await?;
        self.known(slot).ok_or_else(|| {
            let message = format!("no node of the cluster is in charge of slot {slot}");
            Fault::own(StoreErrorKind::Unavailable, message)
        })
    }

    fn known(&self, slot: u16) -> Option<Arc<Server>> {
        let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = map.moved.get(&slot) {
            return Some(Arc::clone(server));
        }
        let after = map.ranges.partition_point(|range| range.first <= slot);
        let range = map.ranges.get(after.checked_sub(1)?)?;
        let server = map.servers.get(&range.master)?;
        (slot <= range.last).then(|| Arc::clone(server))
    }

    /// Takes a redirect's word for this slot until the whole map is read again.
    pub(crate) fn moved(
        self: &Arc<Self>,
        slot: u16,
        to: &str,
        from: &Address,
    ) -> Option<Arc<Server>> {
        let server = self.server_at(to, from)?;
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        map.moved.insert(slot, Arc::clone(&server));
        drop(map);
        self.refresh_later();
        Some(server)
    }

    /// The server that a redirect names, as seen `from` the one that sent it.
    pub(crate) fn server_at(&self, named: &str, from: &Address) -> Option<Arc<Server>> {
        // An unknown host is left empty: it is the one that speaks.
        let named = named.trim_start_matches('?');
        let address = match named.strip_prefix(':') {
            Some(port) if !port.contains(':') => Address {
                host: from.host.clone(),
                port: port.parse().ok()?,
            },
            _ => Address::parse(named, 0)?,
        };
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        Some(map.server(&address, &self.dialer))
    }

    /// All masters that have slots.
    pub(crate) fn masters(&self) -> Vec<(Address, Arc<Server>)> {
        let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
        let servers = map.masters.iter().filter_map(|address| {
            let server = map.servers.get(address)?;
            Some((address.clone(), Arc::clone(server)))
        });
        servers.collect()
    }

    /// Rises with every change of the masters.
    pub(crate) fn shape(&self) -> watch::Receiver<u64> {
        self.shape.subscribe()
    }

    /// Reads the map again without making anybody wait.
    pub(crate) fn refresh_later(self: &Arc<Self>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        // One task for a whole burst of failures, and none for a while after it: see PAUSE.
        if self.refreshing.swap(true, Ordering::AcqRel) {
            return;
        }
        let refreshing = Refreshing(Arc::clone(self));
        runtime.spawn(async move {
            let this = &refreshing.0;
            if let Err(fault) = this.refresh(Haste::Share).await {
                tracing::debug!(error = %fault.into_error(), "no map of the cluster");
            }
            tokio::time::sleep(PAUSE).await;
        });
    }

    /// Asks all known nodes for the map and takes the first answer.
    ///
    /// # Errors
    ///
    /// The last node's, if none answers.
    pub(crate) async fn refresh(&self, haste: Haste) -> Result<(), Fault> {
        let shared = self.asking.try_lock().is_err();
        let _asking = self.asking.lock().await;
        if shared && haste == Haste::Share && !self.masters().is_empty() {
            return Ok(());
        }
        let candidates: Vec<(Address, Arc<Server>)> = {
            let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
            for seed in &self.seeds {
                map.server(seed, &self.dialer);
            }
            let servers = map.servers.iter();
            servers
                .map(|(address, server)| (address.clone(), Arc::clone(server)))
                .collect()
        };
        let limit = self.dialer.connect_timeout;
        let mut answers: FuturesUnordered<_> = candidates
            .into_iter()
            .map(|(address, server)| async move {
                timeout(limit, ask(&server, &address))
                    .await
                    .unwrap_or_else(|_| {
                        let message = format!("the node at {address} does not answer");
                        Err(Fault::own(StoreErrorKind::Unavailable, message))
                    })
            })
            .collect();
        let mut failure = None;
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(ranges) => {
                    self.take(ranges);
                    return Ok(());
                }
                Err(fault) => failure = Some(fault),
            }
        }
        Err(failure.unwrap_or_else(|| {
            Fault::own(
                StoreErrorKind::Unavailable,
                "the cluster has no node to ask",
            )
        }))
    }

    fn take(&self, ranges: Vec<Range>) {
        let mut guard = self.map.write().unwrap_or_else(PoisonError::into_inner);
        let map = &mut *guard;
        let masters: BTreeSet<Address> = ranges.iter().map(|range| range.master.clone()).collect();
        for master in &masters {
            map.server(master, &self.dialer);
        }
        // Nodes that are gone are forgotten; what still holds them ends first.
        map.servers
            .retain(|address, _| masters.contains(address) || self.seeds.contains(address));
        map.ranges = ranges;
        map.moved.clear();
        let changed = map.masters != masters;
        map.masters = masters;
        drop(guard);
        if changed {
            self.shape
                .send_modify(|count| *count = count.wrapping_add(1));
        }
    }
}

impl Map {
    fn server(&mut self, address: &Address, dialer: &Arc<Dialer>) -> Arc<Server> {
        let server = self.servers.entry(address.clone()).or_insert_with(|| {
            let locate = Locate::Fixed(address.clone(), Mode::Cluster);
            Server::new(locate, Arc::clone(dialer))
        });
        Arc::clone(server)
    }
}

async fn ask(server: &Arc<Server>, address: &Address) -> Result<Vec<Range>, Fault> {
    let mut link = server.link().await?;
    let value = link
        .connection
        .send_packed_command(redis::cmd("CLUSTER").arg("SLOTS"))
        .await
        .and_then(Value::extract_error)
        .map_err(|error| {
            let fault = Fault::of(error);
            if fault.breaks_link {
                server.discard(link.number);
            }
            fault
        })?;
    ranges(&value, address)
        .filter(|ranges| !ranges.is_empty())
        .ok_or_else(|| {
            let message = format!("the node at {address} knows no slots");
            Fault::own(StoreErrorKind::Unavailable, message)
        })
}

/// Reads the reply to `CLUSTER SLOTS`, masters only.
fn ranges(value: &Value, from: &Address) -> Option<Vec<Range>> {
    let Value::Array(entries) = value else {
        return None;
    };
    let mut ranges = entries
        .iter()
        .map(|entry| {
            let Value::Array(parts) = entry else {
                return None;
            };
            let [
                Value::Int(first),
                Value::Int(last),
                Value::Array(master),
                ..,
            ] = parts.as_slice()
            else {
                return None;
            };
            let [host, Value::Int(port), ..] = master.as_slice() else {
                return None;
            };
            let host = match text(host) {
                None | Some("" | "?") => &from.host,
                Some(host) => host,
            };
            let master = Address {
                host: host.to_owned(),
                port: u16::try_from(*port).ok()?,
            };
            let (first, last) = (u16::try_from(*first).ok()?, u16::try_from(*last).ok()?);
            (first <= last && last < SLOTS).then_some(Range {
                first,
                last,
                master,
            })
        })
        .collect::<Option<Vec<_>>>()?;
    ranges.sort_by_key(|range| range.first);
    Some(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_is_read_with_its_holes_and_unknown_hosts() {
        let reply = b"*2\r\n*3\r\n:8192\r\n:16383\r\n*3\r\n$0\r\n\r\n:7001\r\n$1\r\nx\r\n\
                      *4\r\n:0\r\n:5460\r\n*3\r\n$1\r\nb\r\n:7002\r\n$1\r\ny\r\n*3\r\n$1\r\nc\r\n:7003\r\n$1\r\nz\r\n";
        let value = redis::parse_redis_value(reply).unwrap();
        let at = |host: &str, port| Address {
            host: host.to_owned(),
            port,
        };
        let read = ranges(&value, &at("me", 1)).unwrap();
        let expected = [(0, 5460, at("b", 7002)), (8192, 16_383, at("me", 7001))].map(
            |(first, last, master)| Range {
                first,
                last,
                master,
            },
        );
        assert_eq!(read, expected);
        assert_eq!(ranges(&Value::Okay, &at("me", 1)), None);
    }
}
