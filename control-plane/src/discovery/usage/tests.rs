//! What processes say adds up, whatever is lost, late or over, and whoever comes and goes.

use proptest::{prelude::*, sample::Index};
use tidegate_proto::{
    discovery::v1::{self, CounterUsage, SubscriptionUsage, Usage},
    ids::{ApiId, ApplicationId, SubscriptionKey},
    quota::Window,
};

use super::{NodeKey, UsageLedger};
use crate::domain::{
    name::EnvironmentName,
    time::Timestamp,
    usage::{Figure, Unit},
};

const MINUTE: u64 = 60_000;
/// By how much the ledger's clock is ahead of the control plane's.
const AHEAD: u64 = 7_123;

fn key() -> SubscriptionKey {
    SubscriptionKey {
        application: ApplicationId::generate(),
        api: ApiId::generate(),
    }
}

fn environment(name: &str) -> EnvironmentName {
    EnvironmentName::parse(name).unwrap()
}

fn node(name: &str) -> NodeKey {
    (environment("default"), name.to_owned())
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// What one process says of one subscription: messages in the ledger's current minute, and open sessions.
fn word(id: SubscriptionKey, generation: u64, used: u64, sessions: u32, now: u64) -> Usage {
    let ledger_time_millis = now + AHEAD;
    Usage {
        subscriptions: vec![SubscriptionUsage {
            open_sessions: sessions,
            counters: vec![CounterUsage {
                unit: v1::Unit::Messages.into(),
                window_seconds: 60,
                window_start: ledger_time_millis / MINUTE * 60,
                used,
            }],
            quota_generation: generation,
            application: id.application.to_string(),
            api: id.api.to_string(),
        }],
        ledger_time_millis,
    }
}

/// What is known in the environment of [`node`]: used messages, and open sessions.
fn known(ledger: &UsageLedger, id: SubscriptionKey, now: u64) -> (Option<u64>, u64) {
    let seen = ledger.consumption(&environment("default"), (id, 0), at(now));
    assert!(seen.figures.len() < 2, "{seen:?}");
    (seen.figures.first().map(|it| it.used), seen.open_sessions)
}

#[test]
fn what_a_node_that_went_away_has_used_stays_until_its_window_is_over_and_its_sessions_do_not() {
    let (mut ledger, id) = (UsageLedger::default(), key());
    ledger.open(&node("a"), 1, 1);
    ledger.open(&node("b"), 2, 2);
    ledger.record(&node("a"), 1, word(id, 0, 3, 2, 0), at(0));
    ledger.record(&node("b"), 2, word(id, 0, 4, 1, 10), at(10));
    assert_eq!(known(&ledger, id, 20), (Some(7), 3));
    ledger.close(&node("a"), 1);
    assert_eq!(known(&ledger, id, 30), (Some(7), 1));
    let seen = ledger.consumption(&environment("default"), (id, 0), at(30));
    assert_eq!((seen.absent_nodes, seen.oldest_report), (1, Some(at(10))));
    assert_eq!(seen.ledger_time, at(30 + AHEAD));
    assert_eq!(known(&ledger, id, MINUTE - AHEAD - 1), (Some(7), 1));
    assert_eq!(known(&ledger, id, MINUTE - AHEAD), (None, 1));
}

#[test]
fn a_node_that_starts_again_adds_to_what_it_had_used() {
    let (mut ledger, id) = (UsageLedger::default(), key());
    ledger.open(&node("a"), 1, 1);
    ledger.record(&node("a"), 1, word(id, 0, 3, 2, 0), at(0));
    ledger.open(&node("a"), 2, 2);
    assert_eq!(known(&ledger, id, 5), (Some(3), 0));
    ledger.record(&node("a"), 2, word(id, 0, 2, 1, 10), at(10));
    assert_eq!(known(&ledger, id, 10), (Some(5), 1));
    // The process before has ended: nobody waits for its word.
    let seen = ledger.consumption(&environment("default"), (id, 0), at(10));
    assert_eq!((seen.absent_nodes, seen.oldest_report), (0, Some(at(10))));
}

#[test]
fn a_process_that_opens_another_stream_is_the_same_and_what_the_old_stream_says_is_too_late() {
    let (mut ledger, id) = (UsageLedger::default(), key());
    ledger.open(&node("a"), 1, 1);
    ledger.record(&node("a"), 1, word(id, 0, 3, 2, 0), at(0));
    ledger.open(&node("a"), 1, 2);
    // It says everything anew; until it has, nobody knows of its sessions.
    assert_eq!(known(&ledger, id, 5), (Some(3), 0));
    ledger.record(&node("a"), 2, word(id, 0, 5, 1, 10), at(10));
    ledger.record(&node("a"), 1, word(id, 0, 4, 9, 20), at(20));
    ledger.close(&node("a"), 1);
    assert_eq!(known(&ledger, id, 20), (Some(5), 1));
}

#[test]
fn counters_that_began_anew_count_and_the_old_ones_do_not() {
    let (mut ledger, id) = (UsageLedger::default(), key());
    ledger.open(&node("a"), 1, 1);
    ledger.open(&node("b"), 1, 2);
    ledger.record(&node("a"), 1, word(id, 1, 30, 1, 0), at(0));
    ledger.record(&node("b"), 2, word(id, 2, 4, 1, 0), at(0));
    let used = |generation| {
        let seen = ledger.consumption(&environment("default"), (id, generation), at(10));
        let used: Vec<_> = seen.figures.iter().map(|it| it.used).collect();
        (used, seen.open_sessions)
    };
    // Sessions are the same, whatever is counted.
    assert_eq!(used(1), (vec![30], 2));
    assert_eq!(used(2), (vec![4], 2));
    assert_eq!(used(3), (vec![], 2));
}

#[test]
fn where_one_node_has_turned_a_moment_before_the_others_its_window_is_the_one() {
    for order in [[1, 2], [2, 1]] {
        let (mut ledger, id) = (UsageLedger::default(), key());
        let now = MINUTE - AHEAD - 5;
        for process in order {
            let mut word = word(id, 0, process, 1, now);
            if process == 2 {
                word.subscriptions[0].counters[0].window_start += 60;
            }
            let node = node(&process.to_string());
            ledger.open(&node, process, process);
            ledger.record(&node, process, word, at(now));
        }
        assert_eq!(known(&ledger, id, now), (Some(2), 2), "{order:?}");
    }
}

#[test]
fn each_environment_counts_by_itself() {
    let (mut ledger, id) = (UsageLedger::default(), key());
    ledger.open(&node("a"), 1, 1);
    ledger.record(&node("a"), 1, word(id, 0, 3, 2, 0), at(0));
    let seen = ledger.consumption(&environment("other"), (id, 0), at(5));
    assert_eq!((seen.figures, seen.open_sessions), (vec![], 0));
    assert_eq!((seen.ledger_time, seen.oldest_report), (at(5), None));
}

#[test]
fn a_node_that_is_connected_and_has_not_told_yet_makes_the_figures_of_no_age() {
    let (mut ledger, id) = (UsageLedger::default(), key());
    ledger.open(&node("a"), 1, 1);
    ledger.record(&node("a"), 1, word(id, 0, 3, 2, 0), at(0));
    ledger.open(&node("b"), 1, 2);
    let seen = ledger.consumption(&environment("default"), (id, 0), at(5));
    assert_eq!(seen.oldest_report, None);
}

#[test]
fn what_is_over_is_forgotten_and_so_is_who_said_it() {
    let mut ledger = UsageLedger::default();
    for process in 1..=50 {
        let now = process * 10;
        ledger.open(&node("crashes"), process, process);
        let word = word(key(), 0, 1, 1, now);
        ledger.record(&node("crashes"), process, word, at(now));
    }
    assert_eq!(ledger.sources.len(), 50);
    let later = 3 * MINUTE;
    let quiet = Usage {
        ledger_time_millis: later + AHEAD,
        ..Usage::default()
    };
    ledger.record(&node("crashes"), 50, quiet, at(later));
    // The last one's session is still open.
    assert_eq!((ledger.reports.len(), ledger.sources.len()), (1, 1));
    ledger.close(&node("crashes"), 50);
    ledger.sweep(at(later));
    assert_eq!((ledger.reports.len(), ledger.sources.len()), (0, 0));
    assert!(ledger.current.is_empty());
}

#[test]
fn what_cannot_be_read_harms_nothing_else() {
    let (mut ledger, id) = (UsageLedger::default(), key());
    ledger.open(&node("a"), 1, 1);
    let mut bad = word(id, 0, 3, 2, 0);
    let good = bad.subscriptions[0].counters[0];
    for change in [
        |it: &mut CounterUsage| it.unit = 99,
        |it: &mut CounterUsage| it.window_seconds = 0,
        |it: &mut CounterUsage| it.window_start = u64::MAX,
        |it: &mut CounterUsage| it.window_start = 1_000_000,
    ] {
        let mut counter = good;
        change(&mut counter);
        bad.subscriptions[0].counters.push(counter);
    }
    // A node of an older version names the subscription, which nobody reads any more.
    bad.subscriptions.push(SubscriptionUsage::default());
    bad.subscriptions.push(SubscriptionUsage {
        application: "nonsense".to_owned(),
        ..SubscriptionUsage::default()
    });
    assert_eq!(ledger.record(&node("a"), 1, bad, at(0)), 1);
    let seen = ledger.consumption(&environment("default"), (id, 0), at(0));
    let figure = Figure {
        unit: Unit::Messages,
        window: Window::MINUTE,
        began: at(0),
        used: 3,
    };
    assert_eq!(seen.figures, [figure]);
}

/// What happens to one of three nodes, or to all.
#[derive(Clone, Debug)]
enum Event {
    /// It uses so much more and has so many sessions; the word on it may be lost.
    Used(u64, u32, bool),
    /// Its stream breaks, and it opens another, on which it says everything.
    Reconnects,
    /// What it said on an earlier stream comes now.
    Late,
    /// Its process is another.
    Restarts,
    /// It is gone.
    Leaves,
    /// So many milliseconds pass.
    Passes(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..50u64, 0..5u32, any::<bool>()).prop_map(|(n, s, lost)| Event::Used(n, s, lost)),
        2 => Just(Event::Reconnects),
        1 => Just(Event::Late),
        1 => Just(Event::Restarts),
        1 => Just(Event::Leaves),
        2 => (0..2 * MINUTE).prop_map(Event::Passes),
    ]
}

/// A node as it really is, and what got through of what its processes said.
#[derive(Debug, Default)]
struct Truth {
    process: u64,
    stream: u64,
    connected: bool,
    minute: u64,
    used: u64,
    sessions: u32,
    /// The last word that got through of each process: the minute and what was used in it.
    heard: std::collections::BTreeMap<u64, (u64, u64)>,
    /// The sessions of the last word on this stream.
    heard_sessions: u32,
    /// The last word on this stream, and on the one before.
    said: Option<(u64, Usage)>,
    late: Option<(u64, Usage)>,
}

impl Truth {
    fn open(&mut self, ledger: &mut UsageLedger, key: &NodeKey, stream: u64) {
        self.stream = stream;
        self.connected = true;
        self.heard_sessions = 0;
        self.late = self.said.take();
        ledger.open(key, self.process, stream);
    }

    fn says(&mut self, ledger: &mut UsageLedger, key: &NodeKey, id: SubscriptionKey, now: u64) {
        let word = word(id, 0, self.used, self.sessions, now);
        self.said = Some((self.stream, word.clone()));
        self.heard.insert(self.process, (self.minute, self.used));
        self.heard_sessions = self.sessions;
        assert_eq!(ledger.record(key, self.stream, word, at(now)), 0);
    }

    fn turns(&mut self, now: u64) {
        let minute = (now + AHEAD) / MINUTE;
        if self.minute != minute {
            (self.minute, self.used) = (minute, 0);
        }
    }
}

proptest! {
    #[test]
    fn the_sum_is_that_of_what_each_process_last_said_of_the_window(
        events in prop::collection::vec((any::<Index>(), event()), 1..60),
    ) {
        let id = key();
        let keys = ["a", "b", "c"].map(node);
        let (mut ledger, mut now, mut streams) = (UsageLedger::default(), 0, 0);
        let mut nodes: [Truth; 3] = Default::default();
        for (which, event) in events {
            let which = which.index(3);
            let (truth, key) = (&mut nodes[which], &keys[which]);
            truth.turns(now);
            streams += 1;
            match event {
                Event::Used(more, sessions, lost) => {
                    truth.used += more;
                    truth.sessions = sessions;
                    if truth.connected && !lost {
                        truth.says(&mut ledger, key, id, now);
                    }
                }
                Event::Reconnects => {
                    truth.open(&mut ledger, key, streams);
                    truth.says(&mut ledger, key, id, now);
                }
                Event::Late => {
                    if let Some((stream, word)) = truth.late.take() {
                        ledger.record(key, stream, word, at(now));
                        ledger.close(key, stream);
                    }
                }
                Event::Restarts => {
                    truth.process += 1;
                    (truth.used, truth.sessions) = (0, 0);
                    truth.open(&mut ledger, key, streams);
                }
                Event::Leaves => {
                    ledger.close(key, truth.stream);
                    truth.connected = false;
                }
                Event::Passes(millis) => now += millis,
            }
            let minute = (now + AHEAD) / MINUTE;
            let heard = nodes.iter().flat_map(|it| it.heard.values());
            let used: u64 = heard.filter(|it| it.0 == minute).map(|it| it.1).sum();
            let open = nodes.iter().filter(|it| it.connected);
            let sessions: u64 = open.map(|it| u64::from(it.heard_sessions)).sum();
            let (known, open) = known(&ledger, id, now);
            prop_assert_eq!((known.unwrap_or(0), open), (used, sessions));
        }
    }
}
