//! The suite's verdicts, case by case: read, compared, and written down.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, ensure};

/// The verdict of every case of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdicts(BTreeMap<Case, String>);

/// A case's id, in the order of its numbers: 1.2 before 1.10.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Case(Vec<u32>);

/// The same cases, straight and through the gateway.
#[derive(Clone, Debug)]
pub(super) struct Comparison {
    pub(super) title: &'static str,
    pub(super) direct: Verdicts,
    pub(super) through: Verdicts,
}

const GROUPS: &[(u32, &str)] = &[
    (1, "framing"),
    (2, "pings and pongs"),
    (3, "reserved bits"),
    (4, "opcodes"),
    (5, "fragmentation"),
    (6, "UTF-8"),
    (7, "closing"),
    (9, "limits"),
    (10, "miscellaneous"),
    (12, "permessage-deflate, payloads"),
    (13, "permessage-deflate, parameters"),
];

const KINDS: &[&str] = &[
    "OK",
    "NON-STRICT",
    "INFORMATIONAL",
    "UNIMPLEMENTED",
    "FAILED",
];

// === impl Verdicts ===

impl Verdicts {
    /// Reads `results.tsv`: id and verdict are the first two columns.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let verdicts = Self::parse(&text);
        ensure!(
            !verdicts.0.is_empty(),
            "{} has no case in it",
            path.display()
        );
        Ok(verdicts)
    }

    fn parse(text: &str) -> Self {
        let rows = text.lines().filter_map(|line| {
            let mut columns = line.split('\t');
            let numbers = columns.next()?.split('.').map(str::parse);
            let case = Case(numbers.collect::<Result<_, _>>().ok()?);
            Some((case, columns.next()?.to_owned()))
        });
        Self(rows.collect())
    }

    fn count(&self, group: u32, verdict: &str) -> usize {
        let in_group = self
            .0
            .iter()
            .filter(|(case, _)| case.0.first() == Some(&group));
        in_group.filter(|(_, got)| got.as_str() == verdict).count()
    }

    /// `OK 240, INFORMATIONAL 3` for one group.
    fn in_words(&self, group: u32) -> String {
        let counts = KINDS.iter().map(|kind| (kind, self.count(group, kind)));
        let words: Vec<_> = counts
            .filter(|(_, count)| *count > 0)
            .map(|(kind, count)| format!("{kind} {count}"))
            .collect();
        words.join(", ")
    }
}

// === impl Comparison ===

impl Comparison {
    /// Whether every case has the same verdict.
    pub(super) fn is_same(&self) -> bool {
        self.direct == self.through
    }

    /// The cases whose verdicts differ, with both.
    fn differing(&self) -> Vec<String> {
        let cases = self.direct.0.keys().chain(self.through.0.keys());
        let mut cases: Vec<_> = cases.collect();
        cases.sort();
        cases.dedup();
        let verdict = |verdicts: &Verdicts, case: &Case| {
            verdicts
                .0
                .get(case)
                .cloned()
                .unwrap_or_else(|| "not run".to_owned())
        };
        cases
            .into_iter()
            .map(|case| {
                (
                    case,
                    verdict(&self.direct, case),
                    verdict(&self.through, case),
                )
            })
            .filter(|(_, direct, through)| direct != through)
            .map(|(case, direct, through)| {
                format!("{case}: {direct} direct, {through} through the gateway")
            })
            .collect()
    }

    /// A line for the terminal, and one for each case that differs.
    pub(super) fn summary(&self) -> String {
        let differing = self.differing();
        let mut text = format!(
            "conformance: {}: {} of {} cases differ\n",
            self.title,
            differing.len(),
            self.direct.0.len()
        );
        for line in differing {
            writeln!(text, "  {line}").expect("a string takes every write");
        }
        text
    }

    fn table(&self) -> String {
        let mut text = format!(
            "## {}\n\n| group | cases | straight | through the gateway | differ |\n|---|---|---|---|---|\n",
            self.title
        );
        let differing = self.differing();
        for (group, name) in GROUPS {
            let cases: usize = KINDS
                .iter()
                .map(|kind| self.direct.count(*group, kind))
                .sum();
            let prefix = format!("{group}.");
            let differ = differing
                .iter()
                .filter(|line| line.starts_with(&prefix))
                .count();
            if cases > 0 {
                writeln!(
                    text,
                    "| {group} {name} | {cases} | {} | {} | {differ} |",
                    self.direct.in_words(*group),
                    self.through.in_words(*group),
                )
                .expect("a string takes every write");
            }
        }
        writeln!(
            text,
            "| **all** | {} | | | **{}** |",
            self.direct.0.len(),
            differing.len()
        )
        .expect("a string takes every write");
        for line in differing {
            write!(text, "\n- {line}").expect("a string takes every write");
        }
        text
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let numbers: Vec<_> = self.0.iter().map(u32::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

/// docs/CONFORMANCE.md.
pub(super) fn document(comparisons: &[Comparison], quick: bool) -> String {
    let tables: Vec<_> = comparisons.iter().map(Comparison::table).collect();
    let (selection, flag) = if quick {
        (
            "its quick selection: every case, 10 messages instead of 1,000 in those about compression",
            " --quick",
        )
    } else {
        ("the whole suite", "")
    };
    format!(
        "# Conformance\n\n\
         The Autobahn WebSocket test suite, once straight at a backend and once through the gateway. A gateway that\n\
         changes nothing changes no verdict.\n\n\
         Written by `cargo xtask conformance{flag} --write`: {selection}.\n\
         The suite is not a part of this repository; `--suite` names the folder of its runner. Frame by frame, what the\n\
         gateway does with every kind of legal and illegal frame is also in `integration-tests/tests/all/frames.rs` and\n\
         `conformance.rs`, which need no suite.\n\n\
         INFORMATIONAL cases have no right answer; they are the same three in both runs.\n\n{}\n",
        tables.join("\n\n")
    )
}

#[cfg(test)]
mod tests {
    use super::{Comparison, Verdicts};

    #[test]
    fn cases_whose_verdicts_differ_are_named_in_the_order_of_their_numbers() {
        let direct = Verdicts::parse("1.1.10\tOK\tx\n1.1.2\tOK\tx\n7.1.1\tOK\n");
        let through = Verdicts::parse("1.1.10\tFAILED\tx\n1.1.2\tNON-STRICT\tx\n");
        let comparison = Comparison {
            title: "both",
            direct,
            through,
        };
        let differing = comparison.differing();
        assert!(
            differing[0].starts_with("1.1.2: OK direct, NON-STRICT"),
            "{differing:?}"
        );
        assert!(
            differing[1].starts_with("1.1.10: OK direct, FAILED"),
            "{differing:?}"
        );
        assert!(
            differing[2].starts_with("7.1.1: OK direct, not run"),
            "{differing:?}"
        );
        assert!(!comparison.is_same());
        assert!(comparison.summary().contains("3 of 3 cases differ"));
        assert!(
            comparison
                .table()
                .contains("| 1 framing | 2 | OK 2 | NON-STRICT 1, FAILED 1 | 2 |")
        );
    }
}
