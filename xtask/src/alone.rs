//! Whether each package compiles by itself. A build of the whole workspace joins the features that all packages ask
//! for, so that one which forgets to ask for a feature lives by what its neighbours ask for, until somebody builds it
//! alone. Called by `ci`.

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

/// Checks each package twice: what others get of it, without the features that its dev-dependencies add, and then its
/// tests and examples. Most dependencies are shared with the lints before, whose results cargo takes over.
///
/// # Errors
/// The first package that does not compile alone.
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
        .context("`cargo metadata` answers in a form that is not known")?;
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
