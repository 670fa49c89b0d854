//! What the fields of filters can be compared with: values of the wrong kind are refused by name, and what can be spelled in
//! several ways is brought into one.

use tidegate_proto::ids::{ApiId, ApplicationId};

use super::Value;
use crate::domain::{
    address::AddressRange,
    name::{ApiName, EnvironmentName, PlanName, PolicyName, SYSTEM, UserName},
};

/// What the values of a field are.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Any text.
    Text,
    /// A whole number.
    Number,
    /// An instant.
    Time,
    /// Yes or no.
    Bool,
    /// One of some words.
    Word(fn() -> Vec<&'static str>),
    /// Something with a form; empty for none.
    Form(ValueForm),
}

/// A form of values, and the one spelling that fields have.
#[derive(Clone, Copy, Debug)]
pub struct ValueForm {
    /// The form, for people.
    form: &'static str,
    /// What may stand in front of a value; fields do not have it.
    prefix: &'static str,
    /// A value without prefix as fields have it; `None` when it has another form.
    read: fn(&str) -> Option<String>,
}

/// An API by its id.
pub(in crate::service) const API: Kind = form("`apis/{uuid}`", "apis/", |text| {
    text.parse::<ApiId>().ok().map(|id| id.to_string())
});
/// An API by its id or by its name, which versions share.
pub(in crate::service) const API_OR_NAME: Kind =
    form("the name of an API, or `apis/{uuid}`", "apis/", |text| {
        let id = text.parse::<ApiId>().ok().map(|id| id.to_string());
        id.or_else(|| ApiName::parse(text).ok().map(|name| name.to_string()))
    });
/// An application by its id.
pub(in crate::service) const APPLICATION: Kind =
    form("`applications/{uuid}`", "applications/", |text| {
        text.parse::<ApplicationId>().ok().map(|id| id.to_string())
    });
/// A plan by its name.
pub(in crate::service) const PLAN: Kind = form("`plans/{name}`", "plans/", |text| {
    PlanName::parse(text).ok().map(|name| name.to_string())
});
/// An application policy by its name.
pub(in crate::service) const APPLICATION_POLICY: Kind = form(
    "`applicationPolicies/{name}`",
    "applicationPolicies/",
    policy,
);
/// An API policy by its name.
pub(in crate::service) const API_POLICY: Kind =
    form("`apiPolicies/{name}`", "apiPolicies/", policy);
/// An environment by its name.
pub(in crate::service) const ENVIRONMENT: Kind =
    form("`environments/{name}`", "environments/", |text| {
        EnvironmentName::parse(text)
            .ok()
            .map(|name| name.to_string())
    });
/// A user by name.
pub(in crate::service) const USER: Kind = form("`users/{name}`", "users/", |text| {
    UserName::parse(text).ok().map(|name| name.to_string())
});
/// Who did something: a user as a resource, or the process itself.
pub(in crate::service) const ACTOR: Kind = form("`users/{name}` or `system`", "", |text| {
    let name = text.strip_prefix("users/");
    let is_process = name.is_none() && text == SYSTEM;
    let user = || {
        Some(format!(
            "users/{}",
            UserName::parse(name.unwrap_or(text)).ok()?
        ))
    };
    if is_process {
        Some(text.to_owned())
    } else {
        user()
    }
});
/// A client address or a range of them.
pub(in crate::service) const ADDRESS: Kind = form(
    "an IP address, or a range such as `192.0.2.0/24`",
    "",
    |text| {
        AddressRange::parse(text)
            .ok()
            .map(|range| range.to_string())
    },
);

const fn form(form: &'static str, prefix: &'static str, read: fn(&str) -> Option<String>) -> Kind {
    Kind::Form(ValueForm { form, prefix, read })
}

fn policy(text: &str) -> Option<String> {
    PolicyName::parse(text).ok().map(|name| name.to_string())
}

// === impl Kind ===

impl Kind {
    /// Reads a value that a field shall equal, or be compared with.
    ///
    /// # Errors
    /// Says what is accepted.
    pub(super) fn read(self, text: &str) -> Result<Value, String> {
        let read = match self {
            Self::Text => Some(Value::text(text)),
            Self::Number => text.parse().ok().map(Value::Number),
            Self::Bool => text.parse().ok().map(Value::Bool),
            Self::Time => {
                let instant = text.parse::<jiff::Timestamp>().ok();
                // Nothing here is older than 1970.
                instant.map(|it| Value::Time(u64::try_from(it.as_millisecond()).unwrap_or(0)))
            }
            Self::Word(words) => words().contains(&text).then(|| Value::text(text)),
            Self::Form(_) if text.is_empty() => Some(Value::text(text)),
            Self::Form(form) => (form.read)(form.bare(text)).map(Value::Text),
        };
        read.ok_or_else(|| match self {
            Self::Text => "a text".to_owned(),
            Self::Number => "a whole number".to_owned(),
            Self::Bool => "true or false".to_owned(),
            Self::Time => "an instant as in RFC 3339, such as `2026-01-31T12:00:00Z`".to_owned(),
            Self::Word(words) => format!("one of {}", words().join(", ")),
            Self::Form(form) => form.form.to_owned(),
        })
    }

    /// Reads what a field shall contain: any text where the field is one.
    ///
    /// # Errors
    /// Says what is accepted.
    pub(super) fn read_part(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Text | Self::Word(_) => Ok(Value::text(text)),
            Self::Form(form) => Ok(Value::text(form.bare(text))),
            Self::Number | Self::Time | Self::Bool => self.read(text),
        }
    }
}

// === impl ValueForm ===

impl ValueForm {
    fn bare(self, text: &str) -> &str {
        text.strip_prefix(self.prefix).unwrap_or(text)
    }
}
