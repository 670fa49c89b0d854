//! What a session is called, by everybody and everywhere.

use std::fmt;

use http::HeaderValue;

/// The one id of a session: in the log, in the `Tidegate-Session` header of both legs, in traces and in refusals.
/// 48 bits of time and 80 of chance, so that ids sort by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(u128);

// === impl SessionId ===

impl SessionId {
    /// Before every id.
    pub const MIN: Self = Self(0);
    /// After every id.
    pub const MAX: Self = Self(u128::MAX);

    /// A new id, at this time.
    #[must_use]
    pub fn generate(now_millis: u64) -> Self {
        let chance = rand::random::<u128>() >> 48;
        Self((u128::from(now_millis) << 80) | chance)
    }

    /// One of `n` numbers from 0, evenly spread.
    #[must_use]
    pub fn spread(self, n: usize) -> usize {
        // The low bits are chance.
        usize::try_from(self.0 & 0xffff).expect("16 bits fit") % n
    }

    /// The id as a header's value.
    #[must_use]
    pub fn header(self) -> HeaderValue {
        HeaderValue::from_str(&self.to_string()).expect("hexadecimal digits are visible ASCII")
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
