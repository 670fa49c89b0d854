//! The names that people give: what is allowed in them and how they compare. Names keep the case that was typed;
//! [`fold`] gives the form under which two names are the same.

use std::{fmt, str::FromStr, sync::Arc};

use tidegate_proto::path::InvalidPath;

use super::invalid::{Rule, reason};

/// The form of a name under which duplicates are found: letter case does not count.
#[must_use]
pub fn fold(name: &str) -> String {
    name.to_lowercase()
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Reads a name.
            ///
            /// # Errors
            /// Names the rule that the text breaks.
            pub fn parse(text: &str) -> Result<Self, Rule> {
                let check: fn(&str) -> Result<(), Rule> = $check;
                check(text)?;
                Ok(Self(text.into()))
            }

            /// The name as it was typed.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Rule;

            fn from_str(text: &str) -> Result<Self, Rule> {
                Self::parse(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name!(
    /// The name of an API: 1 to 60 characters.
    ApiName,
    |text| title(text, 60)
);
name!(
    /// The name of an application: 1 to 100 characters.
    ApplicationName,
    |text| title(text, 100)
);
name!(
    /// The name of a document: 1 to 60 characters.
    DocumentName,
    |text| title(text, 60)
);
name!(
    /// The name of a plan: 1 to 50 letters, digits, `-`, `_` and `.`.
    PlanName,
    |text| identifier(text, 50)
);
name!(
    /// The name of an application policy or an API policy: 1 to 50 letters, digits, `-`, `_` and `.`.
    PolicyName,
    |text| identifier(text, 50)
);
name!(
    /// The name of a gateway environment: 1 to 50 letters, digits, `-`, `_` and `.`.
    EnvironmentName,
    |text| identifier(text, 50)
);
name!(
    /// The name that a user signs in with: letters, digits, `-`, `_`, `.` and `@`. What a new one must be on top of that
    /// says [`UserName::choose`]; those that are older need not.
    UserName,
    |text| {
        let rest = text.replace('@', "");
        identifier(if text.is_empty() { text } else if rest.is_empty() { "a" } else { &rest }, 50)
    }
);
name!(
    /// The OAuth client id of an application's key: 1 to 64 letters, digits, `-` and `_`.
    ClientId,
    |text| identifier(text, 64)
);
name!(
    /// The id of a signing key (`kid`): 1 to 64 letters, digits, `-` and `_`.
    KeyId,
    |text| identifier(text, 64)
);

/// Who the audit log says has done what the process itself does.
pub const SYSTEM: &str = "system";

/// The name of the environment that ships.
pub const DEFAULT_ENVIRONMENT: &str = "default";

// === impl UserName ===

impl UserName {
    /// Reads the name of a new user: 1 to 50 characters, and not that of the process itself.
    ///
    /// # Errors
    /// Names the rule that the text breaks.
    pub fn choose(text: &str) -> Result<Self, Rule> {
        let name = Self::parse(text)?;
        at_most(text, 50)?;
        if fold(text) == SYSTEM {
            return Err(Rule::new(
                reason::RESERVED,
                "must not be `system`, which the audit log calls the control plane itself",
            ));
        }
        Ok(name)
    }
}

const FORBIDDEN_IN_TITLES: &str = "~!@#;:%^*()+={}|\\<>\"',&$[]/`";

/// A text that people read: blanks inside are fine.
fn title(text: &str, max: usize) -> Result<(), Rule> {
    if text.trim().is_empty() {
        return Err(Rule::new(reason::REQUIRED, "must not be empty"));
    }
    at_most(text, max)?;
    if let Some(c) = text
        .chars()
        .find(|&c| FORBIDDEN_IN_TITLES.contains(c) || c.is_control())
    {
        return Err(forbidden(c));
    }
    if text.trim() != text || text.contains("  ") {
        return Err(Rule::new(
            reason::MALFORMED,
            "must not begin or end with a blank, nor contain two in a row",
        ));
    }
    Ok(())
}

/// A text that stands in paths and resource names.
fn identifier(text: &str, max: usize) -> Result<(), Rule> {
    if text.is_empty() {
        return Err(Rule::new(reason::REQUIRED, "must not be empty"));
    }
    at_most(text, max)?;
    match text
        .chars()
        .find(|&c| !c.is_ascii_alphanumeric() && !"-_.".contains(c))
    {
        Some(c) => Err(forbidden(c)),
        None if text == "." || text == ".." => {
            Err(Rule::new(reason::MALFORMED, "must not be `.` or `..`"))
        }
        None => Ok(()),
    }
}

/// A free text of at most `max` characters.
///
/// # Errors
/// When it is longer, or contains a control character other than a line break or a tab.
pub fn free_text(text: &str, max: usize) -> Result<String, Rule> {
    at_most(text, max)?;
    match text
        .chars()
        .find(|c| c.is_control() && !"\n\r\t".contains(*c))
    {
        Some(c) => Err(forbidden(c)),
        None => Ok(text.to_owned()),
    }
}

/// A tag of an API: 1 to 30 characters.
///
/// # Errors
/// Names the rule that the text breaks.
pub fn tag(text: &str) -> Result<String, Rule> {
    if text.trim().is_empty() {
        return Err(Rule::new(reason::REQUIRED, "must not be empty"));
    }
    at_most(text, 30)?;
    match text
        .chars()
        .find(|&c| "~!@#;%^&*+=|<>,'\"\\/".contains(c) || c.is_control())
    {
        Some(c) => Err(forbidden(c)),
        None => Ok(text.to_owned()),
    }
}

/// The name of a WebSocket subprotocol: 1 to 100 characters of a token.
///
/// # Errors
/// Names the rule that the text breaks.
pub fn subprotocol(text: &str) -> Result<String, Rule> {
    if text.is_empty() {
        return Err(Rule::new(reason::REQUIRED, "must not be empty"));
    }
    at_most(text, 100)?;
    match text.chars().find(|&c| !is_token(c)) {
        Some(c) => Err(forbidden(c)),
        None => Ok(text.to_owned()),
    }
}

/// Whether a character may stand in a token (RFC 9110, 5.6.2).
#[must_use]
pub fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

fn at_most(text: &str, max: usize) -> Result<(), Rule> {
    if text.chars().count() > max {
        return Err(Rule::new(
            reason::TOO_LONG,
            format!("must have at most {max} characters"),
        ));
    }
    Ok(())
}

/// For a text with a character that does not belong in it. Invisible ones are shown by their code.
#[must_use]
pub fn forbidden(c: char) -> Rule {
    let shown = match c {
        ' ' => "a blank".to_owned(),
        c if c.is_alphanumeric() || c.is_ascii_graphic() => format!("`{c}`"),
        c => format!("`{}`", c.escape_default()),
    };
    Rule::new(
        reason::FORBIDDEN_CHARACTER,
        format!("must not contain {shown}"),
    )
}

// === impl Rule ===

impl From<InvalidPath> for Rule {
    /// A rule of the path grammar as a rule of a field.
    fn from(broken: InvalidPath) -> Self {
        let reason = match broken {
            InvalidPath::Empty => reason::REQUIRED,
            InvalidPath::TooLong(_) => reason::TOO_LONG,
            InvalidPath::Forbidden(c) => return forbidden(c),
            _ => reason::MALFORMED,
        };
        Self::new(reason, broken.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::UserName;

    #[test]
    fn a_character_that_is_forbidden_is_told_as_people_see_it() {
        for (name, told) in [
            ("j\u{fc}rgen", "must not contain `\u{fc}`"),
            ("a b", "must not contain a blank"),
            ("a\tb", "must not contain `\\t`"),
            ("a\u{200b}b", "must not contain `\\u{200b}`"),
        ] {
            assert_eq!(UserName::parse(name).unwrap_err().description, told);
        }
    }
}
