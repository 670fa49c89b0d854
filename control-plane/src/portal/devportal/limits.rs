//! What a plan allows, in words.

use tidegate_proto::quota::{Allowance, Burst, Counts, Limits, Window};

use crate::{domain::usage::Unit, portal::words::number};

/// Each limit as a phrase: `50,000 messages a day`.
pub(in crate::portal) fn words(limits: &Limits) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(Allowance { amount, window }) = limits.messages {
        words.push(allowance(Unit::Messages, amount.get(), window));
    }
    if let Some(Allowance { amount, window }) = limits.bytes {
        words.push(allowance(Unit::Bytes, amount.get(), window));
    }
    if let Some(Allowance { amount, window }) = limits.burst.map(Burst::allowance) {
        words.push(allowance(Unit::Burst, amount.get(), window));
    }
    if let Some(sessions) = limits.sessions {
        let sessions = sessions.get();
        words.push(format!(
            "{} open at a time",
            counted(sessions.into(), "session")
        ));
    }
    if let Some(connections) = limits.connections {
        let connections = connections.get();
        words.push(allowance(
            Unit::Connections,
            connections.into(),
            Window::SECOND,
        ));
    }
    let counts_traffic =
        limits.messages.is_some() || limits.bytes.is_some() || limits.burst.is_some();
    match limits.counts {
        _ if words.is_empty() => words.push("No limit".to_owned()),
        _ if !counts_traffic => {}
        Counts::Both => words.push("counted both ways".to_owned()),
        Counts::Client => words.push("counting only what clients send".to_owned()),
        Counts::Backend => words.push("counting only what clients receive".to_owned()),
    }
    words
}

/// So much in a window.
pub(super) fn allowance(unit: Unit, amount: u64, window: Window) -> String {
    format!("{} {}", quantity(unit, amount), every(window))
}

/// So much of what is counted.
pub(super) fn quantity(unit: Unit, amount: u64) -> String {
    match unit {
        Unit::Messages | Unit::Burst => counted(amount, "message"),
        Unit::Bytes => bytes(amount),
        Unit::Connections => counted(amount, "new session"),
    }
}

fn every(window: Window) -> String {
    match window.seconds() {
        1 => "a second".to_owned(),
        60 => "a minute".to_owned(),
        3600 => "an hour".to_owned(),
        86_400 => "a day".to_owned(),
        _ => {
            let length = crate::portal::moment::length(window.duration());
            let seconds = || format!("{} seconds", window.seconds());
            format!("every {}", length.unwrap_or_else(seconds))
        }
    }
}

fn counted(amount: u64, noun: &str) -> String {
    let plural = if amount == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", number(amount))
}

fn bytes(amount: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units
        .into_iter()
        .find(|(size, _)| amount >= *size && amount.is_multiple_of(*size))
    {
        Some((size, unit)) => format!("{} {unit}", number(amount / size)),
        None => counted(amount, "byte"),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use tidegate_proto::quota::{Allowance, Amount, Limits, Window};

    use super::words;

    #[test]
    fn limits_are_told_as_people_say_them() {
        let allowance = |amount, seconds| {
            let (amount, window) = (Amount::try_new(amount), Window::try_new(seconds));
            Some(Allowance {
                amount: amount.unwrap(),
                window: window.unwrap(),
            })
        };
        let limits = Limits {
            messages: allowance(50_000, 86_400),
            bytes: allowance(10 << 20, 7200),
            sessions: NonZeroU32::new(1),
            connections: NonZeroU32::new(3),
            ..Limits::default()
        };
        let told = [
            "50,000 messages a day",
            "10 MiB every 2 hours",
            "1 session open at a time",
            "3 new sessions a second",
            "counted both ways",
        ];
        assert_eq!(words(&limits), told);
        assert_eq!(words(&Limits::default()), ["No limit"]);
        let sessions = Limits {
            sessions: NonZeroU32::new(2),
            ..Limits::default()
        };
        assert_eq!(words(&sessions), ["2 sessions open at a time"]);
    }
}
