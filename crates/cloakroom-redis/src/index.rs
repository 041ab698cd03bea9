//! The index of an owner's sessions.
//!
//! It lies under other keys than the rows, on a cluster in another slot too, so that the two cannot
//! be written as one. The entry goes first; a row without one never exists. An entry without a row
//! is harmless: `owned_by` is a superset.
//!
//! An index is one sorted set of equal scores, so in the order of its members: each is a session's id
//! and, in eight more bytes, until when the entry is kept, which the row repeats. The key expires with
//! the furthest of them, and what is met past its time is removed: no expiry event is needed. That
//! time lies one lifetime of the session further ahead than the row's own `expires_at`, so that
//! only a session which has been used for that long has to renew its entry: then, and when the owner
//! changes, a save or touch is refused by its script, the entry is made, and the call is sent
//! again with the entry's new time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cloakroom_core::{Owner, Page, SessionId, Stamp, StoreError, Times};
use tokio::time::Instant;

use crate::keys::Keys;
use crate::reply::Reply;
use crate::script::{self, Call};
use crate::wire::Wire;

/// From here on it means "never": no time is that late, and a double still counts by ones.
const NEVER: u64 = 1 << 52;

/// How many entries of sessions without an end one listing looks at.
const SWEPT: usize = 8;

/// Entries whose id is younger, and twice the command timeout, are not looked at: their row may be still to come.
const YOUNG: Duration = Duration::from_mins(1);

/// Until when the entry of a session with these times is to be kept.
fn wanted(times: Times) -> u64 {
    times.expires_at.map_or(NEVER, |expires_at| {
        let lifetime = expires_at.since(times.used_at).as_millis();
        let lifetime = u64::try_from(lifetime).unwrap_or(NEVER);
        expires_at
            .as_millis()
            .saturating_add(lifetime)
            .min(NEVER - 1)
    })
}

/// Makes or renews the entry and returns until when it is kept.
pub(crate) async fn insert(
    wire: &Wire,
    keys: &Keys,
    id: SessionId,
    owner: &Owner,
    times: Times,
    by: Instant,
) -> Result<u64, StoreError> {
    let wanted = wanted(times).to_string();
    let call = Call {
        script: &script::INDEX,
        key: &keys.index(owner),
        args: &[id.as_bytes(), wanted.as_bytes()],
        repeatable: false,
    };
    let mut reply = wire.run(&call, by).await?;
    Ok(u64::from_be_bytes(reply.part()?))
}

/// Removes the entry that is kept until then; one that was made again since stays.
///
/// Best effort: what is left behind points nowhere and goes by itself.
pub(crate) async fn remove(
    wire: &Wire,
    keys: &Keys,
    id: SessionId,
    owner: &Owner,
    kept: u64,
    by: Instant,
) {
    let call = Call {
        script: &script::UNINDEX,
        key: &keys.index(owner),
        args: &[id.as_bytes(), &kept.to_be_bytes()],
        repeatable: false,
    };
    if let Err(error) = wire.run(&call, by).await {
        tracing::debug!(session = %id, %error, "an entry of the owner's index is left behind");
    }
}

/// A page of the owner's sessions, and those entries among them that [`sweep`] may look at.
///
/// An entry of a session without an end never passes its time. Where its row has gone otherwise
/// (somebody deleted it, or a failover forgot it), nobody would remove the entry.
pub(crate) async fn list(
    wire: &Wire,
    keys: &Keys,
    owner: &Owner,
    page: Page,
) -> Result<(Vec<SessionId>, Vec<Endless>), StoreError> {
    if page.limit == 0 {
        return Ok((Vec::new(), Vec::new()));
    }
    let after = match page.after {
        None => b"-".to_vec(),
        Some(id) => [b"(", id.as_bytes().as_slice(), &[0xff; 8]].concat(),
    };
    let limit = page.limit.min(1_000_000).to_string();
    // Longer than any operation that makes the entry first and the row then, whoever's clock is ahead.
    let old = YOUNG.saturating_add(wire.command_timeout.saturating_mul(2));
    let old = old.as_millis().min(u128::from(NEVER)).to_string();
    let call = Call {
        script: &script::OWNED,
        key: &keys.index(owner),
        args: &[
            owner.as_str().as_bytes(),
            &after,
            limit.as_bytes(),
            old.as_bytes(),
        ],
        repeatable: true,
    };
    let members = wire.run(&call, wire.deadline()).await?.list()?;
    let mut ids = Vec::with_capacity(members.len());
    let mut endless = Vec::new();
    for member in members {
        let (id, kept) = entry(&member).ok_or_else(|| {
            StoreError::corrupt("the owner's index holds something that is no session id")
        })?;
        ids.push(id);
        endless.extend(kept.map(|kept| (id, kept)));
    }
    Ok((ids, endless))
}

/// An old entry that is kept for ever, and the time by which it is known.
pub(crate) type Endless = (SessionId, u64);

/// A member as the script shows it: an id; with its time only if that is never, and the id old.
fn entry(member: &[u8]) -> Option<(SessionId, Option<u64>)> {
    let (id, kept) = member.split_first_chunk()?;
    let kept = match kept {
        [] => None,
        kept => Some(u64::from_be_bytes(kept.try_into().ok()?)),
    };
    Some((SessionId::from_bytes(*id), kept))
}

/// Looks at a few of these entries, at others each time, and removes those without a row. Best effort.
pub(crate) async fn sweep(wire: &Wire, keys: &Keys, owner: &Owner, endless: &[Endless]) {
    let by = wire.deadline();
    let most = endless.len().max(1) as u64;
    let first = usize::try_from(Stamp::first().nonce % most).unwrap_or_default();
    let (before, from) = endless.split_at_checked(first).unwrap_or_default();
    let some = from.iter().chain(before).take(SWEPT);
    let looks = some.map(|&(id, kept)| async move {
        let call = Call {
            script: &script::PEEK,
            key: &keys.row(id),
            args: &[id.as_bytes()],
            repeatable: true,
        };
        let is_gone = |reply: Reply| reply.rest().is_empty();
        if wire.run(&call, by).await.is_ok_and(is_gone) {
            remove(wire, keys, id, owner, kept, by).await;
        }
    });
    futures_util::future::join_all(looks).await;
}

/// Remembers for a while whose sessions were seen last, so that a login knows beforehand that it
/// changes the owner: two commands instead of three. It may be wrong or forget; the script decides.
pub(crate) struct Seen(Box<[AtomicU64]>);

impl Seen {
    const SLOTS: usize = 1 << 15;

    pub(crate) fn new() -> Self {
        Self((0..Self::SLOTS).map(|_| AtomicU64::new(0)).collect())
    }

    /// Notes that this session has this owner.
    pub(crate) fn note(&self, id: SessionId, owner: Option<&Owner>) {
        let (slot, check) = place(id);
        if let Some(slot) = self.0.get(slot) {
            slot.store(check << 32 | short(owner), Ordering::Relaxed);
        }
    }

    /// Whether this session was last seen with another owner than this one.
    pub(crate) fn differs(&self, id: SessionId, owner: &Owner) -> bool {
        let (slot, check) = place(id);
        let seen = self
            .0
            .get(slot)
            .map_or(0, |slot| slot.load(Ordering::Relaxed));
        seen >> 32 == check && seen & 0xffff_ffff != short(Some(owner))
    }
}

/// Slot and check of an id: its last eight bytes are random.
fn place(id: SessionId) -> (usize, u64) {
    let random = fnv(id.as_bytes());
    let slot = usize::try_from(random & 0xffff).unwrap_or_default() % Seen::SLOTS;
    (slot, (random >> 32).max(1))
}

fn short(owner: Option<&Owner>) -> u64 {
    owner.map_or(0, |owner| {
        (fnv(owner.as_str().as_bytes()) & 0xffff_ffff).max(1)
    })
}

/// FNV-1a, 64 bits.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cloakroom_core::Timestamp;

    #[test]
    fn an_entry_outlives_its_row_by_a_lifetime() {
        let at = Timestamp::from_millis;
        let times = |used_at, expires_at| Times {
            used_at,
            deadline: None,
            expires_at,
        };
        assert_eq!(wanted(times(at(100), Some(at(160)))), 220);
        assert_eq!(wanted(times(at(200), Some(at(160)))), 160);
        assert_eq!(wanted(times(at(0), None)), NEVER);
        assert!(wanted(times(at(0), Some(Timestamp::MAX))) < NEVER);
    }

    #[test]
    fn only_an_owner_that_was_seen_otherwise_differs() {
        let (seen, id) = (Seen::new(), SessionId::from_bytes([3; 16]));
        let (ada, bob) = (Owner::new("ada").unwrap(), Owner::new("bob").unwrap());
        assert!(!seen.differs(id, &ada), "never seen");
        seen.note(id, None);
        assert!(seen.differs(id, &ada));
        seen.note(id, Some(&ada));
        assert!(!seen.differs(id, &ada) && seen.differs(id, &bob));
        assert!(!seen.differs(SessionId::from_bytes([4; 16]), &bob));
    }
}
