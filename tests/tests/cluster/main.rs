//! Three playgrounds over one store, and a store that fails.
//!
//! Each case starts a private server. Where its program is missing the case is ignored, or failed
//! if `CLOAKROOM_REQUIRE_SERVICES` is `1`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the cases of a test without the usual harness"
)]

mod agreement;
mod backend;
mod faults;

use cloakroom_services::Requirement;
use cloakroom_tests::Node;
use libtest_mimic::{Arguments, Failed, Trial};

use crate::backend::{BACKENDS, Backend, Service};

type Case = fn(&Service) -> std::pin::Pin<Box<dyn Future<Output = ()> + '_>>;

macro_rules! cases {
    ($($module:ident::$name:ident),+ $(,)?) => {
        &[$((stringify!($name), (|service| Box::pin($module::$name(service))) as Case)),+]
    };
}

/// Over every store.
const SHARED: &[(&str, Case)] = cases![
    agreement::overlapping_writes_on_different_nodes_all_survive,
    agreement::increments_on_three_nodes_add_up,
    agreement::a_logout_on_one_node_is_refused_by_all,
    agreement::a_slow_request_on_another_node_cannot_revive_a_destroyed_session,
    agreement::a_token_replaced_on_one_node_is_superseded_on_all,
    agreement::a_planted_token_gets_nothing_from_a_login_on_another_node,
    agreement::an_owner_ends_sessions_that_live_on_other_nodes,
    agreement::a_node_that_is_killed_loses_nothing_acknowledged,
    faults::a_frozen_store_is_unavailable_and_never_anonymous_and_heals,
    faults::a_stale_copy_is_shown_read_only_while_the_store_is_frozen,
];

/// Over stores of one server, which can be killed and keep what they have.
const DURABLE: &[(&str, Case)] = cases![
    faults::a_store_that_is_killed_and_restarted_heals_and_keeps_everything,
    faults::a_store_that_is_down_at_the_start_is_a_one_line_error,
];

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for backend in BACKENDS {
        for (name, case) in SHARED {
            trials.push(trial(backend, name, *case));
        }
        if backend.durable {
            for (name, case) in DURABLE {
                trials.push(trial(backend, name, *case));
            }
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn trial(backend: &'static Backend, name: &str, case: Case) -> Trial {
    let name = format!("{}::{name}", backend.name);
    match backend.is_there() {
        Requirement::Ready(()) => Trial::test(name, move || run(backend, case)),
        Requirement::Ignored(reason) => {
            Trial::test(format!("{name} ({reason})"), || Ok(())).with_ignored_flag(true)
        }
        Requirement::Failed(reason) => Trial::test(name, move || Err(reason.into())),
    }
}

fn run(backend: &Backend, case: Case) -> Result<(), Failed> {
    let service = backend.start()?;
    tokio::runtime::Runtime::new()?.block_on(case(&service));
    Ok(())
}

/// Three nodes over the store.
async fn nodes(service: &Service) -> [Node; 3] {
    let start = async |name: &str| {
        Node::with("--store")
            .arg(service.url())
            .args("--node")
            .arg(name)
            .start()
            .await
    };
    [start("n1").await, start("n2").await, start("n3").await]
}
