//! Puts the process together: the order of the parts, and nothing else. `main` builds and runs it; tests do the same.

use std::{future::Future, net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context as _;
use axum::Router;
use serde::Serialize;
use tidegate_kit::{clock::Clock, reload::CertificateReloader, tasks::Tasks, tls};

pub mod files;
pub mod offline;

use crate::{
    admin::Admin,
    config::{Config, LimitsConfig},
    discovery::{self, fleet::Fleet},
    domain::actor::Actor,
    http::{ALPN, Listener, ListenerLimits, management},
    oauth::{KeyManager, rotation::Rotation},
    portal::Portal,
    service::Service,
    store,
};

/// How long open calls may take to end after the process is told to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// Less has no room for the largest upload.
const REQUEST_MIB_LEAST: usize = 16;
/// More than any machine has; what is beyond it is a mistake.
const REQUEST_MIB_MOST: usize = 1024 * 1024;
/// The folder of the store, below the data directory.
const STORE: &str = "store";

/// The control plane, ready to be opened.
pub struct Bound {
    management: Listener,
    management_routes: Router,
    discovery: Listener,
    discovery_routes: Router,
    rotation: Rotation,
    reloader: CertificateReloader,
    tasks: Tasks,
    ready: Ready,
}

/// What the ready file says.
#[derive(Clone, Debug, Serialize)]
pub struct Ready {
    /// The process.
    pub pid: u32,
    /// The management listener's address.
    pub management: SocketAddr,
    /// The discovery listener's address.
    pub discovery: SocketAddr,
    /// What clients pin.
    pub ca_cert: PathBuf,
    /// What gateways join with.
    pub join_token_file: PathBuf,
}

/// Opens the store, makes what a first start lacks, and takes the addresses; nothing is served yet.
///
/// # Errors
/// When a part cannot be built; the error says what to do.
pub async fn build(config: Config) -> anyhow::Result<Bound> {
    tls::install();
    check(&config.limits)?;
    let tasks = Tasks::current();
    let clock = Clock::System;
    let store = store::open(&config.data_dir.join(STORE))?;
    let service = Service::open(store, clock.clone()).await?;
    let certificates = files::certificates(&config)?;
    let (join_tokens, join_token_file) = files::join_tokens(&config)?;

    let key_manager = KeyManager::new(service.clone(), &config.oauth)?;
    let rotation = Rotation::new(service.clone(), &config.oauth);
    first_start(&service, &rotation, &config).await?;

    let hours = config.discovery.forget_nodes_after_hours;
    let fleet = Fleet::new(clock, Duration::from_secs(hours.saturating_mul(3600)));
    let portal = Portal::new(
        service.clone(),
        fleet.clone(),
        rotation.clone(),
        key_manager.clone(),
    );
    let admin = Admin::new(
        service.clone(),
        fleet.clone(),
        rotation.clone(),
        key_manager.clone(),
    );
    let nowhere = portal.not_found();
    let management_routes = management::routes(
        admin
            .routes()
            .await?
            .merge(key_manager.routes())
            .merge(portal.routes()),
        nowhere,
        Duration::from_secs(config.limits.request_seconds),
    );
    let settings = discovery::StreamSettings {
        join_tokens,
        debounce: Duration::from_millis(config.discovery.debounce_ms),
    };
    let discovery_routes = discovery::router(settings, service.states(), fleet, &tasks);

    // The own certificate is in no file that somebody else replaces: it is issued at each start.
    let replaceable = config.tls.cert.clone().zip(config.tls.key.clone());
    let reloader = CertificateReloader::new(replaceable, certificates.identity, ALPN)?;
    let tls = reloader.server_config();
    let limits = &config.limits;
    let listen = &config.listen;
    let bind = |name, address, limits| Listener::bind(name, address, tls.clone(), limits);
    let allowed = ListenerLimits::management(limits);
    let management = bind("management", &listen.management, allowed).await?;
    let allowed = ListenerLimits::discovery(limits);
    let discovery = bind("discovery", &listen.discovery, allowed).await?;
    let ready = Ready {
        pid: std::process::id(),
        management: management.address(),
        discovery: discovery.address(),
        ca_cert: certificates.ca_cert,
        join_token_file,
    };
    Ok(Bound {
        management,
        management_routes,
        discovery,
        discovery_routes,
        rotation,
        reloader,
        tasks,
        ready,
    })
}

/// Refuses limits that would let nobody in.
fn check(limits: &LimitsConfig) -> anyhow::Result<()> {
    let mib = limits.request_mib;
    anyhow::ensure!(
        (REQUEST_MIB_LEAST..=REQUEST_MIB_MOST).contains(&mib),
        "`limits.request_mib` is {mib}; it must be between {REQUEST_MIB_LEAST} and {REQUEST_MIB_MOST}"
    );
    Ok(())
}

/// Makes what a first start lacks: an admin, a signing key, and what gateways must know of the configuration.
async fn first_start(
    service: &Service,
    rotation: &Rotation,
    config: &Config,
) -> anyhow::Result<()> {
    let admin = &config.admin;
    // Set and empty is not set: Compose passes on variables that nobody gave a value.
    let given = admin.password.clone().filter(|it| !it.expose().is_empty());
    let made = service
        .ensure_admin(&admin.username, given.clone())
        .await
        .context("cannot make the first admin; see `admin.username` and `admin.password`")?;
    if let Some(password) = made {
        // The one place where a secret is printed: nobody could sign in otherwise. Not in the log, which is kept.
        println!(
            "made the first admin: user name {}, password {}",
            admin.username,
            password.expose()
        );
    }
    if let Some(password) = &given
        && !service.has_password(&admin.username, password).await?
    {
        let name = &admin.username;
        tracing::warn!(
            "`admin.password` is not the password of the user `{name}` and is ignored: it is used only when the first \
             admin is made. To set it, stop the control plane and run \
             `tidegate-control-plane reset-password {name} --password-file FILE`; where the password was changed on \
             purpose, remove the setting"
        );
    }
    let issuer = config.oauth.issuer.clone();
    let audiences = vec![config.oauth.audience.clone()];
    service
        .configure(&Actor::system(), issuer, audiences)
        .await?;
    rotation.look().await?;
    Ok(())
}

// === impl Bound ===

impl Bound {
    /// The addresses that the listeners are bound to.
    #[must_use]
    pub const fn ready(&self) -> &Ready {
        &self.ready
    }

    /// Serves until `stop`, then lets open calls end.
    ///
    /// # Errors
    /// When tasks do not end in time.
    pub async fn run(self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let tasks = &self.tasks;
        self.rotation.start(tasks);
        self.reloader.start(tasks);
        let management = self.management.serve(self.management_routes, tasks.clone());
        tasks.spawn("management listener", management);
        let discovery = self.discovery.serve(self.discovery_routes, tasks.clone());
        tasks.spawn("discovery listener", discovery);
        stop.await;
        tracing::info!("stopping");
        let left = tasks.shut_down(DRAIN).await;
        anyhow::ensure!(
            left == 0,
            "{left} tasks did not end in {} s",
            DRAIN.as_secs()
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests;
