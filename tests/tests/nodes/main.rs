//! Three playgrounds over one store: that they agree, what each of them must know of the others, what a
//! request costs, and that nothing is lost or forgotten while connections and servers fail.
//!
//! Each case starts a private server. Where its program is missing the case is ignored, or failed if
//! `CLOAKROOM_REQUIRE_SERVICES` is `1`. `CLOAKROOM_HISTORY_SECONDS` lengthens the random histories.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the cases of a test without the usual harness"
)]

mod admin;
mod agreement;
mod at_once;
mod broken;
mod costs;
mod failover;
mod faults;
mod history;
mod look;
mod names;
mod pushed;
mod since;
mod stores;

use std::pin::Pin;
use std::time::Duration;

use cloakroom_services::Requirement;
use cloakroom_tests::{Client, Node};
use libtest_mimic::{Arguments, Failed, Trial};

use crate::stores::{CLUSTER, Kind, MARIADB, POSTGRES, REDIS, Running, SENTINEL, SQLITE};

/// Longer than any case may take on a busy machine.
const LIMIT: Duration = Duration::from_mins(3);

/// The stores that a case is for, its name, and what it does.
type Listed = (&'static [Kind], &'static str, Case);

type Case = fn(&Running) -> Pin<Box<dyn Future<Output = ()> + '_>>;

macro_rules! over {
    ($kinds:expr, $($module:ident::$name:ident),+ $(,)?) => {
        [$((
            &$kinds as &[Kind],
            stringify!($name),
            (|store| Box::pin($module::$name(store))) as Case,
        )),+]
    };
}

fn main() {
    let arguments = Arguments::from_args();
    let all = agreement().into_iter().chain(redis()).chain(databases());
    let trials =
        all.flat_map(|(kinds, name, case)| kinds.iter().map(move |kind| trial(*kind, name, case)));
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// Nodes that agree, and a store that fails.
fn agreement() -> Vec<Listed> {
    [
        &over!(
            [REDIS, CLUSTER, SENTINEL, POSTGRES, MARIADB],
            agreement::overlapping_writes_on_different_nodes_all_survive,
            agreement::increments_on_three_nodes_add_up,
            agreement::a_logout_on_one_node_is_refused_by_all,
            faults::a_frozen_store_is_unavailable_and_never_anonymous_and_heals,
        ) as &[_],
        &over!(
            [REDIS, CLUSTER, POSTGRES, MARIADB],
            agreement::a_slow_request_on_another_node_cannot_revive_a_destroyed_session,
            agreement::a_token_replaced_on_one_node_is_superseded_on_all,
            agreement::a_planted_token_gets_nothing_from_a_login_on_another_node,
            agreement::an_owner_ends_sessions_that_live_on_other_nodes,
            agreement::a_node_that_is_killed_loses_nothing_acknowledged,
            faults::a_stale_copy_is_shown_read_only_while_the_store_is_frozen,
            faults::a_store_that_is_killed_and_restarted_heals_and_keeps_everything,
            faults::a_store_that_is_down_at_the_start_is_a_one_line_error,
        ) as &[_],
    ]
    .concat()
}

/// Sentinel, a cluster, the feed and the costs of Redis.
fn redis() -> Vec<Listed> {
    [
        &over!(
            [SENTINEL],
            failover::a_master_that_dies_is_replaced_and_nobody_is_forgotten,
            failover::a_replaced_master_that_is_still_there_is_left,
        ) as &[_],
        &over!(
            [REDIS],
            costs::a_request_sends_the_fewest_commands_that_can_be,
            costs::a_copy_that_is_verified_costs_one_look,
            costs::a_thousand_reads_touch_once_in_an_interval,
            broken::a_feed_that_breaks_shows_nothing_old_and_comes_back,
            broken::connections_that_break_lose_no_increment,
        ) as &[_],
        &over!(
            [REDIS, CLUSTER, SENTINEL],
            pushed::a_logout_is_refused_by_all_within_milliseconds,
            pushed::a_revoked_session_is_refused_by_all,
        ) as &[_],
        &over!(
            [CLUSTER],
            broken::a_lost_part_of_a_cluster_is_never_taken_for_empty
        ) as &[_],
    ]
    .concat()
}

/// What databases do, and the random histories.
fn databases() -> Vec<Listed> {
    [
        &over!(
            [POSTGRES],
            pushed::an_ending_is_pushed_though_copies_may_be_old,
        ) as &[_],
        &over!(
            [POSTGRES, MARIADB, SQLITE],
            at_once::a_write_is_read_by_all_at_once,
            at_once::a_logout_is_refused_by_all_at_once,
            at_once::a_replaced_token_is_refused_by_all_at_once,
            at_once::a_revoked_session_is_refused_by_all_at_once,
        ) as &[_],
        &over!(
            [POSTGRES, MARIADB, SQLITE],
            names::two_tables_are_two_stores
        ) as &[_],
        &over!([POSTGRES], names::a_table_lies_in_the_schema_that_was_named),
        &over!(
            [REDIS, CLUSTER, POSTGRES, SQLITE],
            at_once::increments_of_a_few_sessions_add_up,
        ) as &[_],
        &over!(
            [REDIS, CLUSTER, POSTGRES],
            history::a_random_history_with_faults_is_true
        ) as &[_],
    ]
    .concat()
}

fn trial(kind: Kind, name: &str, case: Case) -> Trial {
    let name = format!("{}::{name}", kind.name);
    match kind.is_there() {
        Requirement::Ready(_) => Trial::test(name, move || run(kind, case)),
        Requirement::Ignored(reason) => {
            Trial::test(format!("{name} ({reason})"), || Ok(())).with_ignored_flag(true)
        }
        Requirement::Failed(reason) => Trial::test(name, move || Err(reason.into())),
    }
}

fn run(kind: Kind, case: Case) -> Result<(), Failed> {
    let store = kind.start()?;
    let done = async { tokio::time::timeout(LIMIT, case(&store)).await };
    let done = tokio::runtime::Runtime::new()?.block_on(done);
    done.map_err(|_| "it does not come to an end".into())
}

/// A client with a stored session.
async fn stored(node: &Node) -> Client {
    let client = node.client();
    let answer = client.put("/api/data/colour", "\"red\"").await;
    answer.assert_status(204);
    client
}
