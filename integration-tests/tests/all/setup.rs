//! The setup of most tests: a gateway in front of a backend, with a fake control plane.

use std::net::SocketAddr;

use tidegate_integration_tests::{
    backend::Backend,
    catalog,
    client::{Client, Upgrade},
    data_plane::DataPlane,
    fake_control_plane::FakeControlPlane,
    issuer::Issuer,
    wait,
};

/// The issuer of the tests' tokens.
pub(crate) const ISSUER: &str = "https://issuer.test";

/// A gateway with one API, `/echo/1.0`, in front of a backend.
pub(crate) struct Gateway {
    pub(crate) node: DataPlane,
    pub(crate) control: FakeControlPlane,
    pub(crate) issuer: Issuer,
    pub(crate) backend: Backend,
}

impl Gateway {
    /// In front of this backend, with these settings.
    pub(crate) async fn of(backend: Backend, sets: &[&str]) -> Self {
        let issuer = Issuer::new(ISSUER);
        let control = FakeControlPlane::start(catalog::echo(&issuer, &backend.url())).await;
        let node = control.node(sets).await;
        Self {
            node,
            control,
            issuer,
            backend,
        }
    }

    /// In front of an echo.
    pub(crate) async fn echo(sets: &[&str]) -> Self {
        Self::of(Backend::echo().await, sets).await
    }

    /// The `ws://` listener.
    pub(crate) fn address(&self) -> SocketAddr {
        self.node.ready.ws
    }

    /// A good upgrade request with a good token.
    pub(crate) fn upgrade(&self) -> Upgrade {
        Upgrade::to(catalog::PATH).bearer(&self.token())
    }

    /// A good token.
    pub(crate) fn token(&self) -> String {
        self.issuer.token(catalog::CLIENT)
    }

    /// A session that is open.
    pub(crate) async fn open(&self) -> Client {
        self.upgrade().open(self.address()).await
    }

    /// Shows that the gateway still does its work.
    pub(crate) async fn still_echoes(&self) {
        let mut client = self.open().await;
        client.echo("still there?").await;
        client.close().await;
    }
}

/// Waits until a gateway opens a session, and closes it again.
pub(crate) async fn until_open(node: &DataPlane, path: &str, token: &str) {
    let what = format!("{path} opens sessions");
    let upgrade = Upgrade::to(path).bearer(token);
    let client = wait::until(&what, async || upgrade.send(node.ready.ws).await.ok()).await;
    client.close().await;
}
