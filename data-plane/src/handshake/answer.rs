//! What a client gets to read: the 101, or one refusal with a JSON problem body (RFC 9457), after which the connection
//! is closed.
//!
//! Owns wording and shape; statuses and texts come from `Reason`. No cause from inside the gateway and no secret is ever
//! in an answer. Called by `connection`.

use std::{fmt::Write as _, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Empty;
use jiff::{Timestamp, fmt::rfc2822::DateTimePrinter};
use serde::Serialize;
use tidegate_proto::reason::Reason;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    handshake::{
        headers::{Offer, end_to_end},
        refusal::Refusal,
    },
    session::id::SessionId,
    socket::Socket,
};

pub mod rate_limit;

/// The header by which client and backend learn the session's id.
pub const SESSION_HEADER: HeaderName = HeaderName::from_static("tidegate-session");

/// The body of a refusal.
#[derive(Debug, Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: u32,
    reason: &'a str,
    session: String,
}

/// For how long, and how much, a refused client may go on talking before the connection is cut. Cutting while bytes are
/// unread resets the connection, and the reset may overtake the answer.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: u64 = 256 * 1024;

/// How soon a client may try again when the node is only full or busy with itself.
const RETRY_AFTER: &str = "2";

/// The answer that opens a session: the backend's end-to-end headers, and the accept key of the client's own leg.
#[must_use]
pub fn switching(offer: &Offer, backend: &HeaderMap, session: SessionId) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    *headers = end_to_end(backend);
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, offer.accept.clone());
    headers.insert(SESSION_HEADER, session.header());
    response
}

/// Writes a refusal and closes the connection. What cannot be written within `deadline` is not waited for: the client
/// that does not read its refusal needs none.
pub async fn refuse(mut io: Socket, refusal: &Refusal, session: SessionId, deadline: Duration) {
    let Some(bytes) = render(refusal, session) else {
        return;
    };
    let written = tokio::time::timeout(deadline, async {
        io.write_all(&bytes).await?;
        io.shutdown().await
    });
    if matches!(written.await, Ok(Ok(()))) {
        let mut rest = io.take(LINGER_BYTES);
        let mut scratch = [0; 1024];
        let gone = async { while matches!(rest.read(&mut scratch).await, Ok(1..)) {} };
        // Whether the client left or the time was up makes no difference.
        drop(tokio::time::timeout(LINGER, gone).await);
    }
}

/// The whole answer as bytes; `None` where there is nobody to answer.
fn render(refusal: &Refusal, session: SessionId) -> Option<Vec<u8>> {
    let status = refusal.status()?;
    let (mut headers, body) = match &refusal.relayed {
        Some(relayed) => (relayed.headers.clone(), relayed.body.clone()),
        None => problem(refusal, status, session),
    };
    // RFC 9110, 15.5.22: a 426 names a protocol, and a connection that names one says so.
    let connection = if status == StatusCode::UPGRADE_REQUIRED {
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        "close, upgrade"
    } else {
        "close"
    };
    headers.insert(header::CONNECTION, HeaderValue::from_static(connection));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    headers.insert(SESSION_HEADER, session.header());
    if !headers.contains_key(header::DATE) {
        headers.extend(date().map(|date| (header::DATE, date)));
    }
    let mut bytes = head(status, &headers);
    bytes.extend_from_slice(&body);
    Some(bytes)
}

/// The problem body of a refusal and the headers that go with it.
fn problem(refusal: &Refusal, status: StatusCode, session: SessionId) -> (HeaderMap, Bytes) {
    let reason = refusal.reason;
    let body = Problem {
        r#type: format!("urn:tidegate:reason:{}", reason.label()),
        title: status.canonical_reason().unwrap_or_default(),
        status: status.as_u16(),
        detail: reason.message(),
        code: reason.code(),
        reason: reason.label(),
        session: session.to_string(),
    };
    let body = serde_json::to_vec(&body).expect("a problem of texts and numbers is JSON");
    let mut headers = HeaderMap::new();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::CONTENT_TYPE, "application/problem+json");
    set(header::CACHE_CONTROL, "no-store");
    match status {
        StatusCode::UPGRADE_REQUIRED => {
            set(header::SEC_WEBSOCKET_VERSION, "13");
        }
        // RFC 6750, 3: no error code where no credential came.
        StatusCode::UNAUTHORIZED if reason == Reason::CredentialMissing => {
            set(header::WWW_AUTHENTICATE, "Bearer realm=\"tidegate\"");
        }
        StatusCode::UNAUTHORIZED => {
            set(
                header::WWW_AUTHENTICATE,
                "Bearer realm=\"tidegate\", error=\"invalid_token\"",
            );
        }
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            set(header::RETRY_AFTER, RETRY_AFTER);
        }
        _ => {}
    }
    if let Some(seconds) = refusal.retry_seconds {
        headers.insert(header::RETRY_AFTER, seconds.get().into());
    }
    (headers, Bytes::from(body))
}

fn head(status: StatusCode, headers: &HeaderMap) -> Vec<u8> {
    let mut line = String::with_capacity(64);
    write!(
        line,
        "HTTP/1.1 {} {}\r\n",
        status.as_str(),
        status.canonical_reason().unwrap_or_default()
    )
    .expect("writing to a string does not fail");
    let mut bytes = line.into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

fn date() -> Option<HeaderValue> {
    let text = DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&Timestamp::now())
        .ok()?;
    HeaderValue::from_str(&text).ok()
}
