//! Application policies: listed, made, changed, deleted.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};

use super::limits;
use crate::{
    domain::policy::ApplicationPolicy,
    portal::{
        Answer, Form, Frame, Notice, Portal, Posted, See, SignedIn,
        fields::Fields,
        list::{Filter, PAGE, Pager},
    },
    service::{application_policies::ApplicationPolicyInput, listing::ListQuery},
};

#[derive(Template)]
#[template(path = "admin/application_policies.html")]
struct Policies {
    frame: Frame,
    query: Fields,
    policies: Vec<Arc<ApplicationPolicy>>,
    pager: Pager,
}

#[derive(Template)]
#[template(path = "admin/application_policy.html")]
struct PolicyPage {
    frame: Frame,
    form: Form,
    /// The policy that is changed; `None` for one that is made.
    policy: Option<Arc<ApplicationPolicy>>,
    action: String,
}

const LIST: &str = "/admin/application-policies";
const CREATE: &str = "/admin/application-policies/create";
/// How many stand on a page.
const PAGE_SIZE: i32 = 30;

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
        .list_application_policies(&signed_in.actor, &listed)?;
    let page = Policies {
        frame: signed_in.frame("Application policies"),
        pager: Pager::new(LIST, &query, &page),
        policies: page.items,
        query,
    };
    page.frame.show(&page)
}

pub(super) async fn ask(signed_in: SignedIn) -> Answer {
    let form = Form::of(limits::fresh(Fields::new(), "limits"));
    show(signed_in.frame("New application policy"), form, None)
}

pub(super) async fn create(State(portal): State<Portal>, posted: Posted) -> Answer {
    let mut form = posted.form();
    if !posted.is_resumed() {
        let input = input(&posted.fields, posted.fields.text("name").trim());
        let made = portal
            .service
            .create_application_policy(&posted.actor, input);
        match made.await {
            Ok(policy) => {
                let done = Notice::done(format!("The policy {} is there.", policy.name));
                return See::page(LIST).saying(done).answer();
            }
            Err(error) => form.refuse(error, &[("application_policy_id", "name")])?,
        }
    }
    show(posted.frame("New application policy"), form, None)
}

pub(super) async fn open(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path(name): Path<String>,
) -> Answer {
    let policy = portal
        .service
        .get_application_policy(&signed_in.actor, &name)?;
    let form = Form::edits(fields(&policy), policy.etag);
    show(signed_in.frame(policy.name.to_string()), form, Some(policy))
}

pub(super) async fn save(
    State(portal): State<Portal>,
    Path(name): Path<String>,
    posted: Posted,
) -> Answer {
    let mut form = posted.form();
    if !posted.is_resumed() {
        let (input, etag) = (input(&posted.fields, &name), form.etag());
        let mask = vec!["*".to_owned()];
        let saved = portal
            .service
            .update_application_policy(&posted.actor, input, mask, etag);
        match saved.await {
            Ok(policy) => {
                let done = Notice::done(format!("The policy {} is saved.", policy.name));
                return See::page(LIST).saying(done).answer();
            }
            Err(error) => form.refuse(error, &[])?,
        }
    }
    let policy = portal
        .service
        .get_application_policy(&posted.actor, &name)?;
    if form.conflict {
        form.meanwhile(fields(&policy), policy.etag);
    }
    show(posted.frame(policy.name.to_string()), form, Some(policy))
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
        .delete_application_policy(&posted.actor, &name, &etag);
    match deleted.await {
        Ok(()) => {
            let done = Notice::done(format!("The policy {name} is deleted."));
            See::page(LIST).saying(done).answer()
        }
        Err(error) => {
            let policy = portal
                .service
                .get_application_policy(&posted.actor, &name)?;
            let mut form = Form::edits(fields(&policy), policy.etag);
            form.refuse_deletion(error)?;
            show(posted.frame(policy.name.to_string()), form, Some(policy))
        }
    }
}

fn show(frame: Frame, form: Form, policy: Option<Arc<ApplicationPolicy>>) -> Answer {
    let action = match &policy {
        Some(policy) => edit_path(policy.name.as_str()),
        None => CREATE.to_owned(),
    };
    let page = PolicyPage {
        frame,
        form,
        policy,
        action,
    };
    page.frame.show_with(page.form.status(), &page)
}

fn edit_path(name: &str) -> String {
    format!("{LIST}/edit/{name}")
}

fn input(fields: &Fields, name: &str) -> ApplicationPolicyInput {
    ApplicationPolicyInput {
        name: name.to_owned(),
        display_name: fields.text("display_name").to_owned(),
        description: fields.text("description").to_owned(),
        per_token: fields.has("per_token"),
        limits: Some(limits::read(fields, "limits")),
    }
}

fn fields(policy: &ApplicationPolicy) -> Fields {
    let fields = Fields::new()
        .with("display_name", policy.display_name.as_str())
        .with("description", policy.description.as_str())
        .with_all("per_token", policy.per_token.then_some("1"));
    limits::write(fields, "limits", &policy.limits)
}
