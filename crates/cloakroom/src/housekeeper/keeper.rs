use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::sync::Notify;

use crate::inner::Inner;

/// The longest time between two rounds.
const LONGEST: Duration = Duration::from_mins(1);

/// How many touches are under way at once: a slow store must not let the last of many sessions wait
/// for the first.
const AT_ONCE: usize = 32;

/// Keeps sessions in use alive, by a timer of its own: it comes round within a quarter of the
/// shortest idle timeout that is in use, however the poll is scheduled.
pub(super) async fn keep_alive(weak: Weak<Inner>, wake: Arc<Notify>) {
    loop {
        let Some(inner) = weak.upgrade() else { return };
        let round = inner.shortest_idle.get().map(|idle| idle / 4);
        drop(inner);
        match round {
            None => {
                wake.notified().await;
                continue;
            }
            Some(round) => {
                let round = round.clamp(Duration::from_millis(5), LONGEST);
                tokio::select! {
                    () = tokio::time::sleep(round) => {}
                    () = wake.notified() => continue,
                }
            }
        }
        let Some(inner) = weak.upgrade() else { return };
        touch_those_in_use(&inner).await;
    }
}

/// Touches whoever is in use and was not recorded for half of its idle timeout.
async fn touch_those_in_use(inner: &Arc<Inner>) {
    let now = inner.now();
    inner.shortest_idle.reset();
    let mut unrecorded = Vec::new();
    for resident in inner.l1.residents() {
        if !resident.is_in_use() {
            continue;
        }
        let view = resident.view();
        let Some(idle) = inner.config.times.idle_of(&view.snapshot.head) else {
            continue;
        };
        inner.shortest_idle.see(idle);
        let since = now.since(view.times.used_at.min(now));
        if since >= idle / 2 || since >= inner.config.times.touch_interval_of(&view.snapshot.head) {
            unrecorded.push((resident, view));
        }
    }
    let touches = stream::iter(unrecorded);
    touches
        .for_each_concurrent(AT_ONCE, async |(resident, view)| {
            // The other parts of the housekeeper live in the same task.
            let touch = crate::commit::touch(inner, &resident, view, now);
            if AssertUnwindSafe(touch).catch_unwind().await.is_err() {
                tracing::error!(id = %resident.id(), "keeping a session alive panicked");
            }
        })
        .await;
}
