//! What is served.

use crate::Result;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variant {
    /// The route alone.
    Bare,
    /// The route under a layer that does nothing but say that the response depends on the cookie.
    Vary,
    /// tower-sessions on Redis.
    Theirs,
    /// tower-sessions with its moka store in front of Redis.
    Moka,
    /// Cloakroom on Redis.
    Ours,
}

impl Variant {
    pub(super) const ALL: [Self; 5] =
        [Self::Bare, Self::Vary, Self::Theirs, Self::Moka, Self::Ours];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Vary => "vary",
            Self::Theirs => "theirs",
            Self::Moka => "moka",
            Self::Ours => "ours",
        }
    }

    /// Whether it keeps sessions.
    pub(super) fn keeps(self) -> bool {
        !matches!(self, Self::Bare | Self::Vary)
    }

    pub(super) fn named(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|one| one.name() == name);
        found.ok_or_else(|| format!("no variant is called `{name}`").into())
    }
}
