//! The grammar of an API's path at the gateway: context, version and topic templates. Parsing and rendering only;
//! matching is the data plane's.

use std::fmt;

/// Where an API lives: a path of literal segments, with `{version}` as a whole segment or left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Context(String);

/// The version of an API: 1 to 30 characters, no blanks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(String);

/// A topic of an API, relative to its base path: `/notifications`, `/rooms/{room}`, `/files/*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicTemplate {
    text: String,
    segments: Vec<Segment>,
}

/// A segment of a topic template.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// Matches itself.
    Literal(String),
    /// Matches any one segment, under a name.
    Parameter(String),
    /// Matches whatever is left, nothing included; last only.
    Rest,
}

/// Which rule of the grammar was broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// Nothing was given.
    #[error("must not be empty")]
    Empty,
    /// Longer than allowed, in characters.
    #[error("must have at most {0} characters")]
    TooLong(usize),
    /// A character that is not allowed.
    #[error("must not contain `{0}`")]
    Forbidden(char),
    /// A context or topic that does not begin with `/`.
    #[error("must begin with `/`")]
    NoLeadingSlash,
    /// `//`, a trailing `/`, or nothing but `/`.
    #[error("must not contain an empty segment")]
    EmptySegment,
    /// `.` or `..`, which clients and proxies resolve away.
    #[error("must not contain `.` or `..` as a segment")]
    DotSegment,
    /// Braces elsewhere than around a whole segment, or with a wrong name.
    #[error("braces may only enclose a whole segment: `{0}`")]
    Braces(String),
    /// The segment `t`, which is set aside for tenants.
    #[error("must not contain `/t/`, which is reserved")]
    Reserved,
    /// The same parameter twice.
    #[error("names the parameter `{0}` twice")]
    Duplicate(String),
    /// `*` elsewhere than as the last segment.
    #[error("`*` may only be the last segment")]
    RestNotLast,
}

const CONTEXT_MAX: usize = 200;
const VERSION_MAX: usize = 30;
const TOPIC_MAX: usize = 200;
const VERSION_SEGMENT: &str = "{version}";

// === impl Context ===

impl Context {
    /// Reads a context as somebody typed it; a missing leading `/` is added.
    ///
    /// # Errors
    /// Names the rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidPath> {
        if text.is_empty() || text == "/" {
            return Err(InvalidPath::Empty);
        }
        let text = if text.starts_with('/') {
            text.to_owned()
        } else {
            format!("/{text}")
        };
        if text.chars().count() > CONTEXT_MAX {
            return Err(InvalidPath::TooLong(CONTEXT_MAX));
        }
        let mut versions = 0;
        for segment in text[1..].split('/') {
            plain_segment(segment)?;
            match segment {
                VERSION_SEGMENT => versions += 1,
                "t" => return Err(InvalidPath::Reserved),
                _ if segment.contains(['{', '}']) => {
                    return Err(InvalidPath::Braces(segment.to_owned()));
                }
                _ => forbid(segment, |c| {
                    !c.is_ascii_alphanumeric() && !"-._$()".contains(c)
                })?,
            }
        }
        if versions > 1 {
            return Err(InvalidPath::Duplicate("version".to_owned()));
        }
        if text[1..] == *VERSION_SEGMENT {
            return Err(InvalidPath::Empty);
        }
        Ok(Self(text))
    }

    /// The template as it is shown and stored, with its leading `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path under which one version answers: `{version}` filled in, or the version appended.
    #[must_use]
    pub fn base_path(&self, version: &Version) -> String {
        if self.has_version_segment() {
            self.0.replace(VERSION_SEGMENT, &version.0)
        } else {
            format!("{}/{}", self.0, version.0)
        }
    }

    /// The path under which the default version answers: without any version.
    #[must_use]
    pub fn default_path(&self) -> String {
        if self.has_version_segment() {
            self.0.replace("/{version}", "")
        } else {
            self.0.clone()
        }
    }

    fn has_version_segment(&self) -> bool {
        self.0.split('/').any(|segment| segment == VERSION_SEGMENT)
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Version ===

impl Version {
    /// Reads a version as somebody typed it.
    ///
    /// # Errors
    /// Names the rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidPath> {
        if text.is_empty() {
            return Err(InvalidPath::Empty);
        }
        if text.chars().count() > VERSION_MAX {
            return Err(InvalidPath::TooLong(VERSION_MAX));
        }
        plain_segment(text)?;
        forbid(text, |c| !c.is_ascii_alphanumeric() && !"-._".contains(c))?;
        Ok(Self(text.to_owned()))
    }

    /// The version as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl TopicTemplate ===

impl TopicTemplate {
    /// Reads a template. A trailing `/` is dropped; `/` alone is the base path itself.
    ///
    /// # Errors
    /// Names the rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, InvalidPath> {
        if text.is_empty() {
            return Err(InvalidPath::Empty);
        }
        if text.chars().count() > TOPIC_MAX {
            return Err(InvalidPath::TooLong(TOPIC_MAX));
        }
        let Some(rest) = text.strip_prefix('/') else {
            return Err(InvalidPath::NoLeadingSlash);
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let mut segments = Vec::new();
        if !rest.is_empty() {
            for segment in rest.split('/') {
                if segments.last() == Some(&Segment::Rest) {
                    return Err(InvalidPath::RestNotLast);
                }
                let segment = Segment::parse(segment)?;
                if let Segment::Parameter(name) = &segment
                    && segments.contains(&segment)
                {
                    return Err(InvalidPath::Duplicate(name.clone()));
                }
                segments.push(segment);
            }
        }
        Ok(Self {
            text: format!("/{rest}"),
            segments,
        })
    }

    /// The template as it is shown and stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The segments in order.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }
}

impl fmt::Display for TopicTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

// === impl Segment ===

impl Segment {
    fn parse(text: &str) -> Result<Self, InvalidPath> {
        plain_segment(text)?;
        if text == "*" {
            return Ok(Self::Rest);
        }
        if let Some(name) = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
            let valid =
                !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            return if valid {
                Ok(Self::Parameter(name.to_owned()))
            } else {
                Err(InvalidPath::Braces(text.to_owned()))
            };
        }
        if text.contains(['{', '}']) {
            return Err(InvalidPath::Braces(text.to_owned()));
        }
        if text.contains('*') {
            return Err(InvalidPath::RestNotLast);
        }
        forbid(text, |c| {
            !c.is_ascii_alphanumeric() && !"-._~!$&'()+,;=:@".contains(c)
        })?;
        Ok(Self::Literal(text.to_owned()))
    }
}

fn plain_segment(segment: &str) -> Result<(), InvalidPath> {
    match segment {
        "" => Err(InvalidPath::EmptySegment),
        "." | ".." => Err(InvalidPath::DotSegment),
        _ => Ok(()),
    }
}

fn forbid(text: &str, forbidden: impl Fn(char) -> bool) -> Result<(), InvalidPath> {
    text.chars()
        .find(|&c| forbidden(c))
        .map_or(Ok(()), |c| Err(InvalidPath::Forbidden(c)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::{Context, InvalidPath, Segment, TopicTemplate, Version};

    #[test]
    fn a_context_leads_to_its_base_path_and_to_its_default_path() {
        let version = Version::parse("1.0").unwrap();
        for (text, base, default) in [
            ("/echowebsocket", "/echowebsocket/1.0", "/echowebsocket"),
            ("echo", "/echo/1.0", "/echo"),
            ("/{version}/x", "/1.0/x", "/x"),
            ("/x/{version}/y", "/x/1.0/y", "/x/y"),
        ] {
            let context = Context::parse(text).unwrap();
            assert_eq!(context.base_path(&version), base);
            assert_eq!(context.default_path(), default);
        }
    }

    #[test]
    fn a_broken_context_is_refused_with_the_rule_it_breaks() {
        for (text, error) in [
            ("", InvalidPath::Empty),
            ("/", InvalidPath::Empty),
            ("/{version}", InvalidPath::Empty),
            ("/a//b", InvalidPath::EmptySegment),
            ("/a/", InvalidPath::EmptySegment),
            ("/a/../b", InvalidPath::DotSegment),
            ("/a b", InvalidPath::Forbidden(' ')),
            ("/a`b", InvalidPath::Forbidden('`')),
            (
                "/echo{version}",
                InvalidPath::Braces("echo{version}".to_owned()),
            ),
            ("/{other}", InvalidPath::Braces("{other}".to_owned())),
            ("/x/t/y", InvalidPath::Reserved),
            (
                "/{version}/{version}",
                InvalidPath::Duplicate("version".to_owned()),
            ),
        ] {
            assert_eq!(Context::parse(text), Err(error), "{text}");
        }
        assert_eq!(
            Context::parse(&"a".repeat(200)),
            Err(InvalidPath::TooLong(200))
        );
    }

    #[test]
    fn a_version_has_no_blanks_and_no_slashes() {
        assert!(Version::parse("1.0.0-beta_2").is_ok());
        assert_eq!(Version::parse("1 0"), Err(InvalidPath::Forbidden(' ')));
        assert_eq!(Version::parse("1/0"), Err(InvalidPath::Forbidden('/')));
        assert_eq!(Version::parse(".."), Err(InvalidPath::DotSegment));
        assert_eq!(
            Version::parse(&"1".repeat(31)),
            Err(InvalidPath::TooLong(30))
        );
    }

    #[test]
    fn a_topic_has_literals_parameters_and_a_rest() {
        let topic = TopicTemplate::parse("/rooms/{room}/*").unwrap();
        assert_eq!(
            topic.segments(),
            [
                Segment::Literal("rooms".to_owned()),
                Segment::Parameter("room".to_owned()),
                Segment::Rest
            ]
        );
        assert!(TopicTemplate::parse("/").unwrap().segments().is_empty());
        assert_eq!(TopicTemplate::parse("/a/").unwrap().as_str(), "/a");
        assert_eq!(TopicTemplate::parse("/*/a"), Err(InvalidPath::RestNotLast));
        assert_eq!(TopicTemplate::parse("/a*"), Err(InvalidPath::RestNotLast));
        assert_eq!(
            TopicTemplate::parse("/{a}/{a}"),
            Err(InvalidPath::Duplicate("a".to_owned()))
        );
        assert_eq!(TopicTemplate::parse("a"), Err(InvalidPath::NoLeadingSlash));
    }

    proptest! {
        #[test]
        fn what_parses_renders_to_what_parses_equally(text in "[/a-z{}*.:_-]{0,24}") {
            if let Ok(topic) = TopicTemplate::parse(&text) {
                prop_assert_eq!(TopicTemplate::parse(topic.as_str()), Ok(topic));
            }
            if let Ok(context) = Context::parse(&text) {
                prop_assert_eq!(Context::parse(context.as_str()), Ok(context.clone()));
                let braced = context.default_path().contains('{');
                prop_assert!(!braced);
            }
        }
    }
}
