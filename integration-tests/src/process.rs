//! A process under test: started on free ports, killed when dropped, its log shown when the test fails.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;

use crate::wait;

/// A process, running or exited.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// The path of a program of this workspace.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    // target/<profile>/deps/<this test>
    let own = std::env::current_exe().expect("a test knows its own program");
    let profile = own
        .ancestors()
        .nth(2)
        .expect("a test lies two folders below the target directory");
    let path = profile.join(name);
    assert!(
        path.is_file(),
        "{} was not built: run `cargo xtask test`, or `cargo build --workspace --bins` first",
        path.display()
    );
    path
}

/// A command for a program of this workspace, without the settings in the user's environment. It ends when the thread
/// that starts it does, even if the tests are killed.
#[must_use]
pub fn command(name: &str) -> Command {
    leashed(&program(name))
}

/// The same for any program.
#[must_use]
pub fn leashed(path: &Path) -> Command {
    let mut command = Command::new(program("xtask"));
    command.args(["leash", "--parent", &std::process::id().to_string(), "--"]);
    command.arg(path);
    scrub(&mut command);
    command
}

/// Removes the user's settings from the environment of a process under test.
pub fn scrub(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TIDEGATE_") {
            command.env_remove(name);
        }
    }
}

// === impl Process ===

impl Process {
    /// Starts a command with its output in `<folder>/<name>.log`.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(name: &str, folder: &Path, mut command: Command) -> Self {
        let log = folder.join(format!("{name}.log"));
        let open = || File::options().create(true).append(true).open(&log);
        let out = open().expect("the test's folder can be written");
        let err = open().expect("the test's folder can be written");
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self {
            name: name.to_owned(),
            child,
            log,
        }
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its output, of all starts under this name.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits for the ready file and reads it.
    ///
    /// # Panics
    /// When the process exits instead, or the deadline passes.
    pub async fn ready<T: DeserializeOwned>(&mut self, path: &Path) -> T {
        let what = format!("{} writes its ready file", self.name);
        let text = wait::until(&what, async || {
            if let Some(status) = self.exited() {
                panic!(
                    "{} ended ({status}) before it was ready:\n{}",
                    self.name,
                    self.log()
                );
            }
            fs::read_to_string(path).ok()
        });
        serde_json::from_str(&text.await).expect("a ready file is JSON of the documented shape")
    }

    /// Kills it, as `kill -9` does.
    pub fn kill(&mut self) {
        // An error means that it has exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the process has exited.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process has an id"), signal).expect("the process runs");
    }

    /// Its exit status, if it has exited.
    ///
    /// # Panics
    /// When the status can't be read.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the process can be asked")
    }

    /// Waits until it has exited.
    ///
    /// # Panics
    /// When it doesn't in time.
    pub async fn ended(&mut self) -> ExitStatus {
        let what = format!("{} ends", self.name);
        wait::until(&what, async || {
            self.child.try_wait().expect("the process can be asked")
        })
        .await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let from = lines.len().saturating_sub(60);
            eprintln!(
                "--- {} (last lines of its log)\n{}\n---",
                self.name,
                lines[from..].join("\n")
            );
        }
    }
}
