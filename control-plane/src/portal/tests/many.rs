//! Pages of a large installation: each stays small.

use http::StatusCode;
use tidegate_proto::revision::{ContentVersion, RevisionNumber};

use super::{Page, Stage};
use crate::{
    discovery::fleet::{NodeView, RejectionView},
    domain::{actor::Actor, name::EnvironmentName},
    service::applications::ApplicationInput,
};

fn is_small(page: &Page, name: &str) {
    assert_eq!(page.status, StatusCode::OK, "{name}");
    assert!(page.text.len() < 100 * 1024, "{name}: {}", page.text.len());
}

impl Page {
    /// Where the next page is; empty on the last.
    fn next(&self) -> String {
        let link = self.text.split("rel=\"next\"").next().unwrap();
        let (_, link) = link.rsplit_once("href=\"").unwrap();
        let path = link.split('"').next().unwrap().replace("&#38;", "&");
        if self.has("rel=\"next\"") {
            path
        } else {
            String::new()
        }
    }
}

impl Stage {
    /// Nodes of the environment that ships, of which the last is not well.
    fn nodes(&self, count: usize) {
        for n in 1..=count {
            let rejection = |k| RejectionView {
                resource: format!("apis/{k}"),
                version: ContentVersion::new(1),
                reason: "the topics contradict one another".repeat(20),
            };
            let (rejections, number) = if n == count {
                (1000, RevisionNumber::ZERO)
            } else {
                (0, self.service.state().number())
            };
            self.fleet.enter(NodeView {
                environment: EnvironmentName::parse("default").unwrap(),
                name: format!("gateway-{n:04}"),
                software: "0.1.0".to_owned(),
                away: None,
                number,
                rejections: (0..rejections).map(rejection).collect(),
                last_seen: self.service.now(),
                open_sessions: 1000,
                ledger: None,
            });
        }
    }
}

#[tokio::test]
async fn the_subscriptions_of_an_application_stand_in_pages() {
    let stage = Stage::new().await;
    let sue = Actor::of(stage.service.state().user_named("sue").unwrap());
    let made = stage
        .service
        .create_application(&sue, ApplicationInput::new("Phone", ""))
        .await;
    let application = made.unwrap().id;
    for n in 0..101 {
        stage.published(&format!("Echo-{n:03}"), "").await;
    }
    let apis: Vec<_> = stage.service.state().apis().keys().copied().collect();
    for api in apis {
        let made =
            stage
                .service
                .create_subscription(&sue, application, api, "Gold".parse().unwrap());
        made.await.unwrap();
    }
    let mut browser = stage.signed_in("sue").await;
    let mut path = format!("/devportal/applications/{application}");
    for shown in [50, 50, 1] {
        let page = browser.get(&path).await;
        is_small(&page, &path);
        assert_eq!(page.text.matches("Usage and plan").count(), shown);
        assert!(page.has("101 subscriptions"));
        path = page.next();
    }
}

#[tokio::test]
async fn whom_a_deny_policy_is_about_is_found_among_many() {
    let stage = Stage::new().await;
    for n in 0..501 {
        stage.published(&format!("Echo-{n:03}"), "").await;
    }
    let mut ada = stage.signed_in("ada").await;
    let form = "/admin/deny-policies/create?kind=api";
    let page = ada.get(form).await;
    is_small(&page, "the form");
    assert!(page.has("to find 301 more"));
    let page = ada.get(&format!("{form}&q=echo-500")).await;
    assert!(page.has("Echo-500 1.0") && !page.has("Echo-499 1.0"));
    assert!(ada.get(&format!("{form}&q=nobody")).await.has("No matches"));
}

#[tokio::test]
async fn of_many_gateways_those_that_need_a_look_come_first_and_the_rest_is_counted() {
    let stage = Stage::new().await;
    stage.published("Echo", "").await;
    let state = stage.service.state();
    let api = state.apis().values().next().unwrap().id;
    stage.nodes(1000);
    let mut ada = stage.signed_in("ada").await;
    let page = ada.get("/admin/gateways").await;
    is_small(&page, "gateways");
    assert!(page.has("gateway-1000") && page.has("960 more"));
    assert!(page.has("And 998 more rejections"));
    let page = ada.get("/admin/gateways?q=-0777").await;
    assert!(page.has("gateway-0777") && !page.has("gateway-1000"));
    is_small(
        &ada.get("/admin/gateways/node/default/gateway-1000").await,
        "a node",
    );
    let page = ada.get(&format!("/publisher/apis/{api}/deployments")).await;
    is_small(&page, "deployments");
    assert!(page.has("gateway-1000") && page.has("960 more"));
}
