//! Where a credential is found in a handshake, and how it is taken out before the backend sees the request.

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, header};
use tidegate_kit::secret::Secret;
use tidegate_proto::reason::Reason;

/// The query parameter that may carry an access token (RFC 6750, 2.3).
pub const QUERY_PARAMETER: &str = "access_token";

/// The subprotocol that marks the next one in the list as an access token: browsers can set no other header of a
/// handshake. The 101 names the marker if the backend chose none of the other subprotocols, because browsers reject a
/// server that chooses none of those offered.
pub const MARKER: &str = "tidegate.token";

/// What a client carried in `Sec-WebSocket-Protocol` behind the marker. Debug shows nothing of it.
#[derive(Clone, Debug)]
pub struct Carried(Result<Secret, Reason>);

/// Where a handshake may have its access token.
#[derive(Clone, Copy)]
pub struct Places<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// What was taken out from among its subprotocols.
    pub carried: Option<&'a Carried>,
    /// Its query.
    pub query: Option<&'a str>,
}

/// Finds the access token: in `Authorization: Bearer`, else behind the marker, else in `?access_token=`.
///
/// # Errors
/// `CredentialMissing`, or `CredentialInvalid` where there is one that cannot be read.
pub fn find(places: Places<'_>) -> Result<Cow<'_, str>, Reason> {
    let mut bearers = places
        .headers
        .get_all(header::AUTHORIZATION)
        .iter()
        .filter_map(bearer);
    let token = match (bearers.next(), bearers.next()) {
        (Some(token), None) => Some(Cow::Borrowed(
            std::str::from_utf8(token).map_err(|_| Reason::CredentialInvalid)?,
        )),
        // Two credentials: whichever was meant, the request is not what its sender thinks it is.
        (Some(_), Some(_)) => return Err(Reason::CredentialInvalid),
        (None, _) => match places.carried {
            Some(Carried(token)) => {
                let token = token.as_ref().map_err(|&reason| reason)?;
                Some(Cow::Borrowed(token.expose()))
            }
            None => query_token(places.query.unwrap_or_default())?
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

fn query_token(query: &str) -> Result<Option<&str>, Reason> {
    let mut pairs = query.split('&').filter(|pair| is_credential(pair));
    let pair = pairs.next();
    // As with two headers.
    if pairs.next().is_some() {
        return Err(Reason::CredentialInvalid);
    }
    Ok(pair.map(|pair| pair.split_once('=').map_or("", |(_, value)| value)))
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

/// Decodes percent-encoding; `None` if it is invalid.
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

/// Reads a token in the place of a subprotocol. It must consist of the same characters (RFC 9110, 5.6.2), as a JWT
/// does.
fn read(token: &[u8]) -> Result<Secret, Reason> {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    match std::str::from_utf8(token) {
        Ok(text) if token.iter().all(fits) => Ok(Secret::new(text.to_owned())),
        _ => Err(Reason::CredentialInvalid),
    }
}

// === impl Carried ===

impl Carried {
    /// Removes marker and token from the subprotocols that a client offers, wherever they are in the list; the others
    /// keep their order. `None`, without a change, if there is no marker.
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
mod tests;
