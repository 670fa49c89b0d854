//! Commits of all sizes, and what a store holds after them.

use std::collections::BTreeMap;

use tidegate_proto::revision::RevisionNumber;

use crate::store::{
    change::{Change, Contents, Meta},
    migrate,
    record::{audit_key, frame},
};

/// The commit with a number: a small one over a few keys, and now and then one that is larger than a page of sled's.
pub(super) fn change(number: u64) -> Change {
    let key = format!("record/{}", number % 5);
    let size = if number % 4 == 3 { 400_000 } else { 700 };
    let text = format!("{number} {}", "x".repeat(size));
    Change {
        meta: Meta {
            format: migrate::FORMAT,
            number: RevisionNumber::new(number),
            records: number.min(5),
        },
        writes: [(key.clone(), Some(frame(&key, &text)))].into(),
        audit: frame(&audit_key(number), &format!("entry {number}")),
    }
}

/// Everything that a store holds after the commits up to a number.
pub(super) fn contents(number: u64) -> Option<Contents> {
    let mut records = BTreeMap::new();
    let mut audit = BTreeMap::new();
    for number in 1..=number {
        let change = change(number);
        records.extend(change.writes.into_iter().map(|(k, v)| (k, v.unwrap())));
        audit.insert(number, change.audit);
    }
    (number > 0).then(|| Contents {
        meta: change(number).meta,
        records,
        audit,
    })
}
