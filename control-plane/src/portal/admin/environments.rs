//! Gateway environments: made, changed, deleted. The list is the page of the gateways.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};

use crate::{
    domain::{endpoint::EndpointUrl, environment::Environment, user::Permission},
    portal::{Answer, Form, Frame, Notice, Portal, Posted, See, SignedIn, fields::Fields},
    service::environments::EnvironmentInput,
};

#[derive(Template)]
#[template(path = "admin/environment.html")]
struct EnvironmentPage {
    frame: Frame,
    form: Form,
    /// The environment that is changed; `None` for one that is made.
    environment: Option<Arc<Environment>>,
    action: String,
}

const LIST: &str = "/admin/gateways";
const CREATE: &str = "/admin/gateways/create";
const NEW: &str = "New environment";

pub(super) async fn ask(signed_in: SignedIn) -> Answer {
    signed_in.demands(Permission::ManageEnvironments)?;
    show(signed_in.frame(NEW), Form::new(), None)
}

pub(super) async fn create(State(portal): State<Portal>, posted: Posted) -> Answer {
    let mut form = posted.form();
    if !posted.is_resumed() {
        let input = input(&posted.fields, posted.fields.text("name").trim());
        let made = portal.service.create_environment(&posted.actor, input);
        match made.await {
            Ok(made) => {
                let done = Notice::done(format!("The environment {} is there.", made.name));
                return See::page(LIST).saying(done).answer();
            }
            Err(error) => form.refuse(error, &[("environment_id", "name")])?,
        }
    }
    show(posted.frame(NEW), form, None)
}

pub(super) async fn open(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path(name): Path<String>,
) -> Answer {
    signed_in.demands(Permission::ManageEnvironments)?;
    let found = portal.service.get_environment(&signed_in.actor, &name)?;
    let form = Form::edits(fields(&found), found.etag);
    show(signed_in.frame(found.name.to_string()), form, Some(found))
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
            .update_environment(&posted.actor, input, mask, etag);
        match saved.await {
            Ok(saved) => {
                let done = Notice::done(format!("The environment {} is saved.", saved.name));
                return See::page(LIST).saying(done).answer();
            }
            Err(error) => form.refuse(error, &[])?,
        }
    }
    let found = portal.service.get_environment(&posted.actor, &name)?;
    if form.conflict {
        form.meanwhile(fields(&found), found.etag);
    }
    show(posted.frame(found.name.to_string()), form, Some(found))
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
        .delete_environment(&posted.actor, &name, &etag);
    match deleted.await {
        Ok(()) => {
            let done = Notice::done(format!("The environment {name} is deleted."));
            See::page(LIST).saying(done).answer()
        }
        Err(error) => {
            let found = portal.service.get_environment(&posted.actor, &name)?;
            let mut form = Form::edits(fields(&found), found.etag);
            form.refuse_deletion(error)?;
            show(posted.frame(found.name.to_string()), form, Some(found))
        }
    }
}

fn show(frame: Frame, form: Form, environment: Option<Arc<Environment>>) -> Answer {
    let action = match &environment {
        Some(environment) => edit_path(environment.name.as_str()),
        None => CREATE.to_owned(),
    };
    let page = EnvironmentPage {
        frame,
        form,
        environment,
        action,
    };
    page.frame.show_with(page.form.status(), &page)
}

fn edit_path(name: &str) -> String {
    format!("{LIST}/edit/{name}")
}

fn input(fields: &Fields, name: &str) -> EnvironmentInput {
    EnvironmentInput {
        name: name.to_owned(),
        display_name: fields.text("display_name").to_owned(),
        description: fields.text("description").to_owned(),
        ws_url: fields.text("ws_url").trim().to_owned(),
        wss_url: fields.text("wss_url").trim().to_owned(),
    }
}

fn fields(environment: &Environment) -> Fields {
    let text =
        |url: &Option<EndpointUrl>| url.as_ref().map(ToString::to_string).unwrap_or_default();
    Fields::new()
        .with("display_name", environment.display_name.as_str())
        .with("description", environment.description.as_str())
        .with("ws_url", text(&environment.ws_url))
        .with("wss_url", text(&environment.wss_url))
}
