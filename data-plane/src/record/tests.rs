//! That one line and one set of counts leave, however a connection is dropped.

use std::sync::Arc;

use tidegate_proto::reason::Reason;

use super::{Record, SessionId};
use crate::{
    admit::permit::Permit,
    listen::peer::Peer,
    metrics::Metrics,
    session::registry::{Registry, tests::session},
    testing::Log,
};

fn begin(metrics: &Arc<Metrics>) -> Record {
    let peer = Peer {
        address: ([192, 0, 2, 1], 1234).into(),
        secure: false,
    };
    Record::begin(metrics, SessionId::generate(1), peer, false)
}

#[test]
fn what_is_dropped_without_a_word_is_a_fault_of_the_gateway() {
    let (log, metrics) = (Log::start(), Arc::default());
    drop(begin(&metrics));
    let lines = log.access();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["reason"], "gateway_fault");
    assert_eq!(lines[0]["side"], "gateway");
}

#[test]
fn a_session_that_is_not_waited_for_is_recorded_with_what_it_was_told() {
    let (log, metrics) = (Log::start(), Arc::default());
    let permit = Permit::enter(&Registry::default(), session(10));
    let mut record = begin(&metrics);
    record.opened(permit.handle());
    assert_eq!(metrics.open_sessions(), 1);
    permit.session().end(Reason::Draining);
    drop(record);
    let lines = log.access();
    assert_eq!(lines.len(), 1);
    assert_eq!(
        (&lines[0]["reason"], &lines[0]["status"]),
        (&"draining".into(), &101.into())
    );
    assert_eq!(metrics.open_sessions(), 0);
}

#[test]
fn ids_sort_by_age_and_differ_within_a_millisecond() {
    let (older, newer) = (SessionId::generate(1), SessionId::generate(2));
    assert!(older < newer && older.to_string() < newer.to_string());
    assert_ne!(SessionId::generate(1), SessionId::generate(1));
    assert_eq!(older.to_string().len(), 32);
}
