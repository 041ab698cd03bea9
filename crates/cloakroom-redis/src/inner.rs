//! The operations of a store as its scripts see them: one attempt each.

use std::sync::{Arc, OnceLock};

use cloakroom_core::{
    Change, Owner, Record, SaveOutcome, SessionId, Stamp, State, StoreError, Times, TouchOutcome,
};

use tokio::time::Instant;

use crate::check::Warning;
use crate::dial::Dialer;
use crate::feed::{Hub, Writing, notice};
use crate::index::{self, Seen};
use crate::keys::Keys;
use crate::options::RedisOptions;
use crate::reply::{Reply, misunderstood};
use crate::row::{self, Row};
use crate::script::{self, Call, Script};
use crate::wire::Wire;

/// What all handles on a store share.
pub(crate) struct Inner {
    pub(crate) wire: Wire,
    pub(crate) keys: Keys,
    pub(crate) seen: Seen,
    pub(crate) hub: Arc<Hub>,
    pub(crate) warnings: OnceLock<Vec<Warning>>,
}

impl Inner {
    pub(crate) fn new(options: &RedisOptions) -> Result<Self, StoreError> {
        let keys = options.keys()?;
        let dialer = Arc::new(Dialer::new(options)?);
        let wire = Wire::new(options, &dialer);
        let hub = Hub::new(options, dialer, wire.servers.clone(), &keys);
        Ok(Self {
            wire,
            keys,
            seen: Seen::new(),
            hub,
            warnings: OnceLock::new(),
        })
    }

    pub(crate) async fn run(
        &self,
        script: &'static Script,
        repeatable: bool,
        id: SessionId,
        args: &[&[u8]],
        by: Instant,
    ) -> Result<Reply, StoreError> {
        self.hub.start_if_asked();
        let call = Call {
            script,
            key: &self.keys.row(id),
            args,
            repeatable,
        };
        self.wire.run(&call, by).await
    }

    pub(crate) fn decode(&self, id: SessionId, stored: &[u8]) -> Result<Row, StoreError> {
        let row = row::decode(id, stored)?;
        self.seen.note(id, row.record.owner.as_ref());
        Ok(row)
    }

    pub(crate) async fn index(
        &self,
        id: SessionId,
        owner: &Owner,
        times: Times,
        by: Instant,
    ) -> Result<u64, StoreError> {
        index::insert(&self.wire, &self.keys, id, owner, times, by).await
    }

    pub(crate) async fn unindex(&self, id: SessionId, owner: &Owner, kept: u64, by: Instant) {
        index::remove(&self.wire, &self.keys, id, owner, kept, by).await;
    }

    /// One attempt to save; `None` if the owner's index has to be written first.
    pub(crate) async fn try_save(
        &self,
        id: SessionId,
        record: &Record,
        expected: Stamp,
        indexed: Option<u64>,
        by: Instant,
    ) -> Result<Option<SaveOutcome>, StoreError> {
        let value = row::encode(id, record, indexed.unwrap_or_default())?;
        let until = expires(record.times);
        let flag: &[u8] = if indexed.is_some() { b"1" } else { b"" };
        let writing = self.hub.writing(saved(id, record));
        let args: [&[u8]; 7] = [
            id.as_bytes(),
            &value,
            &row::stamp_bytes(expected),
            until.as_bytes(),
            self.keys.channel().as_bytes(),
            writing.own_channel(),
            flag,
        ];
        let mut reply = self.run(&script::SAVE, false, id, &args, by).await?;
        match reply.letter {
            b'S' => {
                writing.done(reply.part()?);
                self.seen.note(id, record.owner.as_ref());
                let kept = u64::from_be_bytes(reply.part()?);
                if let Some(owner) = former(reply.rest()) {
                    Box::pin(self.unindex(id, &owner, kept, by)).await;
                }
                Ok(Some(SaveOutcome::Saved))
            }
            b'V' => {
                writing.nothing();
                let current = self.decode(id, reply.rest())?.record;
                Ok(Some(match current.state {
                    State::Live => SaveOutcome::Conflict(current),
                    State::Ended => SaveOutcome::Ended(current),
                }))
            }
            b'G' => {
                writing.nothing();
                Ok(Some(SaveOutcome::Gone))
            }
            b'I' => {
                writing.nothing();
                Ok(None)
            }
            _ => Err(misunderstood()),
        }
    }

    /// One attempt to touch; the owner if the index has to be written first.
    pub(crate) async fn try_touch(
        &self,
        id: SessionId,
        expected: Stamp,
        times: Times,
        indexed: Option<u64>,
        by: Instant,
    ) -> Result<Result<TouchOutcome, Owner>, StoreError> {
        let until = expires(times);
        let kept = indexed.map(u64::to_be_bytes);
        let kept: &[u8] = kept.as_ref().map_or(b"", |kept| kept.as_slice());
        let args: [&[u8]; 5] = [
            id.as_bytes(),
            &row::stamp_bytes(expected),
            &row::times_bytes(times),
            until.as_bytes(),
            kept,
        ];
        let reply = self.run(&script::TOUCH, false, id, &args, by).await?;
        match reply.letter {
            b'T' => Ok(Ok(TouchOutcome::Touched)),
            b'V' => {
                let current = row::decode_peek(id, reply.rest())?;
                Ok(Ok(match current.state {
                    State::Live => TouchOutcome::Moved(current.stamp),
                    State::Ended => TouchOutcome::Ended,
                }))
            }
            b'G' => Ok(Ok(TouchOutcome::Gone)),
            b'I' => former(reply.rest()).map(Err).ok_or_else(misunderstood),
            _ => Err(misunderstood()),
        }
    }

    /// What a script has ended: the record as it was, and its index entry taken away.
    pub(crate) async fn ended(
        &self,
        id: SessionId,
        mut reply: Reply,
        writing: Writing<'_>,
        by: Instant,
    ) -> Result<Option<Record>, StoreError> {
        match reply.letter {
            b'D' => {
                writing.done(reply.part()?);
                let row = row::decode(id, reply.rest())?;
                if let Some(owner) = &row.record.owner {
                    self.unindex(id, owner, row.indexed, by).await;
                }
                Ok(Some(row.record))
            }
            b'G' => {
                writing.nothing();
                Ok(None)
            }
            // The script could not read it, so it must not be readable here.
            b'V' => {
                writing.nothing();
                row::decode(id, reply.rest()).and_then(|_| Err(misunderstood()))
            }
            _ => Err(misunderstood()),
        }
    }

    pub(crate) async fn expire_one(
        &self,
        id: SessionId,
        now: &str,
        by: Instant,
    ) -> Result<Option<Record>, StoreError> {
        let writing = self.hub.writing(Change::Ended { id });
        let args: [&[u8]; 6] = [
            id.as_bytes(),
            now.as_bytes(),
            &Stamp::first().nonce.to_be_bytes(),
            self.keys.channel().as_bytes(),
            writing.own_channel(),
            &notice::ended(id),
        ];
        let reply = self.run(&script::EXPIRE, false, id, &args, by).await?;
        self.ended(id, reply, writing, by).await
    }
}

/// The time of native expiry as a script's argument; empty: never. Redis takes no time before 1.
pub(crate) fn expires(times: Times) -> String {
    times
        .expires_at
        .map_or_else(String::new, |at| at.as_millis().max(1).to_string())
}

/// The change that storing this record is.
pub(crate) fn saved(id: SessionId, record: &Record) -> Change {
    Change::Saved {
        id,
        stamp: record.stamp,
    }
}

/// An owner as a script repeats it.
fn former(name: &[u8]) -> Option<Owner> {
    Owner::new(std::str::from_utf8(name).ok()?).ok()
}
