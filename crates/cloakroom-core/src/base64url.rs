//! Base64url of whole groups: four characters for three bytes, no padding, no tail bits ([RFC 4648,
//! section 5][rfc]).
//!
//! Our own, since every request with a cookie pays for it: a general decoder spends more than half
//! of its instructions on the lengths, paddings and tails that a token does not have.
//!
//! [rfc]: https://www.rfc-editor.org/rfc/rfc4648#section-5

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Marks what is no character of the alphabet: a bit that no group of 24 bits has.
const WRONG: u32 = 1 << 24;

/// The value of each character at each place of a group, shifted to where it belongs in the 24
/// bits: one look-up and one `or` per character.
const VALUES: [[u32; 256]; 4] = [values(18), values(12), values(6), values(0)];

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
#[expect(clippy::cast_possible_truncation, reason = "there are 64 values")]
const fn values(shift: u32) -> [u32; 256] {
    let mut values = [WRONG; 256];
    let mut value = 0;
    while value < ALPHABET.len() {
        values[ALPHABET[value] as usize] = (value as u32) << shift;
        value += 1;
    }
    values
}

/// Decodes `text` into `bytes`, 16 characters to 12 bytes at a time; `None` if a character is not of
/// the alphabet, or the lengths do not match.
pub(crate) fn decode(text: &[u8], bytes: &mut [u8]) -> Option<()> {
    let (lines, []) = text.as_chunks::<16>() else {
        return None;
    };
    let (out, []) = bytes.as_chunks_mut::<12>() else {
        return None;
    };
    if lines.len() != out.len() {
        return None;
    }
    let mut seen = 0;
    for (line, out) in lines.iter().zip(out) {
        let ([a, b, c, d], []) = line.as_chunks::<4>() else {
            return None;
        };
        let [a, b, c, d] = [bits(*a), bits(*b), bits(*c), bits(*d)];
        seen |= a | b | c | d;
        // Four times 24 bits are two words: a word is written as fast as a byte.
        let [a, b, c, d] = [a, b, c, d].map(u128::from);
        let [_, _, _, _, twelve @ ..] = (a << 72 | b << 48 | c << 24 | d).to_be_bytes();
        *out = twelve;
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
        let bits = u32::from_be_bytes([0, *a, *b, *c]);
        *out = [bits >> 18, bits >> 12, bits >> 6, bits].map(character);
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "a byte is below 256: checked by the compiler"
)]
const fn bits([a, b, c, d]: [u8; 4]) -> u32 {
    let [first, second, third, fourth] = &VALUES;
    first[a as usize] | second[b as usize] | third[c as usize] | fourth[d as usize]
}

#[expect(
    clippy::indexing_slicing,
    reason = "six bits are below 64: checked by the compiler"
)]
const fn character(six: u32) -> u8 {
    ALPHABET[(six & 0x3f) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_rfc_4648_in_whole_groups() {
        for (bytes, expected) in [
            ("foobarfoobar", "Zm9vYmFyZm9vYmFy"),
            ("\u{fb}\u{ff}\u{fe}foobar", "w7vDv8O-Zm9vYmFy"),
            ("foobar\u{fb}\u{ff}\u{fe}", "Zm9vYmFyw7vDv8O-"),
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
            for at in 0..16 {
                let mut text = [b'A'; 16];
                text[at] = byte;
                let ok = decode(&text, &mut [0; 12]).is_some();
                assert_eq!(ok, ALPHABET.contains(&byte), "{byte} at {at}");
            }
        }
        assert_eq!(decode(&[b'A'; 16], &mut [0; 24]), None);
        assert_eq!(decode(&[b'A'; 15], &mut [0; 12]), None);
        assert_eq!(decode(&[b'A'; 16], &mut [0; 11]), None);
    }
}
