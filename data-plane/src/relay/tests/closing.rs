//! How sessions end: by either peer, by loss, by fault, by the gateway.

use super::*;

#[tokio::test(start_paused = true)]
async fn passes_a_clients_close_on_and_the_answer_back() {
    let mut session = start(rules());
    session.client.send(0x88, b"\x03\xe8bye").await;
    assert_eq!(session.backend.receive().await, frame(0x88, b"\x03\xe8bye"));
    session.backend.send_close(1000).await;
    assert_eq!(session.client.receive_close().await, Some(1000));
    session.client.receive_fin().await;
    drop(session.backend);
    let ended = session.relay.await.unwrap();
    assert_eq!(
        (ended.reason, ended.close_code),
        (Reason::ClientClosed, Some(1000))
    );
    assert_eq!(ended.to_backend.bytes, 11);
}

#[tokio::test(start_paused = true)]
async fn passes_a_backends_close_on_and_the_answer_back() {
    let mut session = start(rules());
    session.backend.send_close(4321).await;
    assert_eq!(session.client.receive_close().await, Some(4321));
    session.client.send_close(4321).await;
    session.client.receive_fin().await;
    assert_eq!(session.backend.receive_close().await, Some(4321));
    drop(session.backend);
    let ended = session.relay.await.unwrap();
    assert_eq!(
        (ended.reason, ended.close_code),
        (Reason::BackendClosed, Some(4321))
    );
}

#[tokio::test(start_paused = true)]
async fn a_close_without_a_code_has_none() {
    let mut session = start(rules());
    session.client.send(0x88, b"").await;
    assert_eq!(session.backend.receive().await, frame(0x88, b""));
    session.backend.send(0x88, b"").await;
    drop(session.backend);
    assert_eq!(session.relay.await.unwrap().close_code, None);
}

#[tokio::test(start_paused = true)]
async fn two_closes_that_cross_are_both_passed_on() {
    let mut session = start(rules());
    session.client.send_close(3001).await;
    session.backend.send_close(3002).await;
    assert_eq!(session.backend.receive_close().await, Some(3001));
    assert_eq!(session.client.receive_close().await, Some(3002));
    drop(session.backend);
    session.client.receive_fin().await;
    assert_eq!(session.relay.await.unwrap().close_code, Some(3001));
}

#[tokio::test(start_paused = true)]
async fn nothing_follows_a_close_frame() {
    let mut session = start(rules());
    let mut bytes = session.client.frame(0x88, b"\x03\xe8");
    bytes.extend(session.client.frame(0x81, b"too late"));
    session.client.send_raw(&bytes).await;
    session.client.send(0x81, b"later still").await;
    assert_eq!(session.backend.receive_close().await, Some(1000));
    session.client.io.shutdown().await.unwrap();
    session.backend.receive_fin().await;
}

#[tokio::test(start_paused = true)]
async fn passes_a_fin_on_at_once_and_still_carries_the_answer() {
    let mut session = start(rules());
    session.client.send_close(1000).await;
    session.client.io.shutdown().await.unwrap();
    let before = Instant::now();
    assert_eq!(session.backend.receive_close().await, Some(1000));
    session.backend.receive_fin().await;
    session.backend.send_close(1000).await;
    assert_eq!(session.client.receive_close().await, Some(1000));
    drop(session.backend);
    assert_eq!(session.relay.await.unwrap().reason, Reason::ClientClosed);
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_close_that_nobody_answers_ends_in_time() {
    let mut session = start(rules());
    let before = Instant::now();
    session.client.send_close(1000).await;
    session.client.receive_fin().await;
    assert!(
        (CLOSE..CLOSE * 2).contains(&before.elapsed()),
        "{:?}",
        before.elapsed()
    );
    assert_eq!(session.ended().await.reason, Reason::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn tells_the_backend_of_a_lost_client_and_delivers_its_last_words() {
    let mut session = start(rules());
    session.client.send(0x81, b"last").await;
    drop(session.client);
    assert_eq!(session.backend.receive().await, frame(0x81, b"last"));
    assert_eq!(session.backend.receive_close().await, Some(1001));
    session.backend.receive_fin().await;
    drop(session.backend);
    let ended = session.relay.await.unwrap();
    assert_eq!(
        (ended.reason, ended.close_code),
        (Reason::ClientLost, Some(1001))
    );
}

#[tokio::test(start_paused = true)]
async fn tells_the_client_of_a_lost_backend() {
    let mut session = start(rules());
    session.backend.send(0x82, b"last").await;
    drop(session.backend);
    assert_eq!(session.client.receive().await, frame(0x82, b"last"));
    assert_eq!(session.client.receive_close().await, Some(1014));
    session.client.receive_fin().await;
    drop(session.client);
    let ended = session.relay.await.unwrap();
    assert_eq!(
        (ended.reason, ended.close_code),
        (Reason::BackendLost, Some(1014))
    );
}

#[tokio::test(start_paused = true)]
async fn puts_no_close_frame_into_a_frame_that_will_not_end() {
    let mut session = start(rules());
    session.backend.send_raw(b"\x82\x09dies mid").await;
    drop(session.backend);
    let mut got = Vec::new();
    session.client.io.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"\x82\x09dies mid");
    drop(session.client);
    let ended = session.relay.await.unwrap();
    assert_eq!(
        (ended.reason, ended.close_code),
        (Reason::BackendLost, None)
    );
}

#[tokio::test(start_paused = true)]
async fn a_clients_fault_does_not_eat_the_backends_words() {
    let mut session = start(rules());
    let mut bytes = session.client.frame(0x81, b"legal");
    bytes.extend(session.client.frame(0x83, b"illegal"));
    bytes.extend(session.client.frame(0x81, b"unread"));
    session.client.send_raw(&bytes).await;
    assert_eq!(session.backend.receive().await, frame(0x81, b"legal"));
    assert_eq!(session.backend.receive_close().await, Some(1001));
    session.backend.send(0x81, b"echo").await;
    session.backend.send_close(1001).await;
    assert_eq!(session.client.receive().await, frame(0x81, b"echo"));
    assert_eq!(session.client.receive_close().await, Some(1002));
    session.client.receive_fin().await;
    drop(session.client);
    let ended = session.relay.await.unwrap();
    assert_eq!(ended.reason, Reason::ClientProtocolError);
    assert_eq!(ended.close_code, Some(1002));
    assert_eq!(ended.fault, Some(Fault::ReservedOpcode));
    assert_eq!(ended.to_backend.messages, 1);
}

#[tokio::test(start_paused = true)]
async fn an_offender_hears_of_it_in_time_even_if_the_other_side_is_mute() {
    let mut session = start(rules());
    let before = Instant::now();
    session.client.send_raw(b"\x81\x05plain").await;
    assert_eq!(session.client.receive_close().await, Some(1002));
    session.client.receive_fin().await;
    assert!((CLOSE..CLOSE * 2).contains(&before.elapsed()));
    assert_eq!(session.ended().await.fault, Some(Fault::Unmasked));
    assert!(before.elapsed() < CLOSE * 3);
}

#[tokio::test(start_paused = true)]
async fn an_offender_hears_of_it_if_the_other_side_hangs_up() {
    let mut session = start(rules());
    session.client.send(0x80, b"").await;
    assert_eq!(session.backend.receive_close().await, Some(1001));
    drop(session.backend);
    assert_eq!(session.client.receive_close().await, Some(1002));
    session.client.receive_fin().await;
}

#[tokio::test(start_paused = true)]
async fn a_backends_fault_is_told_to_both_and_does_not_eat_the_clients_words() {
    let mut session = start(rules());
    session.backend.send_raw(b"\x81\x02ok\x81\x80....").await;
    assert_eq!(session.client.receive().await, frame(0x81, b"ok"));
    assert_eq!(session.client.receive_close().await, Some(1014));
    session.client.send(0x81, b"heard").await;
    session.client.send_close(1014).await;
    session.client.receive_fin().await;
    assert_eq!(session.backend.receive().await, frame(0x81, b"heard"));
    assert_eq!(session.backend.receive_close().await, Some(1002));
    session.backend.receive_fin().await;
    drop(session.backend);
    let ended = session.relay.await.unwrap();
    assert_eq!(
        (ended.reason, ended.fault),
        (Reason::BackendProtocolError, Some(Fault::Masked))
    );
}

#[tokio::test(start_paused = true)]
async fn an_illegal_close_frame_is_not_passed_on() {
    for payload in [&b"\x03"[..], b"\x03\xed", b"\x00\x00"] {
        let mut session = start(rules());
        session.client.send(0x88, payload).await;
        assert_eq!(session.backend.receive_close().await, Some(1001));
        drop(session.backend);
        assert_eq!(session.client.receive_close().await, Some(1002));
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_to_end_is_told_to_both_sides() {
    let mut session = start(rules());
    let before = Instant::now();
    assert!(session.live.end(Reason::CredentialExpired));
    assert!(!session.live.end(Reason::Draining), "the first reason wins");
    let told = session.client.receive().await.unwrap();
    assert_eq!(told.payload, b"\x0f\xa1the access token has expired");
    assert_eq!(session.backend.receive_close().await, Some(1001));
    session.client.send_close(4001).await;
    session.backend.send_close(1001).await;
    session.client.receive_fin().await;
    session.backend.receive_fin().await;
    let ended = session.relay.await.unwrap();
    assert_eq!(
        (ended.reason, ended.close_code),
        (Reason::CredentialExpired, Some(4001))
    );
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_order_to_end_that_nobody_heeds_ends_in_time() {
    let session = start(rules());
    let before = Instant::now();
    session.live.end(Reason::Draining);
    let (client, backend) = (session.client, session.backend);
    assert_eq!(session.relay.await.unwrap().reason, Reason::Draining);
    assert!((CLOSE..CLOSE * 2).contains(&before.elapsed()));
    drop((client, backend));
}

#[tokio::test(start_paused = true)]
async fn an_order_to_end_waits_for_the_frame_to_end_but_not_for_the_message() {
    let mut session = start(rules());
    session.backend.send_raw(b"\x01\x06uns").await;
    let mut half = [0; 5];
    session.client.io.read_exact(&mut half).await.unwrap();
    session.live.end(Reason::Draining);
    assert_eq!(session.backend.receive_close().await, Some(1001));
    session.backend.send_raw(b"aid\x80\x06unheard").await;
    let mut rest = [0; 3];
    session.client.io.read_exact(&mut rest).await.unwrap();
    assert_eq!(&rest, b"aid");
    assert_eq!(session.client.receive_close().await, Some(1001));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_ended_before_it_began_ends_as_it_begins() {
    let live = Arc::new(Live::default());
    live.end(Reason::SubscriptionBlocked);
    let (mut client, client_leg) = duplex(1024);
    let (backend, backend_leg) = duplex(1024);
    drop(backend);
    let leg = |io| Leg {
        io,
        read_ahead: Bytes::new(),
    };
    let relay = run(leg(client_leg), leg(backend_leg), rules(), OpenGate, live);
    let relay = Tasks::current().spawn_bare(relay);
    let mut told = [0; 4];
    client.read_exact(&mut told).await.unwrap();
    assert_eq!(told[2..], 4002_u16.to_be_bytes());
    drop(client);
    assert_eq!(relay.await.unwrap().reason, Reason::SubscriptionBlocked);
}
