//! Scopes of access tokens (RFC 6749, 3.3): which ones a key is allowed, and what of a request is granted.

use std::{collections::BTreeSet, fmt};

use super::invalid::{Faults, Rule, reason};

/// One scope: printable ASCII but for the blank, `"` and `\\`. Letter case matters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(String);

/// The scopes that a key is allowed; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedScopes(BTreeSet<Scope>);

/// How many scopes a key may be allowed.
pub const SCOPES_MAX: usize = 50;
/// How many characters a scope may have.
const SCOPE_MAX: usize = 100;
/// How many characters the scopes of a request may have, and the scopes of a key: all of them can be asked for at once.
const LIST_MAX: usize = 1_000;

/// Reads the scopes of a request, separated by one blank each; none when it is empty.
///
/// # Errors
/// Names the rule that the text breaks.
pub fn requested(text: &str) -> Result<Vec<Scope>, Rule> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    if text.len() > LIST_MAX {
        return Err(too_long());
    }
    text.split(' ').map(Scope::parse).collect()
}

/// Scopes as a token and a request have them.
#[must_use]
pub fn joined<'a>(scopes: impl IntoIterator<Item = &'a Scope>) -> String {
    let scopes: Vec<_> = scopes.into_iter().map(Scope::as_str).collect();
    scopes.join(" ")
}

fn too_long() -> Rule {
    Rule::new(
        reason::TOO_LONG,
        format!("must have at most {LIST_MAX} characters in all"),
    )
}

// === impl Scope ===

impl Scope {
    /// Reads a scope.
    ///
    /// # Errors
    /// Names the rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, Rule> {
        if text.is_empty() {
            return Err(Rule::new(
                reason::MALFORMED,
                "must be scopes with one blank between them",
            ));
        }
        if text.len() > SCOPE_MAX {
            return Err(Rule::new(
                reason::TOO_LONG,
                format!("must have at most {SCOPE_MAX} characters"),
            ));
        }
        let is_allowed = |c: char| matches!(c, '!' | '#'..='[' | ']'..='~');
        match text.chars().find(|&c| !is_allowed(c)) {
            Some(c) => Err(super::name::forbidden(c)),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl AllowedScopes ===

impl AllowedScopes {
    /// Reads the scopes of a field, and notes every fault.
    pub fn read(field: &str, texts: &[String], faults: &mut Faults) -> Self {
        if texts.len() > SCOPES_MAX {
            faults.add(
                field,
                reason::TOO_LONG,
                format!("must have at most {SCOPES_MAX} items"),
            );
        }
        let mut scopes = BTreeSet::new();
        for (index, text) in texts.iter().take(SCOPES_MAX).enumerate() {
            let field = format!("{field}[{index}]");
            if let Some(scope) = faults.take(&field, Scope::parse(text))
                && !scopes.insert(scope)
            {
                faults.add(field, reason::DUPLICATE, "stands in the list twice");
            }
        }
        let allowed = Self(scopes);
        if joined(allowed.iter()).len() > LIST_MAX {
            let rule = too_long();
            faults.add(field, rule.reason, rule.description);
        }
        allowed
    }

    /// The scopes, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a token gets of the scopes that are requested: those that are allowed, each once, in the order of the request
    /// (RFC 6749, 3.3 lets a server ignore a part of the request). Nothing when none is requested; `None` when scopes are
    /// requested and none of them is allowed, which is to be refused.
    #[must_use]
    pub fn grant(&self, requested: &[Scope]) -> Option<Vec<Scope>> {
        let mut granted: Vec<Scope> = Vec::new();
        for scope in requested.iter().filter(|scope| self.0.contains(scope)) {
            if !granted.contains(scope) {
                granted.push(scope.clone());
            }
        }
        (requested.is_empty() || !granted.is_empty()).then_some(granted)
    }
}

impl FromIterator<Scope> for AllowedScopes {
    fn from_iter<T: IntoIterator<Item = Scope>>(scopes: T) -> Self {
        Self(scopes.into_iter().collect())
    }
}

#[cfg(test)]
mod tests;
