//! Reading a token request (RFC 6749, 2.3.1 and 4.4.2): who the client says it is, and what it asks for. Nothing is
//! checked against the state here. Called by `oauth::token`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header};
use tidegate_kit::secret::Secret;

use super::error::TokenError;
use crate::domain::scope::{self, Scope};

/// What a client asks for.
#[derive(Debug)]
pub struct TokenRequest {
    /// Who the client says it is.
    pub client_id: String,
    /// What it shows for it.
    pub client_secret: Secret,
    /// The scopes that are requested; empty when none are.
    pub scopes: Vec<Scope>,
}

/// Longer ones are nobody's; they are not hashed, logged or looked up.
const CREDENTIAL_MAX: usize = 255;

impl TokenRequest {
    /// Reads the head and the form of a request.
    ///
    /// # Errors
    /// With the error code that RFC 6749, 5.2 has for what is wrong.
    pub fn read(headers: &HeaderMap, form: Vec<(String, String)>) -> Result<Self, TokenError> {
        let mut fields = FormFields::default();
        for (name, value) in form {
            fields.set(&name, value)?;
        }
        let (client_id, client_secret) = match basic(headers)? {
            Some(_) if fields.client_secret.is_some() => {
                return Err(TokenError::InvalidRequest(
                    "the client authenticates in two ways; use one",
                ));
            }
            Some((id, _)) if fields.client_id.as_ref().is_some_and(|form| *form != id) => {
                return Err(TokenError::InvalidRequest(
                    "`client_id` differs from the client that authenticates",
                ));
            }
            Some(credentials) => credentials,
            None => match (fields.client_id, fields.client_secret) {
                (Some(id), Some(secret)) => (id, secret),
                _ => return Err(TokenError::InvalidClient),
            },
        };
        if client_id.len() > CREDENTIAL_MAX || client_secret.expose().len() > CREDENTIAL_MAX {
            return Err(TokenError::InvalidClient);
        }
        match fields.grant_type.as_deref() {
            Some("client_credentials") => {}
            Some(_) => return Err(TokenError::UnsupportedGrantType),
            None => return Err(TokenError::InvalidRequest("`grant_type` is missing")),
        }
        Ok(Self {
            client_id,
            client_secret,
            scopes: scope::requested(&fields.scope.unwrap_or_default())
                .map_err(|_| TokenError::InvalidScope)?,
        })
    }
}

#[derive(Default)]
struct FormFields {
    grant_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<Secret>,
    scope: Option<String>,
}

impl FormFields {
    /// Takes a parameter. Unknown ones are ignored, repeated ones refused, empty ones count as left out (RFC 6749, 3.2).
    fn set(&mut self, name: &str, value: String) -> Result<(), TokenError> {
        let repeated = match name {
            _ if value.is_empty() => false,
            "grant_type" => self.grant_type.replace(value).is_some(),
            "client_id" => self.client_id.replace(value).is_some(),
            "client_secret" => self.client_secret.replace(Secret::new(value)).is_some(),
            "scope" => self.scope.replace(value).is_some(),
            _ => false,
        };
        if repeated {
            Err(TokenError::InvalidRequest("a parameter is given twice"))
        } else {
            Ok(())
        }
    }
}

/// `Authorization: Basic`, where id and secret are form-encoded before they are joined (RFC 6749, 2.3.1).
fn basic(headers: &HeaderMap) -> Result<Option<(String, Secret)>, TokenError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let refused = TokenError::InvalidClient;
    if values.next().is_some() {
        return Err(refused);
    }
    let decoded = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
        .and_then(|(_, encoded)| STANDARD.decode(encoded.trim()).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .map(Secret::new);
    let Some(decoded) = decoded else {
        return Err(refused);
    };
    let Some((id, secret)) = decoded.expose().split_once(':') else {
        return Err(refused);
    };
    match (form_decoded(id), form_decoded(secret)) {
        (Some(id), Some(secret)) => Ok(Some((id, Secret::new(secret)))),
        _ => Err(refused),
    }
}

fn form_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
