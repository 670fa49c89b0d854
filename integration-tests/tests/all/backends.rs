//! Backends that fail in different ways: the client gets an HTTP status before the session begins, and a close code
//! after.

use std::net::{Ipv4Addr, TcpListener};

use tidegate_integration_tests::{
    backend::{Backend, wrong_accept_key},
    catalog,
    wire::{Frame, Head, Mask, TEXT},
};
use tidegate_kit::tls::Identity;
use tokio::io::AsyncWriteExt as _;
use tokio_rustls::TlsAcceptor;

use crate::setup::Gateway;

async fn refusal(gateway: &Gateway) -> (u16, String) {
    let refusal = gateway.upgrade().refused(gateway.address()).await;
    (refusal.status(), refusal.reason())
}

#[tokio::test]
async fn an_unreachable_backend_is_a_502() {
    let gateway = Gateway::echo(&["upstream.connect_seconds=1"]).await;
    // Bound, so that nobody else gets the port, and not listening.
    let port = {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.local_addr().unwrap().port()
    };
    for endpoint in [
        format!("ws://127.0.0.1:{port}"),
        "ws://no-such-host.invalid".to_owned(),
    ] {
        gateway
            .control
            .set(catalog::echo(&gateway.issuer, &endpoint))
            .await;
        let got = refusal(&gateway).await;
        assert_eq!(got, (502, "backend_unreachable".to_owned()), "{endpoint}");
    }
    // The backend comes back.
    let resources = catalog::echo(&gateway.issuer, &gateway.backend.url());
    gateway.control.set(resources).await;
    gateway.still_echoes().await;
}

#[tokio::test]
async fn a_backend_that_hangs_is_a_504() {
    let silent = Backend::raw(|mut stream| async move {
        let _ = Head::read(&mut stream).await;
        std::future::pending::<()>().await;
    });
    let gateway = Gateway::of(silent.await, &["upstream.handshake_seconds=1"]).await;
    assert_eq!(refusal(&gateway).await, (504, "backend_timeout".to_owned()));
}

#[tokio::test]
async fn a_backend_that_closes_the_connection_is_a_502() {
    let rude = Backend::raw(|mut stream| async move {
        let _ = Head::read(&mut stream).await;
    });
    let gateway = Gateway::of(rude.await, &[]).await;
    let (status, reason) = refusal(&gateway).await;
    assert_eq!(status, 502);
    assert!(
        ["backend_handshake", "backend_unreachable"].contains(&reason.as_str()),
        "{reason}"
    );
}

#[tokio::test]
async fn a_backend_s_refusal_is_relayed() {
    for status in [401, 403, 404, 429, 503] {
        let answer = format!(
            "HTTP/1.1 {status} No\r\nContent-Type: text/plain\r\nRetry-After: 7\r\nContent-Length: 9\r\n\r\nnot today"
        );
        let gateway = Gateway::of(Backend::answering(answer).await, &[]).await;
        let refusal = gateway.upgrade().refused(gateway.address()).await;
        assert_eq!(refusal.status(), status);
        assert_eq!(refusal.body, "not today");
        assert_eq!(refusal.head.field("retry-after"), Some("7"));
    }
}

#[tokio::test]
async fn a_backend_that_answers_no_handshake_is_a_502() {
    let answers = [
        (
            "a wrong accept key",
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {}\r\n\r\n",
                wrong_accept_key()
            ),
        ),
        (
            "no accept key",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
                .to_owned(),
        ),
        ("no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned()),
    ];
    for (what, answer) in answers {
        let gateway = Gateway::of(Backend::answering(answer).await, &[]).await;
        assert_eq!(
            refusal(&gateway).await,
            (502, "backend_handshake".to_owned()),
            "{what}"
        );
    }
}

#[tokio::test]
async fn a_backend_that_answers_200_opens_no_session() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    let gateway = Gateway::of(Backend::answering(answer).await, &[]).await;
    let refusal = gateway.upgrade().refused(gateway.address()).await;
    assert!(
        [200, 502].contains(&refusal.status()),
        "{}",
        refusal.status()
    );
}

#[tokio::test]
async fn a_backend_with_an_invalid_certificate_is_a_502() {
    let names = ["127.0.0.1".to_owned()];
    let config = Identity::self_signed(&names)
        .unwrap()
        .server_config(&[])
        .unwrap();
    let unknown = Backend::raw(move |stream| {
        let acceptor = TlsAcceptor::from(config.clone());
        async move {
            // The gateway breaks the handshake off.
            let _ = acceptor.accept(stream).await;
        }
    });
    let gateway = Gateway::of(unknown.await, &[]).await;
    let endpoint = format!("wss://{}", gateway.backend.address);
    gateway
        .control
        .set(catalog::echo(&gateway.issuer, &endpoint))
        .await;
    assert_eq!(refusal(&gateway).await, (502, "backend_tls".to_owned()));
}

#[tokio::test]
async fn a_backend_that_disconnects_between_messages_closes_the_client() {
    let dying = Backend::scripted(|mut peer| async move {
        peer.echo_one().await;
    });
    let gateway = Gateway::of(dying.await, &[]).await;
    let mut client = gateway.open().await;
    client.echo("last words").await;
    assert_eq!(client.until_close().await, Some(1014));
    client.until_end().await;
}

#[tokio::test]
async fn a_backend_that_disconnects_inside_a_message_leaves_no_client_hanging() {
    let dying = Backend::scripted(|mut peer| async move {
        peer.send(&Frame::text("whole")).await;
        let bytes = Frame::new(TEXT, vec![b'x'; 1000]).encode(Mask::None);
        let _ = peer.stream.write_all(&bytes[..500]).await;
    });
    let gateway = Gateway::of(dying.await, &[]).await;
    let mut client = gateway.open().await;
    assert_eq!(client.next().await, Some(Frame::text("whole")));
    // Half a frame: no close frame can follow it, only the end.
    let end = Frame::read(&mut client.stream).await;
    assert!(end.is_err(), "{end:?}");
    gateway.node.until_sessions(0).await;
    let ended = gateway
        .node
        .metric("tidegate_sessions_ended_total", &["backend_lost"])
        .await;
    assert!(ended > 0.5, "the ending was not counted");
}

#[tokio::test]
async fn a_close_of_either_side_reaches_the_other_with_its_code_and_reason() {
    let closing = Backend::scripted(|mut peer| async move {
        let Some(first) = peer.next().await else {
            return;
        };
        if first.payload == b"you first" {
            peer.send(&Frame::close(4321, "had enough")).await;
            assert_eq!(peer.next().await, Some(Frame::close(4321, "had enough")));
        } else {
            let close = peer.next().await;
            assert_eq!(close, Some(Frame::close(3001, "bye")));
            peer.send(&Frame::close(3001, "bye")).await;
        }
    });
    let gateway = Gateway::of(closing.await, &[]).await;

    let mut client = gateway.open().await;
    client.send(&Frame::text("you first")).await;
    assert_eq!(client.next().await, Some(Frame::close(4321, "had enough")));
    client.send(&Frame::close(4321, "had enough")).await;
    client.until_end().await;

    let mut client = gateway.open().await;
    client.send(&Frame::text("me first")).await;
    client.send(&Frame::close(3001, "bye")).await;
    assert_eq!(client.next().await, Some(Frame::close(3001, "bye")));
    client.until_end().await;
    gateway.node.until_sessions(0).await;
}
