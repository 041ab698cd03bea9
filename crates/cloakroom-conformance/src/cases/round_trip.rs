//! What is stored comes back: every field, at its limits, through every call that returns a record.

use cloakroom_core::{Owner, Record, SessionId, SessionStore, Timestamp};

use crate::case::{Case, Needs, case};
use crate::sample::{
    caller_now, create, end, live, load, now, owned, owner, put, saved, successor, tombstone,
};

pub(super) fn cases<S: SessionStore>() -> Vec<Case<S>> {
    vec![
        case!(an_empty_head_and_body_come_back_empty),
        case!(every_byte_comes_back),
        case!(a_body_of_64_kib_comes_back if Needs::Bytes(66_000)),
        case!(a_body_of_a_mebibyte_comes_back if Needs::Bytes(1_049_000)),
        case!(owners_come_back_exactly),
        case!(no_owner_is_not_an_empty_one),
        case!(times_come_back_to_the_millisecond),
        case!(times_at_their_limits_come_back),
        case!(a_time_to_be_forgotten_in_the_past_comes_back if Needs::Search),
        case!(ids_at_their_limits_are_ids),
        case!(ids_that_differ_in_one_bit_are_different),
    ]
}

/// Through `create` and `load`, `save` and `load`, and `end`.
async fn comes_back<S: SessionStore>(store: &S, record: &Record) {
    let id = put(store, record).await;
    assert_same(load(store, id).await, record);
    let before = live();
    let other = put(store, &before).await;
    saved(store, other, record, before.stamp).await;
    assert_same(load(store, other).await, record);
    let ended = end(store, other, Some(&tombstone(record))).await;
    assert_same(ended, record);
}

/// As `assert_eq`, without printing a mebibyte.
fn assert_same(stored: Option<Record>, record: &Record) {
    let stored = stored.expect("a record");
    assert_eq!(stored.stamp, record.stamp);
    assert_eq!(stored.state, record.state);
    assert_eq!(stored.owner, record.owner);
    assert_eq!(stored.times, record.times);
    assert_eq!(stored.head.len(), record.head.len(), "length of the head");
    assert_eq!(stored.body.len(), record.body.len(), "length of the body");
    assert!(stored.head == record.head, "the head differs");
    assert!(stored.body == record.body, "the body differs");
}

/// Empty is not null.
async fn an_empty_head_and_body_come_back_empty<S: SessionStore>(store: &S) {
    for (head, body) in [(vec![], vec![]), (vec![1], vec![]), (vec![], vec![1])] {
        let mut record = live();
        (record.head, record.body) = (head, body);
        comes_back(store, &record).await;
    }
}

/// NUL, line ends, quotes, invalid UTF-8: bytes are bytes.
async fn every_byte_comes_back<S: SessionStore>(store: &S) {
    let mut record = live();
    record.head = (0..=255).collect();
    record.body = (0..=255).rev().cycle().take(1_000).collect();
    comes_back(store, &record).await;
    record.stamp = record.stamp.next();
    record.head = b"\r\n'\"\\;--%s\0\xc3\x28\xff".to_vec();
    record.body = vec![0; 300];
    comes_back(store, &record).await;
}

fn large(bytes: usize) -> Record {
    let mut record = live();
    record.body = (0..bytes)
        .map(|n| (n.wrapping_mul(31) >> 3).to_le_bytes()[0])
        .collect();
    record
}

/// Where small text and blob types end.
async fn a_body_of_64_kib_comes_back<S: SessionStore>(store: &S) {
    for bytes in [65_535, 65_536, 65_537] {
        comes_back(store, &large(bytes)).await;
    }
}

/// Larger than one network packet.
async fn a_body_of_a_mebibyte_comes_back<S: SessionStore>(store: &S) {
    comes_back(store, &large(1 << 20)).await;
}

/// Up to 255 bytes of any text, without folding of case, accents or blanks.
async fn owners_come_back_exactly<S: SessionStore>(store: &S) {
    let names = [
        "a".to_owned(),
        "a".repeat(255),
        "é".repeat(127),
        "e\u{301}".to_owned(),
        "🧥".repeat(63),
        " ada ".to_owned(),
        "Ada".to_owned(),
        "aDA'; --".to_owned(),
        "a:b/c{d}*".to_owned(),
        "\u{202e}rtl".to_owned(),
    ];
    for name in names {
        let owner = Owner::new(name).expect("the name is valid");
        comes_back(store, &owned(&owner)).await;
    }
}

/// `None` stays `None`, also after there was one.
async fn no_owner_is_not_an_empty_one<S: SessionStore>(store: &S) {
    let first = owned(&owner("ada"));
    let id = put(store, &first).await;
    let mut second = successor(&first);
    second.owner = None;
    saved(store, id, &second, first.stamp).await;
    assert_eq!(load(store, id).await, Some(second));
}

/// Milliseconds are neither rounded nor shifted by a time zone.
async fn times_come_back_to_the_millisecond<S: SessionStore>(store: &S) {
    for millis in [1, 9, 10, 499, 500, 501, 999] {
        let mut record = live();
        let second = now().as_millis() / 1_000 * 1_000 + 10_000_000;
        let at = Timestamp::from_millis(second + millis);
        record.times.used_at = at;
        record.times.deadline = Some(at);
        record.times.expires_at = Some(at);
        comes_back(store, &record).await;
    }
}

/// From 1970 to the year 9999, and never.
async fn times_at_their_limits_come_back<S: SessionStore>(store: &S) {
    for used_at in [Timestamp::EPOCH, caller_now(), Timestamp::MAX] {
        for deadline in [None, Some(Timestamp::EPOCH), Some(Timestamp::MAX)] {
            for expires_at in [None, Some(Timestamp::MAX)] {
                let mut record = live();
                record.times.used_at = used_at;
                record.times.deadline = deadline;
                record.times.expires_at = expires_at;
                comes_back(store, &record).await;
            }
        }
    }
}

/// Without native expiry a row stays until somebody purges it.
async fn a_time_to_be_forgotten_in_the_past_comes_back<S: SessionStore>(store: &S) {
    for at in [Timestamp::EPOCH, Timestamp::from_millis(1), caller_now()] {
        let mut record = live();
        record.times.deadline = Some(at);
        record.times.expires_at = Some(at);
        comes_back(store, &record).await;
    }
}

/// All 128 bits, whether or not they are a valid UUID.
async fn ids_at_their_limits_are_ids<S: SessionStore>(store: &S) {
    for byte in [0, 0x7f, 0x80, 0xff, b'\'', b' ', b'\n'] {
        let id = SessionId::from_bytes([byte; 16]);
        let record = live();
        create(store, id, &record).await;
        assert_eq!(load(store, id).await, Some(record));
    }
}

/// No bit of an id is ignored, whatever it looks like as text.
async fn ids_that_differ_in_one_bit_are_different<S: SessionStore>(store: &S) {
    let bits = 0x0061_4142_0000_7f80_00ff_2020_0a0d_2041_u128;
    let id = SessionId::from_bytes(bits.to_be_bytes());
    put_at(store, id).await;
    for bit in 0..128 {
        let other = SessionId::from_bytes((bits ^ (1 << bit)).to_be_bytes());
        assert_eq!(load(store, other).await, None, "bit {bit}");
        put_at(store, other).await;
    }
}

async fn put_at<S: SessionStore>(store: &S, id: SessionId) {
    let record = live();
    create(store, id, &record).await;
    assert_eq!(load(store, id).await, Some(record));
}
