//! The CPU of a message in two circumstances, measured in turn, so that what else the machine does falls on both alike.
//! Called by the benchmarks that compare the data plane with itself.

use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::{
    relay::{self, Load, Shape},
    table::median,
    wire::Door,
};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turns {
    /// How often each circumstance has its turn, at each shape.
    pub(super) rounds: usize,
    /// How long one turn is measured, in milliseconds.
    pub(super) millis: u64,
}

/// What a message costs is measured at: size, messages in flight, and microseconds between pushes or an echo.
const SHAPES: [(usize, usize, Option<u64>); 4] = [
    (64, 1, None),
    (64, 16, None),
    (1024, 4, None),
    (64, 16, Some(1_000)),
];

/// Measures through two doors, each served by the process beside it, and prints a row for each shape.
pub(super) async fn compare(
    turns: Turns,
    names: [&str; 2],
    target: &str,
    doors: [(&Door, u32); 2],
    epoch: Instant,
) -> anyhow::Result<()> {
    let [first, second] = names;
    println!("\n| CPU per message (µs) | {first} | {second} | ratio | target |");
    println!("|---|---:|---:|---:|---:|");
    for (size, in_flight, every) in SHAPES {
        let shape = Shape {
            size,
            in_flight,
            every: every.map(Duration::from_micros),
        };
        let ([first, second], ratio) = measure(turns, doors, shape, epoch).await?;
        let name = shape.name();
        println!("| {name} | {first:.3} | {second:.3} | **{ratio:.3}** | {target} |");
    }
    Ok(())
}

/// Microseconds of processor a message, the median of each; and the second by the first, the median of the turns' ratios.
async fn measure(
    turns: Turns,
    doors: [(&Door, u32); 2],
    shape: Shape,
    epoch: Instant,
) -> anyhow::Result<([f64; 2], f64)> {
    let load = Load {
        sessions: 8,
        listeners: 50,
        millis: turns.millis,
    };
    let mut seen = [Vec::new(), Vec::new()];
    for round in 0..turns.rounds {
        // Each goes first as often as the other.
        for at in [round % 2, 1 - round % 2] {
            let (door, pid) = doors[at];
            let turn = relay::measure(load, door, &[pid], shape, epoch).await;
            seen[at].push(turn.with_context(|| shape.name())?.cpu);
        }
    }
    let [first, second] = &seen;
    // Of neighbours in time.
    let ratio = median(
        second
            .iter()
            .zip(first)
            .map(|(second, first)| second / first),
    );
    Ok((seen.map(|seen| median(seen.into_iter())), ratio))
}
