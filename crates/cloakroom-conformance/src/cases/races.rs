//! What meets: whichever comes first, the result is one of the two orders.

use std::sync::Arc;

use cloakroom_core::{Due, Record, SaveOutcome, SessionId, SessionStore, State, TouchOutcome};
use tokio::sync::Barrier;

use crate::case::{Case, Needs, case};
use crate::sample::{
    HOUR, caller_now, due_at, expiring, live, load, now, patiently, put, successor, tombstone,
};

const ROUNDS: usize = 50;

pub(super) fn cases<S: SessionStore>() -> Vec<Case<S>> {
    vec![
        case!(shared a_save_that_meets_an_end_never_revives),
        case!(shared a_touch_that_meets_an_end_never_revives),
        case!(shared a_hot_writer_does_not_outrun_a_logout),
        case!(shared a_touch_that_meets_expire_keeps_the_session_or_comes_too_late),
        case!(shared a_save_that_meets_expire_keeps_the_session_or_comes_too_late),
        case!(shared a_touch_that_meets_purge_keeps_the_row_or_comes_too_late if Needs::Search),
        case!(shared a_reader_never_sees_half_a_save),
    ]
}

/// Starts both at the same moment, or one a little later than the other: in `ROUNDS` rounds each has
/// every head start.
async fn meet<A, B>(
    round: usize,
    a: impl Future<Output = A> + Send + 'static,
    b: impl Future<Output = B> + Send + 'static,
) -> (A, B)
where
    A: Send + 'static,
    B: Send + 'static,
{
    let start = Arc::new(Barrier::new(2));
    let (a, b) = (
        tokio::spawn(late(Arc::clone(&start), round % 5, a)),
        tokio::spawn(late(start, round / 5 % 5, b)),
    );
    match (a.await, b.await) {
        (Ok(a), Ok(b)) => (a, b),
        (Err(error), _) | (_, Err(error)) => std::panic::resume_unwind(error.into_panic()),
    }
}

async fn late<T>(start: Arc<Barrier>, yields: usize, task: impl Future<Output = T> + Send) -> T {
    start.wait().await;
    for _ in 0..yields {
        tokio::task::yield_now().await;
    }
    task.await
}

async fn has_ended<S: SessionStore>(store: &S, id: SessionId) -> Record {
    let left = load(store, id).await.expect("a tombstone");
    assert_eq!(left.state, State::Ended, "a dead session came back");
    left
}

/// Saved before the end, or refused after it.
async fn a_save_that_meets_an_end_never_revives<S: SessionStore>(store: &Arc<S>) {
    for round in 0..ROUNDS {
        let record = live();
        let id = put(&**store, &record).await;
        let (next, tombstone) = (successor(&record), tombstone(&record));
        let (first, second) = (Arc::clone(store), Arc::clone(store));
        let (written, kept, expected) = (next.clone(), tombstone.clone(), record.stamp);
        let (saved, ended) = meet(
            round,
            async move { patiently(|| first.save(id, &written, expected)).await },
            async move { patiently(|| second.end(id, Some(&kept))).await },
        )
        .await;
        match saved {
            SaveOutcome::Saved => assert_eq!(ended, Some(next)),
            SaveOutcome::Ended(left) => {
                assert_eq!(left, tombstone);
                assert_eq!(ended, Some(record));
            }
            other => unreachable!("neither before nor after the end: {other:?}"),
        }
        assert_eq!(has_ended(&**store, id).await, tombstone);
    }
}

/// Touched before the end, or refused after it; the tombstone's times are its own.
async fn a_touch_that_meets_an_end_never_revives<S: SessionStore>(store: &Arc<S>) {
    for round in 0..ROUNDS {
        let record = live();
        let id = put(&**store, &record).await;
        let tombstone = tombstone(&record);
        let mut times = record.times;
        times.used_at = times.used_at + HOUR;
        let (first, second) = (Arc::clone(store), Arc::clone(store));
        let (kept, expected) = (tombstone.clone(), record.stamp);
        let (touched, ended) = meet(
            round,
            async move { patiently(|| first.touch(id, expected, times)).await },
            async move { patiently(|| second.end(id, Some(&kept))).await },
        )
        .await;
        let ended = ended.expect("it was live");
        match touched {
            TouchOutcome::Touched => assert_eq!(ended.times, times),
            TouchOutcome::Ended => assert_eq!(ended.times, record.times),
            other => unreachable!("neither before nor after the end: {other:?}"),
        }
        assert_eq!(has_ended(&**store, id).await, tombstone);
    }
}

/// A session that is written without pause is ended all the same, at the first attempt.
async fn a_hot_writer_does_not_outrun_a_logout<S: SessionStore>(store: &Arc<S>) {
    let record = live();
    let id = put(&**store, &record).await;
    let tombstone = tombstone(&record);
    let (first, second) = (Arc::clone(store), Arc::clone(store));
    let kept = tombstone.clone();
    let (last, ended) = meet(
        0,
        async move {
            let mut current = record;
            loop {
                let mut next = current.clone();
                next.stamp = current.stamp.next();
                // A store that never waits would keep the other task off this thread.
                tokio::task::yield_now().await;
                match patiently(|| first.save(id, &next, current.stamp)).await {
                    SaveOutcome::Saved => current = next,
                    SaveOutcome::Conflict(stored) if stored.stamp == next.stamp => current = next,
                    SaveOutcome::Ended(_) => return current,
                    other => unreachable!("nobody else writes: {other:?}"),
                }
            }
        },
        async move {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            patiently(|| second.end(id, Some(&kept))).await
        },
    )
    .await;
    assert_eq!(ended, Some(last), "the last state that was stored");
    assert_eq!(has_ended(&**store, id).await, tombstone);
}

/// The re-check is in the same statement: `Touched` means alive.
async fn a_touch_that_meets_expire_keeps_the_session_or_comes_too_late<S: SessionStore>(
    store: &Arc<S>,
) {
    for round in 0..ROUNDS {
        let record = due_at(caller_now());
        let id = put(&**store, &record).await;
        let mut times = record.times;
        times.deadline = Some(now() + HOUR);
        let (first, second) = (Arc::clone(store), Arc::clone(store));
        let expected = record.stamp;
        let (touched, ended) = meet(
            round,
            async move { patiently(|| first.touch(id, expected, times)).await },
            async move {
                let ids = [id];
                patiently(|| second.expire(caller_now(), Due::Ids(&ids))).await
            },
        )
        .await;
        let left = load(&**store, id).await.expect("a row");
        if touched == TouchOutcome::Touched {
            assert_eq!((ended.len(), left.state), (0, State::Live));
            assert_eq!(left.times, times);
        } else {
            assert_eq!(touched, TouchOutcome::Ended);
            assert_eq!((ended, left.state), (vec![(id, record)], State::Ended));
        }
    }
}

/// The re-check is in the same statement: `Saved` means alive.
async fn a_save_that_meets_expire_keeps_the_session_or_comes_too_late<S: SessionStore>(
    store: &Arc<S>,
) {
    for round in 0..ROUNDS {
        let record = due_at(caller_now());
        let id = put(&**store, &record).await;
        let mut next = successor(&record);
        next.times.deadline = Some(now() + HOUR);
        let (first, second) = (Arc::clone(store), Arc::clone(store));
        let (written, expected) = (next.clone(), record.stamp);
        let (saved, ended) = meet(
            round,
            async move { patiently(|| first.save(id, &written, expected)).await },
            async move {
                let ids = [id];
                patiently(|| second.expire(caller_now(), Due::Ids(&ids))).await
            },
        )
        .await;
        if let SaveOutcome::Ended(left) = saved {
            assert_eq!(ended, [(id, record)]);
            assert_eq!(has_ended(&**store, id).await, left);
        } else {
            assert_eq!(ended, [], "what was saved was ended");
            assert_eq!(load(&**store, id).await, Some(next));
        }
    }
}

/// The re-check is in the same statement: `Touched` means that the row is there.
async fn a_touch_that_meets_purge_keeps_the_row_or_comes_too_late<S: SessionStore>(store: &Arc<S>) {
    for round in 0..ROUNDS {
        let record = expiring(caller_now() - HOUR, caller_now());
        let id = put(&**store, &record).await;
        let times = live().times;
        let (first, second) = (Arc::clone(store), Arc::clone(store));
        let expected = record.stamp;
        let (touched, purged) = meet(
            round,
            async move { patiently(|| first.touch(id, expected, times)).await },
            async move { patiently(|| second.purge(caller_now(), 10)).await },
        )
        .await;
        let left = load(&**store, id).await;
        if touched == TouchOutcome::Touched {
            assert_eq!(purged, 0, "what was touched was purged");
            assert_eq!(left.map(|left| left.times), Some(times));
        } else {
            assert_eq!(touched, TouchOutcome::Gone);
            assert_eq!((purged, left), (1, None));
        }
    }
}

/// Stamp, owner, times, head and body of a record belong together.
async fn a_reader_never_sees_half_a_save<S: SessionStore>(store: &Arc<S>) {
    let whole = |n: u8, mut record: Record| {
        record.head = vec![n; 20];
        record.body = vec![n; 2_000];
        record.times.used_at = cloakroom_core::Timestamp::from_millis(n.into());
        record
    };
    let mut current = whole(0, live());
    let id = put(&**store, &current).await;
    let (first, second) = (Arc::clone(store), Arc::clone(store));
    let (done, is_done) = tokio::sync::watch::channel(false);
    meet(
        0,
        async move {
            for n in 1..=100 {
                tokio::task::yield_now().await;
                let next = whole(n, successor(&current));
                patiently(|| first.save(id, &next, current.stamp)).await;
                current = next;
            }
            done.send_replace(true);
        },
        async move {
            while is_done.has_changed().is_ok_and(|changed| !changed) {
                tokio::task::yield_now().await;
                let seen = patiently(|| second.load(id)).await.expect("a row");
                let n = *seen.head.first().expect("a head");
                let same = whole(n, seen.clone());
                assert!(same == seen, "half a save was read");
                assert_eq!(seen.stamp.version, u64::from(n) + 1);
            }
        },
    )
    .await;
}
