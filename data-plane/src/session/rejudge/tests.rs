//! When sessions are looked at again.

use std::time::Duration;

use tidegate_kit::{clock::Clock, tasks::Tasks};
use tidegate_proto::reason::Reason;

use super::expire;
use crate::{
    admit::permit::Permit,
    session::registry::{Registry, tests::session},
};

#[tokio::test(start_paused = true)]
async fn a_session_is_ended_in_the_second_in_which_its_credential_expires() {
    let (clock, registry, tasks) = (Clock::manual(100), Registry::default(), Tasks::current());
    let permit = Permit::enter(&registry, session(102));
    tasks.spawn(
        "expire",
        expire(clock.clone(), registry.clone(), tasks.stopping()),
    );
    for stands in [Ok(()), Err(Reason::CredentialExpired)] {
        clock.advance(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(permit.stands(), stands);
    }
    assert_eq!(tasks.shut_down(Duration::from_secs(1)).await, 0);
}
