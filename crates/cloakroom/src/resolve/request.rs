use std::sync::Arc;

use cloakroom_core::{Timestamp, Token};

use super::token::{Live, Resolution, resolve};
use crate::config::TwoSessions;
use crate::inner::Inner;
use crate::session::{State, Stored};
use crate::transport::{Candidate, Candidates};
use crate::{Error, ErrorKind, Presented};

/// Finds the session of a request among its candidates: transports in their order, and within one
/// the first that is live.
pub(crate) async fn request(
    inner: &Arc<Inner>,
    mut candidates: Candidates,
    now: Timestamp,
) -> Result<State, Error> {
    let mut outcome = Presented::None;
    while let Some(Candidate {
        token,
        foreign_node,
        transport,
    }) = candidates.next()
    {
        match resolve(inner, &token, now).await? {
            Resolution::Dead(dead) => {
                if matches!(outcome, Presented::None | Presented::Malformed) {
                    outcome = dead;
                }
            }
            Resolution::Live(live) => {
                for other in candidates.by_ref() {
                    if other.token.id() == token.id() {
                        continue;
                    }
                    inner.stats.mismatched.add();
                    if other.transport == transport
                        && inner.config.two_sessions == TwoSessions::Refuse
                        && matches!(
                            resolve(inner, &other.token, now).await?,
                            Resolution::Live(_)
                        )
                    {
                        return Err(ErrorKind::TwoSessions.into());
                    }
                }
                return Ok(admitted(inner, live, token, foreign_node, now));
            }
        }
    }
    if outcome == Presented::None && candidates.met_malformed() {
        outcome = Presented::Malformed;
    }
    inner.stats.presented(outcome);
    Ok(State::absent(outcome, now))
}

fn admitted(
    inner: &Arc<Inner>,
    live: Live,
    token: Token,
    foreign_node: bool,
    now: Timestamp,
) -> State {
    inner.stats.presented(Presented::Active);
    let Live {
        resident,
        view,
        origin,
    } = live;
    let stored = Stored {
        in_use: Some(inner.use_session(&resident, &view.snapshot.head)),
        resident,
        times: view.times,
        login_seq: view.snapshot.head.login_seq,
        digest: view.snapshot.head.digest,
        snapshot: view.snapshot,
        token: Some(token),
    };
    let mut state = State::live(stored, origin, now);
    state.foreign_node = foreign_node && inner.config.affinity;
    state
}
