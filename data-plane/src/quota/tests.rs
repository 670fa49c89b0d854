//! The model of the whole: nodes with real counters, a ledger with the real rules, and between them a network that loses
//! words, delays them and brings them out of order, while nodes crash, clocks differ, windows turn and the ledger itself
//! is lost. Whatever happens, no more passes in a window than its limit, but for what nobody is left to tell of: a ledger
//! that was lost learns from the nodes what they hold, and nodes that are gone by then tell nothing.

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroU32,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use proptest::{
    prelude::{Just, Strategy, any, prop, prop_assert, prop_oneof, proptest},
    test_runner::{Config, RngSeed},
};
use tidegate_proto::quota::{Amount, Window, WithoutLedger};
use tokio::sync::mpsc;

use super::{
    Counter,
    bucket::{Bucket, Take},
    gauge::{Gauge, NoSeat, REFRESH},
    key::{CounterKey, GaugeKey, Unit},
    levels::Level,
    link::Link,
    rules::{Answer, Ask, LEARNING, Rules, SeatAsk},
    time::{COARSENESS, Tick},
};

/// What may happen next. Nodes and words are picked by number, modulo how many there are.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A message of this size wants to pass, by a clock that lies behind by so much.
    Take { node: usize, amount: u64, lag: u64 },
    /// A message that passed here is refused by another level.
    Refund { pick: usize },
    /// A node looks after its counter, and asks where it has to.
    Visit { node: usize },
    /// A node stops waiting for its answer, which may come all the same.
    GiveUp { node: usize },
    /// A node gives back all it holds.
    Settle { node: usize },
    /// A node finds that the ledger is away, or back.
    Away { node: usize, away: bool },
    /// A node dies, and another takes its place.
    Crash { node: usize },
    /// An ask reaches the ledger.
    Ask { pick: usize },
    /// An ask is lost.
    LoseAsk { pick: usize },
    /// An answer reaches its node.
    Answer { pick: usize },
    /// An answer is lost.
    LoseAnswer { pick: usize },
    /// The ledger forgets everything.
    Forget,
    /// Time passes.
    Pass { millis: u64 },
    /// Time passes until so many milliseconds after the window's last ten: what is too early or too late shows there.
    PassToTurn { millis: u64 },
}

/// A node with its counter.
struct Node {
    id: u64,
    link: Arc<Link>,
    bucket: Arc<Bucket>,
    seq: u64,
    /// The ledger has forgotten what this node holds: by when it notices.
    tells_at: Option<Tick>,
}

struct World {
    limit: u64,
    window: Window,
    nodes: Vec<Node>,
    next_id: u64,
    ledger: Rules,
    now: Tick,
    asks: Vec<(u64, Tick, Ask)>,
    answers: Vec<(u64, Tick, u64, Answer)>,
    taken: Vec<Taken>,
    /// By the window of the ledger's clock and the node.
    passed: HashMap<(u64, u64), u64>,
    /// The nodes of which a ledger that was made anew has not heard in time.
    unheard: HashSet<u64>,
}

struct Taken {
    bucket: Arc<Bucket>,
    amount: u64,
    at: Tick,
    epoch: u64,
    node: u64,
}

/// Where the ledger's clock begins: in the middle of a window of any length below.
const UNIX: u64 = 1_700_000_000_700;

const NODES: usize = 3;

/// How long a node may take to notice that the ledger is another, and to tell it what it holds: a sign of life is due every
/// half second, and is tried again. Shorter than the ledger waits for it.
const NOTICED: u64 = LEARNING - 500;

impl World {
    fn new(limit: u64, seconds: u64, skews: [i64; NODES]) -> Self {
        let mut world = Self {
            limit,
            window: Window::try_new(seconds).unwrap(),
            nodes: Vec::new(),
            next_id: 0,
            ledger: Rules::in_process(),
            now: Tick::from_millis(10_000),
            asks: Vec::new(),
            answers: Vec::new(),
            taken: Vec::new(),
            passed: HashMap::new(),
            unheard: HashSet::new(),
        };
        for skew in skews {
            let node = world.node(skew);
            world.nodes.push(node);
        }
        world
    }

    /// A new node, whose clock is off by so many milliseconds.
    fn node(&mut self, skew: i64) -> Node {
        let (queue, _) = mpsc::unbounded_channel();
        let patience = Duration::from_secs(1);
        let link = Arc::new(Link::new(0, 1, patience, false, queue));
        link.clock
            .learn(self.now, self.unix().saturating_add_signed(skew));
        self.next_id += 1;
        Node {
            id: self.next_id,
            bucket: Arc::new(Bucket::new(&self.counter(), link.clone())),
            link,
            seq: 0,
            tells_at: None,
        }
    }

    fn counter(&self) -> Counter {
        Counter {
            key: CounterKey {
                level: Level::Subscription,
                subject: "1".into(),
                unit: Unit::Messages,
                window: self.window,
            },
            amount: Amount::try_new(self.limit).unwrap(),
            window: self.window,
            without_ledger: WithoutLedger::Deny,
            stops: true,
        }
    }

    fn unix(&self) -> u64 {
        UNIX + self.now.millis()
    }

    fn epoch(&self) -> u64 {
        self.unix() / (u64::from(self.window.seconds()) * 1000)
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Take { node, amount, lag } => self.take(node % NODES, amount, lag),
            Step::Refund { pick } => {
                if let Some(taken) = pick_out(&mut self.taken, pick) {
                    *self.passed.get_mut(&(taken.epoch, taken.node)).unwrap() -= taken.amount;
                    taken.bucket.refund(taken.amount, taken.at);
                }
            }
            Step::Visit { node } => self.visit(node % NODES),
            Step::GiveUp { node } => {
                let node = &self.nodes[node % NODES];
                node.bucket.unanswered(node.seq);
            }
            Step::Settle { node } => self.nodes[node % NODES].bucket.settle(),
            Step::Away { node, away } => drop(self.nodes[node % NODES].link.set_away(away)),
            Step::Crash { node } => self.nodes[node % NODES] = self.node(0),
            Step::Ask { pick } => {
                if let Some(ask) = pick_out(&mut self.asks, pick) {
                    self.ask(ask);
                }
            }
            Step::LoseAsk { pick } => drop(pick_out(&mut self.asks, pick)),
            Step::Answer { pick } => {
                if let Some((id, sent, seq, answer)) = pick_out(&mut self.answers, pick)
                    && let Some(node) = self.nodes.iter().find(|node| node.id == id)
                {
                    node.bucket.answered(seq, sent, answer, self.now);
                }
            }
            Step::LoseAnswer { pick } => drop(pick_out(&mut self.answers, pick)),
            Step::Forget => self.forget(),
            Step::Pass { millis } => self.pass(millis),
            Step::PassToTurn { millis } => {
                let window = u64::from(self.window.seconds()) * 1000;
                let left = window - self.unix() % window;
                self.pass((left + millis).saturating_sub(10));
            }
        }
    }

    fn take(&mut self, node: usize, amount: u64, lag: u64) {
        let Node { id, ref bucket, .. } = self.nodes[node];
        let bucket = bucket.clone();
        let at = Tick::from_millis(self.now.millis() - lag);
        if bucket.take(amount, at) == Take::Taken {
            let epoch = self.epoch();
            *self.passed.entry((epoch, id)).or_default() += amount;
            self.taken.push(Taken {
                bucket,
                amount,
                at,
                epoch,
                node: id,
            });
        }
    }

    fn visit(&mut self, node: usize) {
        let now = self.now;
        let node = &mut self.nodes[node];
        if let (Some(ask), _) = node.bucket.visit(now) {
            node.seq = ask.seq;
            self.asks.push((node.id, now, ask));
        }
    }

    fn ask(&mut self, (id, sent, ask): (u64, Tick, Ask)) {
        let answer = self.ledger.grant(id, &ask, self.unix());
        let node = self.nodes.iter_mut().find(|node| node.id == id);
        // The last word of a node that has died counts as long as nothing is granted yet.
        if node.is_some() || matches!(answer, Answer::Learning { .. }) {
            self.unheard.remove(&id);
        }
        if let Some(node) = node {
            node.tells_at = None;
        }
        self.answers.push((id, sent, ask.seq, answer));
    }

    /// Connections break with the ledger, and what was on its way is lost with them; each node notices.
    fn forget(&mut self) {
        self.ledger = Rules::default();
        self.ledger.since(self.unix());
        self.asks.clear();
        self.answers.clear();
        self.unheard = self.passed.keys().map(|(_, node)| *node).collect();
        for node in &mut self.nodes {
            node.tells_at = Some(self.now.plus(NOTICED));
        }
    }

    /// What has passed in the current window, less what nobody can tell a ledger that was lost: what nodes had passed
    /// that are gone, and of which it has not heard since.
    fn accounted(&self) -> u64 {
        let epoch = self.epoch();
        let is_there = |id| self.nodes.iter().any(|node| node.id == id);
        let counts = |id| is_there(id) || !self.unheard.contains(&id);
        let passed = self.passed.iter();
        let passed = passed.filter(|((of, id), _)| *of == epoch && counts(*id));
        passed.map(|(_, amount)| amount).sum()
    }

    /// Until then, what each node holds has reached the ledger again.
    fn tell(&mut self, until: Tick) {
        for at in 0..NODES {
            let node = &mut self.nodes[at];
            if node.tells_at.take_if(|at| *at <= until).is_some() {
                node.bucket.unanswered(node.seq);
                node.bucket.tell_again();
                self.visit(at);
                if self
                    .asks
                    .last()
                    .is_some_and(|(id, ..)| *id == self.nodes[at].id)
                {
                    let ask = self.asks.pop().unwrap();
                    self.ask(ask);
                }
            }
        }
    }

    fn pass(&mut self, millis: u64) {
        let later = self.now.plus(millis);
        self.tell(later);
        self.now = later;
    }
}

fn pick_out<T>(from: &mut Vec<T>, pick: usize) -> Option<T> {
    (!from.is_empty()).then(|| from.swap_remove(pick % from.len()))
}

fn step() -> impl Strategy<Value = Step> {
    let node = 0..NODES;
    let pick = any::<usize>();
    let amount = prop_oneof![8 => 1..=1_u64, 1 => 2..=9_u64];
    prop_oneof![
        30 => (node.clone(), amount, 0..=COARSENESS)
            .prop_map(|(node, amount, lag)| Step::Take { node, amount, lag }),
        2 => pick.prop_map(|pick| Step::Refund { pick }),
        14 => node.clone().prop_map(|node| Step::Visit { node }),
        4 => node.clone().prop_map(|node| Step::GiveUp { node }),
        1 => node.clone().prop_map(|node| Step::Settle { node }),
        1 => (node.clone(), any::<bool>()).prop_map(|(node, away)| Step::Away { node, away }),
        1 => node.prop_map(|node| Step::Crash { node }),
        14 => pick.prop_map(|pick| Step::Ask { pick }),
        2 => pick.prop_map(|pick| Step::LoseAsk { pick }),
        14 => pick.prop_map(|pick| Step::Answer { pick }),
        2 => pick.prop_map(|pick| Step::LoseAnswer { pick }),
        1 => Just(Step::Forget),
        6 => prop_oneof![4 => 1..=60_u64, 2 => 300..=1_100_u64, 1 => 1_250..=5_000_u64]
            .prop_map(|millis| Step::Pass { millis }),
        2 => (0..20_u64).prop_map(|millis| Step::PassToTurn { millis }),
    ]
}

proptest! {
    // The same cases each time; docs/TESTING.md says how to try others.
    #![proptest_config(Config { cases: 2_000, rng_seed: RngSeed::Fixed(1), ..Config::default() })]

    #[test]
    fn no_more_than_the_limit_passes_in_a_window_whatever_happens(
        limit in prop_oneof![4 => 1..=12_u64, 1 => 13..=200_u64],
        seconds in 1..=8_u64,
        skews in prop::array::uniform3(prop_oneof![Just(0), -60_000..=60_000_i64]),
        steps in prop::collection::vec(step(), 0..250),
    ) {
        let mut world = World::new(limit, seconds, skews);
        for step in steps {
            world.step(step);
            let passed = world.accounted();
            prop_assert!(passed <= limit, "{passed} of {limit} after {step:?}");
        }
    }
}

/// Keeps the model honest: with nothing going wrong, it lets through all that there is.
#[test]
fn all_of_the_limit_passes_where_nothing_goes_wrong() {
    let mut world = World::new(100, 8, [0; NODES]);
    for round in 0..2_000 {
        world.step(Step::Take {
            node: round,
            amount: 1,
            lag: 0,
        });
        world.step(Step::Visit { node: round });
        world.step(Step::Ask { pick: 0 });
        world.step(Step::Answer { pick: 0 });
        world.step(Step::Pass { millis: 2 });
    }
    let epoch = world.epoch();
    let passed = world.passed.iter().filter(|((of, _), _)| *of == epoch);
    assert_eq!(passed.map(|(_, amount)| amount).sum::<u64>(), 100);
}

/// A counter of the ledger in this process, with which the task that keeps time looks after it at the worst moment.
#[tokio::test(start_paused = true)]
async fn a_message_never_waits_for_a_ledger_that_is_in_this_process() {
    let (queue, _visits) = mpsc::unbounded_channel();
    let link = Arc::new(Link::new(UNIX, 1, Duration::from_secs(1), true, queue));
    let world = World::new(5_000, 60, [0; NODES]);
    let bucket = Arc::new(Bucket::new(&world.counter(), link));
    for _ in 0..5_000 {
        assert_eq!(bucket.take(1, Tick::now()), Take::Taken);
        let (ask, _) = bucket.visit(Tick::now());
        assert_eq!(ask, None, "everybody asks for himself");
    }
    assert!(matches!(
        bucket.take(1, Tick::now()),
        Take::Exhausted { .. }
    ));
}

/// Asks for a gauge's seats until it needs no more, and says how often it asked.
fn exchange(gauge: &Arc<Gauge>, rules: &mut Rules, unix: u64) -> usize {
    let mut asked = 0;
    while let (Some(ask), _) = gauge.visit(Tick::now()) {
        asked += 1;
        let answer = rules.seat(1, &ask, unix);
        gauge.answered(ask.seq, answer, Tick::now());
        assert!(asked < 10, "it asks in vain");
    }
    asked
}

fn gauge() -> Arc<Gauge> {
    let (queue, _) = mpsc::unbounded_channel();
    let link = Arc::new(Link::new(UNIX, 2, Duration::from_secs(1), false, queue));
    let key = GaugeKey {
        level: Level::Subscription,
        subject: "1".into(),
    };
    Arc::new(Gauge::new(&key, link))
}

fn ready<T>(future: &mut Pin<Box<impl Future<Output = T>>>) -> Option<T> {
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
        let gauge = gauge();
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
        let (gauge, mut rules) = (gauge(), Rules::in_process());
        let elsewhere = SeatAsk {
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
