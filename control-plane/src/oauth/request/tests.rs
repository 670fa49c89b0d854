//! What is a token request and what is not.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header};

use super::{TokenError, TokenRequest, scope};

fn read(
    basic: Option<&str>,
    form: &[(&str, &str)],
) -> Result<(String, String, String), TokenError> {
    let mut headers = HeaderMap::new();
    if let Some(basic) = basic {
        let value = format!("Basic {}", STANDARD.encode(basic));
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
    }
    let form = form
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    TokenRequest::read(&headers, form).map(|request| {
        (
            request.client_id,
            request.client_secret.expose().to_owned(),
            scope::joined(&request.scopes),
        )
    })
}

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

fn ok(id: &str, secret: &str, scope: &str) -> Result<(String, String, String), TokenError> {
    Ok((id.to_owned(), secret.to_owned(), scope.to_owned()))
}

#[test]
fn a_client_authenticates_by_header_or_by_form() {
    assert_eq!(read(Some("me:pass"), &[GRANT]), ok("me", "pass", ""));
    assert_eq!(
        read(
            None,
            &[
                GRANT,
                ("client_id", "me"),
                ("client_secret", "pass"),
                ("scope", "a b")
            ]
        ),
        ok("me", "pass", "a b")
    );
    assert_eq!(read(Some("me:a%3Ab+%25"), &[GRANT]), ok("me", "a:b %", ""));
    assert_eq!(
        read(Some("me:p"), &[GRANT, ("client_id", "me")]),
        ok("me", "p", "")
    );
}

#[test]
fn a_client_that_authenticates_twice_or_not_at_all_is_refused() {
    for form in [
        &[GRANT, ("client_secret", "p")][..],
        &[GRANT, ("client_id", "you")],
    ] {
        assert!(matches!(
            read(Some("me:p"), form),
            Err(TokenError::InvalidRequest(_))
        ));
    }
    assert_eq!(read(None, &[GRANT]), Err(TokenError::InvalidClient));
    for basic in ["nothing", "me:%zz", "me:%", "me:%ff"] {
        assert_eq!(
            read(Some(basic), &[GRANT]),
            Err(TokenError::InvalidClient),
            "{basic}"
        );
    }
    let long = format!("me:{}", "x".repeat(256));
    assert_eq!(read(Some(&long), &[GRANT]), Err(TokenError::InvalidClient));
}

#[test]
fn grants_scopes_and_repetitions_are_checked() {
    let password = ("grant_type", "password");
    assert_eq!(
        read(Some("me:p"), &[password]),
        Err(TokenError::UnsupportedGrantType)
    );
    assert!(matches!(
        read(Some("me:p"), &[]),
        Err(TokenError::InvalidRequest(_))
    ));
    assert!(matches!(
        read(Some("me:p"), &[GRANT, GRANT]),
        Err(TokenError::InvalidRequest(_))
    ));
    for scope in ["a  b", " a", "a\"", "a\\", "ä", &"x".repeat(1001)] {
        assert_eq!(
            read(Some("me:p"), &[GRANT, ("scope", scope)]),
            Err(TokenError::InvalidScope),
            "{scope}"
        );
    }
    assert_eq!(
        read(Some("me:p"), &[GRANT, ("nonce", "1"), ("scope", "")]),
        ok("me", "p", "")
    );
}
