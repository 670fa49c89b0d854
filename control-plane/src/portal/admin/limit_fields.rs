//! Limits in forms. The fields of a form are named as in the admin API, below a prefix such as `limits` or
//! `groups[0].limits`, so that a fault comes to its input; amounts and windows have a unit beside them.

use tidegate_proto::quota::{
    Allowance, BurstPer, CloseCode, Counts, Limits, OnLimit, WithoutLedger,
};

use crate::{
    portal::{Fields, limits::BYTES},
    service::limits::{AllowanceInput, BurstInput, LimitsInput},
};

/// A choice: what the form sends, and what people read.
type Choice = (&'static str, &'static str);

/// The units of windows.
pub(super) const UNITS: [Choice; 4] = [
    ("second", "seconds"),
    ("minute", "minutes"),
    ("hour", "hours"),
    ("day", "days"),
];
/// The units of bytes.
pub(super) const SIZES: [Choice; 4] = [("B", "bytes"), ("kB", "kB"), ("MB", "MB"), ("GB", "GB")];
/// The times of bursts.
pub(super) const BURST_PER: [Choice; 2] = [("second", "second"), ("minute", "minute")];
/// Which messages count.
pub(super) const COUNTS: [Choice; 3] = [
    ("both", "In both directions: an echo counts twice"),
    ("client", "From the client"),
    ("backend", "From the backend"),
];
const COUNTED: [Counts; 3] = [Counts::Both, Counts::Client, Counts::Backend];
/// What happens to a message over the limit.
pub(super) const ON_LIMIT: [Choice; 5] = [
    ("notify", "Drop it and notify the client"),
    ("drop", "Drop it"),
    ("delay", "Delay it until the limit allows it"),
    ("close-4003", "Close the session with code 4003"),
    (
        "close-1008",
        "Close the session with code 1008 (policy violation)",
    ),
];
const ACTIONS: [OnLimit; 5] = [
    OnLimit::Notify,
    OnLimit::Drop,
    OnLimit::Delay,
    OnLimit::Close(CloseCode::Throttled),
    OnLimit::Close(CloseCode::PolicyViolation),
];
/// What applies while gateways can't reach the ledger that they share.
pub(super) const WITHOUT_LEDGER: [Choice; 3] = [
    ("share", "Each gateway uses its share"),
    ("deny", "Refuse what was not granted before"),
    ("allow", "Allow everything"),
];
const FALLBACKS: [WithoutLedger; 3] = [
    WithoutLedger::Share,
    WithoutLedger::Deny,
    WithoutLedger::Allow,
];

/// The seconds of the units of windows.
const SECONDS: [(&str, u32); 4] = [
    ("day", 86_400),
    ("hour", 3600),
    ("minute", 60),
    ("second", 1),
];
/// Stands for a number that can't be read: use cases refuse it and say what is valid.
const UNREADABLE: i64 = -1;

/// The name of an input below a prefix.
#[must_use]
pub(super) fn name(prefix: &str, rest: &str) -> String {
    format!("{prefix}.{rest}")
}

/// The name of a part of an allowance below a prefix.
#[must_use]
pub(super) fn part(prefix: &str, which: &str, rest: &str) -> String {
    format!("{prefix}.{which}.{rest}")
}

/// Reads what was typed.
pub(super) fn read(fields: &Fields, prefix: &str) -> LimitsInput {
    let text = |rest: &str| fields.text(&name(prefix, rest)).trim();
    let allowance = |which: &str| {
        let typed = text(&format!("{which}.amount"));
        (!typed.is_empty()).then(|| AllowanceInput {
            amount: times(number(typed), size(text(&format!("{which}.size")))),
            window_seconds: times(
                number(text(&format!("{which}.window_seconds"))),
                seconds(text(&format!("{which}.unit"))),
            ),
        })
    };
    let burst = text("burst.messages");
    let burst = (!burst.is_empty()).then(|| BurstInput {
        messages: number(burst),
        per: match text("burst.per") {
            "second" => Ok(BurstPer::Second),
            "minute" => Ok(BurstPer::Minute),
            _ => Err(0),
        },
    });
    let on_limit = chosen(&ON_LIMIT, &ACTIONS, text("on_limit"));
    let close_code = match on_limit {
        Ok(OnLimit::Close(CloseCode::Throttled)) => 4003,
        Ok(OnLimit::Close(CloseCode::PolicyViolation)) => 1008,
        _ => 0,
    };
    LimitsInput {
        unlimited: !text("unlimited").is_empty(),
        messages: allowance("messages"),
        bytes: allowance("bytes"),
        burst,
        sessions: count(text("sessions")),
        connections_per_second: count(text("connections_per_second")),
        counts: chosen(&COUNTS, &COUNTED, text("counts")),
        on_limit,
        close_code,
        count_only: text("stop_on_quota_reach").is_empty(),
        without_ledger: chosen(&WITHOUT_LEDGER, &FALLBACKS, text("without_ledger")),
    }
}

/// Fills a form with limits.
pub(super) fn write(fields: Fields, prefix: &str, limits: &Limits) -> Fields {
    let put = |fields: Fields, rest: &str, value: String| fields.with(name(prefix, rest), value);
    let mut fields = put_terms(fields, prefix, limits);
    if limits.is_unlimited() {
        fields = put(fields, "unlimited", "1".to_owned());
    }
    fields = put_window(fields, prefix, "messages", limits.messages);
    fields = put_window(fields, prefix, "bytes", limits.bytes);
    if let Some(messages) = limits.messages {
        fields = put(fields, "messages.amount", messages.amount.get().to_string());
    }
    let (amount, size) = match limits.bytes {
        Some(bytes) => {
            let bytes = bytes.amount.get();
            let (unit, size) = largest(&BYTES, |size| bytes.is_multiple_of(size));
            ((bytes / size).to_string(), unit)
        }
        None => (String::new(), "MB"),
    };
    fields = put(fields, "bytes.amount", amount);
    fields = put(fields, "bytes.size", size.to_owned());
    if let Some(burst) = limits.burst {
        fields = put(fields, "burst.messages", burst.messages.get().to_string());
        let per = match burst.per {
            BurstPer::Second => "second",
            BurstPer::Minute => "minute",
        };
        fields = put(fields, "burst.per", per.to_owned());
    }
    if let Some(sessions) = limits.sessions {
        fields = put(fields, "sessions", sessions.to_string());
    }
    if let Some(connections) = limits.connections {
        fields = put(fields, "connections_per_second", connections.to_string());
    }
    fields
}

/// Fills a form for new limits: none, with the defaults of everything else.
pub(super) fn blank(fields: Fields, prefix: &str) -> Fields {
    let limits = Limits::default();
    let fields = put_terms(fields, prefix, &limits);
    let fields = put_window(fields, prefix, "messages", None);
    let fields = put_window(fields, prefix, "bytes", None);
    fields.with(name(prefix, "bytes.size"), "MB")
}

fn put_terms(fields: Fields, prefix: &str, limits: &Limits) -> Fields {
    let fields = fields
        .with(name(prefix, "counts"), id(&COUNTS, &COUNTED, limits.counts))
        .with(
            name(prefix, "on_limit"),
            id(&ON_LIMIT, &ACTIONS, limits.on_limit),
        )
        .with(
            name(prefix, "without_ledger"),
            id(&WITHOUT_LEDGER, &FALLBACKS, limits.without_ledger),
        );
    if limits.count_only {
        fields
    } else {
        fields.with(name(prefix, "stop_on_quota_reach"), "1")
    }
}

/// What was chosen, the first if nothing was.
fn chosen<T: Copy>(choices: &[Choice], values: &[T], text: &str) -> Result<T, i32> {
    let mut known = choices.iter().zip(values);
    let found = known.find(|((id, _), _)| text.is_empty() || *id == text);
    found.map(|(_, value)| *value).ok_or(-1)
}

/// What a form sends for a value.
fn id<T: Copy + PartialEq>(choices: &[Choice], values: &[T], value: T) -> &'static str {
    let mut known = choices.iter().zip(values);
    let found = known.find(|(_, known)| **known == value);
    found.map_or("", |((id, _), _)| id)
}

fn put_window(fields: Fields, prefix: &str, which: &str, allowance: Option<Allowance>) -> Fields {
    let (count, unit) = match allowance {
        Some(allowance) => {
            let seconds = allowance.window.seconds();
            let (unit, length) = largest(&SECONDS, |length| seconds.is_multiple_of(length));
            (seconds / length, unit)
        }
        None => (1, "day"),
    };
    fields
        .with(part(prefix, which, "window_seconds"), count.to_string())
        .with(part(prefix, which, "unit"), unit)
}

/// The largest unit of which something is a multiple; the last is one.
fn largest<N: Copy>(units: &[(&'static str, N)], fits: impl Fn(N) -> bool) -> (&'static str, N) {
    let mut units = units.iter().copied();
    let last = units.clone().last().expect("there are units");
    units.find(|(_, length)| fits(*length)).unwrap_or(last)
}

/// A whole number; blanks between its digits are ignored.
fn number(text: &str) -> i64 {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    digits.parse().unwrap_or(UNREADABLE)
}

/// A number; nothing typed means no limit.
fn count(text: &str) -> i64 {
    if text.is_empty() { 0 } else { number(text) }
}

fn times(number: i64, unit: i64) -> i64 {
    number.checked_mul(unit).unwrap_or(UNREADABLE)
}

fn seconds(unit: &str) -> i64 {
    let known = SECONDS.iter().find(|(name, _)| *name == unit);
    known.map_or(1, |(_, seconds)| i64::from(*seconds))
}

fn size(unit: &str) -> i64 {
    let known = BYTES.iter().find(|(name, _)| *name == unit);
    known.map_or(1, |(_, bytes)| i64::try_from(*bytes).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use tidegate_proto::quota::{
        Allowance, Amount, Burst, BurstPer, CloseCode, Counts, Limits, OnLimit, Window,
        WithoutLedger,
    };

    use super::{Fields, blank, read, write};

    fn all() -> Limits {
        Limits {
            messages: Some(Allowance {
                amount: Amount::try_new(50_000).unwrap(),
                window: Window::DAY,
            }),
            bytes: Some(Allowance {
                amount: Amount::try_new(1_500_000).unwrap(),
                window: Window::try_new(7200).unwrap(),
            }),
            burst: Some(Burst {
                messages: Amount::try_new(7).unwrap(),
                per: BurstPer::Minute,
            }),
            sessions: NonZeroU32::new(20),
            connections: NonZeroU32::new(5),
            counts: Counts::Client,
            on_limit: OnLimit::Close(CloseCode::PolicyViolation),
            count_only: true,
            without_ledger: WithoutLedger::Deny,
        }
    }

    #[test]
    fn what_a_form_shows_is_what_it_sends() {
        let input = read(&write(Fields::new(), "a.limits", &all()), "a.limits");
        let messages = input.messages.unwrap();
        assert_eq!((messages.amount, messages.window_seconds), (50_000, 86_400));
        let bytes = input.bytes.unwrap();
        assert_eq!((bytes.amount, bytes.window_seconds), (1_500_000, 7200));
        let burst = input.burst.unwrap();
        assert_eq!((burst.messages, burst.per), (7, Ok(BurstPer::Minute)));
        assert_eq!((input.sessions, input.connections_per_second), (20, 5));
        assert_eq!(input.counts, Ok(Counts::Client));
        assert_eq!(input.on_limit, Ok(all().on_limit));
        assert_eq!(input.close_code, 1008);
        assert_eq!(input.without_ledger, Ok(WithoutLedger::Deny));
        assert!(input.count_only && !input.unlimited);
    }

    #[test]
    fn a_blank_form_limits_nothing_and_refuses_what_is_too_many() {
        let input = read(&blank(Fields::new(), "limits"), "limits");
        assert!(input.messages.is_none() && input.bytes.is_none() && input.burst.is_none());
        assert!(!input.unlimited && !input.count_only);
        assert!(
            read(
                &write(Fields::new(), "limits", &Limits::default()),
                "limits"
            )
            .unlimited
        );
    }

    #[test]
    fn what_is_no_number_is_left_for_the_use_case_to_refuse() {
        let fields = Fields::new()
            .with("limits.messages.amount", "many")
            .with("limits.messages.window_seconds", "9999999999999999999")
            .with("limits.bytes.amount", "9007199254740991")
            .with("limits.bytes.size", "GB")
            .with("limits.sessions", "1 000");
        let input = read(&fields, "limits");
        assert_eq!(input.messages.unwrap().amount, -1);
        assert_eq!(input.messages.unwrap().window_seconds, -1);
        assert_eq!(input.bytes.unwrap().amount, -1);
        assert_eq!(input.sessions, 1000);
    }
}
