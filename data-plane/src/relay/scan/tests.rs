//! What the scanner accepts, what it refuses, and that no split of a stream changes its mind.

use proptest::prelude::*;

use super::{Control, Fault, LONGEST_SHORT, Scanner, Step};
use crate::message::{MessageKind, MessageStart};

/// What a whole stream looks like to a scanner, without regard to how it was split.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Message(usize, MessageStart),
    /// However many pieces they came in.
    More(u64),
    Close(usize, Option<u16>),
    Ping(usize),
    Pong(usize, Vec<u8>),
    Fault(usize, Fault),
    Unfinished(usize),
}

/// Shows a stream to a scanner in pieces that end at `cuts`, as the pump does.
fn watch(mut scanner: Scanner, stream: &[u8], cuts: &[usize]) -> (Vec<Seen>, Scanner) {
    let mut seen = Vec::new();
    let mut at = 0;
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    ends.push(stream.len());
    ends.sort_unstable();
    for end in ends {
        while at < end {
            match scanner.step(&stream[at..end]) {
                Step::Data { taken, start, more } => {
                    match seen.last_mut() {
                        Some(Seen::More(sum)) => *sum += more,
                        _ => seen.extend((more > 0).then_some(Seen::More(more))),
                    }
                    seen.extend(start.map(|start| Seen::Message(at, start)));
                    assert!(taken > 0, "a step that takes nothing");
                    at += taken;
                }
                Step::Control { taken, control } => {
                    seen.push(match control {
                        Control::Close(code) => Seen::Close(at, code),
                        Control::Ping => Seen::Ping(at),
                        Control::Pong { payload, key } => {
                            let key = key.iter().cycle();
                            let plain = payload.iter().zip(key).map(|(byte, key)| byte ^ key);
                            Seen::Pong(at, plain.collect())
                        }
                    });
                    at += taken;
                }
                Step::Short => {
                    assert!(end - at <= LONGEST_SHORT, "more is held than need be");
                    break;
                }
                Step::Fault(fault) => {
                    seen.push(Seen::Fault(at, fault));
                    return (seen, scanner);
                }
            }
        }
    }
    if at < stream.len() {
        seen.push(Seen::Unfinished(at));
    }
    (seen, scanner)
}

fn backend(deflate: bool) -> Scanner {
    Scanner::new(false, deflate)
}

fn client() -> Scanner {
    Scanner::new(true, false)
}

fn fault(scanner: Scanner, stream: &[u8]) -> Option<Fault> {
    match watch(scanner, stream, &[]).0.last() {
        Some(Seen::Fault(_, fault)) => Some(*fault),
        _ => None,
    }
}

fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut frame = vec![first];
    let bit = if mask.is_some() { 0x80 } else { 0 };
    match payload.len() {
        length @ 0..=125 => frame.push(length as u8 | bit),
        length @ 126..=0xFFFF => {
            frame.push(126 | bit);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(127 | bit);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    let key = mask.unwrap_or_default();
    frame.extend(mask.iter().flatten());
    frame.extend(
        payload
            .iter()
            .zip(key.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    frame
}

#[test]
fn counts_what_comes_of_a_further_frame_and_not_what_it_declares() {
    let mut scanner = client();
    scanner.step(&[0x02, 0x80, 1, 2, 3, 4]);
    let mut header = vec![0x80, 0x80 | 127];
    header.extend((1_u64 << 62).to_be_bytes());
    header.extend([1, 2, 3, 4]);
    for (bytes, came) in [(&header[..], 0), (&[0; 5], 5)] {
        let step = scanner.step(bytes);
        let taken = bytes.len();
        assert!(
            matches!(step, Step::Data { taken: t, start: None, more } if t == taken && more == came)
        );
    }
}

#[test]
fn sees_a_message_by_its_first_header_alone() {
    let mut scanner = client();
    let header = [0x82, 0x80 | 126, 0x01, 0x00, 1, 2, 3, 4];
    let start = MessageStart {
        kind: MessageKind::Binary,
        length: 256,
        whole: true,
        compressed: false,
    };
    let step = scanner.step(&header);
    assert_eq!(
        step,
        Step::Data {
            taken: 8,
            start: Some(start),
            more: 0,
        }
    );
    assert!(!scanner.between_frames());
    let step = scanner.step(&[0; 300]);
    assert_eq!(
        step,
        Step::Data {
            taken: 256,
            start: None,
            more: 0,
        }
    );
    assert!(scanner.between_messages());
}

#[test]
fn counts_a_fragmented_message_once_and_lets_control_frames_between() {
    let stream = [
        frame(0x01, b"one", None),
        frame(0x89, b"ping", None),
        frame(0x00, b"two", None),
        frame(0x80, b"", None),
        frame(0x81, b"", None),
    ]
    .concat();
    let (seen, scanner) = watch(backend(false), &stream, &[]);
    let message = |length, whole| MessageStart {
        kind: MessageKind::Text,
        length,
        whole,
        compressed: false,
    };
    let expected = [
        Seen::Message(0, message(3, false)),
        Seen::Ping(5),
        Seen::More(3),
        Seen::Message(18, message(0, true)),
    ];
    assert_eq!(seen, expected);
    assert!(scanner.between_messages());
}

#[test]
fn a_message_may_not_be_spoken_into_between_fragments_but_a_control_frame_may() {
    let (_, scanner) = watch(backend(false), &frame(0x01, b"one", None), &[]);
    assert!(scanner.between_frames());
    assert!(!scanner.between_messages());
}

#[test]
fn reads_close_codes_through_the_mask() {
    let stream = frame(0x88, &[0x03, 0xE9, b'x'], Some([9, 8, 7, 6]));
    assert_eq!(
        watch(client(), &stream, &[]).0,
        [Seen::Close(0, Some(1001))]
    );
    assert_eq!(
        watch(backend(false), &[0x88, 0], &[]).0,
        [Seen::Close(0, None)]
    );
}

#[test]
fn accepts_only_close_codes_that_may_be_sent() {
    for code in 0..=u16::MAX {
        let stream = frame(0x88, &code.to_be_bytes(), None);
        let legal = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        let expected = if legal {
            Seen::Close(0, Some(code))
        } else {
            Seen::Fault(0, Fault::InvalidCloseCode)
        };
        assert_eq!(watch(backend(false), &stream, &[]).0, [expected]);
    }
}

#[test]
fn refuses_half_a_close_code() {
    assert_eq!(
        fault(backend(false), &[0x88, 1, 3]),
        Some(Fault::HalfCloseCode)
    );
}

#[test]
fn refuses_reserved_opcodes() {
    for opcode in (3..=7).chain(11..=15) {
        let fault = fault(backend(false), &[0x80 | opcode, 0]);
        assert_eq!(fault, Some(Fault::ReservedOpcode), "opcode {opcode}");
    }
}

#[test]
fn refuses_reserved_bits_that_no_extension_explains() {
    for bits in [0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70] {
        for opcode in [1, 2, 8, 9, 10] {
            let found = fault(backend(false), &[0x80 | bits | opcode, 0]);
            assert_eq!(found, Some(Fault::ReservedBit), "{bits:x} {opcode}");
            let found = fault(backend(true), &[0x80 | bits | opcode, 0]);
            let legal = bits == 0x40 && opcode < 8;
            assert_eq!(found.is_none(), legal, "{bits:x} {opcode} with deflate");
        }
    }
}

#[test]
fn refuses_the_compression_bit_on_a_continuation() {
    let stream = [0x41, 0, 0xC0, 0];
    assert_eq!(fault(backend(true), &stream), Some(Fault::ReservedBit));
}

#[test]
fn refuses_fragmented_and_long_control_frames() {
    for opcode in [8, 9, 10] {
        assert_eq!(
            fault(backend(false), &[opcode, 0]),
            Some(Fault::FragmentedControl)
        );
        let long = [0x80 | opcode, 126, 0, 126];
        assert_eq!(fault(backend(false), &long), Some(Fault::LongControl));
    }
}

#[test]
fn demands_masks_of_clients_and_forbids_them_to_backends() {
    for first in [0x81, 0x89] {
        assert_eq!(
            fault(client(), &frame(first, b"hi", None)),
            Some(Fault::Unmasked)
        );
        let masked = frame(first, b"hi", Some([1; 4]));
        assert_eq!(fault(backend(false), &masked), Some(Fault::Masked));
    }
}

#[test]
fn refuses_continuations_of_nothing_and_messages_inside_messages() {
    assert_eq!(
        fault(backend(false), &[0x80, 0]),
        Some(Fault::StrayContinuation)
    );
    assert_eq!(
        fault(backend(false), &[0x01, 0, 0x81, 0]),
        Some(Fault::NestedMessage)
    );
    assert_eq!(
        fault(backend(false), &[0x01, 0, 0x80, 0, 0x80, 0]),
        Some(Fault::StrayContinuation)
    );
}

#[test]
fn refuses_lengths_with_the_top_bit_set() {
    let stream = [0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 1];
    assert_eq!(fault(backend(false), &stream), Some(Fault::LengthTooLarge));
}

#[test]
fn refuses_lengths_in_more_bytes_than_they_need() {
    let refused: [&[u8]; 3] = [
        &[0x82, 126, 0, 0],
        &[0x82, 126, 0, 125],
        &[0x82, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF],
    ];
    for stream in refused {
        assert_eq!(fault(backend(false), stream), Some(Fault::LengthNotMinimal));
    }
    let accepted: [&[u8]; 2] = [&[0x82, 126, 0, 126], &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]];
    for stream in accepted {
        assert_eq!(fault(backend(false), stream), None);
    }
}

#[test]
fn stays_small() {
    assert!(size_of::<Scanner>() <= 16);
}

/// Frames of which most are legal, each on its own.
fn frames(masked: bool) -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        8 => prop_oneof![Just(0x81), Just(0x82), Just(0x01), Just(0x00), Just(0x80), Just(0xC1)],
        4 => prop_oneof![Just(0x89), Just(0x8A), Just(0x88)],
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        24 => prop::collection::vec(any::<u8>(), 0..130),
        1 => prop::collection::vec(any::<u8>(), 0..70_000),
    ];
    let mask = any::<[u8; 4]>();
    let one = (first, payload, mask)
        .prop_map(move |(first, payload, mask)| frame(first, &payload, masked.then_some(mask)));
    prop::collection::vec(one, 0..12).prop_map(|frames| frames.concat())
}

proptest! {
    #[test]
    fn any_split_of_legal_looking_streams_gives_the_same_steps(
        (masked, stream) in any::<bool>().prop_flat_map(|masked| (Just(masked), frames(masked))),
        cuts in prop::collection::vec(any::<usize>(), 0..40),
        deflate in any::<bool>(),
    ) {
        let scanner = Scanner::new(masked, deflate);
        let whole = watch(scanner, &stream, &[]);
        prop_assert_eq!(whole, watch(scanner, &stream, &cuts));
    }

    #[test]
    fn any_split_of_garbage_gives_the_same_steps(
        stream in prop::collection::vec(any::<u8>(), 0..300),
        masked in any::<bool>(),
    ) {
        let scanner = Scanner::new(masked, true);
        let octets: Vec<usize> = (0..stream.len()).collect();
        let whole = watch(scanner, &stream, &[]);
        prop_assert_eq!(whole, watch(scanner, &stream, &octets));
    }
}
