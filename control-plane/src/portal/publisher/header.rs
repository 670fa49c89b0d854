//! What stands above every page of one API: its name and state, its tabs, and its actions. Also the answers of buttons.

use std::sync::Arc;

use tidegate_proto::ids::ApiId;

use crate::{
    domain::{
        actor::{Actor, Viewer},
        api::Api,
        lifecycle::Lifecycle,
        user::Permission,
    },
    portal::{Answer, Form, Notice, Portal, Problem, Redirect, route::link, tab::Tab},
    service::error::ServiceError,
};

/// The header of an API's page.
pub(super) struct ApiHeader {
    /// The API as it is now.
    pub(super) api: Arc<Api>,
    /// Where its thumbnail is; `None` when it has none.
    pub(super) thumbnail: Option<String>,
    /// The tabs that the viewer may open.
    pub(super) tabs: Vec<&'static Tab>,
    /// The route of the page.
    here: &'static str,
    /// Whether the viewer may make a new version of it and delete it.
    pub(super) is_designer: bool,
}

pub(super) const OVERVIEW: Tab = Tab {
    name: "Overview",
    route: "/publisher/apis/{api}",
    needs: &[Permission::ViewApis],
};
pub(super) const INFO: Tab = Tab {
    name: "Basic info",
    route: "/publisher/apis/{api}/info",
    needs: &[Permission::DesignApis],
};
pub(super) const TOPICS: Tab = Tab {
    name: "Topics",
    route: "/publisher/apis/{api}/topics",
    needs: &[Permission::DesignApis],
};
pub(super) const ENDPOINTS: Tab = Tab {
    name: "Endpoints",
    route: "/publisher/apis/{api}/endpoints",
    needs: &[Permission::DesignApis],
};
pub(super) const PLANS: Tab = Tab {
    name: "Plans",
    route: "/publisher/apis/{api}/plans",
    needs: &[Permission::DesignApis, Permission::AssignPlans],
};
pub(super) const DEPLOYMENTS: Tab = Tab {
    name: "Deployments",
    route: "/publisher/apis/{api}/deployments",
    needs: &[Permission::ViewApis],
};
pub(super) const SUBSCRIBERS: Tab = Tab {
    name: "Subscribers",
    route: "/publisher/apis/{api}/subscribers",
    needs: &[Permission::ManageSubscriptions],
};
pub(super) const DOCUMENTS: Tab = Tab {
    name: "Documents",
    route: "/publisher/apis/{api}/documents",
    needs: &[Permission::WriteDocuments],
};
static TABS: [Tab; 8] = [
    OVERVIEW,
    INFO,
    TOPICS,
    ENDPOINTS,
    PLANS,
    DEPLOYMENTS,
    SUBSCRIBERS,
    DOCUMENTS,
];
/// The page that makes a new version.
pub(super) const NEW_VERSION: &str = "/publisher/apis/{api}/version";
/// The page that deletes the API.
pub(super) const DELETE: &str = "/publisher/apis/{api}/delete";
/// The thumbnail.
pub(super) const THUMBNAIL: &str = "/publisher/apis/{api}/thumbnail";

// === impl ApiHeader ===

impl ApiHeader {
    /// The header of the page at the route `here`.
    pub(super) fn new(portal: &Portal, viewer: &Actor, api: Arc<Api>, here: &'static str) -> Self {
        let may = |tab: &&Tab| tab.needs.iter().any(|&permission| viewer.may(permission));
        Self {
            thumbnail: thumbnail(portal, viewer, api.id),
            tabs: TABS.iter().filter(may).collect(),
            here,
            is_designer: viewer.may(Permission::DesignApis),
            api,
        }
    }

    /// The path of a page of the API.
    pub(super) fn path(&self, route: &str) -> String {
        link(route, &[&self.api.id])
    }

    /// Whether the page is this tab.
    pub(super) fn is_at(&self, tab: &Tab) -> bool {
        self.here == tab.route
    }

    /// The display name.
    pub(super) fn title(&self) -> &str {
        title(&self.api)
    }

    /// Whether it can't be changed any more.
    pub(super) fn is_retired(&self) -> bool {
        self.api.state == Lifecycle::Retired
    }
}

/// Where the thumbnail of an API is; `None` when it has none. Another picture has another address.
pub(super) fn thumbnail(portal: &Portal, viewer: &Actor, api: ApiId) -> Option<String> {
    let visitor = Viewer::SignedIn(viewer.clone());
    let thumbnail = portal.service.get_thumbnail(&visitor, api).ok()?;
    Some(format!("{}?{}", link(THUMBNAIL, &[&api]), thumbnail.etag))
}

/// The display name of an API.
pub(super) fn title(api: &Api) -> &str {
    match api.design.display_name.as_str() {
        "" => api.name.as_str(),
        name => name,
    }
}

/// Goes back from a button to the page that it is on, which says what was done, or why nothing was.
pub(super) fn back<T>(
    path: String,
    result: Result<T, ServiceError>,
    done: impl FnOnce(T) -> String,
) -> Answer {
    let notice = match result {
        Ok(it) => Notice::success(done(it)),
        Err(error) => Notice::warning(refusal(error)?),
    };
    Redirect::to(path).with(notice).answer()
}

/// Why a button did nothing, in sentences.
fn refusal(error: ServiceError) -> Result<String, Problem> {
    let mut form = Form::new();
    form.refuse(plain(error), &[])?;
    if form.conflict {
        let text = "Somebody else changed this in the meantime. Nothing was done; this is the latest state.";
        return Ok(text.to_owned());
    }
    let faults = form.faults().iter().map(|fault| fault.sentence() + ".");
    let sentences: Vec<_> = form.above().iter().cloned().chain(faults).collect();
    Ok(sentences.join(" "))
}

/// The same error without the resource names of the admin API, which mean nothing to people.
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
