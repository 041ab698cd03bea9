//! What a session costs beyond its payload, by a counting allocator.

use std::alloc::System;

use cloakroom_core::{Owner, Record, SessionId, SessionStore, Stamp, State, Times, Timestamp};
use cloakroom_memory::MemoryStore;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// As DESIGN.md section 12 has it.
const BUDGET: usize = 350;

fn record(n: u64, owner: Option<Owner>) -> Record {
    let at = |millis| Timestamp::from_millis(1_700_000_000_000 + millis);
    let times = Times {
        used_at: at(n),
        deadline: Some(at(n + 1_800_000)),
        expires_at: Some(at(n + 3_600_000)),
    };
    Record::from_stored(
        Stamp::first(),
        State::Live,
        owner,
        times,
        vec![1; 60],
        vec![1; 40],
    )
}

fn id(n: u64) -> SessionId {
    let mut random = [0; 10];
    let (low, _) = random.split_at_mut(8);
    low.copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    SessionId::from_parts(Timestamp::from_millis(1_700_000_000_000 + n), random)
}

/// Bytes per session over the payload, at so many sessions.
async fn overhead(sessions: u64, owned: bool) -> usize {
    let region = Region::new(COUNTING);
    let store = MemoryStore::new();
    for n in 0..sessions {
        let user = owned.then(|| Owner::new(format!("user-{n}")).expect("a valid name"));
        let created = store.create(id(n), &record(n, user)).await;
        created.expect("the memory store never fails");
    }
    let change = region.change();
    let grown = change.bytes_allocated - change.bytes_deallocated;
    drop(store);
    grown / usize::try_from(sessions).expect("few enough") - 100
}

/// One test only: the allocator counts for the whole process.
#[tokio::test]
async fn a_session_costs_at_most_350_bytes_over_its_payload() {
    let mut worst = 0;
    // Just before and just after the map grows, and in between.
    for sessions in [20_000, 57_000, 60_000, 90_000] {
        for owned in [false, true] {
            let bytes = overhead(sessions, owned).await;
            println!("{sessions} sessions, owned {owned}: {bytes} bytes each");
            worst = worst.max(bytes);
        }
    }
    assert!(worst <= BUDGET, "{worst} bytes");
}
