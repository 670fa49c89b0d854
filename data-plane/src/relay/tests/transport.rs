//! Bytes pass untouched and in order, however the pipes split and stall.

use proptest::prelude::*;

use super::*;

/// What a peer sends: frames, cut into writes.
fn writes(masked: bool) -> impl Strategy<Value = Vec<Vec<u8>>> {
    let frame = (
        prop_oneof![Just(0x81_u8), Just(0x82), Just(0x89), Just(0x8A)],
        prop::collection::vec(any::<u8>(), 0..400),
        any::<[u8; 4]>(),
    )
        .prop_map(move |(first, mut payload, mask)| {
            if first & 0x08 != 0 {
                payload.truncate(125);
            }
            let (io, _) = duplex(1);
            let mask = masked.then_some(mask);
            Peer { io, mask }.frame(first, &payload)
        });
    let cuts = prop::collection::vec(1_usize..700, 1..60);
    (prop::collection::vec(frame, 0..30), cuts).prop_map(|(frames, cuts)| {
        let mut rest = &frames.concat()[..];
        let mut writes = Vec::new();
        let mut cuts = cuts.into_iter().cycle();
        while !rest.is_empty() {
            let (write, left) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
            writes.push(write.to_vec());
            rest = left;
        }
        writes
    })
}

/// Sends and receives at once, in the given steps, until all of `expected` is there; what was received.
async fn converse(
    io: DuplexStream,
    writes: Vec<Vec<u8>>,
    reads: Vec<usize>,
    expected: usize,
) -> (Vec<u8>, DuplexStream) {
    let (mut from, mut to) = tokio::io::split(io);
    let send = async {
        for write in writes {
            to.write_all(&write).await.expect("the relay reads");
            tokio::task::yield_now().await;
        }
    };
    let receive = async {
        let mut got = Vec::new();
        let mut reads = reads.into_iter().cycle();
        while got.len() < expected {
            let mut buffer = vec![0; reads.next().unwrap_or(1)];
            let n = from.read(&mut buffer).await.expect("the relay writes");
            assert_ne!(n, 0, "the session ended early");
            got.extend_from_slice(&buffer[..n]);
            tokio::task::yield_now().await;
        }
        got
    };
    let ((), got) = tokio::join!(send, receive);
    (got, from.unsplit(to))
}

async fn forwards(
    capacity: usize,
    [up, down]: [Vec<Vec<u8>>; 2],
    [at_backend, at_client]: [Vec<usize>; 2],
) {
    let session = start_with(rules(), capacity, [Bytes::new(), Bytes::new()]);
    let (sent_up, sent_down) = (up.concat(), down.concat());
    let client = converse(session.client.io, up, at_client, sent_down.len());
    let backend = converse(session.backend.io, down, at_backend, sent_up.len());
    let both = async { tokio::join!(client, backend) };
    let ((got_down, client), (got_up, backend)) =
        tokio::time::timeout(CLOSE, both).await.expect("no stall");
    assert!(
        got_up == sent_up,
        "the backend got other bytes than the client sent"
    );
    assert!(
        got_down == sent_down,
        "the client got other bytes than the backend sent"
    );
    let carried = session.live.traffic();
    assert_eq!(carried.0.bytes, sent_up.len() as u64);
    assert_eq!(carried.1.bytes, sent_down.len() as u64);
    drop((client, backend));
}

proptest! {
    #[test]
    fn any_schedule_of_reads_and_writes_forwards_exactly_the_bytes(
        up in writes(true),
        down in writes(false),
        reads in [prop::collection::vec(1_usize..900, 1..20), prop::collection::vec(1_usize..900, 1..20)],
        capacity in 1_usize..600,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(forwards(capacity, [up, down], reads));
    }
}

#[tokio::test(start_paused = true)]
async fn a_direction_with_unsent_bytes_does_not_read() {
    let mut session = start_with(rules(), 64, [Bytes::new(), Bytes::new()]);
    let frame = session.client.frame(0x82, &[0; 1000]);
    let mut taken = 0;
    let write = |at: usize| frame[at..].to_vec();
    while let Ok(written) =
        tokio::time::timeout(CLOSE, session.client.io.write(&write(taken))).await
    {
        taken += written.unwrap();
    }
    assert!(
        taken <= 64 * 4,
        "{taken} bytes were taken and none delivered"
    );
    session.backend.send(0x81, b"the other way is free").await;
    assert_eq!(
        session.client.receive().await,
        super::frame(0x81, b"the other way is free")
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_of_many_megabytes_passes() {
    let mut session = start(rules());
    let mut header = vec![0x82, 127];
    header.extend((16_u64 << 20).to_be_bytes());
    let (client, backend) = (&mut session.client, &mut session.backend);
    let send = async {
        backend.send_raw(&header).await;
        for n in 0..256 {
            backend.send_raw(&[n as u8; 1 << 16]).await;
        }
    };
    let (message, ()) = tokio::join!(client.receive(), send);
    let payload = message.unwrap().payload;
    assert_eq!(payload.len(), 16 << 20);
    assert!(
        payload
            .chunks(1 << 16)
            .enumerate()
            .all(|(n, chunk)| chunk.iter().all(|byte| *byte == n as u8))
    );
    assert_eq!(session.live.traffic().1.messages, 1);
}
