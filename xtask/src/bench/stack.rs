//! A complete Tidegate in front of a backend, started by `cargo xtask up --json` with release binaries on free ports.
//! Called by the benchmarks.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::Context as _;
use serde::Deserialize;
use tidegate_proto::admin::v1::{SignInRequest, session_service_client::SessionServiceClient};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::client::{self, Bearer, Channel};

/// The report of `up`, and its process, which ends everything when it's dropped.
#[derive(Debug)]
pub(super) struct Stack {
    pub(super) admin: Admin,
    pub(super) data_planes: Vec<Node>,
    pub(super) demo: Demo,
    pub(super) redis: Option<Redis>,
    pub(super) child: Child,
}

#[derive(Debug, Deserialize)]
struct Report {
    admin: Admin,
    data_planes: Vec<Node>,
    demo: Demo,
    redis: Option<Redis>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Admin {
    pub(super) url: String,
    pub(super) ca_cert: PathBuf,
    username: String,
    password: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Node {
    ws: String,
    pub(super) wss: Option<String>,
    pub(super) pid: u32,
}

#[derive(Debug, Deserialize)]
pub(super) struct Demo {
    pub(super) url: String,
    pub(super) unlimited_token: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Redis {
    pub(super) url: String,
}

/// How long a stack may take to become ready.
const READY: Duration = Duration::from_secs(60);

// === impl Stack ===

impl Stack {
    /// Starts one with `command`, which runs this program. The binaries must be built. All files are below `folder`.
    pub(super) async fn start(
        mut command: Command,
        folder: &Path,
        backend: SocketAddr,
        more: &[&str],
    ) -> anyhow::Result<Self> {
        let path = folder.join("up.log");
        let log = fs::File::create(&path)?;
        command
            .args([
                "up",
                "--json",
                "--release",
                "--no-build",
                "--ports",
                "auto",
                "--fresh",
            ])
            .arg("--backend")
            .arg(format!("ws://{backend}"))
            .arg("--data-dir")
            .arg(folder.join("up"))
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true);
        let mut child = command.spawn().context("cannot start `up`")?;
        let stdout = child.stdout.take().context("it was piped")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = timeout(READY, lines.next_line())
            .await
            .context("`up` is not ready in a minute")??;
        let line = line.with_context(|| {
            let log = fs::read_to_string(&path).unwrap_or_default();
            format!("`up` failed:\n{log}")
        })?;
        let said: Report = serde_json::from_str(&line).context("`up` printed something else")?;
        anyhow::ensure!(!said.data_planes.is_empty(), "there is no data plane");
        Ok(Self {
            admin: said.admin,
            data_planes: said.data_planes,
            demo: said.demo,
            redis: said.redis,
            child,
        })
    }

    /// Signs in as the first admin.
    pub(super) async fn sign_in(&self) -> anyhow::Result<Channel> {
        let Admin { url, ca_cert, .. } = &self.admin;
        let anonymous = client::connect(url, ca_cert, Bearer::default()).await?;
        let request = SignInRequest {
            username: self.admin.username.clone(),
            password: self.admin.password.clone(),
        };
        let session = SessionServiceClient::new(anonymous)
            .sign_in(request)
            .await?;
        client::connect(url, ca_cert, Bearer::new(&session.into_inner().token)?).await
    }

    /// Stops it and waits until it has stopped.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid
            .and_then(rustix::process::Pid::from_raw)
            .context("`up` has ended")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        timeout(READY, self.child.wait())
            .await
            .context("`up` doesn't stop")??;
        Ok(())
    }
}

// === impl Node ===

impl Node {
    /// The address of its `ws://` listener.
    pub(super) fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.ws.trim_start_matches("ws://").parse()?)
    }
}
