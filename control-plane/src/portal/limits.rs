//! What limits allow, in words.

use tidegate_proto::quota::{Allowance, Burst, CloseCode, Counts, Limits, OnLimit, Window};

use super::format::{duration, number};
use crate::domain::usage::Unit;

/// Units of bytes, the largest first.
pub const BYTES: [(&str, u64); 4] = [
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1000),
    ("B", 1),
];

/// Each limit as a phrase: `50,000 messages per day`.
#[must_use]
pub fn words(limits: &Limits) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(Allowance { amount, window }) = limits.messages {
        words.push(allowance(Unit::Messages, amount.get(), window));
    }
    if let Some(Allowance { amount, window }) = limits.bytes {
        words.push(allowance(Unit::Bytes, amount.get(), window));
    }
    if let Some(Allowance { amount, window }) = limits.burst.map(Burst::allowance) {
        let burst = allowance(Unit::Burst, amount.get(), window);
        words.push(format!("bursts of {burst}"));
    }
    if let Some(sessions) = limits.sessions {
        words.push(counted(sessions.get().into(), "concurrent session"));
    }
    if let Some(connections) = limits.connections {
        let connections = connections.get().into();
        words.push(allowance(Unit::Connections, connections, Window::SECOND));
    }
    if words.is_empty() {
        words.push("Unlimited".to_owned());
    }
    words
}

/// Each limit as a phrase, and which messages count.
#[must_use]
pub fn terms(limits: &Limits) -> Vec<String> {
    let mut terms = words(limits);
    if limits.messages.is_some() || limits.bytes.is_some() || limits.burst.is_some() {
        let counts = match limits.counts {
            Counts::Both => "messages count in both directions",
            Counts::Client => "only messages from the client count",
            Counts::Backend => "only messages from the backend count",
        };
        terms.push(counts.to_owned());
    }
    terms
}

/// What happens over the limit, in a few words; empty where nothing is limited.
#[must_use]
pub const fn over_limit(limits: &Limits) -> &'static str {
    match limits.on_limit {
        _ if limits.is_unlimited() => "",
        _ if limits.count_only => "Count only",
        OnLimit::Notify => "Drop and notify the client",
        OnLimit::Drop => "Drop",
        OnLimit::Delay => "Delay",
        OnLimit::Close(CloseCode::Throttled) => "Close with 4003",
        OnLimit::Close(CloseCode::PolicyViolation) => "Close with 1008",
    }
}

/// An amount in a window.
#[must_use]
pub fn allowance(unit: Unit, amount: u64, window: Window) -> String {
    format!("{} {}", quantity(unit, amount), per(window))
}

/// An amount of what is counted.
#[must_use]
pub fn quantity(unit: Unit, amount: u64) -> String {
    match unit {
        Unit::Messages | Unit::Burst => counted(amount, "message"),
        Unit::Bytes => bytes(amount),
        Unit::Connections => counted(amount, "new session"),
    }
}

/// A window as what something is counted by: `per day`, `per 2 hours`.
#[must_use]
pub fn per(window: Window) -> String {
    match window.seconds() {
        1 => "per second".to_owned(),
        60 => "per minute".to_owned(),
        3600 => "per hour".to_owned(),
        86_400 => "per day".to_owned(),
        seconds => {
            let length = duration(window.duration());
            format!(
                "per {}",
                length.unwrap_or_else(|| format!("{seconds} seconds"))
            )
        }
    }
}

fn counted(amount: u64, noun: &str) -> String {
    let plural = if amount == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", number(amount))
}

fn bytes(amount: u64) -> String {
    let fits = |size: &u64| amount >= *size && amount.is_multiple_of(*size);
    match BYTES.into_iter().find(|(_, size)| fits(size)) {
        Some((unit, size)) if size > 1 => format!("{} {unit}", number(amount / size)),
        _ => counted(amount, "byte"),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use tidegate_proto::quota::{Allowance, Amount, Burst, BurstPer, Limits, Window};

    use super::{terms, words};

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
            bytes: allowance(1_500_000, 7200),
            burst: Some(Burst {
                messages: Amount::try_new(7).unwrap(),
                per: BurstPer::Minute,
            }),
            sessions: NonZeroU32::new(1),
            connections: NonZeroU32::new(3),
            ..Limits::default()
        };
        let phrases = [
            "50,000 messages per day",
            "1,500 kB per 2 hours",
            "bursts of 7 messages per minute",
            "1 concurrent session",
            "3 new sessions per second",
            "messages count in both directions",
        ];
        assert_eq!(terms(&limits), phrases);
        assert_eq!(words(&Limits::default()), ["Unlimited"]);
        let sessions = Limits {
            sessions: NonZeroU32::new(2),
            ..Limits::default()
        };
        assert_eq!(terms(&sessions), ["2 concurrent sessions"]);
    }
}
