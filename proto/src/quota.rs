//! What a plan allows: messages per window. The vocabulary only; counting is the data plane's.

use std::{num::NonZeroU64, time::Duration};

use serde::{Deserialize, Serialize};

/// How much a plan lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quota {
    /// No limit.
    Unlimited,
    /// At most so many messages, both directions together, in each window.
    Messages {
        /// Messages per window.
        limit: NonZeroU64,
        /// The length of the window.
        window: Window,
    },
}

/// The length of a quota window: whole seconds, from one second to 31 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Window(u32);

/// A window that is too short or too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a window of {0} s is out of range; it must be between 1 s and 31 days (2678400 s)")]
pub struct InvalidWindow(u64);

// === impl Window ===

impl Window {
    /// One day, the window of the plans that ship.
    pub const DAY: Self = Self(86_400);
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
    use super::{InvalidWindow, Window};

    #[test]
    fn a_window_is_between_a_second_and_a_month() {
        assert_eq!(Window::try_new(0), Err(InvalidWindow(0)));
        assert_eq!(Window::try_new(86_400), Ok(Window::DAY));
        assert_eq!(Window::try_new(2_678_401), Err(InvalidWindow(2_678_401)));
        assert_eq!(Window::try_new(u64::MAX), Err(InvalidWindow(u64::MAX)));
    }
}
