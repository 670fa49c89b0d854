//! The limits of a plan or policy, and what happens to traffic over them. Types only; counting is the data plane's.

use std::{
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// The limits of a plan or policy. Each field that is set is a limit, and a message must be within all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Limits {
    /// Messages per window.
    pub messages: Option<Allowance>,
    /// Payload bytes per window, as sent: compressed if the message is compressed.
    pub bytes: Option<Allowance>,
    /// The burst limit: messages per second or minute, in addition to `messages`.
    pub burst: Option<Burst>,
    /// Open sessions.
    pub sessions: Option<NonZeroU32>,
    /// New sessions per second.
    pub connections: Option<NonZeroU32>,
    /// Which messages count.
    pub counts: Counts,
    /// What happens to a message over a limit.
    pub on_limit: OnLimit,
    /// Whether messages are only counted and never limited. The leading product calls this `stop_on_quota_reach = false`.
    pub count_only: bool,
    /// What applies while the shared ledger is unavailable.
    pub without_ledger: WithoutLedger,
}

/// An amount per window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Allowance {
    /// The amount.
    pub amount: Amount,
    /// The window.
    pub window: Window,
}

/// A number of messages or bytes: from 1 to the largest integer that a double holds exactly, because the ledger's scripts
/// count in doubles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Amount(NonZeroU64);

/// A limit of a short window, in addition to that of a long one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Burst {
    /// The number of messages.
    pub messages: Amount,
    /// The window.
    pub per: BurstPer,
}

/// The window of a burst limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BurstPer {
    /// A second.
    Second,
    /// A minute.
    Minute,
}

/// Which messages count. Control frames never do, and a fragmented message counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counts {
    /// Messages from the client and from the backend.
    #[default]
    Both,
    /// Messages from the client.
    Client,
    /// Messages from the backend.
    Backend,
}

/// What happens to a message over a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLimit {
    /// It is dropped, and the client is notified by a text message where the session allows it.
    #[default]
    Notify,
    /// It is dropped.
    Drop,
    /// It is delayed until the limit allows it. Nothing after it is read meanwhile.
    Delay,
    /// The session ends.
    Close(CloseCode),
}

/// The close code of a session that ends at a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseCode {
    /// 4003, which users of API managers know.
    #[default]
    Throttled,
    /// 1008, "policy violation" (RFC 6455, 7.4.1).
    PolicyViolation,
}

/// What applies while the shared ledger is unavailable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WithoutLedger {
    /// Each node applies its share: the limit divided by the number of nodes.
    #[default]
    Share,
    /// Only what was already granted passes.
    Deny,
    /// Everything passes and is counted.
    Allow,
}

/// An amount that is out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is out of range; it must be between 1 and 9007199254740991")]
pub struct InvalidAmount(u64);

/// The length of a quota window: whole seconds, from one second to 31 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Window(u32);

/// A window that is too short or too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a window of {0} s is out of range; it must be between 1 s and 31 days (2678400 s)")]
pub struct InvalidWindow(u64);

// === impl Limits ===

impl Limits {
    /// Whether there is no limit.
    #[must_use]
    pub const fn is_unlimited(&self) -> bool {
        self.messages.is_none()
            && self.bytes.is_none()
            && self.burst.is_none()
            && self.sessions.is_none()
            && self.connections.is_none()
    }

    /// Whether single messages of a session may be dropped.
    #[must_use]
    pub const fn may_drop(&self) -> bool {
        let counts_messages =
            self.messages.is_some() || self.bytes.is_some() || self.burst.is_some();
        counts_messages
            && !self.count_only
            && matches!(self.on_limit, OnLimit::Notify | OnLimit::Drop)
    }
}

// === impl Amount ===

impl Amount {
    /// The maximum: 2^53 - 1.
    pub const MAX: u64 = (1 << 53) - 1;

    /// An amount of `amount`.
    ///
    /// # Errors
    /// When it is 0 or more than [`Self::MAX`].
    pub const fn try_new(amount: u64) -> Result<Self, InvalidAmount> {
        match NonZeroU64::new(amount) {
            Some(some) if amount <= Self::MAX => Ok(Self(some)),
            _ => Err(InvalidAmount(amount)),
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl TryFrom<u64> for Amount {
    type Error = InvalidAmount;

    fn try_from(amount: u64) -> Result<Self, Self::Error> {
        Self::try_new(amount)
    }
}

impl From<Amount> for u64 {
    fn from(amount: Amount) -> Self {
        amount.get()
    }
}

impl From<NonZeroU32> for Amount {
    fn from(amount: NonZeroU32) -> Self {
        Self(amount.into())
    }
}

// === impl Burst ===

impl Burst {
    /// The burst limit as an allowance.
    #[must_use]
    pub const fn allowance(self) -> Allowance {
        let window = match self.per {
            BurstPer::Second => Window::SECOND,
            BurstPer::Minute => Window::MINUTE,
        };
        Allowance {
            amount: self.messages,
            window,
        }
    }
}

// === impl CloseCode ===

impl CloseCode {
    /// The code on the wire.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Throttled => 4003,
            Self::PolicyViolation => 1008,
        }
    }
}

// === impl Window ===

impl Window {
    /// One second.
    pub const SECOND: Self = Self(1);
    /// One minute.
    pub const MINUTE: Self = Self(60);
    /// One day, the window of the plans that ship.
    pub const DAY: Self = Self(86_400);
    /// The usage of shorter windows isn't reported to the control plane: it would be outdated on arrival.
    pub const REPORTED_FROM_SECONDS: u32 = 10;
    const MAX_SECONDS: u32 = 31 * 86_400;

    /// A window of `seconds`.
    ///
    /// # Errors
    /// When it is zero or longer than 31 days.
    pub fn try_new(seconds: u64) -> Result<Self, InvalidWindow> {
        match u32::try_from(seconds) {
            Ok(s @ 1..=Self::MAX_SECONDS) => Ok(Self(s)),
            _ => Err(InvalidWindow(seconds)),
        }
    }

    /// The length in seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.0
    }

    /// The length as a duration.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }
}

impl TryFrom<u32> for Window {
    type Error = InvalidWindow;

    fn try_from(seconds: u32) -> Result<Self, Self::Error> {
        Self::try_new(u64::from(seconds))
    }
}

impl From<Window> for u32 {
    fn from(window: Window) -> Self {
        window.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Amount, InvalidAmount, InvalidWindow, Limits, Window};

    #[test]
    fn an_amount_is_what_a_double_holds_exactly() {
        assert_eq!(Amount::try_new(0), Err(InvalidAmount(0)));
        assert_eq!(
            Amount::try_new(Amount::MAX).map(Amount::get),
            Ok(Amount::MAX)
        );
        assert_eq!(
            Amount::try_new(Amount::MAX + 1),
            Err(InvalidAmount(Amount::MAX + 1))
        );
        assert_eq!((Amount::MAX as f64) as u64, Amount::MAX);
    }

    #[test]
    fn nothing_set_is_no_limit() {
        assert!(Limits::default().is_unlimited());
        assert!(!Limits::default().may_drop());
    }

    #[test]
    fn a_window_is_between_a_second_and_a_month() {
        assert_eq!(Window::try_new(0), Err(InvalidWindow(0)));
        assert_eq!(Window::try_new(86_400), Ok(Window::DAY));
        assert_eq!(Window::try_new(2_678_401), Err(InvalidWindow(2_678_401)));
        assert_eq!(Window::try_new(u64::MAX), Err(InvalidWindow(u64::MAX)));
    }
}
