//! The change feed never blocks, and counts as lost until it says `Live`.

use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::{Change, ChangeFeed, Due, SessionId, SessionStore};

use crate::case::{Case, Needs, case};
use crate::sample::{
    DAY, HOUR, caller_now, due_at, end, live, load, new_id, put, save, saved, successor, tombstone,
    touch,
};

pub(super) fn cases<S: SessionStore>() -> Vec<Case<S>> {
    use Needs::{Changes, Endings};
    vec![
        case!(without_a_reach_there_is_no_feed if Needs::NoFeed),
        case!(every_feed_says_live_first if Endings),
        case!(endings_are_told_to_all if Endings),
        case!(a_removal_is_told_as_an_ending if Endings),
        case!(an_expiry_is_told_as_an_ending if Endings),
        case!(a_new_secret_is_told if Endings),
        case!(saves_are_told_with_their_stamp if Changes),
        case!(a_create_is_told if Changes),
        case!(shared a_newcomer_misses_nothing_after_what_it_reads if Changes),
        case!(a_touch_is_not_told if Changes),
        case!(a_refused_save_is_not_told_as_saved if Changes),
        case!(a_reader_that_sleeps_hears_all_or_lost_and_blocks_nobody if Changes),
        case!(a_feed_that_is_dropped_hurts_nobody if Endings),
        case!(only_a_sole_reader_is_told_so if Needs::Exclusive),
    ]
}

async fn next(feed: &mut ChangeFeed) -> Change {
    tokio::time::timeout(Duration::from_secs(5), feed.next())
        .await
        .expect("a notice within 5 s")
        .expect("the store holds the sender")
}

/// Two managers on one store, so that nobody is alone; both subscribed.
async fn two_feeds<S: SessionStore>(store: &S) -> [ChangeFeed; 2] {
    let mut feeds = [feed(store), feed(store)];
    for feed in &mut feeds {
        while next(feed).await != Change::Live {}
    }
    feeds
}

fn feed<S: SessionStore>(store: &S) -> ChangeFeed {
    store.changes().expect("a feed, as the capabilities say")
}

/// Reads until there is an ending of `id`.
async fn hears_the_end(feed: &mut ChangeFeed, id: SessionId) {
    while next(feed).await != (Change::Ended { id }) {}
}

/// `changes` answers `None` if and only if the capabilities promise no feed.
async fn without_a_reach_there_is_no_feed<S: SessionStore>(store: &S) {
    assert!(store.changes().is_none());
    load(store, new_id()).await;
}

/// Nothing but `Lost` may come before `Live`.
async fn every_feed_says_live_first<S: SessionStore>(store: &S) {
    for _ in 0..3 {
        let mut feed = feed(store);
        let first = loop {
            match next(&mut feed).await {
                Change::Lost => {}
                other => break other,
            }
        };
        assert_eq!(first, Change::Live);
    }
}

/// Other managers must drop their copies.
async fn endings_are_told_to_all<S: SessionStore>(store: &S) {
    let mut feeds = two_feeds(store).await;
    let id = put(store, &live()).await;
    end(store, id, Some(&tombstone(&live()))).await;
    for feed in &mut feeds {
        hears_the_end(feed, id).await;
    }
}

/// Without a tombstone, too.
async fn a_removal_is_told_as_an_ending<S: SessionStore>(store: &S) {
    let mut feeds = two_feeds(store).await;
    let id = put(store, &live()).await;
    end(store, id, None).await;
    for feed in &mut feeds {
        hears_the_end(feed, id).await;
    }
}

/// By time, too.
async fn an_expiry_is_told_as_an_ending<S: SessionStore>(store: &S) {
    let mut feeds = two_feeds(store).await;
    let id = put(store, &due_at(caller_now())).await;
    let ended = store.expire(caller_now(), Due::Ids(&[id])).await;
    assert_eq!(ended.expect("expire answers").len(), 1);
    for feed in &mut feeds {
        hears_the_end(feed, id).await;
    }
}

/// Whoever held the old secret must not be let in by another manager's copy.
async fn a_new_secret_is_told<S: SessionStore>(store: &S) {
    let mut feeds = two_feeds(store).await;
    let first = live();
    let id = put(store, &first).await;
    let mut renewed = successor(&first);
    renewed.rekeyed = true;
    saved(store, id, &renewed, first.stamp).await;
    end(store, id, None).await;
    let stamp = renewed.stamp;
    for feed in &mut feeds {
        loop {
            match next(feed).await {
                told if told == (Change::Saved { id, stamp }) => break,
                told => assert_ne!(told, Change::Ended { id }, "the save came first"),
            }
        }
    }
}

/// Other managers learn which state is current.
async fn saves_are_told_with_their_stamp<S: SessionStore>(store: &S) {
    let mut feeds = two_feeds(store).await;
    let mut record = live();
    let id = put(store, &record).await;
    let mut stamps = Vec::new();
    for _ in 0..10 {
        let new = successor(&record);
        saved(store, id, &new, record.stamp).await;
        stamps.push(new.stamp);
        record = new;
    }
    for feed in &mut feeds {
        for stamp in &stamps {
            let told = Change::Saved { id, stamp: *stamp };
            while next(feed).await != told {}
        }
    }
}

/// Other managers may remember that the id was unknown.
async fn a_create_is_told<S: SessionStore>(store: &S) {
    let mut feeds = two_feeds(store).await;
    let record = live();
    let id = put(store, &record).await;
    let stamp = record.stamp;
    for feed in &mut feeds {
        while next(feed).await != (Change::Saved { id, stamp }) {}
    }
}

/// A second manager joins while the first one writes: it is told of every state after the one that
/// it reads. Where the first was alone until then, the grant must be withdrawn in time.
async fn a_newcomer_misses_nothing_after_what_it_reads<S: SessionStore>(store: &Arc<S>) {
    for round in 0..20 {
        let first_feed = feed(&**store);
        let mut record = live();
        let id = put(&**store, &record).await;
        let shared = Arc::clone(store);
        let writes = tokio::spawn(async move {
            let mut stamps = vec![record.stamp];
            for _ in 0..20 {
                tokio::task::yield_now().await;
                let mut next = record.clone();
                next.stamp = record.stamp.next();
                saved(&*shared, id, &next, record.stamp).await;
                record = next;
                stamps.push(record.stamp);
            }
            stamps
        });
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        let mut newcomer = feed(&**store);
        while next(&mut newcomer).await != Change::Live {}
        let read = load(&**store, id).await.expect("a row").stamp;
        let stamps = writes.await.expect("the writer was not refused");
        for stamp in stamps
            .into_iter()
            .skip_while(|stamp| *stamp != read)
            .skip(1)
        {
            while next(&mut newcomer).await != (Change::Saved { id, stamp }) {}
        }
        drop(first_feed);
    }
}

/// A touch changes no stamp: copies stay current, and a thousand nodes need not hear of it.
async fn a_touch_is_not_told<S: SessionStore>(store: &S) {
    let mut feeds = two_feeds(store).await;
    let first = live();
    let id = put(store, &first).await;
    let before = successor(&first);
    saved(store, id, &before, first.stamp).await;
    let mut times = before.times;
    for _ in 0..5 {
        times.used_at = times.used_at + HOUR;
        times.deadline = times.deadline.map(|at| at + DAY);
        touch(store, id, before.stamp, times).await;
    }
    let after = successor(&before);
    saved(store, id, &after, before.stamp).await;
    let told = |record: &cloakroom_core::Record| Change::Saved {
        id,
        stamp: record.stamp,
    };
    for feed in &mut feeds {
        while next(feed).await != told(&before) {}
        assert_eq!(next(feed).await, told(&after), "a touch was told");
    }
}

/// What was not stored is not told.
async fn a_refused_save_is_not_told_as_saved<S: SessionStore>(store: &S) {
    let mut feeds = two_feeds(store).await;
    let record = live();
    let id = put(store, &record).await;
    let refused = successor(&record);
    save(store, id, &refused, record.stamp.next()).await;
    end(store, id, None).await;
    for feed in &mut feeds {
        loop {
            match next(feed).await {
                Change::Ended { id: ended } if ended == id => break,
                Change::Saved { stamp, .. } => assert_ne!(stamp, refused.stamp),
                _ => {}
            }
        }
    }
}

/// Whoever does not read for thousands of notices gets every one of them, or `Lost`; writers do not
/// wait.
async fn a_reader_that_sleeps_hears_all_or_lost_and_blocks_nobody<S: SessionStore>(store: &S) {
    const WRITES: usize = 6_000;
    let [mut feed, _other] = two_feeds(store).await;
    let mut record = live();
    let id = put(store, &record).await;
    for _ in 0..WRITES {
        let mut new = record.clone();
        new.stamp = record.stamp.next();
        saved(store, id, &new, record.stamp).await;
        record = new;
    }
    end(store, id, None).await;
    let mut told = 0;
    loop {
        match next(&mut feed).await {
            Change::Lost | Change::AllGone => break,
            Change::Saved { .. } => told += 1,
            Change::Ended { .. } => {
                assert_eq!(told, WRITES + 1, "notices were dropped in silence");
                break;
            }
            Change::Live => {}
        }
    }
}

/// A manager that goes away takes no other's feed along.
async fn a_feed_that_is_dropped_hurts_nobody<S: SessionStore>(store: &S) {
    let [mut feed, other] = two_feeds(store).await;
    drop(other);
    for _ in 0..3 {
        let id = put(store, &live()).await;
        end(store, id, None).await;
        hears_the_end(&mut feed, id).await;
    }
}

/// The grant to be alone goes to one reader at a time, is taken back before a second one can write,
/// and never returns while its feed lives.
async fn only_a_sole_reader_is_told_so<S: SessionStore>(store: &S) {
    let Some(first) = store.changes() else {
        return;
    };
    let first_flag = first.sole();
    let second = feed(store);
    let second_flag = second.sole();
    assert!(!first_flag.get() && !second_flag.get(), "two are not alone");
    drop(second);
    let third = feed(store);
    assert!(!first_flag.get() && !third.sole().get());
    drop(third);
    assert!(!first_flag.get(), "the grant was given back");
}
