//! Messages dropped from compressed sessions, with an independent client and backend that use context takeover: the
//! messages that arrive can be decompressed and are correct.

use serde::Deserialize;
use tidegate_integration_tests::{python, stack::Stack};
use tidegate_proto::admin::v1::{Burst, BurstPer, Counts, Limits, OnLimit};

use crate::setup::until_open;

/// What the client says of its session.
#[derive(Debug, Deserialize)]
struct Heard {
    agreed: String,
    sent: u64,
    seen: u64,
    heard: u64,
}

#[tokio::test]
async fn what_arrives_inflates_while_messages_of_both_directions_are_dropped() {
    let stack = Stack::builder().start().await;
    let (_backend, endpoint) = python::serve("quota_backend.py", stack.folder(), &[]).await;
    let admin = stack.admin().await;
    // Far fewer than are sent and answered, and room again in every second.
    let limits = Limits {
        burst: Some(Burst {
            messages: 41,
            per: BurstPer::Second.into(),
        }),
        counts: Counts::Both.into(),
        on_limit: OnLimit::Drop.into(),
        ..Limits::default()
    };
    admin.create_plan("dropping", limits).await;
    let api = admin.publish_under("zip", &endpoint, &["dropping"]).await;
    let token = admin.token(&admin.subscribe(&api, "dropping").await).await;
    until_open(stack.gateway(), "/zip/1.0", &token).await;

    let url = stack.gateway().ws("/zip/1.0");
    let line = python::run("quota_client.py", &[&url, &token, "600", "5"]).await;
    let heard: Heard = serde_json::from_str(&line).unwrap();
    assert!(heard.agreed.contains("permessage-deflate"), "{heard:?}");
    assert!(
        heard.agreed.contains("client_no_context_takeover"),
        "{heard:?}"
    );
    assert!(
        heard.agreed.contains("server_no_context_takeover"),
        "{heard:?}"
    );
    assert!(
        heard.seen < heard.sent,
        "none of the client's was dropped: {heard:?}"
    );
    assert!(
        heard.heard < heard.seen,
        "none of the backend's was dropped: {heard:?}"
    );
    assert!(heard.heard > 20, "{heard:?}");
}
