//! The rows about where the token travels.

use super::key::{Key, Reading, reading, spelling};
use super::read::{Read, Wrong, boolean, choice, duration, seconds_or_minus_one};
use super::target::Kind;
use crate::text::format_duration;
use crate::{CookieSecure, HeaderSend, MaxAge, SameSite, SessionCookie, SessionHeader};

const BOOL: &str = "true or false";
const COOKIE_NAME: &str = "the name of a cookie, such as \"__Host-id\"";
const HEADER_NAME: &str = "the name of a header of your own, such as \"x-session\"";
const DOMAIN: &str = "a host name such as \"example.com\"";
const PATH: &str = "a path that begins with a slash";
const SAME_SITE: &str = "\"strict\", \"lax\" or \"none\"";

/// Names stand before what else is said of the same cookie or header.
pub(super) const KEYS: &[Key] = &[
    Key {
        ours: spelling(
            "transport",
            "\"cookie\", \"header\", or both in their order: \"cookie,header\"",
            |text| {
                let words: [(_, &[Kind]); 4] = [
                    ("cookie", &[Kind::Cookie]),
                    ("header", &[Kind::Header]),
                    ("cookie,header", &[Kind::Cookie, Kind::Header]),
                    ("header,cookie", &[Kind::Header, Kind::Cookie]),
                ];
                let text = text.replace(' ', "").to_ascii_lowercase();
                let order = choice(&text, &words)?;
                Ok(reading(text, move |to| to.order = Some(order)))
            },
        ),
        aliases: &[spelling(
            "SessionUseCookie",
            "0 (header) or 1 (cookie)",
            |text| {
                let (text, order): (_, &[Kind]) = match text {
                    "0" => ("header", &[Kind::Header]),
                    "1" => ("cookie", &[Kind::Cookie]),
                    _ => return Err(Wrong::default()),
                };
                Ok(reading(text, move |to| to.order = Some(order)))
            },
        )],
    },
    Key {
        ours: spelling(
            "SessionIdHeader",
            "the name of the header, or of the cookie with SessionUseCookie = 1",
            |text| {
                SessionCookie::new(text).validate()?;
                SessionHeader::new(text).validate()?;
                let name = text.to_owned();
                Ok(reading(text, move |to| to.name = Some(name.clone())))
            },
        ),
        aliases: &[],
    },
    Key {
        ours: spelling("cookie.name", COOKIE_NAME, cookie_name),
        aliases: &[spelling("sessionCookie", COOKIE_NAME, cookie_name)],
    },
    Key {
        ours: spelling("cookie.path", PATH, path),
        aliases: &[spelling("sessionPath", PATH, path)],
    },
    Key {
        ours: spelling("cookie.domain", DOMAIN, domain),
        aliases: &[spelling("sessionDomain", DOMAIN, domain)],
    },
    Key {
        ours: spelling(
            "cookie.secure",
            "\"always\", \"by-scheme\", or \"insecure-never\" for development",
            |text| {
                let words = [
                    ("always", CookieSecure::Always),
                    ("by-scheme", CookieSecure::ByScheme),
                    ("insecure-never", CookieSecure::InsecureNever),
                ];
                Ok(secure(choice(text, &words)?))
            },
        ),
        aliases: &[spelling("secureRequestOnly", BOOL, |text| {
            // Jetty's `false` alone would send the cookie in clear: nobody means that.
            Ok(secure(if boolean(text)? {
                CookieSecure::ByScheme
            } else {
                CookieSecure::Always
            }))
        })],
    },
    Key {
        ours: spelling(
            "cookie.http_only",
            "true, or \"insecure-readable-by-scripts\"",
            |text| {
                let words = [("true", true), ("insecure-readable-by-scripts", false)];
                Ok(http_only(choice(text, &words)?))
            },
        ),
        aliases: &[spelling("httpOnly", BOOL, |text| {
            boolean(text).map(http_only)
        })],
    },
    Key {
        ours: spelling("cookie.same_site", SAME_SITE, same_site),
        aliases: &[spelling("sameSite", SAME_SITE, same_site)],
    },
    Key {
        ours: spelling("cookie.partitioned", BOOL, partitioned),
        aliases: &[spelling("partitioned", BOOL, partitioned)],
    },
    Key {
        ours: spelling(
            "cookie.max_age",
            "\"session\", \"timeout\", or a duration of at least 1s",
            |text| match text {
                "session" => max_age(MaxAge::Session),
                "timeout" => max_age(MaxAge::Timeout),
                _ => max_age(MaxAge::Fixed(duration(text)?)),
            },
        ),
        aliases: &[spelling(
            "maxCookieAge",
            "-1 (until the browser is closed), or whole seconds above 0",
            |text| {
                max_age(match seconds_or_minus_one(text)? {
                    None => MaxAge::Session,
                    Some(age) => MaxAge::Fixed(age),
                })
            },
        )],
    },
    Key {
        ours: spelling("trust_forwarded_proto", BOOL, |text| {
            let trust = boolean(text)?;
            Ok(reading(trust.to_string(), move |to| {
                to.builder.config.trust_forwarded_proto = trust;
            }))
        }),
        aliases: &[],
    },
    Key {
        ours: spelling("header.name", HEADER_NAME, |text| {
            SessionHeader::new(text).validate()?;
            let name = text.to_owned();
            Ok(reading(text, move |to| {
                to.header(|_| SessionHeader::new(name.clone()));
            }))
        }),
        aliases: &[],
    },
    Key {
        ours: spelling("header.send", "\"on-change\" or \"always\"", |text| {
            let words = [
                ("on-change", HeaderSend::OnChange),
                ("always", HeaderSend::Always),
            ];
            let send = choice(text, &words)?;
            Ok(reading(text.to_ascii_lowercase(), move |to| {
                to.header(|header| header.send(send));
            }))
        }),
        aliases: &[],
    },
];

fn cookie_name(text: &str) -> Read<Reading> {
    SessionCookie::new(text).validate()?;
    let name = text.to_owned();
    Ok(reading(text, move |to| {
        to.cookie(|_| SessionCookie::new(name.clone()));
    }))
}

/// What a browser would refuse of one setting is told here, of several together by `build()`.
fn valid(change: impl FnOnce(SessionCookie) -> SessionCookie) -> Read<()> {
    Ok(change(SessionCookie::new("id")).validate()?)
}

fn path(text: &str) -> Read<Reading> {
    valid(|cookie| cookie.path(text))?;
    let path = text.to_owned();
    Ok(reading(text, move |to| {
        to.cookie(|cookie| cookie.path(path.clone()));
    }))
}

fn domain(text: &str) -> Read<Reading> {
    valid(|cookie| cookie.domain(text))?;
    let domain = text.to_owned();
    Ok(reading(text, move |to| {
        to.cookie(|cookie| cookie.domain(domain.clone()));
    }))
}

fn secure(secure: CookieSecure) -> Reading {
    let text = match secure {
        CookieSecure::Always => "always",
        CookieSecure::ByScheme => "by-scheme",
        CookieSecure::InsecureNever => "insecure-never",
    };
    reading(text, move |to| to.cookie(|cookie| cookie.secure(secure)))
}

fn http_only(http_only: bool) -> Reading {
    if http_only {
        // Every cookie begins with it.
        return reading("true", |to| to.cookie(|cookie| cookie));
    }
    reading("insecure-readable-by-scripts", |to| {
        to.cookie(SessionCookie::insecure_readable_by_scripts);
    })
}

fn same_site(text: &str) -> Read<Reading> {
    let words = [
        ("strict", SameSite::Strict),
        ("lax", SameSite::Lax),
        ("none", SameSite::None),
    ];
    let same_site = choice(text, &words)?;
    Ok(reading(text.to_ascii_lowercase(), move |to| {
        to.cookie(|cookie| cookie.same_site(same_site));
    }))
}

fn partitioned(text: &str) -> Read<Reading> {
    let partitioned = boolean(text)?;
    Ok(reading(partitioned.to_string(), move |to| {
        to.cookie(|cookie| cookie.partitioned(partitioned));
    }))
}

fn max_age(age: MaxAge) -> Read<Reading> {
    valid(|cookie| cookie.max_age(age))?;
    let text = match age {
        MaxAge::Session => "session".to_owned(),
        MaxAge::Timeout => "timeout".to_owned(),
        MaxAge::Fixed(age) => format_duration(age),
    };
    Ok(reading(text, move |to| {
        to.cookie(|cookie| cookie.max_age(age));
    }))
}
