//! Illegal frames of every kind, from either side: earlier messages are delivered, the sender gets 1002, and the other
//! side gets a close frame too.

use tidegate_integration_tests::{
    backend::{Backend, Peer},
    wire::{BINARY, CLOSE, CONTINUATION, Frame, Mask, PING, PONG, TEXT},
};
use tokio::{io::AsyncWriteExt as _, sync::mpsc};

use crate::setup::Gateway;

/// What no peer may send, as bytes, by the mask that the sender should use.
pub(crate) fn illegal(mask: Mask) -> Vec<(&'static str, Vec<u8>)> {
    let wrong_mask = match mask {
        Mask::Fixed => Mask::None,
        Mask::None => Mask::Fixed,
    };
    let frame = |frame: Frame| frame.encode(mask);
    let text = || Frame::text("x");
    let mut overlong = frame(Frame::new(BINARY, vec![0; 70_000]));
    // The most significant bit of a 64-bit length must be 0 (RFC 6455, 5.2).
    overlong[2] = 0x80;
    let mut cases = vec![
        ("a reserved bit", frame(text().with_reserved(0b100))),
        ("another reserved bit", frame(text().with_reserved(0b010))),
        ("the third reserved bit", frame(text().with_reserved(0b001))),
        (
            "a reserved bit on a ping",
            frame(Frame::new(PING, "").with_reserved(0b100)),
        ),
        (
            "a fragmented ping",
            frame(Frame::new(PING, "x").unfinished()),
        ),
        (
            "a fragmented pong",
            frame(Frame::new(PONG, "x").unfinished()),
        ),
        (
            "a fragmented close",
            frame(Frame::close(1000, "").unfinished()),
        ),
        ("a ping of 126 bytes", frame(Frame::new(PING, vec![0; 126]))),
        (
            "a close of 126 bytes",
            frame(Frame::new(CLOSE, vec![0; 126])),
        ),
        (
            "a continuation of nothing",
            frame(Frame::new(CONTINUATION, "x")),
        ),
        ("a length of more than 63 bits", overlong),
        (
            "a frame masked as the other side's",
            text().encode(wrong_mask),
        ),
        (
            "a message inside a message",
            [frame(text().unfinished()), frame(text())].concat(),
        ),
    ];
    for opcode in [3, 7, 0xb, 0xf] {
        cases.push(("a reserved opcode", frame(Frame::new(opcode, "x"))));
    }
    cases
}

#[tokio::test]
async fn a_client_s_illegal_frame_closes_both_sides_with_1002() {
    let (told, mut heard) = mpsc::channel(1);
    let listening = Backend::scripted(move |mut peer: Peer| {
        let told = told.clone();
        async move {
            let mut frames = Vec::new();
            while let Some(frame) = peer.next().await {
                let close = frame.opcode == CLOSE;
                frames.push(frame);
                if close {
                    peer.send(&Frame::close(1002, "")).await;
                }
            }
            told.send(frames).await.expect("the test listens");
        }
    });
    let gateway = Gateway::of(listening.await, &[]).await;
    for (what, bytes) in illegal(Mask::Fixed) {
        let mut client = gateway.open().await;
        client.send(&Frame::text("before")).await;
        client.send_bytes(&bytes).await;
        assert_eq!(
            client.until_close().await,
            Some(1002),
            "{what}: to the client"
        );
        client.until_end().await;
        let frames = heard.recv().await.expect("the backend tells");
        assert_eq!(
            frames.first(),
            Some(&Frame::text("before")),
            "{what}: what came before"
        );
        let last = frames.last().expect("there was a first");
        // The backend did nothing wrong: to it, the client has gone away.
        assert_eq!(
            last.close_code(),
            Some(1001),
            "{what}: to the backend {frames:?}"
        );
    }
    gateway.node.until_sessions(0).await;
}

#[tokio::test]
async fn a_backend_s_illegal_frame_closes_both_sides_with_1002() {
    let (told, mut heard) = mpsc::channel(1);
    let count = illegal(Mask::None).len();
    let turn = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let offending = Backend::scripted(move |mut peer: Peer| {
        let told = told.clone();
        let turn = turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        async move {
            peer.send(&Frame::text("before")).await;
            let (_, bytes) = illegal(Mask::None).swap_remove(turn % count);
            let _ = peer.stream.write_all(&bytes).await;
            let mut code = None;
            while let Some(frame) = peer.next().await {
                code = code.or(frame.close_code());
            }
            told.send(code).await.expect("the test listens");
        }
    });
    let gateway = Gateway::of(offending.await, &[]).await;
    for turn in 0..count {
        let mut cases = illegal(Mask::None);
        let (what, _) = cases.swap_remove(turn);
        let mut client = gateway.open().await;
        assert_eq!(client.next().await, Some(Frame::text("before")), "{what}");
        // The client did nothing wrong: to it, the gateway's backend is bad (1014).
        let code = client.until_close().await;
        assert_eq!(code, Some(1014), "{what}: to the client");
        // Answers as a client should; the session ends either way.
        client.send(&Frame::close(1014, "")).await;
        client.until_end().await;
        let code = heard.recv().await.expect("the backend tells");
        assert_eq!(code, Some(1002), "{what}: to the backend");
    }
    gateway.node.until_sessions(0).await;
}

#[tokio::test]
async fn legal_frames_pass_as_they_are() {
    let gateway = Gateway::echo(&[]).await;
    let mut client = gateway.open().await;
    let frames = [
        Frame::text(""),
        Frame::text("hello"),
        Frame::new(BINARY, vec![7; 125]),
        Frame::new(BINARY, vec![7; 126]),
        Frame::new(BINARY, vec![7; 65_535]),
        Frame::new(BINARY, vec![7; 65_536]),
        Frame::new(BINARY, vec![7; 1 << 20]),
        Frame::new(TEXT, "frag").unfinished(),
        Frame::new(CONTINUATION, "").unfinished(),
        Frame::new(CONTINUATION, "mented"),
    ];
    for frame in frames {
        client.send(&frame).await;
        let got = client.next().await;
        assert!(
            got.as_ref() == Some(&frame),
            "sent {}, got another",
            frame.payload.len()
        );
    }
    // A ping between fragments, answered by the backend and not by the gateway.
    client.send(&Frame::text("a").unfinished()).await;
    client.send(&Frame::new(PING, "p")).await;
    client.send(&Frame::new(CONTINUATION, "b")).await;
    assert_eq!(client.next().await, Some(Frame::text("a").unfinished()));
    assert_eq!(client.next().await, Some(Frame::new(PONG, "p")));
    assert_eq!(client.next().await, Some(Frame::new(CONTINUATION, "b")));
    client.close().await;
}
