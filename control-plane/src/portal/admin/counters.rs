//! Counters of quotas, begun anew: those of an API, of an application, of a subscription.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};

use crate::{
    domain::{api::Api, application::Application, subscription::Subscription},
    portal::{
        Answer, Frame, Notice, Portal, Posted, Problem, See, SignedIn,
        fields::Fields,
        list::{Filter, PAGE, Pager},
    },
    service::listing::ListQuery,
};

#[derive(Template)]
#[template(path = "admin/counters.html")]
struct Counters {
    frame: Frame,
    query: Fields,
    kind: &'static str,
    rows: Vec<Row>,
    pager: Pager,
}

/// Something that has counters.
struct Row {
    name: String,
    more: String,
    /// The plan or policy that limits it; empty for none.
    under: String,
    /// Where its counters are begun anew.
    action: String,
}

const LIST: &str = "/admin/counters";
/// How many stand on a page.
const PAGE_SIZE: i32 = 30;
/// What has counters: what the address says, and what people read.
const KINDS: [(&str, &str); 3] = [
    ("subscriptions", "Subscriptions"),
    ("applications", "Applications"),
    ("apis", "APIs"),
];

pub(super) async fn list(State(portal): State<Portal>, signed_in: SignedIn) -> Answer {
    let (service, actor, query) = (&portal.service, &signed_in.actor, signed_in.query());
    let kind = KINDS.iter().find(|(kind, _)| *kind == query.text("kind"));
    let kind = kind.unwrap_or(&KINDS[0]).0;
    let text = query.text("q");
    let filter = match kind {
        "apis" => Filter::new().contains("api_name", text),
        "applications" => Filter::new().contains("display_name", text),
        _ => Filter::new().contains("plan", text),
    };
    let listed = ListQuery {
        page_size: PAGE_SIZE,
        page_token: query.text(PAGE).to_owned(),
        filter: filter.text(),
        ..ListQuery::default()
    };
    let (rows, pager) = match kind {
        "apis" => {
            let page = service.list_apis(actor, &listed)?;
            let rows = page.items.iter().map(of_api).collect();
            (rows, Pager::new(LIST, &query, &page))
        }
        "applications" => {
            let page = service.list_applications(actor, &listed)?;
            let rows = page.items.iter().map(of_application).collect();
            (rows, Pager::new(LIST, &query, &page))
        }
        _ => {
            let page = service.list_subscriptions(actor, &listed)?;
            let rows = page
                .items
                .iter()
                .map(|it| of_subscription(&portal, &signed_in, it));
            (rows.collect(), Pager::new(LIST, &query, &page))
        }
    };
    let page = Counters {
        frame: signed_in.frame("Counters"),
        query,
        kind,
        rows,
        pager,
    };
    page.frame.show(&page)
}

pub(super) async fn reset(
    State(portal): State<Portal>,
    Path((kind, id)): Path<(String, String)>,
    posted: Posted,
) -> Answer {
    let back = format!(
        "{LIST}?kind={}",
        if kind == "apis" || kind == "applications" {
            &kind
        } else {
            "subscriptions"
        }
    );
    if posted.is_resumed() {
        return See::press_again(back).answer();
    }
    let (service, actor) = (&portal.service, &posted.actor);
    let what = match kind.as_str() {
        "apis" => {
            let api = service.reset_api_quota(actor, parse(&id)?).await?;
            format!("{} {}", api.name, api.version)
        }
        "applications" => {
            let application = service.reset_application_quota(actor, parse(&id)?).await?;
            application.name.to_string()
        }
        "subscriptions" => {
            service.reset_subscription_quota(actor, parse(&id)?).await?;
            "the subscription".to_owned()
        }
        _ => return Err(Problem::NotFound),
    };
    let done = Notice::done(format!("The counters of {what} begin anew."));
    See::page(back).saying(done).answer()
}

fn parse<T: std::str::FromStr>(id: &str) -> Result<T, Problem> {
    id.parse().map_err(|_| Problem::NotFound)
}

fn of_api(api: &Arc<Api>) -> Row {
    let policy = api.policy.as_ref();
    Row {
        name: format!("{} {}", api.name, api.version),
        more: api.base_path(),
        under: policy.map(ToString::to_string).unwrap_or_default(),
        action: format!("{LIST}/apis/{}", api.id),
    }
}

fn of_application(application: &Arc<Application>) -> Row {
    let policy = application.policy.as_ref();
    Row {
        name: application.name.to_string(),
        more: format!("of {}", application.owner_name),
        under: policy.map(ToString::to_string).unwrap_or_default(),
        action: format!("{LIST}/applications/{}", application.id),
    }
}

fn of_subscription(portal: &Portal, by: &SignedIn, subscription: &Arc<Subscription>) -> Row {
    let api = portal.service.get_api(&by.actor, subscription.api);
    let api = api.map(|api| format!("{} {}", api.name, api.version));
    let application = portal
        .service
        .get_application(&by.actor, subscription.application);
    let application = application.map(|it| format!("{} of {}", it.name, it.owner_name));
    Row {
        name: application.unwrap_or_else(|_| subscription.application.to_string()),
        more: format!(
            "on {}",
            api.unwrap_or_else(|_| subscription.api.to_string())
        ),
        under: subscription.plan.to_string(),
        action: format!("{LIST}/subscriptions/{}", subscription.id),
    }
}

// === impl Counters ===

impl Counters {
    /// What one of them is called.
    fn noun(&self) -> &'static str {
        match self.kind {
            "apis" => "API",
            "applications" => "application",
            _ => "subscription",
        }
    }
}
