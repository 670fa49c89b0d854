//! The overview of an API: how far it is from publication, where clients reach it, its lifecycle with the allowed moves.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use tidegate_proto::ids::ApiId;

use super::{
    around::{Around, back, path, title},
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
        Answer, Frame, Portal, Posted, Problem, See, SignedIn, html::Html, list::Filter, markdown,
    },
    service::{
        catalog::{GatewayUrls, gateway_urls},
        listing::ListQuery,
    },
};

#[derive(Template)]
#[template(path = "publisher/overview.html")]
struct Overview {
    frame: Frame,
    around: Around,
    steps: [Step; 4],
    urls: Vec<GatewayUrls>,
    description: Html,
    diagram: Diagram,
    versions: Vec<Arc<Api>>,
}

/// One step to publication.
struct Step {
    what: &'static str,
    is_done: bool,
    /// What there is, or what is missing.
    how: String,
    /// Where to do it; `None` for those who may not, and on this page.
    place: Option<String>,
}

/// So many steps of the history are shown at once.
const HISTORY_SHOWN: usize = 8;

pub(super) async fn show(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path(id): Path<ApiId>,
) -> Answer {
    let actor = &signed_in.actor;
    let api = portal.service.get_api(actor, id)?;
    let urls = gateway_urls(&portal.service.state(), &api);
    let others = ListQuery {
        filter: Filter::new().is("api_name", api.name.as_str()).text(),
        ..ListQuery::default()
    };
    let versions = portal.service.list_apis(actor, &others)?.items;
    let page = Overview {
        frame: signed_in.frame(title(&api)),
        steps: steps(&signed_in, &api, &urls),
        urls,
        description: markdown::html(&api.design.description),
        diagram: Diagram::of(api.state),
        versions: versions.into_iter().filter(|it| it.id != id).collect(),
        around: Around::new(&portal, actor, api, ""),
    };
    page.frame.show(&page)
}

pub(super) async fn step(
    State(portal): State<Portal>,
    Path(id): Path<ApiId>,
    posted: Posted,
) -> Answer {
    let here = path(id, "");
    if posted.is_resumed() {
        return See::press_again(here).answer();
    }
    let action = lifecycle::read(posted.fields.text("action")).ok_or(Problem::Unreadable)?;
    let etag = posted.form().etag().to_owned();
    let did = portal
        .service
        .change_lifecycle(&posted.actor, id, action, &etag);
    back(here, did.await, |api| {
        format!("{} is {} now.", title(&api), lifecycle::name(api.state))
    })
}

fn steps(signed_in: &SignedIn, api: &Api, urls: &[GatewayUrls]) -> [Step; 4] {
    let place = |part: &str, permissions: &[Permission]| {
        let may = permissions.iter().any(|&it| signed_in.may(it));
        may.then(|| path(api.id, part))
    };
    let endpoints = &api.design.endpoints;
    let plans: Vec<_> = api.plans.iter().map(|plan| plan.as_str()).collect();
    let places: Vec<_> = urls.iter().map(|url| url.environment.as_str()).collect();
    let or = |text: String, missing: &str| {
        if text.is_empty() {
            missing.to_owned()
        } else {
            text
        }
    };
    [
        Step {
            what: "Endpoint",
            is_done: !endpoints.is_empty(),
            how: reached(endpoints),
            place: place("endpoints", &[Permission::DesignApis]),
        },
        Step {
            what: "Business plans",
            is_done: !plans.is_empty(),
            how: or(plans.join(", "), "Choose what developers subscribe under"),
            place: place("plans", &[Permission::DesignApis, Permission::AssignPlans]),
        },
        Step {
            what: "Deployed",
            is_done: !places.is_empty(),
            how: or(places.join(", "), "Put a revision on a gateway environment"),
            place: place("deployments", &[Permission::DeployApis]),
        },
        Step {
            what: "Published",
            is_done: api.state.is_listed(),
            how: if api.state.is_listed() {
                "Developers find it".to_owned()
            } else {
                "Publish it below, when the rest is done".to_owned()
            },
            place: None,
        },
    ]
}

/// Where the backend is, and which keys do not reach it.
fn reached(endpoints: &Endpoints) -> String {
    let production = endpoints.production.as_ref();
    match (production, endpoints.distinct_sandbox()) {
        (None, None) => "Say where the backend is".to_owned(),
        (None, Some(url)) => format!("{url}, for sandbox keys; production keys are refused"),
        (Some(url), None) if endpoints.sandbox_keys_on_production => {
            format!("{url}, for sandbox keys too")
        }
        (Some(url), None) => format!("{url}; sandbox keys are refused"),
        (Some(url), Some(sandbox)) => format!("{url}; {sandbox} for sandbox keys"),
    }
}

// === impl Overview ===

impl Overview {
    /// The moves that are allowed, in words: the action, its name, what it does, whether there is no way back.
    fn moves(&self) -> Vec<(Action, &'static str, &'static str, bool)> {
        let moves = lifecycle::moves(self.around.api.state);
        let moves = moves.map(|action| {
            let (name, what) = lifecycle::words(action);
            let is_final = matches!(action, Action::Deprecate | Action::Retire);
            (action, name, what, is_final)
        });
        moves.collect()
    }

    /// The history, the newest first: what is shown at once, and the rest.
    fn history(&self) -> [Vec<&LifecycleEvent>; 2] {
        let newest: Vec<_> = self.around.api.history.iter().rev().collect();
        let (shown, rest) = newest.split_at(newest.len().min(HISTORY_SHOWN));
        [shown.to_vec(), rest.to_vec()]
    }

    /// A step of the history in words.
    fn told(&self, event: &LifecycleEvent) -> &'static str {
        event
            .action
            .map_or("Create", |action| lifecycle::words(action).0)
    }

    fn state_of(&self, event: &LifecycleEvent) -> &'static str {
        event.to.as_str()
    }

    /// Who finds it.
    fn visibility(&self) -> String {
        match self.around.api.visibility {
            Visibility::Public => "Everybody".to_owned(),
            Visibility::Restricted(roles) => {
                let roles: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
                roles.join(", ")
            }
        }
    }
}
