//! The CPU time of a message in two setups, measured in turn, so that other load on the machine affects both equally.
//! Called by the benchmarks that compare the data plane with itself.

use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::{
    relay::{self, Load, Shape},
    table::median,
    wire::Endpoint,
};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turns {
    /// How many turns each setup has, for each shape.
    pub(super) rounds: usize,
    /// The length of a turn in milliseconds.
    pub(super) millis: u64,
}

/// The shapes that are measured: size, messages in flight, and microseconds between pushes, or `None` for echoes.
const SHAPES: [(usize, usize, Option<u64>); 4] = [
    (64, 1, None),
    (64, 16, None),
    (1024, 4, None),
    (64, 16, Some(1_000)),
];

/// Measures two endpoints, each with the process that serves it, and prints a row for each shape.
pub(super) async fn compare(
    turns: Turns,
    names: [&str; 2],
    target: &str,
    endpoints: [(&Endpoint, u32); 2],
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
        let ([first, second], ratio) = measure(turns, endpoints, shape, epoch).await?;
        let name = shape.name();
        println!("| {name} | {first:.3} | {second:.3} | **{ratio:.3}** | {target} |");
    }
    Ok(())
}

/// The median CPU time of a message in each setup, in microseconds, and the median of the turns' ratios, second to
/// first.
async fn measure(
    turns: Turns,
    endpoints: [(&Endpoint, u32); 2],
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
        // Each setup goes first equally often.
        for at in [round % 2, 1 - round % 2] {
            let (endpoint, pid) = endpoints[at];
            let turn = relay::measure(load, endpoint, &[pid], shape, epoch).await;
            seen[at].push(turn.with_context(|| shape.name())?.cpu);
        }
    }
    let [first, second] = &seen;
    // Ratios of adjacent turns.
    let ratio = median(
        second
            .iter()
            .zip(first)
            .map(|(second, first)| second / first),
    );
    Ok((seen.map(|seen| median(seen.into_iter())), ratio))
}
