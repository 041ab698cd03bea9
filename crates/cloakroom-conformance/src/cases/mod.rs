//! The cases, grouped by the rules of the contract; see `docs/store-contract.md`.

mod histories;
mod increments;
mod owner_index;
mod races;
mod round_trip;
mod rule_01_no_upsert;
mod rule_02_save;
mod rule_03_touch;
mod rule_04_end;
mod rule_05_lost_reply;
mod rule_06_stamps;
mod rule_07_round_trips;
mod rule_08_liveness;
mod rule_09_expire;
mod rule_09_expire_search;
mod rule_09_purge;
mod rule_10_dropped;
mod rule_11_errors;
mod rule_12_feed;

use cloakroom_core::SessionStore;

use crate::case::Case;

/// Every case there is, with the name of its group.
pub(crate) fn all<S: SessionStore>() -> Vec<(&'static str, Vec<Case<S>>)> {
    vec![
        ("rule_01_no_upsert", rule_01_no_upsert::cases()),
        ("rule_02_save", rule_02_save::cases()),
        ("rule_03_touch", rule_03_touch::cases()),
        ("rule_04_end", rule_04_end::cases()),
        ("rule_05_lost_reply", rule_05_lost_reply::cases()),
        ("rule_06_stamps", rule_06_stamps::cases()),
        ("rule_07_round_trips", rule_07_round_trips::cases()),
        ("rule_08_liveness", rule_08_liveness::cases()),
        ("rule_09_expire", rule_09_expire::cases()),
        ("rule_09_expire_search", rule_09_expire_search::cases()),
        ("rule_09_purge", rule_09_purge::cases()),
        ("rule_10_dropped", rule_10_dropped::cases()),
        ("rule_11_errors", rule_11_errors::cases()),
        ("rule_12_feed", rule_12_feed::cases()),
        ("round_trip", round_trip::cases()),
        ("owner_index", owner_index::cases()),
        ("increments", increments::cases()),
        ("races", races::cases()),
        ("histories", histories::cases()),
    ]
}
