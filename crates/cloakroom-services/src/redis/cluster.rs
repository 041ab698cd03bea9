//! A cluster: masters, and replicas that can take over.

use std::path::Path;

use super::Redis;
use super::reply::ask;
use super::standalone::{field, start};
use crate::process::eventually;
use crate::{Error, Failure, Server};

const SERVICE: &str = "Redis cluster";
const SLOTS: usize = 16_384;

/// Looks of 10 ms each (plus the asking): 60 s at least.
const LOOKS: u32 = 6_000;

/// A private Redis cluster on 127.0.0.1. A node that is silent for 2 s counts as failed.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Server>,
    url: String,
}

impl RedisCluster {
    /// Starts one of this many masters (three at least, or no majority could agree on a failure) and, spread over them, this
    /// many replicas. It is whole when this returns: every slot served, every replica in step.
    ///
    /// # Errors
    ///
    /// If Redis is not installed, a node does not start, or the nodes do not agree.
    pub fn start(masters: usize, replicas: usize) -> Result<Self, Error> {
        Self::start_with(masters, replicas, &[])
    }

    /// The same with more arguments for each node, as on the command line: with `&["--appendonly", "yes", "--appendfsync",
    /// "always"]` a node that is killed comes back with all that it has acknowledged.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_with(masters: usize, replicas: usize, arguments: &[&str]) -> Result<Self, Error> {
        if masters < 3 {
            return Err(Failure::new(SERVICE, "needs three masters or more").into());
        }
        let program = Redis::find()?;
        let nodes = (0..masters + replicas)
            .map(|_| start_node(&program, arguments))
            .collect::<Result<Vec<_>, _>>()?;
        let addresses: Vec<String> = nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port()))
            .collect();
        let cluster = Self {
            nodes,
            url: format!("redis+cluster://{}", addresses.join(",")),
        };
        cluster.join(masters)?;
        Ok(cluster)
    }

    /// All nodes: `redis+cluster://127.0.0.1:A,127.0.0.1:B,127.0.0.1:C`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The nodes, masters first (as they were at the start: a failover changes roles, not this order). Each can be frozen,
    /// killed and restarted by itself.
    pub fn nodes(&self) -> &[Server] {
        &self.nodes
    }

    /// `redis-cli --cluster create` by hand, a second faster.
    fn join(&self, masters: usize) -> Result<(), Error> {
        let (masters, replicas) = self.nodes.split_at(masters);
        for (index, node) in masters.iter().enumerate() {
            let first = index * SLOTS / masters.len();
            let last = (index + 1) * SLOTS / masters.len() - 1;
            // Named one by one: ADDSLOTSRANGE is younger than the oldest release that we support.
            let slots: Vec<String> = (first..=last).map(|slot| slot.to_string()).collect();
            let mut command = vec!["CLUSTER", "ADDSLOTS"];
            command.extend(slots.iter().map(String::as_str));
            tell(node, &command)?;
            let epoch = (index + 1).to_string();
            tell(node, &["CLUSTER", "SET-CONFIG-EPOCH", &epoch])?;
        }
        if let Some((first, others)) = self.nodes.split_first() {
            for other in others {
                let port = other.port().to_string();
                tell(first, &["CLUSTER", "MEET", "127.0.0.1", &port])?;
            }
        }
        let count = self.nodes.len().to_string();
        self.wait("know each other", |node| {
            let info = ask(node.port(), &["CLUSTER", "INFO"]).unwrap_or_default();
            field(&info, "cluster_known_nodes") == Some(&count)
        })?;
        for (replica, master) in replicas.iter().zip(masters.iter().cycle()) {
            let id = tell(master, &["CLUSTER", "MYID"])?;
            tell(replica, &["CLUSTER", "REPLICATE", &id])?;
        }
        self.wait("serve all slots", |node| {
            let info = ask(node.port(), &["CLUSTER", "INFO"]).unwrap_or_default();
            field(&info, "cluster_state") == Some("ok")
                && field(&info, "cluster_slots_ok") == Some(&SLOTS.to_string())
        })?;
        self.wait("agree on who is a replica of whom", |node| {
            let map = ask(node.port(), &["CLUSTER", "NODES"]).unwrap_or_default();
            map.lines().filter(|line| line.contains("slave")).count() == replicas.len()
        })?;
        wait(replicas, "catch up with their masters", |node| {
            let info = ask(node.port(), &["INFO", "replication"]).unwrap_or_default();
            field(&info, "master_link_status") == Some("up")
        })
    }

    fn wait(&self, what: &str, is_done: impl Fn(&Server) -> bool) -> Result<(), Error> {
        wait(&self.nodes, what, is_done)
    }
}

fn start_node(program: &Path, arguments: &[&str]) -> Result<Server, Error> {
    let mut all = vec![
        "--cluster-enabled",
        "yes",
        "--cluster-node-timeout",
        "2000",
        // A replica is wanted in step at once; by default it waits 5 s for others to join.
        "--repl-diskless-sync-delay",
        "0",
    ];
    all.extend(arguments);
    start(SERVICE, program, &all)
}

fn tell(node: &Server, command: &[&str]) -> Result<String, Failure> {
    ask(node.port(), command).map_err(|error| {
        let words = command.get(..2).unwrap_or(command).join(" ");
        Failure::new(SERVICE, format!("{words}: {error}"))
    })
}

fn wait(nodes: &[Server], what: &str, is_done: impl Fn(&Server) -> bool) -> Result<(), Error> {
    if eventually(LOOKS, || nodes.iter().all(&is_done)) {
        return Ok(());
    }
    Err(Failure::new(SERVICE, format!("its nodes do not {what}")).into())
}
