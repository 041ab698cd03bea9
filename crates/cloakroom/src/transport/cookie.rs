//! The session cookie: its settings, and what a browser would refuse of them.

mod error;
mod options;
mod text;

use cloakroom_core::Token;

pub use self::error::CookieError;
pub use self::options::{CookieSecure, MaxAge, SameSite};
pub(crate) use self::text::RenderedCookie;

/// The cookie that carries the token.
///
/// The defaults are the safe ones: `__Host-id`, `Secure`, `HttpOnly`, `SameSite=Lax`, `Path=/`, no
/// `Domain`, and gone when the browser is closed. What weakens them says so in its name. The
/// settings are checked when the layer is built, see [`SessionCookie::validate`]; the cookie that
/// removes the session is made of the same settings, so that it always matches.
///
/// Jetty's `comment` has no counterpart: RFC 6265 knows no such attribute, and no browser reads it.
///
/// ```
/// use cloakroom::{CookieError, SameSite, SessionCookie};
///
/// let cookie = SessionCookie::new("__Host-sid").same_site(SameSite::Strict);
/// assert_eq!(cookie.validate(), Ok(()));
///
/// let cookie = cookie.domain("example.com");
/// assert!(matches!(cookie.validate(), Err(CookieError::HostPrefixDomain { .. })));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionCookie {
    name: String,
    path: String,
    domain: Option<String>,
    secure: CookieSecure,
    http_only: bool,
    same_site: SameSite,
    partitioned: bool,
    max_age: MaxAge,
}

/// Browsers drop a cookie whose name and value are longer together.
const LONGEST_PAIR: usize = 4096;

/// Browsers ignore an attribute whose value is longer.
const LONGEST_ATTRIBUTE: usize = 1024;

/// A token, a dot and a node name.
const LONGEST_VALUE: usize = Token::TEXT_LEN + 1 + Token::MAX_NODE_LEN;

impl Default for SessionCookie {
    fn default() -> Self {
        Self::new("__Host-id")
    }
}

impl SessionCookie {
    /// A cookie of this name with the safe defaults.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            path: "/".to_owned(),
            domain: None,
            secure: CookieSecure::default(),
            http_only: true,
            same_site: SameSite::default(),
            partitioned: false,
            max_age: MaxAge::default(),
        }
    }

    /// The paths below which the browser sends the cookie. Default: `/`.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Lets all subdomains of `domain` see the cookie, too. Default: only the host that set it.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// When the cookie says `Secure`. Default: [`CookieSecure::Always`].
    #[must_use]
    pub const fn secure(mut self, secure: CookieSecure) -> Self {
        self.secure = secure;
        self
    }

    /// Sends the cookie over plain http, readable for everybody on the way: for development
    /// without https. The same as `secure(CookieSecure::InsecureNever)`.
    #[must_use]
    pub const fn insecure_without_secure(self) -> Self {
        self.secure(CookieSecure::InsecureNever)
    }

    /// Lets the page's scripts read the token, and with them every script that somebody smuggles
    /// into the page: leaves `HttpOnly` out.
    #[must_use]
    pub const fn insecure_readable_by_scripts(mut self) -> Self {
        self.http_only = false;
        self
    }

    /// Whether the cookie goes along when another site makes the request. Default:
    /// [`SameSite::Lax`].
    #[must_use]
    pub const fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Keeps one cookie per embedding site ([CHIPS]). Default: no. Needs `Secure`.
    ///
    /// [CHIPS]: https://developer.mozilla.org/en-US/docs/Web/Privacy/Guides/Privacy_sandbox/Partitioned_cookies
    #[must_use]
    pub const fn partitioned(mut self, partitioned: bool) -> Self {
        self.partitioned = partitioned;
        self
    }

    /// How long a browser keeps the cookie. Default: [`MaxAge::Session`].
    #[must_use]
    pub const fn max_age(mut self, max_age: MaxAge) -> Self {
        self.max_age = max_age;
        self
    }

    /// Checks that a browser would take this cookie, and that it says what it seems to say.
    ///
    /// # Errors
    ///
    /// [`CookieError`], whose text says how to mend it.
    pub fn validate(&self) -> Result<(), CookieError> {
        self.validate_name()?;
        self.validate_path()?;
        self.validate_domain()?;
        self.validate_prefix()?;
        if self.secure != CookieSecure::Always {
            if self.same_site == SameSite::None {
                return Err(CookieError::SameSiteNoneInsecure);
            }
            if self.partitioned {
                return Err(CookieError::PartitionedInsecure);
            }
        }
        match self.max_age {
            MaxAge::Fixed(age) if age.as_secs() == 0 => Err(CookieError::MaxAgeTooShort { age }),
            MaxAge::Fixed(_) | MaxAge::Session | MaxAge::Timeout => Ok(()),
        }
    }

    fn validate_name(&self) -> Result<(), CookieError> {
        let name = self.name.clone();
        if name.is_empty() || !name.bytes().all(is_token_byte) {
            return Err(CookieError::InvalidName { name });
        }
        if name.len() + LONGEST_VALUE > LONGEST_PAIR {
            return Err(CookieError::NameTooLong { len: name.len() });
        }
        Ok(())
    }

    fn validate_path(&self) -> Result<(), CookieError> {
        let path = &self.path;
        let clean = path.bytes().all(|b| b.is_ascii_graphic() && b != b';');
        if !clean || !path.starts_with('/') {
            return Err(CookieError::InvalidPath { path: path.clone() });
        }
        fits("Path", path)
    }

    fn validate_domain(&self) -> Result<(), CookieError> {
        let Some(domain) = &self.domain else {
            return Ok(());
        };
        // One leading dot is allowed because browsers ignore it, and many settings files have it.
        let labels = domain.strip_prefix('.').unwrap_or(domain).split('.');
        let is_label = |label: &str| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        if !labels.clone().all(is_label) {
            return Err(CookieError::InvalidDomain {
                domain: domain.clone(),
            });
        }
        fits("Domain", domain)
    }

    /// The promises of a name's prefix, which browsers hold it to in any case of its letters.
    fn validate_prefix(&self) -> Result<(), CookieError> {
        let lower = self.name.to_ascii_lowercase();
        let host = lower.starts_with("__host-");
        let http = lower.starts_with("__http-") || lower.starts_with("__host-http-");
        let name = self.name.clone();
        if (host || http || lower.starts_with("__secure-")) && self.secure != CookieSecure::Always {
            return Err(CookieError::PrefixInsecure { name });
        }
        if http && !self.http_only {
            return Err(CookieError::HttpPrefixReadable { name });
        }
        if host && self.domain.is_some() {
            return Err(CookieError::HostPrefixDomain { name });
        }
        if host && self.path != "/" {
            return Err(CookieError::HostPrefixPath { name });
        }
        Ok(())
    }

    /// Checks the settings and writes what is the same in every response.
    ///
    /// # Errors
    ///
    /// As [`SessionCookie::validate`].
    pub(crate) fn build(&self) -> Result<RenderedCookie, CookieError> {
        self.validate()?;
        Ok(RenderedCookie::new(self))
    }
}

/// RFC 9110's `token`, which RFC 6265 demands of a cookie's name.
const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

const fn fits(attribute: &'static str, value: &str) -> Result<(), CookieError> {
    let len = value.len();
    if len > LONGEST_ATTRIBUTE {
        Err(CookieError::AttributeTooLong { attribute, len })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn named(name: &str) -> SessionCookie {
        SessionCookie::new(name)
    }

    /// The variant's name: what a refusal is about.
    fn refusal(cookie: &SessionCookie) -> String {
        let shown = match cookie.validate() {
            Ok(()) => "accepted".to_owned(),
            Err(error) => format!("{error:?}"),
        };
        shown.split([' ', '(']).next().unwrap().to_owned()
    }

    #[test]
    fn names_are_tokens_with_room_for_a_value() {
        for name in ["id", "__Host-id", "a", "!#$%&'*+-.^_`|~", &"n".repeat(4015)] {
            assert_eq!(named(name).validate(), Ok(()), "{name}");
        }
        for name in [
            "", " ", "a b", "a=b", "a;b", "a,b", "\"a\"", "a\0", "ä", "a\r\nb", "a/b", "[a]",
        ] {
            assert_eq!(refusal(&named(name)), "InvalidName", "{name:?}");
        }
        assert_eq!(refusal(&named(&"n".repeat(4016))), "NameTooLong");
    }

    #[test]
    fn a_prefix_is_held_to_its_promise_in_any_case() {
        let by_scheme = |c: SessionCookie| c.secure(CookieSecure::ByScheme);
        let never = SessionCookie::insecure_without_secure;
        let domain = |c: SessionCookie| c.domain("example.com");
        let path = |c: SessionCookie| c.path("/app");
        let readable = SessionCookie::insecure_readable_by_scripts;
        for host in ["__Host-id", "__host-id", "__HOST-Http-id"] {
            assert_eq!(refusal(&named(host)), "accepted");
            assert_eq!(refusal(&by_scheme(named(host))), "PrefixInsecure");
            assert_eq!(refusal(&never(named(host))), "PrefixInsecure");
            assert_eq!(refusal(&domain(named(host))), "HostPrefixDomain");
            assert_eq!(refusal(&path(named(host))), "HostPrefixPath");
        }
        assert_eq!(refusal(&readable(named("__Host-id"))), "accepted");
        for secure in ["__Secure-id", "__sEcUrE-id", "__Http-id"] {
            assert_eq!(refusal(&path(domain(named(secure)))), "accepted");
            assert_eq!(refusal(&by_scheme(named(secure))), "PrefixInsecure");
            assert_eq!(refusal(&never(named(secure))), "PrefixInsecure");
        }
        assert_eq!(refusal(&readable(named("__Http-id"))), "HttpPrefixReadable");
        assert_eq!(
            refusal(&readable(named("__Host-Http-id"))),
            "HttpPrefixReadable"
        );
        // Not quite a prefix.
        assert_eq!(refusal(&never(domain(named("__Hostid")))), "accepted");
    }

    #[test]
    fn none_and_partitioned_need_secure_always() {
        for secure in [CookieSecure::ByScheme, CookieSecure::InsecureNever] {
            let cookie = named("id").secure(secure);
            assert_eq!(refusal(&cookie), "accepted");
            let none = cookie.clone().same_site(SameSite::None);
            assert_eq!(refusal(&none), "SameSiteNoneInsecure");
            assert_eq!(refusal(&cookie.partitioned(true)), "PartitionedInsecure");
        }
        let cookie = named("id").same_site(SameSite::None).partitioned(true);
        assert_eq!(refusal(&cookie), "accepted");
    }

    #[test]
    fn paths_and_domains_end_no_attribute() {
        let long = format!("/{}", "p".repeat(1023));
        for path in ["/", "/app", "/a%20b/", "/a,b=c", &long] {
            assert_eq!(refusal(&named("id").path(path)), "accepted", "{path}");
        }
        for path in [
            "",
            "app",
            "/a;b",
            "/a b",
            "/\0",
            "/a\r\nSet-Cookie: x=y",
            "/ä",
            "/\u{7f}",
        ] {
            assert_eq!(refusal(&named("id").path(path)), "InvalidPath", "{path:?}");
        }
        assert_eq!(refusal(&named("id").path(long + "p")), "AttributeTooLong");

        let long = "d".repeat(1024);
        for domain in [
            "example.com",
            ".example.com",
            "localhost",
            "a-b.c1",
            "127.0.0.1",
            &long,
        ] {
            assert_eq!(refusal(&named("id").domain(domain)), "accepted", "{domain}");
        }
        for domain in [
            "", ".", "..a", "a..b", "a.", "a;b", "a b", "a:80", "http://a", "ä.de", "a\n", "a,b",
        ] {
            assert_eq!(
                refusal(&named("id").domain(domain)),
                "InvalidDomain",
                "{domain:?}"
            );
        }
        assert_eq!(refusal(&named("id").domain(long + "d")), "AttributeTooLong");
    }

    #[test]
    fn a_fixed_age_is_at_least_a_second() {
        for millis in [0, 1, 999] {
            let age = MaxAge::Fixed(Duration::from_millis(millis));
            assert_eq!(refusal(&named("id").max_age(age)), "MaxAgeTooShort");
        }
        for age in [
            MaxAge::Fixed(Duration::from_secs(1)),
            MaxAge::Fixed(Duration::MAX),
            MaxAge::Timeout,
        ] {
            assert_eq!(refusal(&named("id").max_age(age)), "accepted");
        }
    }

    #[test]
    fn every_refusal_says_how_to_mend_it() {
        let host = named("__Host-id");
        let table = [
            (named("a b"), "for instance"),
            (named(&"n".repeat(5000)), "4096"),
            (named("id").path("x"), "begin with `/`"),
            (named("id").domain("a:80"), "leave it out"),
            (
                named("id").path(format!("/{}", "p".repeat(2000))),
                "shorten",
            ),
            (
                host.clone().insecure_without_secure(),
                "CookieSecure::Always",
            ),
            (host.clone().domain("a"), "leave the domain out"),
            (host.path("/a"), "use `/`"),
            (
                named("__Http-a").insecure_readable_by_scripts(),
                "without the prefix",
            ),
            (
                named("id")
                    .insecure_without_secure()
                    .same_site(SameSite::None),
                "SameSite::Lax",
            ),
            (
                named("id").insecure_without_secure().partitioned(true),
                "leave it out",
            ),
            (
                named("id").max_age(MaxAge::Fixed(Duration::ZERO)),
                "at least one second",
            ),
        ];
        for (cookie, advice) in table {
            let error = cookie.validate().unwrap_err();
            assert!(error.to_string().contains(advice), "{error}");
            assert_eq!(cookie.build().unwrap_err(), error);
        }
    }
}
