//! One run of docker-compose.yml under a separate project name: its commands, its containers, and the status of its
//! nodes. Called by `compose_test`.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use crate::{
    docker::engine::{self, Engine},
    workspace::root,
};

/// The name of the project, which all its containers, networks and volumes have. Nothing else is touched.
pub(super) const NAME: &str = "tidegate-compose-test";

/// The first admin's password and the password of Redis, with characters that are special in a URL, a shell and an
/// `.env` file.
pub(super) const ADMIN_PASSWORD: &str = "p@ss/word: 10%#1";
pub(super) const REDIS_PASSWORD: &str = "r@dis/s:cret?#1";

/// The ports of this machine that docker-compose.yml publishes.
const PORTS: [u16; 3] = [9443, 9099, 8099];

/// How often a condition is polled.
const LOOK: Duration = Duration::from_millis(250);

/// The project.
#[derive(Debug)]
pub(super) struct Project<'a> {
    engine: &'a Engine,
    env_file: PathBuf,
    /// The control plane's CA, once it was fetched.
    pub(super) ca_cert: PathBuf,
}

/// What a node reports at `/status`.
#[derive(Debug, Deserialize)]
pub(super) struct NodeStatus {
    pub(super) sessions: usize,
    pub(super) control_plane_connected: bool,
    pub(super) ready: bool,
    pub(super) ledger_fault: String,
}

// === impl Project ===

impl<'a> Project<'a> {
    /// Creates a project with its settings in a file, as a user has them in `.env`.
    pub(super) fn new(engine: &'a Engine) -> anyhow::Result<Self> {
        let folder = engine::folder()?;
        let env_file = folder.join("env");
        let settings = format!(
            "TIDEGATE_ADMIN__PASSWORD='{ADMIN_PASSWORD}'\nREDIS_PASSWORD='{REDIS_PASSWORD}'\n"
        );
        fs::write(&env_file, settings)
            .with_context(|| format!("cannot write {}", env_file.display()))?;
        Ok(Self {
            engine,
            env_file,
            ca_cert: folder.join("ca.pem"),
        })
    }

    /// Reports ports that are in use. Docker's own message is less clear.
    pub(super) fn check_ports() -> anyhow::Result<()> {
        for port in PORTS {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).with_context(|| {
                format!(
                    "port {port} is in use; stop what listens there, for example `cargo xtask up`"
                )
            })?;
        }
        Ok(())
    }

    /// A `docker compose` command.
    pub(super) fn compose(&self) -> Command {
        let mut command = self.engine.docker();
        command.current_dir(root());
        // Variables of the caller's shell would override the file.
        for name in ["TIDEGATE_ADMIN__PASSWORD", "REDIS_PASSWORD", "NODES"] {
            command.env_remove(name);
        }
        // Separate images, so that the user's own don't change.
        command
            .env("TIDEGATE_IMAGES", "localhost/tidegate-compose-test")
            .env("TIDEGATE_VERSION", "test");
        command
            .args([
                "compose",
                "--project-name",
                NAME,
                "--progress=plain",
                "--env-file",
            ])
            .arg(&self.env_file);
        command
    }

    /// The same command as a user would type it.
    pub(super) fn command_line(&self) -> String {
        format!(
            "docker compose --project-name {NAME} --env-file {}",
            self.env_file.display()
        )
    }

    /// Runs a `docker compose` command; its output is shown only when it fails.
    pub(super) fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        output(self.compose().args(arguments))
    }

    /// Runs a `docker` command.
    pub(super) fn docker(&self, arguments: &[&str]) -> anyhow::Result<String> {
        output(self.engine.docker().args(arguments))
    }

    /// Removes everything, including the volumes.
    pub(super) fn remove(&self) -> anyhow::Result<()> {
        self.run(&[
            "--profile=demo",
            "down",
            "--volumes",
            "--remove-orphans",
            "--timeout=5",
        ])?;
        Ok(())
    }

    /// Prints the last log lines of the containers.
    pub(super) fn show_logs(&self) {
        // The test has failed already; an error here adds nothing.
        drop(self.compose().args(["ps", "--all"]).status());
        drop(self.compose().args(["logs", "--tail=30"]).status());
    }

    /// The running containers of a service.
    pub(super) fn containers(&self, service: &str) -> anyhow::Result<Vec<String>> {
        let ids = self.run(&["ps", "--quiet", "--status=running", service])?;
        Ok(ids.lines().map(str::to_owned).collect())
    }

    /// The one container of a service.
    pub(super) fn container(&self, service: &str) -> anyhow::Result<String> {
        let ids = self.containers(service)?;
        ensure!(
            ids.len() == 1,
            "{service} has {} containers, not 1",
            ids.len()
        );
        Ok(ids.into_iter().next().unwrap_or_default())
    }

    /// The status of a node, read from within its container because the admin port isn't published.
    pub(super) fn node(&self, container: &str) -> anyhow::Result<NodeStatus> {
        let ask = "exec 3<>/dev/tcp/127.0.0.1/9100; printf 'GET /status HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
        let answer = self.docker(&["exec", container, "bash", "-c", ask])?;
        let (_, body) = answer
            .split_once("\r\n\r\n")
            .context("the node's answer has no body")?;
        serde_json::from_str(body).with_context(|| format!("the node says {body}"))
    }

    /// All nodes.
    pub(super) fn nodes(&self) -> anyhow::Result<Vec<(String, NodeStatus)>> {
        self.containers("data-plane")?
            .into_iter()
            .map(|container| {
                let status = self.node(&container)?;
                Ok((container, status))
            })
            .collect()
    }

    /// Waits until a condition holds for all nodes.
    pub(super) async fn until_nodes(
        &self,
        what: &str,
        within: Duration,
        holds: impl Fn(&[(String, NodeStatus)]) -> bool,
    ) -> anyhow::Result<()> {
        until(what, within, || {
            self.nodes().is_ok_and(|nodes| holds(&nodes))
        })
        .await
    }
}

/// Waits until a condition holds.
pub(super) async fn until(
    what: &str,
    within: Duration,
    holds: impl Fn() -> bool,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + within;
    while !holds() {
        ensure!(
            Instant::now() < deadline,
            "{what}: not so within {} s",
            within.as_secs()
        );
        sleep(LOOK).await;
    }
    Ok(())
}

fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .context("cannot start docker")?;
    let shown = command
        .get_args()
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ");
    ensure!(
        output.status.success(),
        "docker {shown}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
