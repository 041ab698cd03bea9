//! What the settings are applied to.

use crate::builder::Way;
use crate::{SessionCookie, SessionHeader, SessionLayerBuilder};

/// The builder, and the ways of the token while they are put together.
pub(super) struct Target<'a> {
    pub(super) builder: &'a mut SessionLayerBuilder,
    /// Which ways, in their order, if that was said.
    pub(super) order: Option<&'static [Kind]>,
    /// What was said of the ways' details; a way that is not in the order is not used.
    pub(super) cookie: Option<SessionCookie>,
    pub(super) header: Option<SessionHeader>,
    /// Jarvis' name for whichever way is used.
    pub(super) name: Option<String>,
}

/// A way of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Cookie,
    Header,
}

/// The header if none is named.
pub(super) const DEFAULT_HEADER: &str = "x-session";

impl<'a> Target<'a> {
    pub(super) fn new(builder: &'a mut SessionLayerBuilder) -> Self {
        Self {
            builder,
            order: None,
            cookie: None,
            header: None,
            name: None,
        }
    }

    /// Changes the cookie. The row of its name comes before the others in the table, because it
    /// begins a new one.
    pub(super) fn cookie(&mut self, change: impl FnOnce(SessionCookie) -> SessionCookie) {
        let cookie = self.cookie.take().unwrap_or_else(|| match &self.name {
            Some(name) => SessionCookie::new(name.clone()),
            None => SessionCookie::default(),
        });
        self.cookie = Some(change(cookie));
    }

    /// Changes the header; as [`cookie`](Self::cookie).
    pub(super) fn header(&mut self, change: impl FnOnce(SessionHeader) -> SessionHeader) {
        let header = self
            .header
            .take()
            .unwrap_or_else(|| SessionHeader::new(self.name.as_deref().unwrap_or(DEFAULT_HEADER)));
        self.header = Some(change(header));
    }

    /// Replaces the builder's ways, if the settings said anything about them.
    pub(super) fn finish(mut self) {
        let order: &[Kind] = match (self.order, &self.cookie, &self.header) {
            (Some(order), ..) => order,
            (None, Some(_), Some(_)) => &[Kind::Cookie, Kind::Header],
            (None, Some(_), None) => &[Kind::Cookie],
            (None, None, Some(_)) => &[Kind::Header],
            // As Jarvis, whose `SessionUseCookie` is 0 unless it is given.
            (None, None, None) if self.name.is_some() => &[Kind::Header],
            (None, None, None) => return,
        };
        self.cookie(|cookie| cookie);
        self.header(|header| header);
        let way = |kind: &Kind| match kind {
            Kind::Cookie => self.cookie.clone().map(Way::Cookie),
            Kind::Header => self.header.clone().map(Way::Header),
        };
        self.builder.ways = order.iter().filter_map(way).collect();
    }
}
