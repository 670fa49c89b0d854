//! The plans that an API is offered under.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use tidegate_proto::ids::ApiId;

use super::{
    around::{Around, path},
    edit::{self, DESIGN, Edit, Outcome},
};
use crate::{
    domain::{api::Api, plan::Plan, user::Permission},
    portal::{
        Answer, Form, Frame, Notice, Portal, Posted, Problem, See, SignedIn, devportal::limits,
        fields::Fields,
    },
    service::apis::ApiInput,
};

#[derive(Template)]
#[template(path = "publisher/plans.html")]
struct Plans {
    frame: Frame,
    around: Around,
    form: Form,
    plans: Vec<Arc<Plan>>,
}

const EDIT: Edit = Edit {
    mask: &["plans"],
    lists: &["plans"],
    fields: of,
    input,
};

pub(super) async fn ask(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path(id): Path<ApiId>,
) -> Answer {
    may_choose(&signed_in)?;
    let api = portal.service.get_api(&signed_in.actor, id)?;
    let page = Plans {
        frame: signed_in.frame("Plans"),
        form: EDIT.form(&api),
        plans: edit::plans(&portal, &signed_in.actor)?,
        around: Around::new(&portal, &signed_in.actor, api, "plans"),
    };
    page.frame.show(&page)
}

pub(super) async fn take(
    State(portal): State<Portal>,
    Path(id): Path<ApiId>,
    posted: Posted,
) -> Answer {
    may_choose(posted.signed_in())?;
    match EDIT.save(&portal, &posted, id, posted.form()).await? {
        Outcome::Saved => {
            let notice = Notice::done("Saved. It holds at once.");
            See::page(path(id, "plans")).saying(notice).answer()
        }
        Outcome::Again(form) => {
            let api = portal.service.get_api(&posted.actor, id)?;
            let page = Plans {
                frame: posted.frame("Plans"),
                plans: edit::plans(&portal, &posted.actor)?,
                around: Around::new(&portal, &posted.actor, api, "plans"),
                form: *form,
            };
            page.frame.show_with(page.form.status(), &page)
        }
    }
}

/// Creators and publishers choose plans.
fn may_choose(signed_in: &SignedIn) -> Result<(), Problem> {
    if signed_in.may(Permission::AssignPlans) {
        Ok(())
    } else {
        signed_in.demands(DESIGN)
    }
}

fn of(api: &Api) -> Fields {
    Fields::new().with_all("plans", api.plans.iter().map(|plan| plan.as_str()))
}

fn input(fields: &Fields) -> ApiInput {
    ApiInput {
        plans: fields.all("plans").map(str::to_owned).collect(),
        ..ApiInput::default()
    }
}
