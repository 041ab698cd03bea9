//! The page for people, and what it loads.

use std::time::Duration;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use cloakroom::{Clock as _, Session, SystemClock, Timeout, Timestamp};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use http::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::{owner, session};
use crate::answer::ApiError;
use crate::app::App;
use crate::extract::Current;
use crate::journal::{self, Journal};
use crate::page::{self, Deadline, LastRequest, OwnSession, View};

/// Nothing but the page's own style and script, and nobody may frame it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/", get(show))
        .route(
            "/page.css",
            get(async || asset("text/css; charset=utf-8", page::STYLE)),
        )
        .route(
            "/page.js",
            get(async || asset("text/javascript; charset=utf-8", page::SCRIPT)),
        )
}

fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")], text)
}

/// What the last form said.
#[derive(Deserialize)]
struct Said {
    error: Option<String>,
    done: Option<String>,
}

async fn show(
    State(app): State<App>,
    said: Result<Query<Said>, QueryRejection>,
    current: Result<Current, ApiError>,
) -> Response {
    let drawn = match current {
        Ok(Current(session)) => view(&app, &session, said.ok().map(|Query(said)| said)).await,
        Err(error) => Err(error),
    };
    match drawn {
        Ok(view) => with_policy(Html(page::whole(&view)).into_response()),
        Err(error) => {
            let page = Html(page::problem(error.kind));
            with_policy(error.with(page))
        }
    }
}

pub(super) fn with_policy(mut response: Response) -> Response {
    let headers: [(HeaderName, &str); 3] = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "same-origin"),
        (CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in headers {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn view(app: &App, session: &Session, said: Option<Said>) -> Result<View, ApiError> {
    let attributes = session::data(session)?
        .into_iter()
        .map(|(name, value)| (name, value.get().to_owned()))
        .collect();
    let own_sessions = match session.owner() {
        Some(_) => Some(own_sessions(app, session).await?),
        None => None,
    };
    Ok(View {
        notice: said.and_then(notice),
        node: app.node.as_deref().map(str::to_owned),
        cookies: app.cookies,
        presented: session.presented().as_str(),
        ended_reason: session::ended_reason(session),
        id: session.id().map(|id| id.to_string()),
        owner: session.owner().map(|owner| owner.to_string()),
        created_at: session.created_at().map(|at| at.to_string()),
        last_used_at: session.last_used_at().map(|at| at.to_string()),
        deadline: session.expires_at().map(|at| Deadline {
            at: at.to_string(),
            left: left(at),
        }),
        latest: session.absolute_deadline().map(|at| at.to_string()),
        idle: match session.idle_timeout() {
            Timeout::Disabled => "disabled".into(),
            Timeout::Never => "never".into(),
            Timeout::After(after) => cloakroom::text::format_duration(after),
        },
        is_stale: session.is_stale(),
        attributes,
        origin: journal::origin_words(session.origin()),
        last: session.id().and_then(|id| last_request(&app.journal, id)),
        own_sessions,
    })
}

fn left(at: Timestamp) -> Duration {
    at.since(SystemClock::default().now())
}

fn last_request(journal: &Journal, id: cloakroom::SessionId) -> Option<LastRequest> {
    let entry = journal.last(id)?;
    Some(LastRequest {
        request: entry.request(),
        origin: entry.origin(),
        effects: entry.effects,
    })
}

async fn own_sessions(app: &App, session: &Session) -> Result<Vec<OwnSession>, ApiError> {
    let rows = owner::rows(&app.manager, session).await?;
    let sessions = rows.into_iter().map(|row| OwnSession {
        id: row.id.to_string(),
        created_at: row.created_at,
        last_used_at: row.last_used_at,
        current: row.current,
    });
    Ok(sessions.collect())
}

/// Only what a form of ours says: whoever makes a link must not make the page speak.
fn notice(said: Said) -> Option<String> {
    let known = |word: &String, words: &[&str]| words.contains(&word.as_str());
    let failed = said.error.filter(|kind| known(kind, ApiError::KINDS));
    let done = said.done.filter(|job| known(job, &["poll", "purge"]));
    match (failed, done) {
        (Some(kind), _) => Some(format!("That did not work: {kind}.")),
        (None, Some(done)) => Some(format!("Done: {done}.")),
        (None, None) => None,
    }
}
