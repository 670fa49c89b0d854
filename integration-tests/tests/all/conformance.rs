//! A backend that is independent of this project gives the same answers through the gateway as directly, frame by
//! frame. It is the committed counterpart of the Autobahn suite, which also runs if it's installed.

use std::net::SocketAddr;

use tidegate_integration_tests::{
    catalog,
    client::Upgrade,
    fake_control_plane::FakeControlPlane,
    issuer::Issuer,
    process, python,
    wire::{BINARY, CLOSE, CONTINUATION, Frame, Mask, PING, PONG, TEXT},
};

use crate::{frames, setup::ISSUER};

/// What a client sends, and how it is known.
struct Case {
    name: String,
    bytes: Vec<u8>,
    /// Whether every answering frame is compared, or only how the session is closed: a backend that fails at once may
    /// overtake its own answers.
    whole: bool,
}

/// What a client gets: the frames, the close code, and that the connection ended.
#[derive(Debug, PartialEq, Eq)]
struct Transcript {
    frames: Vec<Frame>,
    code: Option<u16>,
}

fn case(name: impl Into<String>, frames: &[Frame]) -> Case {
    let mut bytes: Vec<_> = frames
        .iter()
        .flat_map(|frame| frame.encode(Mask::Fixed))
        .collect();
    if frames.iter().all(|frame| frame.opcode != CLOSE) {
        bytes.extend(Frame::close(1000, "").encode(Mask::Fixed));
    }
    Case {
        name: name.into(),
        bytes,
        whole: true,
    }
}

fn faulty(name: impl Into<String>, bytes: Vec<u8>) -> Case {
    Case {
        name: name.into(),
        bytes,
        whole: false,
    }
}

/// What RFC 6455 allows.
fn legal() -> Vec<Case> {
    let mut cases = Vec::new();
    for length in [0, 1, 125, 126, 127, 128, 65_535, 65_536, 1 << 20] {
        let text = Frame::new(TEXT, vec![b'*'; length]);
        cases.push(case(format!("{length} bytes of text"), &[text]));
        let binary = Frame::new(BINARY, vec![0xfe; length]);
        cases.push(case(format!("{length} bytes"), &[binary]));
    }
    for length in [0, 1, 125] {
        let ping = Frame::new(PING, vec![0xff; length]);
        cases.push(case(format!("a ping of {length} bytes"), &[ping]));
        let pong = Frame::new(PONG, vec![0xff; length]);
        cases.push(case(
            format!("a pong of {length} bytes that nobody asked for"),
            &[pong],
        ));
    }
    let pings: Vec<_> = (0..10_u8).map(|n| Frame::new(PING, [n])).collect();
    cases.push(case("ten pings", &pings));
    let greeting = "Grüße, κόσμε";
    for at in 1..greeting.len() {
        let (head, tail) = greeting.as_bytes().split_at(at);
        let ping = Frame::new(PING, "between");
        let frames = [
            Frame::new(TEXT, head).unfinished(),
            ping,
            Frame::new(CONTINUATION, tail),
        ];
        cases.push(case(
            format!("text in two, cut at {at}, with a ping between"),
            &frames,
        ));
    }
    let mut bytewise: Vec<_> = greeting
        .bytes()
        .map(|byte| Frame::new(CONTINUATION, [byte]).unfinished())
        .collect();
    bytewise[0].opcode = TEXT;
    bytewise.push(Frame::new(CONTINUATION, ""));
    cases.push(case("text byte by byte", &bytewise));
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
    ] {
        let frames = [Frame::text("before"), Frame::close(code, "so long")];
        cases.push(case(format!("a close with {code}"), &frames));
    }
    cases.push(case("a close without a code", &[Frame::new(CLOSE, "")]));
    cases.push(case(
        "a close with a long reason",
        &[Frame::close(1000, &"r".repeat(123))],
    ));
    let after = [
        Frame::close(1000, ""),
        Frame::text("after"),
        Frame::new(PING, "after"),
    ];
    cases.push(case("frames after a close", &after));
    cases
}

/// What it does not.
fn illegal() -> Vec<Case> {
    // Of the length with its top bit set the backend says that it is too big (1009), the gateway that it is illegal.
    let frames = frames::illegal(Mask::Fixed)
        .into_iter()
        .filter(|(name, _)| !name.contains("63 bits"));
    let mut cases: Vec<_> = frames.map(|(name, bytes)| faulty(name, bytes)).collect();
    for code in [
        0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535,
    ] {
        let close = Frame::close(code, "").encode(Mask::Fixed);
        cases.push(faulty(format!("a close with {code}"), close));
    }
    cases.push(faulty(
        "a close with half a code",
        Frame::new(CLOSE, [3]).encode(Mask::Fixed),
    ));
    let mut reason = Frame::close(1000, "");
    reason.payload.extend([0xce, 0xba, 0xe1]);
    cases.push(faulty(
        "a close with a reason that is no text",
        reason.encode(Mask::Fixed),
    ));
    let bad: [&[u8]; 5] = [
        b"\xff",
        b"ok \xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xce",
    ];
    for bytes in bad {
        let name = format!("text that is no UTF-8: {bytes:02x?}");
        cases.push(faulty(
            name.clone(),
            Frame::new(TEXT, bytes).encode(Mask::Fixed),
        ));
        let fragments = [
            Frame::text("fine ").unfinished(),
            Frame::new(CONTINUATION, bytes),
        ];
        let fragments = fragments
            .iter()
            .flat_map(|frame| frame.encode(Mask::Fixed))
            .collect();
        cases.push(faulty(format!("{name}, in the second fragment"), fragments));
    }
    cases
}

async fn transcript(upgrade: &Upgrade, address: SocketAddr, case: &Case) -> Transcript {
    let mut client = upgrade.open(address).await;
    client.send_bytes(&case.bytes).await;
    let mut frames = Vec::new();
    while let Some(frame) = client.next().await {
        let close = frame.opcode == CLOSE;
        frames.push(frame);
        if close {
            break;
        }
    }
    let code = frames.last().map(|last| last.close_code().unwrap_or(1005));
    client.until_end().await;
    if !case.whole {
        frames.clear();
    }
    // The words of a reason are the speaker's own.
    if let Some(last) = frames.last_mut()
        && last.opcode == CLOSE
    {
        last.payload.truncate(2);
    }
    Transcript { frames, code }
}

#[tokio::test]
async fn every_case_ends_the_same_straight_and_through_the_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let (_backend, url) = python::serve("backend.py", folder.path(), &[]).await;
    let issuer = Issuer::new(ISSUER);
    let control = FakeControlPlane::start(catalog::echo(&issuer, &url)).await;
    let node = control.node(&[]).await;
    let straight = (
        Upgrade::to("/"),
        url.trim_start_matches("ws://").parse().unwrap(),
    );
    let upgrade = Upgrade::to(catalog::PATH).bearer(&issuer.token(catalog::CLIENT));
    let through = (upgrade, node.ready.ws);

    let mut differ = Vec::new();
    let cases: Vec<_> = legal().into_iter().chain(illegal()).collect();
    for case in &cases {
        let direct = transcript(&straight.0, straight.1, case).await;
        let gateway = transcript(&through.0, through.1, case).await;
        if direct != gateway {
            differ.push(format!(
                "{}: {direct:?} straight, {gateway:?} through",
                case.name
            ));
        }
    }
    assert!(cases.len() > 90, "only {} cases", cases.len());
    assert!(
        differ.is_empty(),
        "{} of {} differ:\n{}",
        differ.len(),
        cases.len(),
        differ.join("\n")
    );
}

#[tokio::test]
async fn the_autobahn_suite_s_quick_selection_gives_the_same_verdicts_where_the_suite_is_found() {
    if xtask::conformance::suite(None).is_none() {
        println!(
            "no suite on this machine (AUTOBAHN_SUITE names its folder): our own cases ran alone"
        );
        return;
    }
    let mut command = process::command("xtask");
    command.args(["conformance", "--quick", "--no-build"]);
    let folder = tempfile::tempdir().unwrap();
    let mut run = process::Process::start("conformance", folder.path(), command);
    let deadline = std::time::Duration::from_secs(900);
    let status =
        tidegate_integration_tests::wait::until_within(deadline, "the suite", async || {
            run.exited()
        });
    assert!(status.await.success(), "{}", run.log());
    println!("{}", run.log());
}
