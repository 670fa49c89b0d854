//! The topics of an API, one row each, and the policies on them. Rows are added, removed and, where there are many, opened
//! by buttons that only show the form again; nothing changes before it is saved.

use std::{collections::BTreeMap, sync::Arc};

use askama::Template;
use axum::Router;

use super::{
    api_form::{ApiForm, policies},
    header::{ApiHeader, TOPICS},
};
use crate::{
    domain::{api::Api, topic::Verbs},
    portal::{
        Answer, Fields, Form, Frame, Portal, SignedIn,
        editor::{self, Typed},
        tab::Tab,
    },
    service::apis::{ApiInput, TopicInput},
};

#[derive(Template)]
#[template(path = "publisher/topics.html")]
struct TopicsPage {
    frame: Frame,
    header: ApiHeader,
    form: Form,
    rows: Vec<TopicRow>,
    policies: Vec<(String, String)>,
}

/// The names of a row's inputs.
struct TopicRow {
    index: usize,
    /// Whether it can be edited; otherwise it is a line, so that a page of many topics stays small.
    is_open: bool,
    template: String,
    mapping: String,
    verbs: String,
    policy: String,
    description: String,
}

struct TopicsEditor;

/// The buttons: to add a row, to remove one, to open one.
const ADD: &str = "add";
const REMOVE: &str = "remove";
const OPEN: &str = "open";

/// The most rows that a form is shown with; use cases refuse more topics than this.
const ROWS_MAX: usize = 201;

/// Up to so many rows are all open.
const OPEN_MAX: usize = 10;

pub(super) fn routes() -> Router<Portal> {
    editor::route::<TopicsEditor>(TOPICS.route)
}

/// What was typed without empty rows and the removed one, the others numbered from zero, so that faults name the rows that
/// are shown, and the opened one by its new number. After the button that adds one, an empty row follows.
fn numbered(typed: &Fields) -> Fields {
    let pressed = |button: &str| typed.text(button).parse::<usize>().ok();
    let (removed, opened) = (pressed(REMOVE), pressed(OPEN));
    let mut rows: BTreeMap<usize, Vec<(&str, &str)>> = BTreeMap::new();
    let mut fields = Fields::new();
    for (name, value) in typed.iter() {
        match place(name) {
            Some((index, part)) => rows.entry(index).or_default().push((part, value)),
            None if [ADD, REMOVE, OPEN].contains(&name) => {}
            None => fields = fields.with(name, value),
        }
    }
    let is_filled = |parts: &[(&str, &str)]| {
        let mut texts = parts.iter().filter(|(part, _)| *part != "verbs");
        texts.any(|(_, value)| !value.trim().is_empty())
    };
    let kept = rows
        .iter()
        .filter(|(index, parts)| Some(**index) != removed && is_filled(parts));
    let mut count = 0;
    for (index, parts) in kept.take(ROWS_MAX) {
        if opened == Some(*index) {
            fields = fields.with(OPEN, count.to_string());
        }
        for (part, value) in parts {
            fields = fields.with(format!("topics[{count}].{part}"), *value);
        }
        count += 1;
    }
    if typed.has(ADD) {
        fields = fields.with(format!("topics[{count}].template"), "");
    }
    fields
}

/// The row and the part that an input is.
fn place(name: &str) -> Option<(usize, &str)> {
    let (index, part) = name.strip_prefix("topics[")?.split_once("].")?;
    Some((index.parse().ok()?, part))
}

/// The rows that there are.
fn indices(fields: &Fields) -> Vec<usize> {
    let mut indices: Vec<_> = fields
        .iter()
        .filter_map(|(name, _)| Some(place(name)?.0))
        .collect();
    indices.sort_unstable();
    indices.dedup();
    indices
}

// === impl TopicsEditor ===

impl ApiForm for TopicsEditor {
    const TAB: Tab = TOPICS;
    const MASK: &'static [&'static str] = &["topics", "policy"];
    const LISTS: &'static [&'static str] = &[];
    const UPDATED: &'static str = "Topics updated. Policies apply immediately; deploy a new revision to apply the topics on the gateways.";

    fn form(api: &Api) -> Form {
        let policy = api.policy.as_ref().map_or("", |it| it.as_str());
        let topics = api.design.topics.iter().enumerate();
        let fields = topics.fold(
            Fields::new().with("policy", policy),
            |fields, (index, topic)| {
                let row = TopicRow::new(index);
                let verbs = [
                    ("publish", topic.verbs.publish),
                    ("subscribe", topic.verbs.subscribe),
                ];
                let verbs = verbs.into_iter().filter(|(_, is_on)| *is_on);
                let mapping = topic.mapping.as_ref().map_or("", |it| it.as_str());
                let policy = topic.policy.as_ref().map_or("", |it| it.as_str());
                fields
                    .with(row.template, topic.template.as_str())
                    .with(row.mapping, mapping)
                    .with_all(&row.verbs, verbs.map(|(verb, _)| verb))
                    .with(row.policy, policy)
                    .with(row.description, &topic.description)
            },
        );
        Form::edits(fields, api.meta.etag)
    }

    fn typed(fields: &Fields) -> Typed {
        let is_pressed = [ADD, REMOVE, OPEN].iter().any(|it| fields.has(it));
        let fields = numbered(fields);
        if is_pressed {
            Typed::Show(fields)
        } else {
            Typed::Save(fields)
        }
    }

    fn input(fields: &Fields) -> ApiInput {
        let topics = indices(fields).into_iter().map(|index| {
            let row = TopicRow::new(index);
            let text = |name: &str| fields.text(name).trim().to_owned();
            TopicInput {
                template: text(&row.template),
                mapping: text(&row.mapping),
                verbs: Verbs {
                    publish: fields.has_value(&row.verbs, "publish"),
                    subscribe: fields.has_value(&row.verbs, "subscribe"),
                },
                policy: text(&row.policy),
                description: fields.text(&row.description).to_owned(),
            }
        });
        ApiInput {
            topics: topics.collect(),
            policy: fields.text("policy").to_owned(),
            ..ApiInput::default()
        }
    }

    fn page(portal: &Portal, signed_in: &SignedIn, api: Arc<Api>, form: Form) -> Answer {
        let theirs = form.conflict.then_some(api.design.topics.len());
        let mine = indices(form.fields()).len();
        let count = mine.max(theirs.unwrap_or_default()).clamp(1, ROWS_MAX);
        let opened = form.value(OPEN).parse().ok();
        let mut rows: Vec<_> = (0..count).map(TopicRow::new).collect();
        for row in &mut rows {
            // Two versions must be compared.
            row.is_open = count <= OPEN_MAX
                || form.conflict
                || opened == Some(row.index)
                || row.is_blank(&form)
                || row.has_fault(&form);
        }
        let viewer = signed_in.viewer();
        let page = TopicsPage {
            frame: Frame::new(signed_in, TOPICS.name),
            policies: policies(portal)?,
            header: ApiHeader::new(portal, viewer, api, TOPICS.route),
            form,
            rows,
        };
        page.frame.show_with(page.form.status(), &page)
    }
}

// === impl TopicRow ===

impl TopicRow {
    fn new(index: usize) -> Self {
        let name = |part| format!("topics[{index}].{part}");
        Self {
            index,
            is_open: true,
            template: name("template"),
            mapping: name("mapping"),
            verbs: name("verbs"),
            policy: name("policy"),
            description: name("description"),
        }
    }

    /// The inputs that have one value.
    fn texts(&self) -> [&str; 4] {
        [
            &self.template,
            &self.mapping,
            &self.policy,
            &self.description,
        ]
    }

    fn is_blank(&self, form: &Form) -> bool {
        let mut texts = self.texts().into_iter();
        texts.all(|name| form.value(name).trim().is_empty())
    }

    fn has_fault(&self, form: &Form) -> bool {
        let mut names = self.texts().into_iter().chain([self.verbs.as_str()]);
        names.any(|name| form.fault_of(name).is_some())
    }

    /// What a row that isn't open carries on: the names and values of its inputs that have any.
    fn carried<'a>(&'a self, form: &'a Form) -> impl Iterator<Item = (&'a str, &'a str)> {
        let texts = self
            .texts()
            .into_iter()
            .map(|name| (name, form.value(name)));
        let verbs = form.fields().all(&self.verbs);
        let verbs = verbs.map(|verb| (self.verbs.as_str(), verb));
        texts.filter(|(_, value)| !value.is_empty()).chain(verbs)
    }
}

#[cfg(test)]
mod tests {
    use super::{ADD, ApiForm as _, Fields, OPEN, REMOVE, TopicsEditor, indices, numbered};

    fn typed() -> Fields {
        Fields::new()
            .with("policy", "p")
            .with("topics[0].template", "/a")
            .with("topics[0].verbs", "publish")
            .with("topics[1].template", " ")
            .with("topics[1].verbs", "publish")
            .with("topics[7].template", "/b")
    }

    #[test]
    fn rows_without_text_are_left_out_and_the_others_close_up() {
        let fields = numbered(&typed().with(OPEN, "7").with(REMOVE, "9"));
        assert_eq!(fields.text(OPEN), "1");
        assert_eq!(indices(&fields), [0, 1]);
        let input = TopicsEditor::input(&fields);
        let templates: Vec<_> = input.topics.iter().map(|it| it.template.as_str()).collect();
        assert_eq!(templates, ["/a", "/b"]);
        assert_eq!(input.policy, "p");
        assert!(input.topics[0].verbs.publish && !input.topics[0].verbs.subscribe);
    }

    #[test]
    fn a_row_is_removed_or_added_by_its_number() {
        let fields = numbered(&typed().with(REMOVE, "0").with(ADD, "1"));
        assert_eq!(indices(&fields), [0, 1]);
        assert_eq!(fields.text("topics[0].template"), "/b");
        assert_eq!(fields.text("topics[1].template"), "");
    }
}
