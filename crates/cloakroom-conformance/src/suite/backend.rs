use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::SessionStore;
use libtest_mimic::Trial;

use super::missing::Missing;
use super::one::groups;
use super::trial::{Options, Report, trial};
use crate::case::Tested;

type Trials = dyn FnOnce(&Arc<Options>, &Report) -> Vec<Trial>;

/// A store under test: a name, a factory, and what the suite must know besides.
///
/// The factory is called once for each case, inside the tokio runtime on which the case then runs. It
/// gives a *fresh, empty* store, or one with a key prefix, schema or database of its own, or says
/// that the service is [`Missing`]. If it panics the case has failed.
#[must_use = "a backend does nothing until `run` is called with it"]
pub struct Backend {
    options: Options,
    trials: Box<Trials>,
}

impl Backend {
    /// A backend whose cases run at once, each within 60 s, and that has no clock of its own.
    pub fn new<S, F, Fut>(name: impl Into<String>, factory: F) -> Self
    where
        S: SessionStore,
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<S, Missing>> + Send,
    {
        Self::of(name, move || {
            let made = factory();
            async { made.await.map(|store| tested(store, || None)) }
        })
    }

    /// As [`new`](Self::new), of a store whose round trips are counted, so that the cases of rule 7 can
    /// be run: the factory gives the store, and what says how many it has made since any time.
    ///
    /// [`RoundTrips`](crate::RoundTrips) counts them for any server that speaks TCP. Nobody else may use
    /// what is counted while a case runs. A count of `None` says that it cannot be told; the cases are
    /// then ignored, as they are for a backend without a count.
    pub fn counted<S, F, Fut, C>(name: impl Into<String>, factory: F) -> Self
    where
        S: SessionStore,
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(S, C), Missing>> + Send,
        C: Fn() -> Option<u64> + Send + Sync + 'static,
    {
        Self::of(name, move || {
            let made = factory();
            async { made.await.map(|(store, count)| tested(store, count)) }
        })
    }

    fn of<S, F, Fut>(name: impl Into<String>, factory: F) -> Self
    where
        S: SessionStore,
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Tested<S>, Missing>> + Send,
    {
        let factory = Arc::new(factory);
        let trials = move |options: &Arc<Options>, report: &Report| {
            groups::<S>()
                .map(|(group, case)| trial(group, case, &factory, options, report))
                .collect()
        };
        Self {
            options: Options::new(name.into()),
            trials: Box::new(trials),
        }
    }

    /// The store compares with a clock of its own (a database's), too: a caller whose `now` is ahead
    /// of it must not end or forget anybody. There are cases for that.
    pub fn own_clock(mut self) -> Self {
        self.options.own_clock = true;
        self
    }

    /// Cases run one after the other; for services that bear few connections.
    pub fn one_at_a_time(mut self) -> Self {
        self.options.serial = true;
        self
    }

    /// A case that takes longer has failed. Default: 60 s.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.options.patience = patience;
        self
    }

    pub(super) fn into_trials(self, report: &Report) -> Vec<Trial> {
        (self.trials)(&Arc::new(self.options), report)
    }
}

fn tested<S>(store: S, count: impl Fn() -> Option<u64> + Send + Sync + 'static) -> Tested<S> {
    Tested {
        store: Arc::new(store),
        count: Arc::new(count),
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
