//! What a page says after a redirect: kept in a cookie for a minute, shown once.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::cookie;

/// A message above a page. Plain text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Its tone.
    pub tone: Tone,
    /// One sentence or two.
    pub text: String,
}

/// The tone of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tone {
    /// The request succeeded.
    Success,
    /// Something to know.
    Info,
    /// Something to look at.
    Warning,
}

/// How long a notice waits for the page that shows it.
const SECONDS: u32 = 60;
/// So that the cookie stays small.
const TEXT_BYTES: usize = 600;

// === impl Notice ===

impl Notice {
    /// The request succeeded.
    pub fn success(text: impl Into<String>) -> Self {
        Self::new(Tone::Success, text.into())
    }

    /// Something to know.
    pub fn info(text: impl Into<String>) -> Self {
        Self::new(Tone::Info, text.into())
    }

    /// Something to look at.
    pub fn warning(text: impl Into<String>) -> Self {
        Self::new(Tone::Warning, text.into())
    }

    fn new(tone: Tone, mut text: String) -> Self {
        text.truncate(text.floor_char_boundary(TEXT_BYTES));
        Self { tone, text }
    }

    /// The notice that a request carries, if there is one.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Option<Self> {
        let json = URL_SAFE_NO_PAD
            .decode(cookie::read(headers, cookie::NOTICE)?)
            .ok()?;
        serde_json::from_slice(&json).ok()
    }

    pub(super) fn write(&self, headers: &mut HeaderMap) {
        let json = serde_json::to_vec(self).expect("a notice is representable in JSON");
        let value = URL_SAFE_NO_PAD.encode(json);
        cookie::write(headers, cookie::NOTICE, &value, Some(SECONDS));
    }
}

// === impl Tone ===

impl Tone {
    /// Its class name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Info => "info",
            Self::Warning => "warning",
        }
    }
}
