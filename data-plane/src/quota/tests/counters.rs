//! The model of counters that stop at a limit. Whatever happens, no more passes in a window than its limit, but for what
//! nobody is left to tell of: a ledger that was lost learns from the nodes what they hold, and nodes that are gone by then
//! tell nothing.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use proptest::{
    bool::weighted,
    prelude::{Just, Strategy, any, prop, prop_assert, prop_oneof, proptest},
};
use tidegate_proto::quota::{Window, WithoutLedger};

use super::{Micros, NODES, NOTICED, config, counter, link, pick, pick_out};
use crate::quota::{
    Counter,
    bucket::{Bucket, Take},
    link::Link,
    rules::{Grant, GrantRequest, GrantResponse, Rules},
    time::{COARSENESS, Tick},
};

/// What may happen next. Nodes and words are picked by number, modulo how many there are.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A message of this size wants to pass, by a clock that lies behind by so many microseconds.
    Take { node: usize, amount: u64, lag: u64 },
    /// So many messages want to pass while the network is well: what is still on the way is given up.
    Serve {
        node: usize,
        amount: u64,
        times: u64,
    },
    /// A message that was let in goes on.
    Charge { node: usize, amount: u64 },
    /// A message that passed here is refused by another level.
    Refund { pick: usize },
    /// A node looks after its counter, and asks where it has to.
    RefillItem { node: usize },
    /// A node stops waiting for its answer, which may come all the same.
    GiveUp { node: usize },
    /// A node gives back all it holds.
    Settle { node: usize },
    /// A node finds that the ledger is away, or back.
    Away { node: usize, away: bool },
    /// A node dies, and another takes its place.
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
    /// The ledger's clock is set, where the setting has that.
    Jump { millis: i64 },
    /// Time passes.
    Pass { micros: u64 },
    /// Time passes until so long after the window's last ten milliseconds: what is too early or too late shows there.
    PassToTurn { micros: u64 },
}

/// What does not change while a schedule runs.
#[derive(Clone, Copy, Debug)]
struct Setting {
    limit: u64,
    seconds: u64,
    /// By how many milliseconds nodes are wrong about the ledger's clock, before they have heard of it.
    skews: [i64; NODES],
    /// By how many microseconds their own clocks are ahead.
    ahead: [u64; NODES],
    /// The ledger's clock may be set; it is not lost then.
    jumps: bool,
    without_ledger: WithoutLedger,
}

/// A node with its counter.
struct Node {
    id: u64,
    ahead: u64,
    link: Arc<Link>,
    bucket: Arc<Bucket>,
    /// The ask that it waits for: its number and window.
    in_flight: Option<(u64, u64)>,
    /// The window of the last grant.
    granted: u64,
    /// The ledger has forgotten what this node holds: by when it notices.
    tells_at: Option<Micros>,
}

/// An ask on its way.
struct Asked {
    node: u64,
    sent: Tick,
    /// What the node had used of the window by then, as the model has counted.
    used: u64,
    /// How often the ledger had been lost by then.
    lost: u64,
    ask: GrantRequest,
}

struct Answered {
    node: u64,
    sent: Tick,
    seq: u64,
    answer: GrantResponse,
}

/// A message that has passed.
struct Passed {
    node: u64,
    bucket: Arc<Bucket>,
    amount: u64,
    at: Tick,
    /// By the ledger's clock.
    epoch: u64,
    /// The window that paid.
    paid_by: u64,
}

/// What a node did in a window.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    /// What passed, by the ledger's clock.
    passed: u64,
    /// What passed, by the window that paid; and with what was charged.
    paid: u64,
    used: u64,
    /// How much of that no grant covers.
    charged: u64,
    /// What the ledger has written down as the node's, if it has not lost it.
    known: Option<u64>,
    /// What the node had used when it sent the last of the asks that have arrived, and the number of that.
    told: u64,
    told_by: u64,
}

struct World {
    setting: Setting,
    nodes: Vec<Node>,
    next_id: u64,
    ledger: Rules,
    /// By how many milliseconds the ledger's clock was set, and whether it ever was.
    jumped: i64,
    has_jumped: bool,
    lost: u64,
    now: Micros,
    asks: Vec<Asked>,
    answers: Vec<Answered>,
    passed: Vec<Passed>,
    /// By window and node.
    done: HashMap<(u64, u64), Done>,
    /// The nodes of which a ledger that was made anew has not heard in time.
    unheard: HashSet<u64>,
    /// A rule that was broken before anything could show by it.
    breach: Option<String>,
}

// === impl Setting ===

impl Setting {
    /// Everybody's clock is right.
    fn plain(limit: u64, seconds: u64) -> Self {
        Self {
            limit,
            seconds,
            skews: [0; NODES],
            ahead: [0; NODES],
            jumps: false,
            without_ledger: WithoutLedger::Deny,
        }
    }

    fn counter(&self) -> Counter {
        Counter {
            without_ledger: self.without_ledger,
            ..counter(self.limit, Window::try_new(self.seconds).unwrap())
        }
    }

    fn window(&self) -> u64 {
        self.seconds * 1000
    }
}

// === impl World ===

impl World {
    fn new(setting: Setting) -> Self {
        let mut world = Self {
            setting,
            nodes: Vec::new(),
            next_id: 0,
            ledger: Rules::in_process(),
            jumped: 0,
            has_jumped: false,
            lost: 0,
            now: Micros::START,
            asks: Vec::new(),
            answers: Vec::new(),
            passed: Vec::new(),
            done: HashMap::new(),
            unheard: HashSet::new(),
            breach: None,
        };
        for (skew, ahead) in setting.skews.into_iter().zip(setting.ahead) {
            let node = world.node(skew, ahead);
            world.nodes.push(node);
        }
        world
    }

    /// A new node.
    fn node(&mut self, skew: i64, ahead: u64) -> Node {
        let link = link(1);
        link.set_nodes(NODES as u64);
        link.clock.learn(
            self.now.tick(ahead),
            self.unix().saturating_add_signed(skew),
        );
        self.next_id += 1;
        Node {
            id: self.next_id,
            ahead,
            bucket: Arc::new(Bucket::new(&self.setting.counter(), link.clone())),
            link,
            in_flight: None,
            granted: 0,
            tells_at: None,
        }
    }

    fn unix(&self) -> u64 {
        self.now.unix().saturating_add_signed(self.jumped)
    }

    fn is_shared(&self) -> bool {
        self.setting.without_ledger == WithoutLedger::Share
    }

    fn epoch(&self) -> u64 {
        self.unix() / self.setting.window()
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Take { node, amount, lag } => drop(self.take(node % NODES, amount, lag)),
            Step::Serve {
                node,
                amount,
                times,
            } => self.serve(node % NODES, amount, times),
            Step::Charge { node, amount } => {
                // Whoever finds himself in an earlier window forgets what he has charged.
                if !self.setting.jumps {
                    self.charge(node % NODES, amount);
                }
            }
            Step::Refund { pick } => {
                // A clock that is set turns windows within a millisecond, which nobody tells apart.
                if let Some(passed) = pick_out(&mut self.passed, pick)
                    && !self.has_jumped
                {
                    self.refund(&passed);
                }
            }
            Step::RefillItem { node } => drop(self.refresh(node % NODES)),
            Step::GiveUp { node } => self.nodes[node % NODES].give_up(self.now),
            Step::Settle { node } => self.nodes[node % NODES].bucket.settle(),
            Step::Away { node, away } => drop(self.nodes[node % NODES].link.set_unavailable(away)),
            Step::Crash { node } => {
                let ahead = self.nodes[node % NODES].ahead;
                self.nodes[node % NODES] = self.node(0, ahead);
            }
            Step::GrantRequest { pick } => {
                if let Some(asked) = pick_out(&mut self.asks, pick) {
                    self.ask(asked);
                }
            }
            Step::LoseAsk { pick } => drop(pick_out(&mut self.asks, pick)),
            Step::GrantResponse { pick } => {
                if let Some(answered) = pick_out(&mut self.answers, pick) {
                    self.answer(&answered);
                }
            }
            Step::LoseAnswer { pick } => drop(pick_out(&mut self.answers, pick)),
            Step::Forget { breaks } => {
                // A ledger that is made anew goes by its clock.
                if !self.setting.jumps {
                    self.forget(breaks);
                }
            }
            Step::Jump { millis } => {
                if self.setting.jumps {
                    self.jumped += millis;
                    self.has_jumped = true;
                }
            }
            Step::Pass { micros } => self.pass(micros),
            Step::PassToTurn { micros } => {
                let window = self.setting.window();
                let left = (window - self.unix() % window) * 1000 - self.now.0 % 1000;
                self.pass((left + micros).saturating_sub(10_000));
            }
        }
    }

    fn take(&mut self, at: usize, amount: u64, lag: u64) -> Take {
        let node = &self.nodes[at];
        let (id, bucket) = (node.id, node.bucket.clone());
        let tick = Micros(self.now.0 - lag).tick(node.ahead);
        let take = bucket.take(amount, tick);
        if take == Take::Taken {
            let epoch = self.epoch();
            let paid_by = self.nodes[at].paid_by(tick);
            if paid_by != epoch && !self.has_jumped && !self.is_shared() {
                self.breach = Some(format!("paid by window {paid_by} in {epoch}"));
            }
            self.done(epoch, id).passed += amount;
            let done = self.done(paid_by, id);
            done.paid += amount;
            done.used += amount;
            self.passed.push(Passed {
                node: id,
                bucket,
                amount,
                at: tick,
                epoch,
                paid_by,
            });
        }
        take
    }

    fn refund(&mut self, passed: &Passed) {
        let Passed { node, amount, .. } = *passed;
        self.done(passed.epoch, node).passed -= amount;
        let done = self.done(passed.paid_by, node);
        done.paid -= amount;
        done.used -= amount;
        passed.bucket.refund(amount, passed.at);
    }

    fn charge(&mut self, at: usize, amount: u64) {
        let node = &self.nodes[at];
        let (id, tick) = (node.id, self.now.tick(node.ahead));
        node.bucket.charge(amount, tick);
        let paid_by = node.paid_by(tick);
        let done = self.done(paid_by, id);
        done.charged += amount;
        // Whose clock is wrong, and who has not heard of the ledger's yet, forgets what he has charged.
        done.used += if done.known.is_some() { amount } else { 0 };
    }

    fn serve(&mut self, at: usize, amount: u64, times: u64) {
        self.nodes[at].give_up(self.now);
        for _ in 0..times {
            if self.take(at, amount, 0) == Take::Taken {
                continue;
            }
            self.exchange(at);
            if self.take(at, amount, 0) != Take::Taken {
                return;
            }
        }
    }

    /// A visit, of which every word arrives at once.
    fn exchange(&mut self, at: usize) {
        if self.refresh(at) {
            let asked = self.asks.pop().expect("what it asks is the last");
            self.ask(asked);
            let answered = self.answers.pop().expect("everything is answered");
            self.answer(&answered);
        }
    }

    /// Whether the node asks for something.
    fn refresh(&mut self, at: usize) -> bool {
        let node = &mut self.nodes[at];
        let (id, sent) = (node.id, self.now.tick(node.ahead));
        let (Some(ask), _) = node.bucket.refresh(sent) else {
            return false;
        };
        node.in_flight = Some((ask.seq, ask.epoch));
        let done = *self.done(ask.epoch, id);
        if ask.net < done.used {
            self.breach = Some(format!("{} told of {} used", ask.net, done.used));
        }
        if let Some(known) = done.known
            && ask.net > known + done.charged
            && !self.is_shared()
        {
            self.breach = Some(format!("{known} known of {} held", ask.net));
        }
        self.asks.push(Asked {
            node: id,
            sent,
            used: done.used,
            lost: self.lost,
            ask,
        });
        true
    }

    fn ask(&mut self, asked: Asked) {
        let Asked {
            node: id,
            sent,
            used,
            lost,
            ask,
        } = asked;
        let answer = self.ledger.grant(id, &ask, self.unix());
        if lost == self.lost {
            let node = self.nodes.iter_mut().find(|node| node.id == id);
            // The last word of a node that has died counts as long as nothing is granted yet.
            if node.is_some() || matches!(answer, GrantResponse::Learning { .. }) {
                self.unheard.remove(&id);
            }
            if let Some(node) = node {
                node.tells_at = None;
            }
        }
        // What was said to the ledger before is not all that there is to say to a new one.
        let is_all = lost == self.lost;
        let done = self.done(ask.epoch, id);
        match answer {
            GrantResponse::Granted(grant) if is_all => done.known = Some(ask.net + grant.granted),
            GrantResponse::Learning { .. } if is_all => done.known = Some(ask.net),
            _ => {}
        }
        if !matches!(answer, GrantResponse::Stale { .. }) && done.told_by < ask.seq {
            (done.told, done.told_by) = (used, ask.seq);
        }
        if let GrantResponse::Granted(Grant { granted, .. }) = answer {
            // What others went on with alone, the ledger may not have heard yet.
            let is_shared = self.is_shared();
            let used = |done: &Done| done.told.max(if is_shared { 0 } else { done.paid });
            let (used, limit) = (self.sum(ask.epoch, used), self.setting.limit);
            if granted > 0 && used + granted > limit {
                self.breach = Some(format!("{granted} granted of {limit}, {used} used"));
            }
        }
        self.answers.push(Answered {
            node: id,
            sent,
            seq: ask.seq,
            answer,
        });
    }

    fn answer(&mut self, answered: &Answered) {
        let node = self.nodes.iter_mut().find(|it| it.id == answered.node);
        let Some(node) = node else {
            return;
        };
        let tick = self.now.tick(node.ahead);
        let Answered {
            sent, seq, answer, ..
        } = *answered;
        if let Some((_, epoch)) = node.in_flight.take_if(|(in_flight, _)| *in_flight == seq)
            && let GrantResponse::Granted(_) = answer
        {
            node.granted = epoch;
        }
        node.bucket.answered(seq, sent, answer, tick);
    }

    fn forget(&mut self, breaks: bool) {
        self.ledger = Rules::default();
        self.ledger.since(self.unix());
        self.lost += 1;
        if breaks {
            self.asks.clear();
            self.answers.clear();
        }
        for done in self.done.values_mut() {
            (done.known, done.told) = (None, 0);
        }
        self.unheard = self.done.keys().map(|(_, node)| *node).collect();
        for node in &mut self.nodes {
            node.tells_at = Some(self.now.plus_millis(NOTICED));
        }
    }

    /// Until then, what each node holds has reached the ledger again.
    fn tell(&mut self, until: Micros) {
        for at in 0..NODES {
            let node = &mut self.nodes[at];
            if node.tells_at.take_if(|at| *at <= until).is_some() {
                node.give_up(self.now);
                node.bucket.report_all();
                if self.refresh(at)
                    && let Some(asked) = self.asks.pop()
                {
                    self.ask(asked);
                }
            }
        }
    }

    fn pass(&mut self, micros: u64) {
        let later = Micros(self.now.0 + micros);
        self.tell(later);
        self.now = later;
    }

    fn done(&mut self, epoch: u64, node: u64) -> &mut Done {
        self.done.entry((epoch, node)).or_default()
    }

    /// Over all nodes in a window, but for those of which nobody can tell a ledger that was lost: they are gone, and it has
    /// not heard of them since.
    fn sum(&self, epoch: u64, what: impl Fn(&Done) -> u64) -> u64 {
        let is_there = |id| self.nodes.iter().any(|node| node.id == id);
        let counts = |id| is_there(id) || !self.unheard.contains(&id);
        let done = self.done.iter();
        let done = done.filter(|((of, id), _)| *of == epoch && counts(*id));
        done.map(|(_, done)| what(done)).sum()
    }

    /// Says where more has passed than may.
    fn check(&self) -> Result<(), String> {
        if let Some(breach) = &self.breach {
            return Err(breach.clone());
        }
        let limit = self.setting.limit;
        let is_shared = self.is_shared();
        let passed = self.sum(self.epoch(), |done| done.passed);
        // Whose clock is set has no window that others could go by; and who goes on alone goes by his own.
        if passed > limit && !self.has_jumped && !is_shared {
            return Err(format!("{passed} of {limit} passed"));
        }
        for epoch in self.done.keys().map(|(epoch, _)| *epoch) {
            let share = if is_shared { limit / NODES as u64 } else { 0 };
            // Every process has a share, also one that takes the place of another.
            let most = limit + share * self.sum(epoch, |_| 1);
            let paid = self.sum(epoch, |done| done.paid);
            if paid > most {
                return Err(format!("{paid} of {most} paid by window {epoch}"));
            }
        }
        Ok(())
    }

    fn run(&mut self, steps: impl IntoIterator<Item = Step>) -> Result<(), String> {
        for step in steps {
            self.step(step);
            self.check()
                .map_err(|error| format!("{error} after {step:?}"))?;
        }
        Ok(())
    }
}

// === impl Node ===

impl Node {
    fn give_up(&mut self, now: Micros) {
        if let Some((seq, _)) = self.in_flight.take() {
            self.bucket.unanswered(seq, now.tick(self.ahead));
        }
    }

    /// The window in which it counts at `now`.
    fn paid_by(&self, now: Tick) -> u64 {
        let spent = self.bucket.spent(now);
        let window = u64::from(self.bucket.key().window.seconds());
        spent.map_or(self.granted, |(began, _)| began / window)
    }
}

fn step() -> impl Strategy<Value = Step> {
    let node = 0..NODES;
    let pick = pick();
    let amount = prop_oneof![8 => 1..=1_u64, 1 => 2..=9_u64];
    prop_oneof![
        24 => (node.clone(), amount.clone(), prop_oneof![0..COARSENESS * 1000, 9_500..COARSENESS * 1000])
            .prop_map(|(node, amount, lag)| Step::Take { node, amount, lag }),
        8 => (node.clone(), amount.clone(), 1..60_u64)
            .prop_map(|(node, amount, times)| Step::Serve { node, amount, times }),
        2 => (node.clone(), amount).prop_map(|(node, amount)| Step::Charge { node, amount }),
        2 => pick.clone().prop_map(|pick| Step::Refund { pick }),
        14 => node.clone().prop_map(|node| Step::RefillItem { node }),
        4 => node.clone().prop_map(|node| Step::GiveUp { node }),
        1 => node.clone().prop_map(|node| Step::Settle { node }),
        1 => (node.clone(), any::<bool>()).prop_map(|(node, away)| Step::Away { node, away }),
        1 => node.prop_map(|node| Step::Crash { node }),
        12 => pick.clone().prop_map(|pick| Step::GrantRequest { pick }),
        2 => pick.clone().prop_map(|pick| Step::LoseAsk { pick }),
        12 => pick.clone().prop_map(|pick| Step::GrantResponse { pick }),
        2 => pick.prop_map(|pick| Step::LoseAnswer { pick }),
        1 => any::<bool>().prop_map(|breaks| Step::Forget { breaks }),
        2 => prop_oneof![-12_000..0_i64, 1..12_000_i64].prop_map(|millis| Step::Jump { millis }),
        6 => prop_oneof![
            1 => 1..=2_000_u64,
            4 => 1_000..=60_000_u64,
            2 => 300_000..=1_100_000_u64,
            1 => 1_250_000..=5_000_000_u64,
        ]
        .prop_map(|micros| Step::Pass { micros }),
        3 => prop_oneof![0..20_000_u64, 9_000..11_000_u64].prop_map(|micros| Step::PassToTurn { micros }),
    ]
}

fn setting() -> impl Strategy<Value = Setting> {
    let limit = prop_oneof![4 => 1..=12_u64, 1 => 13..=200_u64];
    let skews = prop::array::uniform3(prop_oneof![Just(0), -60_000..=60_000_i64]);
    let ahead = prop::array::uniform3(0..5_000_000_u64);
    let terms = (weighted(0.15), weighted(0.15));
    (limit, 1..=8_u64, skews, ahead, terms).prop_map(
        |(limit, seconds, skews, ahead, (jumps, shares))| Setting {
            limit,
            seconds,
            // Who goes on alone knows no clock but his own.
            skews: if shares { [0; NODES] } else { skews },
            ahead: if shares { [0; NODES] } else { ahead },
            jumps: jumps && !shares,
            without_ledger: if shares {
                WithoutLedger::Share
            } else {
                WithoutLedger::Deny
            },
        },
    )
}

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn no_more_than_the_limit_passes_in_a_window_whatever_happens(
        setting in setting(),
        steps in prop::collection::vec(step(), 0..250),
    ) {
        let ran = World::new(setting).run(steps);
        prop_assert!(ran.is_ok(), "{}", ran.unwrap_err());
    }
}

/// Keeps the model honest: with nothing going wrong, it lets through all that there is.
#[test]
fn all_of_the_limit_passes_where_nothing_goes_wrong() {
    let mut world = World::new(Setting::plain(100, 8));
    for round in 0..2_000 {
        let node = round % NODES;
        world.take(node, 1, 0);
        world.exchange(node);
        world.pass(2_000);
    }
    assert_eq!(world.sum(world.epoch(), |done| done.passed), 100);
}

/// Schedules that broke it once, with the simplest words for each step.
mod schedules {
    use tidegate_proto::quota::WithoutLedger;

    use super::{NODES, Setting, Step, World};

    const ASK: Step = Step::GrantRequest { pick: 0 };
    const ANSWER: Step = Step::GrantResponse { pick: 0 };
    const FORGET: Step = Step::Forget { breaks: true };

    fn take(node: usize) -> Step {
        Step::Take {
            node,
            amount: 1,
            lag: 0,
        }
    }

    fn refresh(node: usize) -> Step {
        Step::RefillItem { node }
    }

    fn crash(node: usize) -> Step {
        Step::Crash { node }
    }

    fn pass(millis: u64) -> Step {
        Step::Pass {
            micros: millis * 1000,
        }
    }

    fn holds<const N: usize>(setting: Setting, steps: [Step; N]) {
        World::new(setting).run(steps).unwrap();
    }

    #[test]
    fn a_node_that_was_used_up_tells_a_lost_ledger_of_it() {
        holds(
            Setting::plain(1, 7),
            [
                take(0),
                refresh(0),
                ASK,
                ANSWER,
                FORGET,
                pass(762),
                take(0),
                pass(1_703),
                take(1),
                refresh(1),
                ASK,
                ANSWER,
                take(1),
            ],
        );
    }

    #[test]
    fn what_was_taken_of_a_window_that_has_turned_is_not_given_back_to_the_next() {
        let setting = Setting {
            skews: [0, 0, 551],
            ..Setting::plain(1, 1)
        };
        holds(
            setting,
            [
                pass(1),
                take(1),
                refresh(1),
                ASK,
                ANSWER,
                take(1),
                pass(300),
                take(1),
                refresh(1),
                ASK,
                Step::Refund { pick: 0 },
                ANSWER,
                take(1),
                take(1),
            ],
        );
    }

    #[test]
    fn a_clock_that_was_wrong_opens_no_window_twice() {
        let setting = Setting {
            skews: [4_686, 0, 6_443],
            ..Setting::plain(2, 7)
        };
        holds(
            setting,
            [
                take(0),
                take(2),
                pass(4_857),
                refresh(0),
                refresh(2),
                take(0),
                pass(1_250),
                ASK,
                take(0),
                ANSWER,
                ASK,
                pass(1),
                ANSWER,
                pass(9_934),
                take(0),
                crash(0),
                take(1),
                refresh(1),
                ASK,
                pass(2_259),
                ANSWER,
                refresh(2),
                crash(0),
                take(0),
                take(1),
                refresh(0),
                ASK,
                ANSWER,
                ASK,
                ANSWER,
                take(0),
                take(2),
            ],
        );
    }

    #[test]
    fn a_ledger_lost_in_the_moment_in_which_a_window_begins_learns_what_was_granted_of_it() {
        holds(
            Setting::plain(1, 4),
            [
                Step::PassToTurn { micros: 10_000 },
                take(0),
                refresh(0),
                ASK,
                ANSWER,
                FORGET,
                take(0),
                take(2),
                refresh(2),
                ASK,
                ANSWER,
                take(2),
            ],
        );
    }

    #[test]
    fn a_share_is_not_had_again_by_a_clock_that_lies_behind() {
        let setting = Setting {
            without_ledger: WithoutLedger::Share,
            ..Setting::plain(3, 1)
        };
        let mut world = World::new(setting);
        let away = Step::Away {
            node: 0,
            away: true,
        };
        world.step(away);
        world.step(Step::PassToTurn { micros: 10_000 });
        for round in 0..20 {
            world.take(0, 1, round % 2);
        }
        let passed: u64 = world.done.values().map(|done| done.passed).sum();
        assert_eq!(passed, 1, "each node has a third of three");
    }

    #[test]
    fn a_window_that_was_left_a_moment_too_early_is_not_begun_again() {
        let setting = Setting {
            ahead: [0, 0, 18],
            ..Setting::plain(1, 5)
        };
        let mut world = World::new(setting);
        world.step(Step::Charge { node: 2, amount: 1 });
        world.step(Step::PassToTurn { micros: 9_982 });
        for _ in 0..2 {
            world.serve(2, 1, 1);
        }
        let tick = world.now.tick(18);
        assert_eq!(world.nodes[2].paid_by(tick), world.epoch() + 1);
    }

    #[test]
    fn nothing_is_spent_in_the_rest_of_a_millisecond_in_which_the_window_has_turned() {
        let setting = Setting {
            ahead: [630_109, 0, 0],
            ..Setting::plain(3, 1)
        };
        holds(
            setting,
            [
                Step::Pass { micros: 300_891 },
                Step::Serve {
                    node: 0,
                    amount: 1,
                    times: 1,
                },
                Step::PassToTurn { micros: 10_000 },
                Step::Refund { pick: 0 },
                Step::Take {
                    node: 0,
                    amount: 1,
                    lag: 9_999,
                },
            ],
        );
    }

    /// The one way in which more passes, and how much: what the dead had passed.
    #[test]
    fn what_a_node_had_passed_that_dies_before_it_tells_a_lost_ledger_can_pass_once_more() {
        let mut world = World::new(Setting::plain(10, 8));
        world.serve(0, 1, 100);
        world.step(FORGET);
        world.step(crash(0));
        world.step(pass(2_500));
        for node in 0..NODES {
            world.serve(node, 1, 100);
        }
        world.check().unwrap();
        let passed: u64 = world.done.values().map(|done| done.passed).sum();
        assert_eq!(passed, 20);
    }
}
