//! `cargo xtask tidy`: the rules of layout and layering that no compiler checks. Faults fail the build and say what to
//! do; sizes are only printed. Also a test, so that `cargo test` and CI agree.

mod source;
mod layers;
mod layout;
mod imports;
mod stages;
mod circles;
mod type_names;
mod dialect;

use std::{path::Path, process::ExitCode};

use crate::workspace;

use source::Source;

/// A broken rule: where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, relative to the workspace, with the line where there is one.
    pub at: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Files with more production lines than this are worth looking at.
const LARGE: usize = 400;

/// Checks the workspace and prints faults and sizes.
///
/// # Errors
/// When a source file cannot be read.
pub fn run() -> anyhow::Result<ExitCode> {
    eprintln!("==> tidy");
    let sources = source::collect(&workspace::root())?;
    print_sizes(&sources);
    let faults = faults(&workspace::root(), &sources)?;
    for fault in &faults {
        eprintln!("tidy: {}: {}", fault.at, fault.message);
    }
    if faults.is_empty() {
        eprintln!("    tidy: {} files, nothing to say", sources.len());
        Ok(ExitCode::SUCCESS)
    } else {
        eprintln!("tidy: {} faults", faults.len());
        Ok(ExitCode::FAILURE)
    }
}

fn faults(root: &Path, sources: &[Source]) -> anyhow::Result<Vec<Fault>> {
    let mut faults: Vec<_> = sources
        .iter()
        .flat_map(|source| {
            let mut faults = layers::faults(source);
            faults.extend(layout::faults(source));
            faults
        })
        .collect();
    faults.extend(layout::orphans(sources));
    faults.extend(layers::manifests(root)?);
    faults.extend(stages::faults(sources));
    faults.extend(circles::faults(sources));
    faults.extend(type_names::faults(sources));
    faults.extend(dialect::faults(root)?);
    faults.sort_by(|a, b| a.at.cmp(&b.at));
    Ok(faults)
}

fn print_sizes(sources: &[Source]) {
    let production: Vec<_> = sources.iter().filter(|source| !source.is_test()).collect();
    let total: usize = production
        .iter()
        .map(|source| source.production().count())
        .sum();
    let mut large: Vec<_> = production
        .iter()
        .map(|source| (source.production().count(), &source.path))
        .filter(|(lines, _)| *lines > LARGE)
        .collect();
    large.sort_unstable_by(|a, b| b.cmp(a));
    let inside: usize = large.iter().map(|(lines, _)| lines).sum();
    let share = 100.0 * inside as f64 / total.max(1) as f64;
    eprintln!("    {total} production lines; {share:.0} % of them in files over {LARGE}");
    for (lines, path) in large {
        eprintln!("    {lines:5} {path}");
    }
}

#[cfg(test)]
mod tests {
    use super::{faults, source};
    use crate::workspace;

    #[test]
    fn the_workspace_is_tidy() {
        let sources = source::collect(&workspace::root()).unwrap();
        assert!(sources.len() > 10, "the sources were not found");
        let faults = faults(&workspace::root(), &sources).unwrap();
        let text: Vec<_> = faults
            .iter()
            .map(|fault| format!("{}: {}", fault.at, fault.message))
            .collect();
        assert!(text.is_empty(), "\n{}", text.join("\n"));
    }
}
