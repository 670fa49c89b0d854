//! The control plane is unavailable: sessions and handshakes continue, a node that starts meanwhile serves its cache
//! from disk, and afterwards only the differences are sent.

use tidegate_integration_tests::{
    backend::Backend,
    client::Upgrade,
    data_plane::{DataPlane, Upstream},
    stack::Stack,
    tap::Tap,
    wait,
};

use crate::setup::until_open;

/// What one object may cost on the wire, TLS and acknowledgement included.
const ONE_OBJECT: u64 = 10 << 10;

#[tokio::test]
async fn the_gateways_go_on_without_the_control_plane_and_catch_up_by_a_delta() {
    let mut stack = Stack::builder().start().await;
    let admin = stack.admin().await;
    let backend = Backend::echo().await;
    let api = admin.publish("outage", &backend.url()).await;
    for n in 0..60 {
        admin.publish(&format!("filler-{n}"), &backend.url()).await;
    }
    let subscriber = admin.subscribe(&api, "Gold").await;
    let token = admin.token(&subscriber).await;

    // A second node whose stream is measured.
    let ready = stack.control_plane.ready.clone();
    let tap = Tap::before(ready.discovery).await;
    let upstream = Upstream {
        address: tap.address,
        ca_cert: ready.ca_cert,
        join_token_file: ready.join_token_file,
    };
    let mut restarted = DataPlane::start("data-plane-2", stack.folder(), upstream, &[]).await;
    restarted.until_ready().await;
    until_open(&restarted, "/outage/1.0", &token).await;
    until_open(stack.gateway(), "/outage/1.0", &token).await;
    let whole = tap.bytes();

    let upgrade = Upgrade::to("/outage/1.0").bearer(&token);
    let mut open = upgrade.open(stack.gateway().ready.ws).await;
    open.echo("before").await;

    stack.control_plane.process.kill();
    wait::until("the node notices", async || {
        (!stack.gateway().status().await.control_plane_connected).then_some(())
    })
    .await;
    open.echo("meanwhile").await;
    upgrade
        .open(stack.gateway().ready.ws)
        .await
        .echo("a new one")
        .await;

    let before = restarted.status().await.snapshot_number;
    restarted.restart(&[]).await;
    restarted.until_ready().await;
    let status = restarted.status().await;
    assert_eq!(
        (status.snapshot_number, status.control_plane_connected),
        (before, false)
    );
    let mut from_cache = upgrade.open(restarted.ready.ws).await;
    from_cache.echo("from the cache").await;

    stack.control_plane.restart().await;
    let admin = stack.admin().await;
    let quiet = tap.bytes();
    let late = admin.publish("late", &backend.url()).await;
    let subscriber = admin.subscribe(&late, "Gold").await;
    let token = admin.token(&subscriber).await;
    for node in [stack.gateway(), &restarted] {
        until_open(node, "/late/1.0", &token).await;
    }
    let delta = tap.bytes() - quiet;
    // Four objects came: an API, an application, a key, a subscription; and the stream was opened anew.
    assert!(
        delta < 4 * ONE_OBJECT,
        "{delta} bytes after {whole} for the whole"
    );
    assert!(
        delta < whole / 2,
        "{delta} bytes after {whole} for the whole"
    );
    open.echo("after").await;
    from_cache.echo("after").await;
}

#[tokio::test]
async fn a_cache_that_is_damaged_is_not_served() {
    let gateway = crate::setup::Gateway::echo(&[]).await;
    let mut gateway = gateway;
    gateway.node.process.kill();
    let mut damaged = 0;
    for entry in walk(&gateway.node.data_dir()) {
        let mut bytes = std::fs::read(&entry).unwrap();
        if let Some(byte) = bytes.last_mut() {
            *byte ^= 0xff;
            std::fs::write(&entry, bytes).unwrap();
            damaged += 1;
        }
    }
    assert!(
        damaged > 0,
        "the node keeps nothing in {}",
        gateway.node.data_dir().display()
    );
    gateway
        .node
        .restart(&["control_plane.address=https://localhost:1".to_owned()])
        .await;
    let (status, _) = gateway.node.get("/readyz").await.unwrap();
    assert_eq!(status, 503);
    let refusal = gateway.upgrade().refused(gateway.address()).await;
    assert_eq!(
        (refusal.status(), refusal.reason().as_str()),
        (503, "not_ready")
    );
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path);
        }
    }
    files
}
