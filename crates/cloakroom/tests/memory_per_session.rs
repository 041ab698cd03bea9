//! Section 12 of the design: memory per session, and the allocations of a request that does not use
//! its session. A binary of its own, since its allocator counts.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use std::alloc::System;
use std::future::Future as _;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use cloakroom::{Cache, MemoryStore, Schedule, Session, SessionLayer, SessionStore as _, Token};
use http::header::{COOKIE, SET_COOKIE};
use http::{Request, Response};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tower::{Layer as _, Service as _, ServiceExt as _, service_fn};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One measurement at a time.
static TURN: Mutex<()> = Mutex::new(());

/// Counts around a power of two, where hash maps are fullest and emptiest.
const COUNTS: [usize; 3] = [7_000, 8_000, 10_000];

fn layer(store: MemoryStore, cache: Cache) -> SessionLayer {
    SessionLayer::builder(store)
        .cache(cache)
        .poll(Schedule::off())
        .purge(Schedule::off())
        .build()
        .unwrap()
}

/// Bytes that are held after `work` and were not before.
fn held(work: impl FnOnce()) -> usize {
    let region = Region::new(ALLOCATOR);
    work();
    let change = region.change();
    change.bytes_allocated - change.bytes_deallocated
}

async fn set_one(request: Request<()>) -> Result<Response<()>, cloakroom::Error> {
    let (parts, ()) = request.into_parts();
    let session = Session::load(&parts).await?;
    session.insert("user", 12_345_678)?;
    Ok(Response::new(()))
}

/// Creates so many sessions with one small attribute; returns the cookie of the last.
async fn create(layer: &SessionLayer, count: usize) -> String {
    let mut service = layer.layer(service_fn(set_one));
    let mut cookie = String::new();
    for _ in 0..count {
        let response = service.call(Request::new(())).await.unwrap();
        let line = response.headers()[SET_COOKIE].to_str().unwrap();
        line.clone_into(&mut cookie);
    }
    let value = cookie.split([';', '=']).nth(1).unwrap();
    value.to_owned()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

/// Bytes per session in the store, and how many of them are payload.
fn in_store(count: usize) -> (usize, usize) {
    let store = MemoryStore::new();
    let layer = layer(store.clone(), Cache::none());
    let mut last = String::new();
    let bytes = held(|| last = block_on(create(&layer, count)));
    let id = Token::parse(last.as_bytes()).unwrap().id();
    let record = block_on(store.load(id)).unwrap().unwrap();
    assert_eq!(store.len(), count);
    (bytes / count, record.head.len() + record.body.len())
}

#[test]
fn a_session_in_the_memory_store_takes_at_most_350_bytes_over_its_payload_and_372_in_all() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    for count in COUNTS {
        let (bytes, payload) = in_store(count);
        println!("{count} sessions in the store: {bytes} bytes each, {payload} of them payload");
        assert!(bytes - payload <= 350 && bytes <= 372);
    }
}

#[test]
fn a_session_in_l1_takes_at_most_600_bytes_over_its_payload() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    for count in COUNTS {
        let (stored, _) = in_store(count);
        let store = MemoryStore::new();
        let layer = layer(store.clone(), Cache::entries(100_000));
        let mut last = String::new();
        let bytes = held(|| {
            last = block_on(create(&layer, count));
            assert_eq!(layer.manager().stats().l1.entries, count as u64);
        });
        let id = Token::parse(last.as_bytes()).unwrap().id();
        let payload = block_on(store.load(id)).unwrap().unwrap().body.len();
        let bytes = bytes / count - stored;
        println!("{count} sessions in L1: {bytes} bytes each, {payload} of them payload");
        // Payload is what a record carries: its head is 65 bytes.
        assert!(bytes - payload - 65 <= 600);
    }
}

#[test]
fn a_full_l1_grows_no_further() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let store = MemoryStore::new();
    let layer = layer(store, Cache::entries(1_000));
    block_on(create(&layer, 8_000));
    layer.manager().stats();
    assert!(layer.manager().stats().l1.entries <= 1_000);
    let (stored, _) = in_store(8_000);
    let more = held(|| {
        block_on(create(&layer, 8_000));
        layer.manager().stats();
    });
    let per_session = more / 8_000;
    println!("{per_session} bytes per session beyond the bound, {stored} of them in the store");
    // The store's maps may double here.
    assert!(per_session < 2 * stored);
}

/// Something that an application has in its requests' extensions.
#[derive(Clone)]
struct Inhabitant;

fn request() -> Request<()> {
    let mut request = Request::new(());
    let cookie = format!("__Host-id={}", "A".repeat(48)).parse().unwrap();
    request.headers_mut().insert(COOKIE, cookie);
    request.extensions_mut().insert(Inhabitant);
    request
}

#[test]
fn a_request_that_does_not_use_its_session_allocates_at_most_twice() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let layer = layer(MemoryStore::new(), Cache::default());
    block_on(async {
        let plain = |_: Request<()>| {
            std::future::ready(Ok::<_, std::convert::Infallible>(Response::new(())))
        };
        let mut service = layer.layer(service_fn(plain));
        service.ready().await.unwrap();
        // The test's harness may allocate at the same time: the least of many counts.
        let mut least = usize::MAX;
        for _ in 0..100 {
            let request = request();
            let region = Region::new(ALLOCATOR);
            {
                let mut response = pin!(service.call(request));
                let mut cx = Context::from_waker(Waker::noop());
                assert!(matches!(
                    response.as_mut().poll(&mut cx),
                    Poll::Ready(Ok(_))
                ));
            }
            least = least.min(region.change().allocations);
        }
        println!("{least} allocations");
        assert!(least <= 2);
    });
}
