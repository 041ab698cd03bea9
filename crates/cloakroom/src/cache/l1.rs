use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use cloakroom_core::{Secret, SessionId};
use dashmap::DashMap;
use foldhash::fast::RandomState;
use moka::policy::EvictionPolicy;
use moka::sync::Cache as Moka;

use super::resident::{Resident, View};
use crate::Event;
use crate::config::{Bound, Cache};
use crate::events::Events;

/// What a resident weighs beside its attributes, in bytes, when L1 is bounded by bytes; measured by
/// the test `memory_per_session` of this crate.
const OVERHEAD: usize = 650;

/// The longest time that moka takes: with more its builder panics. Nothing is lost by it, as a node does
/// not run for so long.
const LONGEST_IN_MOKA: Duration = Duration::from_hours(1_000 * 365 * 24);

/// Every resident of this node, also those that moka has evicted but somebody still holds. An entry
/// is made with its resident and removed by its drop.
#[derive(Debug)]
pub(crate) struct Table {
    entries: DashMap<SessionId, Weak<Resident>, RandomState>,
    /// With L1 off: the copies that requests have for themselves, several of a session perhaps.
    private: Mutex<Private>,
    made: AtomicU64,
    evictions: AtomicU64,
    /// The most residents that there were at one time.
    most: AtomicU64,
    events: Arc<Events>,
    /// Evicted and not told yet: a resident may be dropped under a lock, where no listener may run.
    untold: Mutex<Vec<SessionId>>,
}

#[derive(Debug, Default)]
struct Private {
    copies: Vec<Weak<Resident>>,
    /// The dropped ones are swept out when there are so many.
    sweep_at: usize,
}

impl Table {
    fn add_private(&self, resident: &Arc<Resident>) {
        let mut private = self.private.lock().unwrap_or_else(PoisonError::into_inner);
        if private.copies.len() >= private.sweep_at {
            private.copies.retain(|copy| copy.strong_count() > 0);
            private.sweep_at = private.copies.len() * 2 + 64;
        }
        private.copies.push(Arc::downgrade(resident));
    }

    fn count(&self) {
        let made = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        let there = self.there(made);
        // A read is enough as a rule: the maximum moves rarely.
        if there > self.most.load(Ordering::Relaxed) {
            self.most.fetch_max(there, Ordering::Relaxed);
        }
    }

    /// How many residents there are when so many were made.
    fn there(&self, made: u64) -> u64 {
        made.saturating_sub(self.evictions.load(Ordering::Relaxed))
    }

    pub(super) fn forget(&self, id: SessionId) {
        self.evictions.fetch_add(1, Ordering::Relaxed);
        if self.events.is_heard() {
            self.untold
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(id);
        }
        // A new resident may have taken the place already.
        self.entries
            .remove_if(&id, |_, weak| weak.strong_count() == 0);
    }
}

/// The sessions in memory. moka decides who stays; the table makes sure that an eviction never
/// splits a session that somebody holds into two copies.
#[derive(Debug)]
pub(crate) struct L1 {
    moka: Option<Moka<SessionId, Arc<Resident>, RandomState>>,
    is_by_bytes: bool,
    /// moka counts the time since the last use, or since the entry was made.
    is_timed: bool,
    table: Arc<Table>,
}

/// A use is told to moka unless so small a part of all residents is younger than the last use that
/// was told.
const UNTOLD: u64 = 64;

impl L1 {
    pub(crate) fn new(cache: &Cache, events: Arc<Events>) -> Self {
        // moka's default policy may refuse newcomers in favour of the popular; a session that was
        // just created must find its place.
        let builder = Moka::builder().eviction_policy(EvictionPolicy::lru());
        let builder = match cache.bound {
            Bound::None => None,
            Bound::Entries(max) => Some(builder.max_capacity(max)),
            Bound::Bytes(max) => Some(builder.max_capacity(max).weigher(
                |_, resident: &Arc<Resident>| {
                    u32::try_from(resident.payload_bytes() + OVERHEAD).unwrap_or(u32::MAX)
                },
            )),
        };
        let moka = builder.map(|mut builder| {
            let lasting = |time: &Duration| *time <= LONGEST_IN_MOKA;
            if let Some(idle) = cache.idle.filter(lasting) {
                builder = builder.time_to_idle(idle);
            }
            if let Some(ttl) = cache.ttl.filter(lasting) {
                builder = builder.time_to_live(ttl);
            }
            builder.build_with_hasher(RandomState::default())
        });
        Self {
            moka,
            is_by_bytes: matches!(cache.bound, Bound::Bytes(_)),
            is_timed: cache.idle.is_some() || cache.ttl.is_some(),
            table: Arc::new(Table {
                entries: DashMap::default(),
                private: Mutex::default(),
                made: AtomicU64::new(0),
                evictions: AtomicU64::new(0),
                most: AtomicU64::new(0),
                events,
                untold: Mutex::default(),
            }),
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.moka.is_some()
    }

    /// The copy of a session. A hit is found in the table if moka has heard of its use lately, and
    /// in moka if not; a miss asks the table, which knows those that were evicted while in use. An
    /// evicted one that is not in use is a miss, though moka may keep it until its next maintenance,
    /// or until other threads have moved on.
    pub(crate) fn get(&self, id: SessionId) -> Option<Arc<Resident>> {
        let moka = self.moka.as_ref()?;
        let made = self.table.made.load(Ordering::Relaxed);
        if !self.is_timed
            && let Some(resident) = self.find_told(id, made)
        {
            return Some(resident);
        }
        let resident = if let Some(resident) = moka.get(&id) {
            resident
        } else {
            let resident = self.find(id).filter(|resident| resident.is_held())?;
            moka.insert(id, Arc::clone(&resident));
            resident
        };
        resident.set_told(made);
        Some(resident)
    }

    /// A resident of whose use moka need not hear again: that costs a third of a hit, and decides
    /// nothing while few others have come since.
    fn find_told(&self, id: SessionId, made: u64) -> Option<Arc<Resident>> {
        let resident = self.find(id)?;
        let newcomers = resident.newcomers(made)?;
        (newcomers <= self.table.there(made) / UNTOLD).then_some(resident)
    }

    /// Whether a request would find a copy; does not count as its use.
    pub(crate) fn contains(&self, id: SessionId) -> bool {
        let kept = self
            .moka
            .as_ref()
            .is_some_and(|moka| moka.contains_key(&id));
        kept || self.find(id).is_some_and(|resident| resident.is_held())
    }

    /// The copy of a session without counting as its use.
    pub(crate) fn find(&self, id: SessionId) -> Option<Arc<Resident>> {
        self.table.entries.get(&id)?.upgrade()
    }

    /// The one resident of this id, made from `view` if there is none. One that exists takes the
    /// view over if `is_fresh` says so, under its lock: no commit comes between.
    pub(crate) fn admit(
        &self,
        id: SessionId,
        view: View,
        secret: &Secret,
        is_fresh: impl FnOnce() -> bool,
    ) -> Arc<Resident> {
        let Some(moka) = &self.moka else {
            let resident = Arc::new(Resident::new(id, view, Some(secret.clone()), None));
            self.table.add_private(&resident);
            return resident;
        };
        // The entry's lock makes two concurrent fills agree on one resident.
        let resident = match self.table.entries.entry(id) {
            dashmap::Entry::Occupied(mut entry) => {
                if let Some(resident) = entry.get().upgrade() {
                    drop(entry);
                    resident.install_if(is_fresh, view, Some(secret));
                    resident
                } else {
                    let resident = self.make(id, view, secret);
                    entry.insert(Arc::downgrade(&resident));
                    resident
                }
            }
            dashmap::Entry::Vacant(entry) => {
                let resident = self.make(id, view, secret);
                entry.insert(Arc::downgrade(&resident));
                resident
            }
        };
        moka.insert(id, Arc::clone(&resident));
        resident.set_told(self.table.made.load(Ordering::Relaxed));
        // With the poll switched off nobody else would.
        self.tell_evicted();
        resident
    }

    fn make(&self, id: SessionId, view: View, secret: &Secret) -> Arc<Resident> {
        self.table.count();
        let table = Some(Arc::clone(&self.table));
        Arc::new(Resident::new(id, view, Some(secret.clone()), table))
    }

    /// The attributes have another size now: moka weighs when something is put in, and only then.
    pub(crate) fn weigh_again(&self, resident: &Arc<Resident>) {
        if let Some(moka) = &self.moka
            && self.is_by_bytes
            && moka.contains_key(&resident.id())
        {
            moka.insert(resident.id(), Arc::clone(resident));
        }
    }

    /// Takes a session out of memory; those who hold it keep it.
    pub(crate) fn evict(&self, id: SessionId) {
        if let Some(moka) = &self.moka {
            moka.invalidate(&id);
            if let Some(resident) = self.find(id) {
                resident.set_untold();
            }
        }
    }

    /// Takes everything out of memory.
    pub(crate) fn clear(&self) {
        if let Some(moka) = &self.moka {
            moka.invalidate_all();
            for resident in self.residents() {
                resident.set_untold();
            }
        }
    }

    /// All residents, for the housekeeper's passes.
    pub(crate) fn residents(&self) -> Vec<Arc<Resident>> {
        let table = &self.table;
        let shared = table.entries.iter();
        let mut all: Vec<_> = shared.filter_map(|entry| entry.value().upgrade()).collect();
        let private = table.private.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(private.copies.iter().filter_map(Weak::upgrade));
        all
    }

    /// Tells which sessions have left.
    pub(crate) fn tell_evicted(&self) {
        if !self.table.events.is_heard() {
            return;
        }
        let untold = {
            let mut untold = self
                .table
                .untold
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *untold)
        };
        for id in untold {
            self.table.events.tell(|| Event::Evicted { id });
        }
    }

    /// moka has no thread of its own.
    pub(crate) fn run_pending(&self) {
        if let Some(moka) = &self.moka {
            moka.run_pending_tasks();
        }
        self.tell_evicted();
    }

    pub(crate) fn len(&self) -> u64 {
        self.moka.as_ref().map_or(0, Moka::entry_count)
    }

    /// The most sessions that were in memory at one time.
    pub(crate) fn most(&self) -> u64 {
        self.table.most.load(Ordering::Relaxed)
    }

    pub(crate) fn evictions(&self) -> u64 {
        self.table.evictions.load(Ordering::Relaxed)
    }
}
