//! For operators: health, figures, and the housekeeper's jobs. A real application keeps them behind
//! an admin's door.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use cloakroom::Job;
use http::header::CONTENT_TYPE;
use serde::Serialize;

use crate::answer::ApiError;
use crate::app::App;
use crate::extract::NameInPath;

/// Touches no session, so that a probe never makes one live longer.
pub(super) async fn healthz() -> &'static str {
    "ok"
}

pub(super) async fn stats(State(app): State<App>) -> Json<impl Serialize> {
    Json(app.manager.stats())
}

pub(super) async fn metrics(State(app): State<App>) -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        app.manager.stats().prometheus(),
    )
}

pub(super) async fn run_job(
    State(app): State<App>,
    NameInPath(job): NameInPath<String>,
) -> Result<Json<impl Serialize>, ApiError> {
    run(&app, &job).await.map(Json)
}

pub(super) async fn run(app: &App, job: &str) -> Result<impl Serialize + use<>, ApiError> {
    Ok(app.manager.run_now(self::job(job)?).await?)
}

pub(super) fn job(name: &str) -> Result<Job, ApiError> {
    match name {
        "poll" => Ok(Job::Poll),
        "purge" => Ok(Job::Purge),
        _ => Err(ApiError::NOT_FOUND),
    }
}
