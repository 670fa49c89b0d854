//! The order of the data plane: shared modules at the bottom, then the stages of a connection's path, then what joins
//! them. A module imports only what stands before it in the list, so that each stage can be read without the later ones.

use super::{
    Fault,
    imports::{Import, imports},
    source::Source,
};

const FOLDER: &str = "data-plane/src";

/// From the bottom to the top. An entry decides about the modules below it as well, unless they have one of their own.
const ORDER: &[&str] = &[
    // Shared by everything.
    "config",
    "message",
    "metrics",
    "socket",
    "snapshot",
    "session::id",
    // The stages of the path, with the shared modules that need them.
    "listen",
    "handshake",
    "route",
    "auth",
    "quota",
    "session",
    "admit",
    "upstream",
    "relay",
    "record",
    // What joins the stages, and what goes on beside the path.
    "connection",
    "rejudge",
    "control",
    "admin",
    "drain",
    "app",
];

/// Imports of the data plane from an earlier stage to a later one, and modules without a place in the order.
pub(super) fn faults(sources: &[Source]) -> Vec<Fault> {
    let imports = imports(sources, FOLDER);
    imports.iter().filter_map(fault).collect()
}

fn fault(import: &Import) -> Option<Fault> {
    let Import { from, to, at } = import;
    // The root of the crate declares the modules and names nothing in them.
    if from.is_empty() || to.is_empty() || top(from) == top(to) {
        return None;
    }
    let message = match (entry(from), entry(to)) {
        (Some(below), Some(above)) if below < above => format!(
            "`{from}` must not import `{to}`, which stands above it ({} before {}): move what both need below them; xtask/src/tidy/stages.rs has the order",
            ORDER[below], ORDER[above]
        ),
        (Some(_), Some(_)) => return None,
        (None, _) => format!("`{from}` has no place in the order of xtask/src/tidy/stages.rs"),
        (_, None) => format!("`{to}` has no place in the order of xtask/src/tidy/stages.rs"),
    };
    let at = at.clone();
    Some(Fault { at, message })
}

fn top(module: &str) -> &str {
    module.split("::").next().unwrap_or(module)
}

/// The index of the longest entry that a module is, or is below.
fn entry(module: &str) -> Option<usize> {
    let mut of = module;
    loop {
        if let Some(index) = ORDER.iter().position(|it| *it == of) {
            return Some(index);
        }
        of = of.rsplit_once("::")?.0;
    }
}

#[cfg(test)]
mod tests {
    use super::{FOLDER, Source, faults};

    fn check(from: &str, text: &str) -> usize {
        let modules = [
            "auth",
            "relay",
            "relay/pump",
            "session",
            "session/id",
            "new",
        ];
        let sources: Vec<_> = modules
            .iter()
            .map(|module| {
                let text = if *module == from { text } else { "" };
                Source::new(&format!("{FOLDER}/{module}.rs"), text)
            })
            .collect();
        faults(&sources).len()
    }

    #[test]
    fn an_import_from_an_earlier_stage_to_a_later_one_is_a_fault() {
        assert_eq!(check("auth", "use crate::relay::pump::Pump;"), 1);
        assert_eq!(check("relay/pump", "use crate::auth::Principal;"), 0);
    }

    #[test]
    fn a_part_of_a_module_may_stand_lower_than_the_module() {
        assert_eq!(check("auth", "use crate::session::id::SessionId;"), 0);
        assert_eq!(check("auth", "use crate::session::Session;"), 1);
    }

    #[test]
    fn a_module_without_a_place_is_a_fault() {
        assert_eq!(check("auth", "use crate::new::New;"), 1);
    }
}
