//! How a file looks: its header, its place in the module tree, its tests, its open ends.

use std::collections::HashSet;

use super::{
    Fault,
    source::{Source, code, has_word, module},
};

/// Inline test modules longer than this belong into a file of their own.
const INLINE_TESTS: usize = 100;

/// The only places where a test helper may wait for time to pass: they poll a condition against a deadline.
const MAY_SLEEP: &[&str] = &["integration-tests/src/wait.rs", "data-plane/src/testing.rs"];

/// What is wrong with one file.
pub(super) fn faults(source: &Source) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut fault = |line: usize, message: String| {
        faults.push(Fault {
            at: format!("{}:{line}", source.path),
            message,
        });
    };
    if !source
        .lines
        .first()
        .is_some_and(|line| line.starts_with("//! "))
    {
        fault(
            1,
            "begin with a `//!` header: what it owns, what it refuses to own, who calls it".into(),
        );
    }
    if source.path.ends_with("/mod.rs") {
        fault(
            1,
            "name the file after the module and put it beside the folder, not mod.rs".into(),
        );
    }
    // The rules' own text would break them.
    if source.path.starts_with("xtask/src/tidy/") {
        return faults;
    }
    if source.inline_tests() > INLINE_TESTS && !source.is_test() {
        let lines = source.inline_tests();
        fault(
            source.lines.len() - lines + 1,
            format!(
                "{lines} lines of inline tests: move them to tests.rs below the module's folder"
            ),
        );
    }
    for (index, line) in source.lines.iter().enumerate() {
        if line.trim_start().starts_with("#[path") {
            fault(
                index + 1,
                "no `#[path]`: put the file where its module belongs".into(),
            );
        }
        for word in ["TODO", "FIXME", "XXX"] {
            if has_word(line, word) && !line.contains(&format!("{word}(#")) {
                fault(
                    index + 1,
                    format!("`{word}` without an issue: write `{word}(#12)` or do it"),
                );
            }
        }
    }
    let paused = source
        .lines
        .iter()
        .any(|line| line.contains("start_paused"));
    for (number, line) in source.tests() {
        let text = code(line);
        for attribute in ["#[ignore", "#[should_panic"] {
            if text.trim_start().starts_with(attribute) {
                fault(
                    number,
                    format!("no `{attribute}]`: a test runs, and says what it expects"),
                );
            }
        }
        let sleeps = text.contains("thread::sleep(")
            || (!paused
                && (text.contains("time::sleep(") || text.trim_start().starts_with("sleep(")));
        if sleeps && !MAY_SLEEP.contains(&source.path.as_str()) {
            fault(
                number,
                "no sleep in a test: wait for a condition with a deadline, or pause time".into(),
            );
        }
    }
    faults
}

/// Files that no `mod` leads to: they are not compiled, and nobody notices.
pub(super) fn orphans(sources: &[Source]) -> Vec<Fault> {
    let reached: HashSet<String> = sources
        .iter()
        .flat_map(|source| {
            let folder = source.children();
            let modules = source.lines.iter().filter_map(|line| module(line));
            modules.flat_map(move |name| {
                [
                    format!("{folder}/{name}.rs"),
                    format!("{folder}/{name}/mod.rs"),
                ]
            })
        })
        .collect();
    sources
        .iter()
        .filter(|source| !source.is_root() && !reached.contains(&source.path))
        .map(|source| Fault {
            at: source.path.clone(),
            message: "no `mod` leads here, so it is never compiled: declare it or delete it".into(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Source, faults, orphans};

    fn check(path: &str, text: &str) -> Vec<String> {
        faults(&Source::new(path, text))
            .into_iter()
            .map(|fault| fault.message)
            .collect()
    }

    #[test]
    fn asks_for_a_header() {
        assert_eq!(check("a/src/b.rs", "use c;\n").len(), 1);
        assert!(check("a/src/b.rs", "//! B.\nuse c;\n").is_empty());
    }

    #[test]
    fn finds_what_a_test_must_not_do() {
        for line in [
            "#[ignore]",
            "#[should_panic]",
            "std::thread::sleep(a);",
            "tokio::time::sleep(a).await;",
        ] {
            assert_eq!(
                check("a/tests/b.rs", &format!("//! B.\n{line}\n")).len(),
                1,
                "{line}"
            );
        }
        let paused = "//! B.\n#[tokio::test(start_paused = true)]\ntokio::time::sleep(a).await;\n";
        assert!(check("a/tests/b.rs", paused).is_empty());
    }

    #[test]
    fn an_open_end_needs_an_issue() {
        assert_eq!(check("a/src/b.rs", "//! B.\n// TODO: more\n").len(), 1);
        assert!(check("a/src/b.rs", "//! B.\n// TODO(#3): more\n").is_empty());
    }

    #[test]
    fn finds_a_file_that_no_module_declares() {
        let sources = [
            Source::new("a/src/lib.rs", "//! A.\npub mod b;\n"),
            Source::new(
                "a/src/b.rs",
                "//! B.\npub(crate) mod c;\n#[cfg(test)]\nmod tests;\n",
            ),
            Source::new("a/src/b/c.rs", "//! C.\n"),
            Source::new("a/src/b/tests.rs", "//! T.\n"),
            Source::new("a/src/b/d.rs", "//! D.\n"),
        ];
        let found: Vec<_> = orphans(&sources)
            .into_iter()
            .map(|fault| fault.at)
            .collect();
        assert_eq!(found, ["a/src/b/d.rs"]);
    }
}
