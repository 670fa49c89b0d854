//! Idle sessions, and peers that are gone without a word.

use super::*;

const IDLE: Duration = Duration::from_secs(60);
const PING: Duration = Duration::from_secs(20);

fn idling() -> Rules {
    Rules {
        idle: Some(IDLE),
        ..rules()
    }
}

fn pinging() -> Rules {
    Rules {
        ping: Some(PING),
        ..rules()
    }
}

/// Whether `elapsed` is what a limit allows: a quarter more, never less.
fn kept(limit: Duration, elapsed: Duration) -> bool {
    (limit..=limit + limit / 4 + Duration::from_millis(10)).contains(&elapsed)
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_is_ended() {
    let mut session = start(idling());
    let before = Instant::now();
    assert_eq!(session.client.receive_close().await, Some(1001));
    assert!(kept(IDLE, before.elapsed()), "{:?}", before.elapsed());
    assert_eq!(session.backend.receive_close().await, Some(1001));
    session.client.send_close(1001).await;
    session.backend.send_close(1001).await;
    assert_eq!(session.ended().await.reason, Reason::IdleTimeout);
}

#[tokio::test(start_paused = true)]
async fn data_in_either_direction_keeps_a_session_from_being_idle() {
    let mut session = start(idling());
    for _ in 0..5 {
        tokio::time::advance(IDLE / 2).await;
        session.client.send(0x81, b"up").await;
        session.backend.receive().await;
        tokio::time::advance(IDLE / 2).await;
        session.backend.send(0x81, b"down").await;
        assert_eq!(session.client.receive().await, frame(0x81, b"down"));
    }
    let before = Instant::now();
    assert_eq!(session.client.receive_close().await, Some(1001));
    assert!(kept(IDLE, before.elapsed()), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn pings_do_not_keep_a_session_from_being_idle() {
    let mut session = start(idling());
    let before = Instant::now();
    for _ in 0..3 {
        tokio::time::advance(IDLE / 4).await;
        session.client.send(0x89, b"still here").await;
        session.backend.receive().await;
    }
    assert_eq!(session.client.receive_close().await, Some(1001));
    assert!(kept(IDLE, before.elapsed()), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_pings_stays_and_its_answers_are_swallowed() {
    let mut session = start(pinging());
    for _ in 0..4 {
        let ping = session.client.receive().await.unwrap();
        assert_eq!((ping.first, ping.payload.len()), (0x89, 8));
        // Split, so that the relay must hold it back until it knows what it is.
        let pong = session.client.frame(0x8A, &ping.payload);
        for byte in pong {
            session.client.send_raw(&[byte]).await;
            tokio::task::yield_now().await;
        }
        let ping = session.backend.receive().await.unwrap();
        assert_eq!((ping.first, ping.payload.len()), (0x89, 8));
        session.backend.send(0x8A, &ping.payload).await;
    }
    session.client.send(0x81, b"next").await;
    assert_eq!(session.backend.receive().await, frame(0x81, b"next"));
    session.backend.send(0x81, b"next").await;
    assert_eq!(session.client.receive().await, frame(0x81, b"next"));
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_cut_out_from_between_messages() {
    let mut session = start(pinging());
    let ping = session.client.receive().await.unwrap();
    let bytes = [
        session.client.frame(0x81, b"before"),
        session.client.frame(0x8A, &ping.payload),
        session.client.frame(0x81, b"after"),
    ];
    session.client.send_raw(&bytes.concat()).await;
    let ping = session.backend.receive().await.unwrap();
    assert_eq!(ping.first, 0x89);
    assert_eq!(session.backend.receive().await, frame(0x81, b"before"));
    assert_eq!(session.backend.receive().await, frame(0x81, b"after"));
    let (sent, _) = session.live.traffic();
    assert_eq!(
        sent,
        Traffic {
            messages: 2,
            dropped: 0,
            bytes: 12 + 11
        }
    );
}

#[tokio::test(start_paused = true)]
async fn the_peers_own_pings_and_pongs_pass() {
    let mut session = start(pinging());
    session.client.send(0x89, b"are you there").await;
    assert_eq!(
        session.backend.receive().await,
        frame(0x89, b"are you there")
    );
    session.backend.send(0x8A, b"are you there").await;
    session.backend.send(0x8A, b"8 bytes.").await;
    assert_eq!(
        session.client.receive().await,
        frame(0x8A, b"are you there")
    );
    assert_eq!(session.client.receive().await, frame(0x8A, b"8 bytes."));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone_without_a_word_is_found() {
    let mut session = start(pinging());
    let before = Instant::now();
    let ping = session.backend.receive().await.unwrap();
    session.backend.send(0x8A, &ping.payload).await;
    assert_eq!(session.backend.receive_close().await, Some(1001));
    assert!(
        kept(PING + rules().pong, before.elapsed()),
        "{:?}",
        before.elapsed()
    );
    let client = session.client;
    drop(session.backend);
    let ended = session.relay.await.unwrap();
    assert_eq!(
        (ended.reason, ended.close_code),
        (Reason::ClientUnresponsive, Some(1001))
    );
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_is_gone_without_a_word_is_found() {
    let mut session = start(pinging());
    let ping = session.client.receive().await.unwrap();
    session.client.send(0x8A, &ping.payload).await;
    assert_eq!(session.client.receive_close().await, Some(1014));
    session.client.send_close(1014).await;
    session.client.receive_fin().await;
    assert_eq!(session.ended().await.reason, Reason::BackendUnresponsive);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_speaks_is_not_pinged() {
    let mut session = start(pinging());
    for _ in 0..10 {
        tokio::time::advance(PING / 2).await;
        session.client.send(0x81, b"up").await;
        session.backend.send(0x81, b"down").await;
        assert_eq!(session.backend.receive().await, frame(0x81, b"up"));
        assert_eq!(session.client.receive().await, frame(0x81, b"down"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_ping_goes_between_fragments_but_never_into_a_frame() {
    let mut session = start(pinging());
    session.backend.send_raw(b"\x02\x04ab").await;
    let mut half = [0; 4];
    session.client.io.read_exact(&mut half).await.unwrap();
    tokio::time::advance(PING * 2).await;
    session.backend.receive().await.unwrap();
    session.backend.send_raw(b"cd").await;
    let mut rest = [0; 2];
    session.client.io.read_exact(&mut rest).await.unwrap();
    let ping = session.client.receive().await.unwrap();
    assert_eq!(ping.first, 0x89);
    session.client.send(0x8A, &ping.payload).await;
    session.backend.send(0x80, b"e").await;
    assert_eq!(session.client.receive().await, frame(0x80, b"e"));
}
