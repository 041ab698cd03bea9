//! No request has a body over the limit, on whatever route: it is refused before any handler runs.

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;

use crate::answer::ApiError;

/// The greatest body, in bytes.
const LIMIT: usize = 2 << 20;

/// How much of a body that is too long is read and thrown away, so that a client which sends before
/// it listens gets the answer instead of a reset connection.
const DRAIN_LIMIT: usize = 64 << 20;

/// Refuses a body over the limit. One that says its length is not read here, and most requests have
/// none at all: only one of unknown length is, since its route may not look at it.
pub(crate) async fn limited(request: Request, next: Next) -> Response {
    let size = request.body().size_hint();
    let (least, most) = (size.lower(), size.upper());
    let limit = LIMIT as u64;
    if most.is_some_and(|most| most <= limit) {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    if least > limit {
        drain(body).await;
        return ApiError::TOO_LARGE.into_response();
    }
    match read(body).await {
        Ok(body) => next.run(Request::from_parts(head, body.into())).await,
        Err(error) => error.into_response(),
    }
}

async fn read(mut body: Body) -> Result<Vec<u8>, ApiError> {
    let mut kept = Vec::new();
    while let Some(data) = more(&mut body).await? {
        if kept.len() + data.len() > LIMIT {
            drain(body).await;
            return Err(ApiError::TOO_LARGE);
        }
        kept.extend_from_slice(&data);
    }
    Ok(kept)
}

/// The next piece of a body; empty for what is no data.
async fn more(body: &mut Body) -> Result<Option<Bytes>, ApiError> {
    match body.frame().await {
        None => Ok(None),
        Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
        Some(Err(_)) => Err(ApiError::BAD_REQUEST),
    }
}

async fn drain(mut body: Body) {
    let mut seen = 0_usize;
    while let Ok(Some(data)) = more(&mut body).await {
        seen = seen.saturating_add(data.len());
        if seen > DRAIN_LIMIT {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_of_exactly_the_limit_is_read_and_one_byte_more_is_not() {
        let body = read(Body::from(vec![b' '; LIMIT])).await.unwrap();
        assert_eq!(body.len(), LIMIT);
        let refused = read(Body::from(vec![b' '; LIMIT + 1])).await;
        assert_eq!(refused, Err(ApiError::TOO_LARGE));
    }
}
