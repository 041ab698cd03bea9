//! Randomised concurrent histories: several tasks do what requests do, in an order that chance
//! chooses; afterwards everything they saw must be explained by one order of the writes.

mod check;
mod run;

use std::sync::Arc;

use cloakroom_core::SessionStore;

use self::check::check;
use self::run::{Weights, run};
use crate::case::{Case, case};
use crate::seed::{VARIABLE, seed};

pub(super) fn cases<S: SessionStore>() -> Vec<Case<S>> {
    vec![
        case!(shared a_history_is_explained_by_one_order_of_writes),
        case!(shared a_history_with_dropped_calls_is_explained),
        case!(shared a_history_with_endings_revives_nobody),
    ]
}

async fn explain<S: SessionStore>(store: &Arc<S>, case: u64, weights: Weights) {
    for round in 0..3 {
        let history = run(store, seed().wrapping_add(case * 100 + round), weights).await;
        for session in &history {
            if let Err(wrong) = check(session) {
                unreachable!("{wrong} ({VARIABLE}={} repeats the choices)", seed());
            }
        }
    }
}

/// No increment is lost, no reader goes back in time, no touch is undone.
async fn a_history_is_explained_by_one_order_of_writes<S: SessionStore>(store: &Arc<S>) {
    let weights = Weights {
        increment: 8,
        load: 4,
        touch: 4,
        purge: 1,
        ..Weights::default()
    };
    explain(store, 1, weights).await;
}

/// Calls whose future is dropped at an await happened, or did not.
async fn a_history_with_dropped_calls_is_explained<S: SessionStore>(store: &Arc<S>) {
    let weights = Weights {
        increment: 6,
        load: 4,
        touch: 2,
        drop: 6,
        ..Weights::default()
    };
    explain(store, 2, weights).await;
}

/// Each session ends once, by whichever of logout and timeout came first, and stays dead.
async fn a_history_with_endings_revives_nobody<S: SessionStore>(store: &Arc<S>) {
    let weights = Weights {
        increment: 20,
        load: 12,
        touch: 8,
        drop: 4,
        shorten: 1,
        expire: 2,
        end: 1,
        purge: 1,
    };
    explain(store, 3, weights).await;
}
