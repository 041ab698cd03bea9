use std::fmt;
use std::sync::Arc;

use cloakroom_core::{
    Capabilities, ChangeFeed, CreateOutcome, Due, Expiry, Owner, Page, Peek, Reach, Record,
    SaveOutcome, SessionId, SessionStore, Stamp, State, StoreError, Times, Timestamp, TouchOutcome,
};
use futures_util::{StreamExt, stream};

use crate::check::{self, Warning};
use crate::dial::Dialer;
use crate::feed::{Hub, notice};
use crate::index::{self, Seen};
use crate::keys::Keys;
use crate::options::RedisOptions;
use crate::reply::{Reply, misunderstood};
use crate::row::{self, Row};
use crate::script::{self, Call, Script};
use crate::wire::Wire;

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

struct Inner {
    wire: Wire,
    keys: Keys,
    seen: Seen,
    hub: Arc<Hub>,
    warnings: std::sync::OnceLock<Vec<Warning>>,
}

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
        let keys = options.keys()?;
        let dialer = Arc::new(Dialer::new(options)?);
        let wire = Wire::new(options, &dialer);
        let hub = Hub::new(options, dialer, wire.servers.clone(), &keys);
        Ok(Self(Arc::new(Inner {
            wire,
            keys,
            seen: Seen::new(),
            hub,
            warnings: std::sync::OnceLock::new(),
        })))
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

impl Inner {
    async fn run(
        &self,
        script: &'static Script,
        repeatable: bool,
        id: SessionId,
        args: &[&[u8]],
    ) -> Result<Reply, StoreError> {
        self.hub.start_if_asked();
        let call = Call {
            script,
            keys: &[self.keys.row(id)],
            args,
            repeatable,
        };
        self.wire.run(&call).await
    }

    fn decode(&self, id: SessionId, stored: &[u8]) -> Result<Row, StoreError> {
        let row = row::decode(id, stored)?;
        self.seen.note(id, row.record.owner.as_ref());
        Ok(row)
    }

    async fn index(&self, id: SessionId, owner: &Owner, times: Times) -> Result<u64, StoreError> {
        index::insert(&self.wire, &self.keys, id, owner, times).await
    }

    async fn unindex(&self, id: SessionId, owner: &Owner, score: u64) {
        index::remove(&self.wire, &self.keys, id, owner, score).await;
    }

    /// One attempt to save; `None` if the owner's index has to be written first.
    async fn try_save(
        &self,
        id: SessionId,
        record: &Record,
        expected: Stamp,
        indexed: Option<u64>,
    ) -> Result<Option<SaveOutcome>, StoreError> {
        let value = row::encode(id, record, indexed.unwrap_or_default())?;
        let until = expires(record.times);
        let flag: &[u8] = if indexed.is_some() { b"1" } else { b"" };
        let args: [&[u8]; 7] = [
            id.as_bytes(),
            &value,
            &row::stamp_bytes(expected),
            until.as_bytes(),
            self.keys.channel().as_bytes(),
            &notice::saved(id, record.stamp),
            flag,
        ];
        let mut reply = self.run(&script::SAVE, false, id, &args).await?;
        match reply.letter {
            b'S' => {
                self.seen.note(id, record.owner.as_ref());
                let (had, score) = (reply.bytes()?, reply.bytes()?);
                if let (Some(owner), Some(score)) = (former(&had), number(&score)) {
                    self.unindex(id, &owner, score).await;
                }
                Ok(Some(SaveOutcome::Saved))
            }
            b'V' => {
                let current = self.decode(id, &reply.bytes()?)?.record;
                Ok(Some(match current.state {
                    State::Live => SaveOutcome::Conflict(current),
                    State::Ended => SaveOutcome::Ended(current),
                }))
            }
            b'G' => Ok(Some(SaveOutcome::Gone)),
            b'I' => Ok(None),
            _ => Err(misunderstood()),
        }
    }

    /// One attempt to touch; the owner if the index has to be written first.
    async fn try_touch(
        &self,
        id: SessionId,
        expected: Stamp,
        times: Times,
        indexed: Option<u64>,
    ) -> Result<Result<TouchOutcome, Owner>, StoreError> {
        let until = expires(times);
        let score = indexed.map(u64::to_be_bytes);
        let score: &[u8] = score.as_ref().map_or(b"", |score| score.as_slice());
        let args: [&[u8]; 5] = [
            id.as_bytes(),
            &row::stamp_bytes(expected),
            &row::times_bytes(times),
            until.as_bytes(),
            score,
        ];
        let mut reply = self.run(&script::TOUCH, false, id, &args).await?;
        match reply.letter {
            b'T' => Ok(Ok(TouchOutcome::Touched)),
            b'V' => {
                let current = row::decode_peek(id, &reply.bytes()?)?;
                Ok(Ok(match current.state {
                    State::Live => TouchOutcome::Moved(current.stamp),
                    State::Ended => TouchOutcome::Ended,
                }))
            }
            b'G' => Ok(Ok(TouchOutcome::Gone)),
            b'I' => former(&reply.bytes()?).map(Err).ok_or_else(misunderstood),
            _ => Err(misunderstood()),
        }
    }

    /// What a script has ended: the record as it was, and its index entry taken away.
    async fn ended(&self, id: SessionId, mut reply: Reply) -> Result<Option<Record>, StoreError> {
        match reply.letter {
            b'D' => {
                let row = row::decode(id, &reply.bytes()?)?;
                if let Some(owner) = &row.record.owner {
                    self.unindex(id, owner, row.indexed).await;
                }
                Ok(Some(row.record))
            }
            b'G' => Ok(None),
            // The script could not read it, so it must not be readable here.
            b'V' => match row::decode(id, &reply.bytes()?) {
                Err(error) => Err(error),
                Ok(_) => Err(misunderstood()),
            },
            _ => Err(misunderstood()),
        }
    }

    async fn expire_one(&self, id: SessionId, now: &str) -> Result<Option<Record>, StoreError> {
        let args: [&[u8]; 5] = [
            id.as_bytes(),
            now.as_bytes(),
            &Stamp::first().nonce.to_be_bytes(),
            self.keys.channel().as_bytes(),
            &notice::ended(id),
        ];
        let reply = self.run(&script::EXPIRE, false, id, &args).await?;
        self.ended(id, reply).await
    }
}

impl SessionStore for RedisStore {
    async fn create(&self, id: SessionId, record: &Record) -> Result<CreateOutcome, StoreError> {
        let this = &*self.0;
        let indexed = match &record.owner {
            Some(owner) => this.index(id, owner, record.times).await?,
            None => 0,
        };
        let until = expires(record.times);
        let args: [&[u8]; 5] = [
            id.as_bytes(),
            &row::encode(id, record, indexed)?,
            until.as_bytes(),
            this.keys.channel().as_bytes(),
            &notice::saved(id, record.stamp),
        ];
        let mut reply = this.run(&script::CREATE, false, id, &args).await?;
        match reply.letter {
            b'C' => {
                this.seen.note(id, record.owner.as_ref());
                Ok(CreateOutcome::Created)
            }
            b'X' => {
                let stamp = row::decode_peek(id, &reply.bytes()?)?.stamp;
                Ok(CreateOutcome::Exists(stamp))
            }
            _ => Err(misunderstood()),
        }
    }

    async fn load(&self, id: SessionId) -> Result<Option<Record>, StoreError> {
        let mut reply = self
            .0
            .run(&script::LOAD, true, id, &[id.as_bytes()])
            .await?;
        match reply.optional()? {
            Some(stored) => Ok(Some(self.0.decode(id, &stored)?.record)),
            None => Ok(None),
        }
    }

    async fn peek(&self, id: SessionId) -> Result<Option<Peek>, StoreError> {
        let mut reply = self
            .0
            .run(&script::PEEK, true, id, &[id.as_bytes()])
            .await?;
        match reply.bytes()?.as_slice() {
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
        let this = &*self.0;
        let index_first = record
            .owner
            .as_ref()
            .filter(|owner| this.seen.differs(id, owner));
        let mut indexed = match index_first {
            Some(owner) => Some(this.index(id, owner, record.times).await?),
            None => None,
        };
        loop {
            if let Some(outcome) = this.try_save(id, record, expected, indexed).await? {
                return Ok(outcome);
            }
            // Asked for once at most: with a score at hand the script does not ask.
            let (Some(owner), None) = (&record.owner, indexed) else {
                return Err(misunderstood());
            };
            indexed = Some(this.index(id, owner, record.times).await?);
        }
    }

    async fn touch(
        &self,
        id: SessionId,
        expected: Stamp,
        times: Times,
    ) -> Result<TouchOutcome, StoreError> {
        let this = &*self.0;
        let mut indexed = None;
        loop {
            match this.try_touch(id, expected, times, indexed).await? {
                Ok(outcome) => return Ok(outcome),
                Err(_) if indexed.is_some() => return Err(misunderstood()),
                Err(owner) => indexed = Some(this.index(id, &owner, times).await?),
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
        let args: [&[u8]; 5] = [
            id.as_bytes(),
            &value,
            until.as_bytes(),
            self.0.keys.channel().as_bytes(),
            &notice::ended(id),
        ];
        let reply = self.0.run(&script::END, false, id, &args).await?;
        self.0.ended(id, reply).await
    }

    async fn expire(
        &self,
        now: Timestamp,
        due: Due<'_>,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        let Due::Ids(ids) = due else {
            return Ok(Vec::new());
        };
        let now = now.as_millis().to_string();
        let mut results = stream::iter(ids.iter().copied())
            .map(|id| {
                let now = now.as_str();
                async move { (id, self.0.expire_one(id, now).await) }
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
        index::list(&self.0.wire, &self.0.keys, owner, page).await
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

/// The time of native expiry as a script's argument; empty: never. Redis takes no time before 1.
fn expires(times: Times) -> String {
    times
        .expires_at
        .map_or_else(String::new, |at| at.as_millis().max(1).to_string())
}

/// An owner as a script repeats it.
fn former(name: &[u8]) -> Option<Owner> {
    Owner::new(std::str::from_utf8(name).ok()?).ok()
}

fn number(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}
