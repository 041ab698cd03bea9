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

use crate::report::{header, row};
use crate::{Result, runtime};

/// Rounds of A B, and how long each side has in a round.
const ROUNDS: usize = 11;
const SLICE: Duration = Duration::from_millis(150);

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
    theirs: App,
    /// Their moka store in front.
    theirs_cached: App,
}

pub(crate) fn run() -> Result<()> {
    let runtime = runtime()?;
    runtime.block_on(async {
        sqlite::contest(compare).await?;
        postgres::contest(compare).await
    })
}

async fn compare(contest: Contest) -> Result<()> {
    const MIX: &[Op] = &[Op::Read, Op::Write];
    let it = &contest;
    header(it.title);
    for (what, ours, theirs, ops) in [
        ("create", &it.ours, &it.theirs, &[Op::Create][..]),
        (
            "read, no L1 : no cache",
            &it.ours_cold,
            &it.theirs,
            &[Op::Read],
        ),
        (
            "read, verified copy : no cache",
            &it.ours,
            &it.theirs,
            &[Op::Read],
        ),
        (
            "read, bounded copy : moka",
            &it.ours_bounded,
            &it.theirs_cached,
            &[Op::Read],
        ),
        (
            "change, no L1 : no cache",
            &it.ours_cold,
            &it.theirs,
            &[Op::Write],
        ),
        (
            "change, verified copy : no cache",
            &it.ours,
            &it.theirs,
            &[Op::Write],
        ),
        (
            "change, bounded copy : moka",
            &it.ours_bounded,
            &it.theirs_cached,
            &[Op::Write],
        ),
        (
            "half and half, verified copy : no cache",
            &it.ours,
            &it.theirs,
            MIX,
        ),
        (
            "half and half, bounded copy : moka",
            &it.ours_bounded,
            &it.theirs_cached,
            MIX,
        ),
    ] {
        let (a, b) = (
            drive::Clients::of(ours).await?,
            drive::Clients::of(theirs).await?,
        );
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        // The first turn is for what is only slow once: connections, prepared statements, pages.
        for turn in 0..=ROUNDS {
            let rates = (a.rate(ops, SLICE).await?, b.rate(ops, SLICE).await?);
            if turn > 0 {
                ours.push(rates.0);
                theirs.push(rates.1);
            }
        }
        row(what, &ours, &theirs, None);
    }
    Ok(())
}
