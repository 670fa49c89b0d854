//! What a client gets to read: the 101, or one refusal with a JSON problem body (RFC 9457), after which the connection
//! is closed.
//!
//! Owns wording and shape; statuses and texts come from `Reason`. No cause from inside the gateway and no secret is ever
//! in an answer. Called by `session`.

use std::{fmt::Write as _, num::NonZeroU32, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Empty;
use jiff::{Timestamp, fmt::rfc2822::DateTimePrinter};
use serde::Serialize;
use tidegate_proto::reason::Reason;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    handshake::headers::{Offer, end_to_end},
    record::SessionId,
    socket::Socket,
};

pub mod allowance;

/// The header by which client and backend learn the session's id.
pub const SESSION_HEADER: HeaderName = HeaderName::from_static("tidegate-session");

/// Why a handshake does not end in a session.
#[derive(Debug)]
pub struct Refusal {
    /// The reason, which decides the status.
    pub reason: Reason,
    /// What went wrong inside, for the log only.
    pub cause: Option<String>,
    /// After how many seconds it is worth trying again, where that is known.
    pub retry_seconds: Option<NonZeroU32>,
    /// The backend's own answer, to be passed on instead of a problem body.
    pub relayed: Option<Box<Relayed>>,
}

/// A backend's refusal on its way to the client.
#[derive(Debug)]
pub struct Relayed {
    /// The backend's status.
    pub status: StatusCode,
    /// Its end-to-end headers.
    pub headers: HeaderMap,
    /// Its body, or the beginning of a long one.
    pub body: Bytes,
}

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
    let Some(bytes) = refusal.render(session) else {
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

// === impl Refusal ===

impl Refusal {
    /// A refusal whose reason says it all.
    #[must_use]
    pub const fn new(reason: Reason) -> Self {
        Self {
            reason,
            cause: None,
            retry_seconds: None,
            relayed: None,
        }
    }

    /// A refusal with what went wrong inside.
    #[must_use]
    pub fn because(reason: Reason, cause: impl ToString) -> Self {
        Self {
            reason,
            cause: Some(cause.to_string()),
            retry_seconds: None,
            relayed: None,
        }
    }

    /// The status that the client gets; `None` where there is nobody to answer.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match &self.relayed {
            Some(relayed) => Some(relayed.status),
            None => self.reason.status(),
        }
    }

    /// The whole answer as bytes; `None` where there is nobody to answer.
    fn render(&self, session: SessionId) -> Option<Vec<u8>> {
        let status = self.status()?;
        let (mut headers, body) = match &self.relayed {
            Some(relayed) => (relayed.headers.clone(), relayed.body.clone()),
            None => self.problem(status, session),
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

    fn problem(&self, status: StatusCode, session: SessionId) -> (HeaderMap, Bytes) {
        let reason = self.reason;
        let problem = Problem {
            r#type: format!("urn:tidegate:reason:{}", reason.label()),
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: reason.message(),
            code: reason.code(),
            reason: reason.label(),
            session: session.to_string(),
        };
        let body = serde_json::to_vec(&problem).expect("a problem of texts and numbers is JSON");
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
        if let Some(seconds) = self.retry_seconds {
            headers.insert(header::RETRY_AFTER, seconds.get().into());
        }
        (headers, Bytes::from(body))
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::new(reason)
    }
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
