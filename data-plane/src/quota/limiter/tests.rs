//! All or nothing, each unit by itself, and exactly as much as is allowed.

use std::time::Duration;

use tidegate_kit::tasks::Tasks;
use tidegate_proto::quota::{Allowance, Amount, Burst, BurstPer, Counts, Limits, OnLimit, Window};

use crate::quota::time::Tick;

use super::Limiter;
use crate::{
    message::Direction::{self, ToBackend, ToClient},
    quota::{
        Quotas,
        levels::{Level, Rule},
    },
    snapshot::Edition,
};

fn amount(amount: u64) -> Amount {
    Amount::try_new(amount).unwrap()
}

fn per_minute(most: u64) -> Option<Allowance> {
    Some(Allowance {
        amount: amount(most),
        window: Window::MINUTE,
    })
}

fn limiter(limits: impl IntoIterator<Item = Limits>) -> Limiter {
    let rules = limits
        .into_iter()
        .zip(Level::ALL)
        .map(|(limits, level)| Rule {
            level,
            subject: "somebody".into(),
            policy: "Gold".into(),
            limits,
        });
    let quotas = Quotas::in_process(&Tasks::current());
    Limiter::open(&quotas, Edition::default(), rules.collect())
}

/// How many of `n` messages of so many bytes pass, and who refuses the first that does not.
fn passed(limiter: &Limiter, direction: Direction, bytes: u64, n: usize) -> (usize, Option<Level>) {
    let now = Tick::now();
    for at in 0..n {
        if let Err(refused) = limiter.take(direction, bytes, now) {
            return (at, Some(refused.tier.level()));
        }
    }
    (n, None)
}

#[tokio::test(start_paused = true)]
async fn with_four_messages_a_window_the_fifth_is_refused_in_every_window() {
    let limiter = limiter([Limits {
        messages: per_minute(4),
        ..Limits::default()
    }]);
    for _ in 0..50 {
        assert_eq!(passed(&limiter, ToBackend, 10, 9), (4, Some(Level::Api)));
        tokio::time::advance(Duration::from_secs(60)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_one_level_refuses_no_other_level_is_charged_for() {
    let most = |messages| Limits {
        messages: per_minute(messages),
        burst: Some(Burst {
            messages: amount(100),
            per: BurstPer::Minute,
        }),
        bytes: per_minute(1000),
        ..Limits::default()
    };
    let limiter = limiter([most(50), most(60), most(3), most(70)]);
    assert_eq!(
        passed(&limiter, ToBackend, 10, 20).1,
        Some(Level::Subscription)
    );
    for _ in 0..100 {
        limiter.take(ToClient, 10, Tick::now()).unwrap_err();
    }
    let left = |level: usize| -> Vec<_> {
        let counters = limiter.tiers()[level].needed();
        counters.map(|bucket| bucket.view().remaining).collect()
    };
    assert_eq!(left(0), [47, 97, 970]);
    assert_eq!(left(1), [57, 97, 970]);
    assert_eq!(left(2), [0, 97, 970]);
    assert_eq!(left(3), [67, 97, 970]);
}

#[tokio::test(start_paused = true)]
async fn each_unit_refuses_by_itself() {
    let by = |limits| passed(&limiter([limits]), ToBackend, 100, 10).0;
    assert_eq!(
        by(Limits {
            burst: Some(Burst {
                messages: amount(2),
                per: BurstPer::Minute,
            }),
            messages: per_minute(5),
            ..Limits::default()
        }),
        2
    );
    assert_eq!(
        by(Limits {
            bytes: per_minute(350),
            ..Limits::default()
        }),
        3
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_that_begins_with_an_empty_frame_does_not_slip_past_a_byte_limit() {
    let limiter = limiter([Limits {
        bytes: per_minute(10),
        ..Limits::default()
    }]);
    assert_eq!(passed(&limiter, ToBackend, 0, 5), (5, None));
    limiter.more(ToBackend, 10, Tick::now());
    assert_eq!(passed(&limiter, ToBackend, 0, 5).0, 0);
}

#[tokio::test(start_paused = true)]
async fn only_the_direction_that_counts_is_counted() {
    for (counts, up, down) in [
        (Counts::Both, 2, 0),
        (Counts::Client, 2, 9),
        (Counts::Backend, 9, 2),
    ] {
        let limiter = limiter([Limits {
            messages: per_minute(2),
            counts,
            ..Limits::default()
        }]);
        assert_eq!(passed(&limiter, ToBackend, 1, 9).0, up, "{counts:?}");
        assert_eq!(passed(&limiter, ToClient, 1, 9).0, down, "{counts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_only_counts_refuses_nothing() {
    let limits = Limits {
        messages: per_minute(1),
        count_only: true,
        on_limit: OnLimit::Drop,
        ..Limits::default()
    };
    let limiter = limiter([limits]);
    assert_eq!(passed(&limiter, ToBackend, 1, 9), (9, None));
    assert!(!limiter.may_drop());
}

#[tokio::test(start_paused = true)]
async fn lengths_that_strangers_declare_do_not_wrap_what_was_counted() {
    let bytes = Limits {
        bytes: per_minute(1_000),
        ..Limits::default()
    };
    let limiter = limiter([bytes]);
    for length in [u64::MAX >> 1, u64::MAX >> 1, 2] {
        limiter.more(ToBackend, length, Tick::now());
    }
    assert_eq!(passed(&limiter, ToBackend, 10, 1), (0, Some(Level::Api)));
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_only_counted_for_a_while_stops_at_what_is_left() {
    let quotas = Quotas::in_process(&Tasks::current());
    let ten = |count_only| Limits {
        messages: per_minute(10),
        count_only,
        ..Limits::default()
    };
    let passed = |count_only, n| passed(&open(&quotas, 0, ten(count_only)), ToBackend, 1, n).0;
    assert_eq!(passed(false, 3), 3);
    assert_eq!(passed(true, 2), 2);
    assert_eq!(passed(false, 100), 5);
}

/// A limit of one API, as the configuration of this edition has it.
fn open(quotas: &Quotas, edition: u64, limits: Limits) -> Limiter {
    let rule = Rule {
        level: Level::Api,
        subject: "somebody".into(),
        policy: "Ten".into(),
        limits,
    };
    Limiter::open(quotas, Edition::new(edition), vec![rule])
}

#[tokio::test(start_paused = true)]
async fn limits_of_an_older_configuration_do_not_come_back_to_a_counter_that_is_shared() {
    let quotas = Quotas::in_process(&Tasks::current());
    let most = |most| Limits {
        messages: per_minute(most),
        ..Limits::default()
    };
    let newer = open(&quotas, 3, most(4));
    // A handshake that was judged by what held before, and is slow.
    let older = open(&quotas, 2, most(100));
    assert_eq!(passed(&older, ToBackend, 1, 10).0, 4);
    assert_eq!(passed(&newer, ToBackend, 1, 10).0, 0);
    // One that was judged by what held in between, and of which nobody is left.
    drop(open(&quotas, 4, most(100)));
    newer.renew(Edition::new(5));
    assert_eq!(passed(&newer, ToBackend, 1, 10).0, 0);
    drop(open(&quotas, 4, most(100)));
    assert_eq!(passed(&newer, ToBackend, 1, 10).0, 0);
}
