//! One subscription: what is left of its plan, the form that changes the plan, and unsubscribing.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use tidegate_proto::ids::SubscriptionId;

use super::{
    confirm::Confirmation,
    header::OVERVIEW,
    links::{self, SUBSCRIPTION},
};
use crate::{
    domain::{
        actor::Actor,
        name::EnvironmentName,
        subscription::{Subscription, SubscriptionState},
        usage::QuotaUsage,
        user::Permission,
    },
    portal::{
        Answer, AuthenticatedForm, Editor, Fields, Form, Frame, Notice, Portal, Problem, Redirect,
        SignedIn,
        editor::{self, Saved},
        format::{self, number, sentence},
        limits,
        route::link,
    },
    service::{
        catalog::Listing,
        error::ServiceError,
        subscriptions::{Parties, SubscriptionInput, SubscriptionUpdate},
        usage::SubscriptionUsage,
    },
};

#[derive(Template)]
#[template(path = "devportal/subscription.html")]
struct SubscriptionPage {
    frame: Frame,
    form: Form,
    path: String,
    subscription: Arc<Subscription>,
    parties: Parties,
    usage: SubscriptionUsage,
    /// Empty where the API isn't offered any more: the plan stays then.
    plans: Vec<(String, String)>,
}

struct PlanEditor;

const UNSUBSCRIBE: &str = "/devportal/subscriptions/{subscription}/leave";

pub(super) fn routes() -> Router<Portal> {
    editor::route::<PlanEditor>(SUBSCRIPTION).route(UNSUBSCRIBE, get(ask).post(unsubscribe))
}

async fn ask(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path(id): Path<SubscriptionId>,
) -> Answer {
    signed_in.require(&[Permission::Subscribe])?;
    let subscription = portal.service.get_subscription(signed_in.viewer(), id)?;
    let Parties { application, api } = parties(&portal, &subscription)?;
    let page = Confirmation {
        frame: Frame::new(&signed_in, "Unsubscribe?"),
        path: link(UNSUBSCRIBE, &[&id]),
        back: links::subscription(id),
        etag: subscription.meta.etag.to_string(),
        question: format!(
            "{} is unsubscribed from {} {}.",
            application.name, api.name, api.version
        ),
        consequences: &[
            "Its open sessions on the API are closed, and new ones are refused.",
            "The usage of the plan is deleted.",
        ],
        button: "Unsubscribe",
    };
    page.answer()
}

async fn unsubscribe(
    State(portal): State<Portal>,
    Path(id): Path<SubscriptionId>,
    submitted: AuthenticatedForm,
) -> Answer {
    let Some(actor) = submitted.confirmed() else {
        return Redirect::press_again(link(UNSUBSCRIBE, &[&id])).answer();
    };
    let service = &portal.service;
    let subscription = service.get_subscription(actor, id)?;
    let etag = submitted.form().etag().to_owned();
    match service.delete_subscription(actor, id, &etag).await {
        Ok(()) => Redirect::to(links::application(subscription.application))
            .success("Subscription deleted")
            .answer(),
        Err(ServiceError::FailedPrecondition { description, .. }) => {
            Redirect::to(links::subscription(id))
                .with(Notice::warning(sentence(&description)))
                .answer()
        }
        Err(error) => Err(error.into()),
    }
}

fn parties(portal: &Portal, of: &Subscription) -> Result<Parties, Problem> {
    portal.service.parties(of).ok_or(Problem::NotFound)
}

/// The plans of an API to choose from, with what they allow.
pub(super) fn plan_options(api: &Listing) -> Vec<(String, String)> {
    let plans = api.plans.iter().map(|plan| {
        let name = match plan.display_name.as_str() {
            "" => plan.name.as_str(),
            name => name,
        };
        let terms = limits::terms(&plan.limits).join(", ");
        (plan.name.to_string(), format!("{name}: {terms}"))
    });
    plans.collect()
}

// === impl PlanEditor ===

impl Editor for PlanEditor {
    type Key = SubscriptionId;
    type Subject = Arc<Subscription>;

    /// Whoever may see a subscription.
    const NEEDS: &'static [Permission] = &[];

    fn load(
        portal: &Portal,
        signed_in: &SignedIn,
        id: &SubscriptionId,
    ) -> Result<Arc<Subscription>, Problem> {
        Ok(portal.service.get_subscription(signed_in.viewer(), *id)?)
    }

    fn form(subscription: &Arc<Subscription>) -> Form {
        let fields = Fields::new().with("plan", subscription.plan.as_str());
        Form::edits(fields, subscription.meta.etag)
    }

    async fn save(portal: &Portal, actor: &Actor, id: &SubscriptionId, form: &Form) -> Saved {
        let update = SubscriptionUpdate {
            key: *id,
            input: SubscriptionInput {
                plan: form.value("plan").to_owned(),
                ..SubscriptionInput::default()
            },
            mask: vec!["plan".to_owned()],
            etag: form.etag().to_owned(),
        };
        let updated = portal.service.update_subscription(actor, update).await?;
        let text = format!("Plan changed to {}", updated.plan);
        Ok(Redirect::to(links::subscription(*id)).success(text))
    }

    fn page(
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
        let service = &portal.service;
        let usage = service.subscription_usage(signed_in.viewer(), subscription.id, seen)?;
        let parties = parties(portal, &subscription)?;
        let offered = service.get_from_catalog(&signed_in.visitor(), subscription.api);
        let title = format!("{} on {}", parties.application.name, parties.api.name);
        let page = SubscriptionPage {
            frame: Frame::new(signed_in, title),
            path: links::subscription(subscription.id),
            plans: offered.map_or_else(|_| Vec::new(), |api| plan_options(&api)),
            subscription,
            parties,
            usage,
            form,
        };
        page.frame.show_with(page.form.status(), &page)
    }
}

// === impl SubscriptionPage ===

impl SubscriptionPage {
    fn is_blocked(&self) -> bool {
        self.subscription.state != SubscriptionState::Active
    }

    fn unsubscribe_path(&self) -> String {
        link(UNSUBSCRIBE, &[&self.subscription.id])
    }

    fn limit(&self, of: &QuotaUsage) -> String {
        limits::allowance(of.unit, of.limit, of.window)
    }

    fn sessions(&self, open: &u64) -> String {
        match self.usage.plan.limits.sessions {
            Some(limit) => format!("{} of {}", number(*open), number(limit.get().into())),
            None => number(*open),
        }
    }
}
