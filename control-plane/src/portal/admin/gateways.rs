//! Gateways: each environment with its addresses, and its nodes with how far they are behind, what they rejected, when
//! they last said anything, and how they count quotas.

use std::{sync::Arc, time::Duration};

use askama::Template;
use axum::extract::{Path, State};
use tidegate_proto::revision::RevisionNumber;

use crate::{
    discovery::fleet::{NodeView, RejectionView},
    domain::{environment::Environment, time::Timestamp, user::Permission},
    portal::{
        Answer, Frame, Portal, Problem, SignedIn,
        fields::Fields,
        list::{PAGE, Pager},
        nodes,
    },
    service::listing::ListQuery,
};

#[derive(Template)]
#[template(path = "admin/gateways.html")]
struct Gateways {
    frame: Frame,
    query: Fields,
    places: Vec<Place>,
    number: RevisionNumber,
    pager: Pager,
}

/// An environment and its nodes.
struct Place {
    environment: Arc<Environment>,
    nodes: Vec<NodeView>,
    /// How many nodes are not shown.
    more: usize,
}

#[derive(Template)]
#[template(path = "admin/node.html")]
struct Node {
    frame: Frame,
    environment: Arc<Environment>,
    node: NodeView,
    number: RevisionNumber,
}

/// A node that said nothing for so long is not known to be well; it speaks every few seconds.
const OLD: Duration = Duration::from_secs(30);
/// How many environments stand on a page.
const PAGE_SIZE: i32 = 20;
/// How many rejections stand with a node in the list, and on its own page.
const REJECTIONS_LISTED: usize = 2;
const REJECTIONS_SHOWN: usize = 100;
/// How much of a rejection's reason stands in the list.
const REASON_CHARS: usize = 300;

pub(super) async fn list(State(portal): State<Portal>, signed_in: SignedIn) -> Answer {
    let actor = &signed_in.actor;
    portal.service.may_view_nodes(actor, None)?;
    let query = signed_in.query();
    let listed = ListQuery {
        page_size: PAGE_SIZE,
        page_token: query.text(PAGE).to_owned(),
        ..ListQuery::default()
    };
    let page = portal.service.list_environments(actor, &listed)?;
    let pager = Pager::new("/admin/gateways", &query, &page);
    let (number, now) = (portal.service.state().number(), signed_in.now());
    let most = nodes::share(page.items.len());
    let places = page.items.into_iter().map(|environment| {
        let mut found = portal.fleet.nodes(Some(&environment.name));
        found.retain(|node| node.name.contains(query.text("q").trim()));
        let tone = |node: &NodeView| health(node, number, now).0;
        let (nodes, more) = nodes::worst_first(found, most, tone);
        Place {
            environment,
            nodes,
            more,
        }
    });
    let page = Gateways {
        frame: signed_in.frame("Gateways"),
        places: places.collect(),
        query,
        number,
        pager,
    };
    page.frame.show(&page)
}

pub(super) async fn node(
    State(portal): State<Portal>,
    signed_in: SignedIn,
    Path((environment, name)): Path<(String, String)>,
) -> Answer {
    let actor = &signed_in.actor;
    portal.service.may_view_nodes(actor, Some(&environment))?;
    let environment = portal.service.get_environment(actor, &environment)?;
    let node = portal.fleet.node(&environment.name, &name);
    let page = Node {
        frame: signed_in.frame(name),
        node: node.ok_or(Problem::NotFound)?,
        number: portal.service.state().number(),
        environment,
    };
    page.frame.show(&page)
}

/// How a node is, in one word: a badge's class and its text.
fn health(node: &NodeView, number: RevisionNumber, now: Timestamp) -> (&'static str, &'static str) {
    if let Some(away) = node.away {
        ("off", if away.stopped { "Stopped" } else { "Away" })
    } else if now.since(node.last_word) >= OLD {
        ("warn", "Unknown")
    } else if !node.rejections.is_empty() {
        ("bad", "Rejects")
    } else if node.lag(number) > 0 {
        ("warn", "Behind")
    } else {
        ("good", "Up to date")
    }
}

// === impl Gateways ===

impl Gateways {
    fn health(&self, node: &NodeView) -> (&'static str, &'static str) {
        health(node, self.number, self.frame.now())
    }

    /// Whether one looks for nodes by name: where not all stand here, and where one has.
    fn is_searched(&self) -> bool {
        !self.query.text("q").is_empty() || self.places.iter().any(|place| place.more > 0)
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

    /// Where one node is told about.
    fn path(&self, node: &NodeView) -> String {
        let name: String = form_urlencoded::byte_serialize(node.name.as_bytes()).collect();
        let name = name.replace('+', "%20");
        format!("/admin/gateways/node/{}/{name}", node.environment)
    }
}

// === impl Node ===

impl Node {
    /// As many of its rejections as are shown.
    fn rejections(&self) -> &[RejectionView] {
        &self.node.rejections[..self.node.rejections.len().min(REJECTIONS_SHOWN)]
    }

    fn health(&self) -> (&'static str, &'static str) {
        health(&self.node, self.number, self.frame.now())
    }
}
