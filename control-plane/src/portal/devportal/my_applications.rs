//! The viewer's own applications, with what they have to do with an API: their subscriptions to it and their keys.

use std::sync::Arc;

use tidegate_proto::ids::ApiId;

use crate::{
    domain::{
        application::{Application, ApplicationKey},
        resource::Resource as _,
        subscription::Subscription,
        user::Permission,
    },
    portal::{Portal, SignedIn, list::Filter},
    service::{error::ServiceError, listing::ListQuery},
};

/// An application, seen from an API.
#[derive(Clone, Debug)]
pub(super) struct MyApplication {
    pub(super) application: Arc<Application>,
    pub(super) subscription: Option<Arc<Subscription>>,
    pub(super) keys: Vec<Arc<ApplicationKey>>,
}

/// More can't be chosen from.
const MOST: i32 = 500;

/// A filter for the viewer's own applications.
pub(super) fn own(signed_in: &SignedIn) -> Filter {
    Filter::new().is("owner", &format!("users/{}", signed_in.viewer().name))
}

/// The viewer's applications, seen from an API; none for those who can't have any.
pub(super) fn seen_from(
    portal: &Portal,
    signed_in: &SignedIn,
    api: ApiId,
) -> Result<Vec<MyApplication>, ServiceError> {
    if !signed_in.may(Permission::Subscribe) {
        return Ok(Vec::new());
    }
    let (service, viewer) = (&portal.service, signed_in.viewer());
    let query = ListQuery {
        order_by: "display_name".to_owned(),
        ..own(signed_in).first(MOST)
    };
    let applications = service.list_applications(viewer, &query)?.items;
    let seen = applications.into_iter().map(|application| {
        let filter = Filter::new()
            .is("application", &application.resource())
            .is("api", &format!("apis/{api}"));
        let subscriptions = service.list_subscriptions(viewer, &filter.first(1))?;
        let all = Filter::new().first(MOST);
        Ok(MyApplication {
            subscription: subscriptions.items.into_iter().next(),
            keys: service.list_keys(viewer, application.id, &all)?.items,
            application,
        })
    });
    seen.collect()
}
