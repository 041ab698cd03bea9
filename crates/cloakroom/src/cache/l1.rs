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
    /// How many sessions have come into L1.
    made: AtomicU64,
    /// How many have left it: each that came in does so once.
    evictions: AtomicU64,
    /// The most that were in L1 at one time.
    most: AtomicU64,
    events: Arc<Events>,
    /// Left and not told yet: a resident may be dropped under a lock, where no listener may run.
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

    /// No resident may be dropped while the table is looked through: that would change it.
    fn upgraded(&self) -> Vec<Arc<Resident>> {
        let entries = self.entries.iter();
        entries
            .filter_map(|entry| entry.value().upgrade())
            .collect()
    }

    /// How many sessions are in L1 when so many have come.
    fn there(&self, made: u64) -> u64 {
        made.saturating_sub(self.evictions.load(Ordering::Relaxed))
    }

    /// A session has left L1.
    pub(super) fn left(&self, id: SessionId) {
        self.evictions.fetch_add(1, Ordering::Relaxed);
        if self.events.is_heard() {
            self.untold
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(id);
        }
    }

    /// A resident is dropped.
    pub(super) fn forget(&self, id: SessionId) {
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
    /// With more than so many in L1 a newcomer cleans up; not if L1 is bounded by bytes.
    crowded: Option<u64>,
    /// How many must have come before a newcomer cleans up again.
    clean_at: AtomicU64,
    /// moka counts the time since the last use, or since the entry was made.
    is_timed: bool,
    table: Arc<Table>,
}

/// L1 may exceed its bound by so small a part before a newcomer cleans up: moka lets go of an entry at
/// its next maintenance, and of the memory when other threads have moved on.
const SLACK: u64 = 8;

/// Of more residents it is not looked up who has left: it would take longer than a request may wait, and
/// with so many coming and going moka drops them soon.
const LOOKED_UP: u64 = 1 << 16;

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
            crowded: match cache.bound {
                Bound::Entries(max) => Some(max.saturating_add(max / SLACK)),
                Bound::None | Bound::Bytes(_) => None,
            },
            clean_at: AtomicU64::new(0),
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
        self.enter(&resident);
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
        self.enter(&resident);
        // With the poll switched off nobody else would.
        self.tell_evicted();
        resident
    }

    fn make(&self, id: SessionId, view: View, secret: &Secret) -> Arc<Resident> {
        let table = Some(Arc::clone(&self.table));
        Arc::new(Resident::new(id, view, Some(secret.clone()), table))
    }

    /// moka has the resident, and has heard of a use.
    fn enter(&self, resident: &Resident) {
        let table = &self.table;
        let made = table.made.load(Ordering::Relaxed) + u64::from(resident.is_out());
        if !resident.enter(made) {
            return;
        }
        let made = table.made.fetch_add(1, Ordering::Relaxed) + 1;
        if self.crowded.is_some_and(|max| table.there(made) > max)
            && made > self.clean_at.load(Ordering::Relaxed)
        {
            self.clean_up();
            // Those that stay because they are in use are not looked at for each newcomer.
            let next = made.saturating_add(table.there(made) / SLACK);
            self.clean_at.store(next, Ordering::Relaxed);
        }
        let there = table.there(made);
        // A read is enough as a rule: the maximum moves rarely.
        if there > table.most.load(Ordering::Relaxed) {
            table.most.fetch_max(there, Ordering::Relaxed);
        }
    }

    /// moka has no thread of its own. It has a listener for what it lets go of, but at the price of a
    /// lock and a map entry for each insert: whom it does not have any more is looked up instead.
    fn clean_up(&self) {
        let Some(moka) = &self.moka else { return };
        moka.run_pending_tasks();
        let there = self.table.there(self.table.made.load(Ordering::Relaxed));
        if there <= moka.entry_count() || there > LOOKED_UP {
            return;
        }
        for resident in self.table.upgraded() {
            if !resident.is_out() && !moka.contains_key(&resident.id()) {
                resident.let_go();
            }
        }
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
                resident.let_go();
            }
        }
    }

    /// Takes everything out of memory.
    pub(crate) fn clear(&self) {
        if let Some(moka) = &self.moka {
            moka.invalidate_all();
            for resident in self.residents() {
                resident.let_go();
            }
        }
    }

    /// All residents, for the housekeeper's passes: also those that have left and are in use again, not
    /// those whose memory moka has yet to free.
    pub(crate) fn residents(&self) -> Vec<Arc<Resident>> {
        let table = &self.table;
        let mut all = table.upgraded();
        all.retain(|resident| !resident.is_out() || resident.is_held());
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

    /// Does what has become due in L1, and tells of it.
    pub(crate) fn run_pending(&self) {
        self.clean_up();
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
