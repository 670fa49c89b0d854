//! Any bytes, split anywhere: the scanner never panics, never takes more than there is, and sees what it would have seen
//! in one piece. The first three bytes of the input choose side, extension and the size of the pieces.
//!
//! `cargo +nightly fuzz run scan`, in `data-plane`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_data_plane::relay::scan::{LONGEST_SHORT, Scanner, Step};

/// Where the scan of a stream came to, how many messages and control frames it met, and whether it met a fault.
fn scan(mut scanner: Scanner, stream: &[u8], piece: usize) -> (usize, u32, u32, bool, Scanner) {
    let (mut at, mut end) = (0, 0);
    let (mut messages, mut controls) = (0, 0);
    while end < stream.len() {
        end = stream.len().min(end + piece);
        while at < end {
            match scanner.step(&stream[at..end]) {
                Step::Data { taken, start } => {
                    assert!(0 < taken && taken <= end - at);
                    messages += u32::from(start.is_some());
                    at += taken;
                }
                Step::Control { taken, .. } => {
                    assert!(2 <= taken && taken <= end - at);
                    controls += 1;
                    at += taken;
                }
                Step::Short => {
                    assert!(end - at <= LONGEST_SHORT);
                    break;
                }
                Step::Fault(_) => return (at, messages, controls, true, scanner),
            }
        }
    }
    (at, messages, controls, false, scanner)
}

fuzz_target!(|input: &[u8]| {
    let [side, deflate, piece, stream @ ..] = input else {
        return;
    };
    let scanner = Scanner::new(side & 1 == 1, deflate & 1 == 1);
    let whole = scan(scanner.clone(), stream, usize::MAX >> 1);
    let split = scan(scanner, stream, usize::from(*piece).max(1));
    assert_eq!(whole, split);
});
