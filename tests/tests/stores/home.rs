//! Where the scenarios of this program keep their sessions: see the file of the same name beside
//! them.

use std::time::Duration;

use cloakroom::{Clock, Coherence, Reach, SessionStore, SystemClock, Timestamp};

use cloakroom_tests::TempDir;

use crate::kind::Kind;
pub(crate) use crate::store::Store;

const DAY: Duration = Duration::from_hours(24);

/// A store for every application of a scenario.
pub(crate) struct Home {
    store: Store,
    start: Timestamp,
    /// Removed when the test is over.
    _folder: TempDir,
}

impl Home {
    /// The clock starts so long `ago` where the server forgets rows by its own.
    pub(crate) async fn new(kind: &Kind, url: &str, ago: Duration) -> Self {
        let now = SystemClock::default().now();
        let folder = TempDir::new();
        Self {
            store: Store::new((kind.open)(url, folder.path()).await),
            // A store ends nothing whose time has not come by its own clock, too (rule 9): so the
            // past leaves a scenario all the days it may want. A server that forgets rows by itself
            // would find nothing but what is forgotten there.
            start: now - if kind.own_clock { ago } else { 30 * DAY },
            _folder: folder,
        }
    }

    /// A store that has counted no row yet. The table is the one of the test.
    pub(crate) fn store(&self) -> Store {
        self.store.counting_anew()
    }

    /// When the scenario's clock starts.
    pub(crate) fn start(&self) -> Timestamp {
        self.start
    }

    /// The mode in which a copy is current without another look.
    pub(crate) fn trusting(&self) -> Coherence {
        if self.tells() {
            Coherence::Push
        } else {
            Coherence::Bounded(DAY)
        }
    }

    /// The modes in which no node lets in who holds a secret that another node has replaced.
    pub(crate) fn strict(&self) -> &'static [Coherence] {
        match self.store.capabilities().reach {
            Reach::Changes => &[Coherence::Push, Coherence::Verify, Coherence::Bounded(DAY)],
            Reach::Endings => &[Coherence::Verify, Coherence::Bounded(DAY)],
            _ => &[Coherence::Verify],
        }
    }

    /// So many rounds where one costs next to nothing: here it is a way to a server and back.
    #[expect(clippy::unused_self, reason = "the other program's is a method")]
    pub(crate) fn rounds(&self, many: usize) -> usize {
        many / 20
    }

    fn tells(&self) -> bool {
        self.store.capabilities().reach == Reach::Changes
    }
}
