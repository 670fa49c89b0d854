//! The form that designs a new API: five inputs, and on to its overview.

use std::sync::Arc;

use askama::Template;
use axum::Router;

use super::{
    api_form,
    apis::{self, CREATE},
    header::{OVERVIEW, plain, title},
};
use crate::{
    domain::{
        actor::Actor,
        environment::Environment,
        invalid::{Invalid, reason::REQUIRED},
        name::fold,
        plan::Plan,
        resource::Resource as _,
        user::Permission,
    },
    portal::{
        Answer, Editor, Fields, Form, Frame, Portal, Problem, Redirect, SignedIn,
        editor::{self, Saved},
        form::at_list_inputs,
        limits,
        list::Filter,
    },
    service::{
        apis::ApiInput,
        error::{ServiceError, reason},
        listing::ListQuery,
    },
};

#[derive(Template)]
#[template(path = "publisher/create.html")]
struct CreateApiPage {
    frame: Frame,
    form: Form,
    plans: Vec<Arc<Plan>>,
    /// Where clients reach the first environment, for the preview.
    gateway: String,
    may_publish: bool,
}

struct NewApi;

pub(super) fn routes() -> Router<Portal> {
    editor::route::<NewApi>(CREATE)
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

/// Puts each fault at its input, also those that the use case reports of the API as a whole.
fn at_inputs(portal: &Portal, name: &str, error: ServiceError) -> ServiceError {
    let fault = |input: &str, text: String| Invalid::one(input, REQUIRED, &text).into();
    match error {
        ServiceError::FailedPrecondition {
            reason: reason::NO_ENDPOINT,
            ..
        } => fault("endpoint", "is required to publish the API".to_owned()),
        ServiceError::FailedPrecondition {
            reason: reason::NO_PLAN,
            ..
        } => fault("plans", "are required to publish the API".to_owned()),
        ServiceError::AlreadyExists {
            resource,
            description,
        } => {
            let state = portal.service.state();
            let folded = fold(name);
            let mut versions = state.versions_of(&folded);
            let input = if versions.any(|it| it.resource() == resource) {
                "name"
            } else {
                "context"
            };
            fault(input, format!("is already in use: {description}"))
        }
        error => plain(at_list_inputs(error, &["plans"])),
    }
}

// === impl NewApi ===

impl Editor for NewApi {
    type Key = ();
    type Subject = ();

    const NEEDS: &'static [Permission] = &[Permission::DesignApis];
    const INPUTS: &'static [(&'static str, &'static str)] = &[
        ("api.api_name", "name"),
        ("api.production_endpoint", "endpoint"),
    ];

    fn load(_: &Portal, _: &SignedIn, (): &()) -> Result<(), Problem> {
        Ok(())
    }

    fn form((): &()) -> Form {
        Form::new()
    }

    async fn save(portal: &Portal, actor: &Actor, (): &(), form: &Form) -> Saved {
        let publish = form.fields().has("publish");
        let input = input(form.fields());
        let created = portal.service.create_api(actor, input, publish).await;
        let name = form.value("name").trim();
        let api = created.map_err(|error| at_inputs(portal, name, error))?;
        let title = title(&api);
        let text = if publish {
            format!(
                "API {title} created and published. Developers can find it in the developer portal."
            )
        } else {
            format!("API {title} created")
        };
        Ok(Redirect::to(OVERVIEW.path(api.id)).success(text))
    }

    fn page(portal: &Portal, signed_in: &SignedIn, (): (), form: Form) -> Answer {
        let viewer = signed_in.viewer();
        let first = ListQuery {
            order_by: "create_time".to_owned(),
            ..Filter::new().first(1)
        };
        let environments = portal.service.list::<Environment>(&first)?.items;
        let gateway = environments.first().and_then(|it| {
            let url = it.ws_url.as_ref().or(it.wss_url.as_ref())?;
            Some(url.as_str().trim_end_matches('/').to_owned())
        });
        let page = CreateApiPage {
            frame: Frame::new(signed_in, "Design a new WebSocket API"),
            form,
            plans: api_form::plans(portal)?,
            gateway: gateway.unwrap_or_else(|| "ws://gateway".to_owned()),
            may_publish: viewer.may(Permission::PublishApis) && viewer.may(Permission::DeployApis),
        };
        page.frame.show_with(page.form.status(), &page)
    }
}
