//! The form that designs a new API: five fields, and on to its overview.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;

use super::{
    around::{path, plain, title},
    edit::{DESIGN, gather, plans},
};
use crate::{
    domain::{actor::Actor, name::fold, plan::Plan, user::Permission},
    portal::{
        Answer, Form, Frame, Notice, Portal, Posted, Problem, See, SignedIn, devportal::limits,
        fields::Fields,
    },
    service::{
        apis::ApiInput,
        error::{ServiceError, reason},
        listing::ListQuery,
    },
};

#[derive(Template)]
#[template(path = "publisher/create.html")]
struct Create {
    frame: Frame,
    form: Form,
    plans: Vec<Arc<Plan>>,
    /// Where clients reach the first environment, for the preview.
    gateway: String,
    may_publish: bool,
}

pub(super) async fn ask(State(portal): State<Portal>, signed_in: SignedIn) -> Answer {
    signed_in.demands(DESIGN)?;
    let frame = signed_in.frame("Design a new WebSocket API");
    show(&portal, &signed_in.actor, frame, Form::new())
}

pub(super) async fn take(State(portal): State<Portal>, posted: Posted) -> Answer {
    let mut form = posted.form();
    if !posted.is_resumed() {
        let publish = posted.fields.has("publish");
        let input = input(&posted.fields);
        match portal
            .service
            .create_api(&posted.actor, input, publish)
            .await
        {
            Ok(api) => {
                let did = if publish {
                    "created and published. Developers find it in the developer portal"
                } else {
                    "created"
                };
                let notice = Notice::done(format!("{} is {did}.", title(&api)));
                return See::page(path(api.id, "")).saying(notice).answer();
            }
            Err(error) => refuse(&portal, &mut form, error)?,
        }
    }
    let frame = posted.frame("Design a new WebSocket API");
    show(&portal, &posted.actor, frame, form)
}

fn show(portal: &Portal, actor: &Actor, frame: Frame, form: Form) -> Answer {
    let first = ListQuery {
        page_size: 1,
        order_by: "create_time".to_owned(),
        ..ListQuery::default()
    };
    let environments = portal.service.list_environments(actor, &first)?.items;
    let gateway = environments.first().and_then(|it| {
        let url = it.ws_url.as_ref().or(it.wss_url.as_ref())?;
        Some(url.as_str().trim_end_matches('/').to_owned())
    });
    let page = Create {
        frame,
        form,
        plans: plans(portal, actor)?,
        gateway: gateway.unwrap_or_else(|| "ws://gateway".to_owned()),
        may_publish: actor.may(Permission::PublishApis) && actor.may(Permission::DeployApis),
    };
    page.frame.show_with(page.form.status(), &page)
}

fn input(fields: &Fields) -> ApiInput {
    let line = |name| fields.text(name).trim().to_owned();
    ApiInput {
        name: line("name"),
        context: line("context"),
        version: line("version"),
        production_endpoint: line("endpoint"),
        plans: fields.all("plans").map(str::to_owned).collect(),
        ..ApiInput::default()
    }
}

/// Puts each fault beside its field, also those that the use case tells of the API as a whole.
fn refuse(portal: &Portal, form: &mut Form, error: ServiceError) -> Result<(), Problem> {
    match error {
        ServiceError::FailedPrecondition {
            reason: reason::NO_ENDPOINT,
            ..
        } => form.fault("endpoint", "must be given to publish the API"),
        ServiceError::FailedPrecondition {
            reason: reason::NO_PLAN,
            ..
        } => form.fault("plans", "must be chosen to publish the API, at least one"),
        ServiceError::AlreadyExists {
            ref resource,
            ref description,
        } => {
            let state = portal.service.state();
            let typed = fold(form.value("name").trim());
            let mut named = state.versions_of(&typed);
            let input = if named.any(|it| it.resource() == *resource) {
                "name"
            } else {
                "context"
            };
            form.fault(input, format!("is taken: {description}"));
        }
        error => {
            let names = [
                ("api.api_name", "name"),
                ("api.production_endpoint", "endpoint"),
            ];
            form.refuse(plain(gather(error, &["plans"])), &names)?;
        }
    }
    Ok(())
}
