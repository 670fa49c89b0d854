//! What a plan or a policy allows, and what happens when it is used up. The vocabulary only; counting is the data
//! plane's.

use std::{
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// What one plan or policy allows to whoever it is about: each part that is set is a limit of its own, and all must
/// admit a message. Nothing set is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Limits {
    /// Messages per window.
    pub messages: Option<Allowance>,
    /// Payload bytes per window, as they travel (compressed where they are compressed).
    pub bytes: Option<Allowance>,
    /// Messages in each second or minute, on top.
    pub burst: Option<Burst>,
    /// Sessions that are open at the same time.
    pub sessions: Option<NonZeroU32>,
    /// New sessions in each second.
    pub connections: Option<NonZeroU32>,
    /// Which messages count.
    pub counts: Counts,
    /// What happens to a message that is too many.
    pub on_limit: OnLimit,
    /// Whether messages are only counted and never refused: what the leading product calls `stop_on_quota_reach = false`.
    pub count_only: bool,
    /// What holds while the shared ledger cannot be asked.
    pub without_ledger: WithoutLedger,
}

/// So much in each window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Allowance {
    /// How much.
    pub amount: Amount,
    /// In how long a time.
    pub window: Window,
}

/// How many messages, or how many bytes: from 1 to what a double holds exactly, since the ledger's scripts count in
/// doubles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Amount(NonZeroU64);

/// A short limit on top of a long one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Burst {
    /// How many messages.
    pub messages: Amount,
    /// In which time.
    pub per: BurstPer,
}

/// The time of a burst limit.
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
    /// Those of the client and those of the backend.
    #[default]
    Both,
    /// Those of the client.
    Client,
    /// Those of the backend.
    Backend,
}

/// What happens to a message that is too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLimit {
    /// It is dropped, and the client is told by a text message where it may be.
    #[default]
    Notify,
    /// It is dropped.
    Drop,
    /// It waits until there is room; nothing behind it is read meanwhile.
    Delay,
    /// The session ends.
    Close(CloseCode),
}

/// With which code a session ends on a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseCode {
    /// 4003, which users of API managers know.
    #[default]
    Throttled,
    /// 1008, "policy violation" (RFC 6455, 7.4.1).
    PolicyViolation,
}

/// What holds while the shared ledger cannot be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WithoutLedger {
    /// Each node goes on with its share: the limit divided by the number of nodes.
    #[default]
    Share,
    /// What was not granted is refused.
    Deny,
    /// Everything passes, and is counted.
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
    /// Whether nothing is limited.
    #[must_use]
    pub const fn is_unlimited(&self) -> bool {
        self.messages.is_none()
            && self.bytes.is_none()
            && self.burst.is_none()
            && self.sessions.is_none()
            && self.connections.is_none()
    }

    /// Whether a message may be dropped out of the middle of a session.
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
    /// The most: 2^53 - 1.
    pub const MAX: u64 = (1 << 53) - 1;

    /// Takes a number.
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
    /// The same as an allowance of a short window.
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
    /// What is used of shorter windows is not told to the control plane: they are over before anybody reads of it.
    pub const TOLD_FROM_SECONDS: u32 = 10;
    const MAX_SECONDS: u32 = 31 * 86_400;

    /// Takes a number of seconds.
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
