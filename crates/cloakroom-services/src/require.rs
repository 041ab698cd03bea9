//! What a missing service means for a test: ignored, or failed.

use crate::Error;

/// The environment variable that turns a missing service from *ignored* into *failed*; `1` in `cargo xtask test` and in CI.
pub const REQUIRE_VARIABLE: &str = "CLOAKROOM_REQUIRE_SERVICES";

/// What a test does with a service: use it, be ignored with a reason, or fail with one.
#[derive(Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a test harness has these three answers and must give one"
)]
pub enum Requirement<T> {
    /// Here it is.
    Ready(T),
    /// The service is not installed, and nobody said that it must be: report the test as ignored, with this reason (it
    /// holds the command that installs the service).
    Ignored(String),
    /// The service must be there, or is there and does not work: report the test as failed, with this reason.
    Failed(String),
}

/// Says what the outcome of a start, a search or a [`shared`](crate::shared) URL means for a test.
///
/// A missing service is ignored, unless [`REQUIRE_VARIABLE`] is `1` and the service is one that every Debian release has. A service
/// that is installed and fails is always a failure.
pub fn require<T>(result: Result<T, Error>) -> Requirement<T> {
    decide(
        result,
        std::env::var_os(REQUIRE_VARIABLE).is_some_and(|value| value == "1"),
    )
}

fn decide<T>(result: Result<T, Error>, required: bool) -> Requirement<T> {
    match result {
        Ok(service) => Requirement::Ready(service),
        Err(Error::Missing(missing)) if !required || missing.is_optional() => {
            Requirement::Ignored(missing.to_string())
        }
        Err(error) => Requirement::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Failure, Missing};

    const MISSING: Missing = Missing::new("Redis", "redis-server", &["redis-server"]);

    fn answer(error: impl Into<Error>, required: bool) -> &'static str {
        match decide::<()>(Err(error.into()), required) {
            Requirement::Ready(()) => "ready",
            Requirement::Ignored(_) => "ignored",
            Requirement::Failed(_) => "failed",
        }
    }

    #[test]
    fn a_missing_service_is_ignored_until_it_is_required() {
        assert_eq!(answer(MISSING, false), "ignored");
        assert_eq!(answer(MISSING, true), "failed");
    }

    #[test]
    fn an_optional_service_is_never_required() {
        assert_eq!(answer(MISSING.optional(), true), "ignored");
    }

    #[test]
    fn a_service_that_is_there_and_broken_is_never_ignored() {
        assert_eq!(answer(Failure::new("Redis", "ended"), false), "failed");
    }
}
