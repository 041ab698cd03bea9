//! Reads candidate values from request headers: no allocation, linear, and deaf to UTF-8.

use std::ops::ControlFlow;

use http::header::{COOKIE, HeaderMap, HeaderName};

/// The values of every cookie of this name, in the order in which they were sent.
///
/// All `Cookie` lines are read (HTTP/2 clients send several, [RFC 9113, section 8.2.3]). A line is
/// split at `;` and each pair at its first `=`, as servers do by [RFC 6265, section 5.4]; spaces
/// and tabs around name and value are dropped, and so is one pair of double quotes around the
/// value. Names are compared byte by byte. A pair without a name is skipped: a browser sends a
/// nameless cookie as its bare value, which must not pass for a named one with an empty value.
///
/// An empty value is handed on: whether it means anything is for the caller to say.
///
/// [RFC 9113, section 8.2.3]: https://www.rfc-editor.org/rfc/rfc9113#section-8.2.3
/// [RFC 6265, section 5.4]: https://www.rfc-editor.org/rfc/rfc6265#section-5.4
///
/// Each value goes to `take`, which says when it has seen enough: calls cost less here than a chain
/// of iterators.
pub(crate) fn cookie_values<'a>(
    headers: &'a HeaderMap,
    name: &str,
    mut take: impl FnMut(&'a [u8]) -> ControlFlow<()>,
) -> ControlFlow<()> {
    for line in headers.get_all(COOKIE) {
        let mut rest = line.as_bytes();
        loop {
            // The search goes by words, not by bytes.
            let end = memchr::memchr(b';', rest);
            let (pair, after) = rest.split_at(end.unwrap_or(rest.len()));
            if let Some(value) = value_of(pair, name.as_bytes()) {
                take(value)?;
            }
            match after {
                [_, after @ ..] => rest = after,
                [] => break,
            }
        }
    }
    ControlFlow::Continue(())
}

/// The values of every header line of this name, without the spaces and tabs around them.
///
/// A line is one value: a comma is not a separator here, since no token has one.
pub(crate) fn header_values<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    mut take: impl FnMut(&'a [u8]) -> ControlFlow<()>,
) -> ControlFlow<()> {
    for line in headers.get_all(name) {
        take(trim_ows(line.as_bytes()))?;
    }
    ControlFlow::Continue(())
}

fn value_of<'a>(pair: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    // The name is compared before anything else is looked at, so that a foreign cookie costs no
    // more than its leading bytes beyond the search for the `;`.
    let rest = trim_ows_start(pair).strip_prefix(name)?;
    let value = trim_ows_start(rest).strip_prefix(b"=")?;
    if name.is_empty() {
        return None;
    }
    Some(unquoted(trim_ows(value)))
}

fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    }
}

fn trim_ows(bytes: &[u8]) -> &[u8] {
    let mut rest = trim_ows_start(bytes);
    while let [shorter @ .., b' ' | b'\t'] = rest {
        rest = shorter;
    }
    rest
}

fn trim_ows_start(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let [b' ' | b'\t', shorter @ ..] = rest {
        rest = shorter;
    }
    rest
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(lines: &[&[u8]]) -> HeaderMap {
        lines
            .iter()
            .map(|line| (COOKIE, HeaderValue::from_bytes(line).unwrap()))
            .collect()
    }

    fn values(lines: &[&[u8]], name: &str) -> Vec<Vec<u8>> {
        let (headers, mut found) = (headers(lines), Vec::new());
        let flow = cookie_values(&headers, name, |value| {
            found.push(value.to_vec());
            ControlFlow::Continue(())
        });
        assert!(flow.is_continue());
        found
    }

    #[test]
    fn a_line_is_read_as_pairs() {
        let table: &[(&str, &[&str])] = &[
            ("", &[]),
            ("id=a", &["a"]),
            ("id=a; other=b", &["a"]),
            ("other=b; id=a", &["a"]),
            ("other=b;id=a;", &["a"]),
            (";;; ;id=a;;", &["a"]),
            ("id=a; id=b; id=a", &["a", "b", "a"]),
            ("id=", &[""]),
            ("id=a=b==", &["a=b=="]),
            ("\t id \t=\t a b \t;", &["a b"]),
            ("ID=a; Id=b; iD=c", &[]),
            ("xid=a; idx=b; i=c; x id=d", &[]),
            ("id", &[]),
            ("id; id=a", &["a"]),
            ("=id; =id=a; = ; =", &[]),
            (r#"id="a""#, &["a"]),
            (r#"id= "a b" "#, &["a b"]),
            (r#"id="""#, &[""]),
            (r#"id=""#, &["\""]),
            (r#"id="a"#, &[r#""a"#]),
            (r#"id=a""#, &[r#"a""#]),
            (r#"id=""a"""#, &[r#""a""#]),
            // A quote protects nothing: the pair still ends at the semicolon.
            (r#"id="a;id=b""#, &[r#""a"#, r#"b""#]),
            ("$Version=1; id=a; $Path=/", &["a"]),
        ];
        for (line, expected) in table {
            let found = values(&[line.as_bytes()], "id");
            let expected: Vec<_> = expected.iter().map(|v| v.as_bytes().to_vec()).collect();
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn several_cookie_lines_are_one_list_in_order() {
        let found = values(&[b"a=1; id=x", b"b=2", b"id=y; c=3"], "id");
        assert_eq!(found, [b"x", b"y"]);
    }

    #[test]
    fn bytes_that_are_no_utf_8_are_carried_and_never_panic() {
        let found = values(&[b"\xff\xfe=1; id=\xc3\x28; id=ok"], "id");
        assert_eq!(found, [b"\xc3\x28".to_vec(), b"ok".to_vec()]);
        assert!(values(&[b"\xff\xff\xff"], "id").is_empty());
    }

    #[test]
    fn an_empty_name_finds_nothing() {
        assert!(values(&[b"=a; b; =; c=d"], "").is_empty());
    }

    #[test]
    fn large_and_many_cookies_are_found_whole() {
        let long = "v".repeat(6_000);
        let line = format!("id={long}; after=1");
        assert_eq!(values(&[line.as_bytes()], "id"), [long.into_bytes()]);

        let crowd: Vec<_> = (0..5_000).map(|n| format!("id{n}=x")).collect();
        let line = format!("{}; id=last", crowd.join("; "));
        assert_eq!(values(&[line.as_bytes()], "id"), [b"last"]);
        assert_eq!(values(&[line.as_bytes(), line.as_bytes()], "id").len(), 2);
    }

    #[test]
    fn header_values_are_whole_lines_without_their_margins() {
        let name = HeaderName::from_static("x-session");
        let mut headers = HeaderMap::new();
        for line in ["a", " \tb c\t ", "", "d,e", "\"f\""] {
            headers.append(&name, line.parse().unwrap());
        }
        headers.append("x-other", "g".parse().unwrap());
        let mut found = Vec::new();
        let flow = header_values(&headers, &name, |value| {
            found.push(value);
            ControlFlow::Continue(())
        });
        assert!(flow.is_continue());
        assert_eq!(found, [&b"a"[..], b"b c", b"", b"d,e", b"\"f\""]);
    }

    /// The same grammar, written as plainly as it can be said.
    fn reference(line: &[u8], name: &[u8]) -> Vec<Vec<u8>> {
        let trim = |bytes: &[u8]| {
            let kept = |b: &u8| !matches!(b, b' ' | b'\t');
            let start = bytes.iter().position(kept).unwrap_or(bytes.len());
            let end = bytes.iter().rposition(kept).map_or(start, |at| at + 1);
            bytes[start..end].to_vec()
        };
        let mut found = Vec::new();
        for pair in line.split(|b| *b == b';') {
            let Some(at) = pair.iter().position(|b| *b == b'=') else {
                continue;
            };
            if trim(&pair[..at]) == name {
                let mut value = trim(&pair[at + 1..]);
                if value.len() > 1 && value[0] == b'"' && value.ends_with(b"\"") {
                    value = value[1..value.len() - 1].to_vec();
                }
                found.push(value);
            }
        }
        found
    }

    proptest! {
        #[test]
        fn any_line_reads_as_the_reference_says(line in "([ \t]{0,2}(id|i|d|ID)?[ \t]{0,2}=?[\"=a \t\u{e9}]{0,6};?){0,6}") {
            let found = values(&[line.as_bytes()], "id");
            prop_assert_eq!(found, reference(line.as_bytes(), b"id"));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            if HeaderValue::from_bytes(&bytes).is_ok() {
                prop_assert_eq!(values(&[&bytes], "id"), reference(&bytes, b"id"));
            }
        }

        #[test]
        fn what_a_browser_stored_comes_back(
            value in "[!#-+\\--:<-\\[\\]-~]{0,200}",
            around in proptest::collection::vec("[a-c]{1,3}=[a-z=]{0,9}", 0..5),
            at in 0_usize..5,
        ) {
            let mut pairs = around;
            pairs.insert(at.min(pairs.len()), format!("id={value}"));
            let line = pairs.join("; ");
            prop_assert_eq!(values(&[line.as_bytes()], "id"), [value.into_bytes()]);
        }
    }
}
