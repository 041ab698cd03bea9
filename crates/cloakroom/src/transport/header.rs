//! A session that travels in a header of its own, both ways.

use http::{HeaderName, HeaderValue};

/// When the response carries the session header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderSend {
    /// Only when the token is new or was replaced; the default.
    #[default]
    OnChange,
    /// On every response whose request used the session, as Jarvis does.
    Always,
}

/// The header that carries the token: the client reads it from a response and sends it back.
///
/// For clients that are no browsers. A page's script that keeps a token can be robbed of it by any
/// other script of the page; a cookie that scripts cannot read is the better place there.
///
/// The name is checked when the layer is built, see [`SessionHeader::validate`].
///
/// ```
/// use cloakroom::{HeaderSend, SessionHeader};
///
/// let header = SessionHeader::new("x-session").send(HeaderSend::Always);
/// assert!(header.validate().is_ok());
/// assert!(SessionHeader::new("set-cookie").validate().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionHeader {
    name: String,
    send: HeaderSend,
}

impl SessionHeader {
    /// A header of this name (in any case), sent when the token changed.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            send: HeaderSend::default(),
        }
    }

    /// Says when the response carries the header. Default: [`HeaderSend::OnChange`].
    #[must_use]
    pub const fn send(mut self, send: HeaderSend) -> Self {
        self.send = send;
        self
    }

    /// Checks that the name may carry a token.
    ///
    /// # Errors
    ///
    /// [`HeaderError`] if the name is no header name, or is one to which HTTP, browsers or
    /// proxies give a meaning of their own: cookies, credentials, hop-by-hop and framing headers,
    /// everything about content, caching, ranges and conditions, and the names beginning with
    /// `sec-`, `proxy-`, `access-control-`, `content-`, `if-` or `x-forwarded-`.
    pub fn validate(&self) -> Result<(), HeaderError> {
        self.parsed_name().map(|_| ())
    }

    /// Checks the settings and prepares what every request needs.
    ///
    /// # Errors
    ///
    /// As [`SessionHeader::validate`].
    pub(crate) fn build(self) -> Result<RenderedHeader, HeaderError> {
        Ok(RenderedHeader {
            name: self.parsed_name()?,
            send: self.send,
        })
    }

    fn parsed_name(&self) -> Result<HeaderName, HeaderError> {
        let name =
            HeaderName::from_bytes(self.name.as_bytes()).map_err(|_| HeaderError::InvalidName {
                name: self.name.clone(),
            })?;
        let reserved = RESERVED.contains(&name.as_str())
            || RESERVED_PREFIXES
                .iter()
                .any(|prefix| name.as_str().starts_with(prefix));
        if reserved {
            return Err(HeaderError::ReservedName {
                name: name.as_str().to_owned(),
            });
        }
        Ok(name)
    }
}

/// Names that mean something else to somebody on the way: a token in them would be acted upon,
/// split, merged, dropped, logged or cached.
const RESERVED: &[&str] = &[
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "alt-svc",
    "authentication-info",
    "authorization",
    "cache-control",
    "connection",
    "cookie",
    "cookie2",
    "date",
    "etag",
    "expect",
    "expires",
    "forwarded",
    "from",
    "host",
    "http2-settings",
    "keep-alive",
    "last-modified",
    "link",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "range",
    "referer",
    "refresh",
    "retry-after",
    "server",
    "set-cookie",
    "set-cookie2",
    "strict-transport-security",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
];

const RESERVED_PREFIXES: &[&str] = &[
    "access-control-",
    "content-",
    "if-",
    "proxy-",
    "sec-",
    "x-forwarded-",
];

/// The name of a session header cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The name is empty or has characters that no header name has.
    #[error(
        "{name:?} is no header name: use letters, digits and dashes, for instance \"x-session\""
    )]
    InvalidName {
        /// The name as it was given.
        name: String,
    },
    /// The name has a meaning of its own.
    #[error(
        "the header {name:?} has a meaning of its own in HTTP: choose another name, for instance \
         \"x-session\""
    )]
    ReservedName {
        /// The name in lower case.
        name: String,
    },
}

/// A [`SessionHeader`] whose name has been checked.
#[derive(Clone, Debug)]
pub(crate) struct RenderedHeader {
    name: HeaderName,
    send: HeaderSend,
}

impl RenderedHeader {
    /// The name, in lower case.
    pub(crate) const fn name(&self) -> &HeaderName {
        &self.name
    }

    /// When the response carries the header.
    pub(crate) const fn send(&self) -> HeaderSend {
        self.send
    }

    /// The value that hands a token out, marked as sensitive so that `Debug` and header
    /// compression leave it alone.
    ///
    /// # Panics
    ///
    /// If `value` has control characters; a token has none.
    pub(crate) fn set(value: &str) -> HeaderValue {
        let mut value = HeaderValue::from_str(value).expect("a token is a valid header value");
        value.set_sensitive(true);
        value
    }

    /// The value that takes the token back: empty.
    pub(crate) const fn removal() -> HeaderValue {
        HeaderValue::from_static("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_accepted_in_any_case() {
        for name in ["x-session", "X-Session-Id", "id", "Jarvis-SessionID", "a"] {
            let built = SessionHeader::new(name).build().unwrap();
            assert_eq!(built.name().as_str(), name.to_ascii_lowercase());
        }
    }

    #[test]
    fn what_is_no_header_name_is_refused_with_an_example() {
        for name in ["", " ", "x session", "x:y", "größe", "a\r\nb", "a;b"] {
            let error = SessionHeader::new(name).validate().unwrap_err();
            assert!(matches!(error, HeaderError::InvalidName { .. }), "{name}");
            assert!(error.to_string().contains("for instance"), "{error}");
        }
    }

    #[test]
    fn names_with_a_meaning_of_their_own_are_refused() {
        let prefixed = ["Sec-Fetch-Site", "proxy-authorization", "content-length"];
        for name in RESERVED.iter().chain(&prefixed).chain(&["SET-COOKIE"]) {
            let error = SessionHeader::new(*name).validate().unwrap_err();
            assert!(matches!(error, HeaderError::ReservedName { .. }), "{name}");
            assert!(error.to_string().contains("choose another"), "{error}");
        }
    }

    #[test]
    fn the_reserved_names_are_valid_lower_case_names() {
        for name in RESERVED {
            assert_eq!(HeaderName::from_static(name).as_str(), *name);
        }
    }

    #[test]
    fn a_value_is_sensitive_and_the_take_back_is_empty() {
        let header = SessionHeader::new("x-session")
            .send(HeaderSend::Always)
            .build()
            .unwrap();
        let value = RenderedHeader::set("token");
        assert_eq!(value, "token");
        assert!(value.is_sensitive());
        assert!(!format!("{value:?}").contains("token"));
        assert_eq!(RenderedHeader::removal(), "");
        assert_eq!(header.send(), HeaderSend::Always);
        assert_eq!(HeaderSend::default(), HeaderSend::OnChange);
    }
}
