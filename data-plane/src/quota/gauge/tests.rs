//! Seats of a ledger that is not asked, and of one that cannot answer.

use std::{
    num::NonZeroU32,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tidegate_proto::quota::WithoutLedger;
use tokio::sync::mpsc::{self, UnboundedReceiver};

use super::{Gauge, NoSeat};
use crate::quota::{
    RefillItem, key::GaugeKey, levels::Level, link::Link, rules::SeatResponse, time::Tick,
};

fn gauge() -> Arc<Gauge> {
    called().0
}

/// A gauge, and the visits that it calls for.
fn called() -> (Arc<Gauge>, UnboundedReceiver<RefillItem>) {
    let (queue, visits) = mpsc::unbounded_channel();
    let link = Link::new(0, 1, Duration::from_secs(1), false, queue);
    let key = GaugeKey {
        level: Level::Subscription,
        subject: "1.0".into(),
    };
    (Arc::new(Gauge::new(&key, Arc::new(link))), visits)
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_count_that_the_ledger_cannot_keep_goes_by_its_own_rule_at_once() {
    let one = NonZeroU32::MIN;
    for (without_ledger, refused) in [
        (WithoutLedger::Deny, Some(NoSeat::Unavailable)),
        (WithoutLedger::Share, None),
    ] {
        let gauge = gauge();
        let mut entering = pin!(gauge.enter(one, without_ledger));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(entering.as_mut().poll(&mut cx).is_pending());
        let (request, _) = gauge.refresh(Tick::now());
        gauge.mark_faulted(request.unwrap().seq);
        let Poll::Ready(entered) = entering.poll(&mut cx) else {
            panic!("it waits still");
        };
        assert_eq!(entered.err(), refused);
    }
}

#[tokio::test(start_paused = true)]
async fn the_ledger_is_told_of_a_session_that_is_there_already() {
    let gauge = gauge();
    let seats = [gauge.join(), gauge.join()];
    let (request, _) = gauge.refresh(Tick::now());
    let request = request.unwrap();
    assert_eq!((request.taken, request.want), (2, 0));
    gauge.unanswered(request.seq);
    drop(seats);
    let (request, _) = gauge.refresh(Tick::now());
    assert_eq!(request.unwrap().taken, 0);
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_was_silent_hears_that_the_last_session_has_left() {
    let (gauge, mut visits) = called();
    let seat = gauge.join();
    let (request, _) = gauge.refresh(Tick::now());
    gauge.answered(request.unwrap().seq, SeatResponse::Granted(0), Tick::now());
    drop(seat);
    let (request, _) = gauge.refresh(Tick::now());
    gauge.unanswered(request.unwrap().seq);
    while visits.try_recv().is_ok() {}
    gauge.report_all();
    assert!(visits.try_recv().is_ok(), "it calls nobody");
    let (request, _) = gauge.refresh(Tick::now());
    assert_eq!(request.unwrap().taken, 0);
}
