//! Only what has changed, each figure in full, and everything in words of a bounded size.

use std::collections::HashMap;

use tidegate_proto::{
    discovery::v1::{self, SubscriptionUsage},
    ids::{ApiId, ApplicationId, SubscriptionKey},
    quota::Window,
};

use super::{PART, Reported};
use crate::{
    control::NodeUsage,
    quota::{
        key::Unit,
        usage::{Spent, Used},
    },
};

/// A day that began at this second.
fn spent(unit: Unit, began: u64, used: u64) -> Spent {
    Spent {
        unit,
        window: Window::DAY,
        began,
        used,
    }
}

fn key() -> SubscriptionKey {
    SubscriptionKey {
        application: ApplicationId::generate(),
        api: ApiId::generate(),
    }
}

fn used(id: SubscriptionKey, sessions: u32, counters: &[Spent]) -> NodeUsage {
    let used = Used {
        generation: 7,
        counters: counters.to_vec(),
    };
    NodeUsage {
        ledger_millis: 5,
        used: HashMap::from([(id, used)]),
        sessions: HashMap::from([(id, sessions)]),
    }
}

/// What is reported of the one subscription; nothing when nothing is.
fn reported(reported: &mut Reported, consumption: NodeUsage) -> Option<SubscriptionUsage> {
    let mut words = reported.messages(consumption);
    assert_eq!(words.len(), 1);
    let mut word = words.remove(0);
    assert!(word.subscriptions.len() < 2, "{word:?}");
    word.subscriptions.pop()
}

#[test]
fn what_has_not_changed_is_not_told_again_and_what_has_is_told_in_full() {
    let id = key();
    let mut before = Reported::default();
    let (messages, bytes) = (spent(Unit::Messages, 0, 3), spent(Unit::Bytes, 0, 30));
    let first = reported(&mut before, used(id, 2, &[messages, bytes])).unwrap();
    assert_eq!((first.open_sessions, first.quota_generation), (2, 7));
    assert_eq!(first.application, id.application.to_string());
    assert_eq!(first.api, id.api.to_string());
    let figures = |word: &SubscriptionUsage| -> Vec<_> {
        let counters = word.counters.iter();
        counters
            .map(|it| (it.unit(), it.window_start, it.used))
            .collect()
    };
    let both = [(v1::Unit::Messages, 0, 3), (v1::Unit::Bytes, 0, 30)];
    assert_eq!(figures(&first), both);
    // In another order it is still the same.
    assert_eq!(reported(&mut before, used(id, 2, &[bytes, messages])), None);
    let more = [spent(Unit::Messages, 0, 4), bytes];
    let second = reported(&mut before, used(id, 2, &more)).unwrap();
    let both = [(v1::Unit::Messages, 0, 4), (v1::Unit::Bytes, 0, 30)];
    assert_eq!(figures(&second), both);
}

#[test]
fn a_window_that_has_turned_is_told_as_a_new_one() {
    let id = key();
    let mut before = Reported::default();
    reported(&mut before, used(id, 1, &[spent(Unit::Messages, 0, 3)]));
    let turned = used(id, 1, &[spent(Unit::Messages, 86_400, 3)]);
    let turned = reported(&mut before, turned).unwrap();
    assert_eq!(turned.counters[0].window_start, 86_400);
    assert_eq!(
        reported(&mut before, used(id, 1, &[])).unwrap().counters,
        []
    );
}

#[test]
fn a_subscription_without_sessions_and_counters_is_told_of_once_more() {
    let id = key();
    let mut before = Reported::default();
    let mut unlimited = used(id, 1, &[]);
    unlimited.used.clear();
    let first = reported(&mut before, unlimited).unwrap();
    assert_eq!((first.open_sessions, first.counters), (1, vec![]));
    let last = reported(&mut before, NodeUsage::default()).unwrap();
    assert_eq!(last.open_sessions, 0);
    assert_eq!(reported(&mut before, NodeUsage::default()), None);
}

#[test]
fn a_stream_begins_with_everything_in_parts_and_a_quiet_one_still_tells_the_time() {
    let mut everything = NodeUsage {
        ledger_millis: 5,
        ..NodeUsage::default()
    };
    for _ in 0..=2 * PART {
        everything.sessions.insert(key(), 1);
    }
    for mut reported in [Reported::default(), Reported::default()] {
        let words = reported.messages(everything.clone());
        let sizes: Vec<_> = words.iter().map(|word| word.subscriptions.len()).collect();
        assert_eq!(sizes, [PART, PART, 1]);
        let words = reported.messages(everything.clone());
        assert_eq!(words.len(), 1);
        assert_eq!(words[0].subscriptions, []);
        assert_eq!(words[0].ledger_time_millis, 5);
    }
}
