//! The cookie parser: no header panics, and it reads what a plain reading of the grammar does.
//!
//! The input is a list of `Cookie` lines, one a line.

#![no_main]

// The parser is private to its crate; the file is pure and stands alone.
#[path = "../../../crates/cloakroom/src/transport/parse.rs"]
mod parse;

use http::HeaderMap;
use http::header::{COOKIE, HeaderValue};
use libfuzzer_sys::fuzz_target;

const NAME: &str = "id";

fuzz_target!(|data: &[u8]| {
    let mut headers = HeaderMap::new();
    let mut expected = Vec::new();
    for line in data.split(|byte| *byte == b'\n').take(64) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(COOKIE, value);
            expected.extend(line.split(|byte| *byte == b';').filter_map(read));
        }
    }
    let found: Vec<_> = parse::cookie_values(&headers, NAME).collect();
    assert_eq!(found, expected);

    let lines = parse::header_values(&headers, &COOKIE);
    assert!(
        lines.eq(headers
            .get_all(COOKIE)
            .iter()
            .map(|line| trim(line.as_bytes())))
    );
});

/// One pair, read without regard to speed.
fn read(pair: &[u8]) -> Option<&[u8]> {
    let at = pair.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (trim(&pair[..at]), trim(&pair[at + 1..]));
    let quoted = value.len() > 1 && value.starts_with(b"\"") && value.ends_with(b"\"");
    let value = if quoted {
        &value[1..value.len() - 1]
    } else {
        value
    };
    (name == NAME.as_bytes()).then_some(value)
}

fn trim(bytes: &[u8]) -> &[u8] {
    let kept = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let start = bytes.iter().position(kept).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(kept).map_or(start, |at| at + 1);
    &bytes[start..end]
}
