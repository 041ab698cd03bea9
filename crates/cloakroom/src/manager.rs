use std::sync::Arc;

use cloakroom_core::{Owner, Page, Record, SessionId, State, Timestamp};

use crate::events::EventStream;
use crate::housekeeper::{Job, Report, Schedule};
use crate::inner::Inner;
use crate::record::Snapshot;
use crate::stats::StatsReport;
use crate::{EndReason, Error, ErrorKind, OnShutdown};

/// How many ids are asked for at once.
const PAGE: usize = 200;

/// Looks after the sessions of a layer from outside of any request: find, list, end, count.
///
/// Comes from [`SessionLayer::manager`](crate::SessionLayer::manager); clones share everything.
#[derive(Clone, Debug)]
pub struct SessionManager {
    inner: Arc<Inner>,
}

/// What may be shown of a live session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Its public name.
    pub id: SessionId,
    /// Whom it belongs to.
    pub owner: Option<Owner>,
    /// When it was created.
    pub created_at: Timestamp,
    /// Last use that the store knows of.
    pub last_used_at: Timestamp,
    /// Its deadline; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// The node that wrote last.
    pub node: Option<String>,
}

/// What a shutdown has left behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Late commits whose changes were lost since the start.
    pub lost: u64,
    /// Sessions ended because of [`OnShutdown::Destroy`].
    pub destroyed: u64,
}

fn info(id: SessionId, record: Record) -> Result<SessionInfo, Error> {
    let (snapshot, times) = Snapshot::decode(record).map_err(|unreadable| match unreadable {
        crate::record::Unreadable::Newer => ErrorKind::Unsupported,
        crate::record::Unreadable::Corrupt => ErrorKind::Unreadable,
    })?;
    Ok(SessionInfo {
        id,
        owner: snapshot.owner,
        created_at: snapshot.head.created_at,
        last_used_at: times.used_at,
        expires_at: times.deadline,
        node: snapshot.head.node().map(ToOwned::to_owned),
    })
}

impl SessionManager {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    async fn load(&self, id: SessionId) -> Result<Option<Record>, Error> {
        self.inner.stats.loads.add();
        self.inner.store.load(id).await.map_err(|error| {
            self.inner.store_failed("load", &error);
            error.into()
        })
    }

    /// The record of a live session, which this release need not be able to read.
    async fn live(&self, id: SessionId) -> Result<Option<Record>, Error> {
        let now = self.inner.now();
        let record = self.load(id).await?;
        Ok(record.filter(|record| record.state == State::Live && !record.times.is_due(now)))
    }

    async fn end(&self, id: SessionId, record: &Record, reason: EndReason) -> Result<bool, Error> {
        let now = self.inner.now();
        let ended = crate::commit::end_record(&self.inner, id, record, reason, now).await?;
        Ok(ended.is_some())
    }

    /// Ends a session whose row the store cannot read: nothing is kept of it.
    async fn end_unread(&self, id: SessionId, reason: EndReason) -> Result<bool, Error> {
        let now = self.inner.now();
        let ended = crate::commit::end_unread(&self.inner, id, reason, now).await?;
        Ok(ended.is_some())
    }

    /// A live session; `None` if it is unknown, has ended or is due.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`], [`ErrorKind::Unreadable`], [`ErrorKind::Unsupported`].
    pub async fn get(&self, id: SessionId) -> Result<Option<SessionInfo>, Error> {
        let record = self.live(id).await?;
        record.map(|record| info(id, record)).transpose()
    }

    /// The live sessions of an owner, oldest first. Rows that cannot be read are left out.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`]; [`ErrorKind::NotSupported`] if the store keeps no owner index.
    pub async fn owned_by(&self, owner: &Owner) -> Result<Vec<SessionInfo>, Error> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let (page, next) = self.owned_page(owner, after).await?;
            let readable = page
                .into_iter()
                .filter_map(|(id, record)| Some((id, record?)));
            all.extend(readable.flat_map(|(id, record)| info(id, record)));
            if next.is_none() {
                return Ok(all);
            }
            after = next;
        }
    }

    /// The live ones of a page of an owner's ids, without a record where the store cannot read it,
    /// and after which id the next page begins.
    async fn owned_page(
        &self,
        owner: &Owner,
        after: Option<SessionId>,
    ) -> Result<(Vec<(SessionId, Option<Record>)>, Option<SessionId>), Error> {
        if !self.inner.store.capabilities().owner_index {
            return Err(ErrorKind::NotSupported.into());
        }
        let page = Page { after, limit: PAGE };
        let ids = self
            .inner
            .store
            .owned_by(owner, page)
            .await
            .map_err(|error| {
                self.inner.store_failed("owned_by", &error);
                Error::from(error)
            })?;
        let mut live = Vec::with_capacity(ids.len());
        for &id in &ids {
            // The index is a superset: each is checked.
            match self.live(id).await {
                Ok(Some(record)) if record.owner.as_ref() == Some(owner) => {
                    live.push((id, Some(record)));
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
                Err(_) => live.push((id, None)),
            }
        }
        Ok((live, ids.last().copied().filter(|_| ids.len() >= PAGE)))
    }

    /// Ends a session (reason [`EndReason::Revoked`]), on every node; whether this call ended it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`]: it may live on.
    pub async fn destroy(&self, id: SessionId) -> Result<bool, Error> {
        self.destroy_as(id, EndReason::Revoked).await
    }

    /// As [`destroy`](Self::destroy), with a reason.
    ///
    /// # Errors
    ///
    /// Those of [`destroy`](Self::destroy).
    pub async fn destroy_as(&self, id: SessionId, reason: EndReason) -> Result<bool, Error> {
        match self.live(id).await {
            Ok(Some(record)) => self.end(id, &record, reason).await,
            Ok(None) => Ok(false),
            Err(error) if error.kind() == ErrorKind::Unavailable => Err(error),
            Err(_) => self.end_unread(id, reason).await,
        }
    }

    /// Ends all sessions of an owner (reason [`EndReason::Revoked`]), but for one if that is
    /// wanted; how many this call ended. To be called when somebody's rights change.
    ///
    /// A row that cannot be read is ended by its id, and keeps no other session alive.
    ///
    /// # Errors
    ///
    /// Those of [`owned_by`](Self::owned_by); some may have ended by then. Where the store can end a
    /// row neither read nor unread, its error, after all others have ended.
    pub async fn destroy_owned_by(
        &self,
        owner: &Owner,
        except: Option<SessionId>,
    ) -> Result<usize, Error> {
        let mut count = 0;
        let mut after = None;
        let mut failed = None;
        loop {
            let (page, next) = self.owned_page(owner, after).await?;
            for (id, record) in page {
                if Some(id) == except {
                    continue;
                }
                let ended = match &record {
                    Some(record) => self.end(id, record, EndReason::Revoked).await,
                    None => self.end_unread(id, EndReason::Revoked).await,
                };
                match ended {
                    Ok(ended) => count += usize::from(ended),
                    Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
                    Err(error) => failed = Some(error),
                }
            }
            if next.is_none() {
                return failed.map_or(Ok(count), Err);
            }
            after = next;
        }
    }

    /// Whether this node holds a copy; asks no store. Jetty's `contains`.
    pub fn is_cached(&self, id: SessionId) -> bool {
        self.inner.l1.contains(id)
    }

    /// Whether the session lives: asks the store. Jetty's `exists`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`].
    pub async fn exists(&self, id: SessionId) -> Result<bool, Error> {
        let now = self.inner.now();
        self.inner.stats.peeks.add();
        let peek = self.inner.store.peek(id).await.map_err(|error| {
            self.inner.store_failed("peek", &error);
            Error::from(error)
        })?;
        Ok(peek.is_some_and(|peek| {
            peek.state == State::Live && peek.deadline.is_none_or(|deadline| now < deadline)
        }))
    }

    /// Which of these sessions have ended, by now: those that are due are ended first, and those
    /// of which nothing is known are among them. Jetty's `checkExpiration`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`].
    pub async fn check_expiration(&self, ids: &[SessionId]) -> Result<Vec<SessionId>, Error> {
        let now = self.inner.now();
        crate::resolve::expire_ids(&self.inner, ids, now).await?;
        let mut ended = Vec::new();
        for &id in ids {
            if !self.exists(id).await? {
                ended.push(id);
            }
        }
        Ok(ended)
    }

    /// What was counted since the start.
    pub fn stats(&self) -> StatsReport {
        let inner = &self.inner;
        inner.l1.run_pending();
        StatsReport::new(
            &inner.stats,
            &inner.l1,
            inner.coherent.is_live(),
            inner.housekeeper.reports(),
        )
    }

    /// Publishes the figures through the `metrics` facade, as gauges and absolute counters. To be
    /// called before a scrape.
    #[cfg(feature = "metrics")]
    pub fn publish_metrics(&self) {
        for (name, is_counter, value) in self.stats().figures() {
            if is_counter {
                metrics::counter!(name).absolute(value);
            } else {
                #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
                metrics::gauge!(name).set(value as f64);
            }
        }
    }

    /// The events of this node from now on.
    pub fn events(&self) -> EventStream {
        self.inner.events.stream()
    }

    /// Runs a job now, after the pass that may be running; does not change its schedule.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] if the pass failed; the report in [`stats`](Self::stats) says why.
    pub async fn run_now(&self, job: Job) -> Result<Report, Error> {
        let report = self.inner.housekeeper.job(job).run(&self.inner).await;
        match &report.error {
            None => Ok(report),
            Some(error) => Err(Error::with_detail(ErrorKind::Unavailable, error.clone())),
        }
    }

    /// Changes when a job runs, from now on.
    pub fn set_schedule(&self, job: Job, schedule: Schedule) {
        self.inner.housekeeper.job(job).set_schedule(schedule);
    }

    /// Waits for commits that go on after their requests, without closing anything.
    pub async fn settled(&self) {
        self.inner.tasks.settled().await;
    }

    /// Finishes late commits, and ends all sessions if the layer was told so. To be called after
    /// the server has drained.
    pub async fn shutdown(&self) -> ShutdownReport {
        for resident in self.inner.l1.residents() {
            resident.wake_deferred();
        }
        self.settled().await;
        let mut report = ShutdownReport::default();
        if self.inner.config.on_shutdown == OnShutdown::Destroy {
            report.destroyed = crate::shutdown::destroy_all(&self.inner).await;
        }
        report.lost = self.inner.stats.late_commits_lost.get();
        report
    }

    /// Empties L1, for tests: the next use of each session loads it. Jarvis' `Reset`.
    pub fn reset(&self) {
        for resident in self.inner.l1.residents() {
            self.inner.forget(resident.id());
        }
        self.inner.l1.clear();
        self.inner.l1.run_pending();
    }
}
