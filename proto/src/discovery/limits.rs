//! Limits as they travel on the configuration stream: one writing and one reading for both planes.

use std::num::NonZeroU32;

use super::v1;
use crate::quota::{
    Allowance, Amount, Burst, BurstPer, CloseCode, Counts, InvalidAmount, InvalidWindow, Limits,
    OnLimit, Window, WithoutLedger,
};

/// Limits that are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLimits {
    /// An amount that is out of range.
    #[error("`{field}`: {fault}")]
    Amount {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        fault: InvalidAmount,
    },
    /// A window that is out of range.
    #[error("`{field}`: {fault}")]
    Window {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        fault: InvalidWindow,
    },
    /// A window without an amount.
    #[error("`{0}` is set, but there is no limit that it belongs to")]
    WindowWithoutLimit(&'static str),
    /// A burst limit of another time than a second or a minute.
    #[error("`burst_seconds` is {0}; it must be 1 or 60")]
    BurstSeconds(u32),
    /// A close code that does not go with what happens on the limit.
    #[error("`close_code` is {0}; it must be 4003 or 1008 where sessions are closed, else 0")]
    CloseCode(u32),
    /// An enum value that is not known.
    #[error("`{field}` is {value}, which is not known here")]
    UnknownValue {
        /// The field.
        field: &'static str,
        /// The number on the wire.
        value: i32,
    },
}

// === impl Limits ===

impl From<&Limits> for v1::Limits {
    fn from(limits: &Limits) -> Self {
        let amount = |of: Option<Allowance>| of.map_or(0, |it| it.amount.get());
        let window = |of: Option<Allowance>| of.map_or(0, |it| it.window.seconds());
        let burst = limits.burst.map(Burst::allowance);
        let number = |of: Option<NonZeroU32>| of.map_or(0, NonZeroU32::get);
        Self {
            messages: amount(limits.messages),
            messages_window_seconds: window(limits.messages),
            bytes: amount(limits.bytes),
            bytes_window_seconds: window(limits.bytes),
            burst_messages: amount(burst),
            burst_seconds: window(burst),
            sessions: number(limits.sessions),
            connections_per_second: number(limits.connections),
            counts: match limits.counts {
                Counts::Both => v1::Counts::Both,
                Counts::Client => v1::Counts::Client,
                Counts::Backend => v1::Counts::Backend,
            }
            .into(),
            on_limit: match limits.on_limit {
                OnLimit::Notify => v1::OnLimit::Notify,
                OnLimit::Drop => v1::OnLimit::Drop,
                OnLimit::Delay => v1::OnLimit::Delay,
                OnLimit::Close(_) => v1::OnLimit::Close,
            }
            .into(),
            close_code: match limits.on_limit {
                OnLimit::Close(code) => code.code().into(),
                OnLimit::Notify | OnLimit::Drop | OnLimit::Delay => 0,
            },
            count_only: limits.count_only,
            without_ledger: match limits.without_ledger {
                WithoutLedger::Share => v1::WithoutLedger::Share,
                WithoutLedger::Deny => v1::WithoutLedger::Deny,
                WithoutLedger::Allow => v1::WithoutLedger::Allow,
            }
            .into(),
        }
    }
}

impl TryFrom<&v1::Limits> for Limits {
    type Error = InvalidLimits;

    fn try_from(wire: &v1::Limits) -> Result<Self, InvalidLimits> {
        Ok(Self {
            messages: allowance(
                ("messages", wire.messages),
                ("messages_window_seconds", wire.messages_window_seconds),
            )?,
            bytes: allowance(
                ("bytes", wire.bytes),
                ("bytes_window_seconds", wire.bytes_window_seconds),
            )?,
            burst: burst(wire)?,
            sessions: NonZeroU32::new(wire.sessions),
            connections: NonZeroU32::new(wire.connections_per_second),
            counts: match v1::Counts::try_from(wire.counts) {
                Ok(v1::Counts::Both) => Counts::Both,
                Ok(v1::Counts::Client) => Counts::Client,
                Ok(v1::Counts::Backend) => Counts::Backend,
                Ok(v1::Counts::Unspecified) | Err(_) => return unknown("counts", wire.counts),
            },
            on_limit: on_limit(wire)?,
            count_only: wire.count_only,
            without_ledger: match v1::WithoutLedger::try_from(wire.without_ledger) {
                Ok(v1::WithoutLedger::Share) => WithoutLedger::Share,
                Ok(v1::WithoutLedger::Deny) => WithoutLedger::Deny,
                Ok(v1::WithoutLedger::Allow) => WithoutLedger::Allow,
                Ok(v1::WithoutLedger::Unspecified) | Err(_) => {
                    return unknown("without_ledger", wire.without_ledger);
                }
            },
        })
    }
}

fn allowance(
    (field, amount): (&'static str, u64),
    (window_field, seconds): (&'static str, u32),
) -> Result<Option<Allowance>, InvalidLimits> {
    match (amount, seconds) {
        (0, 0) => Ok(None),
        (0, _) => Err(InvalidLimits::WindowWithoutLimit(window_field)),
        _ => Ok(Some(Allowance {
            amount: Amount::try_new(amount)
                .map_err(|fault| InvalidLimits::Amount { field, fault })?,
            window: Window::try_new(seconds.into()).map_err(|fault| InvalidLimits::Window {
                field: window_field,
                fault,
            })?,
        })),
    }
}

fn burst(wire: &v1::Limits) -> Result<Option<Burst>, InvalidLimits> {
    let of = allowance(
        ("burst_messages", wire.burst_messages),
        ("burst_seconds", wire.burst_seconds),
    )?;
    let Some(of) = of else {
        return Ok(None);
    };
    let per = match of.window {
        Window::SECOND => BurstPer::Second,
        Window::MINUTE => BurstPer::Minute,
        other => return Err(InvalidLimits::BurstSeconds(other.seconds())),
    };
    Ok(Some(Burst {
        messages: of.amount,
        per,
    }))
}

fn on_limit(wire: &v1::Limits) -> Result<OnLimit, InvalidLimits> {
    let plain = match v1::OnLimit::try_from(wire.on_limit) {
        Ok(v1::OnLimit::Notify) => OnLimit::Notify,
        Ok(v1::OnLimit::Drop) => OnLimit::Drop,
        Ok(v1::OnLimit::Delay) => OnLimit::Delay,
        Ok(v1::OnLimit::Close) => {
            return match wire.close_code {
                4003 => Ok(OnLimit::Close(CloseCode::Throttled)),
                1008 => Ok(OnLimit::Close(CloseCode::PolicyViolation)),
                other => Err(InvalidLimits::CloseCode(other)),
            };
        }
        Ok(v1::OnLimit::Unspecified) | Err(_) => return unknown("on_limit", wire.on_limit),
    };
    match wire.close_code {
        0 => Ok(plain),
        other => Err(InvalidLimits::CloseCode(other)),
    }
}

const fn unknown<T>(field: &'static str, value: i32) -> Result<T, InvalidLimits> {
    Err(InvalidLimits::UnknownValue { field, value })
}

#[cfg(test)]
mod tests {
    use super::{InvalidLimits, v1};
    use crate::quota::{
        Allowance, Amount, Burst, BurstPer, CloseCode, Counts, Limits, OnLimit, Window,
        WithoutLedger,
    };

    fn full() -> Limits {
        let amount = Amount::try_new(7).unwrap();
        let window = Window::DAY;
        Limits {
            messages: Some(Allowance { amount, window }),
            bytes: Some(Allowance {
                amount: Amount::try_new(Amount::MAX).unwrap(),
                window: Window::SECOND,
            }),
            burst: Some(Burst {
                messages: amount,
                per: BurstPer::Minute,
            }),
            sessions: std::num::NonZeroU32::new(3),
            connections: std::num::NonZeroU32::new(4),
            counts: Counts::Backend,
            on_limit: OnLimit::Close(CloseCode::PolicyViolation),
            count_only: true,
            without_ledger: WithoutLedger::Allow,
        }
    }

    #[test]
    fn limits_read_back_from_what_is_written() {
        for limits in [full(), Limits::default()] {
            assert_eq!(Limits::try_from(&v1::Limits::from(&limits)), Ok(limits));
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused_by_its_field() {
        let wire = v1::Limits::from(&full());
        let refused = |change: fn(&mut v1::Limits)| {
            let mut wire = wire;
            change(&mut wire);
            Limits::try_from(&wire).expect_err("it is no limit")
        };
        assert_eq!(
            refused(|wire| wire.messages = 0),
            InvalidLimits::WindowWithoutLimit("messages_window_seconds")
        );
        assert!(matches!(
            refused(|wire| wire.bytes = u64::MAX),
            InvalidLimits::Amount { field: "bytes", .. }
        ));
        assert!(matches!(
            refused(|wire| wire.bytes_window_seconds = 0),
            InvalidLimits::Window { .. }
        ));
        assert_eq!(
            refused(|wire| wire.burst_seconds = 2),
            InvalidLimits::BurstSeconds(2)
        );
        assert_eq!(
            refused(|wire| wire.close_code = 1000),
            InvalidLimits::CloseCode(1000)
        );
        assert_eq!(
            refused(|wire| wire.on_limit = v1::OnLimit::Drop.into()),
            InvalidLimits::CloseCode(1008)
        );
        assert!(matches!(
            refused(|wire| wire.counts = 9),
            InvalidLimits::UnknownValue {
                field: "counts",
                ..
            }
        ));
    }
}
