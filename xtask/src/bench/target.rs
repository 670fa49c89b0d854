//! The proxies that are measured, each started alone on the proxies' core in front of the backend.
//!
//! The peers run with their default configuration, except for one worker, no access log and long timeouts. Used by
//! every benchmark.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

use super::{backend, machine, stack::Stack, wire::Endpoint};
use crate::client;

/// A kind of proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    /// The data plane of this repository with all features.
    Tidegate,
    /// The relay of the data plane alone.
    Bare,
    /// nginx.
    Nginx,
    /// HAProxy.
    Haproxy,
    /// Envoy.
    Envoy,
}

/// A running proxy; it is stopped when this is dropped.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) kind: Kind,
    pub(super) endpoint: Endpoint,
    /// The `wss://` address.
    pub(super) tls: Option<SocketAddr>,
    /// Its processes.
    pub(super) pids: Vec<u32>,
    issuer: Option<Issuer>,
    _child: Child,
}

/// The token endpoint and the credentials for it.
#[derive(Debug)]
struct Issuer {
    url: String,
    ca_cert: PathBuf,
    /// The file in which `up` keeps the demo's keys.
    keys: PathBuf,
}

/// What the proxies of one run share.
#[derive(Clone, Debug)]
pub(super) struct Site {
    pub(super) folder: PathBuf,
    pub(super) core: usize,
    pub(super) backend: SocketAddr,
    /// The origin of the times in pushed payloads.
    pub(super) epoch: Instant,
    /// The certificate and key with which the peers serve TLS, in one file.
    pub(super) certificate: PathBuf,
}

impl Kind {
    /// Its name in tables.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Tidegate => "tidegate",
            Self::Bare => "bare relay",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
        }
    }

    /// Whether it is another project's proxy, which the data plane is compared with.
    pub(super) const fn is_peer(self) -> bool {
        matches!(self, Self::Nginx | Self::Haproxy | Self::Envoy)
    }

    /// The peers that are installed.
    pub(super) fn peers() -> Vec<Self> {
        [Self::Nginx, Self::Haproxy, Self::Envoy]
            .into_iter()
            .filter(|kind| kind.program().is_some())
            .collect()
    }

    fn program(self) -> Option<PathBuf> {
        // System packages install servers into folders that may not be on a user's path.
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/local/sbin";
        std::env::split_paths(&path)
            .map(|folder| folder.join(self.name()))
            .find(|file| file.is_file())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // Not killed at once: nginx would leave its worker running.
        for pid in self
            .pids
            .iter()
            .filter_map(|pid| Pid::from_raw(*pid as i32))
        {
            // It may have exited.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

impl Target {
    /// Access tokens that were never used.
    pub(super) async fn tokens(&self, count: usize) -> anyhow::Result<Vec<String>> {
        let issuer = self.issuer.as_ref().context("it has no token endpoint")?;
        let text = fs::read_to_string(&issuer.keys).context("the demo has no keys")?;
        let keys: serde_json::Value = serde_json::from_str(&text)?;
        let key = |name: &str| {
            let value = keys["unlimited"][name].as_str().map(str::to_owned);
            value.with_context(|| format!("the demo's keys have no {name}"))
        };
        let (id, secret) = (key("client_id")?, key("client_secret")?);
        let mut tokens = Vec::with_capacity(count);
        while tokens.len() < count {
            tokens.push(client::token(&issuer.url, &issuer.ca_cert, &id, &secret).await?);
        }
        Ok(tokens)
    }
}

impl Site {
    /// Starts the backend and creates the files that the proxies need.
    pub(super) async fn prepare(folder: PathBuf, core: usize) -> anyhow::Result<Self> {
        let epoch = Instant::now();
        Ok(Self {
            certificate: make_certificate(&folder)?,
            folder,
            core,
            backend: backend::start(epoch).await?,
            epoch,
        })
    }

    /// Starts a peer and waits until it accepts connections.
    pub(super) async fn start(&self, kind: Kind) -> anyhow::Result<Target> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let tls = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let (text, file) = match kind {
            Kind::Nginx => (self.nginx(address, tls), "nginx.conf"),
            Kind::Haproxy => (self.haproxy(address, tls), "haproxy.cfg"),
            Kind::Envoy => (self.envoy(address), "envoy.yaml"),
            Kind::Tidegate | Kind::Bare => bail!("{} isn't a peer", kind.name()),
        };
        let file = self.folder.join(file);
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        let program = kind
            .program()
            .with_context(|| format!("{} is not installed", kind.name()))?;
        let mut command = self.pinned(&program);
        match kind {
            Kind::Nginx => command.arg("-p").arg(&self.folder).arg("-c").arg(&file),
            Kind::Haproxy => command.arg("-db").arg("-f").arg(&file),
            _ => command
                .args(["--concurrency", "1", "-l", "error", "-c"])
                .arg(&file),
        };
        let mut target = Self::wait(kind, address, &mut command).await?;
        target.tls = (kind != Kind::Envoy).then_some(tls);
        Ok(target)
    }

    /// Starts the relay alone, as the example program of the data plane.
    pub(super) async fn start_bare(&self, program: &Path) -> anyhow::Result<Target> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut command = self.pinned(program);
        command
            .arg(address.to_string())
            .arg(self.backend.to_string());
        Self::wait(Kind::Bare, address, &mut command).await
    }

    /// Starts a control plane and a data plane with the demo's API in front of the backend, as `up` does. The binaries
    /// must be built.
    pub(super) async fn start_tidegate(&self) -> anyhow::Result<Target> {
        let own = std::env::current_exe().context("cannot find this program")?;
        let mut stack = Stack::start(self.pinned(&own), &self.folder, self.backend, &[]).await?;
        let node = stack.data_planes.remove(0);
        let url = stack.demo.url.trim_start_matches("ws://");
        let path = url.find('/').map_or("/", |at| &url[at..]);
        Ok(Target {
            kind: Kind::Tidegate,
            endpoint: Endpoint {
                address: node.address()?,
                target: path.to_owned(),
                token: Some(stack.demo.unlimited_token.clone()),
            },
            tls: node
                .wss
                .map(|url| url.trim_start_matches("wss://").parse())
                .transpose()?,
            issuer: Some(Issuer {
                url: stack.admin.url.clone(),
                ca_cert: stack.admin.ca_cert.clone(),
                keys: self.folder.join("up").join("demo.json"),
            }),
            pids: vec![node.pid],
            _child: stack.child,
        })
    }

    /// A command that runs on the proxies' core and ends when this process does.
    pub(super) fn pinned(&self, program: &Path) -> Command {
        let mut command = Command::new("taskset");
        command
            .arg("-c")
            .arg(self.core.to_string())
            .arg(program)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn wait(
        kind: Kind,
        address: SocketAddr,
        command: &mut Command,
    ) -> anyhow::Result<Target> {
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", kind.name()))?;
        let began = Instant::now();
        let pid = child.id().context("it has exited")?;
        // nginx listens before its worker has started.
        let processes = if kind == Kind::Nginx { 2 } else { 1 };
        while machine::family(pid).len() < processes || TcpStream::connect(address).await.is_err() {
            if let Some(status) = child.try_wait()? {
                bail!("{} exited at once ({status})", kind.name());
            }
            if began.elapsed() > Duration::from_secs(10) {
                bail!("{} doesn't listen", kind.name());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Target {
            kind,
            endpoint: Endpoint {
                address,
                target: "/".to_owned(),
                token: None,
            },
            tls: None,
            issuer: None,
            pids: machine::family(pid),
            _child: child,
        })
    }

    fn nginx(&self, address: SocketAddr, tls: SocketAddr) -> String {
        let folder = self.folder.display();
        let backend = self.backend;
        let pem = self.certificate.display();
        format!(
            "daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; worker_processes 1;\n\
             events {{ worker_connections 19000; }}\n\
             http {{\n access_log off;\n\
             upstream backend {{ server {backend}; }}\n\
             server {{ listen {address}; listen {tls} ssl; ssl_certificate {pem}; ssl_certificate_key {pem};\n\
             location / {{ proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;\n\
             proxy_set_header Connection upgrade; proxy_read_timeout 1h; proxy_send_timeout 1h; }} }} }}\n"
        )
    }

    fn haproxy(&self, address: SocketAddr, tls: SocketAddr) -> String {
        let backend = self.backend;
        let pem = self.certificate.display();
        format!(
            "global\n nbthread 1\n maxconn 9000\ndefaults\n mode http\n timeout connect 5s\n timeout client 1h\n \
             timeout server 1h\n timeout tunnel 1h\nfrontend in\n bind {address}\n bind {tls} ssl crt {pem}\n default_backend out\n\
             backend out\n server s {backend} maxconn 9000\n"
        )
    }

    fn envoy(&self, address: SocketAddr) -> String {
        let (host, port) = (address.ip(), address.port());
        let (backend_host, backend_port) = (self.backend.ip(), self.backend.port());
        format!(
            r#"static_resources:
  listeners:
  - address: {{ socket_address: {{ address: "{host}", port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          upgrade_configs: [{{ upgrade_type: websocket }}]
          stream_idle_timeout: 0s
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{ match: {{ prefix: "/" }}, route: {{ cluster: out, timeout: 0s }} }}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
  clusters:
  - name: out
    type: STATIC
    circuit_breakers: {{ thresholds: [{{ max_connections: 50000, max_requests: 50000, max_pending_requests: 50000 }}] }}
    load_assignment:
      cluster_name: out
      endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: "{backend_host}", port_value: {backend_port} }} }} }} }}] }}]
"#
        )
    }
}

/// A free port, for programs that can't choose one themselves.
pub(super) fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// The certificate with which all proxies serve TLS: P-256, the chain and the key in one file.
fn make_certificate(folder: &Path) -> anyhow::Result<PathBuf> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let path = folder.join("tls.pem");
    let text = made.cert.pem() + &made.signing_key.serialize_pem();
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
