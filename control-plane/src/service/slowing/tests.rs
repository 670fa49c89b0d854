//! Who waits after which attempts.

use std::{net::IpAddr, time::Duration};

use super::{
    HELD, SignUps, Slowing,
    failures::{FREE, REMEMBERED},
};
use crate::domain::time::Timestamp;

const START: Timestamp = Timestamp::from_millis(1_000_000);
const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const AWAY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
const ATTACKER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 3));

/// How long an attempt at a name that exists would have to wait; zero when it is not slowed.
fn begin(slowing: &Slowing, name: &str, peer: Option<IpAddr>, now: Timestamp) -> Duration {
    let turn = slowing.begin(name, true, peer, now);
    turn.slowed
        .map_or(Duration::ZERO, |slowed| slowed.retry_after)
}

/// After how long the password of a slowed attempt is checked.
fn turn(slowing: &Slowing, name: &str, exists: bool, peer: IpAddr) -> Option<Duration> {
    let turn = slowing.begin(name, exists, Some(peer), START);
    turn.slowed.expect("it is slowed").turn
}

fn sign_in(slowing: &Slowing, name: &str, peer: Option<IpAddr>, now: Timestamp) {
    let turn = slowing.begin(name, true, peer, now);
    slowing.succeeded(name, peer, turn, now);
}

#[test]
fn waits_grow_with_each_failure_and_end_with_a_success() {
    let slowing = Slowing::new();
    for _ in 0..FREE {
        assert_eq!(begin(&slowing, "ann", None, START), Duration::ZERO);
    }
    assert_eq!(begin(&slowing, "Ann", None, START), Duration::from_secs(1));
    let later = START.after(Duration::from_secs(1));
    assert_eq!(begin(&slowing, "ann", None, later), Duration::ZERO);
    assert_eq!(begin(&slowing, "ann", None, later), Duration::from_secs(2));
    sign_in(&slowing, "ann", None, later.after(Duration::from_secs(2)));
    assert_eq!(begin(&slowing, "ann", None, later), Duration::ZERO);
}

#[test]
fn one_address_that_tries_many_names_is_slowed_and_others_are_not() {
    let slowing = Slowing::new();
    for n in 0..FREE {
        assert!(begin(&slowing, &format!("u{n}"), Some(HOME), START).is_zero());
    }
    assert!(!begin(&slowing, "another", Some(HOME), START).is_zero());
    assert!(begin(&slowing, "another", Some(AWAY), START).is_zero());
}

#[test]
fn where_an_address_is_slowed_names_that_exist_take_turns_and_others_none() {
    let slowing = Slowing::new();
    for n in 0..FREE {
        begin(&slowing, &format!("u{n}"), Some(HOME), START);
    }
    for n in 0..1_000 {
        assert_eq!(turn(&slowing, &format!("nobody-{n}"), false, HOME), None);
    }
    let turns: Vec<_> = (0..4)
        .map(|n| turn(&slowing, &format!("ann-{n}"), true, HOME))
        .collect();
    let seconds = |n| Some(Duration::from_secs(n));
    assert_eq!(turns, [seconds(0), seconds(2), seconds(4), None]);
    assert!(turns.into_iter().flatten().all(|turn| turn < HELD));
}

#[test]
fn what_is_told_of_a_slowed_attempt_does_not_depend_on_whether_the_name_exists_or_is_known() {
    let slowing = Slowing::new();
    sign_in(&slowing, "known", Some(HOME), START);
    for _ in 0..20 {
        let told = |name, exists| {
            let turn = slowing.begin(name, exists, Some(HOME), START);
            turn.slowed.map(|slowed| slowed.retry_after)
        };
        // The counters of an address are shared, so that the three are compared once it is slowed.
        let (known, new, nobody) = (
            told("known", true),
            told("new", true),
            told("nobody", false),
        );
        if known.is_some() {
            assert_eq!((known, known), (new, nobody));
        }
    }
}

#[test]
fn whoever_tries_a_name_without_end_keeps_its_owner_out_of_no_other_place() {
    let slowing = Slowing::new();
    sign_in(&slowing, "ann", Some(HOME), START);
    let mut n_checked = 0;
    let mut now = START;
    for _ in 0..5 * 3600 {
        now = now.after(Duration::from_millis(200));
        n_checked += u32::from(begin(&slowing, "ann", Some(ATTACKER), now).is_zero());
    }
    // Five, then six while the wait doubles up to a minute, then one a minute for an hour.
    assert!((60..=75).contains(&n_checked), "{n_checked}");
    assert!(begin(&slowing, "ann", Some(AWAY), now).is_zero());
    assert!(begin(&slowing, "ann", Some(HOME), now).is_zero());
}

#[test]
fn many_addresses_that_try_one_name_are_slowed_together_and_not_where_it_is_known() {
    let slowing = Slowing::new();
    sign_in(&slowing, "ann", Some(HOME), START);
    let n_checked = (0..200)
        .map(|n| IpAddr::from([198, 51, 100, n]))
        .filter(|peer| begin(&slowing, "ann", Some(*peer), START).is_zero())
        .count();
    assert_eq!(n_checked, 50);
    let turn = slowing.begin("ann", true, Some(HOME), START);
    let slowed = turn
        .slowed
        .expect("what is told does not tell where it is known");
    assert_eq!(slowed.turn, Some(Duration::ZERO));
}

#[test]
fn what_is_remembered_is_bounded_and_a_flood_of_names_clears_no_high_counter() {
    let slowing = Slowing::new();
    for _ in 0..FREE {
        begin(&slowing, "admin", None, START);
    }
    for n in 0..REMEMBERED + 10 {
        begin(&slowing, &n.to_string(), None, START);
    }
    assert_eq!(slowing.lock().failures.len(), REMEMBERED);
    assert!(!begin(&slowing, "admin", None, START).is_zero());
}

#[test]
fn a_session_that_guesses_the_old_password_does_not_hold_up_another_of_its_user() {
    let slowing = Slowing::new();
    let user = tidegate_proto::ids::UserId::generate();
    let [thief, owner] =
        ["thief", "owner"].map(|token| Some(crate::domain::credential::SecretHash::of(token)));
    for _ in 0..FREE {
        assert!(slowing.begin_change(user, thief, START).is_zero());
    }
    assert!(!slowing.begin_change(user, thief, START).is_zero());
    assert!(slowing.begin_change(user, owner, START).is_zero());
}

#[test]
fn those_who_sign_up_from_one_address_take_turns() {
    let sign_ups = SignUps::default();
    let begin = |peer| sign_ups.begin(Some(peer), false, START);
    for _ in 0..5 {
        assert_eq!(begin(HOME), Ok(Duration::ZERO));
    }
    assert_eq!(begin(HOME), Ok(Duration::from_secs(10)));
    assert_eq!(begin(HOME), Ok(Duration::from_secs(20)));
    assert_eq!(begin(HOME), Err(Duration::from_secs(10)));
    assert_eq!(begin(AWAY), Ok(Duration::ZERO));
}

#[test]
fn attempts_to_sign_up_under_names_that_are_taken_use_up_no_turns_and_are_slowed_themselves() {
    let sign_ups = SignUps::default();
    let begin = |is_taken| sign_ups.begin(Some(HOME), is_taken, START);
    let n_answered = (0..1_000).filter(|_| begin(true).is_ok()).count();
    // Ten at once, and two that are held.
    assert_eq!(n_answered, 12);
    assert_eq!(begin(true), Err(Duration::from_secs(2)));
    for _ in 0..5 {
        assert_eq!(begin(false), Ok(Duration::ZERO));
    }
    while begin(false).is_ok() {}
    assert_eq!(begin(true), begin(false), "a wait tells no taken name");
}

#[test]
fn a_flood_at_one_name_leaves_turns_to_others_that_are_not_known_at_an_address() {
    let slowing = Slowing::new();
    for n in 0..FREE {
        slowing.begin(&format!("nobody-{n}"), false, Some(HOME), START);
    }
    let mut now = START;
    let mut n_checked = 0;
    for step in 1..=10 * 60 * 5 {
        now = now.after(Duration::from_millis(200));
        let begin = |name: &str, exists| {
            let turn = slowing.begin(name, exists, Some(HOME), now);
            turn.slowed.map(|slowed| slowed.turn.is_some())
        };
        // Whenever a wait is over, this begins the next, so that the counters of the other name never set one.
        begin(&format!("nobody-again-{step}"), false);
        n_checked += usize::from(begin("bob", true) == Some(true));
        if step % 50 == 0 {
            assert_eq!(begin(&format!("new-{step}"), true), Some(true));
        }
    }
    // Five, then one a minute for ten minutes.
    assert!((5..=15).contains(&n_checked), "{n_checked}");
}

/// Lets attempts from an address fail at as many names that do not exist.
fn slow_down(slowing: &Slowing, peer: IpAddr, n_failures: u32, now: Timestamp) {
    for n in 0..n_failures {
        slowing.begin(&format!("nobody-{n}-at-{peer}"), false, Some(peer), now);
    }
}

#[test]
fn many_addresses_that_are_slowed_have_no_more_turns_of_one_name_than_its_failures_may_be() {
    let slowing = Slowing::new();
    let peers = || (0..100).map(|n| IpAddr::from([198, 51, 100, n]));
    let n_checked = |now| {
        let guesses = peers().chain(peers());
        let turns = guesses.map(|peer| slowing.begin("admin", true, Some(peer), now));
        turns
            .map(|turn| turn.slowed.expect("the address is slowed"))
            .filter(|slowed| slowed.turn.is_some())
            .count()
    };
    peers().for_each(|peer| slow_down(&slowing, peer, FREE, START));
    assert_eq!(n_checked(START), 50);
    let later = START.after(Duration::from_secs(60));
    peers().for_each(|peer| slow_down(&slowing, peer, 1, later));
    assert_eq!(n_checked(later), 2);
}

#[test]
fn slowed_attempts_that_get_in_use_up_no_turns_of_their_name() {
    let slowing = Slowing::new();
    for n in 0..100 {
        let peer = IpAddr::from([198, 51, 100, n]);
        slow_down(&slowing, peer, FREE, START);
        let turn = slowing.begin("ann", true, Some(peer), START);
        let slowed = turn.slowed.expect("the address is slowed");
        assert_eq!(slowed.turn, Some(Duration::ZERO), "{peer}");
        slowing.succeeded("ann", Some(peer), turn, START);
    }
}

#[test]
fn an_attempt_that_could_not_be_checked_is_taken_back() {
    let slowing = Slowing::new();
    let attempt = |name: &str, now| {
        let turn = slowing.begin(name, true, Some(HOME), now);
        slowing.unchecked(name, Some(HOME), turn);
        turn.slowed
    };
    for _ in 0..20 {
        assert_eq!(attempt("ann", START), None);
    }
    slow_down(&slowing, HOME, FREE, START);
    for _ in 0..20 {
        let slowed = attempt("ann", START).expect("the address is slowed");
        assert_eq!(slowed.turn, Some(Duration::ZERO));
    }
    // Nor does it begin another wait.
    let later = START.after(Duration::from_secs(1));
    for _ in 0..20 {
        assert_eq!(attempt("ann", later), None);
    }
    assert!(begin(&slowing, "ann", Some(HOME), later).is_zero());
    assert!(!begin(&slowing, "ann", Some(HOME), later).is_zero());
}

#[test]
fn a_clock_that_is_set_back_slows_no_attempt_for_as_long_as_it_went_back() {
    let slowing = Slowing::new();
    let user = tidegate_proto::ids::UserId::generate();
    let later = START.after(Duration::from_secs(3600));
    for _ in 0..FREE {
        assert!(slowing.begin_change(user, None, later).is_zero());
        assert!(begin(&slowing, "ann", Some(HOME), later).is_zero());
    }
    assert!(slowing.begin_change(user, None, START).is_zero());
    let wait = slowing.begin_change(user, None, START);
    assert_eq!(wait, Duration::from_secs(2), "the count is kept");
    assert!(begin(&slowing, "ann", Some(HOME), START) <= Duration::from_secs(30));
}
