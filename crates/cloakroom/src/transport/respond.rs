use std::time::Duration;

use cloakroom_core::Token;
use http::header::{CACHE_CONTROL, COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE, VARY};

use super::{HeaderSend, MaxAge, RenderedHeader, Transport, Transports};
use crate::session::Outgoing;

/// Whether the token is sent again while the session is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refresh {
    Never,
    /// It has an age, which runs from when it was last sent.
    WithUse,
}

/// What one response says about its session.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) outgoing: &'a Outgoing,
    /// The token that is right after this request, for a header that is always sent.
    pub(crate) current: Option<&'a Token>,
    /// How long the session lasts from now on if it is not used.
    pub(crate) remaining: Option<Duration>,
    pub(crate) https: bool,
}

impl Transports {
    pub(crate) fn refresh(&self) -> Refresh {
        match self.list.first() {
            Some(Transport::Cookie(cookie)) if cookie.max_age() != MaxAge::Session => {
                Refresh::WithUse
            }
            _ => Refresh::Never,
        }
    }

    /// Whether the token's age depends on the session's timeouts.
    pub(crate) fn follows_timeout(&self) -> bool {
        matches!(self.list.first(), Some(Transport::Cookie(c)) if c.max_age() == MaxAge::Timeout)
    }

    /// Whether every response carries the token.
    pub(crate) fn always_sends(&self) -> bool {
        matches!(self.list.first(), Some(Transport::Header(h)) if h.send() == HeaderSend::Always)
    }

    /// Says of what a response depends whose request has asked for its session.
    pub(crate) fn vary(&self, headers: &mut HeaderMap) {
        for way in &self.list {
            match way {
                Transport::Cookie(_) => vary(headers, &COOKIE),
                Transport::Header(header) => vary(headers, header.name()),
            }
        }
    }

    /// Writes the token into the response's head, or takes it back; says of what the response
    /// depends.
    pub(crate) fn respond(&self, headers: &mut HeaderMap, answer: &Answer<'_>) {
        self.vary(headers);
        match answer.outgoing {
            Outgoing::Set(token) => {
                if let Some(first) = self.list.first() {
                    self.send(headers, first, token, answer);
                }
            }
            Outgoing::Remove => {
                for way in &self.list {
                    take_back(headers, way, answer.https);
                }
            }
            Outgoing::Nothing => {
                if let (Some(Transport::Header(header)), Some(token)) =
                    (self.list.first(), answer.current)
                    && header.send() == HeaderSend::Always
                {
                    let value = RenderedHeader::set(&self.text(token));
                    headers.insert(header.name().clone(), value);
                    no_cache(headers, header.name());
                }
            }
        }
    }

    fn send(&self, headers: &mut HeaderMap, way: &Transport, token: &Token, answer: &Answer<'_>) {
        match way {
            Transport::Cookie(cookie) => {
                let age = cookie.lifetime(answer.remaining);
                let plain;
                let suffixed;
                let text = if self.affinity {
                    suffixed = self.text(token);
                    suffixed.as_str()
                } else {
                    plain = token.to_text();
                    plain.expose()
                };
                only_cookie(headers, cookie.name(), cookie.set(text, age, answer.https));
                no_cache_of_cookies(headers);
            }
            Transport::Header(header) => {
                headers.insert(
                    header.name().clone(),
                    RenderedHeader::set(&self.text(token)),
                );
                no_cache(headers, header.name());
            }
        }
    }

    /// The token as the client is given it, with this node's name where that is wanted.
    fn text(&self, token: &Token) -> String {
        let text = token.to_text();
        match &self.node {
            Some(node) if self.affinity => format!("{}.{node}", text.expose()),
            _ => text.expose().to_owned(),
        }
    }
}

fn take_back(headers: &mut HeaderMap, way: &Transport, https: bool) {
    match way {
        Transport::Cookie(cookie) => {
            only_cookie(headers, cookie.name(), cookie.removal(https));
            no_cache_of_cookies(headers);
        }
        Transport::Header(header) => {
            headers.insert(header.name().clone(), RenderedHeader::removal());
        }
    }
}

fn no_cache_of_cookies(headers: &mut HeaderMap) {
    if !headers.contains_key(CACHE_CONTROL) {
        let value = HeaderValue::from_static("no-cache=\"Set-Cookie\"");
        headers.insert(CACHE_CONTROL, value);
    }
}

/// A shared cache must not hand this header, and the session with it, to the next client.
fn no_cache(headers: &mut HeaderMap, name: &HeaderName) {
    if !headers.contains_key(CACHE_CONTROL)
        && let Ok(value) = HeaderValue::try_from(format!("no-cache=\"{name}\""))
    {
        headers.insert(CACHE_CONTROL, value);
    }
}

/// Appends our cookie; exactly one of its name leaves, whoever else has set one.
fn only_cookie(headers: &mut HeaderMap, name: &str, cookie: HeaderValue) {
    let is_ours = |value: &HeaderValue| {
        value
            .as_bytes()
            .strip_prefix(name.as_bytes())
            .is_some_and(|rest| rest.starts_with(b"="))
    };
    if headers.get_all(SET_COOKIE).iter().any(is_ours) {
        let others: Vec<HeaderValue> = headers
            .get_all(SET_COOKIE)
            .iter()
            .filter(|value| !is_ours(value))
            .cloned()
            .collect();
        headers.remove(SET_COOKIE);
        for other in others {
            headers.append(SET_COOKIE, other);
        }
    }
    headers.append(SET_COOKIE, cookie);
}

/// Adds a name to `Vary` unless it is there already, or everything is.
fn vary(headers: &mut HeaderMap, on: &HeaderName) {
    let names = |value: &HeaderValue| {
        value.as_bytes().split(|&byte| byte == b',').any(|name| {
            let name = name.trim_ascii();
            name == b"*" || name.eq_ignore_ascii_case(on.as_str().as_bytes())
        })
    };
    // Most responses have no headers yet: then there is nothing to look through.
    if headers.is_empty() || !headers.get_all(VARY).iter().any(names) {
        headers.append(VARY, HeaderValue::from_name(on.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vary_is_added_once_and_never_to_a_star() {
        for (before, after) in [
            (None, vec!["cookie"]),
            (Some("Accept, Cookie"), vec!["Accept, Cookie"]),
            (Some("*"), vec!["*"]),
            (Some("accept"), vec!["accept", "cookie"]),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(before) = before {
                headers.insert(VARY, HeaderValue::from_static(before));
            }
            vary(&mut headers, &COOKIE);
            let found: Vec<_> = headers
                .get_all(VARY)
                .iter()
                .map(|v| v.to_str().unwrap())
                .collect();
            assert_eq!(found, after);
        }
    }

    #[test]
    fn one_cookie_of_our_name_leaves_and_others_stay() {
        let mut headers = HeaderMap::new();
        for other in ["id=old", "ident=x", "a=id=b"] {
            headers.append(SET_COOKIE, HeaderValue::from_static(other));
        }
        only_cookie(&mut headers, "id", HeaderValue::from_static("id=new"));
        let found: Vec<_> = headers
            .get_all(SET_COOKIE)
            .iter()
            .map(|v| v.to_str().unwrap())
            .collect();
        assert_eq!(found, ["ident=x", "a=id=b", "id=new"]);
    }
}
