//! The topics of an API: which paths it answers to, in which direction messages go, and where the backend has them.

use std::fmt;

use tidegate_proto::path::{Segment, TopicTemplate};

use super::{
    invalid::{Rule, reason},
    name::{PolicyName, forbidden},
};

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// The path below the API's base path.
    pub template: TopicTemplate,
    /// Which way messages go. Documentation: a gateway does not enforce it.
    pub verbs: Verbs,
    /// Where the backend has the topic; without it the topic's own path is appended to the endpoint.
    pub mapping: Option<Mapping>,
    /// Its policy, on top of the API's.
    pub policy: Option<PolicyName>,
    /// What the topic is about.
    pub description: String,
}

/// Which way the messages of a topic go; at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verbs {
    /// Clients send.
    pub publish: bool,
    /// Clients receive.
    pub subscribe: bool,
}

/// A path, a query or both, relative to the endpoint, with path parameters as `{uri.var.room}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping(String);

const PARAMETER_PREFIX: &str = "uri.var.";
const MAPPING_MAX: usize = 500;

// === impl Topic ===

impl Topic {
    /// The topic of an API that names none: everything, both ways.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            template: TopicTemplate::parse("/*").expect("`/*` is a topic"),
            verbs: Verbs::BOTH,
            mapping: None,
            policy: None,
            description: String::new(),
        }
    }
}

// === impl Verbs ===

impl Verbs {
    /// Both ways.
    pub const BOTH: Self = Self {
        publish: true,
        subscribe: true,
    };
}

// === impl Mapping ===

impl Mapping {
    /// Reads a mapping for a topic.
    ///
    /// # Errors
    /// Names the rule that the text breaks; among them a parameter that the topic does not have.
    pub fn parse(text: &str, topic: &TopicTemplate) -> Result<Self, Rule> {
        if text.len() > MAPPING_MAX {
            return Err(Rule::new(
                reason::TOO_LONG,
                format!("must have at most {MAPPING_MAX} characters"),
            ));
        }
        if !text.starts_with(['/', '?']) {
            return Err(Rule::new(reason::MALFORMED, "must begin with `/` or `?`"));
        }
        if let Some(c) = text
            .chars()
            .find(|&c| !c.is_ascii_graphic() || "#\"<>\\^`|".contains(c))
        {
            return Err(forbidden(c));
        }
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (name, after) = rest[at..]
                .strip_prefix('{')
                .and_then(|inner| inner.split_once('}'))
                .ok_or_else(|| Rule::new(reason::MALFORMED, "has braces that do not match"))?;
            let known = name.strip_prefix(PARAMETER_PREFIX).is_some_and(|name| {
                topic
                    .segments()
                    .contains(&Segment::Parameter(name.to_owned()))
            });
            if !known {
                return Err(Rule::new(
                    reason::MALFORMED,
                    format!(
                        "names `{{{name}}}`; only `{{uri.var.…}}` with a parameter of the topic may stand in braces"
                    ),
                ));
            }
            rest = after;
        }
        Ok(Self(text.to_owned()))
    }

    /// The mapping as it was typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
