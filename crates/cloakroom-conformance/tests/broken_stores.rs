//! The suite is itself tested: each of these stores breaks one rule, and a named case must say so.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod broken;

use broken::{Broken, Sabotage};
use cloakroom_conformance::{Op, run_case, run_counted_case};
use cloakroom_memory::MemoryStore;

/// The sound store passes the case, the sabotaged one does not.
async fn rejects<T: Sabotage>(case: &str, sabotage: T) {
    let sound = run_case(case, MemoryStore::new()).await;
    assert_eq!(sound, Ok(()), "{case}");
    let broken = Broken::new(sabotage);
    assert!(run_case(case, broken).await.is_err(), "{case} let it pass");
}

macro_rules! rejected {
    ($($test:ident: $sabotage:expr => $($case:literal),+;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                $(rejects($case, $sabotage).await;)+
            }
        )+
    };
}

rejected! {
    a_create_that_upserts: broken::UpsertingCreate =>
        "create_of_an_existing_id_says_so_and_writes_nothing",
        "of_50_who_create_one_id_one_succeeds";
    a_create_that_revives_the_ended: broken::RevivingCreate =>
        "create_of_an_ended_id_says_so_and_revives_nothing";
    a_save_that_resurrects: broken::ResurrectingSave =>
        "save_of_an_absent_row_is_gone_and_stores_nothing",
        "save_and_touch_do_not_bring_back_a_removed_row";
    a_save_that_writes_over_tombstones: broken::SaveOverTombstones =>
        "save_of_an_ended_row_brings_the_tombstone_and_changes_nothing",
        "a_save_that_meets_an_end_never_revives";
    a_save_without_a_stamp_check: broken::BlindSave =>
        "save_with_a_stale_stamp_changes_nothing",
        "a_history_is_explained_by_one_order_of_writes";
    a_save_that_checks_and_then_writes: broken::CheckThenSave =>
        "of_26_writers_on_one_stamp_one_is_saved",
        "of_26_increments_at_once_none_is_lost";
    a_save_that_compares_versions_only: broken::VersionOnly =>
        "save_compares_the_nonce";
    a_save_that_wants_rising_versions: broken::RisingVersions =>
        "versions_may_go_backward";
    a_conflict_that_brings_the_expected_stamp: broken::StaleConflict =>
        "a_conflict_brings_the_current_record";
    a_save_that_never_shortens: broken::ForwardOnlySave =>
        "save_shortens_what_a_touch_had_moved";
    a_touch_that_revives: broken::RevivingTouch =>
        "touch_does_not_revive_an_ended_row";
    a_touch_that_moves_back: broken::TouchBack =>
        "touch_never_moves_a_time_back";
    a_touch_that_changes_the_stamp: broken::StampingTouch =>
        "touch_changes_neither_stamp_nor_owner_nor_payload",
        "a_touch_is_not_told";
    a_touch_that_ignores_the_stamp: broken::BlindTouch =>
        "touch_with_another_stamp_says_moved_and_moves_nothing";
    a_body_that_is_cut_off: broken::Truncated =>
        "a_body_of_64_kib_comes_back";
    a_signed_column: broken::Signed =>
        "stamps_keep_all_their_bits";
    seconds_instead_of_milliseconds: broken::Seconds =>
        "times_come_back_to_the_millisecond";
    a_load_that_hides_the_overdue: broken::HidesOverdue =>
        "load_returns_a_row_past_its_deadline",
        "a_row_past_its_deadline_can_be_saved";
    an_end_that_asks_for_the_stamp: broken::PoliteEnd =>
        "end_asks_for_no_stamp";
    an_end_whose_last_caller_wins: broken::LastEndWins =>
        "the_first_ending_wins";
    an_end_that_forgets_no_tombstone: broken::NothingForgotten =>
        "an_ending_without_a_tombstone_forgets_an_earlier_one",
        "an_ending_without_a_tombstone_forgets_a_timeout";
    an_end_that_returns_nothing: broken::SilentEnd =>
        "end_returns_what_it_ended";
    an_expire_that_tells_twice: broken::ExpireTwice =>
        "of_many_who_expire_a_session_exactly_one_reports_it",
        "expire_returns_an_id_once";
    an_expire_without_a_recheck: broken::ExpireBlind::default() =>
        "expire_spares_what_was_touched_meanwhile",
        "a_touch_that_meets_expire_keeps_the_session_or_comes_too_late";
    an_expire_that_is_a_millisecond_early: broken::ExpireEarly =>
        "a_session_has_ended_at_the_instant_of_its_deadline";
    an_expire_without_limit: broken::ExpireAll =>
        "expire_ends_at_most_so_many";
    a_purge_without_a_recheck: broken::PurgeBlind::default() =>
        "purge_spares_what_was_touched",
        "a_touch_that_meets_purge_keeps_the_row_or_comes_too_late";
    a_purge_that_takes_the_living: broken::PurgeByDeadline =>
        "purge_spares_the_living";
    a_store_that_is_absent_when_busy: broken::BusyIsAbsent::default() =>
        "busy_is_not_absent";
    a_save_that_can_be_dropped_half_way: broken::HalfSave =>
        "a_dropped_save_stored_all_or_nothing";
    a_dropped_read_that_answers_the_next: broken::UnreadReply::default() =>
        "a_dropped_read_leaves_nothing_for_the_next_to_read";
    a_list_that_forgets_after_a_refused_save: broken::ForgetfulIndex::default() =>
        "a_refused_save_takes_nothing_out_of_the_list";
    a_feed_that_drops_in_silence: broken::SilentFeed::default() =>
        "a_reader_that_sleeps_hears_all_or_lost_and_blocks_nobody";
    a_feed_that_keeps_new_secrets_back: broken::DiscreetFeed::default() =>
        "a_new_secret_is_told";
    a_feed_that_misses_the_writes_of_the_former_sole_reader: broken::ForgetfulGrant::default() =>
        "a_newcomer_misses_nothing_after_what_it_reads";
    a_feed_that_tells_before_it_is_live: broken::HastyFeed =>
        "every_feed_says_live_first";
}

/// What each call counts as, before which of them the store looks, and what a case says of it.
async fn counted(case: &str, before: Option<Op>, each: u64) -> Result<(), String> {
    let (store, faults) = broken::LooksFirst::before(before);
    let count = move || Some(faults.counts().total() as u64 * each);
    let done = run_counted_case(case, store, count).await;
    done.map_err(|failed| failed.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_looks_before_it_does_something() {
    for (op, case) in [
        (Op::Create, "a_create_costs_one_round_trip"),
        (Op::Load, "a_load_costs_one_round_trip"),
        (Op::Load, "a_load_of_an_absent_row_costs_one_round_trip"),
        (Op::Peek, "a_peek_costs_one_round_trip"),
        (Op::Save, "a_save_costs_one_round_trip"),
        (Op::Touch, "a_touch_costs_one_round_trip"),
        (Op::End, "an_end_costs_two_round_trips_at_most"),
    ] {
        assert_eq!(counted(case, None, 1).await, Ok(()), "{case}");
        let broken = counted(case, Some(op), 1).await.unwrap_err();
        assert!(broken.contains("round trips, where"), "{case}: {broken}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_asks_twice_when_it_has_refused() {
    for case in [
        "a_refused_save_costs_two_round_trips_at_most",
        "a_refused_touch_costs_two_round_trips_at_most",
    ] {
        assert_eq!(counted(case, None, 2).await, Ok(()), "one more is allowed");
        let broken = counted(case, None, 3).await.unwrap_err();
        assert!(broken.contains("3 round trips"), "{case}: {broken}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_that_counts_nothing_is_told_from_a_store_that_costs_nothing() {
    let case = "a_load_costs_one_round_trip";
    let broken = counted(case, None, 0).await.unwrap_err();
    assert!(broken.contains("the count is wrong"), "{broken}");
    let uncounted = run_case(case, MemoryStore::new()).await.unwrap_err();
    assert_eq!(uncounted.to_string(), "nobody counts the round trips");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_that_does_not_exist_is_an_error() {
    let answer = run_case("no_such_case", MemoryStore::new()).await;
    assert_eq!(answer.unwrap_err().to_string(), "there is no such case");
}

/// The plain store takes no notice of the word, which it does not say that it heeds.
#[tokio::test(flavor = "multi_thread")]
async fn a_save_that_moves_the_times_that_it_shall_leave() {
    let case = "a_save_that_leaves_the_times_moves_none";
    assert_eq!(run_case(case, Broken::new(broken::TimesLeft)).await, Ok(()));
    assert!(run_case(case, MemoryStore::new()).await.is_err());
}
