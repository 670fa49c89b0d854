//! The rules for the headers of a WebSocket handshake (RFC 6455, 4.2.1 and 4.2.2) and for headers that cross a proxy
//! (RFC 9110, 7.6.1). Pure: from header maps to values.
//!
//! Called by `connection` (the client's request) and `upstream::handshake` (the backend's answer).

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{GeneralPurpose, GeneralPurposeConfig},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, header, request::Parts};
use ring::digest;
use tidegate_proto::reason::Reason;

/// A validated request for an upgrade; nothing is answered yet.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The request target.
    pub uri: Uri,
    /// Every header of the request; `session` takes a token out of the subprotocols before anybody reads them.
    pub headers: HeaderMap,
    /// The `Sec-WebSocket-Accept` that answers the client's key.
    pub accept: HeaderValue,
}

/// RFC 6455, 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Headers that are about one connection and not about the message, whether or not `Connection` names them.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Clients in the wild do not all clear the unused bits of the last character.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

// === impl Offer ===

impl Offer {
    /// Judges a request by RFC 6455, 4.2.1.
    ///
    /// # Errors
    /// `UpgradeRequired`, `UnsupportedVersion` or `MalformedRequest`.
    pub fn validate(request: Parts) -> Result<Self, Reason> {
        let headers = &request.headers;
        if !has_token(headers, &header::UPGRADE, "websocket") {
            return Err(Reason::UpgradeRequired);
        }
        let well_formed = request.method == Method::GET
            && request.version == Version::HTTP_11
            && request.uri.path().starts_with('/')
            && has_token(headers, &header::CONNECTION, "upgrade")
            && the_one(headers, &header::HOST).is_some_and(|host| !host.is_empty())
            && !has_body(headers);
        if !well_formed {
            return Err(Reason::MalformedRequest);
        }
        match the_one(headers, &header::SEC_WEBSOCKET_VERSION) {
            Some(version) if version == "13" => {}
            Some(version) if version.as_bytes().iter().all(u8::is_ascii_digit) => {
                return Err(Reason::UnsupportedVersion);
            }
            _ => return Err(Reason::MalformedRequest),
        }
        let key = the_one(headers, &header::SEC_WEBSOCKET_KEY).ok_or(Reason::MalformedRequest)?;
        if BASE64.decode(key).map(|nonce| nonce.len()) != Ok(16) {
            return Err(Reason::MalformedRequest);
        }
        Ok(Self {
            accept: accept_for(key),
            uri: request.uri,
            headers: request.headers,
        })
    }

    /// Whether the client offered this subprotocol.
    #[must_use]
    pub fn offers_subprotocol(&self, name: &str) -> bool {
        list(&self.headers, &header::SEC_WEBSOCKET_PROTOCOL).any(|offered| offered == name)
    }

    /// The extensions that the client offered.
    pub fn extensions(&self) -> impl Iterator<Item = &str> {
        list(&self.headers, &header::SEC_WEBSOCKET_EXTENSIONS)
    }
}

/// The `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key` (RFC 6455, 4.2.2).
#[must_use]
pub fn accept_for(key: &HeaderValue) -> HeaderValue {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key.as_bytes());
    context.update(GUID);
    HeaderValue::from_str(&BASE64.encode(context.finish())).expect("base64 is visible ASCII")
}

/// A new `Sec-WebSocket-Key`.
#[must_use]
pub fn new_key() -> HeaderValue {
    let nonce: [u8; 16] = rand::random();
    HeaderValue::from_str(&BASE64.encode(nonce)).expect("base64 is visible ASCII")
}

/// The value of a header that occurs exactly once.
#[must_use]
pub fn the_one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// Whether a comma-separated header contains a token, in any case.
#[must_use]
pub fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    list(headers, name).any(|element| element.eq_ignore_ascii_case(token))
}

/// The elements of a comma-separated header over all its lines. Commas in quoted strings do not separate; lines that
/// are not visible ASCII are left out.
pub fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(split_unquoted)
        .map(str::trim)
        .filter(|element| !element.is_empty())
}

/// The headers that are meant for the other end, each line as it was: not those of this connection, of the message's
/// framing, and of the WebSocket handshake itself, which each leg has its own of.
#[must_use]
pub fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<&str> = list(headers, &header::CONNECTION).collect();
    let mut kept = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let of_this_leg = HOP_BY_HOP.contains(name)
            || named.iter().any(|n| n.eq_ignore_ascii_case(name.as_str()))
            || *name == header::CONTENT_LENGTH
            || *name == header::SEC_WEBSOCKET_KEY
            || *name == header::SEC_WEBSOCKET_ACCEPT
            || *name == header::SEC_WEBSOCKET_VERSION;
        if !of_this_leg {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

/// A body in front of the first frame would let a client smuggle bytes past one of two parsers.
fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING)
        || headers
            .get_all(header::CONTENT_LENGTH)
            .iter()
            .any(|length| length != "0")
}

fn split_unquoted(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    line.split(move |c| {
        if escaped {
            escaped = false;
            return false;
        }
        match c {
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' => return !quoted,
            _ => {}
        }
        false
    })
}

#[cfg(test)]
mod tests;
