//! Field masks (AIP-134): which fields an update changes.

use std::collections::BTreeSet;

use crate::domain::invalid::{Faults, reason};

/// The fields that a mask names out of `known`: those of them that are `populated` for an empty mask, all for `*`.
/// Unknown fields are noted as faults. Fields in `fixed` may be named; whether they change is checked elsewhere.
pub(super) fn resolve(
    mask: &[String],
    known: &[&'static str],
    fixed: &[&'static str],
    populated: impl Fn(&str) -> bool,
    faults: &mut Faults,
) -> BTreeSet<&'static str> {
    if mask.is_empty() {
        return known.iter().copied().filter(|f| populated(f)).collect();
    }
    let mut fields = BTreeSet::new();
    for path in mask {
        if path == "*" {
            fields.extend(known.iter().copied());
        } else if let Some(field) = known.iter().find(|field| *field == path) {
            fields.insert(*field);
        } else if !fixed.contains(&path.as_str()) {
            faults.add(
                "update_mask",
                reason::UNKNOWN_FIELD,
                format!(
                    "names `{path}`; what can be changed is {}",
                    known.join(", ")
                ),
            );
        }
    }
    fields
}
