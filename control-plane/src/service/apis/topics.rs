//! What the topics of an API may look like. A part of `fields`.

use tidegate_proto::path::TopicTemplate;

use super::TopicInput;
use crate::{
    domain::{
        invalid::{Faults, Rule, reason},
        name::free_text,
        policy::ApiPolicy,
        state::State,
        topic::{Mapping, Topic, Verbs},
    },
    service::guard::{at_most, existing},
};

const TOPICS_MAX: usize = 200;
const DESCRIPTION_MAX: usize = 512;

/// Reads topics; without any, everything is one.
pub(super) fn read(inputs: &[TopicInput], state: &State, faults: &mut Faults) -> Vec<Topic> {
    if inputs.is_empty() {
        return vec![Topic::everything()];
    }
    at_most("api.topics", inputs, TOPICS_MAX, faults);
    let mut topics: Vec<Topic> = Vec::new();
    for (index, input) in inputs.iter().take(TOPICS_MAX).enumerate() {
        let field = |name: &str| format!("api.topics[{index}].{name}");
        let template = faults.take(
            &field("template"),
            TopicTemplate::parse(&input.template).map_err(Rule::from),
        );
        let description = faults.take(
            &field("description"),
            free_text(&input.description, DESCRIPTION_MAX),
        );
        let policy = if input.policy.is_empty() {
            None
        } else {
            let named = ("API policy", input.policy.as_str());
            existing::<ApiPolicy>(&field("policy"), named, state, faults)
        };
        let (Some(template), Some(description)) = (template, description) else {
            continue;
        };
        if topics.iter().any(|topic| topic.template == template) {
            faults.add(
                field("template"),
                reason::DUPLICATE,
                "stands in the list twice",
            );
            continue;
        }
        let mapping = if input.mapping.is_empty() {
            None
        } else {
            faults.take(&field("mapping"), Mapping::parse(&input.mapping, &template))
        };
        let verbs = if input.verbs.publish || input.verbs.subscribe {
            input.verbs
        } else {
            Verbs::BOTH
        };
        topics.push(Topic {
            template,
            verbs,
            mapping,
            policy,
            description,
        });
    }
    topics
}
