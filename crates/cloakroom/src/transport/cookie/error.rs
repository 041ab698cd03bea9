use std::time::Duration;

/// A browser would refuse the cookie, or read it otherwise than it was meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CookieError {
    /// The name is empty or has characters that no cookie name has.
    #[error("{name:?} is no cookie name: use letters, digits, `-` and `_`, for instance \"id\"")]
    InvalidName {
        /// The name as it was given.
        name: String,
    },
    /// The name leaves no room for a token in the 4096 bytes that browsers allow.
    #[error("a cookie name of {len} bytes leaves no room for the token: 4096 bytes hold both")]
    NameTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The path does not begin with `/`, or has characters that end or break the attribute.
    #[error(
        "{path:?} is no cookie path: begin with `/` and use printable ASCII without spaces and \
         `;` (percent-encode the rest)"
    )]
    InvalidPath {
        /// The path as it was given.
        path: String,
    },
    /// The domain is no host name.
    #[error(
        "{domain:?} is no domain: write a host name such as \"example.com\" (punycode for other \
         scripts, no port, no scheme), or leave it out so that only the host itself is meant"
    )]
    InvalidDomain {
        /// The domain as it was given.
        domain: String,
    },
    /// Browsers ignore an attribute of more than 1024 bytes.
    #[error("`{attribute}` has {len} bytes, and browsers ignore more than 1024: shorten it")]
    AttributeTooLong {
        /// `Path` or `Domain`.
        attribute: &'static str,
        /// The length of its value in bytes.
        len: usize,
    },
    /// `__Host-`, `__Secure-` and `__Http-` promise `Secure`.
    #[error(
        "browsers refuse {name:?} unless it is always `Secure`: use `CookieSecure::Always`, or a \
         name without the prefix"
    )]
    PrefixInsecure {
        /// The cookie's name.
        name: String,
    },
    /// `__Host-` promises that only the host itself is meant.
    #[error(
        "browsers refuse {name:?} with a `Domain`: leave the domain out, or use the prefix \
         `__Secure-`"
    )]
    HostPrefixDomain {
        /// The cookie's name.
        name: String,
    },
    /// `__Host-` promises the whole host.
    #[error(
        "browsers refuse {name:?} with another `Path` than `/`: use `/`, or the prefix `__Secure-`"
    )]
    HostPrefixPath {
        /// The cookie's name.
        name: String,
    },
    /// `__Http-` and `__Host-Http-` promise that no script reads the cookie.
    #[error(
        "browsers refuse {name:?} without `HttpOnly`: keep it from scripts, or use a name without \
         the prefix"
    )]
    HttpPrefixReadable {
        /// The cookie's name.
        name: String,
    },
    /// `SameSite=None` needs `Secure`.
    #[error(
        "browsers refuse `SameSite=None` unless the cookie is always `Secure`: use \
         `CookieSecure::Always`, or `SameSite::Lax`"
    )]
    SameSiteNoneInsecure,
    /// `Partitioned` needs `Secure`.
    #[error(
        "browsers refuse `Partitioned` unless the cookie is always `Secure`: use \
         `CookieSecure::Always`, or leave it out"
    )]
    PartitionedInsecure,
    /// `Max-Age=0` would remove the cookie as it is set.
    #[error(
        "a fixed `Max-Age` of {age:?} removes the cookie as it is set: use at least one second, \
         or `MaxAge::Session`"
    )]
    MaxAgeTooShort {
        /// The age as it was given.
        age: Duration,
    },
}
