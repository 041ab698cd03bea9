//! A master, a replica, and the Sentinel that would promote it.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use super::Redis;
use super::reply::ask;
use super::standalone::{answers, field, start};
use crate::privilege::Identity;
use crate::process::eventually;
use crate::server::Plan;
use crate::{Error, Failure, Server};

const SERVICE: &str = "Redis Sentinel";

/// Looks of 10 ms each (plus the asking): 60 s at least.
const LOOKS: u32 = 6_000;

/// A private master with one replica, watched by one Sentinel. A master that is silent for 1 s is replaced.
#[derive(Debug)]
pub struct RedisSentinel {
    sentinel: Server,
    /// As they were at the start: the master, its replica.
    servers: [Server; 2],
    url: String,
}

impl RedisSentinel {
    /// The name under which Sentinel knows the master.
    pub const MASTER: &str = "cloakroom";

    /// Starts the three. When this returns the replica is in step and Sentinel knows both.
    ///
    /// # Errors
    ///
    /// If Redis is not installed, one of them does not start, or they do not find each other.
    pub fn start() -> Result<Self, Error> {
        let program = Redis::find()?;
        let quick = ["--repl-diskless-sync-delay", "0"];
        let master = start(SERVICE, &program, &quick)?;
        let port = master.port().to_string();
        let mut arguments = quick.to_vec();
        arguments.extend(["--replicaof", "127.0.0.1", &port]);
        let replica = start(SERVICE, &program, &arguments)?;
        wait("the replica does not catch up", || {
            let info = ask(replica.port(), &["INFO", "replication"]).unwrap_or_default();
            field(&info, "master_link_status") == Some("up")
        })?;
        let sentinel = start_sentinel(&program, master.port())?;
        wait("does not find the replica", || {
            let info = ask(sentinel.port(), &["INFO", "sentinel"]).unwrap_or_default();
            info.contains("status=ok") && info.contains("slaves=1")
        })?;
        let url = format!(
            "redis+sentinel://127.0.0.1:{}/{}",
            sentinel.port(),
            Self::MASTER
        );
        Ok(Self {
            sentinel,
            servers: [master, replica],
            url,
        })
    }

    /// The Sentinel and the master's name: `redis+sentinel://127.0.0.1:PORT/cloakroom`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The Sentinel itself.
    pub fn sentinel(&self) -> &Server {
        &self.sentinel
    }

    /// The server that was the master at the start.
    pub fn master(&self) -> &Server {
        let [master, _] = &self.servers;
        master
    }

    /// The server that was the replica at the start.
    pub fn replica(&self) -> &Server {
        let [_, replica] = &self.servers;
        replica
    }

    /// Both: the master first, as they were at the start.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }
}

fn start_sentinel(program: &Path, master: u16) -> Result<Server, Error> {
    Server::launch(SERVICE, &Identity::Same, |port, folder| {
        // Sentinel insists on a file that it can rewrite.
        let file = folder.join("sentinel.conf");
        let name = RedisSentinel::MASTER;
        let text = format!(
            "port {port}\n\
             bind 127.0.0.1\n\
             dir \"{}\"\n\
             sentinel monitor {name} 127.0.0.1 {master} 1\n\
             sentinel down-after-milliseconds {name} 1000\n\
             sentinel failover-timeout {name} 3000\n",
            folder.display()
        );
        fs::write(&file, text)
            .map_err(|error| Failure::new(SERVICE, format!("{}: {error}", file.display())))?;
        let command: Vec<OsString> = vec![program.into(), file.into(), "--sentinel".into()];
        Ok(Plan {
            command,
            is_ready: Box::new(move |pid| answers(port, pid)),
            stop: "TERM",
            discard: "KILL",
            url: format!("redis://127.0.0.1:{port}/"),
        })
    })
}

fn wait(what: &str, is_done: impl FnMut() -> bool) -> Result<(), Error> {
    if eventually(LOOKS, is_done) {
        return Ok(());
    }
    Err(Failure::new(SERVICE, what).into())
}
