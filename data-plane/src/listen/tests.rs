//! The `wss://` listener and the connection limits.

use tidegate_kit::tls::{Authority, Roots, client_config};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;

use crate::testing::{Node, echo_backend, masked, open_on, soon};

#[tokio::test]
async fn a_client_connects_through_the_wss_listener() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::load_or_create(dir.path()).unwrap();
    let identity = authority.issue(&["localhost".to_owned()]).unwrap();
    let (cert, key) = (dir.path().join("server.pem"), dir.path().join("server.key"));
    std::fs::write(&cert, identity.chain_pem).unwrap();
    std::fs::write(&key, identity.key_pem).unwrap();
    let sets = [
        format!("tls.cert={}", cert.display()),
        format!("tls.key={}", key.display()),
    ];
    let sets: Vec<_> = sets.iter().map(String::as_str).collect();
    let node = Node::start(&format!("ws://{}", echo_backend().await), &sets).await;

    let stream = tokio::net::TcpStream::connect(node.addresses.wss.unwrap())
        .await
        .unwrap();
    let config = client_config(&Roots::Only(authority.ca_pem), &["http/1.1"]).unwrap();
    let name = "localhost".try_into().unwrap();
    let mut client = TlsConnector::from(config)
        .connect(name, stream)
        .await
        .unwrap();
    open_on(&mut client, &node.upgrade("/echo/1.0", "")).await;
    client.write_all(&masked(0x81, b"hello")).await.unwrap();
    let mut frame = [0; 7];
    soon(client.read_exact(&mut frame)).await.unwrap();
    assert_eq!(&frame[2..], b"hello");
    drop(client);
    assert_eq!(node.log.one().await["secure"], true);
}

#[tokio::test]
async fn a_replaced_certificate_is_presented_to_new_connections() {
    let dir = tempfile::tempdir().unwrap();
    let issued = |by: &str| {
        let authority = Authority::load_or_create(&dir.path().join(by)).unwrap();
        let identity = authority.issue(&["localhost".to_owned()]).unwrap();
        (authority.ca_pem, identity)
    };
    let ((old_ca, old), (new_ca, new)) = (issued("old"), issued("new"));
    let (cert, key) = (dir.path().join("server.pem"), dir.path().join("server.key"));
    std::fs::write(&cert, old.chain_pem).unwrap();
    std::fs::write(&key, old.key_pem).unwrap();
    let sets = [
        format!("tls.cert={}", cert.display()),
        format!("tls.key={}", key.display()),
    ];
    let sets: Vec<_> = sets.iter().map(String::as_str).collect();
    let node = Node::start(&format!("ws://{}", echo_backend().await), &sets).await;
    let is_shown = async |ca_pem: &str| {
        let address = node.addresses.wss.unwrap();
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let config = client_config(&Roots::Only(ca_pem.to_owned()), &["http/1.1"]).unwrap();
        let name = "localhost".try_into().unwrap();
        let shaken = TlsConnector::from(config).connect(name, stream);
        soon(shaken).await.is_ok()
    };
    assert!(is_shown(&old_ca).await && !is_shown(&new_ca).await);
    std::fs::write(&cert, new.chain_pem).unwrap();
    std::fs::write(&key, new.key_pem).unwrap();
    tokio::time::pause();
    tokio::time::advance(tidegate_kit::reload::CHECK_INTERVAL).await;
    tokio::time::resume();
    soon(async { while !is_shown(&new_ca).await {} }).await;
    assert!(!is_shown(&old_ca).await);
}

#[tokio::test]
async fn a_connection_without_tls_is_dropped_by_the_wss_listener() {
    let node = Node::start(&format!("ws://{}", echo_backend().await), &[]).await;
    let mut client = tokio::net::TcpStream::connect(node.addresses.wss.unwrap())
        .await
        .unwrap();
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    // An alert, or a reset: either is an end.
    drop(soon(client.read_to_end(&mut rest)).await);
    node.until_metric("tidegate_connections_dropped_total{cause=\"tls\"} 1")
        .await;
}

#[tokio::test]
async fn an_address_may_have_no_more_connections_than_its_limit() {
    let backend = format!("ws://{}", echo_backend().await);
    let node = Node::start(&backend, &["limits.connections_per_address=2"]).await;
    let _held = (node.open().await, node.open().await);
    let answer = node.refusal().await;
    assert_eq!(answer.problem()["reason"], "connection_limit");
}
