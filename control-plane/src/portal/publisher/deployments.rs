//! Revisions of an API, where each runs, and how far every gateway is with it.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    routing::{get, post},
};
use tidegate_proto::ids::{ApiId, RevisionId};

use super::header::{ApiHeader, DEPLOYMENTS, back};
use crate::{
    discovery::fleet::{NodeView, Progress},
    domain::{
        environment::Environment,
        revision::{Deployment, REVISIONS_MAX, Revision},
        user::Permission,
    },
    portal::{
        Answer, AuthenticatedForm, Form, Frame, Portal, Redirect, SignedIn, list::Filter, nodes,
        route::link,
    },
    service::listing::ListQuery,
};

#[derive(Template)]
#[template(path = "publisher/deployments.html")]
struct DeploymentsPage {
    frame: Frame,
    header: ApiHeader,
    form: Form,
    /// The newest first.
    revisions: Vec<Arc<Revision>>,
    environments: Vec<Arc<Environment>>,
    running: Vec<RunningRevision>,
}

/// What runs on an environment.
struct RunningRevision {
    deployment: Arc<Deployment>,
    environment: Option<Arc<Environment>>,
    revision: Option<Arc<Revision>>,
    nodes: Vec<NodeView>,
    /// How many nodes are not shown.
    more: usize,
}

/// Where a new revision is sent, and the buttons of one.
const CREATE: &str = "/publisher/apis/{api}/revisions";
const DEPLOY: &str = "/publisher/apis/{api}/revisions/{revision}/deploy";
const UNDEPLOY: &str = "/publisher/apis/{api}/revisions/{revision}/undeploy";
const RESTORE: &str = "/publisher/apis/{api}/revisions/{revision}/restore";
const DELETE: &str = "/publisher/apis/{api}/revisions/{revision}/delete";
/// As many environments as there may be.
const ALL: i32 = 500;

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route(DEPLOYMENTS.route, get(show))
        .route(CREATE, post(create))
        .route(DEPLOY, post(deploy))
        .route(UNDEPLOY, post(undeploy))
        .route(RESTORE, post(restore))
        .route(DELETE, post(delete))
}

async fn show(State(portal): State<Portal>, signed_in: SignedIn, Path(id): Path<ApiId>) -> Answer {
    page(&portal, &signed_in, id, Form::new())
}

async fn create(
    State(portal): State<Portal>,
    Path(id): Path<ApiId>,
    submitted: AuthenticatedForm,
) -> Answer {
    let mut form = submitted.form();
    if let Some(actor) = submitted.confirmed() {
        let description = form.value("description");
        let service = &portal.service;
        match service.create_revision(actor, id, description).await {
            Ok(revision) => {
                let text = format!(
                    "Revision {} created. Deploy it to run it on the gateways.",
                    revision.number
                );
                let next = Redirect::to(DEPLOYMENTS.path(id));
                return next.success(text).answer();
            }
            Err(error) => form.refuse(error, &[])?,
        }
    }
    page(&portal, submitted.signed_in(), id, form)
}

async fn deploy(
    State(portal): State<Portal>,
    Path((id, revision)): Path<(ApiId, RevisionId)>,
    submitted: AuthenticatedForm,
) -> Answer {
    let here = DEPLOYMENTS.path(id);
    let Some(actor) = submitted.confirmed() else {
        return Redirect::press_again(here).answer();
    };
    let environments = environments(&submitted);
    let service = &portal.service;
    let deployed = service.deploy_revision(actor, id, revision, &environments);
    back(here, deployed.await, |it| {
        let environments = environments.join(", ");
        format!("Revision {} deployed to {environments}", it.number)
    })
}

async fn undeploy(
    State(portal): State<Portal>,
    Path((id, revision)): Path<(ApiId, RevisionId)>,
    submitted: AuthenticatedForm,
) -> Answer {
    let here = DEPLOYMENTS.path(id);
    let Some(actor) = submitted.confirmed() else {
        return Redirect::press_again(here).answer();
    };
    let environments = environments(&submitted);
    let service = &portal.service;
    let undeployed = service.undeploy_revision(actor, id, revision, &environments);
    back(here, undeployed.await, |it| {
        let environments = environments.join(", ");
        format!("Revision {} undeployed from {environments}", it.number)
    })
}

async fn restore(
    State(portal): State<Portal>,
    Path((id, revision)): Path<(ApiId, RevisionId)>,
    submitted: AuthenticatedForm,
) -> Answer {
    let here = DEPLOYMENTS.path(id);
    let Some(actor) = submitted.confirmed() else {
        return Redirect::press_again(here).answer();
    };
    let etag = submitted.form().etag().to_owned();
    let service = &portal.service;
    let restored = service.restore_revision(actor, id, revision, &etag);
    back(here, restored.await, |_| {
        "API restored from the revision. The deployments stay as they are.".to_owned()
    })
}

async fn delete(
    State(portal): State<Portal>,
    Path((id, revision)): Path<(ApiId, RevisionId)>,
    submitted: AuthenticatedForm,
) -> Answer {
    let here = DEPLOYMENTS.path(id);
    let Some(actor) = submitted.confirmed() else {
        return Redirect::press_again(here).answer();
    };
    let deleted = portal.service.delete_revision(actor, id, revision).await;
    back(here, deleted, |()| "Revision deleted".to_owned())
}

fn environments(submitted: &AuthenticatedForm) -> Vec<String> {
    let names = submitted.fields.all("environments");
    names.map(str::to_owned).collect()
}

fn page(portal: &Portal, signed_in: &SignedIn, id: ApiId, form: Form) -> Answer {
    let (service, viewer) = (&portal.service, signed_in.viewer());
    let api = service.get_api(viewer, id)?;
    let newest = ListQuery {
        order_by: "number desc".to_owned(),
        ..ListQuery::default()
    };
    let revisions = service.list_revisions(viewer, id, &newest)?.items;
    let all = Filter::new().first(ALL);
    let environments = service.list::<Environment>(&all)?.items;
    let deployments = service.list_deployments(viewer, id)?;
    let most = nodes::share(deployments.len());
    let running = deployments.into_iter().map(|deployment| {
        let found = portal.fleet.nodes(Some(&deployment.environment));
        let tone = |node: &NodeView| match progress(node, &deployment) {
            ("good", ..) if !node.connected() => "off",
            (tone, ..) => tone,
        };
        let (nodes, more) = nodes::worst_first(found, most, tone);
        RunningRevision {
            environment: environments
                .iter()
                .find(|it| it.name == deployment.environment)
                .cloned(),
            revision: revisions
                .iter()
                .find(|it| it.id == deployment.revision)
                .cloned(),
            nodes,
            more,
            deployment,
        }
    });
    let page = DeploymentsPage {
        frame: Frame::new(signed_in, DEPLOYMENTS.name),
        form,
        running: running.collect(),
        header: ApiHeader::new(portal, viewer, api, DEPLOYMENTS.route),
        revisions,
        environments,
    };
    page.frame.show_with(page.form.status(), &page)
}

// === impl DeploymentsPage ===

impl DeploymentsPage {
    /// Where a revision runs.
    fn running_on(&self, revision: &Revision) -> Vec<&RunningRevision> {
        let running = self.running.iter();
        running
            .filter(|it| it.deployment.revision == revision.id)
            .collect()
    }

    /// Where a revision could be deployed to: every environment that it does not run on.
    fn targets(&self, revision: &Revision) -> Vec<&Arc<Environment>> {
        let here: Vec<_> = self
            .running_on(revision)
            .iter()
            .map(|it| &it.deployment.environment)
            .collect();
        let environments = self.environments.iter();
        environments
            .filter(|it| !here.contains(&&it.name))
            .collect()
    }

    /// The path of a button of a revision.
    fn path(&self, route: &str, revision: &RevisionId) -> String {
        link(route, &[&self.header.api.id, revision])
    }

    fn is_full(&self) -> bool {
        self.revisions.len() >= REVISIONS_MAX
    }

    fn most(&self) -> usize {
        REVISIONS_MAX
    }

    /// Whether the working copy differs from its newest revision.
    fn is_ahead(&self) -> bool {
        let newest = self.revisions.first();
        newest.is_some_and(|it| it.design != self.header.api.design)
    }

    /// Whether a revision is what the working copy is.
    fn is_current(&self, revision: &Revision) -> bool {
        revision.design == self.header.api.design
    }
}

// === impl RunningRevision ===

impl RunningRevision {
    /// The display name of the environment.
    fn name(&self) -> &str {
        let display = self
            .environment
            .as_ref()
            .map_or("", |it| it.display_name.as_str());
        match display {
            "" => self.deployment.environment.as_str(),
            display => display,
        }
    }

    fn number(&self) -> String {
        self.revision
            .as_ref()
            .map_or_else(String::new, |it| it.number.to_string())
    }

    fn progress<'a>(&self, node: &'a NodeView) -> (&'static str, &'static str, &'a str) {
        progress(node, &self.deployment)
    }
}

/// How far a node is: a badge's class, its text, and the node's reason.
fn progress<'a>(
    node: &'a NodeView,
    deployment: &Deployment,
) -> (&'static str, &'static str, &'a str) {
    match node.progress(deployment) {
        Progress::Acknowledged => ("good", "Acknowledged", ""),
        Progress::Behind => ("warn", "Behind", ""),
        Progress::Rejected(reason) => ("bad", "Rejected", reason),
    }
}
