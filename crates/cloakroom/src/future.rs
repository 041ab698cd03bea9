use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use cloakroom_core::{Timestamp, Token};
use http::header::{HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use pin_project_lite::pin_project;

use crate::cache::InUse;
use crate::commit::{Guarded, When, at_once, has_work, late, touch_left};
use crate::config::Eviction;
use crate::inner::Inner;
use crate::session::{Cell, Outgoing, Phase, State};
use crate::transport::Answer;
use crate::{Error, ErrorKind};

pin_project! {
    /// The future of [`SessionService`](crate::SessionService): the inner service's, and then the
    /// commit, if there is anything to commit.
    #[derive(Debug)]
    pub struct ResponseFuture<F, B> {
        #[pin]
        inner: F,
        cell: Option<Arc<Cell>>,
        ready: Option<Ready<B>>,
    }

    impl<F, B> PinnedDrop for ResponseFuture<F, B> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            // The client has gone, or the handler has panicked.
            if let Some(cell) = this.cell.take() {
                give_up(cell, this.ready.take().is_some());
            }
        }
    }
}

/// A response that waits for its commit.
struct Ready<B> {
    response: Response<B>,
    commit: Guarded,
}

impl<B> std::fmt::Debug for Ready<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ready")
            .field("status", &self.response.status())
            .finish_non_exhaustive()
    }
}

impl<F, B> ResponseFuture<F, B> {
    pub(crate) fn new(inner: F, cell: Option<Arc<Cell>>) -> Self {
        Self {
            inner,
            cell,
            ready: None,
        }
    }
}

impl<F, B, E> Future for ResponseFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Default,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if this.ready.is_none() {
            let mut response = match ready!(this.inner.as_mut().poll(cx)) {
                Ok(response) => response,
                Err(error) => {
                    if let Some(cell) = this.cell.take() {
                        give_up(cell, false);
                    }
                    return Poll::Ready(Err(error));
                }
            };
            let Some(cell) = this.cell.as_ref() else {
                return Poll::Ready(Ok(response));
            };
            if cell.leave_unasked() {
                if cell.was_refused() {
                    cell.inner.transports.vary(response.headers_mut());
                }
                *this.cell = None;
                return Poll::Ready(Ok(response));
            }
            if response.status().is_server_error() && !cell.inner.config.commit_on_server_error {
                cell.roll_back();
            }
            let now = cell.inner.now();
            let done = release(cell, &mut response, now, has_work)
                || (at_once(cell, now) && release(cell, &mut response, now, nothing_more));
            if done {
                *this.cell = None;
                return Poll::Ready(Ok(response));
            }
            let commit = Guarded::new(Arc::clone(cell), When::Head, now);
            *this.ready = Some(Ready { response, commit });
        }
        let Some(waiting) = this.ready.as_mut() else {
            return Poll::Pending;
        };
        let committed = ready!(Pin::new(&mut waiting.commit).poll(cx));
        let (Some(waiting), Some(cell)) = (this.ready.take(), this.cell.take()) else {
            return Poll::Pending;
        };
        let mut response = match committed {
            Ok(()) => waiting.response,
            Err(error) => replaced(&cell, &error),
        };
        let now = cell.inner.now();
        release(&cell, &mut response, now, nothing_more);
        Poll::Ready(Ok(response))
    }
}

/// No head will leave: nothing is stored. A commit that has begun goes on by itself, and a destroy
/// is performed now, however long a clone of the handle is held.
fn give_up(cell: Arc<Cell>, committing: bool) {
    cell.roll_back();
    // A handle may outlive the request; the use does not.
    let (in_use, destroyed) = {
        let mut slot = cell.lock();
        cell.advance(Phase::Sealed, Phase::Released);
        match &mut *slot {
            Some(state) => (state.take_use(), state.destroy.is_some()),
            None => (None, false),
        }
    };
    let now = cell.inner.now();
    if let Some(in_use) = in_use {
        leave(&cell.inner, in_use, now);
    }
    if committing {
        return;
    }
    if destroyed {
        late(cell);
    } else {
        // It was used until now all the same.
        touch_left(&cell, now);
    }
}

/// The client must never be told that something was stored when it was not.
fn replaced<B: Default>(cell: &Cell, error: &Error) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = match error.kind() {
        ErrorKind::Conflict => cell.inner.config.conflict_status,
        ErrorKind::Unavailable | ErrorKind::Unsupported => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Superseded | ErrorKind::Ended | ErrorKind::UpdateRefused => StatusCode::CONFLICT,
        // Each change was small enough where it was made, over what others have stored it is not.
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Refused(status) => status,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    if let Some(after) = error.retry_after() {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(after.as_secs()));
    }
    response
}

/// The last step: the head says what has become of the session, and the use ends. Unless there is
/// work left to do first; whether it was done.
fn release<B: Default>(
    cell: &Cell,
    response: &mut Response<B>,
    now: Timestamp,
    has_work: fn(&Cell, &State, Timestamp) -> bool,
) -> bool {
    let inner = &cell.inner;
    let in_use = {
        let mut slot = cell.lock();
        let Some(state) = &mut *slot else {
            return true;
        };
        cell.advance(Phase::Running, Phase::Sealed);
        if has_work(cell, state, now) {
            return false;
        }
        if state.dropped && !response.status().is_server_error() {
            // A clone of the handle was dropped by a panic: what the handler changed is lost.
            *response = replaced(cell, &ErrorKind::RolledBack.into());
        }
        if state.foreign_node && matches!(state.outgoing, Outgoing::Nothing) {
            state.send_again();
        }
        let current = current(inner, state);
        let outgoing = match &state.outgoing {
            Outgoing::Set(_) if current.is_none() => &Outgoing::Nothing,
            other => other,
        };
        let answer = Answer {
            outgoing,
            current,
            remaining: remaining(inner, state, now),
            https: cell.https,
        };
        inner.transports.respond(response.headers_mut(), &answer);
        if let Some(name) = &inner.config.outcome_header {
            let outcome = HeaderValue::from_static(state.presented.as_str());
            response.headers_mut().insert(name.clone(), outcome);
        }
        // Under the lock, so that no call finds the request before its head once that is written.
        cell.advance(Phase::Sealed, Phase::Released);
        state.take_use()
    };
    if let Some(in_use) = in_use {
        leave(inner, in_use, now);
    }
    true
}

/// What a clone of the handle has changed since its commit is committed late.
fn nothing_more(_: &Cell, _: &State, _: Timestamp) -> bool {
    false
}

/// Ends the use of a session; with the last one it may leave L1.
fn leave(inner: &Inner, in_use: InUse, now: Timestamp) {
    if let Some(id) = in_use.leave(now)
        && inner.config.cache.eviction == Eviction::OnExit
    {
        inner.l1.evict(id);
        inner.l1.tell_evicted();
    }
}

/// The token that the head may carry: not if another request has renewed or signed in since, as
/// the client must end with the token of that one, in whatever order the responses come.
fn current<'a>(inner: &Inner, state: &'a State) -> Option<&'a Token> {
    let asked = matches!(state.outgoing, Outgoing::Set(_)) || inner.transports.always_sends();
    if !asked || state.closed.is_some() {
        return None;
    }
    let stored = state.stored.as_ref()?;
    let unchanged = stored.resident.view().snapshot.head.digest == stored.digest;
    stored.token.as_ref().filter(|_| unchanged)
}

/// How long the session lasts if it is not used any more, without the touch interval.
fn remaining(inner: &Inner, state: &State, now: Timestamp) -> Option<std::time::Duration> {
    if !inner.transports.follows_timeout() {
        return None;
    }
    let head = &state.stored.as_ref()?.snapshot.head;
    inner.config.times.lasts(head, now)
}
