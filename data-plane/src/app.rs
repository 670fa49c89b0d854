//! The node put together: doors opened, parts connected, tasks started, and all of it ended in order.
//!
//! Owns which runtime runs what: sessions on one, the control stream, expiry, metrics and operators on another, so that
//! load cannot starve diagnosis. Decides nothing else. Called by `main` and by tests.

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

/// Where the node really listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Addresses {
    /// `ws://` clients.
    pub ws: Option<SocketAddr>,
    /// `wss://` clients.
    pub wss: Option<SocketAddr>,
    /// Operators.
    pub admin: SocketAddr,
}

/// A node whose doors are open and that does not serve yet.
#[derive(Debug)]
pub struct App {
    config: Config,
    gateway: Arc<Gateway>,
    readiness: Readiness,
    waiting_for_snapshot: Blocker,
    doors: Vec<Listener>,
    /// Of the `wss://` listener, where there is one.
    certificate: Option<CertificateReloader>,
    authorities: Authorities,
    operators: TcpListener,
    addresses: Addresses,
    runtimes: Runtimes,
    /// What does not run on the sessions' runtime.
    control: Tasks,
    leave: CancellationToken,
}

/// How often the control plane hears from the node.
const BEAT: Duration = Duration::from_secs(5);

/// For how long tasks that were told to stop are waited for once the sessions are gone.
const LAST_WORDS: Duration = Duration::from_secs(2);

// === impl App ===

impl App {
    /// Opens the doors and prepares everything that can fail. `snapshots` may hold a snapshot already.
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
            // A socket belongs to the runtime that is entered when it is made.
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
            // A ledger that goes away in the middle of a handshake is given up before.
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
            doors: ws.into_iter().chain(wss).collect(),
            certificate,
            authorities,
            operators,
            addresses,
            runtimes,
            control,
            leave: CancellationToken::new(),
            config,
        })
    }

    /// Where the node really listens.
    #[must_use]
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// What the sessions share.
    #[must_use]
    pub const fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Cancelled, it makes the node leave in order; operators can cancel it, too.
    #[must_use]
    pub fn leave(&self) -> CancellationToken {
        self.leave.clone()
    }

    /// The client of the control plane as the configuration wants it.
    ///
    /// # Errors
    /// When the join token or the authority's certificate is missing or cannot be read.
    pub fn control_client(&self) -> anyhow::Result<control::Client> {
        let config = &self.config.control_plane;
        let enrolment = Enrolment::new(config)?;
        // Later on a file that cannot be read is waited for; a node that begins without one was set up wrongly.
        enrolment.check()?;
        let settings = control::Settings {
            address: config.address.clone(),
            enrolment,
            node: self.node(),
            environment: self.config.environment.clone(),
            software: env!("CARGO_PKG_VERSION").to_owned(),
            cache_dir: self.config.data_dir.clone(),
            beat: BEAT,
        };
        Ok(control::Client::new(
            settings,
            self.gateway.snapshots.clone(),
        ))
    }

    /// Serves until the node is told to leave, then drains. With no `client` it serves the snapshots that others swap
    /// in.
    ///
    /// # Errors
    /// When a door breaks.
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
                let witness = gateway.clone();
                let run = client.run(self.waiting_for_snapshot, witness, stopping.clone());
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
            leave: self.leave.clone(),
        };
        control.spawn("admin", admin::serve(self.operators, operators, stopping));

        let context = ListenContext {
            limits: connections,
            metrics: gateway.metrics.clone(),
            tasks: sessions.clone(),
            tls_deadline: limits.head_seconds.0,
        };
        let close = CancellationToken::new();
        let doors = serve(self.doors, &context, &gateway, (&close, &self.leave));
        self.leave.cancelled().await;
        // In this order: nobody is sent here any more, nobody is let in any more, and who is here is told to go.
        let _not_ready = self.readiness.block("draining");
        close.cancel();
        let broken = closed(doors).await;
        let left = drain(&gateway.registry, self.config.drain.seconds.0).await;
        let unanswered = sessions.shut_down(LAST_WORDS).await;
        // After the sessions, so that they take nothing more, and before the task that tells the ledger is stopped: what
        // this node did not spend, others may. Whether it came through makes no difference to this one.
        drop(tokio::time::timeout(LAST_WORDS, gateway.quotas.settle()).await);
        control.shut_down(LAST_WORDS).await;
        tracing::info!(left, unanswered, "drained");
        broken
    }

    fn node(&self) -> String {
        if !self.config.node.is_empty() {
            return self.config.node.clone();
        }
        let door = self.addresses.ws.or(self.addresses.wss);
        let port = door.map_or(0, |address| address.port());
        format!("{}:{port}", host_name())
    }
}

impl control::Witness for Gateway {
    fn vitals(&self) -> control::Vitals {
        control::Vitals {
            open_sessions: self.registry.len() as u64,
            shares_quotas: !self.quotas.link().is_local(),
            ledger_fault: self.quotas.link().fault(),
        }
    }

    fn consumption(&self) -> control::Consumption {
        control::Consumption {
            ledger_millis: self.quotas.ledger_millis(),
            used: self.quotas.used(),
            sessions: self.registry.by_subscription(),
        }
    }
}

type ServedDoor = JoinHandle<Result<(), ListenError>>;

/// Serves every door until it is told to close; one that breaks makes the node leave.
fn serve(
    doors: Vec<Listener>,
    context: &ListenContext,
    gateway: &Arc<Gateway>,
    (close, leave): (&CancellationToken, &CancellationToken),
) -> Vec<ServedDoor> {
    doors
        .into_iter()
        .map(|door| {
            let gateway = gateway.clone();
            let serve = move |accepted| connection::run(gateway.clone(), accepted);
            let run = door.run(context.clone(), close.clone(), serve);
            let leave = leave.clone();
            context.tasks.spawn("accept", async move {
                run.await.inspect_err(|error| {
                    tracing::error!(%error, "a door broke; the node leaves");
                    leave.cancel();
                })
            })
        })
        .collect()
}

async fn closed(doors: Vec<ServedDoor>) -> anyhow::Result<()> {
    let mut outcome = Ok(());
    for door in doors {
        if let Err(error) = door.await.context("a door's task failed")? {
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
    // An error means that nobody can swap one in any more.
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

/// The quotas of the node, in the ledger that it is told of or in its own.
fn quotas(config: &Config, tasks: &Tasks) -> anyhow::Result<Quotas> {
    let ledger = &config.ledger;
    let credentials = Credentials::new(
        ledger.username.as_deref(),
        ledger.password.as_ref(),
        ledger.password_file.clone(),
    );
    let Some(url) = &ledger.url else {
        if let Some(key) = credentials.password_key() {
            anyhow::bail!("`{key}` is set and `ledger.url` is not: say which Redis it is for");
        }
        tracing::info!("quotas are counted in this process; set `ledger.url` to share them");
        return Ok(Quotas::in_process(tasks));
    };
    let authority = ledger.ca_cert.as_ref().map(|path| {
        fs::read(path).with_context(|| format!("cannot read `ledger.ca_cert` {}", path.display()))
    });
    // So that a file that cannot be read is told of at once; it is read again for each connection.
    credentials.read()?;
    let authority = authority.transpose()?;
    let target = Target::parse(url.expose(), authority.as_deref(), credentials)?;
    tracing::info!(kind = ?target, "quotas are shared through Redis");
    let shared = Shared {
        ledger: Ledger::new(target, &config.environment),
        timeout: ledger.timeout_seconds.0,
        patience: ledger.unavailable_after_seconds.0,
        nodes: ledger.nodes,
    };
    Ok(Quotas::shared(shared, tasks))
}

#[cfg(test)]
mod tests;
