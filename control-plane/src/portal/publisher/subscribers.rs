//! Who has subscribed to an API, what they have used, and buttons that block and unblock them.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use tidegate_proto::ids::{ApiId, SubscriptionId};

use super::around::{Around, back, path};
use crate::{
    domain::{
        subscription::{Subscription, SubscriptionState},
        usage::{QuotaUsage, Unit},
        user::Permission,
    },
    portal::{
        Answer, Frame, Portal, Posted, Problem, See, SignedIn,
        list::{Filter, PAGE, Pager},
        moment,
        words::number,
    },
    service::{listing::ListQuery, usage::EnvironmentUsage},
};

#[derive(Template)]
#[template(path = "publisher/subscribers.html")]
struct Subscribers {
    frame: Frame,
    around: Around,
    rows: Vec<Row>,
    pager: Pager,
    chosen: String,
}

struct Row {
    subscription: Arc<Subscription>,
    application: String,
    owner: String,
    usage: Vec<EnvironmentUsage>,
}

const PAGE_SIZE: i32 = 25;

pub(super) async fn list(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path(id): Path<ApiId>,
) -> Answer {
    let actor = &signed_in.actor;
    signed_in.demands(Permission::ManageSubscriptions)?;
    let api = portal.service.get_api(actor, id)?;
    let query = signed_in.query();
    let filter = Filter::new()
        .is("api", &api.resource())
        .is("state", query.text("state"));
    let listed = ListQuery {
        page_size: PAGE_SIZE,
        page_token: query.text(PAGE).to_owned(),
        filter: filter.text(),
        order_by: "create_time desc".to_owned(),
    };
    let page = portal.service.list_subscriptions(actor, &listed)?;
    let pager = Pager::new(&path(id, "subscribers"), &query, &page);
    let rows = page.items.into_iter().filter_map(|subscription| {
        let parties = portal.service.parties(&subscription)?;
        let seen = |environment: &_, of: &Subscription| {
            portal
                .fleet
                .consumption(environment, of.key(), of.quota_generation)
        };
        let usage = portal
            .service
            .subscription_usage(actor, subscription.id, seen);
        Some(Row {
            application: parties.application.name.to_string(),
            owner: parties.application.owner_name.to_string(),
            usage: usage.map(|it| it.environments).unwrap_or_default(),
            subscription,
        })
    });
    let page = Subscribers {
        frame: signed_in.frame("Subscribers"),
        rows: rows.collect(),
        pager,
        chosen: query.text("state").to_owned(),
        around: Around::new(&portal, actor, api, "subscribers"),
    };
    page.frame.show(&page)
}

pub(super) async fn set(
    State(portal): State<Portal>,
    Path((id, subscription)): Path<(ApiId, SubscriptionId)>,
    posted: Posted,
) -> Answer {
    let here = path(id, "subscribers");
    if posted.is_resumed() {
        return See::press_again(here).answer();
    }
    let wanted = posted.fields.text("state");
    let states = SubscriptionState::ALL.into_iter();
    let state = states.clone().find(|it| it.as_str() == wanted);
    let state = state.ok_or(Problem::Unreadable)?;
    let etag = posted.form().etag().to_owned();
    let service = &portal.service;
    let did = service.set_subscription_state(&posted.actor, subscription, state, &etag);
    back(here, did.await, |it| {
        let application = service
            .parties(&it)
            .map(|it| it.application.name.to_string());
        let application = application.unwrap_or_default();
        match it.state {
            SubscriptionState::Active => format!("{application} may connect again."),
            SubscriptionState::Blocked => {
                format!("{application} is blocked: its sessions end, and new ones are refused.")
            }
            SubscriptionState::ProductionBlocked => {
                format!(
                    "{application} is blocked for production; sandbox keys still reach the sandbox endpoint."
                )
            }
        }
    })
}

// === impl Subscribers ===

impl Subscribers {
    fn state(&self, row: &Row) -> (&'static str, &'static str) {
        told(row.subscription.state)
    }

    /// The states that a row is not in, as buttons.
    fn moves(&self, row: &Row) -> Vec<(SubscriptionState, &'static str)> {
        let all = [
            (SubscriptionState::Active, "Unblock"),
            (SubscriptionState::Blocked, "Block"),
            (SubscriptionState::ProductionBlocked, "Block production"),
        ];
        let others = all.into_iter().filter(|it| it.0 != row.subscription.state);
        others.collect()
    }

    /// A counter in words: what was used of how much, and until when.
    fn used(&self, quota: &QuotaUsage) -> String {
        let unit = match quota.unit {
            Unit::Messages => "messages",
            Unit::Bytes => "bytes",
            Unit::Burst => "messages at once",
            Unit::Connections => "new sessions",
        };
        let window = moment::length(quota.window.duration());
        let window = window.unwrap_or_else(|| format!("{} s", quota.window.seconds()));
        let limit = number(quota.limit);
        match &quota.current {
            Some(now) => format!("{} of {limit} {unit} in {window}", number(now.used)),
            None => format!("at most {limit} {unit} in {window}"),
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
}

/// A state of a subscription as a badge.
const fn told(state: SubscriptionState) -> (&'static str, &'static str) {
    match state {
        SubscriptionState::Active => ("good", "Active"),
        SubscriptionState::Blocked => ("bad", "Blocked"),
        SubscriptionState::ProductionBlocked => ("warn", "Production blocked"),
    }
}
