//! One counter and the words that it exchanges with a ledger: what becomes of those that come late, and of silence.

use std::sync::Arc;

use tidegate_proto::quota::Window;

use super::{Micros, counter, link};
use crate::{
    quota::{
        Counter,
        bucket::{Bucket, Take},
        rules::{Answer, Ask, Rules},
        time::Tick,
    },
    snapshot::Edition,
};

const NOW: Micros = Micros::START;

/// A counter of a ledger that others count in, too.
struct World {
    bucket: Arc<Bucket>,
    ledger: Rules,
}

impl World {
    fn new(limit: u64) -> Self {
        let link = link(2);
        link.clock.learn(NOW.tick(0), NOW.unix());
        Self {
            bucket: Arc::new(Bucket::new(&per_minute(limit), link)),
            ledger: Rules::in_process(),
        }
    }

    fn take(&self, amount: u64) -> Take {
        self.bucket.take(amount, NOW.tick(0))
    }

    fn ask(&self, at: Tick) -> Option<Ask> {
        self.bucket.visit(at).0
    }

    fn answer(&self, seq: u64, answer: Answer) {
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

#[test]
fn a_message_that_no_grant_can_cover_uses_nothing_up() {
    let mut world = World::new((1 << 53) - 1);
    assert_eq!(world.take(1 << 50), Take::TooLarge);
    assert!(world.is_granted(1 << 46));
    assert!(world.is_granted(1));
}
