//! What a handshake needs of the quotas: room in the rate of new sessions, a place among the open ones, and something
//! left in the windows of limits that end sessions.
//!
//! All levels let it in, or none is charged. Waits for the ledger, but no longer than a timeout.

use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

use tidegate_proto::{quota::OnLimit, reason::Reason};

use crate::{
    handshake::refusal::Refusal,
    quota::{
        Quotas,
        bucket::{Bucket, Take, WaitHandle},
        gauge::{NoSeat, Seat},
        levels::Rule,
        limiter::{Limiter, Tier},
        meter::{Limited, Seats, whole_seconds},
        time::Tick,
    },
    session::Session,
    snapshot::Snapshot,
};

/// What new sessions were charged for in connection rates; refunded where they are not admitted.
#[derive(Debug, Default)]
struct ChargedConnections(Vec<(Arc<Bucket>, Tick)>);

/// Enters a session under its limits; gives the places that it takes for as long as it lives.
///
/// # Errors
/// The reason of the level that refuses, with the time after which it may be otherwise; `LedgerUnavailable` when nobody
/// knows within `timeout`.
pub async fn enter(limiter: &Limiter, timeout: Duration) -> Result<Seats, Refusal> {
    if limiter.tiers().is_empty() {
        return Ok(Seats::new());
    }
    tokio::time::timeout(timeout, enter_all(limiter))
        .await
        .unwrap_or_else(|_| Err(Reason::LedgerUnavailable.into()))
}

/// Gives an open session the limits that a snapshot has for it. One whose limits are the same notices nothing. Waits for
/// nobody: what changes after this session must not stand behind a ledger that is slow.
pub fn change(quotas: &Quotas, snapshot: &Snapshot, session: &Session, rules: Vec<Rule>) {
    let (limited, edition) = (session.limited(), snapshot.edition());
    let limiter = limited.limiter();
    if limiter.goes_by(&rules) {
        // A handshake that came between two snapshots may have set shared counters to limits that were over.
        limiter.renew(edition);
        return;
    }
    let limiter = Limiter::open(quotas, edition, rules);
    let fresh = stay(&limiter, limited);
    limited.change(edition, limiter, fresh);
}

/// The places of an open session under limits that changed: those in counts that it is not counted in yet. It is there
/// already, so it is counted beyond the limit, too, and nobody is asked.
pub fn stay(limiter: &Limiter, limited: &Limited) -> Seats {
    let tiers = limiter.tiers().iter();
    let gauges = tiers.filter_map(|tier| Some((tier.seat(), tier.sessions()?)));
    let fresh = gauges.filter(|(key, _)| !limited.is_seated(key));
    fresh.map(|(key, gauge)| (key, gauge.join())).collect()
}

async fn enter_all(limiter: &Limiter) -> Result<Seats, Refusal> {
    let mut charged = ChargedConnections::default();
    let mut seats = Seats::new();
    for tier in limiter.tiers() {
        if let Some(bucket) = tier.connections() {
            match take(bucket).await {
                (Take::Taken, at) => charged.0.push((bucket.clone(), at)),
                (refused, _) => return Err(refusal(Reason::ConnectionRate, refused)),
            }
        }
        if matches!(tier.rule.limits.on_limit, OnLimit::Close(_)) {
            something_left(tier).await?;
        }
        if let Some(seat) = seat(tier).await? {
            seats.push((tier.seat(), seat));
        }
    }
    charged.0.clear();
    Ok(seats)
}

/// A session that would be closed at its first message need not be opened.
async fn something_left(tier: &Tier) -> Result<(), Refusal> {
    for bucket in tier.needed() {
        match take(bucket).await {
            (Take::Taken, at) => bucket.refund(1, at),
            (refused, _) => return Err(refusal(tier.level().reason(), refused)),
        }
    }
    Ok(())
}

async fn seat(tier: &Tier) -> Result<Option<Seat>, Refusal> {
    let limits = &tier.rule.limits;
    let (Some(gauge), Some(limit)) = (tier.sessions(), limits.sessions) else {
        return Ok(None);
    };
    if limits.count_only {
        return Ok(Some(gauge.join()));
    }
    match gauge.enter(limit, limits.without_ledger).await {
        Ok(seat) => Ok(Some(seat)),
        Err(NoSeat::Full) => Err(Reason::SessionLimit.into()),
        Err(NoSeat::Unavailable) => Err(Reason::LedgerUnavailable.into()),
    }
}

/// Takes one, and waits for an answer that is on its way; tells when, too.
async fn take(bucket: &Arc<Bucket>) -> (Take, Tick) {
    bucket.known().await;
    let mut place = None;
    poll_fn(|cx| {
        let mut now = Tick::now();
        let mut take = bucket.take(1, now);
        if take == Take::Waiting {
            WaitHandle::wait_at(&mut place, bucket, cx.waker());
            // After the registration: an answer in between woke nobody.
            now = Tick::now();
            take = bucket.take(1, now);
        }
        if take == Take::Waiting {
            Poll::Pending
        } else {
            Poll::Ready((take, now))
        }
    })
    .await
}

fn refusal(reason: Reason, take: Take) -> Refusal {
    match take {
        Take::Exhausted { retry } => Refusal {
            retry_seconds: whole_seconds(retry),
            ..reason.into()
        },
        Take::Unavailable => Reason::LedgerUnavailable.into(),
        Take::Taken | Take::Waiting | Take::TooLarge => reason.into(),
    }
}

// === impl ChargedConnections ===

impl Drop for ChargedConnections {
    fn drop(&mut self) {
        for (bucket, at) in &self.0 {
            bucket.refund(1, *at);
        }
    }
}
