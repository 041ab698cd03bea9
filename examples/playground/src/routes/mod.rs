//! The routes, one file per group. The contract is in the README; the names of the functions are
//! those of the routes.

mod data;
mod forms;
mod manage;
mod operate;
mod owner;
mod people;
mod scope;
mod session;
mod trial;
mod ws;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{any, get, post, put};
use cloakroom::SessionLayer;

use crate::answer::ApiError;
use crate::app::App;
use crate::body;

/// The whole application, without the session layer; `sessions` is for the part that has a scope of
/// its own.
pub(crate) fn router(app: App, sessions: &SessionLayer) -> Router {
    Router::new()
        .route("/healthz", get(operate::healthz))
        .merge(session_routes())
        .merge(data_routes())
        .merge(trial_routes())
        .merge(operator_routes())
        .merge(scope::router(sessions))
        .merge(people::router())
        .merge(forms::router())
        .fallback(async || ApiError::NOT_FOUND)
        .method_not_allowed_fallback(async || ApiError::METHOD_NOT_ALLOWED)
        // Instead of the extractors' own limit, which counts only where a body is read.
        .layer(DefaultBodyLimit::disable())
        .layer(axum::middleware::from_fn(body::limited))
        .with_state(app)
}

fn session_routes() -> Router<App> {
    Router::new()
        .route("/api/session", get(session::show).delete(session::destroy))
        .route("/api/live", get(session::live))
        .route("/api/renew", post(session::renew))
        .route("/api/login", post(session::login))
        .route("/api/timeout", post(session::timeout))
        .route(
            "/api/sessions",
            get(owner::list).delete(owner::destroy_others),
        )
        .route("/api/sessions/{id}", axum::routing::delete(owner::destroy))
}

fn data_routes() -> Router<App> {
    Router::new()
        .route("/api/data", axum::routing::delete(data::clear))
        .route("/api/data/{key}", get(data::get).put(data::put).delete(data::remove))
        .route("/api/data/{key}/add", post(data::add))
        // An empty key is a wrong key, not an unknown route.
        .route("/api/data/", any(async || ApiError::BAD_REQUEST))
        .route("/api/data//add", any(async || ApiError::BAD_REQUEST))
}

fn trial_routes() -> Router<App> {
    Router::new()
        .route("/api/slow", get(trial::slow_read))
        .route("/api/slow/{key}", put(trial::slow_write))
        .route("/api/status/{code}/{key}", put(trial::status))
        .route("/api/panic/{key}", post(trial::panic))
        .route("/api/stream/{key}", put(trial::stream))
        .route("/api/status/{code}/", any(async || ApiError::BAD_REQUEST))
        .route("/api/slow/", any(async || ApiError::BAD_REQUEST))
        .route("/api/panic/", any(async || ApiError::BAD_REQUEST))
        .route("/api/stream/", any(async || ApiError::BAD_REQUEST))
        .route("/api/ws", get(ws::open))
}

fn operator_routes() -> Router<App> {
    Router::new()
        .route("/api/stats", get(operate::stats))
        .route("/metrics", get(operate::metrics))
        .route(
            "/api/housekeeper/{job}",
            post(operate::run_job).put(manage::reschedule),
        )
        .route(
            "/api/manage/{id}",
            get(manage::find).delete(manage::destroy),
        )
        .route(
            "/api/manage/owner/{owner}",
            get(manage::list_owned).delete(manage::destroy_owned),
        )
        .route("/api/manage/expired", post(manage::expired))
        .route("/api/manage/reset", post(manage::reset))
        .route("/api/events", get(manage::events))
}
