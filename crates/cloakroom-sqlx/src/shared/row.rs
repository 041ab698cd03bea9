use cloakroom_core::{Owner, Peek, Record, SessionId, Stamp, State, StoreError, Times, Timestamp};
use sqlx::{ColumnIndex, Decode, Row, Type};

use crate::shared::failure::Failure;

/// The value of `state` in a live row.
pub(crate) const LIVE: i64 = 0;
/// The value of `state` in a tombstone.
pub(crate) const ENDED: i64 = 1;

/// An unsigned number as the signed one with the same bits: SQL has no unsigned 64-bit type.
pub(crate) const fn signed(value: u64) -> i64 {
    value.cast_signed()
}

pub(crate) fn state(state: State) -> i64 {
    match state {
        State::Live => LIVE,
        State::Ended => ENDED,
    }
}

/// Milliseconds since 1970; the year 9999 is far from the end of `i64`.
pub(crate) fn millis(time: Timestamp) -> i64 {
    signed(time.as_millis())
}

/// A stamp from its two columns.
pub(crate) fn stamp(version: i64, nonce: i64) -> Stamp {
    Stamp {
        version: version.cast_unsigned(),
        nonce: nonce.cast_unsigned(),
    }
}

pub(crate) fn read_state(state: i64) -> Result<State, StoreError> {
    match state {
        LIVE => Ok(State::Live),
        ENDED => Ok(State::Ended),
        other => Err(StoreError::corrupt(format!(
            "the column state of this row is {other}, neither {LIVE} nor {ENDED}"
        ))),
    }
}

pub(crate) fn read_time(millis: i64) -> Result<Timestamp, StoreError> {
    u64::try_from(millis)
        .map(Timestamp::from_millis)
        .map_err(|_| StoreError::corrupt("a time of this row lies before 1970"))
}

fn read_optional_time(millis: Option<i64>) -> Result<Option<Timestamp>, StoreError> {
    millis.map(read_time).transpose()
}

/// Reads an id; where the column does not force the length, it is checked here.
#[cfg(any(feature = "sqlite", feature = "mysql"))]
pub(crate) fn read_id(bytes: &[u8]) -> Result<SessionId, StoreError> {
    <[u8; 16]>::try_from(bytes)
        .map(SessionId::from_bytes)
        .map_err(|_| {
            StoreError::corrupt(format!(
                "an id in the table has {} bytes instead of 16",
                bytes.len()
            ))
        })
}

/// Reads four columns that begin at `at`: version, nonce, state, deadline.
pub(crate) fn peek<'r, R>(row: &'r R, at: usize) -> Result<Peek, Failure>
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    Ok(Peek {
        stamp: stamp(value(row, at)?, value(row, at + 1)?),
        state: read_state(value(row, at + 2)?)?,
        deadline: read_optional_time(row.try_get(at + 3)?)?,
    })
}

/// Reads a record from nine columns that begin at `at`: version, nonce, state, owner, `used_at`,
/// deadline, `expires_at`, head, body. `O` is the type in which the driver gives the owner.
pub(crate) fn record<'r, R, O>(row: &'r R, at: usize) -> Result<Record, Failure>
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
    O: Into<Vec<u8>> + Decode<'r, R::Database> + Type<R::Database>,
{
    let owner: Option<O> = row.try_get(at + 3)?;
    let times = Times {
        used_at: read_time(value(row, at + 4)?)?,
        deadline: read_optional_time(row.try_get(at + 5)?)?,
        expires_at: read_optional_time(row.try_get(at + 6)?)?,
    };
    Ok(Record::from_stored(
        stamp(value(row, at)?, value(row, at + 1)?),
        read_state(value(row, at + 2)?)?,
        owner.map(|owner| read_owner(owner.into())).transpose()?,
        times,
        value(row, at + 7)?,
        value(row, at + 8)?,
    ))
}

/// A value that must be there. The driver for `SQLite` would take NULL for zero or empty.
pub(crate) fn value<'r, R, T>(row: &'r R, at: usize) -> Result<T, Failure>
where
    R: Row,
    usize: ColumnIndex<R>,
    T: Decode<'r, R::Database> + Type<R::Database>,
{
    row.try_get::<Option<T>, _>(at)?
        .ok_or_else(|| StoreError::corrupt("a column of this row is NULL that never is").into())
}

fn read_owner(bytes: Vec<u8>) -> Result<Owner, StoreError> {
    String::from_utf8(bytes)
        .ok()
        .and_then(|name| Owner::new(name).ok())
        .ok_or_else(|| StoreError::corrupt("the owner of this row is no owner's name"))
}

/// What `expire` has ended, without the rows that cannot be read: they are ended all the same,
/// because one bad row must not keep all the others alive. They are logged.
pub(crate) fn readable(
    rows: impl IntoIterator<Item = Result<(SessionId, Record), Failure>>,
) -> Vec<(SessionId, Record)> {
    rows.into_iter()
        .filter_map(|row| {
            row.inspect_err(|failure| {
                tracing::error!(?failure, "a session that timed out has an unreadable row");
            })
            .ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use cloakroom_core::StoreErrorKind;

    use super::*;

    #[test]
    fn unsigned_numbers_survive_the_signed_column() {
        for value in [0, 1, u64::MAX, 1 << 63] {
            assert_eq!(stamp(signed(value), signed(value)).nonce, value);
        }
    }

    #[test]
    #[cfg(any(feature = "sqlite", feature = "mysql"))]
    fn an_id_of_another_length_is_corrupt() {
        let error = read_id(&[0; 15]).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    }

    #[test]
    fn what_no_store_has_written_is_corrupt() {
        let kinds = [
            read_state(2).map(drop),
            read_state(-1).map(drop),
            read_time(-1).map(drop),
            read_owner(vec![0xff]).map(drop),
            read_owner(Vec::new()).map(drop),
        ]
        .map(|result| result.unwrap_err().kind());
        assert_eq!(kinds, [StoreErrorKind::Corrupt; 5]);
    }
}
