//! Where a credential is found in a handshake, and how it is taken out before the backend sees the request.

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, header};
use tidegate_proto::reason::Reason;

/// The query parameter that may carry an access token (RFC 6750, 2.3).
pub const QUERY_PARAMETER: &str = "access_token";

/// Finds the access token: in `Authorization: Bearer`, else in `?access_token=`.
///
/// # Errors
/// `CredentialMissing`, or `CredentialInvalid` where there is one that cannot be read.
pub fn find<'a>(headers: &'a HeaderMap, query: Option<&'a str>) -> Result<Cow<'a, str>, Reason> {
    let mut bearers = headers
        .get_all(header::AUTHORIZATION)
        .iter()
        .filter_map(bearer);
    let token = match (bearers.next(), bearers.next()) {
        (Some(token), None) => Some(Cow::Borrowed(
            std::str::from_utf8(token).map_err(|_| Reason::CredentialInvalid)?,
        )),
        // Two credentials: whichever was meant, the request is not what its sender thinks it is.
        (Some(_), Some(_)) => return Err(Reason::CredentialInvalid),
        (None, _) => query_token(query.unwrap_or_default())
            .map(|value| decode(value).ok_or(Reason::CredentialInvalid))
            .transpose()?,
    };
    match token {
        Some(token) if !token.is_empty() => Ok(token),
        _ => Err(Reason::CredentialMissing),
    }
}

/// Removes the credential from the headers that go to the backend. Other kinds of `Authorization` are the backend's
/// business and stay.
pub fn strip_header(headers: &mut HeaderMap) {
    if !headers
        .get_all(header::AUTHORIZATION)
        .iter()
        .any(|value| bearer(value).is_some())
    {
        return;
    }
    let kept: Vec<HeaderValue> = headers
        .get_all(header::AUTHORIZATION)
        .iter()
        .filter(|value| bearer(value).is_none())
        .cloned()
        .collect();
    headers.remove(header::AUTHORIZATION);
    for value in kept {
        headers.append(header::AUTHORIZATION, value);
    }
}

/// The query without its credential: every other byte stays as it was, `None` when nothing is left.
#[must_use]
pub fn strip_query(query: Option<&str>) -> Option<Cow<'_, str>> {
    let query = query?;
    if !query.split('&').any(is_credential) {
        return Some(Cow::Borrowed(query));
    }
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| !is_credential(pair))
        .collect();
    (!kept.is_empty()).then(|| Cow::Owned(kept.join("&")))
}

fn query_token(query: &str) -> Option<&str> {
    let pair = query.split('&').find(|pair| is_credential(pair))?;
    Some(pair.split_once('=').map_or("", |(_, value)| value))
}

/// A backend decodes names, so a name in disguise is a credential, too.
fn is_credential(pair: &str) -> bool {
    let name = pair.split_once('=').map_or(pair, |(name, _)| name);
    decode(name).is_some_and(|name| name == QUERY_PARAMETER)
}

/// The token of a `Bearer` header; the scheme's case does not matter (RFC 9110, 11.1).
fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = value.as_bytes().split_at_checked("Bearer".len())?;
    if !scheme.eq_ignore_ascii_case(b"Bearer") {
        return None;
    }
    match token {
        [] => Some(token),
        [b' ' | b'\t', ..] => Some(token.trim_ascii()),
        _ => None,
    }
}

/// Undoes percent-encoding; `None` where it is broken.
pub(crate) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            decoded.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
    use tidegate_proto::reason::Reason;

    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::{find, is_credential, strip_header, strip_query};

    fn headers(values: &[&str]) -> HeaderMap {
        values
            .iter()
            .map(|v| (AUTHORIZATION, HeaderValue::from_str(v).unwrap()))
            .collect()
    }

    #[test]
    fn a_token_is_found_in_the_header_before_the_query() {
        for (header, query, token) in [
            (&["Bearer h"][..], Some("access_token=q"), Ok("h")),
            (&["bearer  h "], None, Ok("h")),
            (&[], Some("a=1&access_token=q.q&b"), Ok("q.q")),
            (&[], Some("access_token=q%2Eq"), Ok("q.q")),
            (&["Basic x"], Some("access_token=q"), Ok("q")),
            (&[], Some("xaccess_token=q"), Err(Reason::CredentialMissing)),
            (&[], Some("access_token="), Err(Reason::CredentialMissing)),
            (&[], Some("access_token=%F"), Err(Reason::CredentialInvalid)),
            (&["Bearer"], None, Err(Reason::CredentialMissing)),
            (&["Bearerx y"], None, Err(Reason::CredentialMissing)),
            (&[], None, Err(Reason::CredentialMissing)),
            (
                &["Bearer a", "Bearer b"],
                None,
                Err(Reason::CredentialInvalid),
            ),
        ] {
            let headers = headers(header);
            let found = find(&headers, query);
            assert_eq!(
                found.as_deref(),
                token.as_ref().copied(),
                "{header:?} {query:?}"
            );
        }
    }

    #[test]
    fn stripping_leaves_every_other_byte_of_the_query_as_it_was() {
        for (query, left) in [
            (Some("access_token=q"), None),
            (Some("a=%20+&access_token=q&b=&&c"), Some("a=%20+&b=&&c")),
            (Some("access_token=1&access_token=2&x"), Some("x")),
            (Some("access%5Ftoken=1&x=%zz"), Some("x=%zz")),
            (Some("a=access_token"), Some("a=access_token")),
            (Some(""), Some("")),
            (None, None),
        ] {
            assert_eq!(strip_query(query).as_deref(), left, "{query:?}");
        }
    }

    #[test]
    fn stripping_removes_bearer_headers_only() {
        let mut both = headers(&["Bearer a", "Basic b"]);
        strip_header(&mut both);
        assert_eq!(both, headers(&["Basic b"]));
    }

    proptest! {
        #[test]
        fn what_is_stripped_holds_no_credential_and_everything_else_in_order(
            query in "(access_token|access%5ftoken|a|=|&|%|%3[dD]|[b-z]){0,12}",
        ) {
            let stripped = strip_query(Some(&query)).unwrap_or_default();
            let no_headers = HeaderMap::new();
            let found = find(&no_headers, Some(&stripped));
            prop_assert_eq!(found.err(), Some(Reason::CredentialMissing));
            let left = stripped.split('&').filter(|pair| !pair.is_empty());
            let kept = query.split('&').filter(|pair| !pair.is_empty() && !is_credential(pair));
            prop_assert!(kept.eq(left), "{}", stripped);
        }
    }
}
