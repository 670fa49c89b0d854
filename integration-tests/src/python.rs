//! Python programs with the `websockets` package: a client and a backend that are independent of this project.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::process::{self, Process};

/// The interpreter that `cargo xtask test` prepared.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn interpreter() -> PathBuf {
    if let Some(python) = std::env::var_os("XTASK_PYTHON") {
        return python.into();
    }
    // target/<profile>/deps/<this test>
    let own = std::env::current_exe().expect("a test knows its own program");
    let target = own
        .ancestors()
        .nth(3)
        .expect("a test lies three folders below the target directory");
    let python = target.join("python/bin/python");
    assert!(
        python.is_file(),
        "{} is not there: run `cargo xtask test`, which makes it",
        python.display()
    );
    python
}

/// Where a program is.
#[must_use]
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("python")
        .join(name)
}

/// The script of axe-core, which is part of one of the packages.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn axe() -> String {
    let python = interpreter();
    let folder = python.ancestors().nth(2);
    let library = folder.expect("the interpreter lies in bin").join("lib");
    let versions = fs::read_dir(&library).expect("an environment has a library");
    let path = versions
        .filter_map(Result::ok)
        .map(|version| {
            version
                .path()
                .join("site-packages/axe_playwright_python/axe.min.js")
        })
        .find(|path| path.is_file());
    let path = path.expect("axe-core is there: `cargo xtask test` brings it");
    fs::read_to_string(path).expect("a script can be read")
}

fn command(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(interpreter());
    process::scrub(&mut command);
    command.arg("-u").arg(script(name)).args(arguments);
    command
}

/// Starts a server and waits until it has printed its address.
///
/// # Panics
/// When it doesn't.
pub async fn serve(name: &str, folder: &Path, arguments: &[&str]) -> (Process, String) {
    let ready = folder.join(format!("{name}.ready.json"));
    let mut command = command(name, arguments);
    command.arg("--ready-file").arg(&ready);
    let mut process = Process::start(name, folder, command);
    let url = process.ready(&ready).await;
    (process, url)
}

/// Runs a program to its end and returns what it wrote to stdout.
///
/// # Panics
/// When it fails.
pub async fn run(name: &str, arguments: &[&str]) -> String {
    let mut command = command(name, arguments);
    command.stdin(Stdio::null());
    let running = tokio::process::Command::from(command)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(crate::wait::DEADLINE * 3, running)
        .await
        .unwrap_or_else(|_| panic!("{name} does not end"))
        .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
    assert!(
        output.status.success(),
        "{name} failed ({}):\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
