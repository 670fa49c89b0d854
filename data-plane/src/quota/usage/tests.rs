//! What was used is what was taken and not given back, in the window that the clock shows, with sessions or without.

use std::{collections::HashMap, time::Duration};

use tidegate_kit::tasks::Tasks;
use tidegate_proto::{
    ids::{ApiId, ApplicationId, SubscriptionKey},
    quota::{Allowance, Amount, Burst, BurstPer, Limits, Window},
};

use super::{Spent, Used};
use crate::{
    message::Direction::ToBackend,
    quota::{
        Quotas,
        key::Unit,
        levels::{Level, Rule, write_subscription},
        limiter::Limiter,
        time::Tick,
    },
    snapshot::Edition,
};

fn key() -> SubscriptionKey {
    SubscriptionKey {
        application: ApplicationId::generate(),
        api: ApiId::generate(),
    }
}

fn open(quotas: &Quotas, id: SubscriptionKey, generation: u64, limits: Limits) -> Limiter {
    let rule = |level| Rule {
        level,
        subject: write_subscription(id, generation),
        policy: "Gold".into(),
        limits: limits.clone(),
    };
    Limiter::open(
        quotas,
        Edition::default(),
        vec![rule(Level::Subscription), rule(Level::Application)],
    )
}

/// So many messages and bytes a minute, and two messages a second.
fn limits(amount: u64) -> Limits {
    let amount = Amount::try_new(amount).unwrap();
    let allowance = Allowance {
        amount,
        window: Window::MINUTE,
    };
    Limits {
        messages: Some(allowance),
        bytes: Some(allowance),
        burst: Some(Burst {
            messages: amount,
            per: BurstPer::Second,
        }),
        ..Limits::default()
    }
}

/// Waits for the next minute of the ledger: in the last moments of a window, also of a second, nothing can be spent.
async fn window_begins(quotas: &Quotas) {
    let begun = quotas.ledger_millis() % 60_000;
    tokio::time::advance(Duration::from_millis(60_100 - begun)).await;
}

/// What was used, by unit, under this generation.
fn figures(quotas: &Quotas, id: SubscriptionKey) -> (u64, HashMap<Unit, u64>) {
    let Used {
        generation,
        counters,
    } = quotas.used().remove(&id).unwrap();
    let pairs = counters.iter().map(|it| (it.unit, it.used));
    (generation, pairs.collect())
}

#[tokio::test(start_paused = true)]
async fn what_passed_was_used_and_what_was_refused_was_not() {
    for count_only in [false, true] {
        let quotas = Quotas::in_process(&Tasks::current());
        let id = key();
        assert_eq!(quotas.used(), HashMap::new());
        window_begins(&quotas).await;
        let limits = Limits {
            count_only,
            ..limits(25)
        };
        let limiter = open(&quotas, id, 3, limits);
        let passed = (0..4).filter(|_| limiter.take(ToBackend, 10, Tick::now()).is_ok());
        let passed = u64::try_from(passed.count()).unwrap();
        assert_eq!(passed, if count_only { 4 } else { 2 });
        // A window of a second is not told of, and neither is another level.
        let used = HashMap::from([(Unit::Messages, passed), (Unit::Bytes, passed * 10)]);
        assert_eq!(figures(&quotas, id), (3, used));
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_session_gone_what_was_used_is_told_until_the_window_turns() {
    let quotas = Quotas::in_process(&Tasks::current());
    window_begins(&quotas).await;
    let id = key();
    let limiter = open(&quotas, id, 0, limits(100));
    limiter.take(ToBackend, 10, Tick::now()).unwrap();
    drop(limiter);
    tokio::time::advance(Duration::from_secs(50)).await;
    let began = quotas.ledger_millis() / 60_000 * 60;
    let spent = |unit, used| Spent {
        unit,
        window: Window::MINUTE,
        began,
        used,
    };
    let mut told = quotas.used().remove(&id).unwrap().counters;
    told.sort_by_key(|it| it.unit);
    assert_eq!(told, [spent(Unit::Messages, 1), spent(Unit::Bytes, 10)]);
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(quotas.used(), HashMap::new());
}

#[tokio::test(start_paused = true)]
async fn counters_that_began_anew_are_told_of_and_the_old_ones_are_not() {
    let quotas = Quotas::in_process(&Tasks::current());
    window_begins(&quotas).await;
    let id = key();
    let (old, new) = (
        open(&quotas, id, 1, limits(100)),
        open(&quotas, id, 2, limits(100)),
    );
    old.take(ToBackend, 10, Tick::now()).unwrap();
    assert_eq!(figures(&quotas, id).0, 1);
    new.take(ToBackend, 7, Tick::now()).unwrap();
    let used = HashMap::from([(Unit::Messages, 1), (Unit::Bytes, 7)]);
    assert_eq!(figures(&quotas, id), (2, used));
}
