//! The overview of an API: the publishing checklist, where clients reach it, its lifecycle with the allowed actions.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    routing::{get, post},
};
use tidegate_proto::ids::ApiId;

use super::{
    header::{ApiHeader, DEPLOYMENTS, ENDPOINTS, OVERVIEW, PLANS, back, title},
    lifecycle::{self, Diagram},
};
use crate::{
    domain::{
        api::{Api, Visibility},
        endpoint::Endpoints,
        lifecycle::{Action, LifecycleEvent},
        user::Permission,
    },
    portal::{
        Answer, AuthenticatedForm, Frame, Portal, Problem, Redirect, SignedIn, html::Html,
        list::Filter, markdown, tab::Tab,
    },
    service::catalog::{GatewayUrls, gateway_urls},
};

#[derive(Template)]
#[template(path = "publisher/overview.html")]
struct OverviewPage {
    frame: Frame,
    header: ApiHeader,
    checklist: [ChecklistItem; 4],
    urls: Vec<GatewayUrls>,
    description: Html,
    diagram: Diagram,
    versions: Vec<Arc<Api>>,
}

/// One step of the publishing checklist.
struct ChecklistItem {
    name: &'static str,
    is_done: bool,
    /// What there is, or what is missing.
    detail: String,
    /// The page to do it on; `None` for those who may not, and for this page.
    path: Option<String>,
}

/// Where the buttons are sent that change the state.
const LIFECYCLE: &str = "/publisher/apis/{api}/lifecycle";

/// So many events of the history are shown at once.
const HISTORY_SHOWN: usize = 8;
/// So many other versions are shown.
const VERSIONS: i32 = 50;

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route(OVERVIEW.route, get(show))
        .route(LIFECYCLE, post(change_state))
}

async fn show(State(portal): State<Portal>, signed_in: SignedIn, Path(id): Path<ApiId>) -> Answer {
    let viewer = signed_in.viewer();
    let api = portal.service.get_api(viewer, id)?;
    let urls = gateway_urls(&portal.service.state(), &api);
    let others = Filter::new().is("api_name", api.name.as_str());
    let versions = portal
        .service
        .list_apis(viewer, &others.first(VERSIONS))?
        .items;
    let page = OverviewPage {
        frame: Frame::new(&signed_in, title(&api)),
        checklist: checklist(&signed_in, &api, &urls),
        urls,
        description: markdown::html(&api.design.description),
        diagram: Diagram::of(api.state),
        versions: versions.into_iter().filter(|it| it.id != id).collect(),
        header: ApiHeader::new(&portal, viewer, api, OVERVIEW.route),
    };
    page.frame.show(&page)
}

async fn change_state(
    State(portal): State<Portal>,
    Path(id): Path<ApiId>,
    submitted: AuthenticatedForm,
) -> Answer {
    let here = OVERVIEW.path(id);
    let Some(actor) = submitted.confirmed() else {
        return Redirect::press_again(here).answer();
    };
    let action = lifecycle::read(submitted.fields.text("action")).ok_or(Problem::Unreadable)?;
    let etag = submitted.form().etag().to_owned();
    let service = &portal.service;
    let changed = service.change_lifecycle(actor, id, action, &etag).await;
    back(here, changed, |api| {
        let state = lifecycle::name(api.state).to_lowercase();
        format!("API {} {state}", title(&api))
    })
}

fn checklist(signed_in: &SignedIn, api: &Api, urls: &[GatewayUrls]) -> [ChecklistItem; 4] {
    let path = |tab: &Tab, needs: &[Permission]| {
        let may = signed_in.require(needs).is_ok();
        may.then(|| tab.path(api.id))
    };
    let endpoints = &api.design.endpoints;
    let plans: Vec<_> = api.plans.iter().map(|plan| plan.as_str()).collect();
    let environments: Vec<_> = urls.iter().map(|url| url.environment.as_str()).collect();
    let or = |text: String, missing: &str| {
        if text.is_empty() {
            missing.to_owned()
        } else {
            text
        }
    };
    [
        ChecklistItem {
            name: "Endpoint",
            is_done: !endpoints.is_empty(),
            detail: reached(endpoints),
            path: path(&ENDPOINTS, ENDPOINTS.needs),
        },
        ChecklistItem {
            name: "Business plans",
            is_done: !plans.is_empty(),
            detail: or(
                plans.join(", "),
                "Choose the plans that developers can subscribe to",
            ),
            path: path(&PLANS, PLANS.needs),
        },
        ChecklistItem {
            name: "Deployment",
            is_done: !environments.is_empty(),
            detail: or(
                environments.join(", "),
                "Deploy a revision to a gateway environment",
            ),
            path: path(&DEPLOYMENTS, &[Permission::DeployApis]),
        },
        ChecklistItem {
            name: "Publication",
            is_done: api.state.is_listed(),
            detail: if api.state.is_listed() {
                "Developers can find the API".to_owned()
            } else {
                "Publish the API under Lifecycle when the other steps are done".to_owned()
            },
            path: None,
        },
    ]
}

/// Where the backend is, and which keys do not reach it.
fn reached(endpoints: &Endpoints) -> String {
    let production = endpoints.production.as_ref();
    match (production, endpoints.distinct_sandbox()) {
        (None, None) => "Enter the address of the backend".to_owned(),
        (None, Some(url)) => format!("{url} for sandbox keys; production keys are refused"),
        (Some(url), None) if endpoints.sandbox_keys_on_production => {
            format!("{url}, also for sandbox keys")
        }
        (Some(url), None) => format!("{url}; sandbox keys are refused"),
        (Some(url), Some(sandbox)) => format!("{url}; {sandbox} for sandbox keys"),
    }
}

// === impl OverviewPage ===

impl OverviewPage {
    /// The actions that are allowed: each with its name, what it does, and whether it can't be undone.
    fn moves(&self) -> Vec<(Action, &'static str, &'static str, bool)> {
        let moves = lifecycle::moves(self.header.api.state);
        let moves = moves.map(|action| {
            let (name, what) = lifecycle::describe(action);
            let is_final = matches!(action, Action::Deprecate | Action::Retire);
            (action, name, what, is_final)
        });
        moves.collect()
    }

    /// The history, the newest first: what is shown at once, and the rest.
    fn history(&self) -> [Vec<&LifecycleEvent>; 2] {
        let newest: Vec<_> = self.header.api.history.iter().rev().collect();
        let (shown, rest) = newest.split_at(newest.len().min(HISTORY_SHOWN));
        [shown.to_vec(), rest.to_vec()]
    }

    /// An event of the history in words.
    fn describe(&self, event: &LifecycleEvent) -> &'static str {
        event
            .action
            .map_or("Created", |action| lifecycle::describe(action).0)
    }

    fn state_of(&self, event: &LifecycleEvent) -> &'static str {
        event.to.as_str()
    }

    /// Who finds it.
    fn visibility(&self) -> String {
        match self.header.api.visibility {
            Visibility::Public => "Everyone".to_owned(),
            Visibility::Restricted(roles) => {
                let roles: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
                roles.join(", ")
            }
        }
    }
}
