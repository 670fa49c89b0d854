//! Who may name whom. Each edge says why it is forbidden, because a rule without a reason is worked around.

use std::{fs, path::Path};

use anyhow::Context as _;

use super::{
    Fault,
    source::{Source, code, has_word},
};

struct Edge {
    /// What must not be named.
    words: &'static [&'static str],
    /// Below which folder the rule holds.
    within: &'static str,
    /// The beginnings of the paths that may name it all the same.
    but: &'static [&'static str],
    /// What to do instead.
    instead: &'static str,
}

const EDGES: &[Edge] = &[
    Edge {
        words: &["tidegate_data_plane"],
        within: "control-plane/",
        but: &[],
        instead: "the planes meet in `proto` only",
    },
    Edge {
        words: &["tidegate_control_plane"],
        within: "data-plane/",
        but: &[],
        instead: "the planes meet in `proto` only",
    },
    Edge {
        words: &["tidegate_control_plane", "tidegate_data_plane"],
        within: "proto/",
        but: &[],
        instead: "the contract knows no plane",
    },
    Edge {
        words: &["redis"],
        within: "",
        but: &["data-plane/src/quota", "integration-tests/", "xtask/"],
        instead: "the shared ledger below data-plane/src/quota is the only client of Redis",
    },
    Edge {
        words: &["sled"],
        within: "",
        but: &["control-plane/src/store", "xtask/"],
        instead: "go through the `Store` seam in control-plane/src/store",
    },
    Edge {
        words: &["anyhow"],
        within: "",
        but: &[
            "control-plane/src/main.rs",
            "control-plane/src/app",
            "data-plane/src/main.rs",
            "data-plane/src/app",
            "xtask/",
            "integration-tests/",
        ],
        instead: "give the module a thiserror enum; `anyhow` is for main, app, xtask and tests",
    },
    Edge {
        words: &["discovery::v1"],
        within: "",
        but: &[
            "proto/",
            "control-plane/src/discovery",
            "control-plane/src/projection",
            "data-plane/src/control",
            "data-plane/src/snapshot/decode",
            "data-plane/src/record/event",
            "integration-tests/",
            "xtask/",
        ],
        instead: "generated types stop at the edge: convert beside the domain type (discovery, projection, control, snapshot/decode)",
    },
    Edge {
        words: &["admin::v1"],
        within: "",
        but: &[
            "proto/",
            "control-plane/src/admin",
            "integration-tests/",
            "xtask/",
        ],
        instead: "generated types of the admin API stop in control-plane/src/admin",
    },
    Edge {
        words: &[
            "tokio",
            "std::fs",
            "std::net::TcpStream",
            "SystemTime::now",
            "Instant::now",
            "Timestamp::now",
            "Zoned::now",
            "tracing",
        ],
        within: "control-plane/src/domain",
        but: &[],
        instead: "the domain does no I/O and has no clock: take the value as a parameter",
    },
    Edge {
        words: &[
            "crate::store",
            "crate::discovery",
            "crate::admin",
            "crate::oauth",
            "crate::portal",
            "crate::service",
        ],
        within: "control-plane/src/domain",
        but: &[],
        instead: "the domain knows nobody: turn the dependency round",
    },
    Edge {
        words: &["crate::store"],
        within: "control-plane/src/admin",
        but: &[],
        instead: "surfaces go through `service`, never to the store",
    },
    Edge {
        words: &["crate::store", "crate::admin"],
        within: "control-plane/src/portal",
        but: &[],
        instead: "surfaces go through `service`, never to the store, and not through one another",
    },
    Edge {
        words: &["crate::portal"],
        within: "control-plane/src/service",
        but: &[],
        instead: "use cases know no surface: turn the dependency round",
    },
    Edge {
        words: &["askama", "ammonia", "pulldown_cmark"],
        within: "",
        but: &["control-plane/src/portal", "xtask/src/tidy/"],
        instead: "pages are made in control-plane/src/portal alone",
    },
];

/// The edges that one file crosses in production code.
pub(super) fn faults(source: &Source) -> Vec<Fault> {
    let mut faults = Vec::new();
    for edge in EDGES {
        if !source.path.starts_with(edge.within)
            || edge.but.iter().any(|but| source.path.starts_with(but))
        {
            continue;
        }
        for (number, line) in source.production() {
            if let Some(word) = edge.words.iter().find(|word| has_word(code(line), word)) {
                faults.push(Fault {
                    at: format!("{}:{number}", source.path),
                    message: format!("must not name `{word}`: {}", edge.instead),
                });
            }
        }
    }
    faults
}

/// The edges between packages, as their manifests give them.
pub(super) fn manifests(root: &Path) -> anyhow::Result<Vec<Fault>> {
    let edges = [
        ("control-plane", &["tidegate-data-plane", "redis"][..]),
        ("data-plane", &["tidegate-control-plane", "sled"]),
        (
            "proto",
            &[
                "tidegate-control-plane",
                "tidegate-data-plane",
                "sled",
                "redis",
            ],
        ),
        (
            "proto/kit",
            &[
                "tidegate-control-plane",
                "tidegate-data-plane",
                "sled",
                "redis",
            ],
        ),
    ];
    let mut faults = Vec::new();
    for (package, forbidden) in edges {
        let path = format!("{package}/Cargo.toml");
        let text =
            fs::read_to_string(root.join(&path)).with_context(|| format!("cannot read {path}"))?;
        for (index, line) in text.lines().enumerate() {
            let name = line
                .split(['=', '.', ' '])
                .next()
                .expect("a split has a first part");
            if forbidden.contains(&name) {
                faults.push(Fault {
                    at: format!("{path}:{}", index + 1),
                    message: format!("must not depend on `{name}`; see docs/ARCHITECTURE.md"),
                });
            }
        }
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::{Source, faults};

    fn check(path: &str, line: &str) -> usize {
        faults(&Source::new(path, &format!("//! X.\n{line}\n"))).len()
    }

    #[test]
    fn an_edge_is_a_fault_outside_of_where_it_is_allowed() {
        assert_eq!(check("control-plane/src/store/sled.rs", "use sled::Db;"), 0);
        assert_eq!(check("control-plane/src/service.rs", "use sled::Db;"), 1);
        assert_eq!(
            check(
                "control-plane/src/domain/api.rs",
                "let t = SystemTime::now();"
            ),
            1
        );
        assert_eq!(check("data-plane/src/relay.rs", "use anyhow::Context;"), 1);
        assert_eq!(check("data-plane/src/app.rs", "use anyhow::Context;"), 0);
    }

    #[test]
    fn a_comment_and_a_test_may_name_anything() {
        assert_eq!(check("data-plane/src/relay.rs", "// unlike redis"), 0);
        assert_eq!(
            check(
                "data-plane/src/relay.rs",
                "#[cfg(test)]\nmod tests {\n use anyhow::Ok;\n}"
            ),
            0
        );
    }
}
