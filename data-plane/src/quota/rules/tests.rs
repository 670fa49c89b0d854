//! The ledger's rules one by one.

use super::{
    Grant, GrantRequest, GrantResponse, LEARNING, LEASE, Rules, SeatRequest, SeatResponse,
};

const WINDOW: u64 = 60_000;
/// Long after the first window of the tests began.
const NOW: u64 = 10 * WINDOW + 1_000;

fn ask(seq: u64, net: u64, want: u64) -> GrantRequest {
    GrantRequest {
        key: "k".to_owned(),
        window: WINDOW,
        epoch: 10,
        limit: 100,
        seq,
        net,
        unspent: 0,
        need: 1,
        want,
    }
}

fn granted(answer: GrantResponse) -> Grant {
    match answer {
        GrantResponse::Granted(grant) => grant,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_grant_is_at_most_half_of_a_fair_share_and_at_least_one() {
    let mut rules = Rules::in_process();
    let first = granted(rules.grant(1, &ask(1, 0, 1000), NOW));
    assert_eq!((first.granted, first.total, first.nodes), (50, 50, 1));
    let second = granted(rules.grant(2, &ask(1, 0, 1000), NOW));
    assert_eq!((second.granted, second.nodes), (12, 2));
    let modest = granted(rules.grant(2, &ask(2, 12, 3), NOW));
    assert_eq!(modest.granted, 3);
    let last = granted(rules.grant(3, &ask(1, 99 - 65, 1000), NOW));
    assert_eq!((last.granted, last.total), (1, 100));
    let none = granted(rules.grant(2, &ask(3, 15, 1000), NOW));
    assert_eq!(none.granted, 0);
    assert_eq!(none.lasts, WINDOW - 1_000);
}

#[test]
fn what_is_needed_is_granted_whole_or_not_at_all() {
    let mut rules = Rules::in_process();
    let big = GrantRequest {
        need: 80,
        ..ask(1, 0, 80)
    };
    assert_eq!(granted(rules.grant(1, &big, NOW)).granted, 80);
    let bigger = GrantRequest {
        need: 21,
        ..ask(1, 0, 21)
    };
    assert_eq!(granted(rules.grant(2, &bigger, NOW)).granted, 0);
}

#[test]
fn an_answer_that_was_lost_is_made_good_by_the_next_ask() {
    let mut rules = Rules::in_process();
    assert_eq!(granted(rules.grant(1, &ask(1, 0, 1000), NOW)).granted, 50);
    // The node never heard of it.
    let again = granted(rules.grant(1, &ask(2, 0, 1000), NOW));
    assert_eq!((again.granted, again.total), (50, 50));
}

#[test]
fn an_ask_that_comes_late_changes_nothing() {
    let mut rules = Rules::in_process();
    rules.grant(1, &ask(2, 70, 0), NOW);
    assert_eq!(
        rules.grant(1, &ask(1, 0, 1000), NOW),
        GrantResponse::Outdated
    );
    let other = granted(rules.grant(2, &ask(1, 0, 1000), NOW));
    assert_eq!(other.total - other.granted, 70);
}

#[test]
fn what_is_given_back_others_get() {
    let mut rules = Rules::in_process();
    rules.grant(1, &ask(1, 0, 1000), NOW);
    let idle = GrantRequest {
        unspent: 0,
        ..ask(2, 10, 0)
    };
    rules.grant(1, &idle, NOW);
    assert_eq!(granted(rules.grant(2, &ask(1, 0, 1000), NOW)).granted, 22);
}

#[test]
fn a_node_learns_what_others_have_not_spent() {
    let mut rules = Rules::in_process();
    rules.grant(1, &ask(1, 0, 1000), NOW);
    assert_eq!(
        granted(rules.grant(2, &ask(1, 0, 1), NOW)).unspent_elsewhere,
        50
    );
}

#[test]
fn a_window_that_has_turned_is_another() {
    let mut rules = Rules::in_process();
    rules.grant(1, &ask(1, 0, 1000), NOW);
    let later = 11 * WINDOW;
    assert_eq!(
        rules.grant(1, &ask(2, 50, 1000), later),
        GrantResponse::Stale { now: later }
    );
    let next = GrantRequest {
        epoch: 11,
        ..ask(3, 0, 1000)
    };
    assert_eq!(granted(rules.grant(1, &next, later)).total, 50);
}

#[test]
fn a_ledger_that_was_lost_grants_nothing_of_an_old_window_until_all_have_told() {
    let mut rules = Rules::default();
    let answer = rules.grant(1, &ask(1, 30, 1000), NOW);
    assert_eq!(
        answer,
        GrantResponse::Learning {
            now: NOW,
            wait: LEARNING
        }
    );
    rules.grant(2, &ask(7, 40, 0), NOW + 10);
    let known = granted(rules.grant(1, &ask(2, 30, 1000), NOW + LEARNING));
    assert_eq!(known.total - known.granted, 70);
    // A window that begins after it was made is not in doubt.
    let next = GrantRequest {
        epoch: 11,
        ..ask(1, 0, 10)
    };
    let mut rules = Rules::default();
    rules.since(11 * WINDOW - 1);
    assert_eq!(granted(rules.grant(1, &next, 11 * WINDOW)).granted, 10);
}

#[test]
fn of_a_window_that_began_in_the_millisecond_in_which_a_ledger_was_made_nothing_is_granted_either()
{
    let mut rules = Rules::default();
    let answer = rules.grant(1, &ask(1, 0, 10), 10 * WINDOW);
    assert!(
        matches!(answer, GrantResponse::Learning { .. }),
        "{answer:?}"
    );
}

#[test]
fn seats_are_counted_over_all_nodes_and_those_of_a_dead_node_run_out() {
    let mut rules = Rules::in_process();
    let ask = |seq, taken, want| SeatRequest {
        key: "g".to_owned(),
        limit: 3,
        seq,
        taken,
        want,
    };
    assert_eq!(rules.seat(1, &ask(1, 0, 2), NOW), SeatResponse::Granted(2));
    assert_eq!(rules.seat(2, &ask(1, 0, 2), NOW), SeatResponse::Granted(1));
    assert_eq!(rules.seat(2, &ask(2, 1, 1), NOW), SeatResponse::Granted(0));
    assert_eq!(rules.seat(2, &ask(1, 0, 1), NOW), SeatResponse::Outdated);
    // Node 1 says nothing more.
    let later = NOW + LEASE;
    assert_eq!(
        rules.seat(2, &ask(3, 1, 5), later),
        SeatResponse::Granted(2)
    );
    rules.sweep(later + LEASE);
    assert!(rules.gauges.is_empty());
}
