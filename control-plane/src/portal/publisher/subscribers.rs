//! The subscribers of an API, what they have used, and buttons that block and unblock them.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    routing::{get, post},
};
use tidegate_proto::ids::{ApiId, SubscriptionId};

use super::header::{ApiHeader, SUBSCRIBERS, back};
use crate::{
    domain::{
        resource::Resource as _,
        subscription::{Subscription, SubscriptionState},
        usage::{QuotaUsage, Unit},
    },
    portal::{
        Answer, AuthenticatedForm, Frame, Portal, Problem, Redirect, SignedIn,
        format::{number, subscription_state},
        limits::per,
        list::{Filter, Pager},
        route::link,
    },
    service::{listing::ListQuery, usage::EnvironmentUsage},
};

#[derive(Template)]
#[template(path = "publisher/subscribers.html")]
struct SubscriberList {
    frame: Frame,
    header: ApiHeader,
    rows: Vec<Subscriber>,
    pager: Pager,
    chosen: String,
}

struct Subscriber {
    subscription: Arc<Subscription>,
    application: String,
    owner: String,
    usage: Vec<EnvironmentUsage>,
}

/// Where the buttons of a subscription are sent.
const SET_STATE: &str = "/publisher/apis/{api}/subscribers/{subscription}";
const PAGE_SIZE: i32 = 25;

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route(SUBSCRIBERS.route, get(list))
        .route(SET_STATE, post(set_state))
}

async fn list(State(portal): State<Portal>, signed_in: SignedIn, Path(id): Path<ApiId>) -> Answer {
    let viewer = signed_in.viewer();
    signed_in.require(SUBSCRIBERS.needs)?;
    let api = portal.service.get_api(viewer, id)?;
    let query = signed_in.query();
    let filter = Filter::new()
        .is("api", &api.resource())
        .is("state", query.text("state"));
    let listed = ListQuery {
        order_by: "create_time desc".to_owned(),
        ..filter.page(&query, PAGE_SIZE)
    };
    let page = portal.service.list_subscriptions(viewer, &listed)?;
    let pager = Pager::new(&SUBSCRIBERS.path(id), &query, &page);
    let rows = page.items.into_iter().filter_map(|subscription| {
        let parties = portal.service.parties(&subscription)?;
        let seen = |environment: &_, of: &Subscription| {
            portal
                .fleet
                .consumption(environment, of.key(), of.quota_generation)
        };
        let usage = portal
            .service
            .subscription_usage(viewer, subscription.id, seen);
        Some(Subscriber {
            application: parties.application.name.to_string(),
            owner: parties.application.owner_name.to_string(),
            usage: usage.map(|it| it.environments).unwrap_or_default(),
            subscription,
        })
    });
    let page = SubscriberList {
        frame: Frame::new(&signed_in, SUBSCRIBERS.name),
        rows: rows.collect(),
        pager,
        chosen: query.text("state").to_owned(),
        header: ApiHeader::new(&portal, viewer, api, SUBSCRIBERS.route),
    };
    page.frame.show(&page)
}

async fn set_state(
    State(portal): State<Portal>,
    Path((id, subscription)): Path<(ApiId, SubscriptionId)>,
    submitted: AuthenticatedForm,
) -> Answer {
    let here = SUBSCRIBERS.path(id);
    let Some(actor) = submitted.confirmed() else {
        return Redirect::press_again(here).answer();
    };
    let wanted = submitted.fields.text("state");
    let mut states = SubscriptionState::ALL.into_iter();
    let state = states.find(|it| it.as_str() == wanted);
    let state = state.ok_or(Problem::Unreadable)?;
    let etag = submitted.form().etag().to_owned();
    let service = &portal.service;
    let set = service.set_subscription_state(actor, subscription, state, &etag);
    back(here, set.await, |it| {
        let application = service
            .parties(&it)
            .map(|it| it.application.name.to_string());
        let application = application.unwrap_or_default();
        match it.state {
            SubscriptionState::Active => format!("Application {application} unblocked"),
            SubscriptionState::Blocked => {
                format!(
                    "Application {application} blocked. Its sessions are closed and new ones are refused."
                )
            }
            SubscriptionState::ProductionBlocked => {
                format!(
                    "Application {application} blocked for production. Its sandbox keys still reach the sandbox endpoint."
                )
            }
        }
    })
}

// === impl SubscriberList ===

impl SubscriberList {
    fn state(&self, row: &Subscriber) -> (&'static str, &'static str) {
        subscription_state(row.subscription.state)
    }

    /// The states that a row is not in, as buttons.
    fn moves(&self, row: &Subscriber) -> Vec<(SubscriptionState, &'static str)> {
        let all = [
            (SubscriptionState::Active, "Unblock"),
            (SubscriptionState::Blocked, "Block"),
            (SubscriptionState::ProductionBlocked, "Block production"),
        ];
        let others = all.into_iter().filter(|it| it.0 != row.subscription.state);
        others.collect()
    }

    /// A counter in words: what was used of how much.
    fn used(&self, quota: &QuotaUsage) -> String {
        let unit = match quota.unit {
            Unit::Messages => "messages",
            Unit::Bytes => "bytes",
            Unit::Burst => "messages (burst)",
            Unit::Connections => "new sessions",
        };
        let window = per(quota.window);
        let limit = number(quota.limit);
        match &quota.current {
            Some(now) => format!("{} of {limit} {unit} {window}", number(now.used)),
            None => format!("up to {limit} {unit} {window}"),
        }
    }

    fn share(&self, quota: &QuotaUsage) -> Option<u64> {
        let now = quota.current.as_ref()?;
        Some(
            now.used
                .saturating_mul(100)
                .checked_div(quota.limit)?
                .min(100),
        )
    }

    /// Where the buttons of a row are sent.
    fn action(&self, row: &Subscriber) -> String {
        link(SET_STATE, &[&self.header.api.id, &row.subscription.id])
    }
}
