//! Tokens in forms that prove that the form came from a page of ours: an HMAC over the path it is posted to, keyed by the
//! cookie of whoever looked at it. Nothing is kept at the server, so they outlive a restart, and the end of the session.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;

/// The name of the field.
pub const FIELD: &str = "_csrf";

/// The token of a form that is posted to a path, by whoever has that cookie.
#[must_use]
pub fn token(cookie: &str, path: &str) -> String {
    URL_SAFE_NO_PAD.encode(hmac::sign(&key(cookie), path.as_bytes()))
}

/// Whether it is the token of a form to that path; in constant time.
#[must_use]
pub fn verify(cookie: &str, path: &str, token: &str) -> bool {
    URL_SAFE_NO_PAD
        .decode(token)
        .is_ok_and(|tag| hmac::verify(&key(cookie), path.as_bytes(), &tag).is_ok())
}

fn key(cookie: &str) -> hmac::Key {
    // The word keeps these tokens apart from anything else that is ever made from the cookie.
    hmac::Key::new(hmac::HMAC_SHA256, format!("form {cookie}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::{token, verify};

    #[test]
    fn a_token_is_good_for_one_cookie_and_one_path() {
        let good = token("a", "/x");
        assert!(verify("a", "/x", &good));
        assert!(!verify("b", "/x", &good));
        assert!(!verify("a", "/y", &good));
        assert!(!verify("a", "/x", ""));
        assert!(!verify("a", "/x", &good[1..]));
    }
}
