use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// The secret half of a [`Token`](crate::Token): 160 bits from the operating system's generator.
///
/// Compared in constant time, redacted by `Debug`, wiped when dropped. OWASP's *Session Management
/// Cheat Sheet* asks for at least 64 bits of entropy.
///
/// ```
/// use cloakroom_core::Secret;
///
/// let secret = Secret::from_bytes([7; 20]);
/// assert_eq!(format!("{secret:?}"), "Secret(..)");
/// assert!(secret.digest().matches(&secret));
/// ```
#[derive(Clone)]
pub struct Secret([u8; 20]);

impl Secret {
    /// The number of bytes.
    pub const LEN: usize = 20;

    /// Draws a fresh secret.
    ///
    /// # Panics
    ///
    /// If the operating system has no random bytes to give: a session without a secret must not
    /// come into being.
    #[must_use]
    pub fn generate() -> Self {
        let mut bytes = [0; Self::LEN];
        getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
        Self(bytes)
    }

    /// Takes 20 bytes as they are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes themselves. They are a credential: keep them out of logs and stores.
    #[must_use]
    pub const fn expose(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// What a store may keep of the secret: its SHA-256.
    ///
    /// A fast hash is enough, as there is nothing to guess in 160 random bits.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest(Sha256::digest(self.0).into())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        equal(&self.0, &other.0)
    }
}

/// Constant time, by words of four bytes instead of single ones: a fifth of the instructions.
fn equal(one: &[u8], other: &[u8]) -> bool {
    let (one, other) = (one.as_chunks::<4>().0, other.as_chunks::<4>().0);
    let differ = one.iter().zip(other).fold(0, |differ, (a, b)| {
        differ | (u32::from_ne_bytes(*a) ^ u32::from_ne_bytes(*b))
    });
    differ.ct_eq(&0).into()
}

impl Eq for Secret {}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// SHA-256 of a [`Secret`]: what a record keeps of it. Compared in constant time.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Takes 32 bytes as they are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether this is the digest of `secret`.
    #[must_use]
    pub fn matches(&self, secret: &Secret) -> bool {
        *self == secret.digest()
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        equal(&self.0, &other.0)
    }
}

impl Eq for Digest {}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}
