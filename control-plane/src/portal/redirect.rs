//! The redirect that ends a submitted form (POST, redirect, GET), with the notice that the next page shows.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use super::{notice::Notice, problem::Answer};

/// A redirect to a page of ours.
#[derive(Clone, Debug)]
pub struct Redirect {
    path: String,
    notice: Option<Notice>,
}

// === impl Redirect ===

impl Redirect {
    /// Leads to a path, with a query where needed. A path that would lead to another site leads to `/`.
    pub fn to(path: impl Into<String>) -> Self {
        let path = Some(path.into()).filter(|path| is_local(path));
        Self {
            path: path.unwrap_or_else(|| "/".to_owned()),
            notice: None,
        }
    }

    /// Leads back to a button whose user had to sign in again, so that it's pressed once more.
    pub fn press_again(path: impl Into<String>) -> Self {
        let text =
            "You're signed in again. Nothing has changed yet: repeat the action to confirm it.";
        Self::to(path).with(Notice::info(text))
    }

    /// With a notice that the page shows.
    #[must_use]
    pub fn with(mut self, notice: Notice) -> Self {
        self.notice = Some(notice);
        self
    }

    /// With a notice that something is done.
    #[must_use]
    pub fn success(self, text: impl Into<String>) -> Self {
        self.with(Notice::success(text))
    }

    /// As the answer of a handler.
    ///
    /// # Errors
    /// None.
    pub fn answer(self) -> Answer {
        Ok(self.into_response())
    }
}

impl IntoResponse for Redirect {
    fn into_response(self) -> Response {
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

/// Whether a text is a path on this host, whatever a browser makes of it: `//host` and `/\host` aren't.
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
    use axum::response::IntoResponse as _;
    use http::header;

    use super::{Notice, Redirect, is_local};

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
        let response = Redirect::to("//evil.example").into_response();
        assert_eq!(response.headers()[header::LOCATION], "/");
    }

    #[test]
    fn a_notice_comes_back_from_its_cookie() {
        let notice = Notice::success("Saved: <b>ä</b>");
        let written = Redirect::to("/").with(notice.clone()).into_response();
        let cookie = written.headers()[header::SET_COOKIE].to_str().unwrap();
        let pair = cookie.split(';').next().unwrap().parse().unwrap();
        let headers = [(header::COOKIE, pair)].into_iter().collect();
        assert_eq!(Notice::read(&headers), Some(notice));
    }
}
