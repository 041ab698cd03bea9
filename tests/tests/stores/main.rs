//! The scenarios of the layer over every store that has a driver.
//!
//! They are the functions of `crates/cloakroom/tests/scenarios`, where they run over the memory
//! store: that crate must not know a driver. Each test has a table or a key prefix of its own on a
//! server that all share. Where its program is missing the test is ignored, or failed if
//! `CLOAKROOM_REQUIRE_SERVICES` is `1`; a scenario that a store cannot show is ignored with the
//! reason that stands behind its name.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the cases of a test without the usual harness"
)]

/// The scenarios of a file, for [`trials`].
macro_rules! scenarios {
    ($($name:ident $(: $terms:ident($given:literal))?),+ $(,)?) => {
        pub(crate) const ALL: &[crate::Scenario] = &[$(
            crate::Scenario {
                name: stringify!($name),
                terms: &[$(crate::terms::$terms($given))?],
                run: |home| Box::pin($name(home)),
            }
        ),+];
    };
}

/// The files of scenarios, and all that they hold.
macro_rules! files {
    ($($file:ident = $path:literal),+ $(,)?) => {
        $(#[path = $path] mod $file;)+

        const FILES: &[(&str, &[Scenario])] = &[$((stringify!($file), $file::ALL)),+];
    };
}

#[path = "../../../crates/cloakroom/tests/scenarios/harness.rs"]
mod harness;
mod home;
mod kind;
#[path = "../../../crates/cloakroom/tests/scenarios/logs.rs"]
mod logs;
mod store;
#[path = "../../../crates/cloakroom/tests/support/mod.rs"]
mod support;
mod terms;

files! {
    after_head = "../../../crates/cloakroom/tests/scenarios/after_head.rs",
    attributes = "../../../crates/cloakroom/tests/scenarios/attributes.rs",
    candidates = "../../../crates/cloakroom/tests/scenarios/candidates.rs",
    commit = "../../../crates/cloakroom/tests/scenarios/commit.rs",
    cookies = "../../../crates/cloakroom/tests/scenarios/cookies.rs",
    failure = "../../../crates/cloakroom/tests/scenarios/failure.rs",
    late = "../../../crates/cloakroom/tests/scenarios/late.rs",
    layers = "../../../crates/cloakroom/tests/scenarios/layers.rs",
    login = "../../../crates/cloakroom/tests/scenarios/login.rs",
    owner = "../../../crates/cloakroom/tests/scenarios/owner.rs",
    renew = "../../../crates/cloakroom/tests/scenarios/renew.rs",
    rollback = "../../../crates/cloakroom/tests/scenarios/rollback.rs",
    seeds = "../../../crates/cloakroom/tests/scenarios/seeds.rs",
    time = "../../../crates/cloakroom/tests/scenarios/time.rs",
    tokens = "../../../crates/cloakroom/tests/scenarios/tokens.rs",
    transaction = "../../../crates/cloakroom/tests/scenarios/transaction.rs",
    unreadable = "../../../crates/cloakroom/tests/scenarios/unreadable.rs",
}

use std::pin::Pin;
use std::time::Duration;

use cloakroom_services::{Requirement, require};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::home::Home;
use crate::kind::{KINDS, Kind};
use crate::terms::Terms;

/// Longer than any scenario may take on a busy machine.
const LIMIT: Duration = Duration::from_mins(1);

type Run = fn(&Home) -> Pin<Box<dyn Future<Output = ()> + '_>>;

struct Scenario {
    name: &'static str,
    /// None, or one.
    terms: &'static [Terms],
    run: Run,
}

fn main() {
    let arguments = Arguments::from_args();
    let trials = KINDS.iter().flat_map(trials).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

fn trials(kind: &'static Kind) -> impl Iterator<Item = Trial> {
    FILES.iter().flat_map(move |(file, scenarios)| {
        scenarios.iter().map(move |scenario| {
            let name = format!("{}::{file}::{}", kind.name, scenario.name);
            Trial::ignorable_test(name, move || run(kind, scenario))
        })
    })
}

fn run(kind: &Kind, scenario: &Scenario) -> Result<Completion, Failed> {
    let terms = scenario.terms.first();
    if let Some(why) = terms.and_then(|terms| terms.shut_out(kind)) {
        return Ok(Completion::ignored_with(why));
    }
    let url = match require((kind.url)()) {
        Requirement::Ready(url) => url,
        Requirement::Ignored(reason) => return Ok(Completion::ignored_with(reason)),
        Requirement::Failed(reason) => return Err(reason.into()),
    };
    // As `#[tokio::test]` has it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(async {
        tokio::time::timeout(LIMIT, async {
            let ago = terms.and_then(Terms::ago);
            let home = Home::new(kind, &url, ago.unwrap_or_default()).await;
            (scenario.run)(&home).await;
        })
        .await
    });
    done.map_err(|_| Failed::from("it does not come to an end"))?;
    Ok(Completion::Completed)
}
