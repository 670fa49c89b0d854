//! The topics of an API, one row each, and the policies over them. Rows are added, removed and, where there are many, opened
//! by buttons that only show the form again; nothing is done before it is saved.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, State};
use tidegate_proto::ids::ApiId;

use super::{
    around::{Around, path},
    edit::{DESIGN, Edit, Outcome, policies},
};
use crate::{
    domain::{api::Api, topic::Verbs},
    portal::{Answer, Form, Frame, Notice, Portal, Posted, Problem, See, SignedIn, fields::Fields},
    service::apis::{ApiInput, TopicInput},
};

#[derive(Template)]
#[template(path = "publisher/topics.html")]
struct Topics {
    frame: Frame,
    around: Around,
    form: Form,
    rows: Vec<Row>,
    policies: Vec<(String, String)>,
}

/// The names of a row's inputs.
struct Row {
    index: usize,
    /// Whether it can be typed into; otherwise it is a line, so that a page of many topics stays small.
    is_open: bool,
    template: String,
    mapping: String,
    verbs: String,
    policy: String,
    description: String,
}

const EDIT: Edit = Edit {
    mask: &["topics", "policy"],
    lists: &[],
    fields: of,
    input,
};

/// The most rows that a form is shown with; use cases refuse more topics than this.
const ROWS_MAX: usize = 201;

/// So many rows are all open.
const OPEN_MAX: usize = 10;

pub(super) async fn ask(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path(id): Path<ApiId>,
) -> Answer {
    signed_in.demands(DESIGN)?;
    let api = portal.service.get_api(&signed_in.actor, id)?;
    let form = EDIT.form(&api);
    let frame = signed_in.frame("Topics");
    let around = Around::new(&portal, &signed_in.actor, api, "topics");
    let policies = policies(&portal, &signed_in.actor)?;
    show(frame, around, form, None, policies)
}

pub(super) async fn take(
    State(portal): State<Portal>,
    Path(id): Path<ApiId>,
    posted: Posted,
) -> Answer {
    posted.signed_in().demands(DESIGN)?;
    let typed = &posted.fields;
    let removed = typed.text("remove").parse().ok();
    let opened = typed.text("open").parse().ok();
    let is_adding = typed.has("add");
    let (fields, opened) = numbered(typed, removed, opened, is_adding);
    let form = Form::of(fields);
    let outcome = if is_adding || removed.is_some() || opened.is_some() {
        Outcome::Again(Box::new(form))
    } else {
        EDIT.save(&portal, &posted, id, form).await?
    };
    match outcome {
        Outcome::Saved => saved(id),
        Outcome::Again(form) => {
            let api = portal.service.get_api(&posted.actor, id)?;
            let around = Around::new(&portal, &posted.actor, api, "topics");
            let frame = posted.frame("Topics");
            let policies = policies(&portal, &posted.actor)?;
            show(frame, around, *form, opened, policies)
        }
    }
}

fn saved(id: ApiId) -> Answer {
    let notice = Notice::done(
        "Saved. Policies hold at once; topics with the next revision that is deployed.",
    );
    See::page(path(id, "topics")).saying(notice).answer()
}

fn show(
    frame: Frame,
    around: Around,
    form: Form,
    opened: Option<usize>,
    policies: Vec<(String, String)>,
) -> Result<axum::response::Response, Problem> {
    let theirs = form.conflict.then(|| around.api.design.topics.len());
    let mine = indices(form.fields()).len();
    let count = mine.max(theirs.unwrap_or_default()).clamp(1, ROWS_MAX);
    let mut rows: Vec<_> = (0..count).map(Row::new).collect();
    for row in &mut rows {
        // What two have changed must be compared.
        row.is_open = count <= OPEN_MAX
            || form.conflict
            || opened == Some(row.index)
            || row.is_blank(&form)
            || row.has_fault(&form);
    }
    let page = Topics {
        frame,
        around,
        form,
        rows,
        policies,
    };
    page.frame.show_with(page.form.status(), &page)
}

/// An API as the form shows it.
fn of(api: &Api) -> Fields {
    let fields = Fields::new().with("policy", api.policy.as_ref().map_or("", |it| it.as_str()));
    let topics = api.design.topics.iter().enumerate();
    topics.fold(fields, |fields, (index, topic)| {
        let row = Row::new(index);
        let verbs = [
            ("publish", topic.verbs.publish),
            ("subscribe", topic.verbs.subscribe),
        ];
        let verbs = verbs.into_iter().filter(|(_, is_on)| *is_on);
        fields
            .with(row.template, topic.template.as_str())
            .with(
                row.mapping,
                topic.mapping.as_ref().map_or("", |it| it.as_str()),
            )
            .with_all(&row.verbs, verbs.map(|(verb, _)| verb))
            .with(
                row.policy,
                topic.policy.as_ref().map_or("", |it| it.as_str()),
            )
            .with(row.description, &topic.description)
    })
}

fn input(fields: &Fields) -> ApiInput {
    let topics = indices(fields).into_iter().map(|index| {
        let row = Row::new(index);
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

/// What was typed without empty rows and the removed one, the others numbered from zero, so that faults are told of the rows
/// that are shown, and the new number of the opened one. With `is_adding`, an empty row follows.
fn numbered(
    typed: &Fields,
    removed: Option<usize>,
    opened: Option<usize>,
    is_adding: bool,
) -> (Fields, Option<usize>) {
    let mut rows: BTreeMap<usize, Vec<(&str, &str)>> = BTreeMap::new();
    let mut fields = Fields::new();
    for (name, value) in typed.iter() {
        match place(name) {
            Some((index, part)) => rows.entry(index).or_default().push((part, value)),
            None if matches!(name, "add" | "remove" | "open") => {}
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
    let (mut count, mut open) = (0, None);
    for (index, parts) in kept.take(ROWS_MAX) {
        if opened == Some(*index) {
            open = Some(count);
        }
        for (part, value) in parts {
            fields = fields.with(format!("topics[{count}].{part}"), *value);
        }
        count += 1;
    }
    if is_adding {
        fields = fields.with(format!("topics[{count}].template"), "");
    }
    (fields, open)
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

// === impl Row ===

impl Row {
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

    /// What a row that is not open carries on: the names and values of its inputs that have any.
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
    use super::{Fields, indices, input, numbered};

    fn typed() -> Fields {
        Fields::new()
            .with("policy", "p")
            .with("topics[0].template", "/a")
            .with("topics[0].verbs", "publish")
            .with("topics[1].template", " ")
            .with("topics[1].verbs", "publish")
            .with("topics[7].template", "/b")
            .with("remove", "9")
    }

    #[test]
    fn rows_without_text_are_left_out_and_the_others_close_up() {
        let (fields, opened) = numbered(&typed(), None, Some(7), false);
        assert_eq!(opened, Some(1));
        assert_eq!(indices(&fields), [0, 1]);
        let input = input(&fields);
        let templates: Vec<_> = input.topics.iter().map(|it| it.template.as_str()).collect();
        assert_eq!(templates, ["/a", "/b"]);
        assert_eq!(input.policy, "p");
        assert!(input.topics[0].verbs.publish && !input.topics[0].verbs.subscribe);
    }

    #[test]
    fn a_row_is_removed_or_added_by_its_number() {
        let (fields, _) = numbered(&typed(), Some(0), None, true);
        assert_eq!(indices(&fields), [0, 1]);
        assert_eq!(fields.text("topics[0].template"), "/b");
        assert_eq!(fields.text("topics[1].template"), "");
    }
}
