//! The record of limits inside the records of plans and policies.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use tidegate_proto::quota::{
    Allowance, Amount, Burst, BurstPer, CloseCode, Counts, Limits, OnLimit, Window, WithoutLedger,
};

use super::{Unreadable, part};

#[derive(Serialize, Deserialize)]
pub(super) struct LimitsV1 {
    messages: Option<AllowanceV1>,
    bytes: Option<AllowanceV1>,
    burst: Option<BurstV1>,
    sessions: Option<NonZeroU32>,
    connections: Option<NonZeroU32>,
    counts: CountsV1,
    on_limit: OnLimitV1,
    count_only: bool,
    without_ledger: WithoutLedgerV1,
}

#[derive(Serialize, Deserialize)]
pub(super) struct AllowanceV1 {
    pub(super) amount: u64,
    pub(super) window: u32,
}

#[derive(Serialize, Deserialize)]
struct BurstV1 {
    messages: u64,
    per: BurstPerV1,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BurstPerV1 {
    Second,
    Minute,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CountsV1 {
    Both,
    Client,
    Backend,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnLimitV1 {
    Notify,
    Drop,
    Delay,
    Close(CloseCodeV1),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CloseCodeV1 {
    Throttled,
    PolicyViolation,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WithoutLedgerV1 {
    Share,
    Deny,
    Allow,
}

// === impl LimitsV1 ===

impl From<&Limits> for LimitsV1 {
    fn from(it: &Limits) -> Self {
        Self {
            messages: it.messages.map(AllowanceV1::from),
            bytes: it.bytes.map(AllowanceV1::from),
            burst: it.burst.map(|burst| BurstV1 {
                messages: burst.messages.get(),
                per: match burst.per {
                    BurstPer::Second => BurstPerV1::Second,
                    BurstPer::Minute => BurstPerV1::Minute,
                },
            }),
            sessions: it.sessions,
            connections: it.connections,
            counts: match it.counts {
                Counts::Both => CountsV1::Both,
                Counts::Client => CountsV1::Client,
                Counts::Backend => CountsV1::Backend,
            },
            on_limit: match it.on_limit {
                OnLimit::Notify => OnLimitV1::Notify,
                OnLimit::Drop => OnLimitV1::Drop,
                OnLimit::Delay => OnLimitV1::Delay,
                OnLimit::Close(CloseCode::Throttled) => OnLimitV1::Close(CloseCodeV1::Throttled),
                OnLimit::Close(CloseCode::PolicyViolation) => {
                    OnLimitV1::Close(CloseCodeV1::PolicyViolation)
                }
            },
            count_only: it.count_only,
            without_ledger: match it.without_ledger {
                WithoutLedger::Share => WithoutLedgerV1::Share,
                WithoutLedger::Deny => WithoutLedgerV1::Deny,
                WithoutLedger::Allow => WithoutLedgerV1::Allow,
            },
        }
    }
}

impl LimitsV1 {
    /// What a plan allowed when plans knew no other limit than messages per window.
    pub(super) fn messages_only(messages: Option<AllowanceV1>) -> Self {
        Self {
            messages,
            ..Self::from(&Limits::default())
        }
    }

    pub(super) fn limits(self) -> Result<Limits, Unreadable> {
        Ok(Limits {
            messages: self.messages.map(AllowanceV1::allowance).transpose()?,
            bytes: self.bytes.map(AllowanceV1::allowance).transpose()?,
            burst: self.burst.map(BurstV1::burst).transpose()?,
            sessions: self.sessions,
            connections: self.connections,
            counts: match self.counts {
                CountsV1::Both => Counts::Both,
                CountsV1::Client => Counts::Client,
                CountsV1::Backend => Counts::Backend,
            },
            on_limit: match self.on_limit {
                OnLimitV1::Notify => OnLimit::Notify,
                OnLimitV1::Drop => OnLimit::Drop,
                OnLimitV1::Delay => OnLimit::Delay,
                OnLimitV1::Close(CloseCodeV1::Throttled) => OnLimit::Close(CloseCode::Throttled),
                OnLimitV1::Close(CloseCodeV1::PolicyViolation) => {
                    OnLimit::Close(CloseCode::PolicyViolation)
                }
            },
            count_only: self.count_only,
            without_ledger: match self.without_ledger {
                WithoutLedgerV1::Share => WithoutLedger::Share,
                WithoutLedgerV1::Deny => WithoutLedger::Deny,
                WithoutLedgerV1::Allow => WithoutLedger::Allow,
            },
        })
    }
}

// === impl AllowanceV1 ===

impl From<Allowance> for AllowanceV1 {
    fn from(it: Allowance) -> Self {
        Self {
            amount: it.amount.get(),
            window: it.window.seconds(),
        }
    }
}

impl AllowanceV1 {
    fn allowance(self) -> Result<Allowance, Unreadable> {
        Ok(Allowance {
            amount: part("amount", Amount::try_new(self.amount))?,
            window: part("window", Window::try_new(self.window.into()))?,
        })
    }
}

// === impl BurstV1 ===

impl BurstV1 {
    fn burst(self) -> Result<Burst, Unreadable> {
        Ok(Burst {
            messages: part("messages", Amount::try_new(self.messages))?,
            per: match self.per {
                BurstPerV1::Second => BurstPer::Second,
                BurstPerV1::Minute => BurstPer::Minute,
            },
        })
    }
}
