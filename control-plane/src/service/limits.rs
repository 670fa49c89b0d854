//! Validates limits, for plans and policies alike: all faults at once, each under the path of its field.

use std::num::NonZeroU32;

use tidegate_proto::quota::{
    Allowance, Amount, Burst, BurstPer, CloseCode, Counts, Limits, OnLimit, Window, WithoutLedger,
};

use super::edit::FieldContext;
use crate::domain::invalid::{Faults, reason};

/// Limits, as they are sent. An `Err` is an enum value that does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitsInput {
    /// `unlimited`.
    pub unlimited: bool,
    /// `messages`.
    pub messages: Option<AllowanceInput>,
    /// `bytes`.
    pub bytes: Option<AllowanceInput>,
    /// `burst`.
    pub burst: Option<BurstInput>,
    /// `sessions`; 0 for no such limit.
    pub sessions: i64,
    /// `connections_per_second`; 0 for no such limit.
    pub connections_per_second: i64,
    /// `counts`.
    pub counts: Result<Counts, i32>,
    /// `on_limit`; the code of a close is in `close_code`.
    pub on_limit: Result<OnLimit, i32>,
    /// `close_code`; 0 for the default.
    pub close_code: u32,
    /// The opposite of `stop_on_quota_reach`.
    pub count_only: bool,
    /// `without_ledger`.
    pub without_ledger: Result<WithoutLedger, i32>,
}

/// An allowance, as it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllowanceInput {
    /// `amount`.
    pub amount: i64,
    /// `window_seconds`.
    pub window_seconds: i64,
}

/// A burst limit, as it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BurstInput {
    /// `messages`.
    pub messages: i64,
    /// `per`.
    pub per: Result<BurstPer, i32>,
}

// === impl LimitsInput ===

impl Default for LimitsInput {
    fn default() -> Self {
        Self {
            unlimited: false,
            messages: None,
            bytes: None,
            burst: None,
            sessions: 0,
            connections_per_second: 0,
            counts: Ok(Counts::default()),
            on_limit: Ok(OnLimit::default()),
            close_code: 0,
            count_only: false,
            without_ledger: Ok(WithoutLedger::default()),
        }
    }
}

impl LimitsInput {
    /// Reads the limits that stand in `field`; what is wrong is noted, and then nothing is given.
    fn validate(&self, field: &str, faults: &mut Faults) -> Option<Limits> {
        let mut own = Faults::new();
        let limits = Limits {
            messages: self
                .messages
                .and_then(|it| it.validate(&format!("{field}.messages"), &mut own)),
            bytes: self
                .bytes
                .and_then(|it| it.validate(&format!("{field}.bytes"), &mut own)),
            burst: self
                .burst
                .and_then(|it| it.validate(&format!("{field}.burst"), &mut own)),
            sessions: small(self.sessions, format!("{field}.sessions"), &mut own),
            connections: small(
                self.connections_per_second,
                format!("{field}.connections_per_second"),
                &mut own,
            ),
            counts: known(self.counts, format!("{field}.counts"), &mut own),
            on_limit: self.on_limit(field, &mut own),
            count_only: self.count_only,
            without_ledger: known(
                self.without_ledger,
                format!("{field}.without_ledger"),
                &mut own,
            ),
        };
        let names_none = self.messages.is_none()
            && self.bytes.is_none()
            && self.burst.is_none()
            && self.sessions == 0
            && self.connections_per_second == 0;
        if self.unlimited && !names_none {
            let rule = "is set beside a limit; leave out one of the two";
            own.add(format!("{field}.unlimited"), reason::CONTRADICTION, rule);
        }
        if !self.unlimited && names_none {
            let rule = "names no limit; set at least one of messages, bytes, burst, sessions and connections_per_second, \
                        or unlimited";
            own.add(field, reason::REQUIRED, rule);
        }
        let is_valid = own.is_empty();
        if let Err(invalid) = own.finish() {
            faults.extend(invalid);
        }
        is_valid.then_some(limits)
    }

    fn on_limit(&self, field: &str, faults: &mut Faults) -> OnLimit {
        let on_limit = known(self.on_limit, format!("{field}.on_limit"), faults);
        let field = format!("{field}.close_code");
        match (on_limit, self.close_code) {
            (OnLimit::Close(_), 0 | 4003) => OnLimit::Close(CloseCode::Throttled),
            (OnLimit::Close(_), 1008) => OnLimit::Close(CloseCode::PolicyViolation),
            (OnLimit::Close(_), _) => {
                faults.add(field, reason::OUT_OF_RANGE, "must be 4003 or 1008");
                on_limit
            }
            (_, 0) => on_limit,
            (_, _) => {
                let rule = "is only for ON_LIMIT_CLOSE";
                faults.add(field, reason::CONTRADICTION, rule);
                on_limit
            }
        }
    }
}

// === impl AllowanceInput ===

impl AllowanceInput {
    fn validate(self, field: &str, faults: &mut Faults) -> Option<Allowance> {
        let amount = amount(self.amount, format!("{field}.amount"), faults);
        let seconds = u64::try_from(self.window_seconds).ok();
        let window = seconds.and_then(|seconds| Window::try_new(seconds).ok());
        if window.is_none() {
            let rule = "must be between 1 and 2678400 (31 days)";
            let field = format!("{field}.window_seconds");
            faults.add(field, reason::OUT_OF_RANGE, rule);
        }
        Some(Allowance {
            amount: amount?,
            window: window?,
        })
    }
}

// === impl BurstInput ===

impl BurstInput {
    fn validate(self, field: &str, faults: &mut Faults) -> Option<Burst> {
        let messages = amount(self.messages, format!("{field}.messages"), faults);
        if self.per.is_err() {
            let rule = "must be BURST_PER_SECOND or BURST_PER_MINUTE";
            faults.add(format!("{field}.per"), reason::REQUIRED, rule);
        }
        Some(Burst {
            messages: messages?,
            per: self.per.ok()?,
        })
    }
}

/// Takes limits that must be there.
pub(super) fn take(
    input: Option<&LimitsInput>,
    field: &str,
    faults: &mut Faults,
) -> Option<Limits> {
    match input {
        Some(input) => input.validate(field, faults),
        None => LimitsInput::default().validate(field, faults),
    }
}

/// Sets limits that must be there.
pub(super) fn set(place: &mut Limits, input: Option<&LimitsInput>, at: &mut FieldContext<'_>) {
    if let Some(limits) = take(input, &at.path, at.faults) {
        *place = limits;
    }
}

fn amount(number: i64, field: String, faults: &mut Faults) -> Option<Amount> {
    let amount = u64::try_from(number)
        .ok()
        .and_then(|it| Amount::try_new(it).ok());
    if amount.is_none() {
        let rule = "must be between 1 and 9007199254740991";
        faults.add(field, reason::OUT_OF_RANGE, rule);
    }
    amount
}

/// A number of which 0 says that it is not limited.
fn small(number: i64, field: String, faults: &mut Faults) -> Option<NonZeroU32> {
    match u32::try_from(number) {
        Ok(number) => NonZeroU32::new(number),
        Err(_) => {
            let rule = "must be between 1 and 4294967295, or 0 for no such limit";
            faults.add(field, reason::OUT_OF_RANGE, rule);
            None
        }
    }
}

fn known<T: Default>(value: Result<T, i32>, field: String, faults: &mut Faults) -> T {
    value.unwrap_or_else(|number| {
        let rule = format!("has no value {number}");
        faults.add(field, reason::MALFORMED, rule);
        T::default()
    })
}
