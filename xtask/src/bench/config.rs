//! `cargo xtask bench config`: the cost of a configuration with 10,000 APIs and 100,000 subscriptions, in bytes on the
//! stream and in memory of the gateway. It runs real processes, started as an operator would start them; the data plane
//! connects to the control plane through a proxy that counts bytes.

mod meter;
pub(super) mod process;
pub(super) mod seed;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use tidegate_proto::admin::v1::{
    BlockSubscriptionRequest, GetNodeRequest, Node, UnblockSubscriptionRequest,
    gateway_service_client::GatewayServiceClient,
    subscription_service_client::SubscriptionServiceClient,
};
use tokio::time::{interval, sleep, timeout};

use crate::{client::Channel, up::build};
use meter::Meter;
use process::{ControlPlane, DataPlane};

use super::machine;

/// The arguments of `cargo xtask bench config`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many APIs there are.
    #[arg(long, default_value_t = 10_000)]
    apis: usize,
    /// How many subscriptions there are.
    #[arg(long, default_value_t = 100_000)]
    subscriptions: usize,
    /// How many single changes are timed.
    #[arg(long, default_value_t = 200)]
    changes: usize,
    /// Don't build; measure the last build.
    #[arg(long)]
    no_build: bool,
}

/// How long any step may take before the benchmark fails.
const DEADLINE: Duration = Duration::from_secs(120);
/// The time between two single changes.
const APART: Duration = Duration::from_millis(25);
const NODE: &str = "environments/default/nodes/bench";

/// Seeds, measures, prints.
pub(super) fn run(args: &Args, folder: &Path) -> anyhow::Result<()> {
    let binaries = build::binaries(true, args.no_build)?;
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?
        .block_on(measure(args, &binaries, folder))
}

async fn measure(args: &Args, binaries: &build::Binaries, folder: &Path) -> anyhow::Result<()> {
    let mut control_plane = ControlPlane::start(&binaries.control_plane, folder).await?;
    let channel = control_plane.sign_in().await?;
    let subscriptions = seed::seed(&channel, args.apis, args.subscriptions).await?;
    let meter = Meter::start(control_plane.discovery).await?;
    let program = &binaries.data_plane;
    let address = meter.address;

    println!("\n| what | measured | target |\n|---|---:|---:|");
    let before = meter.read();
    let mut data_plane = DataPlane::start(program, folder, &control_plane, address, &[]).await?;
    caught_up(&channel).await?;
    row("first start: ready", &millis(data_plane.ready_after), "");
    row(
        "first start: on the wire",
        &kilobytes(before, meter.read()),
        "",
    );
    let resident = machine::resident(&[data_plane.pid()?])?;
    row(
        "data plane, resident",
        &format!("{:.0} MB", mega(resident)),
        "",
    );

    let changes = Changes::time(&channel, &meter, &subscriptions, args.changes).await?;
    changes.print();

    data_plane.stop().await?;
    let before = meter.read();
    let mut data_plane = DataPlane::start(program, folder, &control_plane, address, &[]).await?;
    caught_up(&channel).await?;
    row(
        "restart beside its control plane: ready",
        &millis(data_plane.ready_after),
        "",
    );
    row("restart: on the wire", &kilobytes(before, meter.read()), "");

    data_plane.stop().await?;
    control_plane.kill().await?;
    let mut data_plane = DataPlane::start(program, folder, &control_plane, address, &[]).await?;
    row(
        "start from the cache, control plane away: ready",
        &millis(data_plane.ready_after),
        "≤ 2000 ms",
    );
    let began = Instant::now();
    control_plane.start_again().await?;
    row(
        "control plane started again: ready",
        &millis(began.elapsed()),
        "",
    );
    let channel = control_plane.sign_in().await?;
    caught_up(&channel).await?;
    row("until the node has caught up", &millis(began.elapsed()), "");
    data_plane.stop().await?;
    control_plane.stop().await
}

/// The durations of single changes.
struct Changes {
    /// From the answer of the admin call, which follows the commit, to the node's acknowledgement as the control plane
    /// shows it.
    acknowledged: Vec<Duration>,
    /// The admin call itself.
    answered: Vec<Duration>,
    bytes: Vec<u64>,
}

impl Changes {
    async fn time(
        channel: &Channel,
        meter: &Meter,
        subscriptions: &[String],
        count: usize,
    ) -> anyhow::Result<Self> {
        let mut timed = Self {
            acknowledged: Vec::new(),
            answered: Vec::new(),
            bytes: Vec::new(),
        };
        let mut client = SubscriptionServiceClient::new(channel.clone());
        // Each subscription is blocked and unblocked, so the configuration ends as it began.
        for n in 0..count {
            let name = &subscriptions[n / 2 * 7919 % subscriptions.len()];
            let before = meter.read();
            let began = Instant::now();
            if n % 2 == 0 {
                let request = BlockSubscriptionRequest {
                    name: name.clone(),
                    ..Default::default()
                };
                client.block_subscription(request).await?;
            } else {
                let request = UnblockSubscriptionRequest {
                    name: name.clone(),
                    ..Default::default()
                };
                client.unblock_subscription(request).await?;
            }
            let answered = Instant::now();
            timed.answered.push(answered - began);
            caught_up(channel).await?;
            timed.acknowledged.push(answered.elapsed());
            timed.bytes.push(meter.read() - before);
            // Each is a change on its own; changes in a burst would wait for the debounce.
            sleep(APART).await;
        }
        Ok(timed)
    }

    fn print(mut self) {
        for times in [&mut self.acknowledged, &mut self.answered] {
            times.sort_unstable();
        }
        self.bytes.sort_unstable();
        let at = |share: usize, of: usize| (of * share / 100).min(of - 1);
        let count = self.acknowledged.len();
        for (share, name) in [(50, "p50"), (99, "p99")] {
            row(
                &format!("one change: admin call answered, {name}"),
                &millis(self.answered[at(share, count)]),
                "",
            );
            row(
                &format!("one change: commit to ACK, {name}"),
                &millis(self.acknowledged[at(share, count)]),
                "≤ 20 ms",
            );
            row(
                &format!("one change: on the wire, {name}"),
                &format!("{} B", self.bytes[at(share, count)]),
                "≤ 10 KB",
            );
        }
    }
}

/// Waits until the node runs the newest configuration.
pub(super) async fn caught_up(channel: &Channel) -> anyhow::Result<Node> {
    let mut client = GatewayServiceClient::new(channel.clone());
    let waiting = async {
        let mut ticks = interval(Duration::from_micros(500));
        loop {
            let request = GetNodeRequest {
                name: NODE.to_owned(),
            };
            match client.get_node(request).await {
                Ok(node) => {
                    let node = node.into_inner();
                    if node.connected && node.lag == 0 {
                        return Ok(node);
                    }
                }
                Err(status) if status.code() == tonic::Code::NotFound => {}
                Err(status) => return Err(status),
            }
            ticks.tick().await;
        }
    };
    let node = timeout(DEADLINE, waiting)
        .await
        .context("the node doesn't catch up")??;
    ensure!(
        node.rejections.is_empty(),
        "the node rejected {} resources: {:?}",
        node.rejections.len(),
        node.rejections.first()
    );
    Ok(node)
}

pub(super) fn row(what: &str, measured: &str, target: &str) {
    println!("| {what} | {measured} | {target} |");
}

pub(super) fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

fn kilobytes(before: u64, after: u64) -> String {
    format!("{} KB", (after - before) / 1000)
}

fn mega(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / 1024).unwrap_or(u32::MAX)) / 1024.0
}
