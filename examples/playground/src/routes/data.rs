//! Attributes: read, set, remove, clear, and add to a number.

use axum::Json;
use cloakroom::Session;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::answer::ApiError;
use crate::extract::{AnyJson, Current, InPath, Key, Shape};

pub(super) async fn get(
    InPath(key): InPath<Key>,
    Current(session): Current,
) -> Result<Json<Box<RawValue>>, ApiError> {
    session
        .get(key.as_str())?
        .map(Json)
        .ok_or(ApiError::NOT_FOUND)
}

pub(super) async fn put(
    InPath(key): InPath<Key>,
    Current(session): Current,
    AnyJson(value): AnyJson,
) -> Result<StatusCode, ApiError> {
    session.insert(key.as_str(), &value)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn remove(
    InPath(key): InPath<Key>,
    Current(session): Current,
) -> Result<StatusCode, ApiError> {
    session.remove(key.as_str())?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn clear(Current(session): Current) -> Result<StatusCode, ApiError> {
    session.clear()?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
pub(super) struct Addend {
    by: i64,
}

#[derive(Serialize)]
pub(super) struct Sum {
    value: i64,
}

pub(super) async fn add(
    InPath(key): InPath<Key>,
    Current(session): Current,
    Shape(Addend { by }): Shape<Addend>,
) -> Result<Json<Sum>, ApiError> {
    add_to(&session, &key, by)
        .await
        .map(|value| Json(Sum { value }))
}

/// There is no sum of these.
#[derive(Debug)]
struct NoSum;

/// Adds, commits, and returns what was stored. The closure runs again over what others have written
/// meanwhile, so that no addition is lost.
pub(super) async fn add_to(session: &Session, key: &Key, by: i64) -> Result<i64, ApiError> {
    session
        .try_update(key.as_str(), move |old: Option<Box<RawValue>>| {
            sum(old.as_deref(), by)
        })?
        .map_err(|NoSum| ApiError::BAD_REQUEST)?;
    session.commit().await?;
    session.get(key.as_str())?.ok_or(ApiError::NOT_FOUND)
}

fn sum(old: Option<&RawValue>, by: i64) -> Result<Box<RawValue>, NoSum> {
    let old: i64 = match old {
        None => 0,
        Some(old) => serde_json::from_str(old.get()).map_err(|_| NoSum)?,
    };
    let sum = old.checked_add(by).ok_or(NoSum)?;
    serde_json::value::to_raw_value(&sum).map_err(|_| NoSum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum_of(old: Option<&str>, by: i64) -> Option<String> {
        let old = old.map(|text| RawValue::from_string(text.into()).unwrap());
        sum(old.as_deref(), by).ok().map(|raw| raw.get().to_owned())
    }

    #[test]
    fn only_integers_have_a_sum_and_it_never_wraps() {
        assert_eq!(sum_of(None, 5).as_deref(), Some("5"));
        assert_eq!(sum_of(Some("-7"), 5).as_deref(), Some("-2"));
        for other in ["1.0", "1e3", "\"1\"", "null", "[1]", "9223372036854775808"] {
            assert_eq!(sum_of(Some(other), 1), None, "{other}");
        }
        assert_eq!(sum_of(Some("9223372036854775807"), 1), None);
        assert_eq!(sum_of(Some("-9223372036854775808"), -1), None);
    }
}
