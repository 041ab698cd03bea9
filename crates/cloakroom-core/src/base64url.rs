//! Base64url of whole groups: four characters for three bytes, no padding, no tail bits ([RFC 4648,
//! section 5][rfc]).
//!
//! Our own, since every request with a cookie pays for it: a general decoder spends more than half
//! of its instructions on the lengths, paddings and tails that a token does not have.
//!
//! [rfc]: https://www.rfc-editor.org/rfc/rfc4648#section-5

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Marks what is no character of the alphabet: the one bit that no value of six bits has.
const WRONG: u8 = 0x80;

const VALUES: [u8; 256] = values();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
#[expect(clippy::cast_possible_truncation, reason = "there are 64 values")]
const fn values() -> [u8; 256] {
    let mut values = [WRONG; 256];
    let mut value = 0;
    while value < ALPHABET.len() {
        values[ALPHABET[value] as usize] = value as u8;
        value += 1;
    }
    values
}

/// Decodes `text` into `bytes`; `None` if a character is not of the alphabet, or the lengths do not
/// match.
pub(crate) fn decode(text: &[u8], bytes: &mut [u8]) -> Option<()> {
    let (groups, []) = text.as_chunks::<4>() else {
        return None;
    };
    let (out, []) = bytes.as_chunks_mut::<3>() else {
        return None;
    };
    if groups.len() != out.len() {
        return None;
    }
    let mut seen = 0;
    for (group, out) in groups.iter().zip(out) {
        let [a, b, c, d] = group.map(value);
        seen |= a | b | c | d;
        *out = [a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d];
    }
    (seen & WRONG == 0).then_some(())
}

/// Encodes `bytes` into `text`, which has four characters for each three bytes.
pub(crate) fn encode(bytes: &[u8], text: &mut [u8]) {
    for ([a, b, c], out) in bytes
        .as_chunks::<3>()
        .0
        .iter()
        .zip(text.as_chunks_mut::<4>().0)
    {
        let six = [a >> 2, a << 4 | b >> 4, b << 2 | c >> 6, *c];
        *out = six.map(character);
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "a byte is below 256: checked by the compiler"
)]
const fn value(byte: u8) -> u8 {
    VALUES[byte as usize]
}

#[expect(
    clippy::indexing_slicing,
    reason = "six bits are below 64: checked by the compiler"
)]
const fn character(six: u8) -> u8 {
    ALPHABET[(six & 0x3f) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_rfc_4648_in_whole_groups() {
        for (bytes, expected) in [
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
            ("\u{fb}\u{ff}\u{fe}", "w7vDv8O-"),
        ] {
            let mut text = vec![0; bytes.len() / 3 * 4];
            encode(bytes.as_bytes(), &mut text);
            assert_eq!(std::str::from_utf8(&text), Ok(expected));
            let mut back = vec![0; bytes.len()];
            assert_eq!(decode(&text, &mut back), Some(()));
            assert_eq!(back, bytes.as_bytes());
        }
    }

    #[test]
    fn every_byte_outside_of_the_alphabet_is_refused() {
        for byte in 0..=u8::MAX {
            let ok = decode(&[b'A', byte, b'A', b'A'], &mut [0; 3]).is_some();
            assert_eq!(ok, ALPHABET.contains(&byte), "{byte}");
        }
        assert_eq!(decode(b"AAAA", &mut [0; 6]), None);
        assert_eq!(decode(b"AAA", &mut [0; 3]), None);
    }
}
