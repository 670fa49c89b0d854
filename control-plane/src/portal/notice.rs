//! What a page says after a redirect: kept in a cookie for a minute, shown once. And the redirect itself.

use axum::response::{IntoResponse as _, Response};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::{Answer, cookie};

/// Something to say. Plain text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// How it is meant.
    pub tone: Tone,
    /// What it says: one sentence.
    pub text: String,
}

/// How a notice is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tone {
    /// What was asked for is done.
    Done,
    /// Something to know.
    Info,
    /// Something to look at.
    Warning,
}

/// A redirect to a page of ours after a form was dealt with (POST, redirect, GET).
#[derive(Clone, Debug)]
pub struct See {
    path: String,
    notice: Option<Notice>,
}

/// How long a notice waits for the page that shows it.
const SECONDS: u32 = 60;
/// So that the cookie stays small.
const TEXT_BYTES: usize = 600;

// === impl Notice ===

impl Notice {
    /// What was asked for is done.
    pub fn done(text: impl Into<String>) -> Self {
        Self::new(Tone::Done, text.into())
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

    /// The notice that a request brings, if there is one.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Option<Self> {
        let json = URL_SAFE_NO_PAD
            .decode(cookie::read(headers, cookie::NOTICE)?)
            .ok()?;
        serde_json::from_slice(&json).ok()
    }

    fn write(&self, headers: &mut HeaderMap) {
        let json = serde_json::to_vec(self).expect("a notice is representable in JSON");
        let value = URL_SAFE_NO_PAD.encode(json);
        cookie::write(headers, cookie::NOTICE, &value, Some(SECONDS));
    }
}

impl Tone {
    /// The word in class names.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Info => "info",
            Self::Warning => "warning",
        }
    }
}

// === impl See ===

impl See {
    /// Leads to a page of ours: a path, with a query where needed. What would lead to another site leads to `/`.
    pub fn page(path: impl Into<String>) -> Self {
        let path = path.into();
        let path = if is_local(&path) {
            path
        } else {
            "/".to_owned()
        };
        Self { path, notice: None }
    }

    /// Leads back to the page of a button whose user had to sign in on the way.
    pub fn press_again(path: impl Into<String>) -> Self {
        let text = "You are signed in again. Nothing was done yet: press the button once more.";
        Self::page(path).saying(Notice::info(text))
    }

    /// With something that the page says first.
    #[must_use]
    pub fn saying(mut self, notice: Notice) -> Self {
        self.notice = Some(notice);
        self
    }

    /// As what a handler gives.
    ///
    /// # Errors
    /// None.
    pub fn answer(self) -> Answer {
        Ok(self.response())
    }

    /// The redirect.
    #[must_use]
    pub fn response(self) -> Response {
        let mut response = StatusCode::SEE_OTHER.into_response();
        let headers = response.headers_mut();
        let path = HeaderValue::try_from(self.path).expect("local paths are visible ASCII");
        headers.insert(header::LOCATION, path);
        if let Some(notice) = self.notice {
            notice.write(headers);
        }
        response
    }
}

/// Whether a text is a path at this host, whatever a browser makes of it: `//host` and `/\host` are not.
#[must_use]
pub fn is_local(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::{Notice, See, is_local};

    #[test]
    fn only_paths_at_this_host_are_local() {
        for path in ["/", "/publisher", "/a?b=c&d=%2F%2F"] {
            assert!(is_local(path), "{path}");
        }
        for path in [
            "",
            "publisher",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\r\nb",
            "/\t/evil.example",
            "javascript:alert(1)",
            "/ä",
        ] {
            assert!(!is_local(path), "{path}");
        }
    }

    #[test]
    fn a_redirect_never_leaves_the_site() {
        let response = See::page("//evil.example").response();
        assert_eq!(response.headers()[header::LOCATION], "/");
    }

    #[test]
    fn a_notice_comes_back_from_its_cookie() {
        let notice = Notice::done("Saved: <b>ä</b>");
        let written = See::page("/").saying(notice.clone()).response();
        let cookie = written.headers()[header::SET_COOKIE].to_str().unwrap();
        let pair = cookie.split(';').next().unwrap().parse().unwrap();
        let headers = [(header::COOKIE, pair)].into_iter().collect();
        assert_eq!(Notice::read(&headers), Some(notice));
    }
}
