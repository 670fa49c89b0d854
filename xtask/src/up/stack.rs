//! Starts the processes in their order and waits until each is ready: control plane, data planes, demo backend.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Command,
    time::{interval, timeout},
};

use super::{
    build::Binaries,
    child::{self, Child, set},
    files::Files,
    ledger::Shared,
    ports::{NodePorts, Ports},
};
use crate::demo::Site;

/// How long a process may take to become ready; a debug build takes long to create its first keys.
const READY: Duration = Duration::from_secs(60);

/// How often conditions are polled.
const LOOK: Duration = Duration::from_millis(20);

/// The lifetime of a demo token: long enough for the next morning.
const TOKEN_SECONDS: u32 = 24 * 3600;

/// Starts a stack.
pub(super) struct Starter<'a> {
    pub(super) files: &'a Files,
    pub(super) ports: &'a Ports,
    pub(super) binaries: &'a Binaries,
    /// An existing backend.
    pub(super) backend: Option<&'a str>,
    /// The Redis in which the data planes share their quotas.
    pub(super) redis: Option<&'a Shared>,
    pub(super) logs_to_stderr: bool,
}

/// A stack that is ready.
#[derive(Debug)]
pub(super) struct Stack {
    pub(super) control_plane: ControlPlane,
    pub(super) nodes: Vec<Node>,
    /// The URL of the backend behind the demo.
    pub(super) backend: Option<String>,
    /// Whether that backend is the demo's echo server.
    pub(super) own_backend: bool,
    /// The URL of the Redis in which quotas are shared.
    pub(super) redis: Option<String>,
    pub(super) password: String,
}

/// A running control plane.
#[derive(Debug, Deserialize)]
pub(super) struct ControlPlane {
    pub(super) pid: u32,
    pub(super) management: SocketAddr,
    pub(super) discovery: SocketAddr,
    pub(super) ca_cert: PathBuf,
    pub(super) join_token_file: PathBuf,
}

/// A running data plane.
#[derive(Debug, Deserialize)]
pub(super) struct Node {
    pub(super) pid: u32,
    pub(super) ws: SocketAddr,
    pub(super) wss: Option<SocketAddr>,
    pub(super) admin: SocketAddr,
}

// === impl Stack ===

impl Stack {
    /// What the demo needs to know about the stack.
    pub(super) fn site(&self) -> Site {
        Site {
            control_plane: self.admin_url(),
            ca_cert: self.control_plane.ca_cert.clone(),
            password: self.password.clone(),
            gateways: self.nodes.iter().map(Node::url).collect(),
            backend: self.backend.clone().unwrap_or_default(),
            echoes: self.own_backend,
        }
    }

    /// The URL of the management listener.
    pub(super) fn admin_url(&self) -> String {
        format!("https://{}", self.control_plane.management)
    }

    /// The URL of a portal, with the host name that is in the certificate and in the tokens.
    pub(super) fn portal(&self, name: &str) -> String {
        format!(
            "https://localhost:{}/{name}",
            self.control_plane.management.port()
        )
    }
}

// === impl Node ===

impl Node {
    /// Its `ws://` URL.
    pub(super) fn url(&self) -> String {
        format!("ws://{}", self.ws)
    }
}

// === impl Starter ===

impl Starter<'_> {
    /// Starts everything. Processes that were started are in `children`, even on an error.
    pub(super) async fn start(&self, children: &mut Vec<Child>) -> anyhow::Result<Stack> {
        let password = self.files.password()?;
        let backend = match self.ports.backend {
            Some(port) => Some(self.start_backend(port, children).await?),
            None => self.backend.map(str::to_owned),
        };
        self.redis(children).await?;
        let control_plane = self.control_plane(&password, children).await?;
        let mut nodes = Vec::new();
        for (index, ports) in self.ports.nodes.iter().enumerate() {
            nodes.push(
                self.node(index + 1, *ports, &control_plane, children)
                    .await?,
            );
        }
        for (index, node) in nodes.iter().enumerate() {
            let ready = wait_until("data plane ready", children, || {
                http_ok(node.admin, "/readyz")
            });
            ready
                .await
                .with_context(|| format!("data plane {}", index + 1))?;
        }
        Ok(Stack {
            control_plane,
            nodes,
            backend,
            own_backend: self.ports.backend.is_some(),
            redis: self.redis.map(|redis| redis.url.clone()),
            password,
        })
    }

    /// Starts a private Redis, if one was asked for.
    async fn redis(&self, children: &mut Vec<Child>) -> anyhow::Result<()> {
        let Some(own) = self.redis.and_then(|redis| redis.own.as_ref()) else {
            return Ok(());
        };
        let began = Instant::now();
        let (logs, to_stderr) = (self.files.logs(), self.logs_to_stderr);
        let child = Child::spawn("redis", &own.program, &logs, to_stderr, |command| {
            command.arg(&own.configuration);
        });
        children.push(child?);
        wait_until("redis", children, || own.answers()).await?;
        eprintln!("started redis ({:.1} s)", began.elapsed().as_secs_f32());
        Ok(())
    }

    async fn control_plane(
        &self,
        password: &str,
        children: &mut Vec<Child>,
    ) -> anyhow::Result<ControlPlane> {
        let ready = self.files.ready("control-plane")?;
        let folder = self.files.control_plane();
        let name = "control-plane";
        let program = &self.binaries.control_plane;
        self.spawn(name, program, &ready, children, |command| {
            set(command, "data_dir", quoted(&folder));
            set(
                command,
                "listen.management",
                quoted_text(&format!("127.0.0.1:{}", self.ports.management)),
            );
            set(
                command,
                "listen.discovery",
                quoted_text(&format!("127.0.0.1:{}", self.ports.discovery)),
            );
            let issuer = format!("https://localhost:{}", self.ports.management);
            set(command, "oauth.issuer", quoted_text(&issuer));
            set(
                command,
                "oauth.token_lifetime_seconds",
                TOKEN_SECONDS.to_string(),
            );
            // Not on the command line, where all users of the machine could read it.
            command.env("TIDEGATE_ADMIN__PASSWORD", password);
        })?;
        self.started(name, &ready, children).await
    }

    async fn node(
        &self,
        number: usize,
        ports: NodePorts,
        control_plane: &ControlPlane,
        children: &mut Vec<Child>,
    ) -> anyhow::Result<Node> {
        let name = format!("data-plane-{number}");
        let ready = self.files.ready(&name)?;
        let folder = self.files.data_plane(number);
        let program = &self.binaries.data_plane;
        self.spawn(&name, program, &ready, children, |command| {
            set(command, "data_dir", quoted(&folder));
            set(command, "node", quoted_text(&name));
            set(
                command,
                "listen.ws",
                quoted_text(&format!("127.0.0.1:{}", ports.ws)),
            );
            set(
                command,
                "listen.wss",
                quoted_text(&format!("127.0.0.1:{}", ports.wss)),
            );
            set(
                command,
                "listen.admin",
                quoted_text(&format!("127.0.0.1:{}", ports.admin)),
            );
            let address = format!("https://localhost:{}", control_plane.discovery.port());
            set(command, "control_plane.address", quoted_text(&address));
            set(
                command,
                "control_plane.ca_cert",
                quoted(&control_plane.ca_cert),
            );
            let token = quoted(&control_plane.join_token_file);
            set(command, "control_plane.join_token_file", token);
            if let Some(redis) = self.redis {
                // It may contain a password.
                command.env("TIDEGATE_LEDGER__URL", quoted_text(&redis.url));
            }
        })?;
        self.started(&name, &ready, children).await
    }

    async fn start_backend(&self, port: u16, children: &mut Vec<Child>) -> anyhow::Result<String> {
        let ready = self.files.ready("demo-backend")?;
        let own = std::env::current_exe().context("cannot find this program")?;
        let logs = self.files.logs();
        let child = Child::spawn(
            "demo-backend",
            &own,
            &logs,
            self.logs_to_stderr,
            |command| {
                command.args([
                    "echo",
                    "--listen",
                    &format!("127.0.0.1:{port}"),
                    "--ready-file",
                ]);
                command.arg(&ready);
            },
        )?;
        children.push(child);
        let url: String = self.started("demo-backend", &ready, children).await?;
        Ok(url)
    }

    fn spawn(
        &self,
        name: &str,
        program: &Path,
        ready: &Path,
        children: &mut Vec<Child>,
        configure: impl FnOnce(&mut Command),
    ) -> anyhow::Result<()> {
        let logs = self.files.logs();
        children.push(Child::spawn(
            name,
            program,
            &logs,
            self.logs_to_stderr,
            |command| {
                command.arg("--ready-file").arg(ready);
                configure(command);
            },
        )?);
        Ok(())
    }

    /// Waits for a ready file and reads it.
    async fn started<T: for<'de> Deserialize<'de>>(
        &self,
        name: &str,
        ready: &Path,
        children: &mut [Child],
    ) -> anyhow::Result<T> {
        let began = Instant::now();
        wait_until(name, children, || async { ready.is_file() }).await?;
        let text = fs::read_to_string(ready)
            .with_context(|| format!("cannot read {}", ready.display()))?;
        eprintln!("started {name} ({:.1} s)", began.elapsed().as_secs_f32());
        serde_json::from_str(&text).with_context(|| format!("{} contains {text}", ready.display()))
    }
}

/// Waits for a condition; fails if a process exits or the time is up.
async fn wait_until<F: Future<Output = bool>>(
    what: &str,
    children: &mut [Child],
    condition: impl Fn() -> F,
) -> anyhow::Result<()> {
    let holds = async {
        let mut ticks = interval(LOOK);
        while !condition().await {
            ticks.tick().await;
        }
    };
    tokio::select! {
        death = child::first_death(children) => Err(death),
        held = timeout(READY, holds) => match held {
            Ok(()) => Ok(()),
            Err(_) => bail!("{what} was not ready in {} s; see the logs", READY.as_secs()),
        },
    }
}

/// Whether a plain HTTP request is answered with 200.
async fn http_ok(address: SocketAddr, path: &str) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await?;
        std::io::Result::Ok(answer.ends_with(b" 200"))
    };
    timeout(Duration::from_secs(2), ask)
        .await
        .is_ok_and(|answered| answered.unwrap_or(false))
}

fn quoted(path: &Path) -> String {
    quoted_text(&path.to_string_lossy())
}

/// A TOML string, so that a value that looks like a number or a date stays text.
fn quoted_text(text: &str) -> String {
    // TOML has all of JSON's escapes.
    serde_json::Value::from(text).to_string()
}
