//! Counts the requests that run, up to the end of their responses' bodies: a stop waits for these,
//! not for connections on which nothing happens.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use tokio::sync::watch;

/// What the last bytes of the last response may take on their way, and a client its farewell.
const FAREWELL: Duration = Duration::from_secs(1);

/// How many requests run. Clones share the count.
#[derive(Clone, Default)]
pub(crate) struct Running(Arc<watch::Sender<usize>>);

impl Running {
    fn enter(&self) -> OneRunning {
        self.0.send_modify(|running| *running += 1);
        OneRunning(self.clone())
    }

    /// Waits until no request has run for a moment.
    pub(crate) async fn idle(&self) {
        let mut count = self.0.subscribe();
        loop {
            // The sender lives in `self`, so that waiting cannot fail.
            drop(count.wait_for(|running| *running == 0).await);
            let again = count.wait_for(|running| *running > 0);
            if tokio::time::timeout(FAREWELL, again).await.is_err() {
                return;
            }
        }
    }
}

struct OneRunning(Running);

impl Drop for OneRunning {
    fn drop(&mut self) {
        self.0.0.send_modify(|running| *running -= 1);
    }
}

/// A body during which its request counts as running.
struct Counted {
    body: Body,
    _running: OneRunning,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The middleware that counts.
pub(crate) async fn counted(
    State(running): State<Running>,
    request: Request,
    next: Next,
) -> Response {
    let one = running.enter();
    next.run(request).await.map(|body| {
        Body::new(Counted {
            body,
            _running: one,
        })
    })
}
