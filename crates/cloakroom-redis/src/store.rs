use std::fmt;
use std::sync::Arc;

use cloakroom_core::{
    Capabilities, Change, ChangeFeed, CreateOutcome, Due, Expiry, Owner, Page, Peek, Reach, Record,
    SaveOutcome, SessionId, SessionStore, Stamp, StoreError, Times, Timestamp, TouchOutcome,
};
use futures_util::{StreamExt, stream};

use crate::check::{self, Warning};
use crate::feed::notice;
use crate::index;
use crate::inner::{Inner, expires, saved};
use crate::options::RedisOptions;
use crate::reply::misunderstood;
use crate::row;
use crate::script;

/// How many sessions are expired at once.
const EXPIRE_AT_ONCE: usize = 32;

/// Keeps sessions in Redis or Valkey. A clone is another handle on the same connections.
///
/// ```no_run
/// # async fn example() -> Result<(), cloakroom_core::StoreError> {
/// use cloakroom_redis::RedisStore;
///
/// let store = RedisStore::connect("redis://localhost:6379").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

impl RedisStore {
    /// Connects with the default options; see [`RedisOptions`] for the forms of the URL.
    ///
    /// # Errors
    ///
    /// As for [`RedisOptions::parse`] and [`RedisOptions::connect`].
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        RedisOptions::parse(url)?.connect().await
    }

    /// What was found at [`connect`](Self::connect) that endangers sessions. Each was also logged.
    pub fn warnings(&self) -> &[Warning] {
        self.0.warnings.get().map_or(&[], Vec::as_slice)
    }

    /// Looks at the servers' settings now.
    ///
    /// # Errors
    ///
    /// If a server does not answer; one that does not let us look is a warning.
    pub async fn check(&self) -> Result<Vec<Warning>, StoreError> {
        check::look(&self.0.wire).await
    }

    pub(crate) fn new(options: &RedisOptions) -> Result<Self, StoreError> {
        Ok(Self(Arc::new(Inner::new(options)?)))
    }

    pub(crate) async fn greet(&self) -> Result<(), StoreError> {
        let warnings = self.check().await?;
        for warning in &warnings {
            tracing::warn!(server = %warning.server, "{}", warning.message);
        }
        self.0.warnings.get_or_init(|| warnings);
        Ok(())
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("keys", &self.0.keys)
            .finish_non_exhaustive()
    }
}

impl SessionStore for RedisStore {
    async fn create(&self, id: SessionId, record: &Record) -> Result<CreateOutcome, StoreError> {
        let (this, by) = (&*self.0, self.0.wire.deadline());
        let indexed = match &record.owner {
            Some(owner) => Box::pin(this.index(id, owner, record.times, by)).await?,
            None => 0,
        };
        let until = expires(record.times);
        let value = row::encode(id, record, indexed)?;
        let writing = this.hub.writing(saved(id, record));
        let args: [&[u8]; 5] = [
            id.as_bytes(),
            &value,
            until.as_bytes(),
            this.keys.channel().as_bytes(),
            writing.own_channel(),
        ];
        let mut reply = this.run(&script::CREATE, false, id, &args, by).await?;
        match reply.letter {
            b'C' => {
                writing.done(reply.part()?);
                this.seen.note(id, record.owner.as_ref());
                Ok(CreateOutcome::Created)
            }
            b'X' => {
                writing.nothing();
                let stamp = row::decode_peek(id, reply.rest())?.stamp;
                Ok(CreateOutcome::Exists(stamp))
            }
            _ => Err(misunderstood()),
        }
    }

    async fn load(&self, id: SessionId) -> Result<Option<Record>, StoreError> {
        let by = self.0.wire.deadline();
        let reply = self
            .0
            .run(&script::LOAD, true, id, &[id.as_bytes()], by)
            .await?;
        match reply.letter {
            b'R' => Ok(Some(self.0.decode(id, reply.rest())?.record)),
            b'N' => Ok(None),
            _ => Err(misunderstood()),
        }
    }

    async fn peek(&self, id: SessionId) -> Result<Option<Peek>, StoreError> {
        let by = self.0.wire.deadline();
        let reply = self
            .0
            .run(&script::PEEK, true, id, &[id.as_bytes()], by)
            .await?;
        match reply.rest() {
            [] => Ok(None),
            header => row::decode_peek(id, header).map(Some),
        }
    }

    async fn save(
        &self,
        id: SessionId,
        record: &Record,
        expected: Stamp,
    ) -> Result<SaveOutcome, StoreError> {
        let (this, by) = (&*self.0, self.0.wire.deadline());
        let index_first = record
            .owner
            .as_ref()
            .filter(|owner| this.seen.differs(id, owner));
        let mut indexed = match index_first {
            Some(owner) => Some(Box::pin(this.index(id, owner, record.times, by)).await?),
            None => None,
        };
        loop {
            if let Some(outcome) = this.try_save(id, record, expected, indexed, by).await? {
                return Ok(outcome);
            }
            // Asked for once at most: with an entry at hand the script does not ask.
            let (Some(owner), None) = (&record.owner, indexed) else {
                return Err(misunderstood());
            };
            indexed = Some(Box::pin(this.index(id, owner, record.times, by)).await?);
        }
    }

    async fn touch(
        &self,
        id: SessionId,
        expected: Stamp,
        times: Times,
    ) -> Result<TouchOutcome, StoreError> {
        let (this, by) = (&*self.0, self.0.wire.deadline());
        let mut indexed = None;
        loop {
            match this.try_touch(id, expected, times, indexed, by).await? {
                Ok(outcome) => return Ok(outcome),
                Err(_) if indexed.is_some() => return Err(misunderstood()),
                Err(owner) => {
                    indexed = Some(Box::pin(this.index(id, &owner, times, by)).await?);
                }
            }
        }
    }

    async fn end(
        &self,
        id: SessionId,
        tombstone: Option<&Record>,
    ) -> Result<Option<Record>, StoreError> {
        let (value, until) = match tombstone {
            Some(record) => (row::encode(id, record, 0)?, expires(record.times)),
            None => (Vec::new(), String::new()),
        };
        let writing = self.0.hub.writing(Change::Ended { id });
        let args: [&[u8]; 6] = [
            id.as_bytes(),
            &value,
            until.as_bytes(),
            self.0.keys.channel().as_bytes(),
            writing.own_channel(),
            &notice::ended(id),
        ];
        let by = self.0.wire.deadline();
        let reply = self.0.run(&script::END, false, id, &args, by).await?;
        self.0.ended(id, reply, writing, by).await
    }

    async fn expire(
        &self,
        now: Timestamp,
        due: Due<'_>,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        let Due::Ids(ids) = due else {
            return Ok(Vec::new());
        };
        let (now, by) = (now.as_millis().to_string(), self.0.wire.deadline());
        let mut results = stream::iter(ids.iter().copied())
            .map(|id| {
                let now = now.as_str();
                async move { (id, self.0.expire_one(id, now, by).await) }
            })
            .buffer_unordered(EXPIRE_AT_ONCE);
        let (mut ended, mut failure) = (Vec::new(), None);
        while let Some((id, result)) = results.next().await {
            match result {
                Ok(Some(record)) => ended.push((id, record)),
                Ok(None) => {}
                Err(error) => failure = Some((id, error)),
            }
        }
        match failure {
            // What was ended is told here and never again, so a failure elsewhere must not hide it.
            Some((id, error)) if !ended.is_empty() => {
                tracing::warn!(session = %id, %error, "not expired; it will be met again");
                Ok(ended)
            }
            Some((_, error)) => Err(error),
            None => Ok(ended),
        }
    }

    /// Rows go by native expiry, and index entries are trimmed whenever their index is used: there
    /// is nothing to remove, and this sends no command.
    async fn purge(&self, _now: Timestamp, _limit: usize) -> Result<usize, StoreError> {
        Ok(0)
    }

    async fn owned_by(&self, owner: &Owner, page: Page) -> Result<Vec<SessionId>, StoreError> {
        self.0.hub.start_if_asked();
        let (ids, endless) = index::list(&self.0.wire, &self.0.keys, owner, page).await?;
        if !endless.is_empty() {
            // Nobody waits for it. What is found gone stays in this page: one that is shorter than was
            // asked for is the last one.
            let (inner, owner) = (Arc::clone(&self.0), owner.clone());
            tokio::spawn(async move {
                index::sweep(&inner.wire, &inner.keys, &owner, &endless).await;
            });
        }
        Ok(ids)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            expiry: Expiry::Native,
            reach: Reach::Changes,
            max_record_bytes: Some(row::MAX_PAYLOAD),
            ..Capabilities::default()
        }
    }

    fn changes(&self) -> Option<ChangeFeed> {
        Some(self.0.hub.feed())
    }
}
