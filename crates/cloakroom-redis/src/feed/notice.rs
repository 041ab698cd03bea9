//! The messages on the channel: a letter, the id, and the stamp of a write, or a number that tells one
//! ending of this id from another. Those of a write are made by its script, of what it stores.

use cloakroom_core::{Change, SessionId, Stamp};

use crate::row::stamp_bytes;

/// This session has ended.
pub(crate) fn ended(id: SessionId) -> [u8; 33] {
    message(b'E', id, Stamp::first())
}

fn message(letter: u8, id: SessionId, stamp: Stamp) -> [u8; 33] {
    let mut message = [letter; 33];
    let (_, rest) = message.split_at_mut(1);
    let (to_id, to_stamp) = rest.split_at_mut(16);
    to_id.copy_from_slice(id.as_bytes());
    to_stamp.copy_from_slice(&stamp_bytes(stamp));
    message
}

/// `None` for a message that is none of ours: then nobody knows what changed.
pub(crate) fn read(message: &[u8]) -> Option<Change> {
    let (letter, rest) = message.split_first()?;
    let (id, rest) = rest.split_first_chunk::<16>()?;
    let (version, nonce) = rest.split_first_chunk::<8>()?;
    let id = SessionId::from_bytes(*id);
    let stamp = Stamp {
        version: u64::from_be_bytes(*version),
        nonce: u64::from_be_bytes(nonce.try_into().ok()?),
    };
    match letter {
        b'E' => Some(Change::Ended { id }),
        b'S' => Some(Change::Saved { id, stamp }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(id: SessionId, stamp: Stamp) -> [u8; 33] {
        message(b'S', id, stamp)
    }

    #[test]
    fn notices_are_read_as_they_were_written() {
        let (id, stamp) = (SessionId::from_bytes([9; 16]), Stamp::first().next());
        assert_eq!(read(&saved(id, stamp)), Some(Change::Saved { id, stamp }));
        assert_eq!(read(&ended(id)), Some(Change::Ended { id }));
        let long = [saved(id, stamp).as_slice(), b"x"].concat();
        assert_ne!(
            ended(id),
            ended(id),
            "each ending is told, also of an id that came again"
        );
        let strange = [b"X", &ended(id)[1..]].concat();
        for other in [
            &b""[..],
            b"E",
            b"hello, world, how are you",
            &long,
            &strange,
        ] {
            assert_eq!(read(other), None, "{other:?}");
        }
    }
}
