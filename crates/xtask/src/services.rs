//! The servers that all tests of a run share.

use std::io::stdin;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use cloakroom_services::{
    ChromeDriver, Error, MariaDb, Postgres, Redis, RedisCluster, RedisSentinel, Server,
};

use crate::output::{complain, say};
use crate::{install, valkey};

/// Running servers, and the variables by which tests find them. They end when this is dropped.
pub(crate) struct Services {
    /// Held for their drop only.
    held: Vec<Box<dyn Send>>,
    pub(crate) variables: Vec<(&'static str, String)>,
    /// How many are installed and did not start.
    pub(crate) broken: u64,
}

/// A server of whatever shape, and its URL.
type Started = Result<(Box<dyn Send>, String), Error>;

/// The variable and how to start what it names.
type Kind = (&'static str, fn() -> Started);

const KINDS: [Kind; 5] = [
    ("REDIS_URL", || Redis::start().map(one)),
    ("REDIS_CLUSTER_URL", || {
        let cluster = RedisCluster::start(3, 0)?;
        let url = cluster.url().to_owned();
        Ok((Box::new(cluster), url))
    }),
    ("REDIS_SENTINEL_URL", || {
        let group = RedisSentinel::start()?;
        let url = group.url().to_owned();
        Ok((Box::new(group), url))
    }),
    ("PG_URL", || Postgres::start().map(one)),
    ("MYSQL_URL", || MariaDb::start().map(one)),
];

fn one(server: Server) -> (Box<dyn Send>, String) {
    let url = server.url().to_owned();
    (Box::new(server), url)
}

impl Services {
    /// Starts one of each kind that is installed and that no variable names already, all at once.
    pub(crate) fn start() -> Self {
        let mut services = Self {
            held: Vec::new(),
            variables: programs(),
            broken: 0,
        };
        let wanted = KINDS.into_iter().filter(|(variable, _)| {
            let given = std::env::var_os(variable).is_some_and(|value| !value.is_empty());
            if given {
                complain(format_args!("{variable} is set: no server of our own"));
            }
            !given
        });
        let starting: Vec<_> = wanted
            .map(|(variable, start)| (variable, thread::spawn(start)))
            .collect();
        for (variable, thread) in starting {
            match thread.join() {
                Ok(started) => services.add(variable, started),
                Err(_) => services.broken += 1,
            }
        }
        services
    }

    fn add(&mut self, variable: &'static str, started: Started) {
        match started {
            Ok((server, url)) => {
                self.held.push(server);
                self.variables.push((variable, url));
            }
            // Said already, by whoever looked for what is missing.
            Err(Error::Missing(_)) => {}
            Err(error) => {
                complain(format_args!("no {variable}: {error}"));
                self.broken += 1;
            }
        }
    }
}

/// Programs that tests start for themselves.
fn programs() -> Vec<(&'static str, String)> {
    let text = |path: PathBuf| path.display().to_string();
    let driver = ChromeDriver::find().ok().map(text);
    let valkey = valkey::find().map(text);
    let found = [("CHROMEDRIVER", driver), ("VALKEY_SERVER", valkey)];
    found
        .into_iter()
        .filter_map(|(variable, path)| Some((variable, path?)))
        .collect()
}

/// `cargo xtask services`: starts them, prints the variables as a shell reads them, and waits.
pub(crate) fn serve(may_install: bool) -> ExitCode {
    let missing = install::missing(may_install);
    if may_install {
        valkey::fetch();
    }
    let services = Services::start();
    for (variable, value) in &services.variables {
        say(format_args!("export {variable}='{value}'"));
    }
    complain("running until Enter or Ctrl-C");
    // Ctrl-C ends us at once, and the watcher of the launcher ends the servers.
    stdin().read_line(&mut String::new()).ok();
    if missing.is_empty() && services.broken == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
