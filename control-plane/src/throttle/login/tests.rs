//! Which attempts must wait, and whose passwords are checked.

use std::{net::IpAddr, time::Duration};

use super::{DELAY, FREE, LoginThrottle};
use crate::{domain::time::Timestamp, throttle::failures::MAX_KEYS};

const START: Timestamp = Timestamp::from_millis(1_000_000);
const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const AWAY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
const ATTACKER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 3));

/// How long an attempt at a name that exists would have to wait; zero when it is not throttled.
fn begin(throttle: &LoginThrottle, name: &str, peer: Option<IpAddr>, now: Timestamp) -> Duration {
    let attempt = throttle.begin(name, true, peer, now);
    attempt
        .throttled
        .map_or(Duration::ZERO, |throttled| throttled.retry_after)
}

/// After how long the password of a throttled attempt is checked.
fn check_after(
    throttle: &LoginThrottle,
    name: &str,
    exists: bool,
    peer: IpAddr,
) -> Option<Duration> {
    let attempt = throttle.begin(name, exists, Some(peer), START);
    attempt.throttled.expect("it is throttled").check_after
}

fn sign_in(throttle: &LoginThrottle, name: &str, peer: Option<IpAddr>, now: Timestamp) {
    let attempt = throttle.begin(name, true, peer, now);
    throttle.succeeded(name, peer, attempt, now);
}

#[test]
fn waits_grow_with_each_failure_and_end_with_a_success() {
    let throttle = LoginThrottle::new();
    for _ in 0..FREE {
        assert_eq!(begin(&throttle, "ann", None, START), Duration::ZERO);
    }
    assert_eq!(begin(&throttle, "Ann", None, START), Duration::from_secs(1));
    let later = START.after(Duration::from_secs(1));
    assert_eq!(begin(&throttle, "ann", None, later), Duration::ZERO);
    assert_eq!(begin(&throttle, "ann", None, later), Duration::from_secs(2));
    sign_in(&throttle, "ann", None, later.after(Duration::from_secs(2)));
    assert_eq!(begin(&throttle, "ann", None, later), Duration::ZERO);
}

#[test]
fn one_address_that_tries_many_names_is_slowed_and_others_are_not() {
    let throttle = LoginThrottle::new();
    for n in 0..FREE {
        assert!(begin(&throttle, &format!("u{n}"), Some(HOME), START).is_zero());
    }
    assert!(!begin(&throttle, "another", Some(HOME), START).is_zero());
    assert!(begin(&throttle, "another", Some(AWAY), START).is_zero());
}

#[test]
fn where_an_address_is_throttled_passwords_of_names_that_exist_are_checked_and_no_others() {
    let throttle = LoginThrottle::new();
    for n in 0..FREE {
        begin(&throttle, &format!("u{n}"), Some(HOME), START);
    }
    for n in 0..1_000 {
        assert_eq!(
            check_after(&throttle, &format!("nobody-{n}"), false, HOME),
            None
        );
    }
    let checks: Vec<_> = (0..4)
        .map(|n| check_after(&throttle, &format!("ann-{n}"), true, HOME))
        .collect();
    let seconds = |n| Some(Duration::from_secs(n));
    assert_eq!(checks, [seconds(0), seconds(2), seconds(4), None]);
    assert!(checks.into_iter().flatten().all(|check| check < DELAY));
}

#[test]
fn what_is_told_of_a_slowed_attempt_does_not_depend_on_whether_the_name_exists_or_is_known() {
    let throttle = LoginThrottle::new();
    sign_in(&throttle, "known", Some(HOME), START);
    for _ in 0..20 {
        let told = |name, exists| {
            let attempt = throttle.begin(name, exists, Some(HOME), START);
            attempt.throttled.map(|throttled| throttled.retry_after)
        };
        // The counters of an address are shared, so that the three are compared once it is throttled.
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
    let throttle = LoginThrottle::new();
    sign_in(&throttle, "ann", Some(HOME), START);
    let mut n_checked = 0;
    let mut now = START;
    for _ in 0..5 * 3600 {
        now = now.after(Duration::from_millis(200));
        n_checked += u32::from(begin(&throttle, "ann", Some(ATTACKER), now).is_zero());
    }
    // Five, then six while the wait doubles up to a minute, then one a minute for an hour.
    assert!((60..=75).contains(&n_checked), "{n_checked}");
    assert!(begin(&throttle, "ann", Some(AWAY), now).is_zero());
    assert!(begin(&throttle, "ann", Some(HOME), now).is_zero());
}

#[test]
fn many_addresses_that_try_one_name_are_slowed_together_and_not_where_it_is_known() {
    let throttle = LoginThrottle::new();
    sign_in(&throttle, "ann", Some(HOME), START);
    let n_checked = (0..200)
        .map(|n| IpAddr::from([198, 51, 100, n]))
        .filter(|peer| begin(&throttle, "ann", Some(*peer), START).is_zero())
        .count();
    assert_eq!(n_checked, 50);
    let attempt = throttle.begin("ann", true, Some(HOME), START);
    let throttled = attempt
        .throttled
        .expect("what is told does not tell where it is known");
    assert_eq!(throttled.check_after, Some(Duration::ZERO));
}

#[test]
fn what_is_remembered_is_bounded_and_a_flood_of_names_clears_no_high_counter() {
    let throttle = LoginThrottle::new();
    for _ in 0..FREE {
        begin(&throttle, "admin", None, START);
    }
    for n in 0..MAX_KEYS + 10 {
        begin(&throttle, &n.to_string(), None, START);
    }
    assert_eq!(throttle.lock().failures.len(), MAX_KEYS);
    assert!(!begin(&throttle, "admin", None, START).is_zero());
}

#[test]
fn a_session_that_guesses_the_old_password_does_not_hold_up_another_of_its_user() {
    let throttle = LoginThrottle::new();
    let user = tidegate_proto::ids::UserId::generate();
    let [thief, owner] =
        ["thief", "owner"].map(|token| Some(crate::domain::credential::SecretHash::of(token)));
    for _ in 0..FREE {
        assert!(throttle.begin_change(user, thief, START).is_zero());
    }
    assert!(!throttle.begin_change(user, thief, START).is_zero());
    assert!(throttle.begin_change(user, owner, START).is_zero());
}

#[test]
fn a_flood_at_one_name_leaves_checks_to_others_that_are_not_known_at_an_address() {
    let throttle = LoginThrottle::new();
    for n in 0..FREE {
        throttle.begin(&format!("nobody-{n}"), false, Some(HOME), START);
    }
    let mut now = START;
    let mut n_checked = 0;
    for step in 1..=10 * 60 * 5 {
        now = now.after(Duration::from_millis(200));
        let begin = |name: &str, exists| {
            let attempt = throttle.begin(name, exists, Some(HOME), now);
            attempt
                .throttled
                .map(|throttled| throttled.check_after.is_some())
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
fn slow_down(throttle: &LoginThrottle, peer: IpAddr, n_failures: u32, now: Timestamp) {
    for n in 0..n_failures {
        throttle.begin(&format!("nobody-{n}-at-{peer}"), false, Some(peer), now);
    }
}

#[test]
fn many_addresses_that_are_throttled_have_no_more_checks_of_one_name_than_its_failures_may_be() {
    let throttle = LoginThrottle::new();
    let peers = || (0..100).map(|n| IpAddr::from([198, 51, 100, n]));
    let n_checked = |now| {
        let guesses = peers().chain(peers());
        let attempts = guesses.map(|peer| throttle.begin("admin", true, Some(peer), now));
        attempts
            .map(|attempt| attempt.throttled.expect("the address is throttled"))
            .filter(|throttled| throttled.check_after.is_some())
            .count()
    };
    peers().for_each(|peer| slow_down(&throttle, peer, FREE, START));
    assert_eq!(n_checked(START), 50);
    let later = START.after(Duration::from_secs(60));
    peers().for_each(|peer| slow_down(&throttle, peer, 1, later));
    assert_eq!(n_checked(later), 2);
}

#[test]
fn throttled_attempts_that_succeed_use_up_no_checks_of_their_name() {
    let throttle = LoginThrottle::new();
    for n in 0..100 {
        let peer = IpAddr::from([198, 51, 100, n]);
        slow_down(&throttle, peer, FREE, START);
        let attempt = throttle.begin("ann", true, Some(peer), START);
        let throttled = attempt.throttled.expect("the address is throttled");
        assert_eq!(throttled.check_after, Some(Duration::ZERO), "{peer}");
        throttle.succeeded("ann", Some(peer), attempt, START);
    }
}

#[test]
fn an_attempt_that_could_not_be_checked_is_taken_back() {
    let throttle = LoginThrottle::new();
    let attempt = |name: &str, now| {
        let attempt = throttle.begin(name, true, Some(HOME), now);
        throttle.unchecked(name, Some(HOME), attempt);
        attempt.throttled
    };
    for _ in 0..20 {
        assert_eq!(attempt("ann", START), None);
    }
    slow_down(&throttle, HOME, FREE, START);
    for _ in 0..20 {
        let throttled = attempt("ann", START).expect("the address is throttled");
        assert_eq!(throttled.check_after, Some(Duration::ZERO));
    }
    // Nor does it begin another wait.
    let later = START.after(Duration::from_secs(1));
    for _ in 0..20 {
        assert_eq!(attempt("ann", later), None);
    }
    assert!(begin(&throttle, "ann", Some(HOME), later).is_zero());
    assert!(!begin(&throttle, "ann", Some(HOME), later).is_zero());
}

#[test]
fn a_clock_that_is_set_back_slows_no_attempt_for_as_long_as_it_went_back() {
    let throttle = LoginThrottle::new();
    let user = tidegate_proto::ids::UserId::generate();
    let later = START.after(Duration::from_secs(3600));
    for _ in 0..FREE {
        assert!(throttle.begin_change(user, None, later).is_zero());
        assert!(begin(&throttle, "ann", Some(HOME), later).is_zero());
    }
    assert!(throttle.begin_change(user, None, START).is_zero());
    let wait = throttle.begin_change(user, None, START);
    assert_eq!(wait, Duration::from_secs(2), "the count is kept");
    assert!(begin(&throttle, "ann", Some(HOME), START) <= Duration::from_secs(30));
}
