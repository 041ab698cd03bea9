//! The primitives of both formats: little-endian integers, LEB128 lengths, length-prefixed bytes.

/// The bytes end too early or say something impossible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

pub(super) fn put_len(out: &mut Vec<u8>, len: usize) {
    let mut rest = len;
    while rest >= 0x80 {
        out.push(low_bits(rest) | 0x80);
        rest >>= 7;
    }
    out.push(low_bits(rest));
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "seven bits fit into a byte"
)]
const fn low_bits(value: usize) -> u8 {
    (value & 0x7f) as u8
}

pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

pub(super) fn take_array<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let (array, rest) = input.split_first_chunk::<N>().ok_or(Malformed)?;
    *input = rest;
    Ok(*array)
}

pub(super) fn take_u8(input: &mut &[u8]) -> Result<u8, Malformed> {
    take_array::<1>(input).map(|[byte]| byte)
}

pub(super) fn take_u32(input: &mut &[u8]) -> Result<u32, Malformed> {
    take_array(input).map(u32::from_le_bytes)
}

pub(super) fn take_u64(input: &mut &[u8]) -> Result<u64, Malformed> {
    take_array(input).map(u64::from_le_bytes)
}

pub(super) fn take_bytes<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let mut len = 0_usize;
    for shift in [0, 7, 14, 21, 28] {
        let byte = take_u8(input)?;
        len |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let (bytes, rest) = input.split_at_checked(len).ok_or(Malformed)?;
            *input = rest;
            return Ok(bytes);
        }
    }
    Err(Malformed)
}
