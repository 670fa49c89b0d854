//! The access log: one event of the target `access` for each session and each refusal, and the span that leaves by
//! OTLP. Owns which fields there are and what is redacted.
//!
//! Called by `record`.

use http::{HeaderValue, Uri};
use tidegate_kit::telemetry::SESSION_TARGET;
use tracing::{Span, field::Empty};

use crate::{
    record::{
        SessionId,
        event::{Event, Outcome},
    },
    relay::Ended,
};

/// Parts of the names of query parameters that carry credentials, here or behind other gateways.
const SECRET_WORDS: [&str; 8] = [
    "token",
    "key",
    "secret",
    "password",
    "auth",
    "jwt",
    "signature",
    "ticket",
];

/// What stands between query parameters, be it as it should or not.
const SEPARATORS: [char; 3] = ['&', ';', '?'];

/// What a stranger may write into one field of the log.
const LONGEST: usize = 512;

/// The exported span of a session; the fields are filled in when it is over.
#[must_use]
pub fn span(session: SessionId) -> Span {
    tracing::info_span!(
        target: SESSION_TARGET,
        "session",
        session = %session,
        api = Empty,
        version = Empty,
        topic = Empty,
        application = Empty,
        plan = Empty,
        reason = Empty,
        side = Empty,
        status = Empty,
        close_code = Empty,
        messages_in = Empty,
        messages_out = Empty,
        bytes_in = Empty,
        bytes_out = Empty,
    )
}

/// Writes the one line of a connection, and ends its span.
pub fn write(event: &Event) {
    let reason = event.outcome.reason();
    let (status, close_code, cause, ended) = match &event.outcome {
        Outcome::Refused { status, cause, .. } => (*status, None, cause.as_deref(), None),
        Outcome::Ended(ended) => (Some(101), ended.close_code, None, Some(ended)),
    };
    tracing::info!(
        target: "access",
        session = %event.session,
        peer = %event.peer.address,
        secure = event.peer.secure,
        path = event.path.as_deref(),
        api = some(&event.api.api),
        version = some(&event.api.version),
        topic = event.topic.as_deref(),
        application = event.application.as_deref(),
        plan = event.plan.as_deref(),
        status,
        close_code,
        reason = reason.label(),
        side = reason.side().label(),
        cause,
        duration_ms = u64::try_from(event.duration.as_millis()).unwrap_or(u64::MAX),
        messages_in = ended.map(|e| e.to_backend.messages),
        messages_out = ended.map(|e| e.to_client.messages),
        dropped_in = ended.map(|e| e.to_backend.dropped).filter(|n| *n > 0),
        dropped_out = ended.map(|e| e.to_client.dropped).filter(|n| *n > 0),
        bytes_in = ended.map(|e| e.to_backend.bytes),
        bytes_out = ended.map(|e| e.to_client.bytes),
        user_agent = event.user_agent.as_deref(),
        "{}",
        if ended.is_some() { "session" } else { "refused" },
    );
    if !event.span.is_disabled() {
        finish_span(event, status, ended);
    }
}

fn finish_span(event: &Event, status: Option<u16>, ended: Option<&Ended>) {
    let (span, reason) = (&event.span, event.outcome.reason());
    span.record("api", some(&event.api.api));
    span.record("version", some(&event.api.version));
    span.record("topic", event.topic.as_deref());
    span.record("application", event.application.as_deref());
    span.record("plan", event.plan.as_deref());
    span.record("reason", reason.label());
    span.record("side", reason.side().label());
    span.record("status", status);
    if let Some(ended) = ended {
        span.record("close_code", ended.close_code);
        span.record("messages_in", ended.to_backend.messages);
        span.record("messages_out", ended.to_client.messages);
        span.record("bytes_in", ended.to_backend.bytes);
        span.record("bytes_out", ended.to_client.bytes);
    }
}

/// Path and query as they may be written down: what may be a credential is left out, be it a parameter's value or, put
/// where it does not belong, a segment.
#[must_use]
pub fn redact(uri: &Uri) -> String {
    let segments = uri.path().split('/').map(|segment| match segment {
        token if looks_like_token(token) => "[redacted]",
        plain => plain,
    });
    let path = segments.collect::<Vec<_>>().join("/");
    let mut text = clip(&path).to_owned();
    let Some(query) = uri.query() else {
        return text;
    };
    text.push('?');
    // Clients that join parameters in other ways than they should have their credentials kept secret, too.
    for part in query.split_inclusive(SEPARATORS) {
        let pair = part.trim_end_matches(SEPARATORS);
        match pair.split_once('=') {
            Some((name, value)) if is_secret(name) || looks_like_token(value) => {
                text.push_str(name);
                text.push_str("=[redacted]");
            }
            None if looks_like_token(pair) => text.push_str("[redacted]"),
            _ => text.push_str(pair),
        }
        text.push_str(&part[pair.len()..]);
        if text.len() > LONGEST {
            break;
        }
    }
    clip(&text).to_owned()
}

/// A header's value as it may be written down.
#[must_use]
pub fn shorten(value: &HeaderValue) -> String {
    clip(&String::from_utf8_lossy(value.as_bytes())).to_owned()
}

/// A percent-encoded name could hide a credential from a plain comparison, so what is encoded counts as secret.
fn is_secret(name: &str) -> bool {
    name.contains('%')
        || SECRET_WORDS
            .iter()
            .any(|word| name.to_ascii_lowercase().contains(word))
}

/// A JWT begins with `{"` in base64, under whatever name it comes.
fn looks_like_token(value: &str) -> bool {
    value.contains("eyJ")
}

fn clip(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use http::Uri;

    use super::redact;

    #[test]
    fn credentials_in_the_request_target_are_left_out_and_the_rest_stays() {
        for (uri, shown) in [
            ("/echo/1.0", "/echo/1.0"),
            (
                "/echo?a=1&access_token=eyJ.x.y&b=2",
                "/echo?a=1&access_token=[redacted]&b=2",
            ),
            (
                "/echo?ACCESS_TOKEN=secret&apikey=secret",
                "/echo?ACCESS_TOKEN=[redacted]&apikey=[redacted]",
            ),
            (
                "/echo?access%5Ftoken=secret",
                "/echo?access%5Ftoken=[redacted]",
            ),
            ("/echo?flag&x=", "/echo?flag&x="),
            (
                "/echo?room=1?access_token=eyJ.x.y",
                "/echo?room=1?access_token=[redacted]",
            ),
            (
                "/echo?a=1;access_token=opaque;b=2",
                "/echo?a=1;access_token=[redacted];b=2",
            ),
            ("/echo?x=eyJ.x.y&eyJ.x.y", "/echo?x=[redacted]&[redacted]"),
            ("/echo/eyJ.x.y/1.0?a=b", "/echo/[redacted]/1.0?a=b"),
            (
                "/echo?jwt=a&client_secret=b&Authorization=c",
                "/echo?jwt=[redacted]&client_secret=[redacted]&Authorization=[redacted]",
            ),
        ] {
            assert_eq!(redact(&Uri::from_static(uri)), shown);
        }
    }

    #[test]
    fn a_long_request_target_is_cut() {
        let uri: Uri = format!("/{}?{}", "a".repeat(300), "b=c&".repeat(1000))
            .parse()
            .unwrap();
        assert!(redact(&uri).len() <= 512);
    }
}
