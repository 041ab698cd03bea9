//! axum over HTTP on loopback, the sessions in Redis, `wrk` as the browsers.

mod app;
mod child;
mod cpu;
mod figures;
mod pin;
mod variant;
mod wrk;

use cloakroom_services::Redis;

use self::child::Child;
use self::variant::Variant;
use crate::{Result, runtime};

/// Rounds in which each variant has one run of each workload.
const ROUNDS: usize = 9;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Workload {
    Read,
    Write,
}

impl Workload {
    fn path(self) -> &'static str {
        match self {
            Self::Read => "/read",
            Self::Write => "/write",
        }
    }
}

/// One server under one workload, and a figure of each kind for each round.
struct Series<'a> {
    server: &'a Child,
    workload: Workload,
    /// Requests per second.
    rates: Vec<f64>,
    /// Requests per second of the server's processor time.
    thrifts: Vec<f64>,
    /// Shares of a core that the server and Redis were busy.
    busy: (Vec<f64>, Vec<f64>),
}

/// What `cloakroom-compare http` does.
pub(crate) fn run() -> Result<()> {
    wrk::find()?;
    let redis = Redis::start()?;
    let redis_pid = redis.pid().ok_or("Redis has no process")?;
    let pinned = pin::is_possible();
    if pinned {
        pin::to_clients_core(redis_pid);
    }
    let servers = Variant::ALL
        .iter()
        .map(|variant| Child::start(*variant, redis.url(), pinned))
        .collect::<Result<Vec<_>>>()?;
    let mut series: Vec<Series<'_>> = [Workload::Read, Workload::Write]
        .into_iter()
        .flat_map(|workload| servers.iter().map(move |server| (server, workload)))
        .filter(|(server, workload)| server.variant.keeps() || *workload == Workload::Read)
        .map(|(server, workload)| Series::new(server, workload))
        .collect();
    for round in 0..=ROUNDS {
        for one in &mut series {
            // The first round only warms up.
            one.run(redis_pid, pinned, round > 0)?;
        }
    }
    figures::print(&series, pinned);
    Ok(())
}

/// What `cloakroom-compare serve` does, in a process of its own.
pub(crate) fn serve(variant: &str, redis: &str) -> Result<()> {
    let variant = Variant::named(variant)?;
    runtime()?.block_on(app::serve(variant, redis))
}

impl<'a> Series<'a> {
    fn new(server: &'a Child, workload: Workload) -> Self {
        Self {
            server,
            workload,
            rates: Vec::new(),
            thrifts: Vec::new(),
            busy: (Vec::new(), Vec::new()),
        }
    }

    fn run(&mut self, redis: u32, pinned: bool, counts: bool) -> Result<()> {
        let before = (cpu::seconds(self.server.pid()), cpu::seconds(redis));
        let run = wrk::run(self.server, self.workload, pinned)?;
        let server = cpu::seconds(self.server.pid()) - before.0;
        let redis = cpu::seconds(redis) - before.1;
        if counts {
            self.rates.push(run.requests / run.seconds);
            self.thrifts.push(run.requests / server);
            self.busy.0.push(server / run.seconds);
            self.busy.1.push(redis / run.seconds);
        }
        Ok(())
    }
}
