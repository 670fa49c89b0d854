//! What was used of a plan, and what is left of it: the gateways' figures laid beside the plan's limits.
//!
//! Refuses to gather figures (`discovery::usage`). Read by `service::usage`.

use tidegate_proto::quota::{Allowance, Burst, Limits, Window};

use super::time::Timestamp;

/// What a counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// Messages.
    Messages,
    /// Payload bytes.
    Bytes,
    /// Messages in a short window, on top.
    Burst,
    /// New sessions.
    Connections,
}

/// What was used of a counter in one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    /// What is counted.
    pub unit: Unit,
    /// In how long a time.
    pub window: Window,
    /// When the window began, by the ledger's clock.
    pub began: Timestamp,
    /// How much.
    pub used: u64,
}

/// What the nodes of one environment say of one subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consumption {
    /// What was used in windows that are not over; at most one for each counter.
    pub figures: Vec<Figure>,
    /// Open sessions on connected nodes.
    pub open_sessions: u64,
    /// When the one of the connected nodes that has been silent for longest told of its use. `None` when no node is
    /// connected, or one of them has not told yet.
    pub oldest_report: Option<Timestamp>,
    /// Nodes that are not connected and whose figures count.
    pub absent_nodes: usize,
    /// Whether several nodes are connected that do not share their quotas.
    pub counted_apart: bool,
    /// What the ledger's clock shows.
    pub ledger_time: Timestamp,
}

/// A counter of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaUsage {
    /// What is counted.
    pub unit: Unit,
    /// How much a window has.
    pub limit: u64,
    /// In how long a time.
    pub window: Window,
    /// How its current window stands; `None` for windows so short that nodes do not tell of them.
    pub current: Option<Current>,
}

/// How a counter's current window stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Current {
    /// When it began, by the ledger's clock.
    pub began: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
    /// How much was used.
    pub used: u64,
    /// What of the limit was not.
    pub remaining: u64,
}

/// Each counter that limits have, with what was used of it.
#[must_use]
pub fn quotas(limits: &Limits, seen: &Consumption) -> Vec<QuotaUsage> {
    let per_second = |amount: std::num::NonZeroU32| Allowance {
        amount: amount.into(),
        window: Window::SECOND,
    };
    let counters = [
        (Unit::Messages, limits.messages),
        (Unit::Bytes, limits.bytes),
        (Unit::Burst, limits.burst.map(Burst::allowance)),
        (Unit::Connections, limits.connections.map(per_second)),
    ];
    let counters = counters.into_iter();
    let counters = counters.filter_map(|(unit, of)| Some((unit, of?)));
    counters
        .map(|(unit, Allowance { amount, window })| QuotaUsage {
            unit,
            limit: amount.get(),
            window,
            current: current(unit, window, amount.get(), seen),
        })
        .collect()
}

fn current(unit: Unit, window: Window, limit: u64, seen: &Consumption) -> Option<Current> {
    if window.seconds() < Window::REPORTED_FROM_SECONDS {
        return None;
    }
    let mut figures = seen.figures.iter();
    let figure = figures.find(|it| it.unit == unit && it.window == window);
    let length = u64::from(window.seconds()) * 1000;
    // Nobody says anything of a window in which nothing was used.
    let turned = || Timestamp::from_millis(seen.ledger_time.millis() / length * length);
    let (began, used) = figure.map_or_else(|| (turned(), 0), |it| (it.began, it.used));
    Some(Current {
        began,
        ends: began.after(window.duration()),
        used,
        remaining: limit.saturating_sub(used),
    })
}

#[cfg(test)]
mod tests {
    use tidegate_proto::quota::{Allowance, Amount, Burst, BurstPer, Limits, Window};

    use super::{Consumption, Current, Figure, Unit, quotas};
    use crate::domain::time::Timestamp;

    const DAY: u64 = 86_400_000;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn a_day(amount: u64) -> Limits {
        Limits {
            messages: Some(Allowance {
                amount: Amount::try_new(amount).unwrap(),
                window: Window::DAY,
            }),
            ..Limits::default()
        }
    }

    /// Messages a day from the third day on.
    fn seen(used: u64, unit: Unit, window: Window) -> Consumption {
        let began = at(2 * DAY);
        let figure = Figure {
            unit,
            window,
            began,
            used,
        };
        Consumption {
            figures: vec![figure],
            ledger_time: at(2 * DAY + 5),
            ..Consumption::default()
        }
    }

    #[test]
    fn what_is_left_is_the_limit_less_what_was_used_and_never_less_than_nothing() {
        for (limit, used, remaining) in [(10, 0, 10), (10, 4, 6), (10, 10, 0), (10, 14, 0)] {
            let quota = quotas(&a_day(limit), &seen(used, Unit::Messages, Window::DAY));
            let current = Current {
                began: at(2 * DAY),
                ends: at(3 * DAY),
                used,
                remaining,
            };
            assert_eq!(quota[0].current, Some(current));
            assert_eq!((quota.len(), quota[0].limit), (1, limit));
        }
    }

    #[test]
    fn a_window_of_which_nobody_speaks_is_the_ledger_s_and_whole() {
        let others = [
            seen(4, Unit::Bytes, Window::DAY),
            seen(4, Unit::Messages, Window::MINUTE),
        ];
        for seen in others {
            let current = quotas(&a_day(10), &seen)[0].current.unwrap();
            assert_eq!((current.used, current.remaining), (0, 10));
            assert_eq!((current.began, current.ends), (at(2 * DAY), at(3 * DAY)));
        }
    }

    #[test]
    fn a_limit_of_a_second_is_named_without_its_use() {
        let limits = Limits {
            burst: Some(Burst {
                messages: Amount::try_new(5).unwrap(),
                per: BurstPer::Second,
            }),
            connections: std::num::NonZeroU32::new(3),
            ..Limits::default()
        };
        let quotas = quotas(&limits, &Consumption::default());
        let told: Vec<_> = quotas.iter().map(|it| (it.unit, it.limit)).collect();
        assert_eq!(told, [(Unit::Burst, 5), (Unit::Connections, 3)]);
        assert!(quotas.iter().all(|it| it.current.is_none()));
    }

    #[test]
    fn an_unlimited_plan_has_no_counters() {
        assert_eq!(quotas(&Limits::default(), &Consumption::default()), []);
    }
}
