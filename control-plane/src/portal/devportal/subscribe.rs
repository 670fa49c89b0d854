//! One's subscriptions to an API, and the form that makes one.

use askama::Template;
use axum::extract::{Path, State};

use super::{
    id, limits,
    own::{self, Own},
};
use crate::{
    domain::{subscription::Subscription, user::Permission},
    portal::{Answer, Form, Frame, Notice, Portal, Posted, See, SignedIn, fields::Fields},
    service::catalog::Listing,
};

#[derive(Template)]
#[template(path = "devportal/subscribe.html")]
struct Subscribe {
    frame: Frame,
    tab: &'static str,
    form: Form,
    path: String,
    own: Vec<Own>,
    /// Those of the applications that are not subscribed.
    applications: Vec<(String, String)>,
    plans: Vec<(String, String)>,
    api: Listing,
}

pub(super) async fn ask(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path(api): Path<String>,
) -> Answer {
    signed_in.demands(Permission::Subscribe)?;
    let api = portal
        .service
        .get_from_catalog(&signed_in.reader(), id(&api)?)?;
    answer(&portal, &signed_in, api, Form::new())
}

pub(super) async fn subscribe(
    State(portal): State<Portal>,
    Path(api): Path<String>,
    posted: Posted,
) -> Answer {
    let api = portal
        .service
        .get_from_catalog(&posted.reader(), id(&api)?)?;
    let mut form = posted.form();
    if posted.is_resumed() {
        return answer(&portal, posted.signed_in(), api, form);
    }
    let Ok(application) = form.value("application").parse() else {
        form.fault("application", "must be one of yours");
        return answer(&portal, posted.signed_in(), api, form);
    };
    let made =
        portal
            .service
            .create_subscription(&posted.actor, application, api.id, form.value("plan"));
    match made.await {
        Ok(subscription) => See::page(format!("/devportal/subscriptions/{}", subscription.id))
            .saying(Notice::done("Subscribed."))
            .answer(),
        Err(error) => {
            form.refuse(error, &[])?;
            answer(&portal, posted.signed_in(), api, form)
        }
    }
}

fn answer(portal: &Portal, signed_in: &SignedIn, api: Listing, form: Form) -> Answer {
    let own = own::about(portal, signed_in, api.id)?;
    let free = own.iter().filter(|own| own.subscription.is_none());
    let applications = free.map(|own| {
        let application = &own.application;
        (application.id.to_string(), application.name.to_string())
    });
    let page = Subscribe {
        frame: signed_in.frame(format!("Subscriptions to {}", api.display_name)),
        tab: "subscriptions",
        path: format!("/devportal/apis/{}/subscriptions", api.id),
        applications: applications.collect(),
        plans: plans(&api),
        own,
        form,
        api,
    };
    page.frame.show_with(page.form.status(), &page)
}

/// The plans of an API to choose from, with what they allow.
pub(super) fn plans(api: &Listing) -> Vec<(String, String)> {
    let plans = api.plans.iter().map(|plan| {
        let name = match plan.display_name.as_str() {
            "" => plan.name.as_str(),
            name => name,
        };
        let limits = limits::words(&plan.limits).join(", ");
        (plan.name.to_string(), format!("{name}: {limits}"))
    });
    plans.collect()
}

// === impl Subscribe ===

impl Subscribe {
    fn state(&self, of: &Subscription) -> (&'static str, &'static str) {
        own::state(of.state)
    }

    fn has_some(&self) -> bool {
        self.own.iter().any(|own| own.subscription.is_some())
    }

    /// Where an application is made, with the way back to here.
    fn new_application(&self) -> String {
        let query = Fields::new().with("next", &self.path).encode();
        format!("/devportal/applications/new?{query}")
    }

    fn takes_more(&self) -> bool {
        self.api.state.takes_subscriptions()
    }
}
