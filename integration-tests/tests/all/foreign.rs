//! An echo through the gateway with an independent client and backend, both with the Python package `websockets`. The
//! API is published and subscribed through the admin API.

use tidegate_integration_tests::{python, stack::Stack};

use crate::setup::until_open;

/// What the client must have seen come back.
const KINDS: &[&str] = &[
    "text",
    "empty text",
    "binary",
    "fragmented text",
    "fragmented binary",
    "16 MiB",
    "ping",
    "permessage-deflate agreed",
    "compressed text",
    "compressed text again, with the window kept",
    "16 MiB compressed",
    "closed",
];

#[tokio::test]
async fn an_independent_client_and_backend_talk_through_the_gateway() {
    let stack = Stack::builder().start().await;
    let (_backend, endpoint) = python::serve("backend.py", stack.folder(), &[]).await;
    let admin = stack.admin().await;
    let api = admin.publish("foreign", &endpoint).await;
    let subscriber = admin.subscribe(&api, "Gold").await;
    let token = admin.token(&subscriber).await;
    until_open(stack.gateway(), "/foreign/1.0", &token).await;

    let url = stack.gateway().ws("/foreign/1.0");
    for arguments in [
        &[url.as_str(), &token][..],
        &[url.as_str(), &token, "--in-query"],
    ] {
        let output = python::run("client.py", arguments).await;
        assert_eq!(output.lines().collect::<Vec<_>>(), KINDS);
    }
    assert!(
        !stack.gateway().process.log().contains(&token),
        "a token was logged"
    );
}
