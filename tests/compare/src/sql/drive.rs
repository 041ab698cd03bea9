//! Several tasks at once, each a client with a session of its own.

use std::time::{Duration, Instant};

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderValue, Request};
use tower::{Service, ServiceExt};

use super::{App, Op};
use crate::Result;
use crate::clock::now;

const CLIENTS: usize = 8;
/// Requests between two looks at the clock, which would show in a request of a microsecond.
const BATCH: u32 = 8;

pub(super) struct Clients {
    app: App,
    cookies: Vec<HeaderValue>,
}

impl Clients {
    pub(super) async fn of(app: &App) -> Result<Self> {
        let mut cookies = Vec::new();
        for _ in 0..CLIENTS {
            let response = app.clone().oneshot(request(Op::Create, None)).await?;
            let cookie = response.headers().get(SET_COOKIE).ok_or("no cookie")?;
            let pair = cookie.as_bytes().split(|byte| *byte == b';').next();
            cookies.push(HeaderValue::from_bytes(pair.unwrap_or_default())?);
        }
        let app = app.clone();
        Ok(Self { app, cookies })
    }

    /// Requests per second of all clients together, each working through `ops` in turn.
    pub(super) async fn rate(&self, ops: &'static [Op], slice: Duration) -> Result<f64> {
        let start = now();
        let clients: Vec<_> = self
            .cookies
            .iter()
            .map(|cookie| {
                tokio::spawn(client(self.app.clone(), ops, cookie.clone(), start + slice))
            })
            .collect();
        let mut requests = 0;
        for client in clients {
            requests += client.await??;
        }
        Ok(f64::from(requests) / start.elapsed().as_secs_f64())
    }
}

async fn client(
    mut app: App,
    ops: &'static [Op],
    cookie: HeaderValue,
    until: Instant,
) -> Result<u32> {
    let mut requests = 0;
    let mut turns = ops.iter().copied().cycle();
    while now() < until {
        for op in turns.by_ref().take(BATCH as usize) {
            let cookie = (op != Op::Create).then_some(&cookie);
            let response = app.ready().await?.call(request(op, cookie)).await?;
            if response.status() != 200 {
                return Err(format!("{op:?} was answered {}", response.status()).into());
            }
        }
        requests += BATCH;
        // A read from memory waits for nothing: without this a task would run alone until the end.
        tokio::task::yield_now().await;
    }
    Ok(requests)
}

fn request(op: Op, cookie: Option<&HeaderValue>) -> Request<()> {
    let mut request = Request::new(());
    request.extensions_mut().insert(op);
    if let Some(cookie) = cookie {
        request.headers_mut().insert(COOKIE, cookie.clone());
    }
    request
}
