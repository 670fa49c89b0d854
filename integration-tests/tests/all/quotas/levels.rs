//! Limits at every level: an API's policy, a topic's, a plan and an application's policy each close on their own limit.

use tidegate_integration_tests::{
    catalog::{self, CLIENT, PATH},
    client::Upgrade,
    data_plane::DataPlane,
    fake_control_plane::FakeControlPlane,
    flood::{Session, Tally},
    issuer::Issuer,
    wait,
    wire::CLOSE,
};
use tidegate_proto::{
    discovery::v1::{Resource, resource::Body},
    quota::{Allowance, Amount, CloseCode, Counts, Limits, OnLimit, Window},
};

use crate::setup::ISSUER;

/// So many messages of the client in 31 days, then a close.
fn limits(amount: u64) -> Limits {
    Limits {
        messages: Some(Allowance {
            amount: Amount::try_new(amount).unwrap(),
            window: Window::try_new(31 * 86_400).unwrap(),
        }),
        counts: Counts::Client,
        on_limit: OnLimit::Close(CloseCode::Throttled),
        ..Limits::default()
    }
}

/// The echo's resources with a limit at each level, in the order in which levels are asked.
fn resources(issuer: &Issuer, endpoint: &str, amounts: [u64; 4]) -> Vec<Resource> {
    let mut resources = catalog::echo(issuer, endpoint);
    let [api, topic, plan, application] = amounts.map(limits);
    for resource in &mut resources {
        let body = match resource.body.take() {
            Some(Body::Api(mut body)) => {
                body.policy = "api".to_owned();
                for it in &mut body.topics {
                    it.policy = "topic".to_owned();
                }
                Body::Api(body)
            }
            Some(Body::Application(mut body)) => {
                body.policy = "application".to_owned();
                Body::Application(body)
            }
            Some(Body::Plan(mut body)) => {
                body.limits = Some((&plan).into());
                Body::Plan(body)
            }
            other => other.expect("a resource has a body"),
        };
        *resource = Resource::new(resource.name.clone(), body);
    }
    resources.push(catalog::api_policy("api", &api));
    resources.push(catalog::api_policy("topic", &topic));
    resources.push(catalog::application_policy("application", &application));
    resources
}

async fn open(node: &DataPlane, issuer: &Issuer, number: u16) -> Session {
    let upgrade = Upgrade::to(PATH).bearer(&issuer.token(CLIENT));
    Session::open(node.ready.ws, &upgrade, number).await
}

/// The reason of the close that the next frames bring.
async fn closed(session: &mut Session) -> (Option<u16>, String) {
    while let Some(frame) = session.client.next().await {
        if frame.opcode == CLOSE {
            let text = String::from_utf8_lossy(frame.payload.get(2..).unwrap_or_default());
            return (frame.close_code(), text.into_owned());
        }
    }
    panic!("the connection ended without a close frame");
}

#[tokio::test]
async fn each_level_ends_a_session_at_its_own_limit_and_says_which() {
    let reasons = [
        "the limit of this API is reached",
        "the limit of this topic is reached",
        "the limit of the subscription's plan is reached",
        "the limit of the application is reached",
    ];
    for (level, reason) in reasons.into_iter().enumerate() {
        let tally = Tally::start().await;
        let issuer = Issuer::new(ISSUER);
        let mut amounts = [1_000; 4];
        amounts[level] = 3;
        let control = FakeControlPlane::start(resources(&issuer, &tally.url(), amounts)).await;
        let node = control.node(&[]).await;
        let mut session = open(&node, &issuer, 1).await;
        session.send(4).await;
        let (code, text) = closed(&mut session).await;
        assert_eq!(code, Some(4003), "{text}");
        assert!(text.starts_with(reason), "{text}");
        let three = async || (tally.of(1) == 3).then_some(());
        wait::until("the messages before it arrive", three).await;
    }
}
