//! Guessing at passwords, and who is kept out by it: nobody else.

#![expect(
    clippy::disallowed_methods,
    reason = "tasks end with the test's runtime"
)]

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tidegate_kit::{clock::Clock, secret::Secret};
use tokio::{
    task::yield_now,
    time::{Instant, advance, sleep},
};

use super::world::{World, exists, update};
use crate::{
    domain::user::{Role, Roles},
    service::{Service, error::ServiceError},
};

const OFFICE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
const PASSWORD: &str = "correct horse";
/// How often each user signs in, and after how long again.
const TRIES: usize = 25;
const BETWEEN: Duration = Duration::from_secs(3);

/// What became of the guesses of a script.
#[derive(Debug, Default)]
struct Guesses {
    asked: AtomicUsize,
    wrong: AtomicUsize,
    slowed: AtomicUsize,
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

/// A service whose clock goes with the paused time of the test, with users of these names.
async fn world(names: &[&str]) -> World {
    let world = World::new().await;
    for name in names {
        let roles = Roles::NONE.with(Role::Subscriber);
        let password = secret(PASSWORD);
        let made = world
            .service
            .create_user(&world.admin, name, &password, roles);
        made.await.unwrap();
    }
    let clock: Clock = world.clock.clone();
    tokio::spawn(async move {
        loop {
            sleep(Duration::from_millis(100)).await;
            clock.advance(Duration::from_millis(100));
        }
    });
    world
}

/// Whether a script waits for an answer before it asks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    Waits,
    Floods,
}

/// A script that tries a name every 0.2 s, whatever it is answered.
fn script(
    service: &Service,
    patience: Patience,
    name: impl Fn(usize) -> String + Send + 'static,
) -> Arc<Guesses> {
    let guesses = Arc::new(Guesses::default());
    let (service, counted) = (service.clone(), guesses.clone());
    tokio::spawn(async move {
        for n in 0.. {
            let (service, counted, name) = (service.clone(), counted.clone(), name(n));
            let asking = tokio::spawn(async move {
                counted.asked.fetch_add(1, Ordering::Relaxed);
                let guess = secret("a guess");
                let answer = service.sign_in(&name, &guess, Some(OFFICE)).await;
                let count = match answer.unwrap_err() {
                    ServiceError::Unauthenticated(_) => &counted.wrong,
                    ServiceError::ResourceExhausted { .. } => &counted.slowed,
                    other => unreachable!("{other}"),
                };
                count.fetch_add(1, Ordering::Relaxed);
            });
            if patience == Patience::Waits {
                asking.await.unwrap();
            }
            sleep(Duration::from_millis(200)).await;
        }
    });
    guesses
}

/// How often a user with the right password gets in.
async fn entries(service: &Service, name: &str, from: IpAddr) -> usize {
    let mut entered = 0;
    for _ in 0..TRIES {
        let signed_in = service.sign_in(name, &secret(PASSWORD), Some(from)).await;
        entered += usize::from(signed_in.is_ok());
        sleep(BETWEEN).await;
    }
    entered
}

#[tokio::test(start_paused = true)]
async fn whoever_guesses_at_unknown_names_keeps_nobody_out_at_that_address() {
    let world = world(&["known", "new"]).await;
    let service = &world.service;
    let password = secret(PASSWORD);
    let known = service.sign_in("known", &password, Some(OFFICE));
    known.await.unwrap();
    let guesses = script(service, Patience::Floods, |n| format!("nobody-{n}"));
    sleep(Duration::from_secs(60)).await;
    let [known, new] = ["known", "new"].map(|name| entries(service, name, OFFICE));
    assert_eq!(tokio::join!(known, new), (TRIES, TRIES));
    let wrong = guesses.wrong.load(Ordering::Relaxed);
    let slowed = guesses.slowed.load(Ordering::Relaxed);
    assert!(slowed > 500, "{guesses:?}");
    // Five at once, then after waits of 1, 2, 4, … and at most 60 seconds.
    assert!(wrong <= 13, "{guesses:?}");
}

#[tokio::test(start_paused = true)]
async fn whoever_guesses_at_a_name_keeps_its_owner_out_of_no_other_address_nor_of_one_where_it_is_known()
 {
    let world = world(&["ann"]).await;
    let service = &world.service;
    let password = secret(PASSWORD);
    let ann = service.sign_in("ann", &password, Some(OFFICE));
    ann.await.unwrap();
    let guesses = script(service, Patience::Waits, |_| "ann".to_owned());
    sleep(Duration::from_secs(60)).await;
    assert_eq!(entries(service, "ann", ELSEWHERE).await, TRIES);
    let [here, there] = [OFFICE, ELSEWHERE].map(|from| entries(service, "ann", from));
    assert_eq!(tokio::join!(here, there), (TRIES, TRIES), "{guesses:?}");
}

#[tokio::test(start_paused = true)]
async fn attempts_that_could_not_be_checked_because_too_many_waited_are_no_failures() {
    let world = World::new().await;
    let ask = |name: String, from: IpAddr| {
        let service = world.service.clone();
        let guess = secret("a guess");
        tokio::spawn(async move { service.sign_in(&name, &guess, Some(from)).await })
    };
    let others: Vec<_> = (0..8)
        .map(|n| ask(format!("nobody-{n}"), IpAddr::from([198, 51, 100, n])))
        .collect();
    let attempts: Vec<_> = (0..5).map(|_| ask("sue".to_owned(), OFFICE)).collect();
    // All of them wait for the first, and lose patience before it is done.
    yield_now().await;
    advance(Duration::from_secs(11)).await;
    for attempt in attempts {
        let busy = attempt.await.unwrap().unwrap_err();
        assert!(
            matches!(busy, ServiceError::ResourceExhausted { .. }),
            "{busy:?}"
        );
    }
    for other in others {
        assert!(other.await.unwrap().is_err());
    }
    let wrong = ask("sue".to_owned(), OFFICE).await.unwrap().unwrap_err();
    assert!(
        matches!(wrong, ServiceError::Unauthenticated(_)),
        "{wrong:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn whoever_signs_up_under_a_name_that_is_taken_uses_up_no_turn_of_somebody_new() {
    let world = world(&[]).await;
    let service = &world.service;
    let allow = service.update_settings(&world.admin, update((), true, Vec::new(), ""));
    allow.await.unwrap();
    let password = secret(PASSWORD);
    for _ in 0..8 {
        exists(service.sign_up("ADMIN", &password, Some(OFFICE)).await);
    }
    let begun = Instant::now();
    let made = service.sign_up("new", &password, Some(OFFICE)).await;
    made.unwrap();
    let waited = begun.elapsed();
    assert!(waited < Duration::from_secs(10), "{waited:?}");
}
