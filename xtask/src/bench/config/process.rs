//! The two planes as processes, with what the benchmark needs to know about them.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, de::DeserializeOwned};
use tidegate_proto::admin::v1::{SignInRequest, session_service_client::SessionServiceClient};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::{Child, Command},
    time::{interval, timeout},
};

use super::DEADLINE;
use crate::client::{self, Bearer, Channel};

/// A running control plane.
#[derive(Debug)]
pub(in crate::bench) struct ControlPlane {
    /// The discovery listener's address.
    pub(in crate::bench) discovery: SocketAddr,
    program: PathBuf,
    folder: PathBuf,
    ready: ControlPlaneReady,
    process: Child,
}

/// A running data plane.
#[derive(Debug)]
pub(in crate::bench) struct DataPlane {
    /// The time from the start of the process until it was ready.
    pub(super) ready_after: Duration,
    /// The address of its `ws://` listener.
    pub(in crate::bench) ws: SocketAddr,
    /// The address of its admin listener.
    admin: SocketAddr,
    process: Child,
}

/// The content of a control plane's ready file.
#[derive(Clone, Debug, Deserialize)]
struct ControlPlaneReady {
    management: SocketAddr,
    discovery: SocketAddr,
    ca_cert: PathBuf,
    join_token_file: PathBuf,
}

#[derive(Debug, Deserialize)]
struct DataPlaneReady {
    ws: SocketAddr,
    admin: SocketAddr,
}

const USERNAME: &str = "admin";
const PASSWORD: &str = "only-for-this-benchmark";

// === impl ControlPlane ===

impl ControlPlane {
    pub(in crate::bench) async fn start(program: &Path, folder: &Path) -> anyhow::Result<Self> {
        let any = "127.0.0.1:0".to_owned();
        let (process, ready) = Self::spawn(program, folder, &any, &any).await?;
        Ok(Self {
            discovery: ready.discovery,
            program: program.to_owned(),
            folder: folder.to_owned(),
            ready,
            process,
        })
    }

    /// Starts it again on the same addresses.
    pub(super) async fn start_again(&mut self) -> anyhow::Result<()> {
        let (management, discovery) = (
            self.ready.management.to_string(),
            self.ready.discovery.to_string(),
        );
        (self.process, self.ready) =
            Self::spawn(&self.program, &self.folder, &management, &discovery).await?;
        Ok(())
    }

    async fn spawn(
        program: &Path,
        folder: &Path,
        management: &str,
        discovery: &str,
    ) -> anyhow::Result<(Child, ControlPlaneReady)> {
        let ready = folder.join("control-plane.json");
        let mut command = quiet(program, &ready, folder, "control-plane")?;
        set(
            &mut command,
            "data_dir",
            &folder.join("control-plane").to_string_lossy(),
        );
        set(&mut command, "listen.management", management);
        set(&mut command, "listen.discovery", discovery);
        command.env("TIDEGATE_ADMIN__PASSWORD", PASSWORD);
        let mut process = command.spawn().context("cannot start the control plane")?;
        let ready = read_ready(&ready, &mut process).await?;
        Ok((process, ready))
    }

    /// The URL of its management listener, and its CA.
    pub(in crate::bench) fn management(&self) -> (String, &Path) {
        (
            format!("https://{}", self.ready.management),
            &self.ready.ca_cert,
        )
    }

    pub(in crate::bench) async fn sign_in(&self) -> anyhow::Result<Channel> {
        let url = format!("https://{}", self.ready.management);
        let ca_cert = &self.ready.ca_cert;
        let anonymous = client::connect(&url, ca_cert, Bearer::default()).await?;
        let session = SessionServiceClient::new(anonymous)
            .sign_in(SignInRequest {
                username: USERNAME.to_owned(),
                password: PASSWORD.to_owned(),
            })
            .await?;
        client::connect(&url, ca_cert, Bearer::new(&session.into_inner().token)?).await
    }

    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        Ok(self.process.kill().await?)
    }

    pub(in crate::bench) async fn stop(&mut self) -> anyhow::Result<()> {
        stop(&mut self.process).await
    }
}

// === impl DataPlane ===

impl DataPlane {
    /// Starts it and waits until it is ready.
    pub(in crate::bench) async fn start(
        program: &Path,
        folder: &Path,
        control_plane: &ControlPlane,
        discovery: SocketAddr,
        settings: &[&str],
    ) -> anyhow::Result<Self> {
        let ready = folder.join("data-plane.json");
        let mut command = quiet(program, &ready, folder, "data-plane")?;
        set(
            &mut command,
            "data_dir",
            &folder.join("data-plane").to_string_lossy(),
        );
        set(&mut command, "node", "bench");
        for listener in ["listen.ws", "listen.wss", "listen.admin"] {
            set(&mut command, listener, "127.0.0.1:0");
        }
        set(
            &mut command,
            "control_plane.address",
            &format!("https://{discovery}"),
        );
        for setting in settings {
            command.arg("--set").arg(setting);
        }
        let said_by_plane = &control_plane.ready;
        set(
            &mut command,
            "control_plane.ca_cert",
            &said_by_plane.ca_cert.to_string_lossy(),
        );
        let token = said_by_plane.join_token_file.to_string_lossy();
        set(&mut command, "control_plane.join_token_file", &token);
        let began = Instant::now();
        let mut process = command.spawn().context("cannot start the data plane")?;
        let ready: DataPlaneReady = read_ready(&ready, &mut process).await?;
        let mut ticks = interval(Duration::from_millis(2));
        while !is_ready(ready.admin).await {
            ensure!(began.elapsed() < DEADLINE, "the data plane is not ready");
            ticks.tick().await;
        }
        Ok(Self {
            ready_after: began.elapsed(),
            ws: ready.ws,
            admin: ready.admin,
            process,
        })
    }

    /// A counter of `/metrics`; `None` where there is no such counter.
    pub(in crate::bench) async fn metric(&self, name: &str) -> anyhow::Result<Option<u64>> {
        let mut stream = TcpStream::connect(self.admin).await?;
        let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let mut lines = answer.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value.map(str::parse).transpose()?)
    }

    pub(in crate::bench) fn pid(&self) -> anyhow::Result<u32> {
        self.process.id().context("the data plane has exited")
    }

    pub(in crate::bench) async fn stop(&mut self) -> anyhow::Result<()> {
        stop(&mut self.process).await
    }
}

/// A command whose log goes to a file and which ends when this process does.
fn quiet(program: &Path, ready: &Path, folder: &Path, name: &str) -> anyhow::Result<Command> {
    if ready.exists() {
        fs::remove_file(ready)?;
    }
    let log = fs::File::create(folder.join(format!("{name}.log")))?;
    let mut command = Command::new(program);
    command
        .arg("--ready-file")
        .arg(ready)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true);
    Ok(command)
}

fn set(command: &mut Command, key: &str, value: &str) {
    // A JSON string is also a TOML string.
    let value = serde_json::Value::from(value);
    command.arg("--set").arg(format!("{key}={value}"));
}

/// Waits for a process's ready file and reads it.
async fn read_ready<T: DeserializeOwned>(ready: &Path, process: &mut Child) -> anyhow::Result<T> {
    let began = Instant::now();
    let mut ticks = interval(Duration::from_millis(2));
    loop {
        ticks.tick().await;
        if let Ok(text) = fs::read(ready) {
            return serde_json::from_slice(&text)
                .with_context(|| format!("cannot read {}", ready.display()));
        }
        if let Some(status) = process.try_wait()? {
            let log = ready.with_extension("log");
            let log = fs::read_to_string(log).unwrap_or_default();
            bail!("a process exited at once ({status}): {log}");
        }
        ensure!(
            began.elapsed() < DEADLINE,
            "{} was not written",
            ready.display()
        );
    }
}

async fn stop(process: &mut Child) -> anyhow::Result<()> {
    let pid = process.id().context("the process has exited")?;
    let pid =
        rustix::process::Pid::from_raw(i32::try_from(pid)?).context("there is no process 0")?;
    rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    timeout(DEADLINE, process.wait())
        .await
        .context("the process doesn't stop")??;
    Ok(())
}

async fn is_ready(admin: SocketAddr) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect(admin).await?;
        let request = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await?;
        std::io::Result::Ok(answer.ends_with(b" 200"))
    };
    timeout(Duration::from_secs(1), asked)
        .await
        .is_ok_and(|answer| answer.unwrap_or(false))
}
