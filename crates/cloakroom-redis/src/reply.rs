//! Takes a script's reply apart, and checks that it belongs to the request.

use cloakroom_core::StoreError;
use redis::Value;

/// The reply to a script: a letter, what was asked for, and what the letter brings along.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) letter: u8,
    text: Vec<u8>,
    /// Where that begins which the letter brings along.
    from: usize,
    list: Vec<Value>,
}

impl Reply {
    /// `None` if this is not the reply to a request about `asked`.
    pub(crate) fn read(value: Value, asked: &[u8]) -> Option<Self> {
        let (text, list) = match value {
            Value::BulkString(text) => (text, Vec::new()),
            // An owner's name may be the beginning of another one's: nothing may follow it.
            Value::Array(parts) => match <[Value; 2]>::try_from(parts) {
                Ok([Value::BulkString(text), Value::Array(list)])
                    if text.len() == asked.len() + 1 =>
                {
                    (text, list)
                }
                _ => return None,
            },
            _ => return None,
        };
        let (letter, rest) = text.split_first()?;
        let letter = *letter;
        rest.starts_with(asked).then(|| Self {
            letter,
            from: asked.len() + 1,
            text,
            list,
        })
    }

    /// What the letter brings along.
    pub(crate) fn rest(&self) -> &[u8] {
        self.text.get(self.from..).unwrap_or_default()
    }

    /// Takes a part of so many bytes off the rest.
    pub(crate) fn part<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let part = self.rest().first_chunk().copied();
        self.from += N;
        part.ok_or_else(misunderstood)
    }

    /// The list that it is.
    pub(crate) fn list(self) -> Result<Vec<Vec<u8>>, StoreError> {
        let members = self.list.into_iter().map(|member| match member {
            Value::BulkString(bytes) => Ok(bytes),
            _ => Err(misunderstood()),
        });
        members.collect()
    }
}

/// Whether a script that answers so has written: it created, saved, touched or ended.
pub(crate) fn has_written(value: &Value) -> bool {
    match value {
        Value::BulkString(text) => matches!(text.first(), Some(b'C' | b'S' | b'T' | b'D')),
        _ => false,
    }
}

/// For a letter or a part that no script of ours sends.
pub(crate) fn misunderstood() -> StoreError {
    StoreError::unavailable("the server sent a reply that none of our scripts gives")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn a_reply_to_another_request_is_noticed() {
        let mut read = Reply::read(bulk("Rone1rest"), b"one").unwrap();
        assert_eq!((read.letter, read.part().unwrap()), (b'R', *b"1"));
        assert_eq!(read.rest(), b"rest");
        assert!(read.part::<5>().is_err() && read.rest().is_empty());
        let list = |name| Value::Array(vec![bulk(name), Value::Array(vec![bulk("1")])]);
        let members = Reply::read(list("Oada"), b"ada").unwrap().list();
        assert_eq!(members.unwrap(), [b"1"]);
        for other in [
            Value::Nil,
            Value::Okay,
            bulk(""),
            bulk("R"),
            bulk("Rtwo1rest"),
            list("Oadam"),
            Value::Array(vec![bulk("Oada")]),
        ] {
            assert!(Reply::read(other.clone(), b"ada").is_none(), "{other:?}");
        }
    }
}
