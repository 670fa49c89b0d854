//! One subscription: what is left of its plan, another plan, and leaving.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use tidegate_proto::ids::SubscriptionId;

use super::{applications::Confirm, id, limits, own, subscribe};
use crate::{
    domain::{
        name::EnvironmentName,
        subscription::Subscription,
        usage::{QuotaUsage, Unit},
        user::Permission,
    },
    portal::{
        Answer, Form, Frame, Notice, Portal, Posted, Problem, See, SignedIn, fields::Fields,
        words::number,
    },
    service::{
        error::ServiceError,
        subscriptions::{Parties, SubscriptionUpdate},
        usage::SubscriptionUsage,
    },
};

#[derive(Template)]
#[template(path = "devportal/subscription.html")]
struct Show {
    frame: Frame,
    form: Form,
    path: String,
    subscription: Arc<Subscription>,
    parties: Parties,
    usage: SubscriptionUsage,
    /// Empty where the API is not offered any more: the plan stays then.
    plans: Vec<(String, String)>,
}

pub(super) async fn show(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path(subscription): Path<String>,
) -> Answer {
    let subscription = portal
        .service
        .get_subscription(&signed_in.actor, id(&subscription)?)?;
    let form = Form::edits(fields(&subscription), subscription.etag);
    answer(&portal, &signed_in, subscription, form)
}

pub(super) async fn change(
    State(portal): State<Portal>,
    Path(subscription): Path<String>,
    posted: Posted,
) -> Answer {
    let actor = &posted.actor;
    let subscription = portal.service.get_subscription(actor, id(&subscription)?)?;
    let mut form = posted.form();
    if posted.is_resumed() {
        return answer(&portal, posted.signed_in(), subscription, form);
    }
    let update = SubscriptionUpdate {
        id: subscription.id,
        plan: form.value("plan").to_owned(),
        application: None,
        api: None,
        mask: vec!["plan".to_owned()],
        etag: form.etag().to_owned(),
    };
    match portal.service.update_subscription(actor, update).await {
        Ok(changed) => See::page(path(changed.id))
            .saying(Notice::done(format!("The plan is {} now.", changed.plan)))
            .answer(),
        Err(error) => {
            form.refuse(error, &[])?;
            let now = portal.service.get_subscription(actor, subscription.id)?;
            if form.conflict {
                form.meanwhile(fields(&now), now.etag);
            }
            answer(&portal, posted.signed_in(), now, form)
        }
    }
}

fn answer(
    portal: &Portal,
    signed_in: &SignedIn,
    subscription: Arc<Subscription>,
    form: Form,
) -> Answer {
    let seen = |environment: &EnvironmentName, of: &Subscription| {
        portal
            .fleet
            .consumption(environment, of.key(), of.quota_generation)
    };
    let usage = portal
        .service
        .subscription_usage(&signed_in.actor, subscription.id, seen)?;
    let parties = parties(portal, &subscription)?;
    let offered = portal
        .service
        .get_from_catalog(&signed_in.reader(), subscription.api);
    let page = Show {
        frame: signed_in.frame(format!(
            "{} on {}",
            parties.application.name, parties.api.name
        )),
        path: path(subscription.id),
        plans: offered.map_or_else(|_| Vec::new(), |api| subscribe::plans(&api)),
        subscription,
        parties,
        usage,
        form,
    };
    page.frame.show_with(page.form.status(), &page)
}

pub(super) async fn ask_to_leave(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path(subscription): Path<String>,
) -> Answer {
    signed_in.demands(Permission::Subscribe)?;
    let subscription = portal
        .service
        .get_subscription(&signed_in.actor, id(&subscription)?)?;
    let Parties { application, api } = parties(&portal, &subscription)?;
    let back = path(subscription.id);
    let page = Confirm {
        frame: signed_in.frame("Leave the subscription?"),
        path: format!("{back}/leave"),
        back,
        etag: subscription.etag.to_string(),
        question: format!(
            "{} is no longer subscribed to {} {} then:",
            application.name, api.name, api.version
        ),
        lost: vec![
            "its open sessions on the API end, and new ones are refused".to_owned(),
            "what was used of the plan is forgotten".to_owned(),
        ],
        button: "Leave",
    };
    page.frame.show(&page)
}

pub(super) async fn leave(
    State(portal): State<Portal>,
    Path(subscription): Path<String>,
    posted: Posted,
) -> Answer {
    let page = format!("/devportal/subscriptions/{subscription}");
    if posted.is_resumed() {
        return See::press_again(format!("{page}/leave")).answer();
    }
    let actor = &posted.actor;
    let subscription = portal.service.get_subscription(actor, id(&subscription)?)?;
    let etag = posted.form().etag().to_owned();
    let left = portal
        .service
        .delete_subscription(actor, subscription.id, &etag)
        .await;
    match left {
        Ok(()) => See::page(format!(
            "/devportal/applications/{}",
            subscription.application
        ))
        .saying(Notice::done("The subscription is ended."))
        .answer(),
        Err(ServiceError::FailedPrecondition { description, .. }) => {
            let notice = Notice::warning(super::super::form::sentence(&description));
            See::page(page).saying(notice).answer()
        }
        Err(error) => Err(error.into()),
    }
}

fn path(of: SubscriptionId) -> String {
    format!("/devportal/subscriptions/{of}")
}

fn fields(subscription: &Subscription) -> Fields {
    Fields::new().with("plan", subscription.plan.as_str())
}

fn parties(portal: &Portal, of: &Subscription) -> Result<Parties, Problem> {
    portal.service.parties(of).ok_or(Problem::NotFound)
}

// === impl Show ===

impl Show {
    fn state(&self) -> (&'static str, &'static str) {
        own::state(self.subscription.state)
    }

    fn may_leave(&self) -> bool {
        self.frame.may(Permission::Subscribe)
    }

    fn limit(&self, of: &QuotaUsage) -> String {
        limits::allowance(of.unit, of.limit, of.window)
    }

    fn quantity(&self, unit: &Unit, amount: &u64) -> String {
        limits::quantity(*unit, *amount)
    }

    fn sessions(&self, open: &u64) -> String {
        match self.usage.plan.limits.sessions {
            Some(limit) => format!("{} of {}", number(*open), number(limit.get().into())),
            None => number(*open),
        }
    }
}
