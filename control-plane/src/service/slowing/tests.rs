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
    let begin = |peer| sign_ups.begin(Some(peer), START);
    for _ in 0..5 {
        assert_eq!(begin(HOME), Ok(Duration::ZERO));
    }
    assert_eq!(begin(HOME), Ok(Duration::from_secs(10)));
    assert_eq!(begin(HOME), Ok(Duration::from_secs(20)));
    assert_eq!(begin(HOME), Err(Duration::from_secs(10)));
    assert_eq!(begin(AWAY), Ok(Duration::ZERO));
}
