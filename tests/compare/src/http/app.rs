//! The application, once for each way to keep sessions. The routes and their answers are the same.

use std::io::Read;
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use axum::serve::ListenerExt;
use cloakroom::SessionLayer;
use tokio::net::TcpListener;
use tower::util::MapResponseLayer;
use tower_sessions::{CachingSessionStore, Expiry, SessionManagerLayer, SessionStore};
use tower_sessions_moka_store::MokaStore;
use tower_sessions_redis_store::{RedisStore, fred};

use super::variant::Variant;
use crate::report::say;
use crate::{IDLE_MINUTES, Result};

/// Connections of tower-sessions to Redis. More of them cost more system calls and gain nothing,
/// since one carries all requests that are under way.
const CONNECTIONS: usize = 1;

/// Serves until the standard input ends, which it does with whoever started this.
pub(super) async fn serve(variant: Variant, redis: &str) -> Result<()> {
    let app = app(variant, redis).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    say(format_args!("listening {}", listener.local_addr()?.port()));
    let listener = listener.tap_io(|stream| {
        stream.set_nodelay(true).ok();
    });
    let end = async {
        let wait = || std::io::stdin().read_to_end(&mut Vec::new());
        tokio::task::spawn_blocking(wait).await.ok();
    };
    tokio::select! {
        served = axum::serve(listener, app) => Ok(served?),
        () = end => Ok(()),
    }
}

async fn app(variant: Variant, redis: &str) -> Result<Router> {
    Ok(match variant {
        Variant::Bare => Router::new().route("/read", get(async || "1")),
        Variant::Vary => {
            let vary = |mut response: Response| {
                let headers = response.headers_mut();
                headers.append(header::VARY, header::HeaderValue::from_static("cookie"));
                response
            };
            let router = Router::new().route("/read", get(async || "1"));
            router.layer(MapResponseLayer::new(vary))
        }
        Variant::Theirs => theirs(RedisStore::new(pool(redis).await?)),
        Variant::Moka => theirs(CachingSessionStore::new(
            MokaStore::new(Some(10_000)), // as many as our L1 holds
            RedisStore::new(pool(redis).await?),
        )),
        Variant::Ours => {
            let store = cloakroom_redis::RedisStore::connect(redis).await?;
            let idle = Duration::from_mins(u64::from(IDLE_MINUTES));
            let sessions = SessionLayer::builder(store).idle_timeout(idle).build()?;
            ours().layer(sessions)
        }
    })
}

fn ours() -> Router {
    use cloakroom::{Error, Session};

    async fn read(session: Session) -> std::result::Result<String, Error> {
        Ok(session.get::<u64>("n")?.unwrap_or_default().to_string())
    }
    async fn write(session: Session) -> std::result::Result<String, Error> {
        let n = session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)?;
        Ok(n.to_string())
    }
    Router::new()
        .route("/read", get(read))
        .route("/write", get(write))
}

fn theirs(store: impl SessionStore + Clone) -> Router {
    use tower_sessions::Session;

    type Answer = std::result::Result<String, StatusCode>;

    const FAILED: StatusCode = StatusCode::SERVICE_UNAVAILABLE;

    async fn read(session: Session) -> Answer {
        let n = session.get::<u64>("n").await.map_err(|_| FAILED)?;
        Ok(n.unwrap_or_default().to_string())
    }
    async fn write(session: Session) -> Answer {
        let n = session.get::<u64>("n").await.map_err(|_| FAILED)?;
        let n = n.unwrap_or(0) + 1;
        session.insert("n", n).await.map_err(|_| FAILED)?;
        Ok(n.to_string())
    }
    // As in `sql/theirs.rs`: the idle time of ours, and reads that do not move it.
    let idle = Expiry::OnInactivity(time::Duration::minutes(i64::from(IDLE_MINUTES)));
    Router::new()
        .route("/read", get(read))
        .route("/write", get(write))
        .layer(SessionManagerLayer::new(store).with_expiry(idle))
}

async fn pool(url: &str) -> Result<fred::clients::Pool> {
    use fred::prelude::ClientLike;

    let mut connection = fred::types::config::ConnectionConfig::default();
    // As ours does. Off by default there, and then small commands wait for each other.
    connection.tcp.nodelay = Some(true);
    let config = fred::types::config::Config::from_url(url)?;
    let pool = fred::clients::Pool::new(config, None, Some(connection), None, CONNECTIONS)?;
    pool.init().await?;
    Ok(pool)
}
