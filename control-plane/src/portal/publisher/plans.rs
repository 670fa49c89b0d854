//! The plans that an API is offered under.

use std::sync::Arc;

use askama::Template;
use axum::Router;

use super::{
    api_form::{self, ApiForm},
    header::{ApiHeader, PLANS},
};
use crate::{
    domain::{api::Api, plan::Plan},
    portal::{Answer, Fields, Form, Frame, Portal, SignedIn, editor, limits, tab::Tab},
    service::apis::ApiInput,
};

#[derive(Template)]
#[template(path = "publisher/plans.html")]
struct PlansPage {
    frame: Frame,
    header: ApiHeader,
    form: Form,
    plans: Vec<Arc<Plan>>,
}

struct PlansEditor;

pub(super) fn routes() -> Router<Portal> {
    editor::route::<PlansEditor>(PLANS.route)
}

// === impl PlansEditor ===

impl ApiForm for PlansEditor {
    const TAB: Tab = PLANS;
    const MASK: &'static [&'static str] = &["plans"];
    const LISTS: &'static [&'static str] = &["plans"];
    const UPDATED: &'static str = "Plans updated. The change applies immediately.";

    fn form(api: &Api) -> Form {
        let plans = api.plans.iter().map(|plan| plan.as_str());
        Form::edits(Fields::new().with_all("plans", plans), api.meta.etag)
    }

    fn input(fields: &Fields) -> ApiInput {
        ApiInput {
            plans: fields.all("plans").map(str::to_owned).collect(),
            ..ApiInput::default()
        }
    }

    fn page(portal: &Portal, signed_in: &SignedIn, api: Arc<Api>, form: Form) -> Answer {
        let viewer = signed_in.viewer();
        let page = PlansPage {
            frame: Frame::new(signed_in, PLANS.name),
            plans: api_form::plans(portal)?,
            header: ApiHeader::new(portal, viewer, api, PLANS.route),
            form,
        };
        page.frame.show_with(page.form.status(), &page)
    }
}
