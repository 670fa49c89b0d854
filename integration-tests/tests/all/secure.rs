//! `wss://` on both sides, each certificate verified; and what happens when one is invalid.

use std::{path::Path, sync::Arc};

use futures_util::{SinkExt as _, StreamExt as _};
use tidegate_integration_tests::{
    backend::Backend, catalog, fake_control_plane::FakeControlPlane, issuer::Issuer,
};
use tidegate_kit::tls::{Authority, Identity, Roots, client_config};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream, rustls::pki_types::ServerName};
use tokio_tungstenite::tungstenite::{
    Message, client::IntoClientRequest as _, http::header::AUTHORIZATION,
};

use crate::setup::ISSUER;

/// An echo behind TLS.
async fn secure_echo(identity: &Identity) -> Backend {
    let acceptor = TlsAcceptor::from(identity.server_config(&[]).unwrap());
    Backend::raw(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else {
                return;
            };
            while let Some(Ok(message)) = socket.next().await {
                if message.is_close() || socket.send(message).await.is_err() {
                    break;
                }
            }
        }
    })
    .await
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

async fn connect(
    address: std::net::SocketAddr,
    ca_pem: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let config = client_config(&Roots::Only(ca_pem.to_owned()), &["http/1.1"]).unwrap();
    let name = ServerName::try_from("gateway.test").unwrap();
    let tcp = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::clone(&config))
        .connect(name, tcp)
        .await
}

#[tokio::test]
async fn both_legs_are_encrypted_and_verified() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::load_or_create(folder.path()).unwrap();
    let shown = authority.issue(&["gateway.test".to_owned()]).unwrap();
    let backend = secure_echo(&authority.issue(&["localhost".to_owned()]).unwrap()).await;

    let issuer = Issuer::new(ISSUER);
    let endpoint = format!("wss://localhost:{}", backend.address.port());
    let control = FakeControlPlane::start(catalog::echo(&issuer, &endpoint)).await;
    let sets = [
        format!(
            "tls.cert={}",
            write(folder.path(), "chain.pem", &shown.chain_pem)
        ),
        format!(
            "tls.key={}",
            write(folder.path(), "key.pem", &shown.key_pem)
        ),
        format!(
            "upstream.ca_cert={}",
            folder.path().join("ca.pem").display()
        ),
    ];
    let node = control.node(&sets.each_ref().map(String::as_str)).await;
    let wss = node.ready.wss.expect("the wss listener is open");

    let stream = connect(wss, &authority.ca_pem).await.unwrap();
    let mut request = "wss://gateway.test/echo/1.0".into_client_request().unwrap();
    let bearer = format!("Bearer {}", issuer.token(catalog::CLIENT));
    request
        .headers_mut()
        .insert(AUTHORIZATION, bearer.parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream)
        .await
        .unwrap();
    for length in [0, 1, 70_000, 1 << 20] {
        let message = Message::binary(vec![7; length]);
        socket.send(message.clone()).await.unwrap();
        let got = socket.next().await.unwrap().unwrap();
        assert!(
            got == message,
            "{length} bytes came back as another message"
        );
    }
    socket.close(None).await.unwrap();
    while let Some(Ok(_)) = socket.next().await {}
    node.until_sessions(0).await;

    // Somebody who trusts another authority gets no further than TLS.
    let other = tempfile::tempdir().unwrap();
    let other = Authority::load_or_create(other.path()).unwrap();
    assert!(connect(wss, &other.ca_pem).await.is_err());
    // Plain HTTP at the TLS listener gets no response and affects no other client.
    let plain = tidegate_integration_tests::client::send_raw(wss, b"GET / HTTP/1.1\r\n\r\n").await;
    assert!(plain.is_err(), "{plain:?}");
    assert!(connect(wss, &authority.ca_pem).await.is_ok());
}
