//! The portals in a real browser. Each test starts a browser and a system once and lets several people do several
//! things: starting them is what costs.

mod entrance;
mod looks;
mod forms;
mod console;
mod tutorial;

use tidegate_integration_tests::{
    admin::Admin,
    data_plane::DataPlane,
    person::{self, Person},
    stack::{Builder, Stack},
};
use tidegate_proto::admin::v1::{
    Environment, Role, UpdateEnvironmentRequest, gateway_service_client::GatewayServiceClient,
};
use xtask::browser::Browser;

/// A system with one user for each role, and a browser.
pub(crate) struct House {
    // Ended before what it looks at.
    pub(crate) browser: Browser,
    pub(crate) admin: Admin,
    /// Whoever uses APIs, at the admin API.
    pub(crate) subscriber: Admin,
    pub(crate) stack: Stack,
}

/// Whoever designs APIs.
pub(crate) const CREATOR: &str = "carla";
/// Whoever designs APIs and publishes them.
pub(crate) const PUBLISHER: &str = "paula";
/// Whoever publishes what others have designed.
pub(crate) const REVIEWER: &str = "rita";
/// Whoever uses them.
pub(crate) const SUBSCRIBER: &str = "sam";

impl House {
    /// Starts one with so many gateways.
    pub(crate) async fn with(data_planes: usize) -> Self {
        Self::of(Stack::builder().data_planes(data_planes)).await
    }

    /// Starts one.
    pub(crate) async fn of(stack: Builder) -> Self {
        let (stack, browser) = tokio::join!(stack.start(), person::browser());
        let admin = stack.admin().await;
        for (name, roles) in [
            (CREATOR, &[Role::Creator][..]),
            (PUBLISHER, &[Role::Creator, Role::Publisher]),
            (REVIEWER, &[Role::Publisher]),
        ] {
            admin.user(name, roles).await;
        }
        let subscriber = admin.user(SUBSCRIBER, &[Role::Subscriber]).await;
        if let Some(gateway) = stack.data_planes.first() {
            tell_door(&admin, gateway).await;
        }
        Self {
            browser,
            admin,
            subscriber,
            stack,
        }
    }

    fn base(&self) -> String {
        let management = self.stack.control_plane.ready.management;
        format!("https://localhost:{}", management.port())
    }

    /// Somebody who has not signed in.
    pub(crate) async fn stranger(&self) -> Person {
        Person::stranger(&self.browser, &self.base()).await
    }

    /// One of the users, signed in.
    pub(crate) async fn person(&self, name: &str) -> Person {
        Person::signed_in(&self.browser, &self.base(), name).await
    }
}

/// Tells the portals where the gateway is that clients reach.
async fn tell_door(admin: &Admin, gateway: &DataPlane) {
    let environment = Environment {
        name: "environments/default".to_owned(),
        ws_url: format!("ws://localhost:{}", gateway.ready.ws.port()),
        ..Environment::default()
    };
    let request = UpdateEnvironmentRequest {
        environment: Some(environment),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["ws_url".to_owned(), "wss_url".to_owned()],
        }),
    };
    let mut gateways = GatewayServiceClient::new(admin.channel.clone());
    gateways.update_environment(request).await.unwrap();
}
