use cloakroom_core::Timestamp;

use crate::cache::View;
use crate::session::{Cell, State, Stored};
use crate::transport::{Candidate, Candidates};
use crate::{Origin, Presented};

/// The usual case of a request, decided without a future: it carries one token at most, and that
/// opens a copy in L1 which is current. Whether it was that; if not, `candidates` are as they were.
pub(crate) fn at_once(cell: &Cell, candidates: &mut Candidates, now: Timestamp) -> bool {
    let inner = &cell.inner;
    let Some(only) = candidates.only() else {
        return nothing(cell, candidates, now);
    };
    let Some(resident) = inner.l1.get(only.token.id()) else {
        return false;
    };
    let (view, admitted) = resident.admit(only.token.secret());
    if !admitted || !inner.coherent.is_current(view.seen, now) || view.times.is_due(now) {
        return false;
    }
    let Some(Candidate {
        token,
        foreign_node,
        ..
    }) = candidates.next()
    else {
        return false;
    };
    inner.stats.hits.add();
    inner.stats.presented(Presented::Active);
    let View {
        snapshot, times, ..
    } = view;
    let stored = Stored {
        in_use: Some(inner.use_session(&resident, &snapshot.head)),
        resident,
        times,
        login_seq: snapshot.head.login_seq,
        digest: snapshot.head.digest,
        snapshot,
        token: Some(token),
    };
    let foreign_node = foreign_node && inner.config.affinity;
    cell.put(|| State {
        foreign_node,
        ..State::live(stored, Origin::Cache, now)
    });
    true
}

/// A request without anything that could be a token, and that is not to be given one.
fn nothing(cell: &Cell, candidates: &Candidates, now: Timestamp) -> bool {
    let inner = &cell.inner;
    if !candidates.is_empty() || inner.makes_eager() {
        return false;
    }
    let outcome = if candidates.met_malformed() {
        Presented::Malformed
    } else {
        Presented::None
    };
    inner.stats.presented(outcome);
    cell.put(|| State::absent(outcome, now));
    true
}
