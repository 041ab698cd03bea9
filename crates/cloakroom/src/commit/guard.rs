use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{When, run};
use crate::Error;
use crate::inner::Inner;
use crate::session::Cell;

type Commit = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// A commit that cannot be torn: polled in place, and if it is dropped once it has begun, handed
/// over to a tracked task.
pub(crate) struct Guarded {
    commit: Option<Commit>,
    inner: Arc<Inner>,
    begun: bool,
}

impl Guarded {
    pub(crate) fn new(cell: Arc<Cell>, when: When) -> Self {
        let inner = Arc::clone(&cell.inner);
        let commit: Commit = Box::pin(async move { run(&cell, when).await });
        Self {
            commit: Some(commit),
            inner,
            begun: false,
        }
    }
}

impl Future for Guarded {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.begun = true;
        let Some(commit) = &mut self.commit else {
            return Poll::Ready(Ok(()));
        };
        let polled = commit.as_mut().poll(cx);
        if polled.is_ready() {
            self.commit = None;
        }
        polled
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // A commit that panicked must not be polled again.
        if !self.begun || std::thread::panicking() {
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
    track(
        &inner,
        Box::pin(async move { run(&cell, When::Late).await }),
    );
}

fn track(inner: &Arc<Inner>, commit: Commit) {
    let mut lost = Lost(Some(Arc::clone(inner)));
    inner.tasks.spawn(async move {
        match commit.await {
            Ok(()) => {
                if let Some(inner) = lost.0.take() {
                    inner.stats.late_commits.add();
                }
            }
            Err(error) => tracing::error!(%error, "late session commit failed"),
        }
    });
}

/// Counts a late commit that did not end well: it failed, could not run, or died with its runtime.
struct Lost(Option<Arc<Inner>>);

impl Drop for Lost {
    fn drop(&mut self) {
        if let Some(inner) = self.0.take() {
            inner.stats.late_commits_lost.add();
            tracing::error!("a late session commit was lost");
        }
    }
}
