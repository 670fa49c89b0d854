//! The Rust files of the workspace, split into production lines and tests. Text only: no rule here needs a parser.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

/// One file.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// Relative to the workspace, with `/`.
    pub(super) path: String,
    /// The lines, without their line ends.
    pub(super) lines: Vec<String>,
    /// The index of the line at which the inline test module begins; the number of lines where there is none.
    tests_from: usize,
    /// Whether a parent declares it under `#[cfg(test)]`.
    only_in_tests: bool,
}

const PACKAGES: &[&str] = &[
    "control-plane",
    "data-plane",
    "proto",
    "integration-tests",
    "xtask",
];

/// Reads every Rust file of the workspace, in the order of their paths.
pub(super) fn collect(root: &Path) -> anyhow::Result<Vec<Source>> {
    let mut paths = Vec::new();
    for package in PACKAGES {
        walk(&root.join(package), &["rs"], &mut paths)?;
    }
    paths.sort();
    let mut sources = paths
        .iter()
        .map(|path| {
            let text = fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let relative = path.strip_prefix(root).expect("found below the root");
            Ok(Source::new(&relative.to_string_lossy(), &text))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    mark_test_modules(&mut sources);
    Ok(sources)
}

/// Marks the files of modules that are declared under `#[cfg(test)]`, and of their children.
fn mark_test_modules(sources: &mut [Source]) {
    let modules: Vec<_> = sources.iter().flat_map(Source::test_modules).collect();
    for source in sources {
        let path = source.path.trim_end_matches(".rs");
        source.only_in_tests = modules.iter().any(|module| {
            path.strip_prefix(module.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
    }
}

/// Collects the files below a folder that have one of these extensions.
///
/// # Errors
/// When a folder cannot be read.
pub(super) fn walk(
    folder: &Path,
    extensions: &[&str],
    found: &mut Vec<PathBuf>,
) -> anyhow::Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                walk(&path, extensions, found)?;
            }
        } else if path
            .extension()
            .is_some_and(|extension| extensions.iter().any(|it| extension == *it))
        {
            found.push(path);
        }
    }
    Ok(())
}

// === impl Source ===

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        let tests_from = lines
            .iter()
            .zip(lines.iter().skip(1))
            .position(|(attribute, item)| {
                attribute.trim() == "#[cfg(test)]"
                    && item.starts_with("mod ")
                    && item.ends_with('{')
            })
            .unwrap_or(lines.len());
        Self {
            path: path.to_owned(),
            lines,
            tests_from,
            only_in_tests: false,
        }
    }

    /// The folder in which the files of child modules are.
    pub(super) fn children(&self) -> String {
        let (folder, name) = self
            .path
            .rsplit_once('/')
            .expect("every source is in a package");
        if self.is_root() || name == "mod.rs" {
            folder.to_owned()
        } else {
            format!("{folder}/{}", name.trim_end_matches(".rs"))
        }
    }

    /// Whether cargo finds the file by itself.
    pub(super) fn is_root(&self) -> bool {
        let parts: Vec<_> = self.path.rsplit('/').collect();
        match parts.as_slice() {
            ["lib.rs" | "main.rs" | "build.rs", ..] | [_, "bin", ..] => true,
            [
                _,
                folder @ ("tests" | "benches" | "examples" | "fuzz_targets"),
                ..,
            ] => !self.path.contains(&format!("/src/{folder}")),
            _ => false,
        }
    }

    /// The paths, without `.rs`, of the modules that are declared under `#[cfg(test)]`.
    fn test_modules(&self) -> Vec<String> {
        let pairs = self.lines.iter().zip(self.lines.iter().skip(1));
        pairs
            .filter(|(attribute, _)| attribute.trim() == "#[cfg(test)]")
            .filter_map(|(_, item)| module(item))
            .map(|name| format!("{}/{name}", self.children()))
            .collect()
    }

    /// Whether the whole file is test code.
    pub(super) fn is_test(&self) -> bool {
        let name = self
            .path
            .rsplit('/')
            .next()
            .expect("a path has a last part");
        self.only_in_tests
            || self.path.starts_with("integration-tests/")
            || ["/tests/", "/benches/", "/fuzz/", "/examples/"]
                .iter()
                .any(|folder| self.path.contains(folder))
            || matches!(name, "tests.rs" | "build.rs")
    }

    /// The lines of production code, numbered from 1; comments included.
    pub(super) fn production(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = if self.is_test() { 0 } else { self.tests_from };
        self.numbered(0, end)
    }

    /// The lines of test code, numbered from 1.
    pub(super) fn tests(&self) -> impl Iterator<Item = (usize, &str)> {
        let begin = if self.is_test() { 0 } else { self.tests_from };
        self.numbered(begin, self.lines.len())
    }

    /// How long the inline test module is.
    pub(super) fn inline_tests(&self) -> usize {
        self.lines.len() - self.tests_from
    }

    fn numbered(&self, begin: usize, end: usize) -> impl Iterator<Item = (usize, &str)> {
        self.lines[begin..end]
            .iter()
            .enumerate()
            .map(move |(index, line)| (begin + index + 1, line.as_str()))
    }
}

/// The name of the module that a line declares as a file.
pub(super) fn module(line: &str) -> Option<&str> {
    let mut item = line.trim_start();
    if let Some(rest) = item.strip_prefix("pub(") {
        item = rest.split_once(") ")?.1;
    }
    item.strip_prefix("pub ")
        .unwrap_or(item)
        .strip_prefix("mod ")?
        .strip_suffix(';')
}

/// The line without its comment; `//` inside a URL does not begin one.
pub(super) fn code(line: &str) -> &str {
    let mut from = 0;
    while let Some(found) = line[from..].find("//") {
        let at = from + found;
        if !line[..at].ends_with(':') {
            return &line[..at];
        }
        from = at + 2;
    }
    line
}

/// Whether the text has the word, not as a part of a longer identifier.
pub(super) fn has_word(text: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word).any(|(at, _)| {
        !part(text[..at].chars().next_back()) && !part(text[at + word.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::{Source, code, has_word, mark_test_modules};

    #[test]
    fn what_is_declared_for_tests_is_test_code_with_all_below_it() {
        let mut sources = [
            Source::new(
                "a/src/lib.rs",
                "//! A.\n#[cfg(test)]\npub(crate) mod b;\nmod bc;\n",
            ),
            Source::new("a/src/b.rs", "//! B.\nmod c;\n"),
            Source::new("a/src/b/c.rs", "//! C.\n"),
            Source::new("a/src/bc.rs", "//! D.\n"),
        ];
        mark_test_modules(&mut sources);
        assert_eq!(
            sources.map(|source| source.is_test()),
            [false, true, true, false]
        );
    }

    #[test]
    fn a_comment_is_cut_off_but_an_address_is_kept() {
        assert_eq!(code("let a = 1; // sled"), "let a = 1; ");
        assert_eq!(
            code(r#"let a = "https://x"; // y"#),
            r#"let a = "https://x"; "#
        );
    }

    #[test]
    fn a_word_is_not_found_inside_another() {
        assert!(has_word("use sled::Tree;", "sled"));
        assert!(!has_word("use sledge::Tree;", "sled"));
        assert!(!has_word("let unsled = 1;", "sled"));
    }

    #[test]
    fn production_ends_where_the_inline_tests_begin() {
        let source = Source::new(
            "a/src/b.rs",
            "//! B.\nfn b() {}\n#[cfg(test)]\nmod tests {\n}\n",
        );
        assert_eq!(source.production().count(), 2);
        assert_eq!(source.tests().count(), 3);
    }
}
