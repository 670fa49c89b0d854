//! The frame around a record: sixteen hexadecimal digits of a checksum over key and text, a blank, the text. Bit rot and
//! records that were swapped are noticed before anything is believed.

use sha2::{Digest as _, Sha256};

use crate::store::StoreError;

const CHECKSUM_BYTES: usize = 8;
const HEAD: usize = 2 * CHECKSUM_BYTES + 1;

/// Puts a frame around a record's text.
#[must_use]
pub fn frame(key: &str, text: &str) -> Vec<u8> {
    let mut framed = Vec::with_capacity(HEAD + text.len());
    framed.extend_from_slice(checksum(key, text.as_bytes()).as_bytes());
    framed.push(b' ');
    framed.extend_from_slice(text.as_bytes());
    framed
}

/// Takes the frame off, when the checksum is right.
pub(crate) fn unframe<'a>(key: &str, framed: &'a [u8]) -> Result<&'a str, StoreError> {
    let damaged = || StoreError::corrupt(format!("the record `{key}` does not match its checksum"));
    let (head, text) = framed.split_at_checked(HEAD).ok_or_else(damaged)?;
    if head[..HEAD - 1] != *checksum(key, text).as_bytes() || head[HEAD - 1] != b' ' {
        return Err(damaged());
    }
    std::str::from_utf8(text).map_err(|_| damaged())
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// Thirty-two bytes out of hexadecimal digits.
pub(super) fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(bytes)
}

fn checksum(key: &str, text: &[u8]) -> String {
    let mut digest = Sha256::new();
    digest.update(key.as_bytes());
    digest.update([0]);
    digest.update(text);
    hex(&digest.finalize()[..CHECKSUM_BYTES])
}
