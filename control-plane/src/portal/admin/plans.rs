//! Business plans: listed, made, changed, deleted.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};

use super::limits;
use crate::{
    domain::plan::Plan,
    portal::{
        Answer, Form, Frame, Notice, Portal, Posted, See, SignedIn,
        fields::Fields,
        list::{Filter, PAGE, Pager},
    },
    service::{listing::ListQuery, plans::PlanInput},
};

#[derive(Template)]
#[template(path = "admin/plans.html")]
struct Plans {
    frame: Frame,
    query: Fields,
    plans: Vec<Arc<Plan>>,
    pager: Pager,
}

#[derive(Template)]
#[template(path = "admin/plan.html")]
struct PlanPage {
    frame: Frame,
    form: Form,
    /// The plan that is changed; `None` for one that is made.
    plan: Option<Arc<Plan>>,
    action: String,
}

const LIST: &str = "/admin/plans";
const CREATE: &str = "/admin/plans/create";
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
    let page = portal.service.list_plans(&signed_in.actor, &listed)?;
    let page = Plans {
        frame: signed_in.frame("Business plans"),
        pager: Pager::new(LIST, &query, &page),
        plans: page.items,
        query,
    };
    page.frame.show(&page)
}

pub(super) async fn ask(signed_in: SignedIn) -> Answer {
    let form = Form::of(limits::fresh(Fields::new(), "limits"));
    show(signed_in.frame("New business plan"), form, None)
}

pub(super) async fn create(State(portal): State<Portal>, posted: Posted) -> Answer {
    let mut form = posted.form();
    if !posted.is_resumed() {
        let input = input(&posted.fields, posted.fields.text("name").trim());
        match portal.service.create_plan(&posted.actor, input).await {
            Ok(plan) => {
                let done = Notice::done(format!("The plan {} is there.", plan.name));
                return See::page(LIST).saying(done).answer();
            }
            Err(error) => form.refuse(error, &[("plan_id", "name")])?,
        }
    }
    show(posted.frame("New business plan"), form, None)
}

pub(super) async fn open(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path(name): Path<String>,
) -> Answer {
    let plan = portal.service.get_plan(&signed_in.actor, &name)?;
    let form = Form::edits(fields(&plan), plan.etag);
    show(signed_in.frame(plan.name.to_string()), form, Some(plan))
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
        let saved = portal.service.update_plan(&posted.actor, input, mask, etag);
        match saved.await {
            Ok(plan) => {
                let done = Notice::done(format!("The plan {} is saved.", plan.name));
                return See::page(LIST).saying(done).answer();
            }
            Err(error) => form.refuse(error, &[])?,
        }
    }
    let plan = portal.service.get_plan(&posted.actor, &name)?;
    if form.conflict {
        form.meanwhile(fields(&plan), plan.etag);
    }
    show(posted.frame(plan.name.to_string()), form, Some(plan))
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
    match portal
        .service
        .delete_plan(&posted.actor, &name, &etag)
        .await
    {
        Ok(()) => {
            let done = Notice::done(format!("The plan {name} is deleted."));
            See::page(LIST).saying(done).answer()
        }
        Err(error) => {
            let plan = portal.service.get_plan(&posted.actor, &name)?;
            let mut form = Form::edits(fields(&plan), plan.etag);
            form.refuse_deletion(error)?;
            show(posted.frame(plan.name.to_string()), form, Some(plan))
        }
    }
}

fn show(frame: Frame, form: Form, plan: Option<Arc<Plan>>) -> Answer {
    let action = match &plan {
        Some(plan) => edit_path(plan.name.as_str()),
        None => CREATE.to_owned(),
    };
    let page = PlanPage {
        frame,
        form,
        plan,
        action,
    };
    page.frame.show_with(page.form.status(), &page)
}

fn edit_path(name: &str) -> String {
    format!("{LIST}/edit/{name}")
}

fn input(fields: &Fields, name: &str) -> PlanInput {
    PlanInput {
        name: name.to_owned(),
        display_name: fields.text("display_name").to_owned(),
        description: fields.text("description").to_owned(),
        limits: Some(limits::read(fields, "limits")),
    }
}

fn fields(plan: &Plan) -> Fields {
    let fields = Fields::new()
        .with("display_name", plan.display_name.as_str())
        .with("description", plan.description.as_str());
    limits::write(fields, "limits", &plan.limits)
}
