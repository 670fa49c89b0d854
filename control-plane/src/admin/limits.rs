//! Limits as the admin API writes and reads them, for plans and policies alike.

use std::num::NonZeroU32;

use tidegate_proto::{
    admin::v1,
    quota::{Allowance, Burst, BurstPer, CloseCode, Counts, Limits, OnLimit, WithoutLedger},
};

use crate::service::limits::{AllowanceInput, BurstInput, LimitsInput};

/// Limits as the admin API shows them: every default spelled out.
pub(super) fn message(limits: &Limits) -> v1::Limits {
    let number = |of: Option<NonZeroU32>| of.map_or(0, |it| it.get().into());
    v1::Limits {
        unlimited: limits.is_unlimited(),
        messages: limits.messages.map(allowance),
        bytes: limits.bytes.map(allowance),
        burst: limits.burst.map(burst),
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
        stop_on_quota_reach: Some(!limits.count_only),
        without_ledger: match limits.without_ledger {
            WithoutLedger::Share => v1::WithoutLedger::Share,
            WithoutLedger::Deny => v1::WithoutLedger::Deny,
            WithoutLedger::Allow => v1::WithoutLedger::Allow,
        }
        .into(),
    }
}

/// Limits as they are sent; an enum value that does not exist stays as an `Err`, for validation to name.
pub(super) fn read(limits: v1::Limits) -> LimitsInput {
    LimitsInput {
        unlimited: limits.unlimited,
        messages: limits.messages.map(read_allowance),
        bytes: limits.bytes.map(read_allowance),
        burst: limits.burst.map(|burst| BurstInput {
            messages: burst.messages,
            per: match v1::BurstPer::try_from(burst.per) {
                Ok(v1::BurstPer::Second) => Ok(BurstPer::Second),
                Ok(v1::BurstPer::Minute) => Ok(BurstPer::Minute),
                Ok(v1::BurstPer::Unspecified) | Err(_) => Err(burst.per),
            },
        }),
        sessions: limits.sessions,
        connections_per_second: limits.connections_per_second,
        counts: match v1::Counts::try_from(limits.counts) {
            Ok(v1::Counts::Unspecified | v1::Counts::Both) => Ok(Counts::Both),
            Ok(v1::Counts::Client) => Ok(Counts::Client),
            Ok(v1::Counts::Backend) => Ok(Counts::Backend),
            Err(_) => Err(limits.counts),
        },
        on_limit: match v1::OnLimit::try_from(limits.on_limit) {
            Ok(v1::OnLimit::Unspecified | v1::OnLimit::Notify) => Ok(OnLimit::Notify),
            Ok(v1::OnLimit::Drop) => Ok(OnLimit::Drop),
            Ok(v1::OnLimit::Delay) => Ok(OnLimit::Delay),
            Ok(v1::OnLimit::Close) => Ok(OnLimit::Close(CloseCode::default())),
            Err(_) => Err(limits.on_limit),
        },
        close_code: limits.close_code,
        count_only: limits.stop_on_quota_reach == Some(false),
        without_ledger: match v1::WithoutLedger::try_from(limits.without_ledger) {
            Ok(v1::WithoutLedger::Unspecified | v1::WithoutLedger::Share) => {
                Ok(WithoutLedger::Share)
            }
            Ok(v1::WithoutLedger::Deny) => Ok(WithoutLedger::Deny),
            Ok(v1::WithoutLedger::Allow) => Ok(WithoutLedger::Allow),
            Err(_) => Err(limits.without_ledger),
        },
    }
}

fn allowance(of: Allowance) -> v1::Allowance {
    v1::Allowance {
        amount: of.amount.get().cast_signed(),
        window_seconds: of.window.seconds().into(),
    }
}

fn burst(of: Burst) -> v1::Burst {
    v1::Burst {
        messages: of.messages.get().cast_signed(),
        per: match of.per {
            BurstPer::Second => v1::BurstPer::Second,
            BurstPer::Minute => v1::BurstPer::Minute,
        }
        .into(),
    }
}

const fn read_allowance(of: v1::Allowance) -> AllowanceInput {
    AllowanceInput {
        amount: of.amount,
        window_seconds: of.window_seconds,
    }
}
