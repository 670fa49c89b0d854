//! Checks that each package compiles on its own. A build of the whole workspace unifies the features of all packages,
//! so a package that forgets to enable a feature compiles there, and fails only when it's built alone. Called by `ci`.

use anyhow::Context as _;
use serde::Deserialize;

use crate::workspace::{cargo, step};

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
}

/// Checks each package twice: first without the features that its dev-dependencies add, as its dependents build it,
/// then with its tests and examples. Cargo reuses most dependencies from the lints before.
///
/// # Errors
/// The first package that doesn't compile alone.
pub fn run() -> anyhow::Result<()> {
    for package in packages()? {
        for targets in [None, Some("--all-targets")] {
            let name = format!("{package} alone {}", targets.unwrap_or_default());
            let mut check = cargo();
            check.args(["check", "--quiet", "--package", &package]);
            step(name.trim_end(), check.args(targets))?;
        }
    }
    Ok(())
}

/// The packages of the workspace.
fn packages() -> anyhow::Result<Vec<String>> {
    let mut listing = cargo();
    listing.args(["metadata", "--no-deps", "--format-version", "1"]);
    let listed = listing.output().context("cannot start `cargo metadata`")?;
    anyhow::ensure!(
        listed.status.success(),
        "`cargo metadata` failed: {}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let metadata: Metadata = serde_json::from_slice(&listed.stdout)
        .context("`cargo metadata` has an unknown output format")?;
    Ok(metadata.packages.into_iter().map(|it| it.name).collect())
}

#[cfg(test)]
mod tests {
    use super::packages;

    #[test]
    fn every_package_of_the_workspace_is_checked() {
        let packages = packages().unwrap();
        for name in ["tidegate-control-plane", "tidegate-data-plane", "xtask"] {
            assert!(packages.iter().any(|it| it == name), "{packages:?}");
        }
    }
}
