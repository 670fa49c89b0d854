//! The viewer's subscriptions to an API, and the form that creates one.

use askama::Template;
use axum::Router;
use tidegate_proto::ids::ApiId;

use super::{
    header::SUBSCRIPTIONS,
    links::{self, NEW_APPLICATION},
    my_applications::{MyApplication, seen_from},
    subscription::plan_options,
};
use crate::{
    domain::{
        actor::Actor,
        invalid::{Invalid, Rule, reason},
        user::Permission,
    },
    portal::{
        Answer, Editor, Fields, Form, Frame, Portal, Problem, Redirect, SignedIn,
        context::NEXT,
        editor::{self, Saved},
        format,
        tab::Tab,
    },
    service::catalog::Listing,
};

#[derive(Template)]
#[template(path = "devportal/subscribe.html")]
struct SubscribePage {
    frame: Frame,
    tab: &'static Tab,
    form: Form,
    path: String,
    seen: Vec<MyApplication>,
    /// Those of the applications that aren't subscribed.
    applications: Vec<(String, String)>,
    plans: Vec<(String, String)>,
    api: Listing,
}

struct NewSubscription;

pub(super) fn routes() -> Router<Portal> {
    editor::route::<NewSubscription>(SUBSCRIPTIONS.route)
}

impl Editor for NewSubscription {
    type Key = ApiId;
    type Subject = Listing;

    const NEEDS: &'static [Permission] = SUBSCRIPTIONS.needs;

    fn load(portal: &Portal, signed_in: &SignedIn, id: &ApiId) -> Result<Listing, Problem> {
        let visitor = signed_in.visitor();
        Ok(portal.service.get_from_catalog(&visitor, *id)?)
    }

    fn form(_: &Listing) -> Form {
        Form::new()
    }

    async fn save(portal: &Portal, actor: &Actor, id: &ApiId, form: &Form) -> Saved {
        let Ok(application) = form.value("application").parse() else {
            let fault = Invalid::one("application", reason::REQUIRED, "must be one of yours");
            return Err(fault.into());
        };
        let plan = form.value("plan").parse().map_err(|rule: Rule| {
            Invalid::one("subscription.plan", rule.reason, rule.description)
        })?;
        let service = &portal.service;
        let created = service.create_subscription(actor, application, *id, plan);
        let path = links::subscription(created.await?.id);
        Ok(Redirect::to(path).success("Subscription created"))
    }

    fn page(portal: &Portal, signed_in: &SignedIn, api: Listing, form: Form) -> Answer {
        let seen = seen_from(portal, signed_in, api.id)?;
        let free = seen.iter().filter(|it| it.subscription.is_none());
        let applications = free.map(|it| {
            let application = &it.application;
            (application.id.to_string(), application.name.to_string())
        });
        let page = SubscribePage {
            frame: Frame::new(signed_in, format!("Subscriptions to {}", api.display_name)),
            tab: &SUBSCRIPTIONS,
            path: SUBSCRIPTIONS.path(api.id),
            applications: applications.collect(),
            plans: plan_options(&api),
            seen,
            form,
            api,
        };
        page.frame.show_with(page.form.status(), &page)
    }
}

// === impl SubscribePage ===

impl SubscribePage {
    fn has_subscriptions(&self) -> bool {
        self.seen.iter().any(|it| it.subscription.is_some())
    }

    /// The form of a new application, with the way back to here.
    fn new_application(&self) -> String {
        let query = Fields::new().with(NEXT, &self.path).encode();
        format!("{NEW_APPLICATION}?{query}")
    }
}
