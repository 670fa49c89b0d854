//! Assembles the node: binds the listeners, connects the parts, starts the tasks, and shuts everything down in order.
//!
//! Owns which runtime runs what: sessions on one; the control stream, expiry, metrics and the admin listener on another, so
//! that load can't starve diagnosis. Called by `main` and by tests.

use std::{fs, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use serde::Serialize;
use tidegate_kit::{
    clock::Clock,
    connections::ConnectionLimits,
    readiness::{Blocker, Readiness},
    reload::{CertificateReloader, SharedServerConfig},
    tasks::Tasks,
};
use tokio::{net::TcpListener, runtime::Handle, sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    admin::{self, Operators},
    auth::Authenticator,
    config::{Config, ListenAddress},
    connection::{self, Gateway},
    control::{self, enrolment::Enrolment},
    drain::drain,
    handshake::HeadLimits,
    listen::{self, ListenContext, ListenError, Listener, tls},
    metrics::Metrics,
    quota::{
        Quotas, Shared,
        ledger::{Credentials, Ledger, Target},
    },
    rejudge,
    session::registry::Registry,
    snapshot::Snapshots,
    upstream::{Connector, authorities::Authorities},
};

/// Where the node's tasks run.
#[derive(Clone, Debug)]
pub struct Runtimes {
    /// Clients and backends.
    pub sessions: Handle,
    /// Everything else.
    pub control: Handle,
}

/// The addresses that the listeners are bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Addresses {
    /// The `ws://` listener's address.
    pub ws: Option<SocketAddr>,
    /// The `wss://` listener's address.
    pub wss: Option<SocketAddr>,
    /// The admin listener's address.
    pub admin: SocketAddr,
}

/// A node whose listeners are bound and that does not serve yet.
#[derive(Debug)]
pub struct App {
    config: Config,
    gateway: Arc<Gateway>,
    readiness: Readiness,
    waiting_for_snapshot: Blocker,
    listeners: Vec<Listener>,
    /// The certificate of the `wss://` listener, if there is one.
    certificate: Option<CertificateReloader>,
    authorities: Authorities,
    operators: TcpListener,
    addresses: Addresses,
    runtimes: Runtimes,
    /// The tasks on the control runtime.
    control: Tasks,
    draining: CancellationToken,
}

/// The interval of heartbeats to the control plane.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);

/// The timeout for tasks to stop after the sessions have ended.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

// === impl App ===

impl App {
    /// Binds the listeners and prepares everything that can fail. `snapshots` may already hold a snapshot.
    ///
    /// # Errors
    /// When an address, a certificate or a file cannot be used.
    pub async fn build(
        config: Config,
        snapshots: Snapshots,
        runtimes: Runtimes,
    ) -> anyhow::Result<Self> {
        let certificate = match config.listen.wss {
            ListenAddress::Off => None,
            ListenAddress::At(_) => Some(tls::certificate(&config.tls)?),
        };
        let (ws, wss) = {
            // A socket belongs to the runtime that is current when it is created.
            let _sessions = runtimes.sessions.enter();
            let ws = open(config.listen.ws, None)?;
            let wss = open(
                config.listen.wss,
                certificate.as_ref().map(CertificateReloader::server_config),
            )?;
            (ws, wss)
        };
        let authorities = Authorities::read(config.upstream.ca_cert.as_deref())?;
        let operators = admin::bind(config.listen.admin).await.with_context(|| {
            format!("cannot listen on {} (`listen.admin`)", config.listen.admin)
        })?;
        let addresses = Addresses {
            ws: ws.as_ref().map(Listener::address),
            wss: wss.as_ref().map(Listener::address),
            admin: operators.local_addr()?,
        };
        let control = Tasks::on(runtimes.control.clone());
        let quotas = quotas(&config, &control)?;
        let gateway = Gateway {
            snapshots,
            authenticator: Authenticator::default(),
            connector: Connector::new(&config.upstream, authorities.trust()),
            registry: Registry::default(),
            // Longer than the ledger's own limit, so that a ledger that fails during a handshake is noticed there first.
            admission_timeout: config.ledger.unavailable_after_seconds.0 * 3 / 2,
            metrics: Arc::new(Metrics::with_ledger(&quotas.link().stats)),
            quotas,
            clock: Clock::System,
            head: HeadLimits {
                bytes: config.limits.head_bytes,
                deadline: config.limits.head_seconds.0,
            },
            relay: config.relay.clone(),
            traced: config.telemetry.otlp_endpoint.is_some(),
        };
        let readiness = Readiness::default();
        Ok(Self {
            waiting_for_snapshot: readiness.block("snapshot"),
            gateway: Arc::new(gateway),
            readiness,
            listeners: ws.into_iter().chain(wss).collect(),
            certificate,
            authorities,
            operators,
            addresses,
            runtimes,
            control,
            draining: CancellationToken::new(),
            config,
        })
    }

    /// The addresses that the listeners are bound to.
    #[must_use]
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The state that all sessions share.
    #[must_use]
    pub const fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Cancel it to drain the node and shut it down. `POST /drain` cancels it, too.
    #[must_use]
    pub fn drain_token(&self) -> CancellationToken {
        self.draining.clone()
    }

    /// The client of the control plane, as configured.
    ///
    /// # Errors
    /// When the join token or the authority's certificate is missing or cannot be read.
    pub fn control_client(&self) -> anyhow::Result<control::Client> {
        let config = &self.config.control_plane;
        let enrolment = Enrolment::new(config)?;
        // At startup an unreadable file is a configuration error. Later, the client retries until it can be read.
        enrolment.check()?;
        let settings = control::Settings {
            address: config.address.clone(),
            enrolment,
            node: self.node(),
            environment: self.config.environment.clone(),
            software: env!("CARGO_PKG_VERSION").to_owned(),
            cache_dir: self.config.data_dir.clone(),
            heartbeat_interval: HEARTBEAT_INTERVAL,
        };
        Ok(control::Client::new(
            settings,
            self.gateway.snapshots.clone(),
        ))
    }

    /// Serves until the node is told to drain, then drains. Without a `client`, it serves the snapshots that the caller swaps
    /// in.
    ///
    /// # Errors
    /// When a listener fails.
    pub async fn run(self, client: Option<control::Client>) -> anyhow::Result<()> {
        let sessions = Tasks::on(self.runtimes.sessions.clone());
        let control = self.control.clone();
        let stopping = control.stopping();
        let node = self.node();
        let connected = client.as_ref().map_or_else(
            || watch::channel(false).1,
            |client| client.status().connected,
        );
        let gateway = self.gateway;
        match client {
            Some(client) => {
                let status = gateway.clone();
                let run = client.run(self.waiting_for_snapshot, status, stopping.clone());
                control.spawn("control", run);
            }
            None => {
                let held = wait_for_snapshot(gateway.snapshots.clone(), self.waiting_for_snapshot);
                control.spawn("snapshot", held);
            }
        }
        if let Some(certificate) = self.certificate {
            certificate.start(&control);
        }
        self.authorities.start(&control);
        control.spawn(
            "rejudge",
            rejudge::follow(gateway.clone(), stopping.clone()),
        );
        let expire = rejudge::expire(
            gateway.clock.clone(),
            gateway.registry.clone(),
            stopping.clone(),
        );
        control.spawn("expire", expire);
        let limits = &self.config.limits;
        let connections = ConnectionLimits::with_overflow(
            limits.connections,
            limits.connections_per_address,
            listen::MAX_REFUSED_WITH_ANSWER,
        );
        let operators = Operators {
            gateway: gateway.clone(),
            connections: connections.clone(),
            readiness: self.readiness.clone(),
            node: node.into(),
            connected,
            drain: self.draining.clone(),
        };
        control.spawn("admin", admin::serve(self.operators, operators, stopping));

        let context = ListenContext {
            limits: connections,
            metrics: gateway.metrics.clone(),
            tasks: sessions.clone(),
            tls_deadline: limits.head_seconds.0,
        };
        let close = CancellationToken::new();
        let accepting = serve(self.listeners, &context, &gateway, (&close, &self.draining));
        self.draining.cancelled().await;
        // In this order: load balancers stop sending clients, the listeners stop accepting, and open sessions are closed.
        let _not_ready = self.readiness.block("draining");
        close.cancel();
        let outcome = closed(accepting).await;
        let left = drain(&gateway.registry, self.config.drain.seconds.0).await;
        let unanswered = sessions.shut_down(SHUTDOWN_TIMEOUT).await;
        // After the sessions, so that nothing more is spent, and before the ledger's task stops: other nodes can then use
        // what this node did not. If this fails, its grants stay reserved until their windows end.
        drop(tokio::time::timeout(SHUTDOWN_TIMEOUT, gateway.quotas.settle()).await);
        control.shut_down(SHUTDOWN_TIMEOUT).await;
        tracing::info!(
            open_sessions = left,
            unfinished_tasks = unanswered,
            "drained"
        );
        outcome
    }

    fn node(&self) -> String {
        if !self.config.node.is_empty() {
            return self.config.node.clone();
        }
        let address = self.addresses.ws.or(self.addresses.wss);
        let port = address.map_or(0, |address| address.port());
        format!("{}:{port}", host_name())
    }
}

impl control::StatusSource for Gateway {
    fn status(&self) -> control::NodeStatus {
        control::NodeStatus {
            open_sessions: self.registry.len() as u64,
            shares_quotas: !self.quotas.link().is_local(),
            ledger_fault: self.quotas.link().fault(),
        }
    }

    fn usage(&self) -> control::NodeUsage {
        control::NodeUsage {
            ledger_millis: self.quotas.ledger_millis(),
            used: self.quotas.used(),
            sessions: self.registry.by_subscription(),
        }
    }
}

type AcceptTask = JoinHandle<Result<(), ListenError>>;

/// Serves every listener until it is told to close. If one fails, the node drains.
fn serve(
    listeners: Vec<Listener>,
    context: &ListenContext,
    gateway: &Arc<Gateway>,
    (close, draining): (&CancellationToken, &CancellationToken),
) -> Vec<AcceptTask> {
    listeners
        .into_iter()
        .map(|listener| {
            let gateway = gateway.clone();
            let serve = move |accepted| connection::run(gateway.clone(), accepted);
            let run = listener.run(context.clone(), close.clone(), serve);
            let draining = draining.clone();
            context.tasks.spawn("accept", async move {
                run.await.inspect_err(|error| {
                    tracing::error!(%error, "listener failed; draining");
                    draining.cancel();
                })
            })
        })
        .collect()
}

async fn closed(accepting: Vec<AcceptTask>) -> anyhow::Result<()> {
    let mut outcome = Ok(());
    for task in accepting {
        if let Err(error) = task.await.context("a listener's task failed")? {
            outcome = Err(error.into());
        }
    }
    outcome
}

fn open(
    address: ListenAddress,
    tls: Option<SharedServerConfig>,
) -> Result<Option<Listener>, ListenError> {
    match address {
        ListenAddress::Off => Ok(None),
        ListenAddress::At(address) => Listener::bind(address, tls).map(Some),
    }
}

async fn wait_for_snapshot(snapshots: Snapshots, waiting: Blocker) {
    let mut numbers = snapshots.watch();
    // An error means that no snapshot can be swapped in any more.
    drop(numbers.wait_for(Option::is_some).await);
    drop(waiting);
}

fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

/// The quotas of the node, in the configured ledger or in this process.
fn quotas(config: &Config, tasks: &Tasks) -> anyhow::Result<Quotas> {
    let ledger = &config.ledger;
    let credentials = Credentials::new(
        ledger.username.as_deref(),
        ledger.password.as_ref(),
        ledger.password_file.clone(),
    );
    let Some(url) = &ledger.url else {
        if let Some(key) = credentials.password_key() {
            anyhow::bail!(
                "`{key}` is set, but `ledger.url` is not: set it to the Redis that the password is for"
            );
        }
        tracing::info!("quotas are counted in this process; set `ledger.url` to share them");
        return Ok(Quotas::in_process(tasks));
    };
    let authority = ledger.ca_cert.as_ref().map(|path| {
        fs::read(path).with_context(|| format!("cannot read `ledger.ca_cert` {}", path.display()))
    });
    // Fails at startup if the file can't be read; it is read again for each connection.
    credentials.read()?;
    let authority = authority.transpose()?;
    let target = Target::parse(url.expose(), authority.as_deref(), credentials)?;
    tracing::info!(kind = ?target, "quotas are shared through Redis");
    let shared = Shared {
        ledger: Ledger::new(target, &config.environment),
        timeout: ledger.timeout_seconds.0,
        unavailable_after: ledger.unavailable_after_seconds.0,
        nodes: ledger.nodes,
    };
    Ok(Quotas::shared(shared, tasks))
}

#[cfg(test)]
mod tests;
