//! Gateways: each environment with its addresses, and its nodes with how far they are behind, what they rejected, when
//! they last said anything, and how they count quotas.

use std::{sync::Arc, time::Duration};

use askama::Template;
use axum::extract::{Path, State};
use tidegate_proto::revision::RevisionNumber;

use crate::{
    discovery::fleet::NodeView,
    domain::{environment::Environment, time::Timestamp, user::Permission},
    portal::{
        Answer, Frame, Portal, Problem, SignedIn,
        list::{PAGE, Pager},
    },
    service::listing::ListQuery,
};

#[derive(Template)]
#[template(path = "admin/gateways.html")]
struct Gateways {
    frame: Frame,
    environments: Vec<(Arc<Environment>, Vec<NodeView>)>,
    number: RevisionNumber,
    pager: Pager,
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
    let environments = page.items.into_iter().map(|environment| {
        let nodes = portal.fleet.nodes(Some(&environment.name));
        (environment, nodes)
    });
    let page = Gateways {
        frame: signed_in.frame("Gateways"),
        environments: environments.collect(),
        number: portal.service.state().number(),
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
    if !node.connected {
        ("off", "Away")
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

    /// Where one node is told about.
    fn path(&self, node: &NodeView) -> String {
        let name: String = form_urlencoded::byte_serialize(node.name.as_bytes()).collect();
        let name = name.replace('+', "%20");
        format!("/admin/gateways/node/{}/{name}", node.environment)
    }
}

// === impl Node ===

impl Node {
    fn health(&self) -> (&'static str, &'static str) {
        health(&self.node, self.number, self.frame.now())
    }
}
