//! A real data plane under test.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    process::{self, Process},
    wait,
};

/// A running data plane.
#[derive(Debug)]
pub struct DataPlane {
    /// The process.
    pub process: Process,
    /// Its addresses.
    pub ready: Ready,
    name: String,
    folder: PathBuf,
    upstream: Upstream,
    sets: Vec<String>,
    environment: Vec<(String, String)>,
}

/// The control plane that a data plane connects to.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// The control plane's discovery listener.
    pub address: SocketAddr,
    /// The certificate of its authority.
    pub ca_cert: PathBuf,
    /// The file with the join token.
    pub join_token_file: PathBuf,
}

/// A data plane's ready file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    /// The process id.
    pub pid: u32,
    /// The `ws://` listener.
    pub ws: SocketAddr,
    /// The `wss://` listener.
    pub wss: Option<SocketAddr>,
    /// The admin listener.
    pub admin: SocketAddr,
}

/// The body of `/status`.
#[derive(Clone, Debug, Deserialize)]
pub struct Status {
    /// The node's name.
    pub node: String,
    /// The number of the snapshot it runs.
    pub snapshot_number: u64,
    /// How many sessions are open.
    pub sessions: u64,
    /// Whether its configuration stream is open.
    pub control_plane_connected: bool,
    /// The fault of its ledger as text; empty if there is none.
    pub ledger_fault: String,
}

// === impl DataPlane ===

impl DataPlane {
    /// Starts one and waits until it listens; it may have no configuration yet.
    ///
    /// # Panics
    /// When it doesn't listen.
    pub async fn start(name: &str, folder: &Path, upstream: Upstream, sets: &[String]) -> Self {
        Self::start_in(name, folder, upstream, sets, &[]).await
    }

    /// Like [`Self::start`], with additional environment variables.
    ///
    /// # Panics
    /// When it doesn't listen.
    pub async fn start_in(
        name: &str,
        folder: &Path,
        upstream: Upstream,
        sets: &[String],
        environment: &[(String, String)],
    ) -> Self {
        let mut command = command(name, folder, &upstream, sets);
        command.envs(environment.iter().cloned());
        let mut process = Process::start(name, folder, command);
        let ready = process.ready(&ready_file(name, folder)).await;
        Self {
            process,
            ready,
            name: name.to_owned(),
            folder: folder.to_owned(),
            upstream,
            sets: sets.to_vec(),
            environment: environment.to_vec(),
        }
    }

    /// The `ws://` URL of a path.
    #[must_use]
    pub fn ws(&self, path: &str) -> String {
        format!("ws://{}{path}", self.ready.ws)
    }

    /// Kills it and starts it again, with additional settings.
    ///
    /// # Panics
    /// When it doesn't listen.
    pub async fn restart(&mut self, sets: &[String]) {
        self.process.kill();
        self.sets.extend_from_slice(sets);
        let mut command = command(&self.name, &self.folder, &self.upstream, &self.sets);
        command.envs(self.environment.iter().cloned());
        self.process = Process::start(&self.name, &self.folder, command);
        self.ready = self
            .process
            .ready(&ready_file(&self.name, &self.folder))
            .await;
    }

    /// The folder of its cache.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// Sends a GET request to the admin listener; returns status and body.
    ///
    /// # Errors
    /// When there is no HTTP response.
    pub async fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let mut stream = TcpStream::connect(self.ready.admin).await?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.ready.admin
        );
        stream.write_all(request.as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        let (head, body) = text
            .split_once("\r\n\r\n")
            .ok_or_else(|| anyhow::anyhow!("no HTTP: {text}"))?;
        let status = head.split(' ').nth(1).unwrap_or_default().parse()?;
        Ok((status, body.to_owned()))
    }

    /// The current `/status`.
    ///
    /// # Panics
    /// When the response isn't as documented.
    pub async fn status(&self) -> Status {
        let (status, body) = self
            .get("/status")
            .await
            .expect("the admin listener answers");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error} in {body}"))
    }

    /// Waits until `/readyz` is 200.
    ///
    /// # Panics
    /// When it doesn't become ready in time.
    pub async fn until_ready(&self) {
        wait::until("the data plane is ready", async || {
            let (status, _) = self.get("/readyz").await.ok()?;
            (status == 200).then_some(())
        })
        .await;
    }

    /// Waits until it runs the snapshot with this number, or a later one.
    ///
    /// # Panics
    /// When it doesn't in time.
    pub async fn until_number(&self, number: u64) {
        wait::until(
            &format!("the data plane runs number {number}"),
            async || (self.status().await.snapshot_number >= number).then_some(()),
        )
        .await;
    }

    /// Waits until it has this many open sessions.
    ///
    /// # Panics
    /// When it doesn't in time.
    pub async fn until_sessions(&self, sessions: u64) {
        wait::until(
            &format!("the data plane has {sessions} sessions"),
            async || (self.status().await.sessions == sessions).then_some(()),
        )
        .await;
    }

    /// The value of a metric: the sum of all its series whose text contains every one of `labels`.
    ///
    /// # Panics
    /// When the metrics cannot be read.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let (status, body) = self
            .get("/metrics")
            .await
            .expect("the admin listener answers");
        assert_eq!(status, 200);
        body.lines()
            .filter(|line| line.split(['{', ' ']).next() == Some(name))
            .filter(|line| labels.iter().all(|label| line.contains(label)))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}

fn command(name: &str, folder: &Path, upstream: &Upstream, sets: &[String]) -> Command {
    let ready = ready_file(name, folder);
    let _ = std::fs::remove_file(&ready);
    let mut command = process::command("tidegate-data-plane");
    command.arg("--ready-file").arg(ready);
    let fixed = [
        format!("data_dir={}", folder.join(name).display()),
        format!("node={name}"),
        "listen.ws=127.0.0.1:0".to_owned(),
        "listen.wss=127.0.0.1:0".to_owned(),
        "listen.admin=127.0.0.1:0".to_owned(),
        format!(
            "control_plane.address=https://localhost:{}",
            upstream.address.port()
        ),
        format!("control_plane.ca_cert={}", upstream.ca_cert.display()),
        format!(
            "control_plane.join_token_file={}",
            upstream.join_token_file.display()
        ),
    ];
    for set in fixed.iter().chain(sets) {
        command.args(["--set", set]);
    }
    command
}

fn ready_file(name: &str, folder: &Path) -> PathBuf {
    folder.join(format!("{name}.ready.json"))
}
