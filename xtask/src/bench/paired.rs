//! The CPU of a message in two circumstances, measured in turn, so that what else the machine does falls on both alike.
//! Called by the benchmarks that compare the data plane with itself.

use std::time::Instant;

use anyhow::Context as _;

use super::{
    relay::{self, Load, Shape},
    table::median,
    wire::Door,
};

/// What two circumstances cost.
#[derive(Debug)]
pub(super) struct Paired {
    /// Microseconds of processor a message: the median of each.
    pub(super) cpu: [f64; 2],
    /// The second by the first: the median of the turns' ratios.
    pub(super) ratio: f64,
}

/// Measures a shape through two doors, each served by the process beside it, so many times each.
pub(super) async fn paired(
    load: Load,
    doors: [(&Door, u32); 2],
    rounds: usize,
    shape: Shape,
    epoch: Instant,
) -> anyhow::Result<Paired> {
    let mut turns = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        // Each goes first as often as the other.
        for at in [round % 2, 1 - round % 2] {
            let (door, pid) = doors[at];
            let turn = relay::measure(load, door, &[pid], shape, epoch).await;
            turns[at].push(turn.with_context(|| shape.name())?.cpu);
        }
    }
    let [first, second] = &turns;
    // Of neighbours in time.
    let ratio = median(
        second
            .iter()
            .zip(first)
            .map(|(second, first)| second / first),
    );
    Ok(Paired {
        cpu: turns.map(|turns| median(turns.into_iter())),
        ratio,
    })
}
