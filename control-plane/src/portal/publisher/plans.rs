//! The plans that an API is offered under.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use tidegate_proto::ids::ApiId;

use super::{
    api_form::{self, Change},
    header::{ApiHeader, PLANS},
};
use crate::{
    domain::{actor::Actor, api::Api, plan::Plan, user::Permission},
    portal::{
        Answer, Editor, Fields, Form, Frame, Portal, Problem, Redirect, SignedIn,
        editor::{self, Saved},
        limits,
    },
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

const CHANGE: Change = Change {
    mask: &["plans"],
    lists: &["plans"],
    input,
};

pub(super) fn routes() -> Router<Portal> {
    editor::route::<PlansEditor>(PLANS.route)
}

fn input(fields: &Fields) -> ApiInput {
    ApiInput {
        plans: fields.all("plans").map(str::to_owned).collect(),
        ..ApiInput::default()
    }
}

// === impl PlansEditor ===

impl Editor for PlansEditor {
    type Key = ApiId;
    type Subject = Arc<Api>;

    const NEEDS: &'static [Permission] = PLANS.needs;

    fn load(portal: &Portal, signed_in: &SignedIn, id: &ApiId) -> Result<Arc<Api>, Problem> {
        api_form::load(portal, signed_in, *id)
    }

    fn form(api: &Arc<Api>) -> Form {
        let plans = api.plans.iter().map(|plan| plan.as_str());
        Form::edits(Fields::new().with_all("plans", plans), api.meta.etag)
    }

    async fn save(portal: &Portal, actor: &Actor, id: &ApiId, form: &Form) -> Saved {
        CHANGE.save(portal, actor, *id, form).await?;
        let text = "Plans updated. The change applies immediately.";
        Ok(Redirect::to(PLANS.path(*id)).success(text))
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
