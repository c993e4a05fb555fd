//! Base64 and base32, with Go's places of what can't be decoded.

use super::{STRING, text};
use crate::function::{Function, Functions, Signature};

const TEXT: Signature = Signature::fixed(&[STRING]);

/// An alphabet of bits with padding.
#[derive(Clone, Copy)]
pub(super) struct Alphabet {
    digits: &'static [u8],
    bits: u32,
    /// Digits that a whole group has.
    group: usize,
}

pub(super) const BASE64: Alphabet =
    Alphabet { digits: b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", bits: 6, group: 4 };

const BASE32: Alphabet = Alphabet { digits: b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", bits: 5, group: 8 };

impl Alphabet {
    pub(super) fn encode(self, bytes: &[u8]) -> Vec<u8> {
        let bytes_of_group = self.group * self.bits as usize / 8;
        let mut written = Vec::with_capacity(bytes.len().div_ceil(bytes_of_group) * self.group);
        for chunk in bytes.chunks(bytes_of_group) {
            let number = chunk.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
            let number = number << (8 * (bytes_of_group - chunk.len()));
            let used = (chunk.len() * 8).div_ceil(self.bits as usize);
            for place in 0..self.group {
                let shift = self.bits as usize * (self.group - 1 - place);
                let index = (number >> shift) as usize & (self.digits.len() - 1);
                let digit = self.digits.get(index).copied().unwrap_or(b'=');
                written.push(if place < used { digit } else { b'=' });
            }
        }
        written
    }

    fn value(self, digit: u8) -> Option<u64> {
        self.digits.iter().position(|&known| known == digit).map(|place| place as u64)
    }
}

/// Decodes as Go's `encoding/base64`; the error is the place of the first byte that does not fit.
pub(super) fn decode64(given: &[u8]) -> Result<Vec<u8>, usize> {
    let mut decoded = Vec::with_capacity(given.len() / 4 * 3);
    let mut group: Vec<u64> = Vec::with_capacity(4);
    let mut bytes = given.iter().copied().enumerate().filter(|(_, byte)| !matches!(byte, b'\n' | b'\r')).peekable();
    while let Some((place, byte)) = bytes.next() {
        if let Some(value) = BASE64.value(byte) {
            group.push(value);
            if group.len() == 4 {
                flush64(&mut group, &mut decoded, 3);
            }
            continue;
        }
        if byte != b'=' {
            return Err(place);
        }
        match group.len() {
            2 => match bytes.next() {
                Some((_, b'=')) => {}
                // Go tells the place of the byte before.
                Some((next, _)) => return Err(next - 1),
                None => return Err(given.len()),
            },
            3 => {}
            _ => return Err(place),
        }
        if let Some((trailing, _)) = bytes.next() {
            return Err(trailing);
        }
        let whole = group.len() - 1;
        group.resize(4, 0);
        flush64(&mut group, &mut decoded, whole);
        return Ok(decoded);
    }
    if group.is_empty() { Ok(decoded) } else { Err(given.len() - group.len()) }
}

fn flush64(group: &mut Vec<u64>, decoded: &mut Vec<u8>, bytes: usize) {
    let number = group.drain(..).fold(0, |number, value| number << 6 | value);
    decoded.extend(number.to_be_bytes().into_iter().skip(5).take(bytes));
}

/// Decodes as Go's `encoding/base32`; the error is the place of the first byte that does not fit.
fn decode32(given: &[u8]) -> Result<Vec<u8>, usize> {
    let given: Vec<u8> = given.iter().copied().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect();
    let mut decoded = Vec::with_capacity(given.len() / 8 * 5);
    let mut place = 0;
    while place < given.len() {
        let mut group = 0_u64;
        let mut digits = 0;
        while digits < 8 {
            let Some(&byte) = given.get(place) else { return Err(place - digits) };
            place += 1;
            let rest = given.get(place..).unwrap_or_default();
            if byte == b'=' && digits >= 2 && rest.len() < 8 {
                // A group of padding must be whole and the last.
                if rest.len() + digits < 8 - 1 {
                    return Err(given.len());
                }
                if let Some(wrong) = rest.iter().take(8 - 1 - digits).position(|&byte| byte != b'=') {
                    return Err(place + wrong - 1);
                }
                if matches!(digits, 3 | 6) {
                    return Err(place - 1);
                }
                group <<= 5 * (8 - digits);
                decoded.extend(group.to_be_bytes().into_iter().skip(3).take(digits * 5 / 8));
                return Ok(decoded);
            }
            match BASE32.value(byte) {
                Some(value) => group = group << 5 | value,
                None => return Err(place - 1),
            }
            digits += 1;
        }
        decoded.extend(group.to_be_bytes().into_iter().skip(3));
    }
    Ok(decoded)
}

pub(super) fn add(functions: &mut Functions) {
    functions.add(Function::new("b64enc", TEXT, |call, args| {
        let given = args.string(0)?.as_bytes();
        text(call, BASE64.encode(given))
    }));
    functions.add(Function::new("b64dec", TEXT, |call, args| {
        let decoded = decode64(args.string(0)?.as_bytes());
        text(call, decoded.unwrap_or_else(|place| format!("illegal base64 data at input byte {place}").into_bytes()))
    }));
    functions.add(Function::new("b32enc", TEXT, |call, args| {
        let given = args.string(0)?.as_bytes();
        text(call, BASE32.encode(given))
    }));
    functions.add(Function::new("b32dec", TEXT, |call, args| {
        let decoded = decode32(args.string(0)?.as_bytes());
        text(call, decoded.unwrap_or_else(|place| format!("illegal base32 data at input byte {place}").into_bytes()))
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_as_they_went() {
        for length in 0..40_u8 {
            let bytes: Vec<u8> = (0..length).map(|byte| byte.wrapping_mul(37)).collect();
            assert_eq!(decode64(&BASE64.encode(&bytes)), Ok(bytes.clone()));
            assert_eq!(decode32(&BASE32.encode(&bytes)), Ok(bytes));
        }
    }
}
