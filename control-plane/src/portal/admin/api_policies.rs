//! API policies with their conditional groups: listed, made, changed, deleted. Groups and conditions are added and taken
//! away by buttons that send the form here and get it back, so that it works without scripts.

mod groups;

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};

use self::groups::{Groups, KINDS, Place};
use super::limits;
use crate::{
    domain::policy::{ApiPolicy, Per},
    portal::{
        Answer, Form, Frame, Notice, Portal, Posted, See, SignedIn,
        fields::Fields,
        list::{Filter, PAGE, Pager},
    },
    service::{api_policies::ApiPolicyInput, listing::ListQuery},
};

#[derive(Template)]
#[template(path = "admin/api_policies.html")]
struct Policies {
    frame: Frame,
    query: Fields,
    policies: Vec<Arc<ApiPolicy>>,
    pager: Pager,
}

#[derive(Template)]
#[template(path = "admin/api_policy.html")]
struct PolicyPage {
    frame: Frame,
    form: Form,
    groups: Vec<Place>,
    /// The policy that is changed; `None` for one that is made.
    policy: Option<Arc<ApiPolicy>>,
    action: String,
}

const LIST: &str = "/admin/api-policies";
const CREATE: &str = "/admin/api-policies/create";
/// How many stand on a page.
const PAGE_SIZE: i32 = 30;
/// Whose messages count together: what the form sends, and what people read.
const PER: [(&str, &str); 4] = [
    ("API", "Everybody's"),
    ("APPLICATION", "Those of one application"),
    ("USER", "Those of one user"),
    ("ADDRESS", "Those from one client address"),
];

pub(super) async fn list(State(portal): State<Portal>, signed_in: SignedIn) -> Answer {
    let query = signed_in.query();
    let listed = ListQuery {
        page_size: PAGE_SIZE,
        page_token: query.text(PAGE).to_owned(),
        filter: Filter::new().contains("name", query.text("q")).text(),
        ..ListQuery::default()
    };
    let page = portal
        .service
        .list_api_policies(&signed_in.actor, &listed)?;
    let page = Policies {
        frame: signed_in.frame("API policies"),
        pager: Pager::new(LIST, &query, &page),
        policies: page.items,
        query,
    };
    page.frame.show(&page)
}

pub(super) async fn ask(signed_in: SignedIn) -> Answer {
    let form = Form::of(limits::fresh(Fields::new(), "limits"));
    let frame = signed_in.frame("New API policy");
    show(frame, form, &Groups::default(), None)
}

pub(super) async fn create(State(portal): State<Portal>, posted: Posted) -> Answer {
    let (mut form, mut groups) = typed(&posted);
    if groups.change(posted.fields.text(groups::CHANGE)) {
        form = Form::of(groups.write(own(form.fields())));
    } else if !posted.is_resumed() {
        let input = input(form.fields(), &groups, posted.fields.text("name").trim());
        match portal.service.create_api_policy(&posted.actor, input).await {
            Ok(policy) => {
                let done = Notice::done(format!("The policy {} is there.", policy.name));
                return See::page(LIST).saying(done).answer();
            }
            Err(error) => form.refuse(groups::told(error), &[("api_policy_id", "name")])?,
        }
    }
    show(posted.frame("New API policy"), form, &groups, None)
}

pub(super) async fn open(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path(name): Path<String>,
) -> Answer {
    let policy = portal.service.get_api_policy(&signed_in.actor, &name)?;
    let fields = fields(&policy);
    let groups = Groups::read(&fields);
    let form = Form::edits(fields, policy.etag);
    let frame = signed_in.frame(policy.name.to_string());
    show(frame, form, &groups, Some(policy))
}

pub(super) async fn save(
    State(portal): State<Portal>,
    Path(name): Path<String>,
    posted: Posted,
) -> Answer {
    let (mut form, mut groups) = typed(&posted);
    if groups.change(posted.fields.text(groups::CHANGE)) {
        let fields = groups.write(own(form.fields()));
        form = Form::edits(fields, form.etag());
    } else if !posted.is_resumed() {
        let input = input(form.fields(), &groups, &name);
        let mask = vec!["*".to_owned()];
        let saved = portal
            .service
            .update_api_policy(&posted.actor, input, mask, form.etag());
        match saved.await {
            Ok(policy) => {
                let done = Notice::done(format!("The policy {} is saved.", policy.name));
                return See::page(LIST).saying(done).answer();
            }
            Err(error) => form.refuse(groups::told(error), &[])?,
        }
    }
    let policy = portal.service.get_api_policy(&posted.actor, &name)?;
    if form.conflict {
        form.meanwhile(fields(&policy), policy.etag);
        if groups.places().len() != policy.groups.len() {
            let n_groups = policy.groups.len();
            form.complain(format!(
                "What is saved now has another number of groups: {n_groups}."
            ));
        }
    }
    let frame = posted.frame(policy.name.to_string());
    show(frame, form, &groups, Some(policy))
}

pub(super) async fn delete(
    State(portal): State<Portal>,
    Path(name): Path<String>,
    posted: Posted,
) -> Answer {
    if posted.is_resumed() {
        return See::press_again(edit_path(&name)).answer();
    }
    let etag = posted.form().etag().to_owned();
    let deleted = portal
        .service
        .delete_api_policy(&posted.actor, &name, &etag);
    match deleted.await {
        Ok(()) => {
            let done = Notice::done(format!("The policy {name} is deleted."));
            See::page(LIST).saying(done).answer()
        }
        Err(error) => {
            let policy = portal.service.get_api_policy(&posted.actor, &name)?;
            let fields = fields(&policy);
            let groups = Groups::read(&fields);
            let mut form = Form::edits(fields, policy.etag);
            form.refuse_deletion(error)?;
            let frame = posted.frame(policy.name.to_string());
            show(frame, form, &groups, Some(policy))
        }
    }
}

fn show(frame: Frame, form: Form, groups: &Groups, policy: Option<Arc<ApiPolicy>>) -> Answer {
    let action = match &policy {
        Some(policy) => edit_path(policy.name.as_str()),
        None => CREATE.to_owned(),
    };
    let page = PolicyPage {
        frame,
        form,
        groups: groups.places(),
        policy,
        action,
    };
    page.frame.show_with(page.form.status(), &page)
}

fn edit_path(name: &str) -> String {
    format!("{LIST}/edit/{name}")
}

/// What was posted, its groups numbered without gaps, as faults number them.
fn typed(posted: &Posted) -> (Form, Groups) {
    let groups = Groups::read(&posted.fields);
    let form = Form::of(groups.write(own(&posted.fields)));
    (form, groups)
}

/// The fields that are the policy's own.
fn own(fields: &Fields) -> Fields {
    fields.only(|name| name != groups::CHANGE && !groups::is_of_one(name))
}

fn input(fields: &Fields, groups: &Groups, name: &str) -> ApiPolicyInput {
    let per = fields.text("per");
    ApiPolicyInput {
        name: name.to_owned(),
        display_name: fields.text("display_name").to_owned(),
        description: fields.text("description").to_owned(),
        per: Per::ALL
            .into_iter()
            .find(|known| known.as_str() == per)
            .ok_or(if per.is_empty() { 0 } else { -1 }),
        limits: Some(limits::read(fields, "limits")),
        groups: groups.input(),
    }
}

fn fields(policy: &ApiPolicy) -> Fields {
    let fields = Fields::new()
        .with("display_name", policy.display_name.as_str())
        .with("description", policy.description.as_str())
        .with("per", policy.per.as_str());
    let fields = limits::write(fields, "limits", &policy.limits);
    Groups::of(&policy.groups).write(fields)
}

// === impl Policies ===

impl Policies {
    fn per(&self, policy: &ApiPolicy) -> &'static str {
        let known = PER.iter().find(|(name, _)| *name == policy.per.as_str());
        known.map_or("", |(_, text)| text)
    }
}
