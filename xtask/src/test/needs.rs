//! What the tests need beside the workspace: programs from the system's packages, and a Python environment with a
//! WebSocket library and a judge of pages that this project did not write.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};

use crate::{
    browser,
    workspace::{has, step, target},
};

/// A program and the package that brings it: on Debian and Ubuntu, Fedora, Alpine, Arch, and with Homebrew.
struct Need {
    program: &'static str,
    packages: [&'static str; 5],
}

const NEEDS: &[Need] = &[
    Need {
        program: "redis-server",
        packages: ["redis-server", "redis", "redis", "redis", "redis"],
    },
    Need {
        program: "python3",
        packages: ["python3", "python3", "python3", "python", "python"],
    },
    Need {
        program: "curl",
        packages: ["curl"; 5],
    },
    Need {
        program: "jq",
        packages: ["jq"; 5],
    },
    // The test of power failures records what a process writes and syncs.
    Need {
        program: "strace",
        packages: ["strace"; 5],
    },
    Need {
        program: browser::PROGRAMS[0],
        packages: ["chromium"; 5],
    },
];

/// The programs that install packages, in the order of `Need::packages`, and how they do it unasked.
const INSTALLERS: [(&str, &[&str]); 5] = [
    ("apt-get", &["install", "--yes", "--no-install-recommends"]),
    ("dnf", &["install", "--assumeyes"]),
    ("apk", &["add"]),
    ("pacman", &["--sync", "--noconfirm"]),
    ("brew", &["install"]),
];

/// Where packages put the library with which a process sees another time than its machine's.
const FAKETIME: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// What the Python environment holds; a change here makes it anew. The second brings the script of axe-core, which looks
/// for what people with disabilities could not use; the driver of browsers that it is made for is left out.
const PYTHON_PACKAGES: &[&str] = &["websockets==17.4", "axe-playwright-python==0.1.8"];

/// Brings everything and returns the Python interpreter of the environment.
pub(super) fn provide() -> anyhow::Result<PathBuf> {
    for need in NEEDS {
        if !is_here(need.program) {
            install(need.program, need.packages)?;
        }
    }
    if cfg!(target_os = "linux") && faketime().is_none() {
        install("libfaketime", ["libfaketime"; 5])?;
    }
    python()
}

fn is_here(program: &str) -> bool {
    let is_browser = browser::PROGRAMS.contains(&program);
    has(program)
        || Path::new("/usr/sbin").join(program).is_file()
        || is_browser && browser::PROGRAMS.iter().any(|other| has(other))
}

/// The library with which a process sees another time than its machine's.
#[must_use]
pub fn faketime() -> Option<&'static Path> {
    FAKETIME
        .map(Path::new)
        .into_iter()
        .find(|path| path.is_file())
}

/// What to type to have a program that the tests need.
pub(crate) fn advice(program: &str) -> String {
    let need = NEEDS.iter().find(|need| need.program == program);
    let installer = INSTALLERS.iter().zip(0..).find(|((name, _), _)| has(name));
    match (need, installer) {
        (Some(need), Some(((name, arguments), index))) => {
            format!(
                "`{name} {} {}` brings it",
                arguments.join(" "),
                need.packages[index]
            )
        }
        _ => format!("install {program}"),
    }
}

fn install(what: &str, packages: [&str; 5]) -> anyhow::Result<()> {
    let Some(index) = INSTALLERS.iter().position(|(installer, _)| has(installer)) else {
        bail!("the tests need {what}: install it and run this again");
    };
    let (installer, arguments) = INSTALLERS[index];
    let package = packages[index];
    let line = format!("{installer} {} {package}", arguments.join(" "));
    let Some(prefix) = privilege(installer) else {
        bail!("the tests need {what}: run `sudo {line}` and then this again");
    };
    if installer == "apt-get" {
        let mut update = command(prefix, installer);
        step(
            "package lists: apt-get update",
            update.args(["update", "--quiet"]),
        )?;
    }
    let mut command = command(prefix, installer);
    step(
        &format!("install {what}: {line}"),
        command
            .args(arguments)
            .arg(package)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
    .with_context(|| format!("the tests need {what}: install it and run this again"))
}

/// What stands before the installer: nothing for root and Homebrew, `sudo` where it asks nothing, else no way.
fn privilege(installer: &str) -> Option<&'static [&'static str]> {
    let quiet = |program: &str, arguments: &[&str]| {
        Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
    };
    let root = quiet("id", &["-u"]).is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    if root || installer == "brew" {
        return Some(&[]);
    }
    let sudo = quiet("sudo", &["--non-interactive", "true"]).is_ok_and(|o| o.status.success());
    sudo.then_some(&[
        "sudo",
        "--non-interactive",
        "--preserve-env=DEBIAN_FRONTEND",
    ])
}

fn command(prefix: &[&str], program: &str) -> Command {
    let mut words = prefix.iter().copied().chain([program]);
    let mut command = Command::new(words.next().expect("the program itself is a word"));
    command.args(words).stdin(Stdio::null());
    command
}

/// An environment below `target/`, so that nothing outside of the workspace changes.
fn python() -> anyhow::Result<PathBuf> {
    let folder = target().join("python");
    let python = folder.join("bin/python");
    let stamp = folder.join("packages.txt");
    let wanted = PYTHON_PACKAGES.join("\n");
    if fs::read_to_string(&stamp).is_ok_and(|held| held == wanted) && python.is_file() {
        return Ok(python);
    }
    let make = || {
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv", "--clear"]).arg(&folder);
        step("python environment", venv.stdin(Stdio::null()))
    };
    if make().is_err() {
        // Debian ships the module apart from the interpreter.
        let package = ["python3-venv", "python3", "python3", "python", "python"];
        install("Python's venv module", package)?;
        make()?;
    }
    let mut pip = Command::new(&python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--disable-pip-version-check",
    ]);
    step(
        &format!("python packages: {}", PYTHON_PACKAGES.join(" ")),
        pip.args(PYTHON_PACKAGES).stdin(Stdio::null()),
    )?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(python)
}
