//! What is done to a request's path before it is compared, so that gateway and backend read it alike.

use std::{borrow::Cow, fmt::Write as _};

/// Brings a path into the form in which paths are compared (RFC 3986, 6.2.2): characters that need no percent-encoding
/// are decoded, the others have upper-case digits.
///
/// `None` for what a backend could read otherwise: `.` and `..` segments in any disguise, broken percent-encoding, and
/// characters that no URL has.
pub(super) fn normalise(path: &str) -> Option<Cow<'_, str>> {
    if !path.is_empty() && !path.starts_with('/') {
        return None;
    }
    let normal = if path.contains('%') {
        Cow::Owned(decode_harmless(path)?)
    } else {
        Cow::Borrowed(path)
    };
    let strange = |byte: u8| !byte.is_ascii_graphic() || b"\\?#\"<>^`{|}".contains(&byte);
    if normal.bytes().any(strange) || has_dot_segment(&normal) {
        return None;
    }
    Some(normal)
}

/// The end of `path` that holds so many segments, with the slash before them.
pub(super) fn last_segments(path: &str, count: usize) -> &str {
    match count.checked_sub(1) {
        None => "",
        Some(nth) => {
            let start = path.rmatch_indices('/').nth(nth);
            start.map_or(path, |(at, _)| &path[at..])
        }
    }
}

/// Encodes what has a meaning in a query but none in a path segment, so that a value cannot become a parameter.
pub(super) fn escape_for_query(segment: &str) -> String {
    let mut escaped = String::with_capacity(segment.len());
    for c in segment.chars() {
        if c.is_ascii_alphanumeric() || "-._~%:@/".contains(c) {
            escaped.push(c);
        } else {
            // The segment was normalised: it holds ASCII only.
            write!(escaped, "%{:02X}", u32::from(c)).expect("a string takes what is written");
        }
    }
    escaped
}

fn decode_harmless(path: &str) -> Option<String> {
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, encoded)) = rest.split_once('%') {
        decoded.push_str(before);
        let digits = encoded.get(..2)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let byte = u8::from_str_radix(digits, 16).ok()?;
        if byte.is_ascii_control() {
            return None;
        }
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) {
            decoded.push(char::from(byte));
        } else {
            decoded.push('%');
            decoded.push_str(&digits.to_ascii_uppercase());
        }
        rest = &encoded[2..];
    }
    decoded.push_str(rest);
    Some(decoded)
}

/// Reads the path as the most obliging backend would: one that decodes before it splits, decodes again, and takes what
/// follows a semicolon for a parameter of the segment (RFC 3986, 3.3).
fn has_dot_segment(normal: &str) -> bool {
    let mut plain = String::with_capacity(normal.len());
    let mut rest = normal;
    while let Some((before, encoded)) = rest.split_once('%') {
        plain.push_str(before);
        // `%25` is a percent sign, `%2525` one after two decodings, and so on.
        let encoded = encoded.trim_start_matches("25");
        let stands_for = match encoded.get(..2) {
            Some("2E" | "2e") => '.',
            Some("2F" | "2f" | "5C" | "5c") => '/',
            Some("3B" | "3b") => ';',
            _ => {
                plain.push('%');
                rest = encoded;
                continue;
            }
        };
        plain.push(stands_for);
        rest = &encoded[2..];
    }
    plain.push_str(rest);
    plain
        .split('/')
        .any(|segment| matches!(segment.split(';').next(), Some("." | "..")))
}
