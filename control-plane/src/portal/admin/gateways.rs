//! Gateways: each environment with its addresses, and its nodes with how far they are behind, what they rejected, when
//! they were last seen, and how they count quotas.

use std::{sync::Arc, time::Duration};

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use tidegate_proto::revision::RevisionNumber;

use super::{
    environments::{Environments, NAV},
    resource::AdminResource as _,
};
use crate::{
    discovery::fleet::{NodeView, RejectionView},
    domain::{environment::Environment, time::Timestamp, user::Permission},
    portal::{
        Answer, Frame, Portal, Problem, SignedIn,
        list::{Filter, ListView, SEARCH},
        nodes,
        route::link,
    },
    service::standard::read_key,
};

#[derive(Template)]
#[template(path = "admin/gateways.html")]
struct GatewayList {
    frame: Frame,
    list: ListView<EnvironmentNodes>,
    number: RevisionNumber,
}

/// An environment and its nodes.
struct EnvironmentNodes {
    environment: Arc<Environment>,
    nodes: Vec<NodeView>,
    /// How many nodes are not shown.
    more: usize,
}

#[derive(Template)]
#[template(path = "admin/node.html")]
struct NodePage {
    frame: Frame,
    environment: Arc<Environment>,
    node: NodeView,
    number: RevisionNumber,
}

/// The page of one node.
const NODE: &str = "/admin/gateways/node/{environment}/{name}";
/// The state of a node that sent no report for so long is unknown; it reports every few seconds.
const STALE: Duration = Duration::from_secs(30);
/// How many environments stand on a page.
const PAGE_SIZE: i32 = 20;
/// How many rejections stand with a node in the list, and on its own page.
const REJECTIONS_LISTED: usize = 2;
const REJECTIONS_SHOWN: usize = 100;
/// How much of a rejection's reason stands in the list.
const REASON_CHARS: usize = 300;

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route(NAV.path, get(list))
        .route(NODE, get(node))
}

async fn list(State(portal): State<Portal>, signed_in: SignedIn) -> Answer {
    let viewer = signed_in.viewer();
    portal.service.may_view_nodes(viewer, None)?;
    let query = signed_in.query();
    let listed = Filter::new().page(&query, PAGE_SIZE);
    let page = portal.service.list::<Environment>(&listed)?;
    let (number, now) = (portal.service.state().number(), signed_in.now());
    let most = nodes::share(page.items.len());
    let list = ListView::new(NAV.path, query.clone(), page).map(|environment| {
        let mut found = portal.fleet.nodes(Some(&environment.name));
        found.retain(|node| node.name.contains(query.text(SEARCH).trim()));
        let tone = |node: &NodeView| health(node, number, now).0;
        let (nodes, more) = nodes::worst_first(found, most, tone);
        EnvironmentNodes {
            environment,
            nodes,
            more,
        }
    });
    let page = GatewayList {
        frame: Frame::new(&signed_in, NAV.name),
        list,
        number,
    };
    page.frame.show(&page)
}

async fn node(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path((environment, name)): Path<(String, String)>,
) -> Answer {
    let viewer = signed_in.viewer();
    let environment = read_key::<Environment>(&environment)?;
    portal.service.may_view_nodes(viewer, Some(&environment))?;
    let environment = portal.service.get::<Environment>(&environment)?;
    let node = portal.fleet.node(&environment.name, &name);
    let page = NodePage {
        frame: Frame::new(&signed_in, name),
        node: node.ok_or(Problem::NotFound)?,
        number: portal.service.state().number(),
        environment,
    };
    page.frame.show(&page)
}

/// The health of a node: a badge's class and its text.
fn health(node: &NodeView, number: RevisionNumber, now: Timestamp) -> (&'static str, &'static str) {
    if let Some(away) = node.away {
        (
            "off",
            if away.stopped {
                "Stopped"
            } else {
                "Disconnected"
            },
        )
    } else if now.since(node.last_seen) >= STALE {
        ("warn", "Unknown")
    } else if !node.rejections.is_empty() {
        ("bad", "Rejected configuration")
    } else if node.lag(number) > 0 {
        ("warn", "Behind")
    } else {
        ("good", "Up to date")
    }
}

// === impl GatewayList ===

impl GatewayList {
    fn health(&self, node: &NodeView) -> (&'static str, &'static str) {
        health(node, self.number, self.frame.now())
    }

    /// Whether to offer a search for nodes by name: where not all are shown, and where one was made.
    fn is_searched(&self) -> bool {
        !self.list.search().is_empty() || self.list.items.iter().any(|it| it.more > 0)
    }

    /// As many of a node's rejections as stand in the list.
    fn rejections<'a>(&self, node: &'a NodeView) -> &'a [RejectionView] {
        &node.rejections[..node.rejections.len().min(REJECTIONS_LISTED)]
    }

    /// The beginning of a reason.
    fn reason(&self, rejection: &RejectionView) -> String {
        let mut reason: String = rejection.reason.chars().take(REASON_CHARS).collect();
        if reason.len() < rejection.reason.len() {
            reason.push('…');
        }
        reason
    }

    /// The page of one node.
    fn path(&self, node: &NodeView) -> String {
        link(NODE, &[&node.environment, &node.name])
    }
}

// === impl NodePage ===

impl NodePage {
    /// As many of its rejections as are shown.
    fn rejections(&self) -> &[RejectionView] {
        &self.node.rejections[..self.node.rejections.len().min(REJECTIONS_SHOWN)]
    }

    fn health(&self) -> (&'static str, &'static str) {
        health(&self.node, self.number, self.frame.now())
    }
}
