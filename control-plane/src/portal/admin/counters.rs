//! Quota counters, and their reset: those of an API, of an application, of a subscription.

use std::{str::FromStr, sync::Arc};

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    routing::{get, post},
};

use crate::{
    domain::{api::Api, application::Application, subscription::Subscription, user::Permission},
    portal::{
        Answer, AuthenticatedForm, Fields, Frame, NavItem, Portal, Problem, Redirect, SignedIn,
        list::{Filter, ListView, SEARCH},
        route::link,
    },
    service::listing::Page,
};

#[derive(Template)]
#[template(path = "admin/counters.html")]
struct CounterList {
    frame: Frame,
    kind: &'static Kind,
    list: ListView<CounterRow>,
}

/// Something that has counters.
struct CounterRow {
    name: String,
    detail: String,
    /// The plan or policy that limits it; empty for none.
    limited_by: String,
    /// Where its counters are reset.
    action: String,
}

/// A kind of what has counters.
struct Kind {
    /// What the address says.
    id: &'static str,
    /// The label of several.
    label: &'static str,
    /// One in a sentence.
    noun: &'static str,
}

/// The entry of the side navigation.
pub(super) const NAV: NavItem =
    NavItem::new("Counters", "/admin/counters", Permission::ManagePolicies);
/// Where counters are reset.
const RESET: &str = "/admin/counters/{kind}/{id}";
/// How many stand on a page.
const PAGE_SIZE: i32 = 30;
const SUBSCRIPTIONS: Kind = Kind {
    id: "subscriptions",
    label: "Subscriptions",
    noun: "subscription",
};
const APPLICATIONS: Kind = Kind {
    id: "applications",
    label: "Applications",
    noun: "application",
};
const APIS: Kind = Kind {
    id: "apis",
    label: "APIs",
    noun: "API",
};
static KINDS: [Kind; 3] = [SUBSCRIPTIONS, APPLICATIONS, APIS];

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route(NAV.path, get(list))
        .route(RESET, post(reset))
}

async fn list(State(portal): State<Portal>, signed_in: SignedIn) -> Answer {
    let (service, viewer, query) = (&portal.service, signed_in.viewer(), signed_in.query());
    let kind = KINDS.iter().find(|kind| kind.id == query.text("kind"));
    let kind = kind.unwrap_or(&KINDS[0]);
    let listed = |field| {
        let filter = Filter::new().contains(field, query.text(SEARCH));
        filter.page(&query, PAGE_SIZE)
    };
    let list = match kind.id {
        "apis" => view(&query, service.list_apis(viewer, &listed("api_name"))?).map(of_api),
        "applications" => {
            let page = service.list_applications(viewer, &listed("display_name"))?;
            view(&query, page).map(of_application)
        }
        _ => {
            let page = service.list_subscriptions(viewer, &listed("plan"))?;
            view(&query, page).map(|it| of_subscription(&portal, &signed_in, it))
        }
    };
    let page = CounterList {
        frame: Frame::new(&signed_in, NAV.name),
        kind,
        list,
    };
    page.frame.show(&page)
}

async fn reset(
    State(portal): State<Portal>,
    Path((kind, id)): Path<(String, String)>,
    submitted: AuthenticatedForm,
) -> Answer {
    let known = KINDS.iter().find(|known| known.id == kind);
    let page = known.ok_or(Problem::NotFound)?.path();
    let Some(actor) = submitted.confirmed() else {
        return Redirect::press_again(page).answer();
    };
    let service = &portal.service;
    let what = match kind.as_str() {
        "apis" => {
            let api = service.reset_api_quota(actor, parse(&id)?).await?;
            format!("{} {}", api.name, api.version)
        }
        "applications" => {
            let application = service.reset_application_quota(actor, parse(&id)?).await?;
            application.name.to_string()
        }
        _ => {
            service.reset_subscription_quota(actor, parse(&id)?).await?;
            "the subscription".to_owned()
        }
    };
    let text = format!("Counters of {what} reset");
    Redirect::to(page).success(text).answer()
}

fn view<T>(query: &Fields, page: Page<T>) -> ListView<T> {
    ListView::new(NAV.path, query.clone(), page)
}

fn parse<T: FromStr>(id: &str) -> Result<T, Problem> {
    id.parse().map_err(|_| Problem::NotFound)
}

fn of_api(api: Arc<Api>) -> CounterRow {
    let policy = api.policy.as_ref();
    CounterRow {
        name: format!("{} {}", api.name, api.version),
        detail: api.base_path(),
        limited_by: policy.map(ToString::to_string).unwrap_or_default(),
        action: APIS.reset_path(&api.id),
    }
}

fn of_application(application: Arc<Application>) -> CounterRow {
    let policy = application.policy.as_ref();
    CounterRow {
        name: application.name.to_string(),
        detail: format!("of {}", application.owner_name),
        limited_by: policy.map(ToString::to_string).unwrap_or_default(),
        action: APPLICATIONS.reset_path(&application.id),
    }
}

fn of_subscription(
    portal: &Portal,
    signed_in: &SignedIn,
    subscription: Arc<Subscription>,
) -> CounterRow {
    let (service, viewer) = (&portal.service, signed_in.viewer());
    let api = service.get_api(viewer, subscription.api);
    let api = api.map(|api| format!("{} {}", api.name, api.version));
    let application = service.get_application(viewer, subscription.application);
    let application = application.map(|it| format!("{} of {}", it.name, it.owner_name));
    CounterRow {
        name: application.unwrap_or_else(|_| subscription.application.to_string()),
        detail: format!(
            "on {}",
            api.unwrap_or_else(|_| subscription.api.to_string())
        ),
        limited_by: subscription.plan.to_string(),
        action: SUBSCRIPTIONS.reset_path(&subscription.id),
    }
}

// === impl Kind ===

impl Kind {
    /// The list of this kind.
    fn path(&self) -> String {
        let query = Fields::new().with("kind", self.id).encode();
        format!("{}?{query}", NAV.path)
    }

    fn reset_path(&self, id: &dyn std::fmt::Display) -> String {
        link(RESET, &[&self.id, id])
    }
}
