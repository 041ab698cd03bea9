//! Where things are kept: the names of keys, and the slot of a key on a cluster.

use cloakroom_core::{Owner, SessionId, StoreError};

/// How many slots a cluster has.
pub(crate) const SLOTS: u16 = 16_384;

/// The names of all keys and of the channel, under one prefix.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    prefix: String,
    channel: String,
}

impl Keys {
    /// # Errors
    ///
    /// `Rejected` if the prefix has a brace (it would decide the slot of every key) or a control
    /// character.
    pub(crate) fn new(prefix: &str, database: u32) -> Result<Self, StoreError> {
        if prefix
            .chars()
            .any(|c| matches!(c, '{' | '}') || c.is_control())
        {
            return Err(StoreError::rejected(
                "the key prefix must not hold braces or control characters",
            ));
        }
        // Channels know no databases: without the number, one would hear of the other's sessions.
        let channel = match database {
            0 => format!("{prefix}changes"),
            database => format!("{prefix}changes:{database}"),
        };
        Ok(Self {
            prefix: prefix.to_owned(),
            channel,
        })
    }

    pub(crate) fn channel(&self) -> &str {
        &self.channel
    }

    /// The one key of a session.
    pub(crate) fn row(&self, id: SessionId) -> String {
        format!("{}{id}", self.prefix)
    }

    /// The key of an owner's index.
    pub(crate) fn index(&self, owner: &Owner) -> String {
        format!("{}owner:{owner}", self.prefix)
    }

    /// A prefix of keys that are never written.
    pub(crate) fn unused(&self) -> String {
        format!("{}unused:", self.prefix)
    }
}

/// The slot of a key, by its hash tag if it has one ([cluster specification][spec]).
///
/// [spec]: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
pub(crate) fn slot(key: &str) -> u16 {
    let tag = key
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'))
        .map(|(tag, _)| tag)
        .filter(|tag| !tag.is_empty())
        .unwrap_or(key);
    crc16(tag.as_bytes()) % SLOTS
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc: u16, _| {
            let shifted = crc << 1;
            if crc & 0x8000 == 0 {
                shifted
            } else {
                shifted ^ 0x1021
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(slot("foo"), 12_182);
        assert_eq!(slot("{user1000}.following"), slot("{user1000}.followers"));
        assert_ne!(slot("foo{}{bar}"), slot("bar"), "an empty tag is no tag");
        assert_eq!(slot("foo{{bar}}zap"), slot("{bar"));
    }

    #[test]
    fn a_prefix_that_would_decide_the_slot_is_refused() {
        assert!(Keys::new("{all}:", 0).is_err());
        assert!(Keys::new("a\n", 0).is_err());
        assert_eq!(Keys::new("a:", 3).unwrap().channel(), "a:changes:3");
    }
}
