//! Takes a script's reply apart, and checks that it belongs to the request.

use std::vec::IntoIter;

use cloakroom_core::StoreError;
use redis::Value;

/// The reply to a script: a letter, what was asked for, and what the letter brings along.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) letter: u8,
    rest: IntoIter<Value>,
}

impl Reply {
    /// `None` if this is not the reply to a request about `asked`.
    pub(crate) fn read(value: Value, asked: &[u8]) -> Option<Self> {
        let Value::Array(parts) = value else {
            return None;
        };
        let mut rest = parts.into_iter();
        let letter = match bytes(rest.next()?)?.as_slice() {
            [letter] => *letter,
            _ => return None,
        };
        (bytes(rest.next()?)? == asked).then_some(Self { letter, rest })
    }

    /// The next part; `None` where the server said nil.
    pub(crate) fn optional(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        match self.rest.next() {
            Some(Value::Nil) => Ok(None),
            Some(value) => bytes(value).map(Some).ok_or_else(misunderstood),
            None => Err(misunderstood()),
        }
    }

    /// The next part, which must be there.
    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, StoreError> {
        self.optional()?.ok_or_else(misunderstood)
    }

    /// The next part as a list.
    pub(crate) fn list(&mut self) -> Result<Vec<Vec<u8>>, StoreError> {
        match self.rest.next() {
            Some(Value::Array(parts)) => parts
                .into_iter()
                .map(|part| bytes(part).ok_or_else(misunderstood))
                .collect(),
            _ => Err(misunderstood()),
        }
    }
}

/// Whether a script that answers so has written: it created, saved, touched or ended.
pub(crate) fn has_written(value: &Value) -> bool {
    match value {
        Value::Array(parts) => match parts.first() {
            Some(Value::BulkString(letter)) => {
                matches!(letter.as_slice(), [b'C' | b'S' | b'T' | b'D'])
            }
            _ => false,
        },
        _ => false,
    }
}

/// For a letter or a part that no script of ours sends.
pub(crate) fn misunderstood() -> StoreError {
    StoreError::unavailable("the server sent a reply that none of our scripts gives")
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn a_reply_to_another_request_is_noticed() {
        let reply = || Value::Array(vec![bulk("R"), bulk("one"), Value::Nil]);
        let mut read = Reply::read(reply(), b"one").unwrap();
        assert_eq!((read.letter, read.optional().unwrap()), (b'R', None));
        assert!(Reply::read(reply(), b"two").is_none());
        for other in [
            Value::Nil,
            Value::Okay,
            bulk("R"),
            Value::Array(vec![bulk("R")]),
        ] {
            assert!(Reply::read(other.clone(), b"one").is_none(), "{other:?}");
        }
    }
}
