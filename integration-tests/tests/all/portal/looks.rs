//! Every page as people with disabilities and people with telephones meet it, and what it weighs. The pages are found by
//! following every link, so that none is forgotten.

use std::collections::{BTreeSet, VecDeque};

use tidegate_integration_tests::{
    backend::Backend,
    person::{Person, WIDTHS},
};
use xtask::showcase;

use super::{House, PUBLISHER, SUBSCRIBER};

/// Where the links of a page lead, within the control plane.
const LINKS: &str = "[...document.links].filter((it) => it.host === location.host && !it.hash).map((it) => it.pathname + it.search)";

/// Visits what can be reached by links from here. Of pages that differ only in what they are about, the first two.
async fn visit_all(person: &mut Person, from: &[&str]) -> BTreeSet<String> {
    let mut waiting: VecDeque<_> = from.iter().map(|path| (*path).to_owned()).collect();
    let mut known: BTreeSet<_> = waiting.iter().cloned().collect();
    let mut kinds = BTreeSet::new();
    while let Some(path) = waiting.pop_front() {
        let kind = kind(&path);
        if !kinds.insert(kind.clone()) && !kinds.insert(format!("{kind}, another")) {
            continue;
        }
        person.visits(&path).await;
        let links: Vec<String> = person.page.evaluate(LINKS).await.unwrap();
        let fresh = links.into_iter().filter(|link| known.insert(link.clone()));
        waiting.extend(fresh.filter(|link| !link.contains("/thumbnail")));
    }
    kinds
        .into_iter()
        .filter(|kind| !kind.ends_with("another"))
        .collect()
}

/// A path without what it is about.
fn kind(path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let parts = path.split('/').map(|part| {
        let is_id = part.len() == 36 && part.matches('-').count() == 4;
        let is_name = part.len() > 20 || part.starts_with(|letter: char| letter.is_uppercase());
        if is_id || is_name { "*" } else { part }
    });
    let keys: BTreeSet<_> = query
        .split('&')
        .filter_map(|pair| pair.split('=').next())
        .collect();
    let keys: Vec<_> = keys.into_iter().collect();
    format!("{}?{}", parts.collect::<Vec<_>>().join("/"), keys.join("&"))
}

#[tokio::test]
async fn what_a_new_system_shows_can_be_used_by_everybody() {
    let house = House::with(0).await;
    let mut stranger = house.stranger().await;
    for path in ["/", "/sign-in", "/devportal/apis", "/devportal/nowhere"] {
        stranger.visits(path).await;
    }
    stranger.go("/sign-in").await;
    stranger.sign_in("nobody", "nothing").await;
    stranger.judges("a refused sign-in").await;
    let mut subscriber = house.person(SUBSCRIBER).await;
    for path in ["/devportal/apis", "/devportal/applications", "/admin/users"] {
        subscriber.visits(path).await;
    }
    let mut admin = house.person("admin").await;
    for path in [
        "/publisher/apis",
        "/admin/gateways",
        "/admin/deny-policies",
        "/admin/api-policies",
    ] {
        admin.visits(path).await;
    }
}

#[tokio::test]
async fn every_page_for_publishers_can_be_used_by_everybody() {
    let house = filled().await;
    let mut publisher = house.person(PUBLISHER).await;
    let pages = visit_all(&mut publisher, &["/publisher/apis"]).await;
    assert!(pages.len() > 15, "{pages:?}");
}

#[tokio::test]
async fn every_page_for_developers_can_be_used_by_everybody() {
    let house = filled().await;
    let mut stranger = house.stranger().await;
    visit_all(&mut stranger, &["/devportal/apis"]).await;
    let mut subscriber = house.person(SUBSCRIBER).await;
    let pages = visit_all(&mut subscriber, &["/devportal/apis", "/account"]).await;
    assert!(pages.len() > 12, "{pages:?}");
}

#[tokio::test]
async fn every_page_for_admins_can_be_used_by_everybody() {
    let house = filled().await;
    let mut admin = house.person("admin").await;
    let pages = visit_all(&mut admin, &["/admin/gateways"]).await;
    assert!(pages.len() > 20, "{pages:?}");
}

/// Whether the place that one is at, among those beside it, is within the window.
const IN_SIGHT: &str = "[...document.querySelectorAll('[aria-current=page]')].every((it) => {
    const { left, right } = it.getBoundingClientRect();
    return left >= 0 && right <= innerWidth;
})";

#[tokio::test]
async fn where_one_is_stands_in_sight_on_a_telephone_however_it_is_held() {
    let house = House::with(0).await;
    let api = house.admin.publish("echo", "ws://127.0.0.1:9").await;
    let mut admin = house.person("admin").await;
    let console = format!("/devportal/{}/console", api.name);
    for path in ["/admin/audit", &console] {
        admin.page.size(WIDTHS[1], 800).await.unwrap();
        admin.go(path).await;
        admin.page.until_true(IN_SIGHT).await.unwrap();
        admin.page.size(WIDTHS[0], 800).await.unwrap();
        admin.page.size(WIDTHS[1], 800).await.unwrap();
        admin.page.until_true(IN_SIGHT).await.unwrap();
    }
}

/// A system with something on every page.
async fn filled() -> House {
    let house = House::with(1).await;
    let backend = Backend::echo().await;
    let (admin, developer) = (&house.admin.channel, &house.subscriber.channel);
    showcase::fill(admin, developer, &backend.url())
        .await
        .unwrap();
    house
}
