//! One counter and the words that it exchanges with a ledger: what becomes of those that come late, and of silence.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Wake, Waker},
};

use tidegate_proto::quota::{Window, WithoutLedger};

use super::{Micros, counter, link};
use crate::{
    quota::{
        Counter,
        bucket::{Bucket, Take, WaitHandle},
        link::Link,
        rules::{Grant, GrantRequest, GrantResponse, Rules},
        time::Tick,
    },
    snapshot::Edition,
};

const NOW: Micros = Micros::START;

/// A counter of a ledger that others count in, too.
struct World {
    link: Arc<Link>,
    bucket: Arc<Bucket>,
    ledger: Rules,
}

impl World {
    fn new(limit: u64) -> Self {
        let link = link(2);
        link.clock.learn(NOW.tick(0), NOW.unix());
        Self {
            bucket: Arc::new(Bucket::new(&per_minute(limit), link.clone())),
            link,
            ledger: Rules::in_process(),
        }
    }

    fn take(&self, amount: u64) -> Take {
        self.bucket.take(amount, NOW.tick(0))
    }

    fn ask(&self, at: Tick) -> Option<GrantRequest> {
        self.bucket.refresh(at).0
    }

    fn answer(&self, seq: u64, answer: GrantResponse) {
        self.bucket.answered(seq, NOW.tick(0), answer, NOW.tick(0));
    }

    /// A visit, the words of which arrive at once.
    fn exchange(&mut self) {
        if let Some(ask) = self.ask(NOW.tick(0)) {
            let answer = self.ledger.grant(1, &ask, NOW.unix());
            self.answer(ask.seq, answer);
        }
    }

    /// Whether one that asked for so much has it granted.
    fn is_granted(&mut self, amount: u64) -> bool {
        assert_eq!(self.take(amount), Take::Waiting);
        self.exchange();
        self.take(amount) == Take::Taken
    }
}

fn per_minute(limit: u64) -> Counter {
    counter(limit, Window::MINUTE)
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn what_was_asked_for_under_a_larger_limit_is_not_spent_under_a_smaller_one() {
    let mut world = World::new(100);
    assert_eq!(world.take(10), Take::Waiting);
    let ask = world.ask(NOW.tick(0)).unwrap();
    let granted = world.ledger.grant(1, &ask, NOW.unix());
    world.bucket.go_by(&per_minute(4), Edition::new(1));
    world.answer(ask.seq, granted);
    let mut passed = 0;
    for _ in 0..20 {
        passed += u64::from(world.take(1) == Take::Taken);
        world.exchange();
    }
    assert_eq!(passed, 4);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_word_of_a_counter_that_the_ledger_cannot_keep() {
    let world = World::new(4);
    let mut known = pin!(world.bucket.known());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(known.as_mut().poll(&mut cx).is_pending());
    let ask = world.ask(Tick::now()).unwrap();
    world.bucket.mark_faulted(ask.seq, Tick::now().plus(500));
    assert!(known.poll(&mut cx).is_ready());
}

#[test]
fn what_was_given_back_while_the_ledger_was_silent_it_hears_of_afterwards() {
    let mut world = World::new(100);
    assert_eq!(world.take(10), Take::Waiting);
    world.exchange();
    let idle = NOW.plus_millis(1_000).tick(0);
    let ask = world.ask(idle).unwrap();
    assert_eq!((ask.net, ask.unspent), (0, 0));
    world.bucket.unanswered(ask.seq, idle);
    world.bucket.report_all();
    let again = world.ask(idle).expect("it tells once more");
    assert_eq!((again.net, again.unspent), (0, 0));
}

/// A counter of which the ledger has nothing left, although others have not spent all they hold.
fn spent_but_for_what_others_hold(lasts: u64) -> World {
    let mut world = World::new(10);
    assert!(world.is_granted(4));
    assert_eq!(world.take(4), Take::Waiting);
    let ask = world.ask(NOW.tick(0)).unwrap();
    let nothing = Grant {
        granted: 0,
        total: 10,
        unspent_elsewhere: 5,
        nodes: 2,
        now: NOW.unix(),
        lasts,
    };
    world.answer(ask.seq, GrantResponse::Granted(nothing));
    world
}

#[test]
fn nobody_hopes_for_what_others_cannot_give_back_before_the_window_ends() {
    let world = spent_but_for_what_others_hold(30_000);
    assert_eq!(world.take(4), Take::Waiting);
    let world = spent_but_for_what_others_hold(900);
    assert!(matches!(world.take(4), Take::Exhausted { .. }));
}

#[test]
fn a_ledger_that_does_not_answer_is_not_asked_again_at_once() {
    let world = spent_but_for_what_others_hold(30_000);
    assert_eq!(world.take(4), Take::Waiting);
    let later = NOW.plus_millis(500).tick(0);
    let ask = world.ask(later).unwrap();
    world.bucket.unanswered(ask.seq, later);
    let (ask, next) = world.bucket.refresh(later);
    assert_eq!(ask, None);
    assert!(next.is_some_and(|next| next.since(later) >= 50), "{next:?}");
    let (ask, _) = world.bucket.refresh(later.plus(50));
    assert!(ask.is_some(), "it is asked again");
}

#[test]
fn who_waits_without_a_ledger_is_not_woken_time_and_again() {
    let world = spent_but_for_what_others_hold(30_000);
    world.link.set_unavailable(true);
    let later = NOW.plus_millis(5_000).tick(0);
    assert_eq!(world.bucket.take(4, later), Take::Unavailable);
    let woken = Arc::new(Woken::default());
    let mut place = None;
    WaitHandle::wait_at(&mut place, &world.bucket, &Waker::from(woken.clone()));
    let (_, next) = world.bucket.refresh(later);
    assert_eq!(woken.0.load(Ordering::Relaxed), 0);
    assert!(next.is_some_and(|next| next.since(later) > 1), "{next:?}");
}

#[test]
fn a_message_that_no_grant_can_cover_uses_nothing_up() {
    let mut world = World::new((1 << 53) - 1);
    assert_eq!(world.take(1 << 50), Take::TooLarge);
    assert!(world.is_granted(1 << 46));
    assert!(world.is_granted(1));
}

#[test]
fn a_counter_goes_by_its_own_policy_while_the_ledger_cannot_keep_it() {
    let mut world = World::new(4);
    let share = Counter {
        without_ledger: WithoutLedger::Share,
        ..per_minute(4)
    };
    world.bucket.go_by(&share, Edition::new(1));
    assert_eq!(world.take(1), Take::Waiting);
    let ask = world.ask(NOW.tick(0)).unwrap();
    world
        .bucket
        .mark_faulted(ask.seq, NOW.plus_millis(500).tick(0));
    for passes in [true, true, false] {
        assert_eq!(world.take(1) == Take::Taken, passes);
    }
    assert_eq!(world.ask(NOW.tick(0)), None, "not for each message");
    let later = NOW.plus_millis(500).tick(0);
    let ask = world.bucket.refresh(later).0.expect("it is tried again");
    assert_eq!(ask.net, 2);
    let answer = world.ledger.grant(1, &ask, NOW.unix());
    world.answer(ask.seq, answer);
    assert_eq!(world.take(1), Take::Taken);
}
