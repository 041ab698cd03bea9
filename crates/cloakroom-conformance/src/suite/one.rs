use std::fmt;
use std::sync::Arc;

use cloakroom_core::SessionStore;

use crate::case::{Case, Needs, Tested};
use crate::cases;

/// Runs one case, named with or without its group, against a store; on a multi-threaded tokio
/// runtime. For tests of the suite, and for debugging a store outside it.
///
/// # Errors
///
/// [`CaseFailed`] if the store breaks the rule, or there is no such case.
///
/// ```
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
/// use cloakroom_conformance::run_case;
/// use cloakroom_memory::MemoryStore;
///
/// run_case("save_replaces_every_field", MemoryStore::new()).await.unwrap();
/// # });
/// ```
pub async fn run_case<S: SessionStore>(name: &str, store: S) -> Result<(), CaseFailed> {
    run_counted_case(name, store, || None).await
}

/// As [`run_case`], of a store whose round trips are counted; see [`Backend::counted`].
///
/// # Errors
///
/// [`CaseFailed`] if the store breaks the rule, there is no such case, or it is about round trips and
/// they are not counted.
///
/// ```
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
/// use cloakroom_conformance::{FaultyStore, run_counted_case};
/// use cloakroom_memory::MemoryStore;
///
/// // Each call counts as one.
/// let (store, faults) = FaultyStore::new(MemoryStore::new());
/// let count = move || Some(faults.counts().total() as u64);
/// run_counted_case("a_load_costs_one_round_trip", store, count).await.unwrap();
/// # });
/// ```
///
/// [`Backend::counted`]: super::Backend::counted
pub async fn run_counted_case<S: SessionStore>(
    name: &str,
    store: S,
    count: impl Fn() -> Option<u64> + Send + Sync + 'static,
) -> Result<(), CaseFailed> {
    let (_, case) = groups::<S>()
        .find(|(group, case)| case.name == name || format!("{group}::{}", case.name) == name)
        .ok_or_else(|| CaseFailed("there is no such case".to_owned()))?;
    if matches!(case.needs, Needs::RoundTrips) && count().is_none() {
        return Err(CaseFailed("nobody counts the round trips".to_owned()));
    }
    let tested = Tested {
        store: Arc::new(store),
        count: Arc::new(count),
    };
    run_on(case, tested).await
}

/// Runs a case on a task of its own, so that a panic is an answer.
pub(super) async fn run_on<S: SessionStore>(
    case: Case<S>,
    tested: Tested<S>,
) -> Result<(), CaseFailed> {
    let task = tokio::spawn(async move { (case.run)(&tested).await });
    match task.await {
        Ok(()) => Ok(()),
        Err(error) => {
            let panic = error.into_panic();
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            Err(CaseFailed(text.unwrap_or("panicked").to_owned()))
        }
    }
}

pub(super) fn groups<S: SessionStore>() -> impl Iterator<Item = (&'static str, Case<S>)> {
    cases::all()
        .into_iter()
        .flat_map(|(group, cases)| cases.into_iter().map(move |case| (group, case)))
}

/// A store broke the rule of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseFailed(String);

impl fmt::Display for CaseFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CaseFailed {}
