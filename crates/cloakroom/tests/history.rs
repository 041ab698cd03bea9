//! Randomised histories: several tasks do what clients do to a handful of sessions, at once, with an
//! L1 that is too small, requests that fail, panic and are given up, and stores that fail. Checked
//! as they go and afterwards.
//!
//! The seed is printed; `CLOAKROOM_SEED` repeats its choices.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper that fails is a test that fails"
)]
#![expect(
    clippy::print_stdout,
    reason = "a failed history is told with its seed"
)]

mod support;

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloakroom::{
    Cache, Event, Eviction, Job, MemoryStore, Owner, Presented, Session, SessionId, SessionLayer,
    SessionStore as _,
};
use cloakroom_conformance::{Faults, FaultyStore, ManualClock, Op, give_up_after};
use http::StatusCode;

use self::support::{Answer, Client, MIN, MS, count, quiet, read};

const WORKERS: usize = 6;
const ACTS: usize = 250;
/// More sessions than L1 has room for.
const PLACES: usize = 9;

// --- chance ---

fn seed() -> u64 {
    let drawn = || RandomState::new().build_hasher().finish();
    std::env::var("CLOAKROOM_SEED").map_or_else(|_| drawn(), |text| text.parse().unwrap())
}

/// `SplitMix64`.
struct Chance(u64);

impl Chance {
    fn new(seed: u64, stream: usize) -> Self {
        let mut chance = Self(seed ^ (stream as u64).wrapping_mul(0xd134_2543_de82_ef95));
        chance.below(2);
        chance
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }
}

// --- what is known of a session ---

/// What a node must know of a session from here on.
#[derive(Debug, Default)]
struct Known {
    /// Increments that it has acknowledged.
    acknowledged: AtomicU64,
    /// The highest count that it has shown.
    shown: AtomicU64,
    /// It has acknowledged the end.
    ended: AtomicBool,
}

#[derive(Debug)]
struct Slot {
    id: SessionId,
    client: Client,
    nodes: [Known; 2],
    attempted: AtomicU64,
    /// A handler has called `destroy`; whether it was performed may be unknown.
    doomed: AtomicBool,
    /// One of these calls was refused, or nobody waited for what became of it.
    escaped: AtomicBool,
    /// A handler has called `login`. A destroy from before a login is refused.
    signed: AtomicBool,
    /// How many requests in a row did not find it.
    refusals: AtomicUsize,
}

impl Slot {
    fn acknowledged(&self) -> u64 {
        self.nodes
            .iter()
            .map(|known| known.acknowledged.load(SeqCst))
            .sum()
    }

    fn has_ended(&self) -> bool {
        self.nodes.iter().any(|known| known.ended.load(SeqCst))
    }
}

// --- requests ---

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Read,
    Add,
    SlowAdd,
    Set,
    Renew,
    Login,
    Destroy,
    /// Increments that must not be stored.
    AddAndFail,
    AddAndPanic,
    /// One that must be, though the response fails.
    CommitAndFail,
    /// The handle outlives the request and increments then.
    Hold,
}

impl Act {
    fn draw(chance: &mut Chance) -> Self {
        match chance.below(100) {
            0..20 => Self::Read,
            20..48 => Self::Add,
            48..62 => Self::SlowAdd,
            62..70 => Self::Set,
            70..74 => Self::Renew,
            74..77 => Self::Login,
            77..80 => Self::Destroy,
            80..85 => Self::AddAndFail,
            85..89 => Self::AddAndPanic,
            89..95 => Self::CommitAndFail,
            _ => Self::Hold,
        }
    }
}

struct Seen {
    presented: Presented,
    count: Option<u64>,
    committed: bool,
    held: Option<Session>,
}

async fn handle(session: Session, act: Act, slot: Arc<Slot>) -> (StatusCode, Seen) {
    let presented = session.presented();
    let mut seen = Seen {
        presented,
        count: None,
        committed: false,
        held: None,
    };
    if presented != Presented::Active {
        // A write would begin a session of nobody's.
        return (StatusCode::OK, seen);
    }
    seen.count = read(session.clone()).await;
    let mut status = StatusCode::OK;
    match act {
        Act::Read => {}
        Act::Add | Act::SlowAdd => {
            slot.attempted.fetch_add(1, SeqCst);
            count(session.clone()).await;
            if act == Act::SlowAdd {
                tokio::time::sleep(MS).await;
            }
        }
        Act::Set => session.insert("mark", slot.attempted.load(SeqCst)).unwrap(),
        Act::Renew => session.renew().unwrap(),
        Act::Login => {
            slot.signed.store(true, SeqCst);
            session.login(Owner::new("ada").unwrap()).unwrap();
        }
        Act::Destroy => {
            slot.doomed.store(true, SeqCst);
            session.destroy().unwrap();
        }
        Act::AddAndFail => {
            count(session.clone()).await;
            status = StatusCode::INTERNAL_SERVER_ERROR;
        }
        Act::AddAndPanic => {
            count(session.clone()).await;
            tokio::task::yield_now().await;
            // As a panic, without the message of one.
            std::panic::resume_unwind(Box::new("wanted"));
        }
        Act::CommitAndFail => {
            slot.attempted.fetch_add(1, SeqCst);
            count(session.clone()).await;
            seen.committed = session.commit().await.is_ok();
            status = StatusCode::INTERNAL_SERVER_ERROR;
        }
        Act::Hold => seen.held = Some(session.clone()),
    }
    (status, seen)
}

// --- the world ---

struct Node {
    layer: SessionLayer,
    faults: Faults,
}

struct World {
    store: MemoryStore,
    clock: ManualClock,
    nodes: Vec<Node>,
    places: Vec<Mutex<Arc<Slot>>>,
    all: Mutex<Vec<Arc<Slot>>>,
    /// What `n` was when a session was ended in the final check.
    counted: Arc<Mutex<Vec<(SessionId, u64)>>>,
    stormy: bool,
}

impl World {
    async fn new(nodes: usize, stormy: bool) -> Arc<Self> {
        let (store, clock) = (MemoryStore::new(), ManualClock::default());
        let counted = Arc::default();
        let nodes: Vec<Node> = (0..nodes).map(|_| node(&store, &clock, &counted)).collect();
        let mut all = Vec::new();
        for place in 0..PLACES {
            all.push(sign_up(&nodes[place % nodes.len()].layer, place % nodes.len()).await);
        }
        Arc::new(Self {
            store,
            clock,
            nodes,
            places: all
                .iter()
                .map(|slot| Mutex::new(Arc::clone(slot)))
                .collect(),
            all: Mutex::new(all),
            counted,
            stormy,
        })
    }

    /// One client's life.
    async fn work(self: Arc<Self>, mut chance: Chance) {
        for _ in 0..ACTS {
            let place = chance.below(PLACES);
            let slot = Arc::clone(&self.places[place].lock().unwrap());
            let on = chance.below(self.nodes.len());
            let act = Act::draw(&mut chance);
            if chance.below(8) == 0 && act != Act::AddAndPanic {
                let request = self.request(&slot, on, act);
                drop(give_up_after(chance.below(6), request).await);
                slot.escaped.fetch_or(act == Act::Destroy, SeqCst);
            } else {
                self.act(&slot, on, act).await;
            }
            let lost = slot.client.cookie().is_none() || slot.refusals.load(SeqCst) > 3;
            if lost && Arc::ptr_eq(&slot, &self.places[place].lock().unwrap()) {
                let new = sign_up(&self.nodes[on].layer, on).await;
                self.all.lock().unwrap().push(Arc::clone(&new));
                *self.places[place].lock().unwrap() = new;
            }
        }
    }

    fn request(
        &self,
        slot: &Arc<Slot>,
        on: usize,
        act: Act,
    ) -> impl Future<Output = Answer<Seen>> + Send + use<> {
        let known = Arc::clone(slot);
        let layer = &self.nodes[on].layer;
        slot.client
            .visit_answering(layer, move |session| handle(session, act, known))
    }

    async fn act(&self, slot: &Arc<Slot>, on: usize, act: Act) {
        let known = &slot.nodes[on];
        let ended = known.ended.load(SeqCst);
        let least = known
            .acknowledged
            .load(SeqCst)
            .max(known.shown.load(SeqCst));
        // A task of its own, for the sake of those that panic.
        let Ok(answer) = tokio::spawn(self.request(slot, on, act)).await else {
            assert_eq!(act, Act::AddAndPanic);
            return;
        };
        let status = answer.status;
        let refused = act == Act::Destroy && status != StatusCode::OK;
        slot.escaped.fetch_or(refused, SeqCst);
        let Some(seen) = answer.value() else { return };
        let active = seen.presented == Presented::Active;
        if !active {
            slot.refusals.fetch_add(1, SeqCst);
            return;
        }
        assert!(!ended, "{} was revived", slot.id);
        slot.refusals.store(0, SeqCst);
        let shown = seen.count.unwrap();
        assert!(
            shown >= least,
            "{} went back from {least} to {shown}",
            slot.id
        );
        known.shown.fetch_max(shown, SeqCst);
        let stored = matches!(act, Act::Add | Act::SlowAdd) && status == StatusCode::OK;
        if stored || seen.committed {
            known.acknowledged.fetch_add(1, SeqCst);
        }
        if act == Act::Destroy && status == StatusCode::OK {
            known.ended.store(true, SeqCst);
        }
        if let Some(held) = seen.held {
            slot.attempted.fetch_add(1, SeqCst);
            // It may have ended by now.
            held.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).ok();
        }
    }

    /// Bad weather, and time that goes on a little.
    async fn weather(self: Arc<Self>, mut chance: Chance, over: Arc<AtomicBool>) {
        while !over.load(SeqCst) {
            self.clock
                .advance(Duration::from_millis(chance.below(30) as u64));
            let node = &self.nodes[chance.below(self.nodes.len())];
            let op = Op::ALL[chance.below(Op::ALL.len())];
            match chance.below(6) {
                0 if self.stormy => node.faults.fail(op, 1),
                1 if self.stormy => node.faults.lose_reply(op, 1),
                2 if self.stormy => node.faults.delay(op, MS, 2),
                3 => drop(node.layer.manager().run_now(Job::Poll).await),
                4 => drop(node.layer.manager().stats()),
                _ => {}
            }
            tokio::time::sleep(MS).await;
        }
        for node in &self.nodes {
            node.faults.clear();
        }
    }

    async fn check(&self) {
        for node in &self.nodes {
            let settled = tokio::time::timeout(MIN, node.layer.manager().settled());
            settled.await.expect("late commits end");
        }
        // The feeds' tasks.
        tokio::time::sleep(20 * MS).await;
        let slots = self.all.lock().unwrap().clone();
        for slot in &slots {
            self.check_ending(slot).await;
        }
        // Nothing is in use any more: all can be evicted.
        self.clock.advance(2 * MIN);
        for node in &self.nodes {
            node.layer.manager().run_now(Job::Poll).await.unwrap();
            for slot in &slots {
                assert!(
                    !node.layer.manager().is_cached(slot.id),
                    "{} is still in use",
                    slot.id
                );
            }
        }
        for slot in &slots {
            self.check_count(slot).await;
        }
    }

    async fn check_ending(&self, slot: &Slot) {
        let doomed = slot.doomed.load(SeqCst);
        let alive = self.nodes[0]
            .layer
            .manager()
            .get(slot.id)
            .await
            .unwrap()
            .is_some();
        assert!(alive || doomed, "{} has vanished", slot.id);
        // In bad weather a destroy may have failed, and said so.
        let may_escape = self.stormy || (slot.escaped.load(SeqCst) && slot.signed.load(SeqCst));
        let must_be_dead = slot.has_ended() || (doomed && !may_escape);
        assert!(!(alive && must_be_dead), "{} lives on", slot.id);
        for node in &self.nodes {
            let look = |session: Session| async move { session.presented() };
            let told = slot.client.fork().visit(&node.layer, look).await.ok();
            assert!(alive || told != Presented::Active, "{}: {told:?}", slot.id);
        }
    }

    async fn check_count(&self, slot: &Slot) {
        if !self.nodes[0]
            .layer
            .manager()
            .destroy(slot.id)
            .await
            .unwrap()
        {
            return;
        }
        let counted = self.counted.lock().unwrap();
        let (_, stored) = counted.iter().find(|(id, _)| *id == slot.id).unwrap();
        let (least, most) = (slot.acknowledged(), slot.attempted.load(SeqCst));
        assert!(
            (least..=most).contains(stored),
            "{}: {least} <= {stored} <= {most}",
            slot.id
        );
    }
}

fn node(
    store: &MemoryStore,
    clock: &ManualClock,
    counted: &Arc<Mutex<Vec<(SessionId, u64)>>>,
) -> Node {
    let (store, faults) = FaultyStore::new(store.clone());
    let counted = Arc::clone(counted);
    let layer = quiet(store, clock)
        .touch_interval(50 * MS)
        .cache(Cache::entries(5).eviction(Eviction::Idle(MIN)))
        .listener(move |event: &Event| {
            if let Event::Ended { id, attributes, .. } = event {
                let n = attributes.get("n").map_or(0, |json| json.parse().unwrap());
                counted.lock().unwrap().push((*id, n));
            }
        })
        .build()
        .unwrap();
    Node { layer, faults }
}

async fn sign_up(layer: &SessionLayer, on: usize) -> Arc<Slot> {
    loop {
        let client = Client::new();
        // In bad weather it takes more than one try.
        if client.visit(layer, count).await.value().is_none() {
            continue;
        }
        let slot = Slot {
            id: client.id(),
            client,
            nodes: Default::default(),
            attempted: AtomicU64::new(1),
            doomed: AtomicBool::new(false),
            escaped: AtomicBool::new(false),
            signed: AtomicBool::new(false),
            refusals: AtomicUsize::new(0),
        };
        slot.nodes[on].acknowledged.store(1, SeqCst);
        return Arc::new(slot);
    }
}

async fn history(nodes: usize, stormy: bool) {
    let seed = seed();
    println!("CLOAKROOM_SEED={seed}");
    let world = World::new(nodes, stormy).await;
    let over = Arc::new(AtomicBool::new(false));
    let weather =
        tokio::spawn(Arc::clone(&world).weather(Chance::new(seed, 99), Arc::clone(&over)));
    let workers: Vec<_> = (0..WORKERS)
        .map(|n| tokio::spawn(Arc::clone(&world).work(Chance::new(seed, n))))
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    over.store(true, SeqCst);
    weather.await.unwrap();
    world.check().await;
    let stats = world.nodes[0].layer.manager().stats();
    println!(
        "{} sessions, {} saves, {} conflicts, {} evictions, {} store errors",
        world.store.len(),
        stats.saves,
        stats.conflicts,
        stats.evictions,
        stats.store_errors
    );
    assert!(stormy || stats.late_commits_lost == 0);
    assert!(world.store.capabilities().exclusive);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_one_node_nothing_is_lost_nobody_is_revived_and_no_reader_goes_back() {
    history(1, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_one_node_in_bad_weather_too() {
    history(1, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_two_nodes_too() {
    history(2, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_two_nodes_in_bad_weather_too() {
    history(2, true).await;
}

#[tokio::test]
async fn on_one_thread_too() {
    history(2, true).await;
}
