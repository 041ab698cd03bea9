use std::borrow::Cow;

use super::codec::{self, Malformed};
use super::snapshot::Unreadable;

/// The format that this release writes; it also reads every lower one.
const VERSION: u8 = 1;

/// The attributes of a session, kept as they are stored.
///
/// A version byte, then for each attribute its scope, its name and its JSON text, each with its
/// length in front. A session has a handful of attributes: scanning them costs less than decoding
/// them into a map for each request, and the copy in memory is no larger than the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attributes(Vec<u8>);

/// One attribute: whose, which, and its JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attribute<'a> {
    pub(crate) scope: &'a str,
    pub(crate) name: &'a str,
    pub(crate) json: &'a [u8],
}

impl Attribute<'_> {
    /// Its name among those of all scopes, as events tell it.
    pub(crate) fn full_name(&self) -> String {
        match self.scope {
            "" => self.name.to_owned(),
            scope => format!("{scope}/{}", self.name),
        }
    }
}

impl Attributes {
    pub(crate) fn empty() -> Self {
        Self(vec![VERSION])
    }

    /// Checks the whole structure once, so that every later scan can trust it.
    pub(crate) fn decode(bytes: Vec<u8>) -> Result<Self, Unreadable> {
        match bytes.split_first() {
            Some((&VERSION, mut rest)) => {
                while !rest.is_empty() {
                    RawAttribute::take(&mut rest)?.texts()?;
                }
                Ok(Self(bytes))
            }
            None | Some((0, _)) => Err(Unreadable::Corrupt),
            Some(_) => Err(Unreadable::Newer),
        }
    }

    /// No attributes, and no bytes either: to build on, or in the place of what is lent.
    pub(crate) const fn none() -> Self {
        Self(Vec::new())
    }

    /// Takes bytes that this type has written itself.
    pub(crate) const fn trusted(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    #[cfg(test)]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The number of encoded bytes; what the layer's size limit counts.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Attribute<'_>> {
        self.raw().filter_map(|raw| raw.texts().ok())
    }

    /// The attributes without the check that names are UTF-8, which was made once.
    pub(crate) fn raw(&self) -> impl Iterator<Item = RawAttribute<'_>> {
        let mut rest = self.0.get(1..).unwrap_or_default();
        // A malformed rest cannot be: it was checked by `decode` or built by the builder.
        std::iter::from_fn(move || RawAttribute::take(&mut rest).ok())
    }

    pub(crate) fn get(&self, scope: &str, name: &str) -> Option<&[u8]> {
        self.raw()
            .find(|raw| raw.is(scope, name.as_bytes()))
            .map(|raw| raw.json)
    }

    /// A copy in which `change` has decided about one attribute: what is before and after it is
    /// copied as it stands. `room` is what it may need beyond its old place.
    pub(crate) fn with<'a>(
        &self,
        scope: &str,
        name: &[u8],
        room: usize,
        change: impl FnOnce(Option<&[u8]>) -> Option<Cow<'a, [u8]>>,
    ) -> Self {
        let mut out = AttributesBuilder(Vec::with_capacity(self.0.len() + 1 + room));
        let mut rest = self.0.get(1..).unwrap_or_default();
        loop {
            let from = rest;
            let Ok(kept) = RawAttribute::take(&mut rest) else {
                if self.0.is_empty() {
                    out.0.push(VERSION);
                }
                out.0.extend_from_slice(&self.0);
                if let Some(json) = change(None) {
                    out.push(scope, name, &json);
                }
                return out.finish();
            };
            if kept.is(scope, name) {
                let (before, _) = self.0.split_at(self.0.len() - from.len());
                out.0.extend_from_slice(before);
                if let Some(json) = change(Some(kept.json)) {
                    out.push_changed(kept, &json);
                }
                out.0.extend_from_slice(rest);
                return out.finish();
            }
        }
    }

    pub(crate) fn has(&self, scope: &str, name: &[u8]) -> bool {
        self.raw().any(|raw| raw.is(scope, name))
    }
}

/// One attribute as it is stored.
#[derive(Clone, Copy)]
pub(crate) struct RawAttribute<'a> {
    pub(crate) scope: &'a [u8],
    pub(crate) name: &'a [u8],
    pub(crate) json: &'a [u8],
    /// All of it, with the lengths.
    whole: &'a [u8],
    /// How much of that is before the length of the JSON text.
    key_len: usize,
}

impl<'a> RawAttribute<'a> {
    fn take(input: &mut &'a [u8]) -> Result<Self, Malformed> {
        let start = *input;
        let scope = codec::take_bytes(input)?;
        let name = codec::take_bytes(input)?;
        let key_len = start.len() - input.len();
        let json = codec::take_bytes(input)?;
        let (whole, _) = start.split_at(start.len() - input.len());
        Ok(Self {
            scope,
            name,
            json,
            whole,
            key_len,
        })
    }

    fn texts(self) -> Result<Attribute<'a>, Malformed> {
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| Malformed);
        Ok(Attribute {
            scope: text(self.scope)?,
            name: text(self.name)?,
            json: self.json,
        })
    }

    pub(crate) fn is(&self, scope: &str, name: &[u8]) -> bool {
        // Most scopes are the empty one, and comparing nothing with nothing by `memcmp` is slow on
        // some processors.
        self.name == name
            && self.scope.len() == scope.len()
            && (scope.is_empty() || self.scope == scope.as_bytes())
    }
}

/// Writes a new set of attributes.
#[derive(Debug)]
pub(crate) struct AttributesBuilder(Vec<u8>);

impl AttributesBuilder {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        let mut out = Vec::with_capacity(capacity.saturating_add(1));
        out.push(VERSION);
        Self(out)
    }

    pub(crate) fn push(&mut self, scope: &str, name: &[u8], json: &[u8]) {
        codec::put_bytes(&mut self.0, scope.as_bytes());
        codec::put_bytes(&mut self.0, name);
        codec::put_bytes(&mut self.0, json);
    }

    /// An attribute as it was.
    pub(crate) fn push_raw(&mut self, kept: RawAttribute<'_>) {
        self.0.extend_from_slice(kept.whole);
    }

    /// An attribute with another value.
    pub(crate) fn push_changed(&mut self, kept: RawAttribute<'_>, json: &[u8]) {
        let (key, _) = kept.whole.split_at(kept.key_len);
        self.0.extend_from_slice(key);
        codec::put_bytes(&mut self.0, json);
    }

    pub(crate) fn finish(self) -> Attributes {
        Attributes(self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scopes_do_not_see_each_other() {
        let mut builder = AttributesBuilder::with_capacity(0);
        builder.push("", b"a", b"1");
        builder.push("admin", b"a", b"2");
        let body = builder.finish();
        assert_eq!(body.get("", "a"), Some(&b"1"[..]));
        assert_eq!(body.get("admin", "a"), Some(&b"2"[..]));
        assert_eq!(body.get("shop", "a"), None);
    }

    #[test]
    fn a_later_format_is_newer_and_no_format_is_corrupt() {
        assert_eq!(Attributes::decode(vec![2, 0]), Err(Unreadable::Newer));
        assert_eq!(Attributes::decode(vec![0]), Err(Unreadable::Corrupt));
        assert_eq!(Attributes::decode(vec![]), Err(Unreadable::Corrupt));
        assert_eq!(
            Attributes::decode(vec![1, 0, 200]),
            Err(Unreadable::Corrupt)
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(list in proptest::collection::vec((".{0,9}", ".{1,200}", "[0-9]{0,300}"), 0..8)) {
            let mut builder = AttributesBuilder::with_capacity(0);
            for (scope, name, json) in &list {
                builder.push(scope, name.as_bytes(), json.as_bytes());
            }
            let body = Attributes::decode(builder.finish().as_bytes().to_vec()).unwrap();
            let read: Vec<_> = body.iter().map(|a| (a.scope.to_owned(), a.name.to_owned(), String::from_utf8(a.json.to_vec()).unwrap())).collect();
            prop_assert_eq!(read, list);
        }

        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(body) = Attributes::decode(bytes.clone()) {
                prop_assert_eq!(body.as_bytes(), &bytes[..]);
                body.iter().count();
            }
        }
    }
}
