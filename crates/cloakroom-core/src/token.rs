use std::fmt;

use zeroize::Zeroize;

use crate::base64url;
use crate::{Secret, SessionId};

/// What a client carries: the public id and the secret, 36 bytes, 48 characters of base64url.
///
/// 36 bytes fill 48 characters exactly, so that there is one spelling per token: no padding and no
/// tail bits. `Debug` shows the id and redacts the secret; there is no `Display` and no
/// `Serialize`, so that a token reaches neither a log nor a page by accident.
///
/// ```
/// use cloakroom_core::{Secret, SessionId, Token};
///
/// let token = Token::new(SessionId::from_bytes([1; 16]), Secret::from_bytes([2; 20]));
/// let text = token.to_text();
/// assert_eq!(text.expose().len(), 48);
/// assert_eq!(Token::parse(text.expose().as_bytes()).unwrap(), token);
/// assert!(Token::parse(b"not a token").is_err());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    id: SessionId,
    secret: Secret,
}

impl Token {
    /// The number of characters of a token without a node suffix.
    pub const TEXT_LEN: usize = 48;

    /// The greatest number of characters of a node name.
    pub const MAX_NODE_LEN: usize = 32;

    /// Puts the two halves together.
    #[must_use]
    pub const fn new(id: SessionId, secret: Secret) -> Self {
        Self { id, secret }
    }

    /// The public half.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// The secret half.
    #[must_use]
    pub const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Reads the 48 characters of a token.
    ///
    /// # Errors
    ///
    /// [`MalformedToken`] for everything else.
    ///
    /// # Panics
    ///
    /// Never: the halves have their lengths.
    pub fn parse(text: &[u8]) -> Result<Self, MalformedToken> {
        if text.len() != Self::TEXT_LEN {
            return Err(MalformedToken);
        }
        let mut bytes = [0_u8; 36];
        let decoded = base64url::decode(text, &mut bytes).map(|()| {
            let (id, secret) = bytes.split_at(16);
            Self::new(
                SessionId::from_bytes(id.try_into().expect("16 of 36 bytes")),
                Secret::from_bytes(secret.try_into().expect("20 of 36 bytes")),
            )
        });
        bytes.zeroize();
        decoded.ok_or(MalformedToken)
    }

    /// Reads a token that may carry the name of a node: 48 characters, then optionally a dot and 1
    /// to 32 of `[A-Za-z0-9_-]`.
    ///
    /// # Errors
    ///
    /// [`MalformedToken`] for everything else.
    pub fn parse_with_node(text: &[u8]) -> Result<(Self, Option<&str>), MalformedToken> {
        let Some((token, rest)) = text.split_at_checked(Self::TEXT_LEN) else {
            return Err(MalformedToken);
        };
        let node = match rest.split_first() {
            None => None,
            Some((b'.', node)) if Self::is_node_name(node) => {
                Some(std::str::from_utf8(node).map_err(|_| MalformedToken)?)
            }
            Some(_) => return Err(MalformedToken),
        };
        Ok((Self::parse(token)?, node))
    }

    /// Whether these bytes may name a node: 1 to 32 of `[A-Za-z0-9_-]`.
    #[must_use]
    pub fn is_node_name(name: &[u8]) -> bool {
        (1..=Self::MAX_NODE_LEN).contains(&name.len())
            && name
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
    }

    /// The 48 characters that the client is given. Wiped when dropped.
    ///
    /// # Panics
    ///
    /// Never: 36 bytes are exactly 48 characters.
    #[must_use]
    pub fn to_text(&self) -> TokenText {
        let mut bytes = [0_u8; 36];
        let (left, right) = bytes.split_at_mut(16);
        left.copy_from_slice(self.id.as_bytes());
        right.copy_from_slice(self.secret.expose());
        let mut text = [b'A'; Self::TEXT_LEN];
        base64url::encode(&bytes, &mut text);
        bytes.zeroize();
        TokenText(text)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The text of a [`Token`], on its way to the client. Wiped when dropped, redacted by `Debug`.
pub struct TokenText([u8; Token::TEXT_LEN]);

impl TokenText {
    /// The characters themselves. They are a credential: keep them out of logs and stores.
    ///
    /// # Panics
    ///
    /// Never: the alphabet is ASCII.
    #[must_use]
    pub fn expose(&self) -> &str {
        std::str::from_utf8(&self.0).expect("base64url is ASCII")
    }
}

impl Drop for TokenText {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenText(..)")
    }
}

/// The text is no token: it never reaches a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MalformedToken;

impl fmt::Display for MalformedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a token: 48 characters of base64url are expected")
    }
}

impl std::error::Error for MalformedToken {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token() -> Token {
        Token::new(
            SessionId::from_bytes([0xfb; 16]),
            Secret::from_bytes([0xff; 20]),
        )
    }

    #[test]
    fn debug_shows_the_id_and_never_the_secret() {
        let token = token();
        let shown = format!("{token:?} {:?} {:?}", token.secret(), token.to_text());
        assert!(shown.contains(&token.id().to_string()));
        assert!(!shown.contains("255"), "{shown}");
        assert!(!shown.contains(&token.to_text().expose()[24..]), "{shown}");
    }

    #[test]
    fn a_node_suffix_is_one_dot_and_a_short_name() {
        let text = token().to_text();
        let base = text.expose();
        let longest = format!("{base}.{}", "a".repeat(32));
        assert_eq!(Token::parse_with_node(base.as_bytes()).unwrap().1, None);
        assert_eq!(
            Token::parse_with_node(format!("{base}.n-1_B").as_bytes())
                .unwrap()
                .1,
            Some("n-1_B")
        );
        assert!(Token::parse_with_node(longest.as_bytes()).is_ok());
        for wrong in [
            ".",
            ".a.b",
            "n1",
            ".ä",
            ". ",
            &format!(".{}", "a".repeat(33)),
        ] {
            assert!(
                Token::parse_with_node(format!("{base}{wrong}").as_bytes()).is_err(),
                "{wrong}"
            );
        }
        assert!(Token::parse(format!("{base}.n1").as_bytes()).is_err());
    }

    #[test]
    fn other_alphabets_paddings_and_lengths_are_malformed() {
        let text = token().to_text();
        let base = text.expose();
        for wrong in [
            String::new(),
            base[..47].to_owned(),
            format!("{base}A"),
            format!("{}=", &base[..47]),
            format!("{}+", &base[..47]),
            format!("{}/", &base[..47]),
            format!(" {}", &base[..47]),
            format!("\"{base}\""),
            "é".repeat(24),
            "A".repeat(6_000),
        ] {
            assert_eq!(
                Token::parse(wrong.as_bytes()),
                Err(MalformedToken),
                "{wrong}"
            );
        }
    }

    proptest! {
        #[test]
        fn every_token_has_one_spelling(id: [u8; 16], secret: [u8; 20]) {
            let token = Token::new(SessionId::from_bytes(id), Secret::from_bytes(secret));
            let text = token.to_text();
            prop_assert_eq!(Token::parse(text.expose().as_bytes()).unwrap(), token);
        }

        #[test]
        fn what_parses_is_written_as_it_was_read(text in "[A-Za-z0-9_-]{48}") {
            let token = Token::parse(text.as_bytes()).unwrap();
            let written = token.to_text();
            prop_assert_eq!(written.expose(), text.as_str());
        }

        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
            let known = Token::parse(&bytes).is_ok();
            let with_node = Token::parse_with_node(&bytes).is_ok();
            prop_assert!(!known || with_node);
        }
    }
}
