//! A process that `up` started: its log, its exit, and the error about that.

use std::{
    collections::VecDeque,
    ffi::OsStr,
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Context as _;
use futures_util::future::select_all;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::Command,
    time::timeout,
};

use crate::leash;

/// How many of its last lines are shown when a process dies.
const TAIL_LINES: usize = 15;

/// How long a process may take to stop: a data plane drains its sessions meanwhile.
const GRACE: Duration = Duration::from_secs(15);

/// How long to wait for the log of a process that has exited.
const LOG_END: Duration = Duration::from_secs(1);

/// A running process. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct Child {
    name: String,
    process: tokio::process::Child,
    log: Arc<Log>,
    reader: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Log {
    path: PathBuf,
    written: Mutex<(File, VecDeque<String>)>,
    /// The prefix of each line on stderr, if lines are copied there.
    prefix: Option<String>,
}

// === impl Child ===

impl Child {
    /// Starts a program that ends when this process does, even if it's killed. Its output goes to `<logs>/<name>.log`.
    pub(super) fn spawn(
        name: &str,
        program: &Path,
        logs: &Path,
        logs_to_stderr: bool,
        configure: impl FnOnce(&mut Command),
    ) -> anyhow::Result<Self> {
        let path = logs.join(format!("{name}.log"));
        let file =
            File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        let log = Arc::new(Log {
            path,
            written: Mutex::new((file, VecDeque::new())),
            prefix: logs_to_stderr.then(|| name.to_owned()),
        });
        let mut command = Command::from(leash::command(program)?);
        configure(&mut command);
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C in a terminal signals the whole process group, but the processes must stop in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let out = process.stdout.take().expect("stdout was piped");
        let err = process.stderr.take().expect("stderr was piped");
        let written = Arc::clone(&log);
        #[expect(
            clippy::disallowed_methods,
            reason = "ends with the process it reads; joined in `exit_error`"
        )]
        let reader = tokio::spawn(async move {
            tokio::join!(written.copy(out), written.copy(err));
        });
        Ok(Self {
            name: name.to_owned(),
            process,
            log,
            reader,
        })
    }

    /// Waits until the process exits, and returns an error with its last log lines.
    pub(super) async fn death(&mut self) -> anyhow::Error {
        match self.process.wait().await {
            Ok(status) => self.exit_error(status).await,
            Err(error) => anyhow::Error::new(error).context(format!("{} was lost", self.name)),
        }
    }

    async fn exit_error(&mut self, status: ExitStatus) -> anyhow::Error {
        // The last lines may still be in the pipe, and a grandchild may hold the pipe open.
        let _ = timeout(LOG_END, &mut self.reader).await;
        let written = self.log.written.lock().expect("no reader panics");
        let lines: Vec<_> = written.1.iter().map(|line| format!("  {line}\n")).collect();
        anyhow::anyhow!(
            "{} ended by itself ({status}); the last lines of its log, {}:\n{}",
            self.name,
            self.log.path.display(),
            lines.concat()
        )
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = self.process.id().and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            // It may have exited meanwhile; then there is nothing to stop.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }
}

// === impl Log ===

impl Log {
    async fn copy(&self, from: impl AsyncRead + Unpin) {
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some(prefix) = &self.prefix {
                eprintln!("{prefix}: {line}");
            }
            let mut written = self.written.lock().expect("no reader panics");
            // A full disk must not stop the process; the last lines are kept in memory.
            let _ = writeln!(written.0, "{line}");
            if written.1.len() == TAIL_LINES {
                written.1.pop_front();
            }
            written.1.push_back(line);
        }
    }
}

/// Waits for the first process to exit, and returns an error about it. Pending forever if there is none.
pub(super) async fn first_death(children: &mut [Child]) -> anyhow::Error {
    if children.is_empty() {
        std::future::pending::<()>().await;
    }
    let deaths: Vec<_> = children
        .iter_mut()
        .map(|child| Box::pin(child.death()))
        .collect();
    select_all(deaths).await.0
}

/// Stops all processes in reverse order of their start, and waits for each; kills those that don't stop.
pub(super) async fn stop_all(children: &mut Vec<Child>) {
    while let Some(mut child) = children.pop() {
        child.signal(rustix::process::Signal::TERM);
        if timeout(GRACE, child.process.wait()).await.is_err() {
            eprintln!(
                "{} did not stop in {} s and is killed",
                child.name,
                GRACE.as_secs()
            );
            let _ = child.process.kill().await;
        }
    }
}

/// An argument `--set key=value`.
pub(super) fn set(command: &mut Command, key: &str, value: impl AsRef<OsStr>) {
    let mut text = std::ffi::OsString::from(format!("{key}="));
    text.push(value);
    command.arg("--set").arg(text);
}
