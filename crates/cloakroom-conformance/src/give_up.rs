use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// Polls `future` at most `polls` times, then drops it: a client that disconnects, a timeout.
///
/// `None` if it was dropped before it was ready. Between two polls it waits until the future asks
/// to be polled again, as a runtime does.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use cloakroom_conformance::give_up_after;
///
/// let slow = || async {
///     tokio::task::yield_now().await;
///     7
/// };
/// assert_eq!(give_up_after(1, slow()).await, None);
/// assert_eq!(give_up_after(2, slow()).await, Some(7));
/// # });
/// ```
pub async fn give_up_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
