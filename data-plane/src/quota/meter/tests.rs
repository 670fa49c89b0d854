//! What the gate says about messages that are too many, without sockets.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Wake, Waker},
    time::Duration,
};

use tidegate_kit::tasks::Tasks;
use tidegate_proto::{
    quota::{Allowance, Amount, CloseCode, Limits, OnLimit, Window},
    reason::Reason,
};

use super::{Limited, Meter, Terms, whole_seconds};
use crate::{
    message::{
        Direction::{self, ToBackend, ToClient},
        Gate as _, MessageKind, MessageStart, Verdict,
    },
    metrics::Metrics,
    quota::{
        Quotas,
        levels::{Level, Rule},
        limiter::Limiter,
    },
    snapshot::Edition,
};

const SMALL: MessageStart = MessageStart {
    kind: MessageKind::Text,
    length: 10,
    whole: true,
    compressed: false,
};
const COMPRESSED: MessageStart = MessageStart {
    compressed: true,
    ..SMALL
};

/// A meter under one plan, with whoever is woken by it.
struct World {
    quotas: Quotas,
    limited: Arc<Limited>,
    meter: Meter<Arc<Limited>>,
    woken: Arc<Woken>,
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl World {
    fn new(limits: Limits, terms: Terms) -> Self {
        let quotas = Quotas::in_process(&Tasks::current());
        let limiter = limiter(&quotas, 1, limits);
        let limited = Arc::new(Limited::new(Edition::new(1), limiter, Vec::new()));
        Self {
            meter: Meter::new(limited.clone(), terms, Arc::new(Metrics::new())),
            quotas,
            limited,
            woken: Arc::default(),
        }
    }

    fn show(&mut self, direction: Direction, message: MessageStart) -> Verdict {
        let waker = Waker::from(self.woken.clone());
        self.meter
            .admit(&mut Context::from_waker(&waker), direction, message)
    }

    fn change(&self, edition: u64, limits: Limits) {
        let limiter = limiter(&self.quotas, edition, limits);
        let edition = Edition::new(edition);
        self.limited.change(edition, limiter, Vec::new());
    }

    fn woken(&self) -> usize {
        self.woken.0.load(Ordering::Relaxed)
    }
}

impl AsRef<Self> for Limited {
    fn as_ref(&self) -> &Self {
        self
    }
}

fn limiter(quotas: &Quotas, edition: u64, limits: Limits) -> Limiter {
    let rule = Rule {
        level: Level::Subscription,
        subject: "somebody".into(),
        policy: "Gold".into(),
        limits,
    };
    Limiter::open(quotas, Edition::new(edition), vec![rule])
}

fn messages(amount: u64, on_limit: OnLimit) -> Limits {
    Limits {
        messages: Some(Allowance {
            amount: Amount::try_new(amount).unwrap(),
            window: Window::MINUTE,
        }),
        on_limit,
        ..Limits::default()
    }
}

fn may_notice() -> Terms {
    Terms {
        may_notice: true,
        ..Terms::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_notice_comes_at_most_once_a_second() {
    let mut world = World::new(messages(1, OnLimit::Notify), may_notice());
    assert_eq!(world.show(ToBackend, SMALL), Verdict::Pass);
    assert_eq!(world.meter.notice(), None);
    assert_eq!(world.show(ToBackend, SMALL), Verdict::Drop);
    let text = world.meter.notice().unwrap();
    let told =
        "Error code: 4003 reason: the limit of the subscription's plan is reached; retry in ";
    assert!(text.starts_with(told) && text.len() <= 125, "{text}");
    for _ in 0..10 {
        assert_eq!(world.show(ToClient, SMALL), Verdict::Drop);
        assert_eq!(world.meter.notice(), None);
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(world.show(ToClient, SMALL), Verdict::Drop);
    assert!(world.meter.notice().is_some());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_said_where_no_text_may_stand() {
    let mut world = World::new(messages(1, OnLimit::Notify), Terms::default());
    assert_eq!(world.show(ToBackend, SMALL), Verdict::Pass);
    assert_eq!(world.show(ToBackend, SMALL), Verdict::Drop);
    assert_eq!(world.meter.notice(), None);
}

#[tokio::test(start_paused = true)]
async fn a_compressed_message_whose_sender_keeps_its_window_waits_instead_of_being_lost() {
    for on_limit in [OnLimit::Drop, OnLimit::Notify] {
        let terms = Terms {
            keeps_window: [true, false],
            ..Terms::default()
        };
        let mut world = World::new(messages(1, on_limit), terms);
        assert_eq!(world.show(ToBackend, COMPRESSED), Verdict::Pass);
        assert_eq!(world.show(ToBackend, COMPRESSED), Verdict::Wait);
        assert_eq!(world.show(ToBackend, SMALL), Verdict::Drop);
        assert_eq!(world.show(ToClient, COMPRESSED), Verdict::Drop);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_waits_is_woken_by_other_limits_and_judged_by_them() {
    let mut world = World::new(messages(1, OnLimit::Delay), Terms::default());
    assert_eq!(world.show(ToBackend, SMALL), Verdict::Pass);
    assert_eq!(world.show(ToBackend, SMALL), Verdict::Wait);
    let before = world.woken();
    world.change(2, messages(2, OnLimit::Delay));
    assert!(world.woken() > before);
    assert_eq!(world.show(ToBackend, SMALL), Verdict::Pass);
    assert_eq!(world.show(ToBackend, SMALL), Verdict::Wait);
    world.change(3, messages(2, OnLimit::Drop));
    assert_eq!(world.show(ToBackend, SMALL), Verdict::Drop);
}

#[tokio::test(start_paused = true)]
async fn limits_of_an_older_configuration_do_not_come_back() {
    let mut world = World::new(messages(1, OnLimit::Drop), Terms::default());
    world.change(3, messages(3, OnLimit::Drop));
    world.change(2, messages(3, OnLimit::Delay));
    for _ in 0..3 {
        assert_eq!(world.show(ToBackend, SMALL), Verdict::Pass);
    }
    assert_eq!(world.show(ToBackend, SMALL), Verdict::Drop);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_judged_twice_at_once_takes_one_place() {
    let world = World::new(messages(1, OnLimit::Drop), Terms::default());
    let limits = Limits {
        sessions: std::num::NonZeroU32::new(5),
        ..Limits::default()
    };
    let limiters = [2, 2].map(|edition| limiter(&world.quotas, edition, limits.clone()));
    // Both see that it has none yet.
    let judged = limiters.map(|limiter| {
        let fresh = crate::admit::limits::stay(&limiter, &world.limited);
        (limiter, fresh)
    });
    for (limiter, fresh) in judged {
        world.limited.change(Edition::new(2), limiter, fresh);
    }
    let limiter = world.limited.limiter();
    let gauge = limiter.tiers()[0].sessions().unwrap();
    assert_eq!(gauge.taken(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_with_the_code_of_its_level_and_the_time_to_retry() {
    for (close, code) in [
        (CloseCode::Throttled, None),
        (CloseCode::PolicyViolation, Some(1008)),
    ] {
        let mut world = World::new(messages(1, OnLimit::Close(close)), Terms::default());
        assert_eq!(world.show(ToBackend, SMALL), Verdict::Pass);
        let Verdict::Close(farewell) = world.show(ToBackend, SMALL) else {
            panic!("it does not end");
        };
        assert_eq!(farewell.reason, Reason::SubscriptionQuota);
        assert_eq!(farewell.code, code);
        let retry = farewell.retry_seconds.unwrap().get();
        assert!((1..=60).contains(&retry), "{retry}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_sessions_that_waited_and_ended() {
    let mut world = World::new(messages(1, OnLimit::Delay), Terms::default());
    assert_eq!(world.show(ToBackend, SMALL), Verdict::Pass);
    let metrics = Arc::new(Metrics::new());
    let ended: Vec<_> = (0..10_000)
        .map(|_| {
            let limited = Limited::new(
                Edition::new(1),
                limiter(&world.quotas, 1, messages(1, OnLimit::Delay)),
                Vec::new(),
            );
            let mut meter = Meter::new(Arc::new(limited), Terms::default(), metrics.clone());
            let woken = Arc::new(Woken::default());
            let waker = Waker::from(woken.clone());
            let mut cx = Context::from_waker(&waker);
            for direction in [ToBackend, ToClient] {
                assert_eq!(meter.admit(&mut cx, direction, SMALL), Verdict::Wait);
            }
            Arc::downgrade(&woken)
        })
        .collect();
    assert!(ended.iter().all(|woken| woken.strong_count() == 0));
    // Whoever waits still is woken.
    assert_eq!(world.show(ToBackend, SMALL), Verdict::Wait);
    let before = world.woken();
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert!(world.woken() > before);
}

#[test]
fn seconds_are_rounded_up() {
    for (time, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (60_000, 60)] {
        let rounded = whole_seconds(Duration::from_millis(time)).unwrap();
        assert_eq!(rounded.get(), seconds, "{time} ms");
    }
}
