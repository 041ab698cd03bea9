use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Timestamp;

/// The public name of a session: a `UUIDv7` ([RFC 9562, section 5.7][rfc]).
///
/// It is not a secret: it may stand in logs, admin pages and lists. Knowing it opens nothing, since
/// only the secret half of a [`Token`](crate::Token) does. The time in it is the moment of the
/// session's creation, so that an index over ids grows at its end.
///
/// ```
/// use cloakroom_core::{SessionId, Timestamp};
///
/// let id = SessionId::from_parts(Timestamp::from_millis(1_700_000_000_000), [7; 10]);
/// let text = id.to_string();
/// assert_eq!(text.len(), 36);
/// assert_eq!(text.parse::<SessionId>().unwrap(), id);
/// ```
///
/// [rfc]: https://www.rfc-editor.org/rfc/rfc9562#section-5.7
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// Builds an id from the moment of creation and ten random bytes.
    #[must_use]
    pub fn from_parts(now: Timestamp, random: [u8; 10]) -> Self {
        Self(
            *uuid::Builder::from_unix_timestamp_millis(now.as_millis(), &random)
                .as_uuid()
                .as_bytes(),
        )
    }

    /// Builds a fresh id from the injected present and the operating system's generator.
    ///
    /// # Panics
    ///
    /// If the operating system has no random bytes to give.
    #[must_use]
    pub fn generate(now: Timestamp) -> Self {
        let mut random = [0; 10];
        getrandom::fill(&mut random).expect("the operating system gives random bytes");
        Self::from_parts(now, random)
    }

    /// Takes 16 bytes as they are, for instance from a store's key.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes, in the order in which they sort and are written.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

// One `u128` is a single call into the hasher; a derived slice would also hash its length.
impl Hash for SessionId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from_ne_bytes(self.0));
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(uuid::Uuid::from_bytes_ref(&self.0).as_hyphenated(), f)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a UUID in its hyphenated form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseSessionIdError;

impl fmt::Display for ParseSessionIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a session id: a UUID of 36 characters in its hyphenated form is expected")
    }
}

impl std::error::Error for ParseSessionIdError {}

impl FromStr for SessionId {
    type Err = ParseSessionIdError;

    /// Reads the hyphenated form only: one spelling per id (upper case letters are accepted).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 36 {
            return Err(ParseSessionIdError);
        }
        let uuid = uuid::Uuid::try_parse(text).map_err(|_| ParseSessionIdError)?;
        Ok(Self(*uuid.as_bytes()))
    }
}

impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_version_7_uuid_whose_order_is_the_order_of_creation() {
        let early = SessionId::from_parts(Timestamp::from_millis(1), [255; 10]);
        let late = SessionId::from_parts(Timestamp::from_millis(2), [0; 10]);
        assert!(early < late);
        assert_eq!(early.as_bytes()[6] >> 4, 7);
        assert_eq!(early.as_bytes()[8] >> 6, 0b10);
    }

    #[test]
    fn only_the_hyphenated_form_is_an_id() {
        let id = SessionId::from_bytes([0xab; 16]);
        let text = id.to_string();
        assert_eq!(text.parse(), Ok(id));
        for wrong in [
            "",
            "x",
            &text.replace('-', ""),
            &format!("{{{text}}}"),
            "../../etc/passwd",
        ] {
            assert_eq!(
                wrong.parse::<SessionId>(),
                Err(ParseSessionIdError),
                "{wrong}"
            );
        }
    }
}
