//! Where the scenarios of this program keep their sessions.
//!
//! The program `stores` of the end-to-end tests has a file of the same name, with which it runs the
//! same scenarios over the stores that have a driver.

use std::time::Duration;

use cloakroom::{Coherence, Timestamp};

pub(crate) use cloakroom::MemoryStore as Store;

const DAY: Duration = Duration::from_hours(24);

/// A store for every application of a scenario.
#[derive(Debug)]
pub(crate) struct Home;

#[expect(
    clippy::unused_self,
    reason = "the other program's stores differ from each other"
)]
impl Home {
    /// An empty store.
    pub(crate) fn store(&self) -> Store {
        Store::new()
    }

    /// When the scenario's clock starts.
    pub(crate) fn start(&self) -> Timestamp {
        Timestamp::from_millis(1_790_000_000_000)
    }

    /// The mode in which a copy is current without another look.
    pub(crate) fn trusting(&self) -> Coherence {
        Coherence::Exclusive
    }

    /// The modes in which no node lets in who holds a secret that another node has replaced.
    pub(crate) fn strict(&self) -> &'static [Coherence] {
        &[Coherence::Push, Coherence::Verify, Coherence::Bounded(DAY)]
    }

    /// So many rounds where one costs next to nothing.
    pub(crate) fn rounds(&self, many: usize) -> usize {
        many
    }
}
