//! The text of `Set-Cookie`.

use std::fmt::Write as _;
use std::time::Duration;

use http::HeaderValue;

use super::{CookieSecure, MaxAge, SessionCookie};

/// The longest `Max-Age`: browsers cap it there, [RFC 6265bis, section 5.5][rfc].
///
/// [rfc]: https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#section-5.5
const LONGEST_MAX_AGE: Duration = Duration::from_hours(400 * 24);

/// A [`SessionCookie`] that has been checked, with everything written that no request changes.
#[derive(Clone, Debug)]
pub(crate) struct RenderedCookie {
    name: String,
    start: String,
    plain: String,
    https: String,
    max_age: MaxAge,
}

impl RenderedCookie {
    /// Writes the settings, which have been checked.
    pub(super) fn new(cookie: &SessionCookie) -> Self {
        let (plain, https) = match cookie.secure {
            CookieSecure::Always => (true, true),
            CookieSecure::ByScheme => (false, true),
            CookieSecure::InsecureNever => (false, false),
        };
        Self {
            name: cookie.name.clone(),
            start: format!("{}=", cookie.name),
            plain: attributes(cookie, plain),
            https: attributes(cookie, https),
            max_age: cookie.max_age,
        }
    }

    /// The name to look for in requests.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is another one for a request that came by https.
    pub(crate) fn goes_by_scheme(&self) -> bool {
        self.plain != self.https
    }

    /// How long the browser shall keep the cookie, as it was set.
    pub(crate) const fn max_age(&self) -> MaxAge {
        self.max_age
    }

    /// What to hand to [`RenderedCookie::set`] for a session that lasts `remaining` longer if it
    /// is not used (`None`: for ever).
    pub(crate) fn lifetime(&self, remaining: Option<Duration>) -> Option<Duration> {
        match self.max_age {
            MaxAge::Session => None,
            MaxAge::Timeout => Some(remaining.unwrap_or(LONGEST_MAX_AGE)),
            MaxAge::Fixed(age) => Some(age),
        }
    }

    /// The `Set-Cookie` value that hands a token out: one allocation, marked as sensitive so that
    /// `Debug` and header compression leave it alone.
    ///
    /// `Max-Age` is in whole seconds, rounded down, and from 1 s to 400 days: 0 would be a removal.
    /// Without `max_age` the browser drops the cookie when it is closed.
    ///
    /// # Panics
    ///
    /// If `value` has control characters; a token has none.
    pub(crate) fn set(&self, value: &str, max_age: Option<Duration>, https: bool) -> HeaderValue {
        let attributes = self.attributes(https);
        let age = max_age.map(|age| age.min(LONGEST_MAX_AGE).as_secs().max(1));
        let digits = age.map_or(0, |age| age.ilog10() as usize + 1);
        let age_len = age.map_or(0, |_| "; Max-Age=".len() + digits);
        // The exact length: a spare byte would cost a second allocation inside the header value.
        let len = self.start.len() + value.len() + age_len + attributes.len();
        let mut text = String::with_capacity(len);
        text.push_str(&self.start);
        text.push_str(value);
        if let Some(age) = age {
            write!(text, "; Max-Age={age}").expect("a string takes all that is written to it");
        }
        text.push_str(attributes);
        let mut value = HeaderValue::try_from(text).expect("a token is a valid header value");
        value.set_sensitive(true);
        value
    }

    /// The `Set-Cookie` value that takes the cookie back: the same attributes, no value, and an
    /// end in the past said both ways.
    ///
    /// # Panics
    ///
    /// Never: all of it was checked.
    pub(crate) fn removal(&self, https: bool) -> HeaderValue {
        let mut text = self.start.clone();
        text.push_str("; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
        text.push_str(self.attributes(https));
        HeaderValue::try_from(text).expect("checked settings make a valid header value")
    }

    fn attributes(&self, https: bool) -> &str {
        if https { &self.https } else { &self.plain }
    }
}

fn attributes(cookie: &SessionCookie, secure: bool) -> String {
    let mut text = format!("; Path={}", cookie.path);
    if let Some(domain) = &cookie.domain {
        text.push_str("; Domain=");
        text.push_str(domain);
    }
    if secure {
        text.push_str("; Secure");
    }
    if cookie.http_only {
        text.push_str("; HttpOnly");
    }
    text.push_str("; SameSite=");
    text.push_str(cookie.same_site.as_str());
    if cookie.partitioned {
        text.push_str("; Partitioned");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use cookie::{Cookie, SameSite as Read};
    use proptest::prelude::*;

    use super::super::super::parse::cookie_values;
    use super::super::SameSite;
    use super::*;

    fn rendered(cookie: &SessionCookie) -> RenderedCookie {
        cookie.build().unwrap()
    }

    fn parsed(value: &HeaderValue) -> Cookie<'static> {
        Cookie::parse(value.to_str().unwrap().to_owned()).unwrap()
    }

    #[test]
    fn the_default_cookie_is_written_in_full() {
        let cookie = rendered(&SessionCookie::default());
        assert_eq!(
            cookie.set("token", None, false),
            "__Host-id=token; Path=/; Secure; HttpOnly; SameSite=Lax"
        );
        assert_eq!(
            cookie.removal(false),
            "__Host-id=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; Secure; \
             HttpOnly; SameSite=Lax"
        );
    }

    #[test]
    fn every_setting_is_written() {
        let cookie = rendered(
            &SessionCookie::new("id")
                .path("/app")
                .domain("example.com")
                .insecure_readable_by_scripts()
                .same_site(SameSite::None)
                .partitioned(true),
        );
        assert_eq!(
            cookie.set("token", Some(Duration::from_millis(90_999)), false),
            "id=token; Max-Age=90; Path=/app; Domain=example.com; Secure; SameSite=None; \
             Partitioned"
        );
    }

    #[test]
    fn by_scheme_is_secure_over_https_only_and_never_is_never() {
        let secure = |secure, https| {
            let cookie = rendered(&SessionCookie::new("id").secure(secure));
            let set = parsed(&cookie.set("token", None, https)).secure();
            assert_eq!(parsed(&cookie.removal(https)).secure(), set);
            set == Some(true)
        };
        assert!(secure(CookieSecure::Always, false));
        assert!(secure(CookieSecure::Always, true));
        assert!(!secure(CookieSecure::ByScheme, false));
        assert!(secure(CookieSecure::ByScheme, true));
        assert!(!secure(CookieSecure::InsecureNever, true));
    }

    #[test]
    fn a_max_age_is_whole_seconds_between_one_and_400_days() {
        let cookie = rendered(&SessionCookie::default());
        let table = [
            (Duration::ZERO, 1),
            (Duration::from_millis(999), 1),
            (Duration::from_millis(1_999), 1),
            (Duration::from_secs(9), 9),
            (Duration::from_secs(10), 10),
            (Duration::from_mins(30), 1_800),
            (Duration::from_hours(9_600), 34_560_000),
            (Duration::from_secs(34_560_001), 34_560_000),
            (Duration::MAX, 34_560_000),
        ];
        for (given, written) in table {
            let text = cookie.set("token", Some(given), true);
            let text = text.to_str().unwrap();
            assert!(
                text.contains(&format!("token; Max-Age={written}; Path")),
                "{text}"
            );
        }
    }

    #[test]
    fn the_lifetime_follows_the_setting() {
        let of = |age| rendered(&SessionCookie::default().max_age(age));
        let minute = Duration::from_mins(1);
        assert_eq!(of(MaxAge::Session).lifetime(Some(minute)), None);
        assert_eq!(of(MaxAge::Timeout).lifetime(Some(minute)), Some(minute));
        assert_eq!(of(MaxAge::Timeout).lifetime(None), Some(LONGEST_MAX_AGE));
        assert_eq!(of(MaxAge::Fixed(minute)).lifetime(None), Some(minute));
        assert_eq!(of(MaxAge::Timeout).max_age(), MaxAge::Timeout);
    }

    #[test]
    fn a_set_cookie_is_sensitive() {
        let value = rendered(&SessionCookie::default()).set("token", None, true);
        assert!(value.is_sensitive());
        assert!(!format!("{value:?}").contains("token"));
    }

    fn seconds(cookie: &Cookie<'_>) -> Option<i64> {
        Some(cookie.max_age()?.whole_seconds())
    }

    fn settings() -> impl Strategy<Value = SessionCookie> {
        let same_site = prop_oneof![
            Just(SameSite::Strict),
            Just(SameSite::Lax),
            Just(SameSite::None)
        ];
        let secure = prop_oneof![
            Just(CookieSecure::Always),
            Just(CookieSecure::ByScheme),
            Just(CookieSecure::InsecureNever)
        ];
        (
            "(__Host-|__Secure-)?[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}",
            "/[!-:<-~]{0,12}",
            proptest::option::of("[a-z]{1,9}\\.[a-z]{2,3}"),
            (secure, same_site, any::<bool>(), any::<bool>()),
        )
            .prop_map(
                |(name, path, domain, (secure, same_site, scripts, partitioned))| {
                    let mut cookie = SessionCookie::new(name)
                        .path(path)
                        .secure(secure)
                        .same_site(same_site)
                        .partitioned(partitioned);
                    if let Some(domain) = domain {
                        cookie = cookie.domain(domain);
                    }
                    if scripts {
                        cookie = cookie.insecure_readable_by_scripts();
                    }
                    cookie
                },
            )
            .prop_filter("a browser would take it", |cookie| {
                cookie.validate().is_ok()
            })
    }

    /// Everything but value and age, as an independent reader sees it.
    type Seen = (
        String,
        Option<String>,
        Option<String>,
        [Option<bool>; 3],
        Option<Read>,
    );

    fn seen(cookie: &Cookie<'_>) -> Seen {
        (
            cookie.name().to_owned(),
            cookie.path().map(str::to_owned),
            cookie.domain().map(str::to_owned),
            [cookie.secure(), cookie.http_only(), cookie.partitioned()],
            cookie.same_site(),
        )
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_as_it_was_set(
            settings in settings(),
            value in "[A-Za-z0-9_-]{48}(\\.[A-Za-z0-9_-]{1,32})?",
            secs in proptest::option::of(1_u64..40_000_000),
            https: bool,
        ) {
            let cookie = rendered(&settings);
            let set = parsed(&cookie.set(&value, secs.map(Duration::from_secs), https));
            let secure = match settings.secure {
                CookieSecure::Always => true,
                CookieSecure::ByScheme => https,
                CookieSecure::InsecureNever => false,
            };
            let flag = |on: bool| on.then_some(true);
            let same_site = match settings.same_site {
                SameSite::Strict => Read::Strict,
                SameSite::Lax => Read::Lax,
                SameSite::None => Read::None,
            };
            prop_assert_eq!(set.value(), value);
            let age = seconds(&set);
            let expected_age = secs.map(|s| i64::try_from(s).unwrap().min(34_560_000));
            prop_assert_eq!(age, expected_age);
            prop_assert_eq!(seen(&set), (
                settings.name.clone(),
                Some(settings.path.clone()),
                settings.domain.clone(),
                [flag(secure), flag(settings.http_only), flag(settings.partitioned)],
                Some(same_site),
            ));
        }

        #[test]
        fn a_removal_matches_what_it_removes(settings in settings(), https: bool) {
            let cookie = rendered(&settings);
            let removal = parsed(&cookie.removal(https));
            prop_assert_eq!(seen(&removal), seen(&parsed(&cookie.set("token", None, https))));
            prop_assert_eq!(removal.value(), "");
            prop_assert_eq!(seconds(&removal), Some(0));
            let expires = removal.expires_datetime().unwrap();
            prop_assert_eq!(expires.unix_timestamp(), 0);
        }

        #[test]
        fn a_browser_sends_back_what_was_set(settings in settings(), value in "[A-Za-z0-9_-]{48}") {
            let set = rendered(&settings).set(&value, None, true);
            let pair = set.to_str().unwrap().split(';').next().unwrap().to_owned();
            let mut headers = http::HeaderMap::new();
            headers.append(http::header::COOKIE, pair.parse().unwrap());
            let mut found = Vec::new();
            let flow = cookie_values(&headers, &settings.name, |value| {
                found.push(value.to_vec());
                ControlFlow::Continue(())
            });
            prop_assert!(flow.is_continue());
            prop_assert_eq!(found, [value.as_bytes()]);
        }
    }
}
