//! The token parser: no input panics, and one token has one spelling.

#![no_main]

use cloakroom_core::{Secret, SessionId, Token};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    check(data);
    // Text of the right alphabet and length is hard to come by: write some, and go on from there.
    if let Some((id, rest)) = data.split_first_chunk::<16>()
        && let Some((secret, rest)) = rest.split_first_chunk::<20>()
    {
        let token = Token::new(SessionId::from_bytes(*id), Secret::from_bytes(*secret));
        let text = token.to_text();
        assert_eq!(Token::parse(text.expose().as_bytes()), Ok(token));
        check(&[text.expose().as_bytes(), rest].concat());
        check(&[text.expose().as_bytes(), b".", rest].concat());
    }
});

fn check(text: &[u8]) {
    let plain = Token::parse(text);
    let with_node = Token::parse_with_node(text);
    if let Ok(token) = &plain {
        assert_eq!(token.to_text().expose().as_bytes(), text);
        assert_eq!(with_node, Ok((token.clone(), None)));
    }
    if let Ok((token, Some(node))) = &with_node {
        let written = token.to_text();
        assert_eq!(format!("{}.{node}", written.expose()).as_bytes(), text);
        assert!(Token::is_node_name(node.as_bytes()));
        assert!(plain.is_err());
    }
}
