use std::fmt;
use std::sync::Arc;

/// The user (or tenant, device...) that a session belongs to: 1 to 255 bytes of UTF-8 without
/// control characters.
///
/// Stores that can, index it, so that all sessions of an owner can be listed and ended. Clones are
/// cheap.
///
/// ```
/// use cloakroom_core::Owner;
///
/// assert_eq!(Owner::new("ada").unwrap().as_str(), "ada");
/// assert!(Owner::new("").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(Arc<str>);

impl Owner {
    /// The greatest length in bytes; what every store can index.
    pub const MAX_LEN: usize = 255;

    /// Takes a name.
    ///
    /// # Errors
    ///
    /// [`InvalidOwner`] if the name is empty, longer than 255 bytes, or has a control character.
    pub fn new(name: impl Into<Arc<str>>) -> Result<Self, InvalidOwner> {
        let name = name.into();
        let valid =
            (1..=Self::MAX_LEN).contains(&name.len()) && !name.chars().any(char::is_control);
        if valid {
            Ok(Self(name))
        } else {
            Err(InvalidOwner)
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The text cannot name an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidOwner;

impl fmt::Display for InvalidOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an owner is 1 to 255 bytes of text without control characters")
    }
}

impl std::error::Error for InvalidOwner {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_of_an_owner() {
        assert!(Owner::new("a".repeat(255)).is_ok());
        for wrong in ["", "a\nb", "\0", &"a".repeat(256)] {
            assert_eq!(Owner::new(wrong), Err(InvalidOwner));
        }
    }
}
