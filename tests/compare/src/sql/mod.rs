//! Each operation over SQL, in-process: `Service::call` without HTTP in between.

mod drive;
mod ours;
mod postgres;
mod sqlite;
mod theirs;

use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response};
use tower::util::BoxCloneSyncService;

use self::drive::Clients;
use crate::report::{header, row};
use crate::{Result, runtime};

/// How often A B is run, and how long each has.
const TURNS: usize = 21;
const SLICE: Duration = Duration::from_millis(100);

/// A session layer around a handler. The box costs both sides the same.
type App = BoxCloneSyncService<Request<()>, Response<()>, Infallible>;

/// What one request does; it travels in the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Create,
    Read,
    Write,
}

/// The layers that are compared over one database.
struct Contest {
    title: &'static str,
    /// No L1: each request loads.
    ours_cold: App,
    /// As the builder makes it: L1, each use verified by a peek.
    ours: App,
    /// L1, used unverified for a while.
    ours_bounded: App,
    theirs: Theirs,
}

/// Theirs, made for reads and made for writes: over `SQLite` their pool cannot suit both.
struct Theirs {
    reads: App,
    writes: App,
    /// With their moka store in front.
    cached_reads: App,
    cached_writes: App,
}

pub(crate) fn run() -> Result<()> {
    let runtime = runtime()?;
    runtime.block_on(async {
        sqlite::contest(compare).await?;
        postgres::contest(compare).await
    })
}

async fn compare(contest: Contest) -> Result<()> {
    const READ: &[Op] = &[Op::Read];
    const WRITE: &[Op] = &[Op::Write];
    const MIX: &[Op] = &[Op::Read, Op::Write];
    let Contest {
        title,
        ours_cold: cold,
        ours: verified,
        ours_bounded: bounded,
        theirs,
    } = &contest;
    let (reads, writes) = (&theirs.reads, &theirs.writes);
    let (cached_reads, cached_writes) = (&theirs.cached_reads, &theirs.cached_writes);
    header(title);
    for (what, ours, theirs, ops) in [
        ("create", verified, writes, &[Op::Create][..]),
        ("read, no L1 : no cache", cold, reads, READ),
        ("read, verified copy : no cache", verified, reads, READ),
        ("read, bounded copy : moka", bounded, cached_reads, READ),
        ("change, no L1 : no cache", cold, writes, WRITE),
        ("change, verified copy : no cache", verified, writes, WRITE),
        ("change, bounded copy : moka", bounded, cached_writes, WRITE),
        ("half and half, verified : no cache", verified, writes, MIX),
        ("half and half, bounded : moka", bounded, cached_writes, MIX),
    ] {
        let (ours, theirs) = take_turns(ours, theirs, ops).await?;
        row(what, &ours, &theirs, None);
    }
    Ok(())
}

/// Requests per second of both, turn by turn.
async fn take_turns(ours: &App, theirs: &App, ops: &'static [Op]) -> Result<(Vec<f64>, Vec<f64>)> {
    let (ours, theirs) = (Clients::of(ours).await?, Clients::of(theirs).await?);
    let (mut our_rates, mut their_rates) = (Vec::new(), Vec::new());
    // The first turn is for what is only slow once: connections, prepared statements, pages.
    for turn in 0..=TURNS {
        let rates = (ours.rate(ops, SLICE).await?, theirs.rate(ops, SLICE).await?);
        if turn > 0 {
            our_rates.push(rates.0);
            their_rates.push(rates.1);
        }
    }
    Ok((our_rates, their_rates))
}
