//! Whether the client came by https, which a server behind a proxy cannot see for itself.

use http::header::{FORWARDED, HeaderMap, HeaderName};
use http::{Extensions, Request, uri};

/// What `CookieSecure::ByScheme` goes by, put into the request's extensions by whoever knows: the
/// part of the server that ends TLS, or a middleware outside of the session layer.
///
/// It goes before the request's URI, which has no scheme in HTTP/1.1, and before the headers of
/// [`trust_forwarded_proto`](crate::SessionLayerBuilder::trust_forwarded_proto).
///
/// ```
/// use cloakroom::ClientScheme;
///
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(ClientScheme::Https);
/// assert_eq!(request.extensions().get(), Some(&ClientScheme::Https));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a request is encrypted or it is not"
)]
pub enum ClientScheme {
    /// In the clear.
    Http,
    /// Encrypted.
    Https,
}

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Whether the client came by https, as far as the request says. Its headers count only if they are
/// to be trusted.
pub(crate) fn is_https<B>(request: &Request<B>, trust_headers: bool) -> bool {
    if let Some(scheme) = told(request.extensions()) {
        return scheme == ClientScheme::Https;
    }
    // Where the sources disagree the cookie becomes Secure: a client that lies then has one that
    // its own browser does not take, and nobody can talk another one's cookie out of it.
    request.uri().scheme() == Some(&uri::Scheme::HTTPS)
        || (trust_headers && forwarded(request.headers()))
}

fn told(extensions: &Extensions) -> Option<ClientScheme> {
    extensions.get().copied()
}

fn forwarded(headers: &HeaderMap) -> bool {
    let by_x = last(headers, &X_FORWARDED_PROTO).is_some_and(is_the_word);
    let by_rfc = last(headers, &FORWARDED).is_some_and(|element| {
        element.split(';').any(|pair| {
            let pair = pair.trim().split_once('=');
            pair.is_some_and(|(name, value)| {
                name.eq_ignore_ascii_case("proto") && is_the_word(value.trim_matches('"'))
            })
        })
    });
    by_x || by_rfc
}

/// What the proxy nearest to this server has said: proxies append, so that everything before it may
/// be the client's own invention.
fn last<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let line = headers.get_all(name).iter().next_back()?;
    line.to_str().ok()?.rsplit(',').next()
}

fn is_the_word(text: &str) -> bool {
    text.trim().eq_ignore_ascii_case("https")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, lines: &[(&str, &str)]) -> Request<()> {
        let mut builder = Request::builder().uri(uri);
        for (name, value) in lines {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap()
    }

    #[test]
    fn what_is_told_goes_before_the_uri_and_the_headers() {
        let mut request = request("https://a/", &[("x-forwarded-proto", "https")]);
        request.extensions_mut().insert(ClientScheme::Http);
        assert!(!is_https(&request, true));
        request.extensions_mut().insert(ClientScheme::Https);
        *request.uri_mut() = "http://a/".parse().unwrap();
        request.headers_mut().clear();
        assert!(is_https(&request, false));
    }

    #[test]
    fn headers_count_only_if_they_are_trusted_and_then_the_last_value_does() {
        let x = "x-forwarded-proto";
        let table: [(&[(&str, &str)], bool); 17] = [
            (&[], false),
            (&[(x, "https")], true),
            (&[(x, "HTTPS")], true),
            (&[(x, "http")], false),
            (&[(x, "http, https")], true),
            (&[(x, "https, http")], false),
            (&[(x, "https"), (x, "http")], false),
            (&[(x, "http"), (x, "https")], true),
            (&[(x, "")], false),
            (&[(x, "httpss")], false),
            (&[("forwarded", "for=192.0.2.1;proto=https;by=x")], true),
            (&[("forwarded", "For=\"[::1]\"; Proto=\"https\"")], true),
            (&[("forwarded", "proto=https, for=192.0.2.1")], false),
            (&[("forwarded", "proto=http, for=a;proto=https")], true),
            (&[("forwarded", "for=https;host=proto")], false),
            (&[("forwarded", "proto=http"), (x, "https")], true),
            (&[("x-forwarded-protocol", "https")], false),
        ];
        for (lines, expected) in table {
            let request = request("/", lines);
            assert_eq!(is_https(&request, true), expected, "{lines:?}");
            assert!(!is_https(&request, false), "{lines:?}");
        }
        let binary = http::HeaderValue::from_bytes(b"https\xff").unwrap();
        let mut odd = request("/", &[]);
        odd.headers_mut().insert("forwarded", binary);
        assert!(!is_https(&odd, true));
    }

    #[test]
    fn the_uri_tells_it_where_it_has_a_scheme() {
        assert!(is_https(&request("https://a/", &[]), false));
        assert!(!is_https(&request("http://a/", &[]), false));
        assert!(!is_https(&request("/", &[]), false));
    }
}
