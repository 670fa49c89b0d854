//! Policies on top of plans: what an application may use, what an API or a topic lets through, and who is denied access.

use std::fmt;

use tidegate_proto::{
    claims,
    ids::{ApiId, ApplicationId, DenyPolicyId},
    quota::Limits,
};

use super::{
    address::AddressRange,
    invalid::{Rule, reason},
    meta::ResourceMeta,
    name::{PolicyName, UserName, forbidden, is_token},
    time::Timestamp,
};

/// What an application, or each of its tokens, may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationPolicy {
    /// The name, unique among application policies but for letter case. Does not change.
    pub name: PolicyName,
    /// What people read.
    pub display_name: String,
    /// What it is for.
    pub description: String,
    /// Whether each token counts for itself; otherwise all tokens of an application count together.
    pub per_token: bool,
    /// What is allowed.
    pub limits: Limits,
    /// When it was created and last changed, and its etag.
    pub meta: ResourceMeta,
}

/// What an API or a topic lets through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiPolicy {
    /// The name, unique among API policies but for letter case. Does not change.
    pub name: PolicyName,
    /// What people read.
    pub display_name: String,
    /// What it is for.
    pub description: String,
    /// Whose messages count together.
    pub per: Per,
    /// What is allowed to those to whom no group applies.
    pub limits: Limits,
    /// What is allowed to special callers: the first group whose conditions all hold applies.
    pub groups: Vec<Group>,
    /// When it was created and last changed, and its etag.
    pub meta: ResourceMeta,
}

/// Whose messages count together under an API policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Per {
    /// Everybody's.
    Api,
    /// Those of one application.
    Application,
    /// Those of one user.
    User,
    /// Those from one client address.
    Address,
}

/// Callers for whom an API policy has limits of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Who they are, for people.
    pub description: String,
    /// What must hold, all of it; never empty.
    pub conditions: Vec<Condition>,
    /// What is allowed to them.
    pub limits: Limits,
}

/// Something about a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What is looked at.
    pub subject: Subject,
    /// Whether the condition holds where it would not.
    pub invert: bool,
}

/// What a condition looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The client's address is in this range.
    Address(AddressRange),
    /// The request has this header.
    Header(NameValueMatch),
    /// The request has this query parameter.
    Query(NameValueMatch),
    /// The token has this claim.
    Claim(NameValueMatch),
}

/// A name and the value that it must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameValueMatch {
    /// The name; that of a header in lower case.
    pub name: String,
    /// The value; `None` for any.
    pub value: Option<String>,
}

/// Who is denied access, and whose open sessions end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenyPolicy {
    /// The id.
    pub id: DenyPolicyId,
    /// Why.
    pub description: String,
    /// Who. Does not change; no two policies have the same.
    pub target: DenyTarget,
    /// When it ends; `None` for never.
    pub expires_at: Option<Timestamp>,
    /// Whether it denies access to nobody for now.
    pub disabled: bool,
    /// When it was created and last changed, and its etag.
    pub meta: ResourceMeta,
}

/// Whom a deny policy is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DenyTarget {
    /// Everybody who wants this API.
    Api(ApiId),
    /// An application.
    Application(ApplicationId),
    /// A user.
    User(UserName),
    /// Client addresses.
    Address(AddressRange),
    /// All client addresses but these.
    AddressesBut(AddressRange),
}

/// Names and values in conditions have at most this many bytes; a gateway takes no longer ones.
const MATCH_MAX: usize = 256;

/// Reads the name of a header; it comes back in lower case.
///
/// # Errors
/// When no header can have it (RFC 9110, 5.1), or it is too long.
pub fn header_name(text: &str) -> Result<String, Rule> {
    let name = parameter_name(text)?;
    match name.chars().find(|&c| !is_token(c)) {
        Some(c) => Err(forbidden(c)),
        None => Ok(name.to_ascii_lowercase()),
    }
}

/// Reads the name of a query parameter.
///
/// # Errors
/// When it is empty, too long, or contains control characters.
pub fn parameter_name(text: &str) -> Result<String, Rule> {
    if text.is_empty() {
        return Err(Rule::new(reason::REQUIRED, "must not be empty"));
    }
    plain(text)
}

/// Reads the name of a claim.
///
/// # Errors
/// As for parameters, and for claims that gateways do not compare.
pub fn claim_name(text: &str) -> Result<String, Rule> {
    let name = parameter_name(text)?;
    if claims::RESERVED.contains(&name.as_str()) {
        let rule = format!("must not be one of {}", claims::RESERVED.join(", "));
        return Err(Rule::new(reason::MALFORMED, rule));
    }
    Ok(name)
}

/// Reads a value to compare with; empty for any.
///
/// # Errors
/// When it is too long or contains control characters.
pub fn match_value(text: &str) -> Result<Option<String>, Rule> {
    Ok(Some(plain(text)?).filter(|value| !value.is_empty()))
}

fn plain(text: &str) -> Result<String, Rule> {
    if text.len() > MATCH_MAX {
        let rule = format!("must have at most {MATCH_MAX} bytes");
        return Err(Rule::new(reason::TOO_LONG, rule));
    }
    match text.chars().find(|c| c.is_control()) {
        Some(c) => Err(forbidden(c)),
        None => Ok(text.to_owned()),
    }
}

// === impl Per ===

impl Per {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Api, Self::Application, Self::User, Self::Address];

    /// The name, as filters and records write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "API",
            Self::Application => "APPLICATION",
            Self::User => "USER",
            Self::Address => "ADDRESS",
        }
    }
}

impl fmt::Display for Per {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{claim_name, header_name, match_value, parameter_name};
    use crate::domain::invalid::reason;

    #[test]
    fn a_header_is_a_token_in_any_letter_case() {
        assert_eq!(header_name("X-Tier"), Ok("x-tier".to_owned()));
        assert_eq!(header_name("!#$%&'*+-.^_`|~09").unwrap().len(), 17);
        for text in ["x tier", "x:tier", "x(1)", "größe", "x\r\n", "\"x\""] {
            let rule = header_name(text).unwrap_err();
            assert_eq!(rule.reason, reason::FORBIDDEN_CHARACTER, "{text}");
        }
    }

    #[test]
    fn names_and_values_have_bounds() {
        for check in [header_name, parameter_name, claim_name] {
            assert_eq!(check("").unwrap_err().reason, reason::REQUIRED);
            assert!(check(&"a".repeat(256)).is_ok());
            let long = check(&"a".repeat(257)).unwrap_err();
            assert_eq!(long.reason, reason::TOO_LONG);
        }
        assert_eq!(match_value(""), Ok(None));
        assert_eq!(match_value("a b"), Ok(Some("a b".to_owned())));
        assert!(match_value(&"ü".repeat(128)).is_ok());
        assert!(match_value(&"ü".repeat(129)).is_err());
        assert!(match_value("a\0").is_err());
    }

    #[test]
    fn a_claim_that_gateways_do_not_compare_is_refused() {
        assert!(claim_name("scope").is_ok());
        assert_eq!(claim_name("sub").unwrap_err().reason, reason::MALFORMED);
    }
}
