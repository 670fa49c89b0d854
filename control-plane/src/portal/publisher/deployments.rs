//! Revisions of an API, where each runs, and how far every gateway is with it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use tidegate_proto::ids::{ApiId, RevisionId};

use super::around::{Around, back, path};
use crate::{
    discovery::fleet::{NodeView, Progress},
    domain::{
        actor::Actor,
        environment::Environment,
        revision::{Deployment, REVISIONS_MAX, Revision},
        user::Permission,
    },
    portal::{Answer, Form, Frame, Notice, Portal, Posted, See, SignedIn, nodes},
    service::listing::ListQuery,
};

#[derive(Template)]
#[template(path = "publisher/deployments.html")]
struct Deployments {
    frame: Frame,
    around: Around,
    form: Form,
    /// The newest first.
    revisions: Vec<Arc<Revision>>,
    environments: Vec<Arc<Environment>>,
    running: Vec<Running>,
}

/// What runs on an environment.
struct Running {
    deployment: Arc<Deployment>,
    environment: Option<Arc<Environment>>,
    revision: Option<Arc<Revision>>,
    nodes: Vec<NodeView>,
    /// How many nodes are not shown.
    more: usize,
}

pub(super) async fn show(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path(id): Path<ApiId>,
) -> Answer {
    let frame = signed_in.frame("Deployments");
    answer(&portal, &signed_in.actor, frame, id, Form::new())
}

pub(super) async fn create(
    State(portal): State<Portal>,
    Path(id): Path<ApiId>,
    posted: Posted,
) -> Answer {
    let mut form = posted.form();
    if !posted.is_resumed() {
        let description = posted.fields.text("description");
        match portal
            .service
            .create_revision(&posted.actor, id, description)
            .await
        {
            Ok(revision) => {
                let text = format!(
                    "Revision {} is made. Deploy it to let gateways run it.",
                    revision.number
                );
                return See::page(path(id, "deployments"))
                    .saying(Notice::done(text))
                    .answer();
            }
            Err(error) => form.refuse(error, &[])?,
        }
    }
    let frame = posted.frame("Deployments");
    answer(&portal, &posted.actor, frame, id, form)
}

pub(super) async fn deploy(
    State(portal): State<Portal>,
    Path((id, revision)): Path<(ApiId, RevisionId)>,
    posted: Posted,
) -> Answer {
    let here = path(id, "deployments");
    if posted.is_resumed() {
        return See::press_again(here).answer();
    }
    let environments = environments(&posted);
    let did = portal
        .service
        .deploy_revision(&posted.actor, id, revision, &environments);
    back(here, did.await, |it| {
        format!(
            "Revision {} is deployed to {}.",
            it.number,
            environments.join(", ")
        )
    })
}

pub(super) async fn undeploy(
    State(portal): State<Portal>,
    Path((id, revision)): Path<(ApiId, RevisionId)>,
    posted: Posted,
) -> Answer {
    let here = path(id, "deployments");
    if posted.is_resumed() {
        return See::press_again(here).answer();
    }
    let environments = environments(&posted);
    let did = portal
        .service
        .undeploy_revision(&posted.actor, id, revision, &environments);
    back(here, did.await, |it| {
        format!(
            "Revision {} is taken off {}.",
            it.number,
            environments.join(", ")
        )
    })
}

pub(super) async fn restore(
    State(portal): State<Portal>,
    Path((id, revision)): Path<(ApiId, RevisionId)>,
    posted: Posted,
) -> Answer {
    let here = path(id, "deployments");
    if posted.is_resumed() {
        return See::press_again(here).answer();
    }
    let etag = posted.form().etag().to_owned();
    let did = portal
        .service
        .restore_revision(&posted.actor, id, revision, &etag);
    back(here, did.await, |_| {
        "The API is as it was in the revision. Gateways run what they ran.".to_owned()
    })
}

pub(super) async fn delete(
    State(portal): State<Portal>,
    Path((id, revision)): Path<(ApiId, RevisionId)>,
    posted: Posted,
) -> Answer {
    let here = path(id, "deployments");
    if posted.is_resumed() {
        return See::press_again(here).answer();
    }
    let did = portal
        .service
        .delete_revision(&posted.actor, id, revision)
        .await;
    back(here, did, |()| "The revision is deleted.".to_owned())
}

fn environments(posted: &Posted) -> Vec<String> {
    let names = posted.fields.all("environments");
    names.map(str::to_owned).collect()
}

fn answer(portal: &Portal, actor: &Actor, frame: Frame, id: ApiId, form: Form) -> Answer {
    let api = portal.service.get_api(actor, id)?;
    let newest = ListQuery {
        order_by: "number desc".to_owned(),
        ..ListQuery::default()
    };
    let revisions = portal.service.list_revisions(actor, id, &newest)?.items;
    let all = ListQuery {
        page_size: 500,
        ..ListQuery::default()
    };
    let environments = portal.service.list_environments(actor, &all)?.items;
    let deployments = portal.service.list_deployments(actor, id)?;
    let most = nodes::share(deployments.len());
    let running = deployments.into_iter().map(|deployment| {
        let found = portal.fleet.nodes(Some(&deployment.environment));
        let tone = |node: &NodeView| match told(node, &deployment) {
            ("good", ..) if !node.connected() => "off",
            (tone, ..) => tone,
        };
        let (nodes, more) = nodes::worst_first(found, most, tone);
        Running {
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
    let page = Deployments {
        frame,
        form,
        running: running.collect(),
        around: Around::new(portal, actor, api, "deployments"),
        revisions,
        environments,
    };
    page.frame.show_with(page.form.status(), &page)
}

// === impl Deployments ===

impl Deployments {
    /// Where a revision runs.
    fn places(&self, revision: &Revision) -> Vec<&Running> {
        let running = self.running.iter();
        running
            .filter(|it| it.deployment.revision == revision.id)
            .collect()
    }

    /// Where a revision could be deployed to: every environment that it does not run on.
    fn targets(&self, revision: &Revision) -> Vec<&Arc<Environment>> {
        let here: Vec<_> = self
            .places(revision)
            .iter()
            .map(|it| &it.deployment.environment)
            .collect();
        let environments = self.environments.iter();
        environments
            .filter(|it| !here.contains(&&it.name))
            .collect()
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
        newest.is_some_and(|it| it.design != self.around.api.design)
    }

    /// Whether a revision is what the working copy is.
    fn is_current(&self, revision: &Revision) -> bool {
        revision.design == self.around.api.design
    }
}

// === impl Running ===

impl Running {
    /// What people call the environment.
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
        told(node, &self.deployment)
    }
}

/// How far a node is: a badge's class, its text, and the node's reason.
fn told<'a>(node: &'a NodeView, deployment: &Deployment) -> (&'static str, &'static str, &'a str) {
    match node.progress(deployment) {
        Progress::Acknowledged => ("good", "Acknowledged", ""),
        Progress::Behind => ("warn", "Behind", ""),
        Progress::Rejected(reason) => ("bad", "Rejected", reason),
    }
}
