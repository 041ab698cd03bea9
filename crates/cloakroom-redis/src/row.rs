//! One row as it is stored: a single string, so that a session costs one key.
//!
//! | bytes (from 0) | what |
//! |---|---|
//! | 0..3 | `CR` and the format, 1 |
//! | 3 | `L` live, `E` ended |
//! | 4..20 | the id: a value tells whose it is |
//! | 20..28, 28..36 | version, nonce |
//! | 36..44, 44..52, 52..60 | `used_at`, `deadline`, `expires_at` in ms; all ones: never |
//! | 60..68 | until when the entry in the owner's index is kept; 0: there is none |
//! | 68, 69..73, 73..77 | lengths of owner, head, body |
//! | 77.. | owner, head, body |
//!
//! All numbers are big endian. A string and not a hash, because it is a third of a hash's memory and
//! because a fixed header lets a script compare stamps and move times as bytes, without a Lua
//! number in between.

use cloakroom_core::{Owner, Peek, Record, SessionId, Stamp, State, StoreError, Times, Timestamp};

/// Length of the fixed part.
pub(crate) const HEADER: usize = 77;

/// The greatest size of head and body together. One command occupies the whole server: what is
/// bigger than this is no session.
pub(crate) const MAX_PAYLOAD: usize = 16 * 1024 * 1024;

const MAGIC: [u8; 3] = *b"CR\x01";
const NEVER: u64 = u64::MAX;

/// A stored row.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) record: Record,
    /// Until when the owner's index entry is kept; 0: there is none.
    pub(crate) indexed: u64,
}

/// The 16 bytes that name a state of a record.
pub(crate) fn stamp_bytes(stamp: Stamp) -> [u8; 16] {
    let mut bytes = [0; 16];
    let (version, nonce) = bytes.split_at_mut(8);
    version.copy_from_slice(&stamp.version.to_be_bytes());
    nonce.copy_from_slice(&stamp.nonce.to_be_bytes());
    bytes
}

/// The 24 bytes of the three times.
pub(crate) fn times_bytes(times: Times) -> [u8; 24] {
    let mut bytes = [0; 24];
    let all = [
        times.used_at.as_millis(),
        millis(times.deadline),
        millis(times.expires_at),
    ];
    for (slot, time) in bytes.chunks_exact_mut(8).zip(all) {
        slot.copy_from_slice(&time.to_be_bytes());
    }
    bytes
}

fn millis(time: Option<Timestamp>) -> u64 {
    time.map_or(NEVER, Timestamp::as_millis)
}

/// What is stored for this record.
///
/// # Errors
///
/// `Rejected` if it is too large.
pub(crate) fn encode(id: SessionId, record: &Record, indexed: u64) -> Result<Vec<u8>, StoreError> {
    let too_large = || {
        StoreError::rejected(format!(
            "head and body have more than {MAX_PAYLOAD} bytes together"
        ))
    };
    if record.head.len().saturating_add(record.body.len()) > MAX_PAYLOAD {
        return Err(too_large());
    }
    let length = |part: &[u8]| u32::try_from(part.len()).map_err(|_| too_large());
    let (head, body) = (length(&record.head)?, length(&record.body)?);
    let owner = record.owner.as_ref().map_or("", Owner::as_str).as_bytes();
    let owner_length = u8::try_from(owner.len())
        .map_err(|_| StoreError::rejected("the owner has more than 255 bytes"))?;

    let mut row = Vec::with_capacity(HEADER + owner.len() + record.head.len() + record.body.len());
    row.extend_from_slice(&MAGIC);
    row.push(match record.state {
        State::Live => b'L',
        State::Ended => b'E',
    });
    row.extend_from_slice(id.as_bytes());
    row.extend_from_slice(&stamp_bytes(record.stamp));
    row.extend_from_slice(&times_bytes(record.times));
    row.extend_from_slice(&indexed.to_be_bytes());
    row.push(owner_length);
    row.extend_from_slice(&head.to_be_bytes());
    row.extend_from_slice(&body.to_be_bytes());
    row.extend_from_slice(owner);
    row.extend_from_slice(&record.head);
    row.extend_from_slice(&record.body);
    Ok(row)
}

/// Reads a whole row.
///
/// # Errors
///
/// `Unsupported` for a newer format, `Corrupt` for whatever else is no row of this id.
pub(crate) fn decode(id: SessionId, stored: &[u8]) -> Result<Row, StoreError> {
    let mut reader = Reader(stored);
    let header = reader.header(id)?;
    let owner = match reader.take(usize::from(header.owner))? {
        [] => None,
        name => Some(
            std::str::from_utf8(name)
                .ok()
                .and_then(|name| Owner::new(name).ok())
                .ok_or_else(|| corrupt("its owner is no name"))?,
        ),
    };
    let head = reader.take(to_usize(header.head)?)?.to_vec();
    let body = reader.take(to_usize(header.body)?)?.to_vec();
    if !reader.0.is_empty() {
        return Err(corrupt("it is longer than it says"));
    }
    let record = Record::from_stored(header.stamp, header.state, owner, header.times, head, body);
    Ok(Row {
        record,
        indexed: header.indexed,
    })
}

/// Reads the header, which may be followed by anything.
///
/// # Errors
///
/// As for [`decode`].
pub(crate) fn decode_peek(id: SessionId, stored: &[u8]) -> Result<Peek, StoreError> {
    let header = Reader(stored).header(id)?;
    Ok(Peek {
        stamp: header.stamp,
        state: header.state,
        deadline: header.times.deadline,
    })
}

struct Header {
    state: State,
    stamp: Stamp,
    times: Times,
    indexed: u64,
    owner: u8,
    head: u32,
    body: u32,
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], StoreError> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or_else(|| corrupt("it is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| corrupt("it is cut off"))
    }

    fn number(&mut self) -> Result<u64, StoreError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    fn time(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let millis = self.number()?;
        Ok((millis != NEVER).then(|| Timestamp::from_millis(millis)))
    }

    fn header(&mut self, id: SessionId) -> Result<Header, StoreError> {
        match self.array::<3>()? {
            MAGIC => {}
            [b'C', b'R', format] => {
                return Err(StoreError::unsupported(format!(
                    "the row of session {id} has format {format}; this release reads format 1"
                )));
            }
            _ => return Err(corrupt("it was not written by cloakroom")),
        }
        let state = match self.array()? {
            [b'L'] => State::Live,
            [b'E'] => State::Ended,
            _ => return Err(corrupt("it is neither live nor ended")),
        };
        if self.array()? != *id.as_bytes() {
            return Err(corrupt("it belongs to another session"));
        }
        let stamp = Stamp {
            version: self.number()?,
            nonce: self.number()?,
        };
        let times = Times {
            used_at: Timestamp::from_millis(self.number()?),
            deadline: self.time()?,
            expires_at: self.time()?,
        };
        let indexed = self.number()?;
        let [owner] = self.array()?;
        let head = u32::from_be_bytes(self.array()?);
        let body = u32::from_be_bytes(self.array()?);
        Ok(Header {
            state,
            stamp,
            times,
            indexed,
            owner,
            head,
            body,
        })
    }
}

fn to_usize(length: u32) -> Result<usize, StoreError> {
    usize::try_from(length).map_err(|_| corrupt("it is longer than memory"))
}

fn corrupt(what: &str) -> StoreError {
    StoreError::corrupt(format!(
        "the value under the session's key cannot be read: {what}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cloakroom_core::StoreErrorKind;

    const ID: SessionId = SessionId::from_bytes([7; 16]);

    fn record() -> Record {
        let stamp = Stamp {
            version: u64::MAX,
            nonce: 1 << 63 | 1,
        };
        let times = Times {
            used_at: Timestamp::EPOCH,
            deadline: Some(Timestamp::MAX),
            expires_at: None,
        };
        let owner = Some(Owner::new("ä".repeat(127)).unwrap());
        Record::from_stored(stamp, State::Live, owner, times, vec![1, 0], vec![255; 300])
    }

    #[test]
    fn a_row_comes_back_as_it_was() {
        let bytes = encode(ID, &record(), 5).unwrap();
        let row = decode(ID, &bytes).unwrap();
        assert_eq!((row.record, row.indexed), (record(), 5));
        let peek = decode_peek(ID, &bytes[..HEADER]).unwrap();
        assert_eq!(
            (peek.stamp, peek.deadline),
            (record().stamp, Some(Timestamp::MAX))
        );
    }

    #[test]
    fn what_is_no_row_of_this_session_is_told_apart() {
        let good = encode(ID, &record(), 0).unwrap();
        let changed = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            bytes
        };
        let table = [
            (changed(0, b'X'), StoreErrorKind::Corrupt),
            (changed(2, 2), StoreErrorKind::Unsupported),
            (changed(3, b'?'), StoreErrorKind::Corrupt),
            (changed(4, 8), StoreErrorKind::Corrupt),
            (changed(68, 3), StoreErrorKind::Corrupt),
            (changed(77, 0xff), StoreErrorKind::Corrupt),
            (good[..good.len() - 1].to_vec(), StoreErrorKind::Corrupt),
            ([good.as_slice(), b"x"].concat(), StoreErrorKind::Corrupt),
            (b"hello".to_vec(), StoreErrorKind::Corrupt),
            (Vec::new(), StoreErrorKind::Corrupt),
        ];
        for (bytes, kind) in table {
            assert_eq!(decode(ID, &bytes).unwrap_err().kind(), kind, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_too_large_is_rejected_before_it_is_sent() {
        let mut large = record();
        large.body = vec![0; MAX_PAYLOAD];
        let kind = encode(ID, &large, 0).unwrap_err().kind();
        assert_eq!(kind, StoreErrorKind::Rejected);
    }
}
