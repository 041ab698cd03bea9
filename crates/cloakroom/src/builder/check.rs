use std::time::Duration;

use cloakroom_core::{Capabilities, Expiry, Reach, Token};

use super::{Contradiction, SessionLayerBuilder};
use crate::config::{Bound, Config, TimePolicy};
use crate::transport::{CookieError, HeaderError};
use crate::{Coherence, CommitAt, OnShutdown, SessionHeader, Timeout};

/// Why a layer cannot be built; its text says how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A browser would refuse the cookie.
    #[error(transparent)]
    Cookie(#[from] CookieError),
    /// The header cannot carry a token.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A setting is out of its range.
    #[error("{setting} is {given}: {allowed}")]
    Setting {
        /// The builder's method, or the name in [`Settings`](crate::Settings).
        setting: &'static str,
        /// What was given.
        given: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// Two settings, or a setting and the store, contradict each other.
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
}

impl SessionLayerBuilder {
    pub(super) fn check_times(&self) -> Result<(), BuildError> {
        let setting = |setting, given: Duration, allowed| {
            Err(BuildError::Setting {
                setting,
                given: crate::text::format_duration(given),
                allowed,
            })
        };
        let TimePolicy {
            idle,
            absolute,
            touch_interval,
            ..
        } = self.config.times;
        if let Some(idle) = idle.duration()
            && idle.as_millis() == 0
        {
            return setting(
                "idle_timeout",
                idle,
                "at least 1ms, Timeout::Never or ::Disabled",
            );
        }
        if absolute == Timeout::Disabled {
            return Err(Contradiction::AbsoluteDisabled.into());
        }
        if let Some(absolute) = absolute.duration()
            && absolute.as_millis() == 0
        {
            return setting(
                "absolute_timeout",
                absolute,
                "at least 1ms, or Timeout::Never",
            );
        }
        if let (Some(idle), Some(touch)) = (idle.duration(), touch_interval)
            && touch >= idle / 2
        {
            return setting(
                "touch_interval",
                touch,
                "shorter than half of the idle timeout",
            );
        }
        if self.config.store_timeout.as_millis() == 0 {
            return setting("store_timeout", self.config.store_timeout, "at least 1ms");
        }
        if self.config.max_bytes == 0 {
            let given = "0".to_owned();
            let allowed = "at least 1 byte";
            return Err(BuildError::Setting {
                setting: "max_bytes",
                given,
                allowed,
            });
        }
        Ok(())
    }

    pub(super) fn check_node(&self) -> Result<(), BuildError> {
        match &self.config.node {
            Some(node) if !Token::is_node_name(node.as_bytes()) => Err(BuildError::Setting {
                setting: "node",
                given: format!("{node:?}"),
                allowed: "1 to 32 of A-Z, a-z, 0-9, _ and -",
            }),
            None if self.config.affinity => Err(Contradiction::AffinityWithoutNode.into()),
            _ => Ok(()),
        }
    }

    /// What waits for the last exit is found by the next request in L1 only.
    pub(super) fn check_commit(&self) -> Result<(), BuildError> {
        let Config {
            commit_at, cache, ..
        } = &self.config;
        if matches!(commit_at, CommitAt::LastExit { .. }) && cache.bound == Bound::None {
            return Err(Contradiction::LastExitUncached.into());
        }
        Ok(())
    }

    pub(super) fn check_outcome_header(&self) -> Result<Option<http::HeaderName>, BuildError> {
        self.outcome_header.as_deref().map(checked_name).transpose()
    }
}

fn checked_name(name: &str) -> Result<http::HeaderName, BuildError> {
    SessionHeader::new(name).validate()?;
    name.parse().map_err(|_| BuildError::Setting {
        setting: "outcome_header",
        given: format!("{name:?}"),
        allowed: "the name of a header",
    })
}

/// The mode that the store can give by itself.
fn default_coherence(capabilities: Capabilities) -> Coherence {
    match capabilities.reach {
        _ if capabilities.exclusive => Coherence::Exclusive,
        Reach::Changes => Coherence::Push,
        _ => Coherence::Verify,
    }
}

fn checked_coherence(
    asked: Coherence,
    capabilities: Capabilities,
) -> Result<Coherence, BuildError> {
    match asked {
        Coherence::Exclusive if !capabilities.exclusive => {
            Err(Contradiction::ExclusiveOverShared.into())
        }
        Coherence::Push if capabilities.reach != Reach::Changes => {
            Err(Contradiction::PushWithoutFeed.into())
        }
        Coherence::Bounded(bound) if bound.is_zero() => Err(BuildError::Setting {
            setting: "coherence",
            given: "Bounded(0)".to_owned(),
            allowed: "a bound above zero; Verify is what a bound of zero would mean",
        }),
        other => Ok(other),
    }
}

/// Whether the sessions of this store end by themselves, and their rows go.
fn check_expiry(can: Capabilities) -> Result<(), BuildError> {
    match can.expiry {
        Expiry::Search => Ok(()),
        Expiry::Native => {
            tracing::warn!(
                "this session store cannot find the sessions that are due: that one has timed out \
                 is told by the node that meets it, and not at all if nobody comes back"
            );
            Ok(())
        }
        _ => Err(Contradiction::NothingExpires.into()),
    }
}

/// How copies are kept current, if settings and store agree on it.
pub(super) fn check_store(
    asked: Option<Coherence>,
    on_shutdown: OnShutdown,
    commit_at: CommitAt,
    can: Capabilities,
) -> Result<Coherence, BuildError> {
    let coherence = match asked {
        Some(asked) => checked_coherence(asked, can)?,
        None => default_coherence(can),
    };
    if on_shutdown == OnShutdown::Destroy && !can.exclusive {
        return Err(Contradiction::DestroyOverShared.into());
    }
    if matches!(commit_at, CommitAt::LastExit { .. }) && coherence == Coherence::Verify {
        return Err(Contradiction::LastExitVerified.into());
    }
    // The last: who is refused need not be warned.
    check_expiry(can)?;
    Ok(coherence)
}
