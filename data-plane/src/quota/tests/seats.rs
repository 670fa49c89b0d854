//! The model of gauges: never more seats than there are over all nodes, whatever becomes of words and nodes; and those of
//! a node that was killed are free in time. Beside it, what a gauge does step by step.

use std::{
    num::NonZeroU32,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use proptest::{
    prelude::{Strategy, any, prop, prop_assert, prop_oneof, proptest},
    test_runner::TestCaseError,
};
use tidegate_proto::quota::WithoutLedger;
use tokio::runtime::{Builder, Runtime};

use super::{Micros, NODES, NOTICED, UNIX, config, link, pick, pick_out};
use crate::quota::{
    gauge::{Gauge, NoSeat, REFRESH, Seat},
    key::GaugeKey,
    levels::Level,
    link::Link,
    rules::{LEARNING, LEASE, Rules, SeatRequest, SeatResponse},
    time::Tick,
};

/// What may happen next. Nodes, words and sessions are picked by number, modulo how many there are.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A session wants a seat.
    Enter { node: usize },
    /// A session is over.
    Leave { pick: usize },
    /// One that waits for its seat waits no longer.
    GoAway { pick: usize },
    /// A node asks, where it has something to ask or to tell.
    RefillItem { node: usize },
    /// A node stops waiting for its answer, which may come all the same.
    GiveUp { node: usize },
    /// A node finds that the ledger is away, or back.
    Away { node: usize, away: bool },
    /// A node dies with its sessions, and another takes its place.
    Crash { node: usize },
    /// An ask reaches the ledger.
    GrantRequest { pick: usize },
    /// An ask is lost.
    LoseAsk { pick: usize },
    /// An answer reaches its node.
    GrantResponse { pick: usize },
    /// An answer is lost.
    LoseAnswer { pick: usize },
    /// The ledger forgets everything; what is on its way is lost with it where connections break.
    Forget { breaks: bool },
    /// Time passes.
    Pass { millis: u64 },
}

/// How long a node waits for an answer, in milliseconds: no longer than it takes to notice that the ledger is another.
const WAITS: u64 = 1_000;

type Entering = Pin<Box<dyn Future<Output = Result<Seat, NoSeat>>>>;

struct Node {
    id: u64,
    ahead: u64,
    link: Arc<Link>,
    gauge: Arc<Gauge>,
    /// The ask that it waits for, and when it was sent.
    in_flight: Option<(u64, Micros)>,
    entering: Vec<Entering>,
    /// By when the ledger hears of its seats again, for else they would be others'.
    heard_by: Micros,
}

struct World {
    limit: u32,
    nodes: Vec<Node>,
    next_id: u64,
    ledger: Rules,
    lost: u64,
    now: Micros,
    /// Of the sessions that are open, with their node.
    seats: Vec<(u64, Seat)>,
    /// With their node, and how often the ledger had been lost by then.
    asks: Vec<(u64, u64, SeatRequest)>,
    answers: Vec<(u64, u64, SeatResponse)>,
}

// === impl World ===

impl World {
    fn new(limit: u32, ahead: [u64; NODES]) -> Self {
        let mut world = Self {
            limit,
            nodes: Vec::new(),
            next_id: 0,
            ledger: Rules::in_process(),
            lost: 0,
            now: Micros::START,
            seats: Vec::new(),
            asks: Vec::new(),
            answers: Vec::new(),
        };
        for ahead in ahead {
            let node = world.node(ahead);
            world.nodes.push(node);
        }
        world
    }

    fn node(&mut self, ahead: u64) -> Node {
        let link = link(1);
        self.next_id += 1;
        Node {
            id: self.next_id,
            ahead,
            gauge: gauge(link.clone()),
            link,
            in_flight: None,
            entering: Vec::new(),
            heard_by: self.now,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Enter { node } => self.enter(node % NODES),
            Step::Leave { pick } => drop(pick_out(&mut self.seats, pick)),
            Step::GoAway { pick } => {
                let node = &mut self.nodes[pick % NODES];
                drop(pick_out(&mut node.entering, pick / NODES));
            }
            Step::RefillItem { node } => drop(self.refresh(node % NODES)),
            Step::GiveUp { node } => self.nodes[node % NODES].give_up(),
            Step::Away { node, away } => {
                let node = &mut self.nodes[node % NODES];
                if node.link.set_unavailable(away) {
                    node.gauge.release_waiters();
                }
            }
            Step::Crash { node } => {
                let Node { id, ahead, .. } = self.nodes[node % NODES];
                self.nodes[node % NODES] = self.node(ahead);
                self.seats.retain(|(of, _)| *of != id);
            }
            Step::GrantRequest { pick } => {
                if let Some((id, lost, ask)) = pick_out(&mut self.asks, pick) {
                    self.ask(id, lost, &ask);
                }
            }
            Step::LoseAsk { pick } => drop(pick_out(&mut self.asks, pick)),
            Step::GrantResponse { pick } => {
                if let Some((id, seq, answer)) = pick_out(&mut self.answers, pick) {
                    self.answer(id, seq, answer);
                }
            }
            Step::LoseAnswer { pick } => drop(pick_out(&mut self.answers, pick)),
            Step::Forget { breaks } => self.forget(breaks),
            Step::Pass { millis } => self.pass(millis),
        }
        self.look();
    }

    fn there(&mut self, id: u64) -> Option<&mut Node> {
        self.nodes.iter_mut().find(|node| node.id == id)
    }

    fn enter(&mut self, at: usize) {
        let (gauge, limit) = (self.nodes[at].gauge.clone(), self.limit);
        let limit = NonZeroU32::new(limit).expect("there is a seat");
        let entering = async move { gauge.enter(limit, WithoutLedger::Deny).await };
        self.nodes[at].entering.push(Box::pin(entering));
    }

    /// Whether the node asks for something.
    fn refresh(&mut self, at: usize) -> bool {
        let node = &mut self.nodes[at];
        let (Some(ask), _) = node.gauge.refresh(self.now.tick(node.ahead)) else {
            return false;
        };
        node.in_flight = Some((ask.seq, self.now));
        self.asks.push((node.id, self.lost, ask));
        true
    }

    fn ask(&mut self, id: u64, lost: u64, ask: &SeatRequest) {
        let answer = self.ledger.seat(id, ask, self.now.unix());
        let heard_by = self.now.plus_millis(LEASE - 1);
        // What was said to the ledger before is not all that there is to say to a new one.
        if answer != SeatResponse::Outdated
            && lost == self.lost
            && let Some(node) = self.there(id)
        {
            node.heard_by = heard_by;
        }
        self.answers.push((id, ask.seq, answer));
    }

    fn answer(&mut self, id: u64, seq: u64, answer: SeatResponse) {
        let now = self.now;
        if let Some(node) = self.there(id) {
            node.in_flight.take_if(|(in_flight, _)| *in_flight == seq);
            node.gauge.answered(seq, answer, now.tick(node.ahead));
        }
    }

    /// A visit, of which every word arrives at once.
    fn exchange(&mut self, at: usize) {
        self.nodes[at].give_up();
        if self.refresh(at) {
            let (id, lost, ask) = self.asks.pop().expect("what it asks is the last");
            self.ask(id, lost, &ask);
            let (id, seq, answer) = self.answers.pop().expect("everything is answered");
            self.answer(id, seq, answer);
        }
        self.look();
    }

    /// Seats those who were let in.
    fn look(&mut self) {
        for node in &mut self.nodes {
            for mut entering in std::mem::take(&mut node.entering) {
                match ready(&mut entering) {
                    Some(Ok(seat)) => self.seats.push((node.id, seat)),
                    Some(Err(_)) => {}
                    None => node.entering.push(entering),
                }
            }
        }
    }

    fn forget(&mut self, breaks: bool) {
        self.ledger = Rules::default();
        self.ledger.since(self.now.unix());
        self.lost += 1;
        if breaks {
            self.asks.clear();
            self.answers.clear();
        }
        let noticed = self.now.plus_millis(NOTICED);
        for node in &mut self.nodes {
            node.heard_by = node.heard_by.min(noticed);
        }
    }

    fn pass(&mut self, millis: u64) {
        let until = self.now.plus_millis(millis);
        // One after another, for what each says holds from when it says it.
        while let Some(at) = (0..NODES)
            .filter(|at| self.nodes[*at].is_to_be_heard(until))
            .min_by_key(|at| self.nodes[*at].heard_by)
        {
            self.now = self.now.max(self.nodes[at].heard_by);
            self.nodes[at].give_up();
            self.nodes[at].gauge.report_all();
            self.exchange(at);
        }
        for node in &mut self.nodes {
            let is_late = |(_, sent): (u64, Micros)| sent.plus_millis(WAITS) <= until;
            if node.in_flight.is_some_and(is_late) {
                node.give_up();
            }
        }
        self.now = until;
    }

    fn check(&self) -> Result<(), String> {
        for node in &self.nodes {
            let (taken, held) = (
                node.gauge.taken(),
                self.seats.iter().filter(|(id, _)| *id == node.id).count() as u64,
            );
            if taken != held {
                return Err(format!("{held} sessions have {taken} seats"));
            }
        }
        let taken: u64 = self.nodes.iter().map(|node| node.gauge.taken()).sum();
        if taken > self.limit.into() {
            return Err(format!("{taken} of {} seats are taken", self.limit));
        }
        Ok(())
    }

    /// Nothing goes wrong any more, for as long as a dead node's seats are kept.
    fn calm_down(&mut self) {
        self.asks.clear();
        self.answers.clear();
        for _ in 0..(LEASE + LEARNING) / REFRESH + 1 {
            for at in 0..NODES {
                self.nodes[at].link.set_unavailable(false);
                self.exchange(at);
            }
            self.pass(REFRESH);
        }
    }

    /// Has as many sessions come as are let in, and says how many there are then.
    fn fill(&mut self) -> usize {
        for _ in 0..=self.limit {
            self.enter(0);
            self.look();
            self.exchange(0);
        }
        self.seats.len()
    }
}

// === impl Node ===

impl Node {
    fn give_up(&mut self) {
        if let Some((seq, _)) = self.in_flight.take() {
            self.gauge.unanswered(seq);
        }
    }

    fn is_to_be_heard(&self, until: Micros) -> bool {
        self.gauge.taken() > 0 && self.heard_by <= until
    }
}

fn step() -> impl Strategy<Value = Step> {
    let node = 0..NODES;
    let pick = pick();
    prop_oneof![
        14 => node.clone().prop_map(|node| Step::Enter { node }),
        5 => pick.clone().prop_map(|pick| Step::Leave { pick }),
        2 => pick.clone().prop_map(|pick| Step::GoAway { pick }),
        16 => node.clone().prop_map(|node| Step::RefillItem { node }),
        4 => node.clone().prop_map(|node| Step::GiveUp { node }),
        1 => (node.clone(), any::<bool>()).prop_map(|(node, away)| Step::Away { node, away }),
        1 => node.prop_map(|node| Step::Crash { node }),
        14 => pick.clone().prop_map(|pick| Step::GrantRequest { pick }),
        2 => pick.clone().prop_map(|pick| Step::LoseAsk { pick }),
        14 => pick.clone().prop_map(|pick| Step::GrantResponse { pick }),
        2 => pick.prop_map(|pick| Step::LoseAnswer { pick }),
        1 => any::<bool>().prop_map(|breaks| Step::Forget { breaks }),
        6 => prop_oneof![4 => 1..=60_u64, 2 => 300..=2_500_u64, 1 => 3_000..=10_000_u64]
            .prop_map(|millis| Step::Pass { millis }),
    ]
}

proptest! {
    #![proptest_config(config(1_000))]

    #[test]
    fn no_more_seats_are_taken_than_there_are_whatever_happens(
        limit in 1..=6_u32,
        ahead in prop::array::uniform3(0..5_000_000_u64),
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let runtime = stopped();
        let _stopped = runtime.enter();
        let mut world = World::new(limit, ahead);
        let check = |world: &World, when: &dyn std::fmt::Debug| {
            let checked = world.check();
            checked.map_err(|error| TestCaseError::fail(format!("{error} after {when:?}")))
        };
        for step in steps {
            world.step(step);
            check(&world, &step)?;
        }
        world.calm_down();
        check(&world, &"all was calm")?;
        let filled = world.fill();
        check(&world, &"all were let in who could be")?;
        prop_assert!(filled == limit as usize, "{filled} of {limit} seats can be had");
    }
}

/// A runtime whose clock stands still: nobody's patience comes to its end but by a step.
fn stopped() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

/// Asks for a gauge's seats until it needs no more, and says how often it asked.
fn exchange(gauge: &Arc<Gauge>, rules: &mut Rules, unix: u64) -> usize {
    let mut asked = 0;
    while let (Some(ask), _) = gauge.refresh(Tick::now()) {
        asked += 1;
        let answer = rules.seat(1, &ask, unix);
        gauge.answered(ask.seq, answer, Tick::now());
        assert!(asked < 10, "it asks in vain");
    }
    asked
}

fn gauge(link: Arc<Link>) -> Arc<Gauge> {
    let key = GaugeKey {
        level: Level::Subscription,
        subject: "1".into(),
    };
    Arc::new(Gauge::new(&key, link))
}

fn ready<T>(future: &mut Pin<Box<impl Future<Output = T> + ?Sized>>) -> Option<T> {
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_gauge_that_was_forgotten_is_heard_again_at_once() {
    let mut rules = Rules::in_process();
    let one = NonZeroU32::MIN;
    for round in 0..2 {
        let gauge = gauge(link(2));
        let mut entering = Box::pin(gauge.enter(one, WithoutLedger::Deny));
        assert!(ready(&mut entering).is_none());
        let unix = UNIX + round * 2_000;
        assert_eq!(exchange(&gauge, &mut rules, unix), 1, "round {round}");
        let seat = ready(&mut entering).expect("an answer").expect("a seat");
        for _ in 0..20 {
            tokio::time::advance(Duration::from_millis(REFRESH)).await;
            exchange(&gauge, &mut rules, unix);
        }
        drop(seat);
        exchange(&gauge, &mut rules, unix);
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_seat_is_held_to_his_own_limit() {
    let five = NonZeroU32::new(5).unwrap();
    for is_last in [true, false] {
        let (gauge, mut rules) = (gauge(link(2)), Rules::in_process());
        let elsewhere = SeatRequest {
            key: "subscription:1:sessions".to_owned(),
            limit: 5,
            seq: 1,
            taken: 5,
            want: 0,
        };
        rules.seat(2, &elsewhere, UNIX);
        let mut handshake = Box::pin(gauge.enter(five, WithoutLedger::Deny));
        let mut stays = Box::pin(gauge.enter(NonZeroU32::MAX, WithoutLedger::Allow));
        if is_last {
            assert!(ready(&mut handshake).is_none() && ready(&mut stays).is_none());
        } else {
            assert!(ready(&mut stays).is_none() && ready(&mut handshake).is_none());
        }
        exchange(&gauge, &mut rules, UNIX);
        assert_eq!(ready(&mut handshake).unwrap().unwrap_err(), NoSeat::Full);
        assert!(ready(&mut stays).unwrap().is_ok(), "it is there already");
    }
}
