//! Runs the Autobahn test suite directly against a backend and through a gateway, in both directions: no verdict may
//! differ. `--write` writes the table to docs/CONFORMANCE.md.
//!
//! The suite isn't part of this repository: `--suite`, `AUTOBAHN_SUITE`, or `shared/tools/autobahn` beside the clone is
//! the folder of its `run.sh` and `echo.sh`.

mod verdicts;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ExitCode, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};

use crate::{
    leash,
    workspace::{root, step, target},
};
use verdicts::{Comparison, Verdicts};

/// The arguments of `cargo xtask conformance`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// All cases, but fewer messages in those about compression: takes minutes instead of an hour.
    #[arg(long)]
    pub quick: bool,
    /// The folder of the suite's runner.
    #[arg(long)]
    pub suite: Option<PathBuf>,
    /// Test an optimised build.
    #[arg(long)]
    pub release: bool,
    /// Don't build; use the last build.
    #[arg(long)]
    pub no_build: bool,
    /// Only run the suite as the client; otherwise it also runs as the backend.
    #[arg(long)]
    pub client_side_only: bool,
    /// Write docs/CONFORMANCE.md.
    #[arg(long)]
    pub write: bool,
    /// Only these cases, by id or pattern such as `6.*`.
    pub cases: Vec<String>,
}

/// How long the suite's echo server may take to listen, including its first installation.
const ECHO: Duration = Duration::from_secs(240);

/// The folder of the suite's runner, if it's installed.
#[must_use]
pub fn suite(given: Option<PathBuf>) -> Option<PathBuf> {
    let named = given.or_else(|| std::env::var_os("AUTOBAHN_SUITE").map(PathBuf::from));
    named
        .or_else(|| Some(root().parent()?.join("shared/tools/autobahn")))
        .filter(|folder| folder.join("run.sh").is_file())
}

/// Runs the suite and compares the verdicts.
///
/// # Errors
/// When something can't be started. If verdicts differ, the exit code says so.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let suite = suite(args.suite.clone())
        .context("the suite is not installed: set the folder of its run.sh with --suite")?;
    let results = target().join("conformance");
    fs::create_dir_all(&results)?;
    let runner = Runner {
        args,
        suite: &suite,
        results: &results,
    };
    let mut comparisons = vec![runner.client_side()?];
    if !args.client_side_only {
        comparisons.push(runner.backend_side()?);
    }
    for comparison in &comparisons {
        eprint!("{}", comparison.summary());
    }
    if args.write {
        let text = verdicts::document(&comparisons, args.quick);
        fs::write(root().join("docs/CONFORMANCE.md"), text)?;
    }
    let same = comparisons.iter().all(Comparison::is_same);
    Ok(if same {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

struct Runner<'a> {
    args: &'a Args,
    suite: &'a Path,
    results: &'a Path,
}

impl Runner<'_> {
    /// The suite as the client, an echo server as the backend.
    fn client_side(&self) -> anyhow::Result<Comparison> {
        let port = free_port()?;
        // Its log has an error for each invalid frame that the suite sends.
        let log = fs::File::create(self.results.join("echo.log"))?;
        let mut echo = leash::command(self.suite.join("echo.sh"))?;
        echo.arg(port.to_string()).stdin(Stdio::null());
        let mut echo = Guard(echo.stdout(log.try_clone()?).stderr(log).spawn()?);
        until_listening(port, &mut echo)?;
        let backend = format!("ws://127.0.0.1:{port}");
        let direct = self.case_run("client-direct", &format!("{backend}/"), None, &[])?;
        let gateway = self.gateway(&backend)?;
        let through = self.case_run("client-gateway", &gateway.url, Some(&gateway.token), &[])?;
        Ok(Comparison {
            title: "The suite as the client",
            direct,
            through,
        })
    }

    /// The suite as the backend, a compliant client in front.
    fn backend_side(&self) -> anyhow::Result<Comparison> {
        let port = free_port()?.to_string();
        let backend = format!("ws://127.0.0.1:{port}");
        let behind = ["--behind", &port];
        let direct = self.case_run("backend-direct", &format!("{backend}/"), None, &behind)?;
        let gateway = self.gateway(&backend)?;
        let token = Some(gateway.token.as_str());
        let through = self.case_run("backend-gateway", &gateway.url, token, &behind)?;
        Ok(Comparison {
            title: "The suite as the backend",
            direct,
            through,
        })
    }

    fn case_run(
        &self,
        name: &str,
        url: &str,
        token: Option<&str>,
        more: &[&str],
    ) -> anyhow::Result<Verdicts> {
        let out = self.results.join(name);
        let mut command = leash::command(self.suite.join("run.sh"))?;
        command.arg(url).arg(&out).args(more);
        if self.args.quick {
            command.arg("--quick");
        }
        if let Some(token) = token {
            command.args(["--header", &format!("Authorization: Bearer {token}")]);
        }
        command
            .args(&self.args.cases)
            .stdin(Stdio::null())
            .stdout(std::io::stderr());
        // Its exit status reports failed cases, which are compared below. Here only the run matters.
        let results = out.join("results.tsv");
        let _ = fs::remove_file(&results);
        if let Err(error) = step(&format!("autobahn, {name}"), &mut command) {
            ensure!(results.is_file(), error);
        }
        Verdicts::read(&results)
    }

    /// Starts a gateway in front of the backend.
    fn gateway(&self, backend: &str) -> anyhow::Result<Gateway> {
        let own = std::env::current_exe().context("cannot find this program")?;
        let mut command = leash::command(own)?;
        command.args([
            "up",
            "--json",
            "--fresh",
            "--ports",
            "auto",
            "--backend",
            backend,
            "--data-dir",
        ]);
        command.arg(self.results.join("gateway"));
        for (flag, wanted) in [
            ("--release", self.args.release),
            ("--no-build", self.args.no_build),
        ] {
            if wanted {
                command.arg(flag);
            }
        }
        let log = self.results.join("gateway.log");
        command.stdin(Stdio::null()).stderr(fs::File::create(&log)?);
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().expect("stdout was piped");
        let guard = Guard(child);
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let up: serde_json::Value = serde_json::from_str(&line)
            .with_context(|| format!("the gateway was not started; see {}", log.display()))?;
        let text = |pointer: &str| {
            let value = up.pointer(pointer).and_then(serde_json::Value::as_str);
            value
                .map(str::to_owned)
                .with_context(|| format!("`up` reports no {pointer}"))
        };
        Ok(Gateway {
            url: text("/demo/url")?,
            token: text("/demo/unlimited_token")?,
            _up: guard,
        })
    }
}

struct Gateway {
    url: String,
    token: String,
    _up: Guard,
}

/// Stops a process when dropped, and with `up` everything that it started.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let pid = i32::try_from(self.0.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            // It may have exited already.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.0.wait();
    }
}

fn free_port() -> anyhow::Result<u16> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot find a free port")?;
    Ok(listener.local_addr()?.port())
}

fn until_listening(port: u16, process: &mut Guard) -> anyhow::Result<()> {
    let began = Instant::now();
    while began.elapsed() < ECHO {
        if let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            // Sends nothing: whether the echo server closes the connection or waits, it listens.
            stream.set_read_timeout(Some(Duration::from_millis(10)))?;
            let _ = stream.read(&mut [0]);
            return Ok(());
        }
        if let Some(status) = process.0.try_wait()? {
            bail!("the suite's echo server exited ({status}); see above");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("the suite's echo server does not listen on port {port}")
}
