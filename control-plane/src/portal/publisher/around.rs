//! What stands around every page of one API: its head, its tabs, and where its parts are. Also what its buttons say when a
//! use case refuses them.

use std::sync::Arc;

use tidegate_proto::ids::ApiId;

use crate::{
    domain::{
        actor::{Actor, Visitor},
        api::Api,
        lifecycle::Lifecycle,
        user::Permission,
    },
    portal::{Answer, Form, Notice, Portal, Problem, See},
    service::error::ServiceError,
};

/// The head and the tabs of an API.
pub(super) struct Around {
    /// The API as it is now.
    pub(super) api: Arc<Api>,
    /// Where its picture is; `None` when it has none.
    pub(super) picture: Option<String>,
    /// The tabs that are of use to whoever looks.
    pub(super) tabs: Vec<Tab>,
    /// Whether whoever looks may make a new version of it and delete it.
    pub(super) is_designer: bool,
}

/// A link to a page of the API.
pub(super) struct Tab {
    pub(super) name: &'static str,
    pub(super) path: String,
    pub(super) is_here: bool,
}

/// Each tab: its name, where it is below the API, and what one must be allowed to do, one of these.
const TABS: [(&str, &str, &[Permission]); 8] = [
    ("Overview", "", &[Permission::ViewApis]),
    ("Basic info", "info", &[Permission::DesignApis]),
    ("Topics", "topics", &[Permission::DesignApis]),
    ("Endpoints", "endpoints", &[Permission::DesignApis]),
    (
        "Plans",
        "plans",
        &[Permission::DesignApis, Permission::AssignPlans],
    ),
    ("Deployments", "deployments", &[Permission::ViewApis]),
    (
        "Subscribers",
        "subscribers",
        &[Permission::ManageSubscriptions],
    ),
    ("Documents", "documents", &[Permission::WriteDocuments]),
];

// === impl Around ===

impl Around {
    /// What stands around the page `here` (below the API; empty for the overview).
    pub(super) fn new(portal: &Portal, actor: &Actor, api: Arc<Api>, here: &str) -> Self {
        let tabs = TABS
            .into_iter()
            .filter(|(_, _, needs)| needs.iter().any(|&permission| actor.may(permission)));
        let tabs = tabs.map(|(name, part, _)| Tab {
            name,
            path: path(api.id, part),
            is_here: part == here,
        });
        Self {
            picture: picture(portal, actor, api.id),
            tabs: tabs.collect(),
            is_designer: actor.may(Permission::DesignApis),
            api,
        }
    }

    /// Where a part of the API is.
    pub(super) fn path(&self, part: &str) -> String {
        path(self.api.id, part)
    }

    /// What people call it.
    pub(super) fn title(&self) -> &str {
        title(&self.api)
    }

    /// Whether nothing of it can be changed any more.
    pub(super) fn is_retired(&self) -> bool {
        self.api.state == Lifecycle::Retired
    }
}

/// Where a part of an API is; the overview when `part` is empty.
pub(super) fn path(api: ApiId, part: &str) -> String {
    match part {
        "" => format!("/publisher/apis/{api}"),
        part => format!("/publisher/apis/{api}/{part}"),
    }
}

/// Where the picture of an API is; `None` when it has none. Another picture has another address.
pub(super) fn picture(portal: &Portal, actor: &Actor, api: ApiId) -> Option<String> {
    let visitor = Visitor::SignedIn(actor.clone());
    let picture = portal.service.get_thumbnail(&visitor, api).ok()?;
    Some(format!("{}?{}", path(api, "thumbnail"), picture.etag))
}

/// What people call an API.
pub(super) fn title(api: &Api) -> &str {
    match api.design.display_name.as_str() {
        "" => api.name.as_str(),
        name => name,
    }
}

/// Goes back from a button to the page that it is on, and says what it did or why it did not.
pub(super) fn back<T>(
    path: String,
    did: Result<T, ServiceError>,
    done: impl FnOnce(T) -> String,
) -> Answer {
    let notice = match did {
        Ok(it) => Notice::done(done(it)),
        Err(error) => Notice::warning(refused(error)?),
    };
    See::page(path).saying(notice).answer()
}

/// Why a button did nothing, in sentences.
fn refused(error: ServiceError) -> Result<String, Problem> {
    let mut form = Form::new();
    form.refuse(plain(error), &[])?;
    if form.conflict {
        let text = "Somebody else has changed this meanwhile, and nothing was done. This is how it is now.";
        return Ok(text.to_owned());
    }
    let faults = form.faults().iter().map(|fault| fault.sentence() + ".");
    let told: Vec<_> = form.above().iter().cloned().chain(faults).collect();
    Ok(told.join(" "))
}

/// The same error without the resource names of the admin API, which say nothing to people.
pub(super) fn plain(error: ServiceError) -> ServiceError {
    match error {
        ServiceError::AlreadyExists {
            description,
            resource,
        } => ServiceError::FailedPrecondition {
            reason: "ALREADY_EXISTS",
            resource,
            description,
        },
        other => other,
    }
}
