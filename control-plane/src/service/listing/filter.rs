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
//! Times are RFC 3339.

use super::Field;
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
    value: String,
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

// === impl Filter ===

impl Filter {
    /// Reads a filter over some fields.
    pub(in crate::service) fn parse(text: &str, fields: &[&'static str]) -> Result<Self, Rule> {
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

    /// Whether something fits, by the values of its fields.
    pub(in crate::service) fn matches(&self, get: impl Fn(&str) -> Field) -> bool {
        self.comparisons.iter().all(|c| c.matches(&get(c.field)))
    }
}

// === impl Comparison ===

impl Comparison {
    fn parse<'a>(text: &'a str, fields: &[&'static str]) -> Result<(Self, &'a str), Rule> {
        let end = text
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        if name.is_empty() {
            return Err(malformed(text, "a field"));
        }
        let Some(field) = fields.iter().find(|field| **field == name) else {
            return Err(Rule::new(
                reason::UNKNOWN_FIELD,
                format!("names `{name}`; it may name {}", fields.join(", ")),
            ));
        };
        let rest = rest.trim_start();
        let (operator, rest) = OPERATORS
            .iter()
            .find_map(|(sign, operator)| Some((*operator, rest.strip_prefix(sign)?)))
            .ok_or_else(|| malformed(rest, "an operator"))?;
        let (value, rest) = value(rest.trim_start())?;
        Ok((
            Self {
                field,
                operator,
                value,
            },
            rest,
        ))
    }

    fn matches(&self, found: &Field) -> bool {
        use Operator::{Equal, Greater, GreaterOrEqual, Has, Less, LessOrEqual, NotEqual};
        let order = match found {
            Field::Texts(several) => {
                let any = |operator| {
                    several.iter().any(|one| {
                        let one = Field::Text(one.clone());
                        Self {
                            operator,
                            field: self.field,
                            value: self.value.clone(),
                        }
                        .matches(&one)
                    })
                };
                return if self.operator == NotEqual {
                    !any(Equal)
                } else {
                    any(self.operator)
                };
            }
            Field::Text(text) if self.operator == Has => {
                return text.to_lowercase().contains(&self.value.to_lowercase());
            }
            Field::Text(text) => text.as_str().cmp(&self.value),
            Field::Number(number) => match self.value.parse() {
                Ok(value) => number.cmp(&value),
                Err(_) => return self.operator == NotEqual,
            },
            Field::Bool(flag) => match self.value.parse() {
                Ok(value) => flag.cmp(&value),
                Err(_) => return self.operator == NotEqual,
            },
            Field::Time(millis) => match self.value.parse::<jiff::Timestamp>() {
                Ok(value) => i64::try_from(*millis)
                    .unwrap_or(i64::MAX)
                    .cmp(&value.as_millisecond()),
                Err(_) => return self.operator == NotEqual,
            },
        };
        match self.operator {
            Equal | Has => order.is_eq(),
            NotEqual => order.is_ne(),
            Less => order.is_lt(),
            LessOrEqual => order.is_le(),
            Greater => order.is_gt(),
            GreaterOrEqual => order.is_ge(),
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
mod tests {
    use super::{Field, Filter};
    use crate::domain::invalid::reason;

    fn fits(filter: &str) -> bool {
        let filter = Filter::parse(filter, &["name", "state", "tags", "time", "count"]).unwrap();
        filter.matches(|field| match field {
            "name" => Field::text("Echo \"loud\""),
            "state" => Field::text("PUBLISHED"),
            "tags" => Field::Texts(vec!["chat".to_owned(), "rooms".to_owned()]),
            "time" => Field::Time(1_700_000_000_000),
            _ => Field::Number(7),
        })
    }

    #[test]
    fn comparisons_are_joined_by_and() {
        for (filter, expected) in [
            ("", true),
            ("name : echo", true),
            ("name = echo", false),
            (r#"name = "Echo \"loud\"""#, true),
            ("state = PUBLISHED AND name:LOUD", true),
            ("state=PUBLISHED AND name:quiet", false),
            ("state != PUBLISHED", false),
            ("tags = rooms", true),
            ("tags : cha", true),
            ("tags != chat", false),
            ("tags != news", true),
            ("count >= 7 AND count < 8", true),
            ("count = seven", false),
            ("time > 2023-01-01T00:00:00Z", true),
            ("time > 2024-01-01T00:00:00Z", false),
        ] {
            assert_eq!(fits(filter), expected, "{filter}");
        }
    }

    #[test]
    fn what_does_not_read_is_refused_with_its_place() {
        let parse = |text: &str| Filter::parse(text, &["name"]).unwrap_err().reason;
        assert_eq!(parse("colour = red"), reason::UNKNOWN_FIELD);
        for broken in [
            "name",
            "name =",
            "= x",
            "name = \"x",
            "name = x name = y",
            "name = x AND",
            "name = x ANDname = y",
            "name = \"\\n\"",
        ] {
            assert_eq!(parse(broken), reason::MALFORMED, "{broken}");
        }
        assert_eq!(parse(&"a".repeat(1001)), reason::TOO_LONG);
    }
}
