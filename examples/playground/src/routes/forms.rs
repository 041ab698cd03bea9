//! What the page's forms post to: the same as the API beside it, answered by a redirect to the page
//! so that a reload repeats nothing.

use std::time::Duration;

use axum::Router;
use axum::extract::{FromRequest, Request, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::post;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{data, operate, owner, people, session, trial};
use crate::answer::ApiError;
use crate::app::App;
use crate::extract::{Current, InPath, Key};
use crate::page;

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/form/set", post(set))
        .route("/form/add", post(add))
        .route("/form/remove", post(remove))
        .route("/form/clear", post(clear))
        .route("/form/renew", post(renew))
        .route("/form/login", post(login))
        .route("/form/logout", post(logout))
        .route("/form/timeout", post(timeout))
        .route("/form/end", post(end))
        .route("/form/end-others", post(end_others))
        .route("/form/slow", post(slow))
        .route("/form/status", post(status))
        .route("/form/stream", post(stream))
        .route("/form/panic", post(panic))
        .route("/form/housekeeper/{job}", post(housekeeper))
}

/// The fields of a form.
struct Fields<T>(T);

impl<T: DeserializeOwned> FromRequest<App> for Fields<T> {
    type Rejection = FormError;

    async fn from_request(request: Request, app: &App) -> Result<Self, FormError> {
        match axum::Form::from_request(request, app).await {
            Ok(axum::Form(fields)) => Ok(Self(fields)),
            Err(_) => Err(FormError(ApiError::BAD_REQUEST)),
        }
    }
}

/// An error of a form: back to the page, which tells it. Where the page could not be shown either,
/// it is told at once.
struct FormError(ApiError);

impl From<ApiError> for FormError {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl From<cloakroom::Error> for FormError {
    fn from(error: cloakroom::Error) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for FormError {
    fn into_response(self) -> Response {
        if self.0.status.is_server_error() {
            let page = Html(page::problem(self.0.kind));
            return people::with_policy((self.0.status, page).into_response());
        }
        Redirect::to(&format!("/?error={}", self.0.kind)).into_response()
    }
}

type Answer = Result<Redirect, FormError>;

fn home() -> Redirect {
    Redirect::to("/")
}

#[derive(Deserialize)]
struct Named {
    key: Key,
}

#[derive(Deserialize)]
struct Attribute {
    key: Key,
    value: String,
}

/// JSON as it is; anything else is a text.
fn json_or_text(value: &str) -> Result<Box<RawValue>, ApiError> {
    serde_json::from_str(value)
        .or_else(|_| serde_json::value::to_raw_value(value))
        .map_err(|_| ApiError::BAD_REQUEST)
}

async fn set(
    Current(session): Current,
    Fields(Attribute { key, value }): Fields<Attribute>,
) -> Answer {
    session.insert(key.as_str(), &json_or_text(&value)?)?;
    Ok(home())
}

#[derive(Deserialize)]
struct Addition {
    key: Key,
    by: i64,
}

async fn add(Current(session): Current, Fields(Addition { key, by }): Fields<Addition>) -> Answer {
    data::add_to(&session, &key, by).await?;
    Ok(home())
}

async fn remove(Current(session): Current, Fields(Named { key }): Fields<Named>) -> Answer {
    session.remove(key.as_str())?;
    Ok(home())
}

async fn clear(Current(session): Current) -> Answer {
    session.clear()?;
    Ok(home())
}

async fn renew(Current(session): Current) -> Answer {
    session.renew()?;
    Ok(home())
}

#[derive(Deserialize)]
struct Login {
    owner: String,
}

async fn login(Current(session): Current, Fields(Login { owner }): Fields<Login>) -> Answer {
    session::sign_in(&session, owner)?;
    Ok(home())
}

async fn logout(Current(session): Current) -> Answer {
    session.destroy()?;
    Ok(home())
}

#[derive(Deserialize)]
struct OwnTimeout {
    idle: String,
}

async fn timeout(
    Current(session): Current,
    Fields(OwnTimeout { idle }): Fields<OwnTimeout>,
) -> Answer {
    session::set_timeout(&session, &idle)?;
    Ok(home())
}

#[derive(Deserialize)]
struct One {
    id: String,
}

async fn end(
    State(app): State<App>,
    Current(session): Current,
    Fields(One { id }): Fields<One>,
) -> Answer {
    owner::destroy_one(&app.manager, &session, id.parse().ok()).await?;
    Ok(home())
}

async fn end_others(State(app): State<App>, Current(session): Current) -> Answer {
    owner::destroy_all_others(&app.manager, &session).await?;
    Ok(home())
}

#[derive(Deserialize)]
struct Timed {
    key: Key,
    value: String,
    ms: u64,
}

impl Timed {
    fn wait(&self) -> Result<Duration, ApiError> {
        match self.ms {
            ms @ ..=600_000 => Ok(Duration::from_millis(ms)),
            _ => Err(ApiError::BAD_REQUEST),
        }
    }
}

async fn slow(Current(session): Current, Fields(timed): Fields<Timed>) -> Answer {
    let wait = timed.wait()?;
    session.insert(timed.key.as_str(), &json_or_text(&timed.value)?)?;
    tokio::time::sleep(wait).await;
    Ok(home())
}

async fn stream(
    Current(session): Current,
    Fields(timed): Fields<Timed>,
) -> Result<Response, FormError> {
    let (wait, value) = (timed.wait()?, json_or_text(&timed.value)?);
    Ok(trial::stream_answer(session, timed.key, wait, value))
}

#[derive(Deserialize)]
struct Status {
    code: String,
    key: Key,
    value: String,
}

async fn status(
    Current(session): Current,
    Fields(Status { code, key, value }): Fields<Status>,
) -> Result<Response, FormError> {
    Ok(trial::answer_with(
        &session,
        &code,
        &key,
        &json_or_text(&value)?,
    )?)
}

async fn panic(Current(session): Current, Fields(Named { key }): Fields<Named>) -> Answer {
    trial::set_and_panic(&session, &key)?;
    Ok(home())
}

async fn housekeeper(State(app): State<App>, InPath(job): InPath<String>) -> Answer {
    operate::run(&app, &job).await?;
    // The job's name is one of two words by now.
    Ok(Redirect::to(&format!("/?done={job}")))
}
