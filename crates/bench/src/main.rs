//! One kind of request, so many times, for an instruction counter around the process.
//!
//! `cloakroom-bench <layer> <request> <count>`: the layer is `noop` or `cloakroom`; in place of it,
//! `digest` computes the digest of a secret that often. Two runs with different counts cancel the
//! start: the difference divided by the difference of the counts is the cost of one request. It
//! leaves by `process::exit`, before the tear-down.

use std::convert::Infallible;
use std::hint::black_box;

use cloakroom::{MemoryStore, Secret, Session, SessionCookie, SessionLayer};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderValue, Request, Response};
use tower::{Layer, Service, ServiceExt, service_fn};

/// What the handler does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    NoCookie,
    Unused,
    Read,
    Write,
    Create,
}

#[derive(Clone, Copy)]
struct Marker;

fn request(cookie: Option<&HeaderValue>) -> Request<()> {
    let mut request = Request::new(());
    if let Some(cookie) = cookie {
        request.headers_mut().insert(COOKIE, cookie.clone());
    }
    // A router has put something there before us.
    request.extensions_mut().insert(Marker);
    request
}

async fn handle(kind: Kind, request: Request<()>) -> Result<Response<()>, Infallible> {
    let (parts, ()) = request.into_parts();
    match kind {
        Kind::NoCookie | Kind::Unused => {}
        Kind::Read => {
            let session = Session::load(&parts).await.expect("a session");
            let n: Option<u64> = session.get("n").expect("a number");
            assert!(n.is_some(), "the session was found");
        }
        Kind::Write => {
            let session = Session::load(&parts).await.expect("a session");
            let update = |n: Option<u64>| n.unwrap_or(0) + 1;
            session.update("n", update).expect("a number");
        }
        Kind::Create => {
            let session = Session::load(&parts).await.expect("a session");
            session.insert("n", 1_u64).expect("a number");
        }
    }
    Ok(Response::new(()))
}

async fn noop(request: Request<()>) -> Result<Response<()>, Infallible> {
    handle(Kind::NoCookie, request).await
}

async fn repeat<S>(mut service: S, cookie: Option<HeaderValue>, count: usize)
where
    S: Service<Request<()>, Response = Response<()>, Error = Infallible>,
{
    for _ in 0..count {
        let ready = service.ready().await.expect("infallible");
        let response = ready
            .call(request(cookie.as_ref()))
            .await
            .expect("infallible");
        assert_eq!(response.status(), 200, "the request was served");
    }
}

async fn run(layer: &str, kind: Kind, count: usize) {
    let sessions = SessionLayer::builder(MemoryStore::new())
        .cookie(SessionCookie::new("__Host-id"))
        .build()
        .expect("a layer");
    let create = sessions.layer(service_fn(|request| handle(Kind::Create, request)));
    let first = create.oneshot(request(None)).await.expect("infallible");
    let cookie = first
        .headers()
        .get(SET_COOKIE)
        .expect("a cookie")
        .as_bytes();
    let pair = cookie
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default();
    let cookie = HeaderValue::from_bytes(pair).expect("a header value");
    let cookie = (!matches!(kind, Kind::NoCookie | Kind::Create)).then_some(cookie);
    if layer == "noop" {
        repeat(service_fn(noop), cookie, count).await;
    } else {
        let service = sessions.layer(service_fn(move |request| handle(kind, request)));
        repeat(service, cookie, count).await;
    }
}

/// What creating a session spends on SHA-256, which a counter of instructions sees in software.
fn digest(count: usize) {
    let secret = black_box(Secret::from_bytes([7; Secret::LEN]));
    for _ in 0..count {
        black_box(secret.digest());
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let (layer, kind, count) = (args.next(), args.next(), args.next());
    let Some(count) = count.and_then(|count| count.parse().ok()) else {
        std::process::exit(2)
    };
    if layer.as_deref() == Some("digest") {
        digest(count);
        std::process::exit(0);
    }
    let kind = match kind.as_deref() {
        Some("no-cookie") => Kind::NoCookie,
        Some("unused") => Kind::Unused,
        Some("read") => Kind::Read,
        Some("write") => Kind::Write,
        Some("create") => Kind::Create,
        _ => std::process::exit(2),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(run(layer.as_deref().unwrap_or("noop"), kind, count));
    std::process::exit(0);
}
