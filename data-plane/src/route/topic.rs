//! Whether a path matches a topic, and which of a topic's parameters is what.

use tidegate_proto::path::Segment;

use crate::snapshot::model::Topic;

/// The values of a template's parameters, by name.
pub(super) type Params = Vec<(String, String)>;

/// The first topic that matches the normalised segments below the base path, with its parameters.
///
/// The topics come sorted, the most specific first.
pub(super) fn find(topics: &[Topic], segments: &[&str]) -> Option<(usize, Params)> {
    topics.iter().enumerate().find_map(|(index, topic)| {
        let params = matches(topic.template.segments(), segments)?;
        Some((index, params))
    })
}

fn matches(template: &[Segment], segments: &[&str]) -> Option<Params> {
    let mut params = Vec::new();
    let mut rest = segments.iter();
    for part in template {
        match (part, rest.next()) {
            (Segment::Rest, _) => return Some(params),
            (Segment::Literal(literal), Some(segment)) if literal == segment => {}
            (Segment::Parameter(name), Some(segment)) if !segment.is_empty() => {
                params.push((name.clone(), (*segment).to_owned()));
            }
            _ => return None,
        }
    }
    rest.next().is_none().then_some(params)
}
