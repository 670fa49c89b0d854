//! Builds both planes and finds their programs. Cargo prints its own progress.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::Stdio,
};

use anyhow::{Context as _, bail};

use crate::workspace::{cargo, target};

const CONTROL_PLANE: &str = "tidegate-control-plane";
const DATA_PLANE: &str = "tidegate-data-plane";

/// Where the programs are.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    pub(crate) control_plane: PathBuf,
    pub(crate) data_plane: PathBuf,
}

/// Builds the planes, or finds the last build.
pub(crate) fn binaries(release: bool, no_build: bool) -> anyhow::Result<Binaries> {
    if no_build {
        return built(release);
    }
    eprintln!("building both planes; the first time takes a few minutes");
    let mut command = cargo();
    command.args(["build", "--message-format=json-render-diagnostics"]);
    command.args(["--package", CONTROL_PLANE, "--package", DATA_PLANE]);
    if release {
        command.arg("--release");
    }
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let stdout = child.stdout.take().expect("stdout was piped");
    // Cargo reports where the programs are, because the target directory can be set in several ways.
    let mut found = [None, None];
    for line in BufReader::new(stdout).lines() {
        let Ok(message) = serde_json::from_str::<serde_json::Value>(&line?) else {
            continue;
        };
        let (name, path) = (&message["target"]["name"], &message["executable"]);
        for (slot, wanted) in found.iter_mut().zip([CONTROL_PLANE, DATA_PLANE]) {
            if name == wanted
                && let Some(path) = path.as_str()
            {
                *slot = Some(PathBuf::from(path));
            }
        }
    }
    let status = child.wait().context("cannot wait for cargo")?;
    let ([Some(control_plane), Some(data_plane)], true) = (found, status.success()) else {
        bail!("the build failed ({status}); see above");
    };
    Ok(Binaries {
        control_plane,
        data_plane,
    })
}

fn built(release: bool) -> anyhow::Result<Binaries> {
    let folder = target().join(if release { "release" } else { "debug" });
    let find = |name: &str| {
        let path = folder.join(name);
        if path.is_file() {
            Ok(path)
        } else {
            bail!("{} was not built; leave out --no-build", path.display())
        }
    };
    Ok(Binaries {
        control_plane: find(CONTROL_PLANE)?,
        data_plane: find(DATA_PLANE)?,
    })
}
