//! The counters of a session, one set per level: a message is charged to all of them or to none.
//!
//! Owns that guarantee. What follows a refusal is up to `meter` and `admit`.

use std::{num::NonZeroU32, sync::Arc};

use tidegate_proto::quota::{Allowance, Burst, Counts, Window};

use crate::{
    message::Direction,
    quota::{
        Counter, Quotas,
        bucket::{Bucket, Take, View},
        gauge::Gauge,
        key::{CounterKey, GaugeKey, Unit},
        levels::{Level, Rule},
        time::Tick,
    },
    snapshot::Edition,
};

/// The counters of a session. Cheap to hold: sessions that count together share them.
#[derive(Debug, Default)]
pub struct Limiter {
    tiers: Box<[Tier]>,
}

/// One level with its counters.
#[derive(Debug)]
pub struct Tier {
    /// What it allows.
    pub rule: Rule,
    /// Messages, in the long window and in the short one.
    messages: [Option<Arc<Bucket>>; 2],
    bytes: Option<Arc<Bucket>>,
    connections: Option<Arc<Bucket>>,
    sessions: Option<Arc<Gauge>>,
}

/// The counter that refuses a message.
#[derive(Debug)]
pub struct Refused<'a> {
    /// The level.
    pub tier: &'a Tier,
    /// Its counter.
    pub bucket: &'a Arc<Bucket>,
    /// Its answer; never `Taken`.
    pub take: Take,
}

// === impl Limiter ===

impl Limiter {
    /// The counters of these rules of a configuration.
    #[must_use]
    pub fn open(quotas: &Quotas, edition: Edition, rules: Vec<Rule>) -> Self {
        let tiers = rules.into_iter();
        let tiers = tiers.map(|rule| Tier::open(quotas, edition, rule));
        Self {
            tiers: tiers.collect(),
        }
    }

    /// The levels, in the order in which they are asked.
    #[must_use]
    pub fn tiers(&self) -> &[Tier] {
        &self.tiers
    }

    /// Whether it was made of these rules.
    #[must_use]
    pub fn goes_by(&self, rules: &[Rule]) -> bool {
        self.tiers.iter().map(|tier| &tier.rule).eq(rules)
    }

    /// Confirms its rules for this configuration: its counters take their terms, whatever other sessions have set.
    pub fn renew(&self, edition: Edition) {
        self.tiers.iter().for_each(|tier| tier.renew(edition));
    }

    /// Whether a message may be dropped out of the middle of a session.
    #[must_use]
    pub fn may_drop(&self) -> bool {
        self.tiers.iter().any(|tier| tier.rule.limits.may_drop())
    }

    /// Charges a message with so many bytes in its first frame to all counters of its direction, or to none.
    ///
    /// # Errors
    /// The first counter that refuses.
    pub fn take(&self, direction: Direction, bytes: u64, now: Tick) -> Result<(), Refused<'_>> {
        for (index, tier) in self.counting(direction).enumerate() {
            if let Err((place, bucket, take)) = tier.take(bytes, now) {
                tier.refund(bytes, place, now);
                for before in self.counting(direction).take(index) {
                    before.refund(bytes, ALL, now);
                }
                return Err(Refused { tier, bucket, take });
            }
        }
        Ok(())
    }

    /// Charges further bytes of a message that was admitted.
    pub fn more(&self, direction: Direction, bytes: u64, now: Tick) {
        for tier in self.counting(direction) {
            if let Some(bucket) = &tier.bytes {
                bucket.charge(bytes, now);
            }
        }
    }

    fn counting(&self, direction: Direction) -> impl Iterator<Item = &Tier> {
        let tiers = self.tiers.iter();
        tiers.filter(move |tier| match tier.rule.limits.counts {
            Counts::Both => true,
            Counts::Client => direction == Direction::ToBackend,
            Counts::Backend => direction == Direction::ToClient,
        })
    }
}

/// The greatest age of the ledger's report that a client is told, in milliseconds.
const FRESH: u64 = 1_000;

/// How many counters of messages and bytes a level can have.
const ALL: usize = 3;

// === impl Tier ===

impl Tier {
    fn open(quotas: &Quotas, edition: Edition, rule: Rule) -> Self {
        let [messages, burst, bytes, connections] =
            counters(&rule).map(|counter| counter.map(|it| quotas.bucket(&it, edition)));
        Self {
            messages: [messages, burst],
            bytes,
            connections,
            sessions: rule.limits.sessions.map(|_| {
                quotas.gauge(GaugeKey {
                    level: rule.level,
                    subject: rule.subject.clone(),
                })
            }),
            rule,
        }
    }

    fn renew(&self, edition: Edition) {
        let [messages, burst] = &self.messages;
        let buckets = [messages, burst, &self.bytes, &self.connections];
        for (counter, bucket) in counters(&self.rule).iter().zip(buckets) {
            if let (Some(counter), Some(bucket)) = (counter, bucket) {
                bucket.go_by(counter, edition);
            }
        }
    }

    /// The level.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.rule.level
    }

    /// The counter of new sessions.
    #[must_use]
    pub const fn connections(&self) -> Option<&Arc<Bucket>> {
        self.connections.as_ref()
    }

    /// The key of the gauge of open sessions.
    #[must_use]
    pub fn seat(&self) -> GaugeKey {
        GaugeKey {
            level: self.rule.level,
            subject: self.rule.subject.clone(),
        }
    }

    /// The gauge of open sessions.
    #[must_use]
    pub const fn sessions(&self) -> Option<&Arc<Gauge>> {
        self.sessions.as_ref()
    }

    /// The counters that a message is charged to.
    pub fn needed(&self) -> impl Iterator<Item = &Arc<Bucket>> {
        self.messages.iter().chain([&self.bytes]).flatten()
    }

    /// Waits until what is known of the message limit is what the ledger reports, and no older report.
    pub async fn refreshed(&self) {
        if let [Some(messages), _] = &self.messages {
            messages.heard(Tick::now().minus(FRESH)).await;
        }
    }

    /// What is left of the tightest message limit.
    #[must_use]
    pub fn tightest(&self) -> Option<(Window, View)> {
        let limits = &self.rule.limits;
        let windows = [limits.messages, limits.burst.map(Burst::allowance)];
        let pairs = windows.into_iter().zip(&self.messages);
        let views = pairs.filter_map(|(of, bucket)| Some((of?.window, bucket.as_ref()?.view())));
        views.min_by_key(|(_, view)| view.remaining)
    }

    /// Charges each counter up to the first that refuses; returns its position as well.
    fn take(&self, bytes: u64, now: Tick) -> Result<(), (usize, &Arc<Bucket>, Take)> {
        for (place, bucket) in self.messages.iter().enumerate() {
            if let Some(bucket) = bucket {
                match bucket.take(1, now) {
                    Take::Taken => {}
                    take => return Err((place, bucket, take)),
                }
            }
        }
        if let Some(bucket) = &self.bytes {
            // With nothing left, a message that begins with an empty frame does not pass either.
            let asked = bytes.max(1);
            match bucket.take(asked, now) {
                Take::Taken if bytes == 0 => bucket.refund(asked, now),
                Take::Taken => {}
                take => return Err((ALL - 1, bucket, take)),
            }
        }
        Ok(())
    }

    /// Refunds what the first `places` counters were charged.
    fn refund(&self, bytes: u64, places: usize, taken: Tick) {
        let amounts = [1, 1, bytes];
        let counters = self.messages.iter().chain([&self.bytes]);
        for (bucket, amount) in counters.zip(amounts).take(places) {
            if let Some(bucket) = bucket
                && amount > 0
            {
                bucket.refund(amount, taken);
            }
        }
    }
}

/// The counters of a rule: messages, a burst of them, bytes and new sessions.
fn counters(rule: &Rule) -> [Option<Counter>; 4] {
    let limits = &rule.limits;
    let each_second = |amount: NonZeroU32| Allowance {
        amount: amount.into(),
        window: Window::SECOND,
    };
    let units = [
        (Unit::Messages, limits.messages),
        (Unit::Burst, limits.burst.map(Burst::allowance)),
        (Unit::Bytes, limits.bytes),
        (Unit::Connections, limits.connections.map(each_second)),
    ];
    units.map(|(unit, allowance)| {
        let Allowance { amount, window } = allowance?;
        Some(Counter {
            key: CounterKey {
                level: rule.level,
                subject: rule.subject.clone(),
                unit,
                window,
            },
            amount,
            window,
            without_ledger: limits.without_ledger,
            stops: !limits.count_only,
        })
    })
}

#[cfg(test)]
mod tests;
