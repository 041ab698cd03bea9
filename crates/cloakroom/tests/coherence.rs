//! Section 7 of the design: what a node may believe of its copies, and how it comes by them.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]
#![expect(clippy::unchecked_time_subtraction, reason = "the terms are constants")]

mod support;

use std::time::Duration;

use cloakroom::{
    Cache, Capabilities, Change, Coherence, ErrorKind, Eviction, Job, MemoryStore, Origin, Owner,
    Presented, Reach, Secret, Session, SessionId, SessionLayer, SessionLayerBuilder,
    SessionStore as _, Token,
};
use cloakroom_conformance::{Counts, Faults, FaultyStore, ManualClock, Op};
use cloakroom_core::Clock as _;
use http::StatusCode;

use self::support::{Client, MIN, MS, count, quiet, read};

/// A node of its own on a store that others share: its faults and counts are its own.
struct Node {
    layer: SessionLayer,
    faults: Faults,
}

impl Node {
    fn on(store: &MemoryStore, clock: &ManualClock) -> Self {
        Self::with(store, clock, |builder| builder)
    }

    fn with(
        store: &MemoryStore,
        clock: &ManualClock,
        set: impl FnOnce(SessionLayerBuilder) -> SessionLayerBuilder,
    ) -> Self {
        let (store, faults) = FaultyStore::new(store.clone());
        let layer = set(quiet(store, clock)).build().unwrap();
        Self { layer, faults }
    }

    /// A node whose feed says only what the test says.
    fn scripted(
        store: &MemoryStore,
        clock: &ManualClock,
        reach: Reach,
        set: impl FnOnce(SessionLayerBuilder) -> SessionLayerBuilder,
    ) -> Self {
        let (store, faults) = FaultyStore::new(store.clone());
        faults.script_feed();
        faults.pretend(Capabilities {
            reach,
            ..Capabilities::default()
        });
        let layer = set(quiet(store, clock)).build().unwrap();
        Self { layer, faults }
    }

    async fn tell(&self, change: Change) {
        assert_eq!(self.faults.tell(change), 1);
        listen().await;
    }
}

/// Lets the tasks of all nodes hear what was told.
async fn listen() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

async fn presented(session: Session) -> Presented {
    session.presented()
}

async fn origin(session: Session) -> Origin {
    session.origin()
}

async fn logout(session: Session) {
    session.destroy().unwrap();
}

async fn renew(session: Session) {
    session.renew().unwrap();
}

async fn signed_up(layer: &SessionLayer) -> Client {
    let client = Client::new();
    client.visit(layer, count).await.ok();
    client
}

/// The same id with another secret.
fn forged(client: &Client) -> Client {
    let cookie = client.cookie().unwrap();
    let (id, secret) = cookie.split_at(24);
    let flip = |c: char| if c == 'A' { 'B' } else { 'A' };
    let other = Client::new();
    other.set_cookie(Some(format!(
        "{id}{}",
        secret.chars().map(flip).collect::<String>()
    )));
    other
}

/// A token of nobody's, whose id ends with `last`.
fn nobody(n: u64, last: u8) -> Client {
    let mut id = [0x5a; 16];
    id[..8].copy_from_slice(&n.to_be_bytes());
    id[15] = last;
    let token = Token::new(SessionId::from_bytes(id), Secret::generate());
    let client = Client::new();
    client.set_cookie(Some(token.to_text().expose().to_owned()));
    client
}

// --- two managers on one store make both Push ---

#[tokio::test]
async fn a_write_on_one_node_is_seen_by_the_other_which_then_uses_its_copy_again() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let (here, there) = (Node::on(&store, &clock), Node::on(&store, &clock));
    let client = signed_up(&here.layer).await;
    assert_eq!(client.visit(&there.layer, read).await.ok(), Some(1));
    client.visit(&here.layer, count).await.ok();
    listen().await;
    assert_eq!(client.visit(&there.layer, read).await.ok(), Some(2));
    there.faults.take_counts();
    assert_eq!(client.visit(&there.layer, origin).await.ok(), Origin::Cache);
    assert_eq!(there.faults.counts(), Counts::default());
}

#[tokio::test]
async fn a_nodes_own_write_is_no_news_to_it() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let (here, _there) = (Node::on(&store, &clock), Node::on(&store, &clock));
    listen().await;
    let client = signed_up(&here.layer).await;
    for _ in 0..3 {
        client.visit(&here.layer, count).await.ok();
        listen().await;
    }
    here.faults.take_counts();
    assert_eq!(client.visit(&here.layer, read).await.ok(), Some(4));
    assert_eq!(here.faults.counts(), Counts::default());
}

#[tokio::test]
async fn a_logout_on_one_node_is_refused_by_the_other() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let (here, there) = (Node::on(&store, &clock), Node::on(&store, &clock));
    let client = signed_up(&here.layer).await;
    let stolen = client.fork();
    stolen.visit(&there.layer, read).await.ok();
    client.visit(&here.layer, logout).await.ok();
    listen().await;
    let told = stolen.visit(&there.layer, presented).await.ok();
    assert!(matches!(told, Presented::Ended { .. }), "{told:?}");
}

#[tokio::test]
async fn a_renewed_secret_is_right_on_the_other_node_and_the_old_one_superseded() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let (here, there) = (Node::on(&store, &clock), Node::on(&store, &clock));
    let client = signed_up(&here.layer).await;
    let old = client.fork();
    old.visit(&there.layer, read).await.ok();
    client.visit(&here.layer, renew).await.ok();
    // Without its notice too: a secret that does not match is decided by the store.
    assert_eq!(
        client.visit(&there.layer, presented).await.ok(),
        Presented::Active
    );
    listen().await;
    assert_eq!(
        old.visit(&there.layer, presented).await.ok(),
        Presented::Superseded
    );
    assert_eq!(
        client.visit(&there.layer, presented).await.ok(),
        Presented::Active
    );
}

#[tokio::test]
async fn a_request_that_was_open_on_the_other_node_before_a_login_changes_nothing() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let (here, there) = (Node::on(&store, &clock), Node::on(&store, &clock));
    let client = signed_up(&here.layer).await;
    let planted = client.fork();
    let (victim, to) = (client.clone(), here.layer.clone());
    let slow = move |session: Session| async move {
        let ada = Owner::new("ada").unwrap();
        let login = |session: Session| async move { session.login(ada).unwrap() };
        victim.visit(&to, login).await.ok();
        session.insert("planted", true).unwrap();
    };
    let answer = planted.visit(&there.layer, slow).await;
    assert_eq!(
        (answer.status, answer.set_cookie),
        (StatusCode::CONFLICT, None)
    );
    let planted = |session: Session| async move { session.contains("planted").unwrap() };
    assert!(!client.visit(&there.layer, planted).await.ok());
}

#[tokio::test]
async fn a_session_that_another_node_creates_is_not_unknown_here_for_long() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let (here, there) = (Node::on(&store, &clock), Node::on(&store, &clock));
    let client = signed_up(&there.layer).await;
    assert_eq!(client.visit(&here.layer, read).await.ok(), Some(1));
}

#[test]
fn a_manager_whose_runtime_has_died_does_not_take_itself_for_the_only_one_for_ever() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let (here, client) = runtime().block_on(async {
        let here = Node::on(&store, &clock);
        let client = signed_up(&here.layer).await;
        listen().await;
        (here, client)
    });
    // That runtime is gone, and the housekeeper with it.
    runtime().block_on(async {
        let there = Node::on(&store, &clock);
        for n in 2..5 {
            assert_eq!(client.visit(&there.layer, count).await.ok(), n);
            listen().await;
            assert_eq!(client.visit(&here.layer, read).await.ok(), Some(n));
        }
    });
}

#[test]
fn a_manager_that_nobody_keeps_house_for_yet_hears_that_it_is_not_alone() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    // Outside of a runtime: no housekeeper, and no feed is read.
    let (here, there) = (Node::on(&store, &clock), Node::on(&store, &clock));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let client = signed_up(&here.layer).await;
        for n in 2..5 {
            assert_eq!(client.visit(&there.layer, count).await.ok(), n);
            listen().await;
            assert_eq!(client.visit(&here.layer, read).await.ok(), Some(n));
        }
    });
}

// --- the feed ---

#[tokio::test]
async fn before_the_feed_is_live_and_after_it_is_lost_every_use_asks_the_store() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let node = Node::scripted(&store, &clock, Reach::Changes, |builder| builder);
    let client = signed_up(&node.layer).await;
    let seen = async || client.visit(&node.layer, origin).await.ok();
    assert_eq!(
        (seen().await, seen().await),
        (Origin::Verified, Origin::Verified)
    );
    node.tell(Change::Live).await;
    assert_eq!(
        (seen().await, seen().await),
        (Origin::Verified, Origin::Cache)
    );
    node.tell(Change::Lost).await;
    assert_eq!(
        (seen().await, seen().await),
        (Origin::Verified, Origin::Verified)
    );
    node.tell(Change::Live).await;
    assert_eq!(
        (seen().await, seen().await),
        (Origin::Verified, Origin::Cache)
    );
    node.tell(Change::AllGone).await;
    assert_eq!(
        (seen().await, seen().await),
        (Origin::Verified, Origin::Cache)
    );
    node.faults.close_feeds();
    listen().await;
    assert_eq!(
        (seen().await, seen().await),
        (Origin::Verified, Origin::Verified)
    );
    assert_eq!(node.faults.counts().load, 0, "an epoch, not a flush");
}

#[tokio::test]
async fn a_notice_makes_the_next_use_ask_once() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let node = Node::scripted(&store, &clock, Reach::Changes, |builder| builder);
    node.tell(Change::Live).await;
    let client = signed_up(&node.layer).await;
    let stamp = store.load(client.id()).await.unwrap().unwrap().stamp;
    let seen = async || client.visit(&node.layer, origin).await.ok();
    assert_eq!(seen().await, Origin::Cache);
    node.tell(Change::Saved {
        id: client.id(),
        stamp,
    })
    .await;
    assert_eq!(seen().await, Origin::Cache, "that is what the copy is");
    node.tell(Change::Saved {
        id: client.id(),
        stamp: stamp.next(),
    })
    .await;
    assert_eq!(
        (seen().await, seen().await),
        (Origin::Verified, Origin::Cache)
    );
    node.tell(Change::Ended { id: client.id() }).await;
    assert_eq!(
        (seen().await, seen().await),
        (Origin::Verified, Origin::Cache)
    );
}

#[tokio::test]
async fn a_stamp_that_went_back_is_taken_from_the_store_all_the_same() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let node = Node::scripted(&store, &clock, Reach::Changes, |builder| builder);
    let client = signed_up(&node.layer).await;
    let old = store.load(client.id()).await.unwrap().unwrap();
    client.visit(&node.layer, count).await.ok();
    // A restored backup: the row is the old one again.
    store.end(client.id(), None).await.unwrap();
    store.create(client.id(), &old).await.unwrap();
    assert_eq!(client.visit(&node.layer, read).await.ok(), Some(1));
    assert_eq!(client.visit(&node.layer, count).await.ok(), 2);
}

// --- Verify, Bounded, none ---

#[tokio::test]
async fn in_verify_mode_every_use_of_a_copy_peeks_and_a_changed_one_is_loaded() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let verify = |builder: SessionLayerBuilder| builder.coherence(Coherence::Verify);
    let here = Node::with(&store, &clock, verify);
    let there = Node::with(&store, &clock, verify);
    let client = signed_up(&here.layer).await;
    here.faults.take_counts();
    for _ in 0..3 {
        assert_eq!(
            client.visit(&here.layer, origin).await.ok(),
            Origin::Verified
        );
    }
    let three = Counts {
        peek: 3,
        ..Counts::default()
    };
    assert_eq!(here.faults.take_counts(), three);
    client.visit(&there.layer, count).await.ok();
    // At once: no notice is needed.
    assert_eq!(client.visit(&here.layer, read).await.ok(), Some(2));
    let moved = Counts {
        peek: 1,
        load: 1,
        ..Counts::default()
    };
    assert_eq!(here.faults.take_counts(), moved);
}

#[tokio::test]
async fn in_verify_mode_a_load_that_began_before_a_request_does_not_answer_it() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let verify = |builder: SessionLayerBuilder| builder.coherence(Coherence::Verify);
    let here = Node::with(&store, &clock, verify);
    let there = Node::with(&store, &clock, verify);
    let client = signed_up(&there.layer).await;
    let gate = here.faults.hold_reply(Op::Load);
    let first = tokio::spawn(client.visit(&here.layer, read));
    gate.arrived(1).await;
    client.visit(&there.layer, count).await.ok();
    let second = tokio::spawn(client.visit(&here.layer, read));
    listen().await;
    gate.release();
    first.await.unwrap().ok();
    assert_eq!(second.await.unwrap().ok(), Some(2));
}

#[tokio::test]
async fn a_bounded_copy_is_used_until_it_is_that_old_and_then_asked_about() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let bound = Duration::from_secs(2);
    let node = Node::scripted(&store, &clock, Reach::None, |builder| {
        builder.coherence(Coherence::Bounded(bound))
    });
    let other = Node::on(&store, &clock);
    let client = signed_up(&node.layer).await;
    client.visit(&other.layer, count).await.ok();
    clock.advance(bound - MS);
    assert_eq!(
        client.visit(&node.layer, read).await.ok(),
        Some(1),
        "declared so"
    );
    clock.advance(MS);
    assert_eq!(client.visit(&node.layer, read).await.ok(), Some(2));
    clock.step_back(MIN);
    assert_eq!(
        client.visit(&node.layer, origin).await.ok(),
        Origin::Verified
    );
}

#[tokio::test]
async fn a_bounded_copy_hears_of_endings_where_the_store_tells_them() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let node = Node::scripted(&store, &clock, Reach::Endings, |builder| {
        builder.coherence(Coherence::Bounded(MIN))
    });
    node.tell(Change::Live).await;
    let client = signed_up(&node.layer).await;
    assert_eq!(client.visit(&node.layer, origin).await.ok(), Origin::Cache);
    store.end(client.id(), None).await.unwrap();
    node.tell(Change::Ended { id: client.id() }).await;
    assert_eq!(
        client.visit(&node.layer, presented).await.ok(),
        Presented::Unknown
    );
}

#[tokio::test]
async fn without_a_cache_every_request_loads_its_own_copy() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let node = Node::with(&store, &clock, |builder| builder.cache(Cache::none()));
    let client = signed_up(&node.layer).await;
    for n in 1..4 {
        assert_eq!(client.visit(&node.layer, origin).await.ok(), Origin::Store);
        assert_eq!(node.faults.counts().load, n);
    }
    assert!(!node.layer.manager().is_cached(client.id()));
    let increments: Vec<_> = (0..20)
        .map(|_| tokio::spawn(client.visit(&node.layer, count)))
        .collect();
    for increment in increments {
        increment.await.unwrap().ok();
    }
    assert_eq!(client.visit(&node.layer, read).await.ok(), Some(21));
}

// --- eviction ---

fn cached(node: &Node, client: &Client) -> bool {
    node.layer.manager().is_cached(client.id())
}

#[tokio::test]
async fn a_session_evicted_on_exit_is_loaded_by_the_next_request() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let node = Node::with(&store, &clock, |builder| {
        builder.cache(Cache::entries(100).eviction(Eviction::OnExit))
    });
    let client = signed_up(&node.layer).await;
    for _ in 0..3 {
        assert!(!cached(&node, &client));
        assert_eq!(client.visit(&node.layer, origin).await.ok(), Origin::Store);
    }
}

#[tokio::test]
async fn eviction_on_exit_waits_for_the_last_request_and_for_the_cancelled_one() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let node = Node::with(&store, &clock, |builder| {
        builder.cache(Cache::entries(100).eviction(Eviction::OnExit))
    });
    let client = signed_up(&node.layer).await;
    let (started, mut starts) = tokio::sync::mpsc::unbounded_channel();
    let slow = tokio::spawn(client.visit(&node.layer, move |_| async move {
        started.send(()).unwrap();
        std::future::pending::<()>().await;
    }));
    starts.recv().await.unwrap();
    assert_eq!(client.visit(&node.layer, origin).await.ok(), Origin::Cache);
    assert!(cached(&node, &client));
    slow.abort();
    assert!(slow.await.unwrap_err().is_cancelled());
    assert!(!cached(&node, &client));
    assert_eq!(client.visit(&node.layer, origin).await.ok(), Origin::Store);
}

#[tokio::test]
async fn an_idle_session_is_evicted_at_the_poll_and_one_in_use_is_not() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let node = Node::with(&store, &clock, |builder| {
        builder.cache(Cache::entries(100).eviction(Eviction::Idle(MIN)))
    });
    let (idle, used) = (signed_up(&node.layer).await, signed_up(&node.layer).await);
    let (started, mut starts) = tokio::sync::mpsc::unbounded_channel();
    let slow = tokio::spawn(used.visit(&node.layer, move |_| async move {
        started.send(()).unwrap();
        std::future::pending::<()>().await;
    }));
    starts.recv().await.unwrap();
    clock.advance(MIN - MS);
    let report = node.layer.manager().run_now(Job::Poll).await.unwrap();
    assert_eq!((report.evicted, cached(&node, &idle)), (0, true));
    clock.advance(MS);
    let report = node.layer.manager().run_now(Job::Poll).await.unwrap();
    assert_eq!((report.evicted, cached(&node, &idle)), (1, false));
    assert!(cached(&node, &used));
    slow.abort();
    assert!(slow.await.unwrap_err().is_cancelled());
    clock.advance(MIN - MS);
    node.layer.manager().run_now(Job::Poll).await.unwrap();
    assert!(
        cached(&node, &used),
        "idle time runs from the end of the use"
    );
    clock.advance(MS);
    node.layer.manager().run_now(Job::Poll).await.unwrap();
    assert!(!cached(&node, &used));
    assert_eq!(idle.visit(&node.layer, read).await.ok(), Some(1));
}

#[tokio::test]
async fn a_session_that_is_never_evicted_stays_and_is_still_there_after_hours() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let node = Node::on(&store, &clock);
    let client = signed_up(&node.layer).await;
    clock.advance(30 * MIN);
    let report = node.layer.manager().run_now(Job::Poll).await.unwrap();
    assert_eq!((report.evicted, cached(&node, &client)), (0, true));
}

#[tokio::test]
async fn save_on_eviction_stores_the_exact_last_use_and_keeps_what_it_cannot_store() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let node = Node::with(&store, &clock, |builder| {
        let cache = Cache::entries(100).eviction(Eviction::Idle(10 * MIN));
        builder.cache(cache.save_on_eviction(true))
    });
    let client = signed_up(&node.layer).await;
    let last_use = clock.advance(2 * MIN);
    client.visit(&node.layer, read).await.ok();
    assert_eq!(node.faults.counts().touch, 0, "within the touch interval");
    clock.advance(10 * MIN);
    node.faults.fail(Op::Touch, 1);
    let report = node.layer.manager().run_now(Job::Poll).await.unwrap();
    assert_eq!((report.evicted, cached(&node, &client)), (0, true));
    node.layer.manager().run_now(Job::Poll).await.unwrap();
    assert!(!cached(&node, &client));
    let times = store.load(client.id()).await.unwrap().unwrap().times;
    assert_eq!(
        (times.used_at, times.deadline),
        (last_use, Some(last_use + 65 * MIN))
    );
}

#[tokio::test]
async fn save_on_eviction_never_revives() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let node = Node::scripted(&store, &clock, Reach::Changes, |builder| {
        let cache = Cache::entries(100).eviction(Eviction::Idle(10 * MIN));
        builder.cache(cache.save_on_eviction(true))
    });
    let [ended, due] = [signed_up(&node.layer).await, signed_up(&node.layer).await];
    clock.advance(4 * MIN);
    ended.visit(&node.layer, read).await.ok();
    due.visit(&node.layer, read).await.ok();
    store.end(ended.id(), None).await.unwrap();
    clock.advance(61 * MIN);
    node.layer.manager().run_now(Job::Poll).await.unwrap();
    assert_eq!(
        ended.visit(&node.layer, presented).await.ok(),
        Presented::Unknown
    );
    let told = due.visit(&node.layer, presented).await.ok();
    assert!(matches!(told, Presented::TimedOut { .. }), "{told:?}");
}

#[tokio::test]
async fn an_eviction_never_splits_a_session_that_somebody_holds() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let node = Node::with(&store, &clock, |builder| builder.cache(Cache::entries(1)));
    let client = signed_up(&node.layer).await;
    let (to, other) = (node.layer.clone(), client.fork());
    let slow = move |session: Session| async move {
        for _ in 0..20 {
            signed_up(&to).await;
        }
        to.manager().stats();
        // Both have the one copy, and their commits queue up.
        let seen = other.visit(&to, |session: Session| async move {
            count(session.clone()).await;
            session.origin()
        });
        (seen.await.ok(), count(session).await)
    };
    let before = node.faults.counts().load;
    assert_eq!(
        client.visit(&node.layer, slow).await.ok(),
        (Origin::Cache, 2)
    );
    assert_eq!(client.visit(&node.layer, read).await.ok(), Some(3));
    assert_eq!(node.faults.counts().load, before);
    assert_eq!(node.layer.manager().stats().conflicts, 0);
}

#[tokio::test]
async fn l1_holds_no_more_sessions_than_it_may_and_the_least_recently_used_leave() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let node = Node::with(&store, &clock, |builder| builder.cache(Cache::entries(5)));
    let (popular, forgotten) = (signed_up(&node.layer).await, signed_up(&node.layer).await);
    for _ in 0..300 {
        signed_up(&node.layer).await;
        let seen = popular.visit(&node.layer, origin).await.ok();
        assert_eq!(seen, Origin::Cache, "used a moment ago");
        assert!(node.layer.manager().stats().l1.entries <= 5);
    }
    assert_eq!(
        forgotten.visit(&node.layer, origin).await.ok(),
        Origin::Store
    );
}

#[tokio::test]
async fn a_session_leaves_l1_so_long_after_its_load_or_its_last_access() {
    // moka reads a clock of its own.
    let short = Duration::from_millis(20);
    for cache in [Cache::entries(5).ttl(short), Cache::entries(5).idle(short)] {
        let (store, clock) = (MemoryStore::new(), ManualClock::default());
        let node = Node::with(&store, &clock, |builder| builder.cache(cache));
        let client = signed_up(&node.layer).await;
        tokio::time::sleep(2 * short).await;
        assert!(!cached(&node, &client));
        assert_eq!(client.visit(&node.layer, origin).await.ok(), Origin::Store);
    }
}

#[tokio::test]
async fn l1_bounded_by_bytes_counts_what_sessions_have_grown_to() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let node = Node::with(&store, &clock, |builder| {
        builder.cache(Cache::bytes(100_000))
    });
    let entries = || {
        node.layer.manager().stats();
        node.layer.manager().stats().l1.entries
    };
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(signed_up(&node.layer).await);
    }
    assert_eq!(entries(), 10);
    for client in &clients {
        let grow = |session: Session| async move {
            session.insert("much", "x".repeat(30_000)).unwrap();
        };
        client.visit(&node.layer, grow).await.ok();
    }
    assert_eq!(entries(), 3);
}

// --- loads ---

#[tokio::test]
async fn fifty_cold_requests_are_one_load() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let (node, other) = (Node::on(&store, &clock), Node::on(&store, &clock));
    let client = signed_up(&other.layer).await;
    let gate = node.faults.hold(Op::Load);
    let requests: Vec<_> = (0..50)
        .map(|_| tokio::spawn(client.visit(&node.layer, read)))
        .collect();
    listen().await;
    gate.release();
    for request in requests {
        assert_eq!(request.await.unwrap().ok(), Some(1));
    }
    assert_eq!(
        node.faults.counts(),
        Counts {
            load: 1,
            ..Counts::default()
        }
    );
}

#[tokio::test]
async fn a_load_whose_starter_has_gone_still_completes_for_the_others_once() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let (node, other) = (Node::on(&store, &clock), Node::on(&store, &clock));
    let client = signed_up(&other.layer).await;
    for hold_reply in [false, true] {
        node.layer.manager().reset();
        node.faults.take_counts();
        let gate = if hold_reply {
            node.faults.hold_reply(Op::Load)
        } else {
            node.faults.hold(Op::Load)
        };
        let starter = tokio::spawn(client.visit(&node.layer, read));
        gate.arrived(1).await;
        let others: Vec<_> = (0..10)
            .map(|_| tokio::spawn(client.visit(&node.layer, read)))
            .collect();
        listen().await;
        starter.abort();
        assert!(starter.await.unwrap_err().is_cancelled());
        listen().await;
        gate.release();
        for request in others {
            assert_eq!(request.await.unwrap().ok(), Some(1));
        }
        assert_eq!(node.faults.counts().load, 1);
    }
}

#[tokio::test]
async fn a_load_that_everybody_has_left_is_not_kept_half_done() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let (node, other) = (Node::on(&store, &clock), Node::on(&store, &clock));
    let client = signed_up(&other.layer).await;
    let gate = node.faults.hold_reply(Op::Load);
    let left = tokio::spawn(client.visit(&node.layer, read));
    gate.arrived(1).await;
    left.abort();
    assert!(left.await.unwrap_err().is_cancelled());
    client.visit(&other.layer, count).await.ok();
    listen().await;
    gate.release();
    assert_eq!(client.visit(&node.layer, read).await.ok(), Some(2));
}

#[tokio::test]
async fn a_read_that_a_write_elsewhere_has_overtaken_fills_no_cache() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let (node, other) = (Node::on(&store, &clock), Node::on(&store, &clock));
    let client = signed_up(&other.layer).await;
    let gate = node.faults.hold_reply(Op::Load);
    let slow = tokio::spawn(client.visit(&node.layer, read));
    gate.arrived(1).await;
    client.visit(&other.layer, count).await.ok();
    listen().await;
    gate.release();
    assert_eq!(
        slow.await.unwrap().ok(),
        Some(1),
        "it was so when it was read"
    );
    assert_eq!(client.visit(&node.layer, read).await.ok(), Some(2));
}

#[tokio::test]
async fn a_read_that_an_ending_elsewhere_has_overtaken_fills_no_cache() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let (node, other) = (Node::on(&store, &clock), Node::on(&store, &clock));
    let client = signed_up(&other.layer).await;
    let stolen = client.fork();
    let gate = node.faults.hold_reply(Op::Load);
    let slow = tokio::spawn(stolen.visit(&node.layer, read));
    gate.arrived(1).await;
    client.visit(&other.layer, logout).await.ok();
    listen().await;
    gate.release();
    slow.await.unwrap().ok();
    let told = stolen.visit(&node.layer, presented).await.ok();
    assert!(matches!(told, Presented::Ended { .. }), "{told:?}");
}

#[tokio::test]
async fn a_request_after_a_notice_does_not_join_the_read_that_the_notice_has_overtaken() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let (node, other) = (Node::on(&store, &clock), Node::on(&store, &clock));
    let client = signed_up(&other.layer).await;
    let gate = node.faults.hold_reply(Op::Load);
    let early = tokio::spawn(client.visit(&node.layer, read));
    gate.arrived(1).await;
    client.visit(&other.layer, count).await.ok();
    listen().await;
    let late = tokio::spawn(client.visit(&node.layer, read));
    listen().await;
    gate.release();
    assert_eq!(early.await.unwrap().ok(), Some(1));
    assert_eq!(late.await.unwrap().ok(), Some(2));
}

#[tokio::test]
async fn a_reload_that_a_commit_here_has_overtaken_does_not_take_the_copy_back() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let node = Node::on(&store, &clock);
    let client = signed_up(&node.layer).await;
    let gate = node.faults.hold_reply(Op::Load);
    let reload = |session: Session| async move { session.reload().await.unwrap() };
    let slow = tokio::spawn(client.visit(&node.layer, reload));
    gate.arrived(1).await;
    assert_eq!(client.visit(&node.layer, count).await.ok(), 2);
    gate.release();
    slow.await.unwrap().ok();
    assert_eq!(client.visit(&node.layer, read).await.ok(), Some(2));
}

#[tokio::test]
async fn a_secret_that_is_newer_than_the_read_it_has_joined_is_decided_by_a_read_of_its_own() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    // No notice comes here: the copies are bounded.
    let node = Node::scripted(&store, &clock, Reach::None, |builder| {
        builder.coherence(Coherence::Bounded(MIN))
    });
    let other = Node::on(&store, &clock);
    let client = signed_up(&other.layer).await;
    let old = client.fork();
    let gate = node.faults.hold_reply(Op::Load);
    let early = tokio::spawn(old.visit(&node.layer, presented));
    gate.arrived(1).await;
    client.visit(&other.layer, renew).await.ok();
    let late = tokio::spawn(client.visit(&node.layer, presented));
    listen().await;
    gate.release();
    early.await.unwrap().ok();
    assert_eq!(late.await.unwrap().ok(), Presented::Active);
}

// --- junk ---

#[tokio::test]
async fn an_unknown_id_is_remembered_for_a_second() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let node = Node::on(&store, &clock);
    let junk = nobody(1, 1);
    for _ in 0..3 {
        assert_eq!(
            junk.visit(&node.layer, presented).await.ok(),
            Presented::Unknown
        );
    }
    assert_eq!(node.faults.counts().load, 1);
    clock.advance(Duration::from_secs(1));
    assert_eq!(
        junk.visit(&node.layer, presented).await.ok(),
        Presented::Unknown
    );
    assert_eq!(node.faults.counts().load, 2);
}

#[tokio::test]
async fn an_id_whose_load_failed_is_not_remembered_as_unknown() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let (node, other) = (Node::on(&store, &clock), Node::on(&store, &clock));
    let client = signed_up(&other.layer).await;
    node.faults.fail(Op::Load, 1);
    let down = client.visit(&node.layer, presented).await;
    assert_eq!(down.error, Some(ErrorKind::Unavailable));
    assert_eq!(
        client.visit(&node.layer, presented).await.ok(),
        Presented::Active
    );
}

#[tokio::test]
async fn a_wrong_secret_costs_one_read_a_second_and_moves_nothing() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let node = Node::on(&store, &clock);
    let client = signed_up(&node.layer).await;
    let thief = forged(&client);
    clock.advance(10 * MIN);
    let before = store.load(client.id()).await.unwrap();
    node.faults.take_counts();
    for _ in 0..5 {
        assert_eq!(
            thief.visit(&node.layer, presented).await.ok(),
            Presented::Unknown
        );
    }
    assert_eq!(
        node.faults.take_counts(),
        Counts {
            load: 1,
            ..Counts::default()
        }
    );
    assert_eq!(store.load(client.id()).await.unwrap(), before);
    assert_eq!(client.visit(&node.layer, origin).await.ok(), Origin::Cache);
    clock.advance(Duration::from_secs(1));
    node.faults.take_counts();
    thief.visit(&node.layer, presented).await.ok();
    assert_eq!(node.faults.counts().load, 1);
    assert!(node.layer.manager().stats().forged >= 2);
}

#[tokio::test]
async fn fifty_wrong_secrets_at_once_share_a_read() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let node = Node::on(&store, &clock);
    let client = signed_up(&node.layer).await;
    let gate = node.faults.hold(Op::Load);
    let requests: Vec<_> = (0..50)
        .map(|_| tokio::spawn(forged(&client).visit(&node.layer, presented)))
        .collect();
    gate.arrived(1).await;
    listen().await;
    gate.release();
    for request in requests {
        assert_eq!(request.await.unwrap().ok(), Presented::Unknown);
    }
    assert!(node.faults.counts().load <= 2, "{:?}", node.faults.counts());
}

#[tokio::test]
async fn a_flood_of_random_ids_leaves_no_trace_and_disturbs_nobody() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let (node, _other) = (Node::on(&store, &clock), Node::on(&store, &clock));
    listen().await;
    let client = signed_up(&node.layer).await;
    listen().await;
    let gate = node.faults.hold_reply(Op::Save);
    let write = tokio::spawn(client.visit(&node.layer, count));
    gate.arrived(1).await;
    // Every stripe of the generations is met.
    for n in 0..2_000 {
        let junk = nobody(n, u8::try_from(n % 256).unwrap());
        assert_eq!(
            junk.visit(&node.layer, presented).await.ok(),
            Presented::Unknown
        );
    }
    gate.release();
    write.await.unwrap().ok();
    listen().await;
    assert_eq!(client.visit(&node.layer, origin).await.ok(), Origin::Cache);
    assert_eq!(node.layer.manager().stats().l1.entries, 1);
    assert_eq!((node.faults.counts().writes(), store.len()), (2, 1));
    let odd = SessionId::generate(clock.now());
    assert!(!node.layer.manager().is_cached(odd));
}

// --- stale_if_error ---

fn stale(store: &MemoryStore, clock: &ManualClock) -> Node {
    Node::with(store, clock, |builder| {
        builder.coherence(Coherence::Verify).stale_if_error(5 * MIN)
    })
}

#[tokio::test]
async fn while_the_store_is_down_a_verified_copy_is_served_read_only_for_so_long() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let node = stale(&store, &clock);
    let client = signed_up(&node.layer).await;
    node.faults.fail_all();
    clock.advance(5 * MIN);
    let look = |session: Session| async move {
        let write = session.insert("x", 1).unwrap_err().kind();
        (session.is_stale(), read(session).await, write)
    };
    let seen = client.visit(&node.layer, look).await.ok();
    assert_eq!(seen, (true, Some(1), ErrorKind::ReadOnly));
    let thief = forged(&client).visit(&node.layer, presented).await;
    assert_eq!(
        thief.error,
        Some(ErrorKind::Unavailable),
        "not for an unverified secret"
    );
    clock.advance(MS);
    let over = client.visit(&node.layer, presented).await;
    assert_eq!(
        (over.status, over.error),
        (
            StatusCode::SERVICE_UNAVAILABLE,
            Some(ErrorKind::Unavailable)
        )
    );
    node.faults.clear();
    assert_eq!(client.visit(&node.layer, count).await.ok(), 2);
}

#[tokio::test]
async fn a_stale_copy_is_never_served_past_its_deadline() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let node = Node::with(&store, &clock, |builder| {
        builder
            .coherence(Coherence::Verify)
            .stale_if_error(100 * MIN)
    });
    let client = signed_up(&node.layer).await;
    node.faults.fail_all();
    clock.advance(65 * MIN - MS);
    let is_stale = |session: Session| async move { session.is_stale() };
    assert!(client.visit(&node.layer, is_stale).await.ok());
    clock.advance(MS);
    let over = client.visit(&node.layer, presented).await;
    assert_eq!(over.error, Some(ErrorKind::Unavailable));
}

#[tokio::test]
async fn a_copy_that_the_store_has_just_disproved_is_not_served() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let node = stale(&store, &clock);
    let client = signed_up(&node.layer).await;
    store.end(client.id(), None).await.unwrap();
    // The peek still answers; the load does not.
    node.faults.fail(Op::Load, 1);
    let answer = client.visit(&node.layer, presented).await;
    assert_eq!(answer.error, Some(ErrorKind::Unavailable));
}

#[tokio::test]
async fn a_copy_that_a_notice_has_called_old_is_not_served() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let node = Node::scripted(&store, &clock, Reach::Changes, |builder| {
        builder.stale_if_error(5 * MIN)
    });
    node.tell(Change::Live).await;
    let client = signed_up(&node.layer).await;
    store.end(client.id(), None).await.unwrap();
    node.tell(Change::Ended { id: client.id() }).await;
    node.faults.fail_all();
    let answer = client.visit(&node.layer, presented).await;
    assert_eq!(answer.error, Some(ErrorKind::Unavailable));
}

#[tokio::test]
async fn without_the_option_a_copy_that_cannot_be_confirmed_is_unavailable() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let node = Node::with(&store, &clock, |builder| {
        builder.coherence(Coherence::Verify)
    });
    let client = signed_up(&node.layer).await;
    node.faults.fail_all();
    let answer = client.visit(&node.layer, presented).await;
    assert_eq!(
        (answer.error, answer.set_cookie),
        (Some(ErrorKind::Unavailable), None)
    );
}
