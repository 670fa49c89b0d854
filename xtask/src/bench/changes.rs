//! `cargo xtask bench changes`: what commits of the control plane cost a node that holds thousands of open sessions: those
//! that change nothing on the node, those that change what no session uses, and one that blocks a subscription. Real
//! processes, started as an operator would start them.

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tidegate_proto::admin::v1::{
    Api, Application, ApplicationKey, BlockSubscriptionRequest, CreateApiRequest,
    CreateApplicationKeyRequest, CreateApplicationRequest, CreateSubscriptionRequest, Subscription,
    UnblockSubscriptionRequest, UpdateApiRequest, api_service_client::ApiServiceClient,
    application_service_client::ApplicationServiceClient,
    subscription_service_client::SubscriptionServiceClient,
};
use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    task::LocalSet,
    time::{sleep, timeout},
};

use super::{
    backend,
    config::{
        caught_up, millis,
        process::{ControlPlane, DataPlane},
        row, seed,
    },
    machine,
    wire::{DEADLINE, Endpoint},
};
use crate::{
    client::{self, Channel},
    up::build,
};

/// The arguments of `cargo xtask bench changes`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many sessions are open.
    #[arg(long, default_value_t = 9_000)]
    sessions: usize,
    /// How many of them each subscription has.
    #[arg(long, default_value_t = 10)]
    each: usize,
    /// How many commits of each kind are made.
    #[arg(long, default_value_t = 1_000)]
    commits: usize,
    /// Measure what was built last.
    #[arg(long)]
    no_build: bool,
}

/// An application that is subscribed, and its token.
#[derive(Debug)]
struct Subscriber {
    subscription: String,
    token: String,
}

/// For how long the node is watched while nothing happens.
const IDLE: Duration = Duration::from_secs(10);

/// How many handshakes and admin calls are open at a time.
const AT_ONCE: usize = 32;

/// The clients answer no pings, and all come from one address.
const SETTINGS: [&str; 2] = ["relay.ping_seconds=0", "limits.connections_per_address=0"];

/// The counter of what this is about.
const REEVALUATED: &str = "tidegate_sessions_reevaluated_total";

/// Seeds, opens, measures, prints.
pub(super) fn run(args: &Args, folder: &Path) -> anyhow::Result<()> {
    ensure!(
        args.each > 0 && args.sessions >= args.each,
        "too few sessions"
    );
    let binaries = build::binaries(true, args.no_build)?;
    machine::raise_file_limit()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, measure(args, &binaries, folder))
}

async fn measure(args: &Args, binaries: &build::Binaries, folder: &Path) -> anyhow::Result<()> {
    let mut control_plane = ControlPlane::start(&binaries.control_plane, folder).await?;
    let channel = control_plane.sign_in().await?;
    let (program, discovery) = (&binaries.data_plane, control_plane.discovery);
    let mut node = DataPlane::start(program, folder, &control_plane, discovery, &SETTINGS).await?;
    let backend = backend::start(Instant::now()).await?;
    let api = publish(&channel, "used", backend).await?;
    let unused = publish(&channel, "unused", backend).await?;
    let subscribers = seed::many("subscribers", args.sessions / args.each, |n| {
        subscribe(&control_plane, &channel, &api, n)
    });
    let subscribers = subscribers.await?;
    let elsewhere = subscribe(&control_plane, &channel, &unused, subscribers.len()).await?;
    caught_up(&channel).await?;
    let mut sessions = open(&node, &subscribers, args.each).await?;
    let cost = Cost::of_idle(&node).await?;

    println!(
        "\n| {} open sessions | measured |  |\n|---|---:|---:|",
        sessions.len()
    );
    let edits = cost.measure(&node, args.commits, async |n| {
        edit(&channel, &api, n).await?;
        caught_up(&channel).await.map(drop)
    });
    cost.print("a commit that changes nothing on the node", edits.await?);
    let others = cost.measure(&node, args.commits, async |n| {
        toggle(&channel, &elsewhere, n).await?;
        caught_up(&channel).await.map(drop)
    });
    cost.print("a commit that changes what no session uses", others.await?);

    let before = node.metric(REEVALUATED).await?;
    let began = Instant::now();
    toggle(&channel, &subscribers[0], 0).await?;
    for session in sessions.iter_mut().take(args.each) {
        let mut end = [0; 128];
        ensure!(
            timeout(DEADLINE, session.read(&mut end)).await?? > 0,
            "no close frame"
        );
    }
    row(
        "blocking a subscription: all closed after",
        &millis(began.elapsed()),
        "",
    );
    if let (Some(before), Some(after)) = (before, node.metric(REEVALUATED).await?) {
        let looked_at = format!("{} sessions", after - before);
        row(
            "blocking a subscription: looked at",
            &looked_at,
            &format!("{}", args.each),
        );
    }
    drop(sessions);
    node.stop().await?;
    control_plane.stop().await
}

/// What the node costs.
struct Cost {
    /// Processor time a second while nothing happens.
    idle: f64,
}

impl Cost {
    async fn of_idle(node: &DataPlane) -> anyhow::Result<Self> {
        // What the handshakes have left is over by then.
        sleep(IDLE).await;
        let pid = [node.pid()?];
        let before = machine::cpu(&pid)?;
        sleep(IDLE).await;
        let used = machine::cpu(&pid)? - before;
        let idle = used.as_secs_f64() / IDLE.as_secs_f64();
        Ok(Self { idle })
    }

    /// The processor time of one of `count` commits beyond what passes while nothing happens.
    async fn measure(
        &self,
        node: &DataPlane,
        count: usize,
        commit: impl AsyncFn(usize) -> anyhow::Result<()>,
    ) -> anyhow::Result<f64> {
        let pid = [node.pid()?];
        let (before, began) = (machine::cpu(&pid)?, Instant::now());
        for n in 0..count {
            commit(n).await?;
        }
        let used = (machine::cpu(&pid)? - before).as_secs_f64();
        Ok((used - self.idle * began.elapsed().as_secs_f64()) / count as f64)
    }

    fn print(&self, what: &str, seconds: f64) {
        let micros = format!("{:.1} µs of CPU", seconds * 1e6);
        row(what, &micros, "");
    }
}

/// Opens so many sessions of each subscriber.
async fn open(
    node: &DataPlane,
    subscribers: &[Subscriber],
    each: usize,
) -> anyhow::Result<Vec<TcpStream>> {
    let endpoints = subscribers.iter().flat_map(|subscriber| {
        let endpoint = Endpoint {
            address: node.ws,
            target: "/used/1.0".to_owned(),
            token: Some(subscriber.token.clone()),
        };
        std::iter::repeat_n(endpoint, each)
    });
    let opening = stream::iter(endpoints).map(async |endpoint| {
        let (io, _) = endpoint.open("idle").await?;
        anyhow::Ok(io)
    });
    opening.buffered(AT_ONCE).try_collect().await
}

async fn publish(channel: &Channel, name: &str, backend: SocketAddr) -> anyhow::Result<String> {
    let api = Api {
        api_name: name.to_owned(),
        context: format!("/{name}"),
        version: "1.0".to_owned(),
        production_endpoint: format!("ws://{backend}"),
        plans: vec!["plans/Unlimited".to_owned()],
        ..Default::default()
    };
    let request = CreateApiRequest {
        api: Some(api),
        publish: true,
    };
    let mut client = ApiServiceClient::new(channel.clone());
    Ok(client.create_api(request).await?.into_inner().name)
}

/// Another description of the working copy, of which gateways run a revision.
async fn edit(channel: &Channel, api: &str, n: usize) -> anyhow::Result<()> {
    let api = Api {
        name: api.to_owned(),
        description: format!("edited {n} times"),
        ..Default::default()
    };
    let request = UpdateApiRequest {
        api: Some(api),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["description".to_owned()],
        }),
    };
    let mut client = ApiServiceClient::new(channel.clone());
    client.update_api(request).await?;
    Ok(())
}

/// An application with a key that is subscribed to an API.
async fn subscribe(
    control_plane: &ControlPlane,
    channel: &Channel,
    api: &str,
    n: usize,
) -> anyhow::Result<Subscriber> {
    let mut applications = ApplicationServiceClient::new(channel.clone());
    let application = Application {
        display_name: format!("Subscriber {n}"),
        ..Default::default()
    };
    let request = CreateApplicationRequest {
        application: Some(application),
    };
    let application = applications
        .create_application(request)
        .await?
        .into_inner()
        .name;
    let request = CreateApplicationKeyRequest {
        parent: application.clone(),
        application_key: Some(ApplicationKey::default()),
    };
    let key = applications
        .create_application_key(request)
        .await?
        .into_inner();
    let subscription = Subscription {
        application,
        api: api.to_owned(),
        plan: "plans/Unlimited".to_owned(),
        ..Default::default()
    };
    let request = CreateSubscriptionRequest {
        subscription: Some(subscription),
    };
    let mut subscriptions = SubscriptionServiceClient::new(channel.clone());
    let subscription = subscriptions
        .create_subscription(request)
        .await?
        .into_inner();
    let (url, ca_cert) = control_plane.management();
    let token = client::token(&url, ca_cert, &key.client_id, &key.client_secret).await;
    Ok(Subscriber {
        subscription: subscription.name,
        token: token.context("no token for an application")?,
    })
}

/// Blocks a subscription, and every other time lets it go again.
async fn toggle(channel: &Channel, subscriber: &Subscriber, n: usize) -> anyhow::Result<()> {
    let mut client = SubscriptionServiceClient::new(channel.clone());
    let name = subscriber.subscription.clone();
    if n.is_multiple_of(2) {
        let request = BlockSubscriptionRequest {
            name,
            ..Default::default()
        };
        client.block_subscription(request).await?;
    } else {
        let request = UnblockSubscriptionRequest {
            name,
            ..Default::default()
        };
        client.unblock_subscription(request).await?;
    }
    Ok(())
}
