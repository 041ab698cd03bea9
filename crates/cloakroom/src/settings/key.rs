//! One row of the table of keys, and what a value that was read does.

use std::fmt;
use std::sync::Arc;

use super::read::{Read, Wrong};
use super::target::Target;

/// A setting: our name, the forerunners' names, and how each is read.
pub(super) struct Key {
    pub(super) ours: Spelling,
    pub(super) aliases: &'static [Spelling],
}

/// A name under which a setting may be given.
pub(super) struct Spelling {
    pub(super) name: &'static str,
    pub(super) allowed: &'static str,
    pub(super) read: fn(&str) -> Result<Reading, Wrong>,
}

/// A value that was read.
#[derive(Clone)]
pub(super) struct Reading {
    /// The value as it would be written under our name.
    pub(super) text: String,
    pub(super) set: Arc<dyn Fn(&mut Target<'_>) + Send + Sync>,
}

impl Key {
    pub(super) fn spellings(&self) -> impl Iterator<Item = &Spelling> {
        std::iter::once(&self.ours).chain(self.aliases)
    }
}

pub(super) const fn spelling(
    name: &'static str,
    allowed: &'static str,
    read: fn(&str) -> Read<Reading>,
) -> Spelling {
    Spelling {
        name,
        allowed,
        read,
    }
}

pub(super) fn reading(
    text: impl Into<String>,
    set: impl Fn(&mut Target<'_>) + Send + Sync + 'static,
) -> Reading {
    Reading {
        text: text.into(),
        set: Arc::new(set),
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}
