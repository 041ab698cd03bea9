use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloakroom_core::SessionStore;
use libtest_mimic::{Completion, Failed, Trial};

use super::missing::Missing;
use super::one::run_on;
use crate::case::{Case, Tested};

#[derive(Debug)]
pub(super) struct Options {
    name: String,
    pub(super) own_clock: bool,
    pub(super) serial: bool,
    pub(super) patience: Duration,
    turn: Mutex<()>,
}

impl Options {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            own_clock: false,
            serial: false,
            patience: Duration::from_mins(1),
            turn: Mutex::new(()),
        }
    }
}

/// What the closing lines of a run say.
#[derive(Clone, Debug)]
pub(super) struct Report {
    /// Missing services count as failures.
    pub(super) require_services: bool,
    pub(super) gated: Arc<Mutex<Vec<String>>>,
}

impl Report {
    pub(super) fn new(require_services: bool) -> Self {
        Self {
            require_services,
            gated: Arc::default(),
        }
    }
}

/// How a case ended that did not pass.
enum Verdict {
    Missing(Missing),
    Gated(&'static str),
    Failed(String),
}

pub(super) fn trial<S, F, Fut>(
    group: &str,
    case: Case<S>,
    factory: &Arc<F>,
    options: &Arc<Options>,
    report: &Report,
) -> Trial
where
    S: SessionStore,
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Tested<S>, Missing>> + Send,
{
    let name = format!("{}::{group}::{}", options.name, case.name);
    let (factory, options) = (Arc::clone(factory), Arc::clone(options));
    let (report, shown) = (report.clone(), name.clone());
    Trial::ignorable_test(name, move || {
        let turn = options
            .serial
            .then(|| options.turn.lock().unwrap_or_else(PoisonError::into_inner));
        let verdict = perform(case, &*factory, &options);
        drop(turn);
        match verdict {
            Ok(()) => Ok(Completion::Completed),
            Err(Verdict::Missing(missing)) if report.require_services => Err(missing.into()),
            Err(Verdict::Missing(missing)) => Ok(Completion::ignored_with(missing)),
            Err(Verdict::Gated(reason)) => {
                let mut gated = report.gated.lock().unwrap_or_else(PoisonError::into_inner);
                gated.push(format!("{shown}: {reason}"));
                Ok(Completion::ignored_with(reason))
            }
            Err(Verdict::Failed(reason)) => Err(Failed::from(reason)),
        }
    })
}

/// Runs one case on a runtime of its own, on which its store is made: what a driver spawns lives
/// and dies with the case.
fn perform<S, F, Fut>(case: Case<S>, factory: &F, options: &Options) -> Result<(), Verdict>
where
    S: SessionStore,
    F: Fn() -> Fut,
    Fut: Future<Output = Result<Tested<S>, Missing>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .map_err(|error| Verdict::Failed(error.to_string()))?;
    let attempt = async {
        let tested = factory().await.map_err(Verdict::Missing)?;
        let can = tested.store.capabilities();
        let lacking = case.needs.lacking(can, options.own_clock, &*tested.count);
        if let Some(reason) = lacking {
            return Err(Verdict::Gated(reason));
        }
        let done = run_on(case, tested).await;
        done.map_err(|failed| Verdict::Failed(failed.to_string()))
    };
    let late = || Verdict::Failed(format!("no end within {:?}", options.patience));
    let verdict = runtime.block_on(async {
        tokio::time::timeout(options.patience, attempt)
            .await
            .unwrap_or_else(|_| Err(late()))
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    verdict
}
