//! How a 101 tells a client what is left of its plan: the fields of draft-ietf-httpapi-ratelimit-headers-10, and the
//! `X-RateLimit-*` fields that clients have gone by for longer.
//!
//! Pure: from what is left to headers. Called by `connection`.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

/// What is left of one limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// The name of the plan.
    pub plan: String,
    /// Messages per window.
    pub limit: u64,
    /// The length of the window in seconds.
    pub window_seconds: u32,
    /// How many are left in this window.
    pub remaining: u64,
    /// In which time the next one begins.
    pub resets_in: Duration,
}

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");

/// The largest integer of structured fields (RFC 9651, 3.3.1).
const INTEGER_MAX: u64 = 999_999_999_999_999;

// === impl RateLimit ===

impl RateLimit {
    /// Writes it into the headers of an answer, in place of what a backend may say about limits of its own.
    pub fn announce(&self, headers: &mut HeaderMap) {
        let (limit, remaining) = (self.limit, self.remaining);
        let reset = self.resets_in.as_millis().div_ceil(1000);
        let name = quoted(&self.plan);
        let window = self.window_seconds;
        let (q, r) = (limit.min(INTEGER_MAX), remaining.min(INTEGER_MAX));
        for (field, text) in [
            (LIMIT, limit.to_string()),
            (REMAINING, remaining.to_string()),
            (RESET, reset.to_string()),
            (POLICY, format!("{name};q={q};w={window}")),
            (STATE, format!("{name};r={r};t={reset}")),
        ] {
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(field, value);
            }
        }
    }
}

/// A string of structured fields (RFC 9651, 3.3.3), which are ASCII: other characters become `?`.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            _ => quoted.push('?'),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderMap;

    use super::RateLimit;

    #[test]
    fn what_is_too_large_for_a_structured_field_is_told_as_the_largest() {
        let rate_limit = RateLimit {
            plan: "Huge".to_owned(),
            limit: (1 << 53) - 1,
            window_seconds: 60,
            remaining: (1 << 53) - 1,
            resets_in: Duration::from_secs(1),
        };
        let mut headers = HeaderMap::new();
        rate_limit.announce(&mut headers);
        assert_eq!(headers["ratelimit"], "\"Huge\";r=999999999999999;t=1");
        assert_eq!(
            headers["ratelimit-policy"],
            "\"Huge\";q=999999999999999;w=60"
        );
        assert_eq!(headers["x-ratelimit-limit"], "9007199254740991");
    }

    #[test]
    fn a_limit_is_told_in_both_ways_and_in_place_of_the_backends() {
        let mut headers = HeaderMap::new();
        headers.append("x-ratelimit-limit", "7".parse().unwrap());
        headers.append("x-ratelimit-limit", "8".parse().unwrap());
        let rate_limit = RateLimit {
            plan: "Gö\"ld".to_owned(),
            limit: 100,
            window_seconds: 60,
            remaining: 99,
            resets_in: Duration::from_millis(30_001),
        };
        rate_limit.announce(&mut headers);
        let told = |name: &str| -> Vec<_> {
            let values = headers.get_all(name).iter();
            values.map(|value| value.to_str().unwrap()).collect()
        };
        assert_eq!(told("x-ratelimit-limit"), ["100"]);
        assert_eq!(told("x-ratelimit-remaining"), ["99"]);
        assert_eq!(told("x-ratelimit-reset"), ["31"]);
        assert_eq!(told("ratelimit-policy"), ["\"G?\\\"ld\";q=100;w=60"]);
        assert_eq!(told("ratelimit"), ["\"G?\\\"ld\";r=99;t=31"]);
    }
}
