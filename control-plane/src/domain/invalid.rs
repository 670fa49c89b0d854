//! What is wrong with an input: all faults at once, each with the path of its field and a stable reason. Used by every
//! validation; surfaces turn it into `google.rpc.BadRequest` or into messages beside form fields.

use std::fmt;

/// One fault of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field, for example `api.topics[0].mapping`.
    pub field: String,
    /// The rule that is broken, in `UPPER_SNAKE_CASE`. Stable.
    pub reason: &'static str,
    /// The rule for people: lower case, no full stop, fit to follow the field's name.
    pub description: String,
}

/// An input with at least one fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Invalid {
    /// All faults, in the order of the fields.
    pub violations: Vec<Violation>,
}

/// Collects the faults of one input.
#[derive(Debug, Default)]
pub struct Faults {
    violations: Vec<Violation>,
}

/// Stable reasons of violations.
pub mod reason {
    /// A field that must be given is empty.
    pub const REQUIRED: &str = "REQUIRED";
    /// A text is longer than allowed, or a list has too many items.
    pub const TOO_LONG: &str = "TOO_LONG";
    /// A text is shorter than allowed.
    pub const TOO_SHORT: &str = "TOO_SHORT";
    /// A text contains a character that is not allowed there.
    pub const FORBIDDEN_CHARACTER: &str = "FORBIDDEN_CHARACTER";
    /// A text does not follow the grammar of its field.
    pub const MALFORMED: &str = "MALFORMED";
    /// A number is out of its range.
    pub const OUT_OF_RANGE: &str = "OUT_OF_RANGE";
    /// The same item stands twice in a list.
    pub const DUPLICATE: &str = "DUPLICATE";
    /// An attempt to change what cannot be changed.
    pub const IMMUTABLE: &str = "IMMUTABLE";
    /// Something is named that does not exist.
    pub const NOT_FOUND: &str = "NOT_FOUND";
    /// A field mask, filter or order names a field that does not exist.
    pub const UNKNOWN_FIELD: &str = "UNKNOWN_FIELD";
    /// Two fields contradict each other.
    pub const CONTRADICTION: &str = "CONTRADICTION";
    /// An endpoint whose scheme is neither `ws` nor `wss`.
    pub const SCHEME_NOT_ALLOWED: &str = "SCHEME_NOT_ALLOWED";
    /// The name is taken: by an API with another context, or by the control plane itself.
    pub const NAME_TAKEN: &str = "NAME_TAKEN";
    /// The name is kept for something else.
    pub const RESERVED: &str = "RESERVED";
    /// The plan is not offered by the API.
    pub const PLAN_NOT_OFFERED: &str = "PLAN_NOT_OFFERED";
    /// None of the requested scopes is allowed.
    pub const SCOPE_NOT_ALLOWED: &str = "SCOPE_NOT_ALLOWED";
}

// === impl Invalid ===

impl Invalid {
    /// An input with one fault.
    #[must_use]
    pub fn one(field: &str, reason: &'static str, description: impl Into<String>) -> Self {
        Self {
            violations: vec![Violation {
                field: field.to_owned(),
                reason,
                description: description.into(),
            }],
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.violations.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(
                f,
                "{separator}{} {}",
                violation.field, violation.description
            )?;
        }
        Ok(())
    }
}

// === impl Faults ===

impl Faults {
    /// Starts a collection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a fault, unless it was noted just before: two fields may be read by one check.
    pub fn add(
        &mut self,
        field: impl Into<String>,
        reason: &'static str,
        description: impl Into<String>,
    ) {
        let violation = Violation {
            field: field.into(),
            reason,
            description: description.into(),
        };
        if self.violations.last() != Some(&violation) {
            self.violations.push(violation);
        }
    }

    /// Takes the value of a check, or notes its fault under `field`.
    pub fn take<T>(&mut self, field: &str, checked: Result<T, Rule>) -> Option<T> {
        match checked {
            Ok(value) => Some(value),
            Err(rule) => {
                self.add(field, rule.reason, rule.description);
                None
            }
        }
    }

    /// Takes over the faults of a part.
    pub fn extend(&mut self, part: Invalid) {
        self.violations.extend(part.violations);
    }

    /// Whether nothing is wrong so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.violations.is_empty()
    }

    /// Ends the collection.
    ///
    /// # Errors
    /// When there was a fault.
    pub fn finish(self) -> Result<(), Invalid> {
        if self.violations.is_empty() {
            Ok(())
        } else {
            Err(Invalid {
                violations: self.violations,
            })
        }
    }
}

/// The rule that a value breaks, before it is known which field the value is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The rule, in `UPPER_SNAKE_CASE`.
    pub reason: &'static str,
    /// The rule for people.
    pub description: String,
}

// === impl Rule ===

impl Rule {
    /// A rule under a reason.
    #[must_use]
    pub fn new(reason: &'static str, description: impl Into<String>) -> Self {
        Self {
            reason,
            description: description.into(),
        }
    }
}
