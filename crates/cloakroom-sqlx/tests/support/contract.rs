//! The contract in one walk: the quick look before the whole suite (`tests/conformance.rs`).

use std::sync::Arc;

use cloakroom_core::{
    CreateOutcome, Due, Page, Record, SaveOutcome, SessionId, SessionStore, Stamp, State, Times,
    TouchOutcome,
};

use super::record::{at, id, next, owned, owner, record, tombstone};

/// Every outcome of every operation, once.
pub(crate) async fn walk<S: SessionStore>(store: &S) {
    writes(store).await;
    endings(store).await;
    times_out(store).await;
    owners(store).await;
}

async fn writes<S: SessionStore>(store: &S) {
    let (id, first) = (id(), record(10_000));
    assert_eq!(store.load(id).await.unwrap(), None);
    assert_eq!(store.peek(id).await.unwrap(), None);
    assert_eq!(
        store.create(id, &first).await.unwrap(),
        CreateOutcome::Created
    );
    assert_eq!(
        store.create(id, &record(1)).await.unwrap(),
        CreateOutcome::Exists(first.stamp)
    );
    assert_eq!(store.load(id).await.unwrap().unwrap(), first);
    let mut second = next(&first, b"second");
    second.owner = Some(owner("ada"));
    assert_eq!(
        store.save(id, &second, first.stamp).await.unwrap(),
        SaveOutcome::Saved
    );
    assert_eq!(
        store
            .save(id, &next(&first, b"lost"), first.stamp)
            .await
            .unwrap(),
        SaveOutcome::Conflict(second.clone())
    );
    let peek = store.peek(id).await.unwrap().unwrap();
    assert_eq!((peek.stamp, peek.state), (second.stamp, State::Live));
    assert_eq!(peek.deadline, second.times.deadline);
    refused_writes(store, id, &second).await;
}

/// Goes on with a row that holds `second`.
async fn refused_writes<S: SessionStore>(store: &S, id: SessionId, second: &Record) {
    let first = record(10_000);
    let mut never = next(second, &[]);
    never.times.deadline = None;
    never.times.expires_at = None;
    never.stamp = Stamp {
        version: u64::MAX,
        nonce: u64::MAX,
    };
    assert_eq!(
        store.save(id, &never, second.stamp).await.unwrap(),
        SaveOutcome::Saved
    );
    let back = Times {
        used_at: at(5),
        deadline: Some(at(5)),
        expires_at: Some(at(5)),
    };
    assert_eq!(
        store.touch(id, never.stamp, back).await.unwrap(),
        TouchOutcome::Touched
    );
    assert_eq!(
        store.load(id).await.unwrap().unwrap(),
        never,
        "a touch moves forward only"
    );
    assert_eq!(
        store.touch(id, first.stamp, back).await.unwrap(),
        TouchOutcome::Moved(never.stamp)
    );
    let absent = super::record::id();
    assert_eq!(
        store.save(absent, second, first.stamp).await.unwrap(),
        SaveOutcome::Gone
    );
    assert_eq!(
        store.touch(absent, first.stamp, back).await.unwrap(),
        TouchOutcome::Gone
    );
}

async fn endings<S: SessionStore>(store: &S) {
    let (id, first) = (id(), owned("ada"));
    store.create(id, &first).await.unwrap();
    let later = Times {
        used_at: at(20_000),
        deadline: Some(at(30_000)),
        expires_at: None,
    };
    assert_eq!(
        store.touch(id, first.stamp, later).await.unwrap(),
        TouchOutcome::Touched
    );
    let mut touched = first.clone();
    touched.times = first.times.forward(later);
    let tomb = tombstone(&first);
    assert_eq!(store.end(id, Some(&tomb)).await.unwrap(), Some(touched));
    assert_eq!(
        store.end(id, Some(&tombstone(&first))).await.unwrap(),
        None,
        "the first ending wins"
    );
    assert_eq!(store.load(id).await.unwrap(), Some(tomb.clone()));
    assert_eq!(
        store
            .save(id, &next(&first, b"late"), first.stamp)
            .await
            .unwrap(),
        SaveOutcome::Ended(tomb.clone())
    );
    assert_eq!(
        store
            .save(id, &next(&tomb, b"late"), tomb.stamp)
            .await
            .unwrap(),
        SaveOutcome::Ended(tomb.clone())
    );
    assert_eq!(
        store.touch(id, tomb.stamp, later).await.unwrap(),
        TouchOutcome::Ended
    );
    let short = super::record::id();
    store.create(short, &first).await.unwrap();
    assert_eq!(store.end(short, None).await.unwrap(), Some(first));
    assert_eq!(store.load(short).await.unwrap(), None);
    assert_eq!(store.end(short, None).await.unwrap(), None);
}

async fn times_out<S: SessionStore>(store: &S) {
    let due = record(2_000);
    let (one, two) = (id(), id());
    store.create(one, &due).await.unwrap();
    store.create(two, &record(50_000)).await.unwrap();
    assert!(
        store
            .expire(at(1_999), Due::Limit(10))
            .await
            .unwrap()
            .is_empty()
    );
    let ended = store.expire(at(2_000), Due::Limit(10)).await.unwrap();
    assert_eq!(ended, [(one, due.clone())]);
    let tomb = store.load(one).await.unwrap().unwrap();
    assert_eq!(
        (tomb.state, tomb.owner, tomb.body.len()),
        (State::Ended, None, 0)
    );
    assert_eq!((tomb.times, &tomb.head), (due.times, &due.head));
    assert_eq!(tomb.stamp.version, due.stamp.version + 1);
    assert_ne!(tomb.stamp.nonce, due.stamp.nonce);
    assert!(
        store
            .expire(at(9_000), Due::Ids(&[one, two, id()]))
            .await
            .unwrap()
            .is_empty()
    );
    let ended = store
        .expire(at(50_000), Due::Ids(&[two, id(), one]))
        .await
        .unwrap();
    assert_eq!(ended.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [two]);
    assert_eq!(store.purge(at(2_999), 10).await.unwrap(), 0);
    assert_eq!(store.purge(at(3_000), 0).await.unwrap(), 0);
    assert_eq!(store.purge(at(3_000), 10).await.unwrap(), 1);
    assert_eq!(store.load(one).await.unwrap(), None);
    assert!(store.load(two).await.unwrap().is_some());
    assert!(store.purge(at(60_000), usize::MAX).await.unwrap() > 0);
}

async fn owners<S: SessionStore>(store: &S) {
    let mut ids = Vec::new();
    let names = ["Zoë", "zoë", "Zoë ", "Zoe", "Zoë", "Zoë", "Zoë", "Zoë"];
    for name in names {
        let id = id();
        store.create(id, &owned(name)).await.unwrap();
        if name == "Zoë" {
            ids.push(id);
        }
    }
    ids.sort_unstable();
    let whole = Page {
        after: None,
        limit: 10,
    };
    assert_eq!(
        store.owned_by(&owner("Zoë"), whole).await.unwrap(),
        ids,
        "byte for byte"
    );
    let first = store
        .owned_by(
            &owner("Zoë"),
            Page {
                after: None,
                limit: 2,
            },
        )
        .await
        .unwrap();
    let rest = Page {
        after: first.last().copied(),
        limit: 10,
    };
    let rest = store.owned_by(&owner("Zoë"), rest).await.unwrap();
    assert_eq!([first, rest].concat(), ids);
    store
        .end(ids[0], Some(&tombstone(&owned("Zoë"))))
        .await
        .unwrap();
    assert_eq!(
        store.owned_by(&owner("Zoë"), whole).await.unwrap(),
        ids[1..]
    );
}

/// Sixteen tasks add to one record by compare-and-set; nothing is lost.
pub(crate) async fn increments_add_up<S: SessionStore>(store: Arc<S>) {
    const TASKS: usize = 16;
    const EACH: usize = 10;
    let id = id();
    store
        .create(id, &next(&record(9_000), &[0, 0]))
        .await
        .unwrap();
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for _ in 0..EACH {
                    let mut current = store.load(id).await.unwrap().unwrap();
                    loop {
                        let count = u16::from_be_bytes([current.body[0], current.body[1]]) + 1;
                        let new = next(&current, &count.to_be_bytes());
                        match store.save(id, &new, current.stamp).await.unwrap() {
                            SaveOutcome::Saved => break,
                            SaveOutcome::Conflict(other) => {
                                assert_ne!(other.stamp, current.stamp);
                                current = other;
                            }
                            other => panic!("{other:?}"),
                        }
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let last = store.load(id).await.unwrap().unwrap();
    assert_eq!(
        last.body,
        u16::try_from(TASKS * EACH).unwrap().to_be_bytes()
    );
}

/// Of many that expire and end at once, each session is reported exactly once.
pub(crate) async fn each_ending_is_reported_once<S: SessionStore>(store: Arc<S>) {
    let ids: Vec<_> = (0..40).map(|_| id()).collect();
    for id in &ids {
        store.create(*id, &record(2_000)).await.unwrap();
    }
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let (store, ids) = (Arc::clone(&store), ids.clone());
            tokio::spawn(async move {
                let mut mine = Vec::new();
                for id in ids {
                    if task % 4 == 0 {
                        let tomb = tombstone(&record(2_000));
                        if store.end(id, Some(&tomb)).await.unwrap().is_some() {
                            mine.push(id);
                        }
                    } else {
                        let due = if task % 2 == 0 {
                            Due::Limit(3)
                        } else {
                            Due::Ids(&[id])
                        };
                        let ended = store.expire(at(2_000), due).await.unwrap();
                        mine.extend(ended.into_iter().map(|(id, _)| id));
                    }
                }
                mine
            })
        })
        .collect();
    let mut told = Vec::new();
    for task in tasks {
        told.extend(task.await.unwrap());
    }
    told.retain(|id| ids.contains(id));
    told.sort_unstable();
    let mut expected = ids;
    expected.sort_unstable();
    assert_eq!(told, expected);
}
