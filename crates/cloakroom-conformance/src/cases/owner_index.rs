//! `owned_by`: a superset of the ids of an owner's live sessions, in ascending order, in pages.

use std::collections::BTreeSet;
use std::sync::Arc;

use cloakroom_core::{Owner, Page, SessionId, SessionStore, State};

use crate::case::{Case, Needs, case};
use crate::sample::{
    at_once, end, list, live, load, new_id, owned, owner, patiently, put, save, saved, successor,
    tombstone,
};

pub(super) fn cases<S: SessionStore>() -> Vec<Case<S>> {
    use Needs::OwnerIndex;
    vec![
        case!(an_owner_without_sessions_has_an_empty_list if OwnerIndex),
        case!(an_owner_lists_all_sessions_in_order if OwnerIndex),
        case!(pages_join_without_gap_or_repetition if OwnerIndex),
        case!(a_page_begins_after_an_id_that_need_not_exist if OwnerIndex),
        case!(a_login_by_save_is_listed if OwnerIndex),
        case!(a_change_of_owner_is_listed_under_the_new_one if OwnerIndex),
        case!(a_refused_save_takes_nothing_out_of_the_list if OwnerIndex),
        case!(what_is_listed_and_ended_says_so_when_loaded if OwnerIndex),
        case!(owners_of_any_text_are_found if OwnerIndex),
        case!(shared the_list_is_true_after_a_hundred_logins_and_logouts_at_once if OwnerIndex),
    ]
}

async fn page<S: SessionStore>(store: &S, owner: &Owner, page: Page) -> Vec<SessionId> {
    let ids = store.owned_by(owner, page).await;
    ids.expect("owned_by answers")
}

/// Not an error.
async fn an_owner_without_sessions_has_an_empty_list<S: SessionStore>(store: &S) {
    put(store, &owned(&owner("grace"))).await;
    put(store, &live()).await;
    assert_eq!(list(store, &owner("nobody"), 10).await, []);
}

/// Ascending, each once.
async fn an_owner_lists_all_sessions_in_order<S: SessionStore>(store: &S) {
    let ada = owner("ada");
    let mut mine = BTreeSet::new();
    for _ in 0..20 {
        mine.insert(put(store, &owned(&ada)).await);
        put(store, &owned(&owner("grace"))).await;
    }
    let listed = list(store, &ada, 100).await;
    assert!(listed.is_sorted_by(|a, b| a < b), "ascending, each once");
    let listed: BTreeSet<_> = listed.into_iter().collect();
    assert!(listed.is_superset(&mine), "all of them");
}

/// Pages of any size give the same list.
async fn pages_join_without_gap_or_repetition<S: SessionStore>(store: &S) {
    let ada = owner("ada");
    for _ in 0..50 {
        put(store, &owned(&ada)).await;
    }
    let whole = list(store, &ada, 1_000).await;
    assert_eq!(whole.len(), 50);
    for limit in [1, 7, 10, 49, 50, 51] {
        assert_eq!(list(store, &ada, limit).await, whole, "pages of {limit}");
    }
}

/// `after` is a place in the order, not a row; nothing comes after the greatest id.
async fn a_page_begins_after_an_id_that_need_not_exist<S: SessionStore>(store: &S) {
    let ada = owner("ada");
    for _ in 0..5 {
        put(store, &owned(&ada)).await;
    }
    let whole = list(store, &ada, 10).await;
    let ask = async |after: [u8; 16], limit| {
        let after = Some(SessionId::from_bytes(after));
        page(store, &ada, Page { after, limit }).await
    };
    assert_eq!(ask([0; 16], 10).await, whole);
    assert_eq!(ask([0; 16], 0).await, []);
    assert_eq!(ask([0xff; 16], 10).await, []);
    let third = whole.get(2).expect("five ids");
    let rest = ask(*third.as_bytes(), 10).await;
    assert_eq!(Some(rest.as_slice()), whole.get(3..));
}

/// From no owner to one.
async fn a_login_by_save_is_listed<S: SessionStore>(store: &S) {
    let ada = owner("ada");
    let record = live();
    let id = put(store, &record).await;
    assert_eq!(list(store, &ada, 10).await, []);
    let mut login = successor(&record);
    login.owner = Some(ada.clone());
    saved(store, id, &login, record.stamp).await;
    assert_eq!(list(store, &ada, 10).await, [id]);
}

/// From one owner to another; what the old one's list still holds is loaded with its true owner.
async fn a_change_of_owner_is_listed_under_the_new_one<S: SessionStore>(store: &S) {
    let (ada, grace) = (owner("ada"), owner("grace"));
    let record = owned(&ada);
    let id = put(store, &record).await;
    let mut moved = successor(&record);
    moved.owner = Some(grace.clone());
    saved(store, id, &moved, record.stamp).await;
    assert_eq!(list(store, &grace, 10).await, [id]);
    for listed in list(store, &ada, 10).await {
        let record = load(store, listed).await.expect("a row");
        assert_eq!(record.owner, Some(grace.clone()));
    }
}

/// Where the index is written first, a conflict must not cost the owner an entry.
async fn a_refused_save_takes_nothing_out_of_the_list<S: SessionStore>(store: &S) {
    let (ada, grace) = (owner("ada"), owner("grace"));
    let first = owned(&ada);
    let id = put(store, &first).await;
    let second = successor(&first);
    saved(store, id, &second, first.stamp).await;
    for owner in [Some(grace), None] {
        let mut stale = successor(&first);
        stale.owner = owner;
        save(store, id, &stale, first.stamp).await;
        assert_eq!(list(store, &ada, 10).await, [id]);
    }
    store.create(id, &live()).await.expect("create answers");
    assert_eq!(list(store, &ada, 10).await, [id]);
}

/// The list is a superset: a session that it still holds is ended or gone when it is loaded.
async fn what_is_listed_and_ended_says_so_when_loaded<S: SessionStore>(store: &S) {
    let ada = owner("ada");
    let alive = put(store, &owned(&ada)).await;
    for keep in [true, false] {
        let record = owned(&ada);
        let id = put(store, &record).await;
        let tombstone = tombstone(&record);
        end(store, id, keep.then_some(&tombstone)).await;
    }
    let mut found = Vec::new();
    for id in list(store, &ada, 10).await {
        match load(store, id).await {
            Some(record) if record.state == State::Live => found.push(id),
            Some(record) => assert_eq!(record.owner, None),
            None => {}
        }
    }
    assert_eq!(found, [alive]);
}

/// 255 bytes, any script, characters that mean something to the database.
async fn owners_of_any_text_are_found<S: SessionStore>(store: &S) {
    let names = [
        "x".repeat(255),
        "ÅÄÖ åäö 日本語 🧥".to_owned(),
        "' OR 1=1 --".to_owned(),
        "100%_[a-z]*?{tag}".to_owned(),
        "a:b".to_owned(),
        "-".to_owned(),
    ];
    for name in names {
        let owner = Owner::new(name).expect("the name is valid");
        let id = put(store, &owned(&owner)).await;
        let listed = list(store, &owner, 10).await;
        assert!(listed.contains(&id), "{owner}");
    }
}

/// Logins and logouts of one owner meet: everybody who is signed in is listed.
async fn the_list_is_true_after_a_hundred_logins_and_logouts_at_once<S: SessionStore>(
    store: &Arc<S>,
) {
    let ada = owner("ada");
    let tasks = (0..100).map(|n| {
        let (store, ada) = (Arc::clone(store), ada.clone());
        async move {
            let (id, record) = (new_id(), live());
            patiently(|| store.create(id, &record)).await;
            let mut login = successor(&record);
            login.owner = Some(ada);
            patiently(|| store.save(id, &login, record.stamp)).await;
            if n % 2 == 0 {
                let tombstone = tombstone(&login);
                patiently(|| store.end(id, Some(&tombstone))).await;
                None
            } else {
                Some(id)
            }
        }
    });
    let alive: BTreeSet<_> = at_once(tasks).await.into_iter().flatten().collect();
    let mut listed = BTreeSet::new();
    for id in list(&**store, &ada, 30).await {
        let record = load(&**store, id).await;
        if record.is_some_and(|record| record.state == State::Live) {
            listed.insert(id);
        }
    }
    assert_eq!(listed, alive);
}
