use std::fmt;
use std::time::Duration;

use cloakroom_core::{Digest, Timestamp};

use super::codec::{self, Malformed};
use super::snapshot::Unreadable;
use crate::Timeout;

/// The format that this release writes; it also reads every lower one.
const VERSION: u8 = 1;

/// The bytes that every head begins with: version, digest, three times, the login's number.
const FIXED: usize = 1 + 32 + 3 * 8 + 4;

/// How many replaced secrets a record remembers.
const REPLACED: usize = 4;

/// Why a session has ended on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndReason {
    /// [`Session::destroy`](crate::Session::destroy).
    Logout,
    /// Ended from outside by a [`SessionManager`](crate::SessionManager).
    Revoked,
    /// Somebody else signed in with the same client.
    Replaced,
    /// The server was told to end its sessions at its own shutdown.
    Shutdown,
}

impl EndReason {
    /// The reason as one word: `logout`, `revoked`, `replaced`, `shutdown`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::Revoked => "revoked",
            Self::Replaced => "replaced",
            Self::Shutdown => "shutdown",
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::Logout => 1,
            Self::Revoked => 2,
            Self::Replaced => 3,
            Self::Shutdown => 4,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Logout),
            2 => Some(Self::Revoked),
            3 => Some(Self::Replaced),
            4 => Some(Self::Shutdown),
            _ => None,
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A secret that was right once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replaced {
    pub(crate) digest: Digest,
    pub(crate) at: Timestamp,
}

/// The decoded head of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) digest: Digest,
    pub(crate) created_at: Timestamp,
    /// From when the absolute timeout runs: creation, or the last login.
    pub(crate) absolute_from: Timestamp,
    /// When the token was last sent to the client with a save.
    pub(crate) sent_at: Timestamp,
    /// Raised by each login; a handle belongs to the one under which its secret was verified.
    pub(crate) login_seq: u32,
    /// What most sessions have none of, so that their copies in memory are small.
    rare: Option<Box<Rare>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rare {
    /// The session's own idle timeout.
    idle: Option<Timeout>,
    /// The last secrets, newest first.
    replaced: Vec<Replaced>,
    /// The node that wrote last.
    node: Option<Box<str>>,
    ended: Option<(EndReason, Timestamp)>,
}

impl Head {
    pub(crate) fn new(digest: Digest, now: Timestamp, node: Option<&str>) -> Self {
        let mut head = Self {
            digest,
            created_at: now,
            absolute_from: now,
            sent_at: now,
            login_seq: 0,
            rare: None,
        };
        head.set_node(node);
        head
    }

    fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    pub(crate) fn idle(&self) -> Option<Timeout> {
        self.rare.as_ref()?.idle
    }

    pub(crate) fn set_idle(&mut self, idle: Option<Timeout>) {
        if idle != self.idle() {
            self.rare_mut().idle = idle;
        }
    }

    pub(crate) fn node(&self) -> Option<&str> {
        self.rare.as_ref()?.node.as_deref()
    }

    pub(crate) fn set_node(&mut self, node: Option<&str>) {
        if node != self.node() {
            self.rare_mut().node = node.map(Into::into);
        }
    }

    pub(crate) fn ended(&self) -> Option<(EndReason, Timestamp)> {
        self.rare.as_ref()?.ended
    }

    /// Makes this the head of a tombstone.
    pub(crate) fn end(&mut self, reason: EndReason, at: Timestamp) {
        let rare = self.rare_mut();
        rare.replaced.clear();
        rare.ended = Some((reason, at));
    }

    fn replaced(&self) -> &[Replaced] {
        self.rare.as_ref().map_or(&[], |rare| &rare.replaced)
    }

    /// Puts `digest` in the place of the current one, which is remembered.
    pub(crate) fn replace_digest(&mut self, digest: Digest, now: Timestamp) {
        let old = Replaced {
            digest: self.digest,
            at: now,
        };
        let replaced = &mut self.rare_mut().replaced;
        replaced.insert(0, old);
        replaced.truncate(REPLACED);
        self.digest = digest;
        self.sent_at = now;
    }

    /// When `digest` was replaced, if it is one of the remembered ones.
    pub(crate) fn replaced_at(&self, digest: &Digest) -> Option<Timestamp> {
        self.replaced()
            .iter()
            .find(|old| old.digest == *digest)
            .map(|old| old.at)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let Some(rare) = &self.rare else {
            // No timeout, no replaced secrets, no node, not ended: a zero each.
            let mut plain = [0; FIXED + 4];
            self.encode_fixed(&mut plain);
            return plain.to_vec();
        };
        let mut out = Vec::with_capacity(FIXED + 20 + rare.replaced.len() * 40);
        out.resize(FIXED, 0);
        self.encode_fixed(&mut out);
        match self.idle() {
            None | Some(Timeout::Disabled) => out.push(0),
            Some(Timeout::Never) => out.push(1),
            Some(Timeout::After(after)) => {
                out.push(2);
                let millis = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                out.extend_from_slice(&millis.to_le_bytes());
            }
        }
        out.push(u8::try_from(self.replaced().len()).unwrap_or(0));
        for old in self.replaced() {
            out.extend_from_slice(old.digest.as_bytes());
            out.extend_from_slice(&old.at.as_millis().to_le_bytes());
        }
        codec::put_bytes(&mut out, self.node().unwrap_or_default().as_bytes());
        if let Some((reason, at)) = self.ended() {
            out.push(reason.code());
            out.extend_from_slice(&at.as_millis().to_le_bytes());
        } else {
            out.push(0);
        }
        out
    }

    /// Writes what every head has, into the first `FIXED` bytes.
    fn encode_fixed(&self, out: &mut [u8]) {
        let millis = [self.created_at, self.absolute_from, self.sent_at];
        let [created_at, absolute_from, sent_at] = millis.map(|at| at.as_millis().to_le_bytes());
        let parts: [&[u8]; 6] = [
            &[VERSION],
            self.digest.as_bytes(),
            &created_at,
            &absolute_from,
            &sent_at,
            &self.login_seq.to_le_bytes(),
        ];
        let mut rest = out;
        for part in parts {
            let (place, after) = rest.split_at_mut(part.len());
            place.copy_from_slice(part);
            rest = after;
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut input = bytes;
        match codec::take_u8(&mut input)? {
            VERSION => {}
            0 => return Err(Unreadable::Corrupt),
            _ => return Err(Unreadable::Newer),
        }
        let head = Self::decode_fields(&mut input)?;
        if input.is_empty() {
            Ok(head)
        } else {
            Err(Unreadable::Corrupt)
        }
    }

    fn decode_fields(input: &mut &[u8]) -> Result<Self, Malformed> {
        let time = |input: &mut &[u8]| codec::take_u64(input).map(Timestamp::from_millis);
        let digest = Digest::from_bytes(codec::take_array(input)?);
        let (created_at, absolute_from, sent_at) = (time(input)?, time(input)?, time(input)?);
        let login_seq = codec::take_u32(input)?;
        let idle = match codec::take_u8(input)? {
            0 => None,
            1 => Some(Timeout::Never),
            2 => Some(Timeout::After(Duration::from_millis(codec::take_u64(
                input,
            )?))),
            _ => return Err(Malformed),
        };
        let count = usize::from(codec::take_u8(input)?);
        if count > REPLACED {
            return Err(Malformed);
        }
        let mut replaced = Vec::with_capacity(count);
        for _ in 0..count {
            let digest = Digest::from_bytes(codec::take_array(input)?);
            replaced.push(Replaced {
                digest,
                at: time(input)?,
            });
        }
        let node = std::str::from_utf8(codec::take_bytes(input)?).map_err(|_| Malformed)?;
        let node = (!node.is_empty()).then(|| node.into());
        let ended = match codec::take_u8(input)? {
            0 => None,
            code => {
                let reason = EndReason::from_code(code).ok_or(Malformed)?;
                Some((reason, time(input)?))
            }
        };
        let rare = Rare {
            idle,
            replaced,
            node,
            ended,
        };
        Ok(Self {
            digest,
            created_at,
            absolute_from,
            sent_at,
            login_seq,
            rare: (rare != Rare::default()).then(|| Box::new(rare)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Head {
        let at = Timestamp::from_millis;
        let mut head = Head::new(Digest::from_bytes([1; 32]), at(10), Some("n1"));
        for n in 2..8 {
            head.replace_digest(Digest::from_bytes([n; 32]), at(u64::from(n)));
        }
        head.set_idle(Some(Timeout::After(Duration::from_millis(250))));
        head.login_seq = 3;
        head.rare_mut().ended = Some((EndReason::Revoked, at(99)));
        head
    }

    #[test]
    fn a_head_is_read_as_it_was_written() {
        let plain = Head::new(Digest::from_bytes([1; 32]), Timestamp::MAX, None);
        for head in [plain, full()] {
            assert_eq!(Head::decode(&head.encode()), Ok(head));
        }
    }

    #[test]
    fn only_the_last_four_secrets_are_remembered_newest_first() {
        let head = full();
        assert_eq!(head.replaced().len(), 4);
        assert_eq!(
            head.replaced_at(&Digest::from_bytes([6; 32])),
            Some(Timestamp::from_millis(7))
        );
        assert_eq!(head.replaced_at(&Digest::from_bytes([2; 32])), None);
    }

    #[test]
    fn a_truncated_or_foreign_head_is_corrupt_and_a_later_format_is_newer() {
        let bytes = full().encode();
        for len in 0..bytes.len() {
            assert_eq!(
                Head::decode(&bytes[..len]),
                Err(Unreadable::Corrupt),
                "{len}"
            );
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(Head::decode(&longer), Err(Unreadable::Corrupt));
        let mut newer = bytes;
        newer[0] = VERSION + 1;
        assert_eq!(Head::decode(&newer), Err(Unreadable::Newer));
    }
}
