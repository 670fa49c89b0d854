//! Where a credential is found in a handshake, and how it is taken out before the backend sees the request.

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, header};
use tidegate_kit::secret::Secret;
use tidegate_proto::reason::Reason;

/// The query parameter that may carry an access token (RFC 6750, 2.3).
pub const QUERY_PARAMETER: &str = "access_token";

/// The subprotocol that says that the next one in the list is no subprotocol but an access token: a browser can set no
/// other header of a handshake. To the client it is a subprotocol like any other, so the 101 names it where the backend
/// chose none of the rest: a browser gives up on a server that chooses none of what it offered.
pub const MARKER: &str = "tidegate.token";

/// What a client carried in `Sec-WebSocket-Protocol` behind the marker. Debug shows nothing of it.
#[derive(Clone, Debug)]
pub struct Carried(Result<Secret, Reason>);

/// Finds the access token: in `Authorization: Bearer`, else behind the marker, else in `?access_token=`.
///
/// # Errors
/// `CredentialMissing`, or `CredentialInvalid` where there is one that cannot be read.
pub fn find<'a>(
    headers: &'a HeaderMap,
    carried: Option<&'a Carried>,
    query: Option<&'a str>,
) -> Result<Cow<'a, str>, Reason> {
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
        (None, _) => match carried {
            Some(Carried(token)) => {
                let token = token.as_ref().map_err(|&reason| reason)?;
                Some(Cow::Borrowed(token.expose()))
            }
            None => query_token(query.unwrap_or_default())
                .map(|value| decode(value).ok_or(Reason::CredentialInvalid))
                .transpose()?,
        },
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

/// Reads a token that stands where a subprotocol would, so it must be made of the same characters (RFC 9110, 5.6.2); a
/// JWT is.
fn read(token: &[u8]) -> Result<Secret, Reason> {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    match std::str::from_utf8(token) {
        Ok(text) if token.iter().all(fits) => Ok(Secret::new(text.to_owned())),
        _ => Err(Reason::CredentialInvalid),
    }
}

// === impl Carried ===

impl Carried {
    /// Takes marker and token out of the subprotocols that a client offers, wherever they stand in the list; the others
    /// stay in their order. `None`, and nothing is touched, where the marker is not among them.
    pub fn take(headers: &mut HeaderMap) -> Option<Self> {
        let lines = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL);
        let offered = lines
            .iter()
            // Not by the rules for quoted strings: subprotocols are tokens, and a backend may see a comma as a comma.
            .flat_map(|line| line.as_bytes().split(|&byte| byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|element| !element.is_empty());
        let mut tokens: Vec<Option<&[u8]>> = Vec::new();
        let mut others: Vec<&[u8]> = Vec::new();
        let mut is_behind_marker = false;
        for element in offered {
            if element == MARKER.as_bytes() {
                tokens.push(None);
                is_behind_marker = true;
            } else if is_behind_marker {
                tokens.pop();
                tokens.push(Some(element));
                is_behind_marker = false;
            } else {
                others.push(element);
            }
        }
        let token = match tokens[..] {
            [] => return None,
            [None] => Err(Reason::CredentialMissing),
            [Some(token)] => read(token),
            // As with two headers: whichever was meant, the request is not what its sender thinks it is.
            _ => Err(Reason::CredentialInvalid),
        };
        let others = others.join(&b", "[..]);
        match HeaderValue::from_bytes(&others) {
            Ok(others) if !others.is_empty() => {
                headers.insert(header::SEC_WEBSOCKET_PROTOCOL, others);
            }
            _ => drop(headers.remove(header::SEC_WEBSOCKET_PROTOCOL)),
        }
        Some(Self(token))
    }

    /// Names the marker in a 101 whose backend chose no subprotocol.
    pub fn answer(&self, headers: &mut HeaderMap) {
        headers
            .entry(header::SEC_WEBSOCKET_PROTOCOL)
            .or_insert(HeaderValue::from_static(MARKER));
    }
}

#[cfg(test)]
mod tests {
    use http::{
        HeaderMap, HeaderValue,
        header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL},
    };
    use tidegate_proto::reason::Reason;

    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::{Carried, MARKER, find, is_credential, strip_header, strip_query};

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
            let found = find(&headers, None, query);
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

    fn offers(lines: &[&str]) -> HeaderMap {
        lines
            .iter()
            .map(|&line| {
                let line = HeaderValue::from_bytes(line.as_bytes()).unwrap();
                (SEC_WEBSOCKET_PROTOCOL, line)
            })
            .collect()
    }

    #[test]
    fn marker_and_token_are_taken_out_of_the_subprotocols_and_the_others_stay() {
        for (lines, token, left) in [
            (&["tidegate.token, a.b-c_d"][..], Ok("a.b-c_d"), None),
            (
                &["mqtt,tidegate.token ,t, ocpp1.6"],
                Ok("t"),
                Some("mqtt, ocpp1.6"),
            ),
            (
                &["mqtt", "tidegate.token", "t", "stomp"],
                Ok("t"),
                Some("mqtt, stomp"),
            ),
            (&["tidegate.token"], Err(Reason::CredentialMissing), None),
            (
                &["mqtt, tidegate.token, "],
                Err(Reason::CredentialMissing),
                Some("mqtt"),
            ),
            (
                &["tidegate.token, a b, mqtt"],
                Err(Reason::CredentialInvalid),
                Some("mqtt"),
            ),
            (
                &["tidegate.token, \"t\""],
                Err(Reason::CredentialInvalid),
                None,
            ),
            (
                &["tidegate.token, t\u{e9}"],
                Err(Reason::CredentialInvalid),
                None,
            ),
            (
                &["tidegate.token, t, tidegate.token, u"],
                Err(Reason::CredentialInvalid),
                None,
            ),
            (
                &["tidegate.token, tidegate.token, t"],
                Err(Reason::CredentialInvalid),
                None,
            ),
            (
                &["\"x, tidegate.token, t\""],
                Err(Reason::CredentialInvalid),
                Some("\"x"),
            ),
        ] {
            let mut headers = offers(lines);
            let carried = Carried::take(&mut headers).expect("the marker is among them");
            let found = find(&headers, Some(&carried), Some("access_token=q"));
            assert_eq!(found.as_deref(), token.as_ref().copied(), "{lines:?}");
            let left = left.map_or_else(HeaderMap::new, |left| offers(&[left]));
            assert_eq!(headers, left, "{lines:?}");
        }
    }

    #[test]
    fn without_the_marker_no_subprotocol_is_touched() {
        for lines in [&["mqtt,ocpp1.6", "x"][..], &["Tidegate.Token, t"], &[]] {
            let mut headers = offers(lines);
            assert!(Carried::take(&mut headers).is_none());
            assert_eq!(headers, offers(lines));
        }
    }

    #[test]
    fn a_token_in_the_header_goes_before_one_behind_the_marker() {
        let mut subprotocols = offers(&["tidegate.token, s"]);
        let carried = Carried::take(&mut subprotocols).unwrap();
        let headers = headers(&["Bearer h"]);
        let found = find(&headers, Some(&carried), None);
        assert_eq!(found.as_deref(), Ok("h"));
    }

    #[test]
    fn the_marker_is_answered_only_where_the_backend_chose_nothing() {
        let mut offered = offers(&["tidegate.token, t"]);
        let carried = Carried::take(&mut offered).unwrap();
        assert!(!format!("{carried:?}").contains("\"t\""));
        let mut chosen = offers(&["mqtt"]);
        carried.answer(&mut chosen);
        assert_eq!(chosen, offers(&["mqtt"]));
        let mut none = HeaderMap::new();
        carried.answer(&mut none);
        assert_eq!(none, offers(&[MARKER]));
    }

    proptest! {
        #[test]
        fn what_is_stripped_holds_no_credential_and_everything_else_in_order(
            query in "(access_token|access%5ftoken|a|=|&|%|%3[dD]|[b-z]){0,12}",
        ) {
            let stripped = strip_query(Some(&query)).unwrap_or_default();
            let no_headers = HeaderMap::new();
            let found = find(&no_headers, None, Some(&stripped));
            prop_assert_eq!(found.err(), Some(Reason::CredentialMissing));
            let left = stripped.split('&').filter(|pair| !pair.is_empty());
            let kept = query.split('&').filter(|pair| !pair.is_empty() && !is_credential(pair));
            prop_assert!(kept.eq(left), "{}", stripped);
        }
    }
}
