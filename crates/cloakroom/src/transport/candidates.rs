use std::ops::ControlFlow;

use cloakroom_core::Token;
use http::HeaderMap;

use super::parse::{cookie_values, header_values};
use super::{Transport, Transports};

/// How many different well-formed tokens of one transport are tried.
const PER_TRANSPORT: usize = 4;

/// A well-formed token of the request.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) token: Token,
    /// It does not carry this node's name.
    pub(crate) foreign_node: bool,
    /// By which transport it came.
    pub(crate) transport: usize,
}

/// The well-formed tokens of a request, in the order of precedence. What is malformed is dropped
/// before any I/O.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    /// As a rule the only one.
    first: Option<Candidate>,
    /// A few, in order.
    more: Vec<Candidate>,
    malformed: bool,
}

impl Candidates {
    /// Whether something was met that is no token.
    pub(crate) fn met_malformed(&self) -> bool {
        self.malformed
    }

    /// The one token of the request, if there is just one.
    pub(crate) fn only(&self) -> Option<&Candidate> {
        self.first.as_ref().filter(|_| self.more.is_empty())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none() && self.more.is_empty()
    }

    fn add(&mut self, candidate: Candidate) {
        if self.first.is_none() {
            self.first = Some(candidate);
        } else {
            self.more.push(candidate);
        }
    }

    fn has(&self, token: &Token) -> bool {
        let is_it = |known: &Candidate| known.token == *token;
        self.first.as_ref().is_some_and(is_it) || self.more.iter().any(is_it)
    }
}

impl Iterator for Candidates {
    type Item = Candidate;

    fn next(&mut self) -> Option<Candidate> {
        if self.first.is_some() || self.more.is_empty() {
            return self.first.take();
        }
        Some(self.more.remove(0))
    }
}

impl Transports {
    pub(crate) fn candidates(&self, headers: &HeaderMap) -> Candidates {
        let mut found = Candidates::default();
        for (transport, way) in self.list.iter().enumerate() {
            let mut tried = 0;
            let take = |value: &[u8]| self.take(&mut found, transport, &mut tried, value);
            // Whether it went to its end does not matter.
            let _: ControlFlow<()> = match way {
                Transport::Cookie(cookie) => cookie_values(headers, cookie.name(), take),
                Transport::Header(header) => header_values(headers, header.name(), take),
            };
        }
        found
    }

    /// Takes one value of a transport; breaks off when so many have been taken.
    fn take(
        &self,
        found: &mut Candidates,
        transport: usize,
        tried: &mut usize,
        value: &[u8],
    ) -> ControlFlow<()> {
        let parsed = match &self.node {
            None => Token::parse(value).map(|token| (token, None)),
            Some(_) => Token::parse_with_node(value),
        };
        let Ok((token, node)) = parsed else {
            found.malformed = true;
            return ControlFlow::Continue(());
        };
        if found.has(&token) {
            return ControlFlow::Continue(());
        }
        if *tried == PER_TRANSPORT {
            return ControlFlow::Break(());
        }
        *tried += 1;
        let foreign_node = node != self.node.as_deref();
        found.add(Candidate {
            token,
            foreign_node,
            transport,
        });
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use cloakroom_core::{Secret, SessionId};

    use super::super::{SessionCookie, SessionHeader};
    use super::*;

    fn token(n: u8) -> Token {
        Token::new(SessionId::from_bytes([n; 16]), Secret::from_bytes([n; 20]))
    }

    fn text(n: u8) -> String {
        token(n).to_text().expose().to_owned()
    }

    fn both() -> Transports {
        let cookie = SessionCookie::new("id")
            .insecure_without_secure()
            .build()
            .unwrap();
        let header = SessionHeader::new("x-id").build().unwrap();
        let list = vec![
            Transport::Cookie(Box::new(cookie)),
            Transport::Header(header),
        ];
        Transports::new(list, None, false)
    }

    fn headers(list: &[(&'static str, String)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn ids(found: Candidates) -> Vec<u8> {
        found
            .map(|candidate| candidate.token.id().as_bytes()[0])
            .collect()
    }

    #[test]
    fn transports_come_in_their_order_and_duplicates_once() {
        let cookies = format!("id={}; id={}; a=b; id=\"{}\"", text(1), text(1), text(2));
        let found = both().candidates(&headers(&[("x-id", text(3)), ("cookie", cookies)]));
        assert_eq!(ids(found), [1, 2, 3]);
    }

    #[test]
    fn malformed_ones_do_not_count_towards_the_four() {
        let mut cookies = "id=nonsense; ".repeat(2_000);
        for n in 1..=6 {
            cookies += &["id=", &text(n), "; "].concat();
        }
        let found = both().candidates(&headers(&[("cookie", cookies)]));
        assert!(found.met_malformed());
        assert_eq!(ids(found), [1, 2, 3, 4]);
    }

    #[test]
    fn a_node_suffix_is_malformed_unless_this_node_has_a_name() {
        let suffixed = headers(&[("cookie", format!("id={}.n2", text(1)))]);
        assert_eq!(ids(both().candidates(&suffixed)), [0_u8; 0]);
        let mut named = both();
        named.node = Some("n1".into());
        let mut found = named.candidates(&suffixed);
        assert!(found.next().unwrap().foreign_node);
        let own = headers(&[("cookie", format!("id={}.n1", text(1)))]);
        assert!(!named.candidates(&own).next().unwrap().foreign_node);
    }
}
