//! Filters: a small part of AIP-160.
//!
//! ```text
//! filter     = comparison { "AND" comparison }
//! comparison = field operator value
//! operator   = "=" | "!=" | ":" | "<" | "<=" | ">" | ">="
//! value      = a word, or a text in double quotes with \" and \\
//! ```
//!
//! `:` means "contains, letter case aside". A field with several values fits when one of them does (`!=`: none).
//! Times are RFC 3339. What names a resource may be given with or without its collection.

use std::cmp::Ordering;

use super::{Kind, Value};
use crate::domain::invalid::{Rule, reason};

/// A filter that was read.
#[derive(Debug, Default)]
pub(in crate::service) struct Filter {
    comparisons: Vec<Comparison>,
}

#[derive(Debug)]
struct Comparison {
    field: &'static str,
    operator: Operator,
    /// Of the kind that the field has.
    value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Has,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Longer first, so that `<=` is not read as `<`.
const OPERATORS: [(&str, Operator); 7] = [
    ("!=", Operator::NotEqual),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("=", Operator::Equal),
    (":", Operator::Has),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

const FILTER_MAX: usize = 1000;
/// How much of a value that does not read is repeated.
const VALUE_SHOWN: usize = 60;

// === impl Filter ===

impl Filter {
    /// Reads a filter over some fields.
    pub(in crate::service) fn parse(
        text: &str,
        fields: &[(&'static str, Kind)],
    ) -> Result<Self, Rule> {
        if text.chars().count() > FILTER_MAX {
            return Err(Rule::new(
                reason::TOO_LONG,
                format!("must have at most {FILTER_MAX} characters"),
            ));
        }
        let mut rest = text.trim();
        let mut comparisons = Vec::new();
        while !rest.is_empty() {
            if !comparisons.is_empty() {
                rest = rest
                    .strip_prefix("AND")
                    .filter(|after| after.starts_with(char::is_whitespace))
                    .ok_or_else(|| malformed(rest, "`AND`"))?
                    .trim_start();
            }
            let (comparison, after) = Comparison::parse(rest, fields)?;
            comparisons.push(comparison);
            rest = after.trim_start();
        }
        Ok(Self { comparisons })
    }

    /// The text that a field must be; `None` where the filter leaves that open.
    pub(in crate::service) fn equal(&self, field: &str) -> Option<&str> {
        let mut comparisons = self.comparisons.iter();
        comparisons.find_map(|it| match &it.value {
            Value::Text(text) if it.field == field && it.operator == Operator::Equal => {
                Some(text.as_str())
            }
            _ => None,
        })
    }

    /// Whether something fits, by the values of its fields.
    pub(in crate::service) fn matches(&self, get: impl Fn(&str) -> Value) -> bool {
        self.comparisons.iter().all(|c| c.matches(&get(c.field)))
    }
}

// === impl Comparison ===

impl Comparison {
    fn parse<'a>(text: &'a str, fields: &[(&'static str, Kind)]) -> Result<(Self, &'a str), Rule> {
        let end = text
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        if name.is_empty() {
            return Err(malformed(text, "a field"));
        }
        let Some((field, kind)) = fields.iter().find(|(field, _)| *field == name) else {
            let known: Vec<_> = fields.iter().map(|(field, _)| *field).collect();
            return Err(Rule::new(
                reason::UNKNOWN_FIELD,
                format!("names `{name}`; it may name {}", known.join(", ")),
            ));
        };
        let rest = rest.trim_start();
        let (operator, rest) = OPERATORS
            .iter()
            .find_map(|(sign, operator)| Some((*operator, rest.strip_prefix(sign)?)))
            .ok_or_else(|| malformed(rest, "an operator"))?;
        let (text, rest) = value(rest.trim_start())?;
        let value = if operator == Operator::Has {
            kind.read_part(&text)
        } else {
            kind.read(&text)
        };
        let value = value.map_err(|accepted| {
            let shown: String = text.chars().take(VALUE_SHOWN).collect();
            let rule = format!("compares `{field}` with `{shown}`; `{field}` must be {accepted}");
            Rule::new(reason::MALFORMED, rule)
        })?;
        Ok((
            Self {
                field,
                operator,
                value,
            },
            rest,
        ))
    }

    fn matches(&self, found: &Value) -> bool {
        match (found, &self.value) {
            (Value::Texts(several), Value::Text(value)) => {
                let mut fit = several
                    .iter()
                    .map(|one| self.operator.fits_text(one, value));
                if self.operator == Operator::NotEqual {
                    fit.all(|fits| fits)
                } else {
                    fit.any(|fits| fits)
                }
            }
            (Value::Text(text), Value::Text(value)) => self.operator.fits_text(text, value),
            _ => self.operator.fits(found.cmp(&self.value)),
        }
    }
}

// === impl Operator ===

impl Operator {
    fn fits_text(self, text: &str, value: &str) -> bool {
        if self == Self::Has {
            text.to_lowercase().contains(&value.to_lowercase())
        } else {
            self.fits(text.cmp(value))
        }
    }

    /// Whether a field in this order to the value fits.
    const fn fits(self, order: Ordering) -> bool {
        match self {
            Self::Equal | Self::Has => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// A value and what follows it.
fn value(text: &str) -> Result<(String, &str), Rule> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        return if word.is_empty() || word.contains('"') {
            Err(malformed(text, "a value"))
        } else {
            Ok((word.to_owned(), rest))
        };
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &quoted[at + 1..])),
            '\\' => match chars.next() {
                Some((_, escaped @ ('"' | '\\'))) => value.push(escaped),
                _ => return Err(malformed(&quoted[at..], "`\\\"` or `\\\\`")),
            },
            c => value.push(c),
        }
    }
    Err(malformed(text, "a closing quote"))
}

fn malformed(found: &str, expected: &str) -> Rule {
    let found: String = found.chars().take(20).collect();
    Rule::new(
        reason::MALFORMED,
        format!("must have {expected} where it has `{found}`"),
    )
}

#[cfg(test)]
mod tests;
