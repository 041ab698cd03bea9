use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use cloakroom_core::Timestamp;
use tracing::Instrument as _;

use super::{When, run};
use crate::inner::Inner;
use crate::session::Cell;
use crate::{Error, ErrorKind};

type Commit = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// A commit that cannot be torn: polled in place, and if it is dropped once it has begun, handed
/// over to a tracked task.
pub(crate) struct Guarded {
    commit: Option<Commit>,
    inner: Arc<Inner>,
    begun: bool,
    /// Set while it is polled, so that a drop knows whether the commit itself has panicked.
    polled: bool,
}

impl Guarded {
    /// `now` is the time at which it is awaited.
    pub(crate) fn new(cell: Arc<Cell>, when: When, now: Timestamp) -> Self {
        let inner = Arc::clone(&cell.inner);
        Self {
            commit: Some(boxed(cell, when, now)),
            inner,
            begun: false,
            polled: false,
        }
    }
}

impl Future for Guarded {
    type Output = Result<(), Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        this.begun = true;
        let Some(commit) = &mut this.commit else {
            return Poll::Ready(Ok(()));
        };
        this.polled = true;
        let answer = commit.as_mut().poll(cx);
        this.polled = false;
        if answer.is_ready() {
            this.commit = None;
        }
        answer
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // A commit that panicked must not be polled again.
        if !self.begun || self.polled {
            return;
        }
        if let Some(commit) = self.commit.take() {
            track(&self.inner, commit);
        }
    }
}

/// Commits what is left in a handle after its request, on a tracked task.
pub(crate) fn late(cell: Arc<Cell>) {
    let inner = Arc::clone(&cell.inner);
    let now = inner.now();
    track(&inner, boxed(cell, When::Late, now));
}

/// The span is there only for who listens: it would make the box larger than the allocator's fast
/// path.
fn boxed(cell: Arc<Cell>, when: When, now: Timestamp) -> Commit {
    let span = tracing::debug_span!("session_commit", ?when);
    let commit = async move { run(&cell, when, now).await };
    if span.is_disabled() {
        Box::pin(commit)
    } else {
        Box::pin(commit.instrument(span))
    }
}

fn track(inner: &Arc<Inner>, commit: Commit) {
    let lost = Lost::new(inner);
    inner.tasks.spawn(async move {
        match commit.await {
            Ok(()) => lost.disarm(),
            // The changes went with the session, or with the login that they were made under.
            Err(error) if matches!(error.kind(), ErrorKind::Ended | ErrorKind::Superseded) => {
                lost.ignore();
            }
            Err(error) => tracing::error!(%error, "late session commit failed"),
        }
    });
}

/// Counts a late commit that did not end well: it failed, could not run, or died with its runtime.
pub(super) struct Lost(Option<Arc<Inner>>);

impl Lost {
    pub(super) fn new(inner: &Arc<Inner>) -> Self {
        Self(Some(Arc::clone(inner)))
    }

    /// There was nothing to do.
    pub(super) fn ignore(mut self) {
        self.0 = None;
    }

    /// It ended well.
    pub(super) fn disarm(mut self) {
        if let Some(inner) = self.0.take() {
            inner.stats.late_commits.add();
        }
    }
}

impl Drop for Lost {
    fn drop(&mut self) {
        if let Some(inner) = self.0.take() {
            inner.stats.late_commits_lost.add();
            tracing::error!("a late session commit was lost");
        }
    }
}
